"""Synthetic rows that the journal's tests share: one of every kind, and one small story."""

from __future__ import annotations

from collections.abc import Iterator

from db.records import KIND_OF_TYPE, Record
from helpers.domain import (
    FEATURE_VERSION,
    NS_PER_SECOND,
    Accepted,
    Action,
    AlertKind,
    AlertOutcome,
    AlertSent,
    AlertSeverity,
    Approved,
    Asset,
    Body,
    BookHealth,
    CarriedAccount,
    CarriedClaim,
    CarriedOrder,
    CashAdjusted,
    Checkpoint,
    ClaimChanged,
    Decision,
    Equity,
    ExitAttempted,
    ExitEnded,
    FeedGap,
    FeedRestored,
    Fill,
    FillStatus,
    HaltChanged,
    IntentReason,
    LedgerConflict,
    MarketSeen,
    MergeAsked,
    Mode,
    ModelChanged,
    OperatorAnswered,
    OperatorVerb,
    OrderIntent,
    OrderSigned,
    OrderState,
    OrderStyle,
    OrderUpdate,
    Outcome,
    Reconciled,
    Refused,
    Rejected,
    ResolutionSeen,
    RoundTrip,
    RuleFailure,
    RunStarted,
    RunStopped,
    Settled,
    ShadowWindow,
    Side,
    Source,
    StrikeRung,
    StrikeSeen,
    TradingState,
    Unknown,
    Unsized,
)
from tests.builders import a_market

SLUG = "btc-updown-5m-1774656000"
OPENS_NS = 1_774_656_000 * NS_PER_SECOND
CLOSES_NS = OPENS_NS + 300 * NS_PER_SECOND


def at(seconds: float) -> int:
    """Return the moment so many seconds after the sample market opens."""
    return OPENS_NS + round(seconds * NS_PER_SECOND)


def decision(
    seconds: float = 10.0, action: Action = Action.BUY, reason: str = "", valid: bool = True
) -> Decision:
    """Return a decision; an invalid one carries zeros and its reason."""
    features = tuple((index - 9) / 18 for index in range(18)) if valid else (0.0,) * 18
    return Decision(
        market=SLUG,
        at_ns=at(seconds),
        action=action,
        probabilities=(0.1, 0.7, 0.2) if valid else (1.0, 0.0, 0.0),
        value=0.123456789,
        model_id="policy@3f2a",
        reason=reason,
        features=features,
        cold=(2,),
        up_bid_micros=520_000,
        up_ask_micros=530_000,
        fast_mid=66_123.45,
        seconds_to_close=300.0 - seconds,
    )


def intent(
    seconds: float = 10.0,
    side: Side = Side.BUY,
    outcome: Outcome = Outcome.UP,
    reason: IntentReason = IntentReason.ENTRY_SIGNAL,
) -> OrderIntent:
    """Return an order wish for 9.4 shares at 0.53."""
    return OrderIntent(
        intent_id=f"{SLUG}-{at(seconds)}-{side}",
        market=SLUG,
        token="111" if outcome is Outcome.UP else "222",
        outcome=outcome,
        side=side,
        price_limit_micros=530_000,
        shares_micros=9_400_000,
        style=OrderStyle.TAKER,
        opens=side is Side.BUY,
        reason=reason,
        created_ns=at(seconds),
        expires_ns=0,
        deadline_ns=CLOSES_NS - 120 * NS_PER_SECOND,
    )


def approved(
    seconds: float = 10.0, side: Side = Side.BUY, reason: IntentReason = IntentReason.ENTRY_SIGNAL
) -> Approved:
    """Return an approval as the gate would give it; only for journalling, never sent."""
    return Approved(intent=intent(seconds, side, reason=reason), at_ns=at(seconds))


def refused(seconds: float, rule: str = "spread_ceiling", found: float | str = 0.05) -> Refused:
    """Return a refusal by one rule."""
    failure = RuleFailure(rule=rule, limit=0.03, found=found)
    return Refused(intent=intent(seconds), failures=(failure,), at_ns=at(seconds))


def fill(
    seconds: float,
    side: Side = Side.BUY,
    price_micros: int = 530_000,
    shares_micros: int = 9_400_000,
    status: FillStatus = FillStatus.CONFIRMED,
    trade_id: str = "",
    intent_seconds: float | None = None,
) -> Fill:
    """Return a fill of the sample intent of that moment and side."""
    wish = intent(seconds if intent_seconds is None else intent_seconds, side)
    return Fill(
        trade_id=trade_id or f"t-{seconds}-{side}",
        order_id="0xabc",
        intent_id=wish.intent_id,
        market=SLUG,
        outcome=Outcome.UP,
        side=side,
        shares_micros=shares_micros,
        price_micros=price_micros,
        fee_micros=160_000,
        status=status,
        maker=False,
        opens=side is Side.BUY,
        deadline_ns=wish.deadline_ns,
        at_ns=at(seconds),
    )


RUN_STARTED = RunStarted(
    run_id="replay-1",
    strategy="rl",
    model_id="policy@3f2a",
    feature_version=FEATURE_VERSION,
    settings_digest="d1",
    build_id="b1",
    tape="a.jsonl.gz",
)
MARKET_SEEN = MarketSeen(
    slug=SLUG,
    condition_id="0x1",
    asset=Asset.BTC,
    opens_ns=OPENS_NS,
    closes_ns=CLOSES_NS,
    up_token="111",
    down_token="222",
    problems=(),
)
RUN_STOPPED = RunStopped(
    reason="tape ended",
    trades=1,
    pnl_micros=310_000,
    fees_micros=320_000,
    decisions=4,
    refusals=3,
)
SETTLED = Settled(
    market=SLUG,
    outcome=Outcome.UP,
    won=True,
    shares_micros=9_400_000,
    payout_micros=9_400_000,
    cost_micros=5_142_000,
    at_ns=CLOSES_NS,
)

SIGNED = OrderSigned(
    intent_id="i",
    order_id="0x" + "ab" * 32,
    order_type="FAK",
    shares_micros=9_400_000,
    limit_micros=530_000,
    expiration_seconds=0,
    at_ns=at(13),
)
CLAIM = CarriedClaim(
    market=SLUG,
    condition_id="0x1",
    token="111",
    shares_micros=9_400_000,
    state="due",
)

EVERY_BODY: tuple[Body, ...] = (
    RUN_STARTED,
    MARKET_SEEN,
    StrikeSeen(price=66_100.5, rung=StrikeRung.VENUE_TWAP),
    ResolutionSeen(outcome=Outcome.UP, final_price=66_200.25, source=Source.GAMMA),
    decision(),
    approved(),
    refused(11.0),
    Unsized(
        market=SLUG,
        outcome=Outcome.DOWN,
        side=Side.BUY,
        failure=RuleFailure(rule="minimum_shares", limit=5.0, found=4.2),
        at_ns=at(12),
    ),
    Accepted(intent_id="i", order_id="o", at_ns=at(13)),
    Rejected(intent_id="i", order_id="o", reason='said "no" \u2028 é', at_ns=at(13)),
    Unknown(intent_id="i", order_id="o", reason="timeout", at_ns=at(13)),
    OrderUpdate(
        intent_id="i",
        order_id="o",
        market=SLUG,
        state=OrderState.RESTING,
        remaining_shares_micros=1,
        at_ns=at(13),
    ),
    fill(14.0),
    SETTLED,
    RoundTrip(
        market=SLUG,
        asset=Asset.BTC,
        outcome=Outcome.UP,
        shares_micros=9_400_000,
        cost_micros=5_142_000,
        proceeds_micros=5_452_000,
        fees_micros=320_000,
        pnl_micros=310_000,
        opened_ns=at(10),
        closed_ns=at(60),
        how="sold",
        entry_price_micros=530_000,
    ),
    ShadowWindow(
        shadow="momentum",
        model_id="momentum-1",
        asset=Asset.BTC,
        opens_ns=OPENS_NS,
        closes_ns=CLOSES_NS,
        pnl_micros=-250_000,
        fees_micros=120_000,
        cost_micros=9_900_000,
        trips=2,
        wins=1,
        up_won=True,
    ),
    LedgerConflict(detail="tokens were changed"),
    SIGNED,
    Checkpoint(
        wallet="0x1",
        cash_micros=5,
        realised_micros=-2,
        day=20_783,
        realised_today_micros=-1,
        accounts=(CarriedAccount(a_market(), (fill(14.0),), Outcome.DOWN, at(20)),),
        orders=(
            CarriedOrder(a_market(), approved().intent, SIGNED, "open", 3, matched_known=True),
        ),
        claims=(CLAIM,),
        merges=(MergeAsked(SLUG, 5),),
    ),
    CashAdjusted(before_micros=5, after_micros=7),
    ClaimChanged(claim=CLAIM, attempt=2, detail="relayer: wallet busy"),
    MergeAsked(market=SLUG, pairs_micros=4_460_000),
    Reconciled(
        agrees=False,
        differences=("cash: ours $5.00, venue $4.00",),
        tokens=2,
        shares_micros=5,
        cash_micros=5,
        venue_cash_micros=4,
        open_orders=1,
        unknown_orders=0,
    ),
    ModelChanged(
        change="refused",
        model_id="e64a0275cf4c",
        replaces="e64a0275cf4c",
        offered="1ba9164caa5a",
        why="weights had another sha256",
    ),
    Equity(cash_micros=1, realised_micros=-2, unrealised_micros=3, open_positions=1),
    HaltChanged(
        state="held",
        cause="loss_limit",
        detail="lost $100.00",
        trading=TradingState.HALTED,
        request_id="halt-1",
    ),
    OperatorAnswered("halt-1", OperatorVerb.HALT, TradingState.HALTED, "1 positions open"),
    ExitAttempted(
        market=SLUG,
        outcome=Outcome.UP,
        reason=IntentReason.EXIT_STALE,
        attempt=2,
        shares_micros=20_000_000,
        price_limit_micros=480_000,
        slippage_micros=20_000,
    ),
    ExitEnded(
        market=SLUG,
        outcome=Outcome.UP,
        reason=IntentReason.EXIT_STALE,
        how="awaiting_resolution",
        attempts=9,
        shares_left_micros=3_000_000,
        detail="the window closed",
    ),
    BookHealth(market=SLUG, outcome=Outcome.UP, state="degraded", age_seconds=30.5),
    FeedGap(source=Source.BINANCE_PUBLIC, reason="silent"),
    FeedRestored(source=Source.BINANCE_PUBLIC, gap_seconds=12.5),
    AlertSent(
        number=3,
        kind=AlertKind.FEED_STALE,
        severity=AlertSeverity.WARNING,
        title="feed stale: binance.public",
        text="silent",
        outcome=AlertOutcome.DELIVERED,
        count=2,
        made_ns=at(70),
        message_id="7",
        tries=1,
    ),
    RUN_STOPPED,
)


def records(
    rows: list[tuple[float, str, Body]], mode: Mode = Mode.REPLAY, first_seq: int = 1
) -> Iterator[Record]:
    """Number rows of (seconds, market, body) as the journal would."""
    for seq, (seconds, market, body) in enumerate(rows, start=first_seq):
        yield Record(
            seq=seq,
            at_ns=at(seconds),
            mode=mode,
            market=market,
            kind=KIND_OF_TYPE[type(body)],
            body=body,
        )


STORY: list[tuple[float, str, Body]] = [
    (0.0, "", RUN_STARTED),
    (1.0, SLUG, MARKET_SEEN),
    (2.0, SLUG, StrikeSeen(price=66_100.5, rung=StrikeRung.VENUE_TWAP)),
    (5.0, SLUG, decision(5.0, Action.HOLD, "one_sided book", valid=False)),
    (6.0, SLUG, decision(6.0, Action.BUY)),
    (6.0, SLUG, refused(6.0)),
    (7.0, SLUG, decision(7.0, Action.BUY)),
    (7.0, SLUG, refused(7.0, found=0.06)),
    (10.0, SLUG, decision(10.0)),
    (10.0, SLUG, approved(10.0)),
    (10.2, SLUG, Accepted(intent_id=intent(10.0).intent_id, order_id="0xabc", at_ns=at(10.2))),
    (10.3, SLUG, fill(10.3, intent_seconds=10.0)),
    (60.0, SLUG, decision(60.0, Action.SELL)),
    (60.0, SLUG, approved(60.0, Side.SELL, reason=IntentReason.EXIT_SIGNAL)),
    (60.3, SLUG, fill(60.3, Side.SELL, 580_000, intent_seconds=60.0)),
    (90.0, "", RUN_STOPPED),
]
"""An invalid state, two refusals of one rule, one entry sold again at a profit."""
