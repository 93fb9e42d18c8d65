"""Small synthetic markets, snapshots, fills and intents for the trading tests."""

from __future__ import annotations

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Action,
    Approved,
    Asset,
    BookLevels,
    BookProblem,
    BookView,
    Decision,
    FastView,
    FeeSchedule,
    Fill,
    FillStatus,
    IntentReason,
    Market,
    OrderIntent,
    OrderStyle,
    Outcome,
    Position,
    Side,
    Snapshot,
)

OPENS_NS = 1_790_000_100 * NS_PER_SECOND
CLOSES_NS = OPENS_NS + 900 * NS_PER_SECOND
NOW_NS = OPENS_NS + 60 * NS_PER_SECOND
FEES = FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True)


def market(number: int = 1, *, tick: int = 10_000, asset: Asset = Asset.BTC) -> Market:
    return Market(
        slug=f"window-{number}",
        condition_id=f"0xc{number}",
        asset=asset,
        opens_ns=OPENS_NS,
        closes_ns=CLOSES_NS,
        up_token=f"up-{number}",
        down_token=f"down-{number}",
        tick_micros=tick,
        minimum_shares_micros=5 * MICROS,
        fees=FEES,
    )


MARKET = market()


def book(bids: BookLevels, asks: BookLevels, tick: int = 10_000) -> BookView:
    return BookView(bids, asks, tick, 0.1, BookProblem.NONE)


def mirrored(view: BookView) -> BookView:
    bids = tuple((MICROS - price, size) for price, size in view.asks)
    asks = tuple((MICROS - price, size) for price, size in view.bids)
    return book(bids, asks, view.tick_micros)


def snapshot(
    bid: int = 520_000, ask: int = 530_000, *, now_ns: int = NOW_NS, tick: int = 10_000
) -> Snapshot:
    up = book(((bid, 100 * MICROS),), ((ask, 100 * MICROS),), tick)
    nothing = dict.fromkeys(FastView.__struct_fields__)
    fast = FastView(**{**nothing, "bid": 1.0, "ask": 1.1, "age_seconds": 0.1})  # pyright: ignore[reportArgumentType]
    return Snapshot(
        market=market(tick=tick),
        now_ns=now_ns,
        on_grid=True,
        up=up,
        down=mirrored(up),
        fast=fast,
        up_mid_sd=None,
        strike=None,
        reference_price=0.0,
        clock_skew_seconds=0.0,
    )


def decision(action: Action, slug: str = MARKET.slug) -> Decision:
    return Decision(
        market=slug,
        at_ns=NOW_NS,
        action=action,
        probabilities=(0.2, 0.4, 0.4),
        value=0.0,
        model_id="test",
        reason="",
        features=(),
        cold=(),
        up_bid_micros=0,
        up_ask_micros=0,
        fast_mid=0.0,
        seconds_to_close=840.0,
    )


def position(outcome: Outcome, settled: int, pending: int = 0) -> Position:
    return Position(MARKET.slug, outcome, settled, pending, 1_000_000, NOW_NS, 0)


def intent(
    side: Side = Side.BUY,
    price: int = 530_000,
    shares: int = 10 * MICROS,
    *,
    outcome: Outcome = Outcome.UP,
    style: OrderStyle = OrderStyle.TAKER,
    now_ns: int = NOW_NS,
    expires_ns: int = 0,
    of: Market = MARKET,
) -> OrderIntent:
    return OrderIntent(
        intent_id=f"{of.slug}/{now_ns}/{outcome}/{side}",
        market=of.slug,
        token=of.token(outcome),
        outcome=outcome,
        side=side,
        price_limit_micros=price,
        shares_micros=shares,
        style=style,
        opens=side is Side.BUY,
        reason=IntentReason.ENTRY_SIGNAL if side is Side.BUY else IntentReason.EXIT_SIGNAL,
        created_ns=now_ns,
        expires_ns=expires_ns,
        deadline_ns=0,
    )


def approved(wanted: OrderIntent) -> Approved:
    return Approved(wanted, wanted.created_ns)


def fill(
    trade: str,
    side: Side,
    shares: int,
    price: int,
    *,
    fee: int = 0,
    status: FillStatus = FillStatus.CONFIRMED,
    outcome: Outcome = Outcome.UP,
    at_ns: int = NOW_NS,
    of: Market = MARKET,
    deadline_ns: int = 0,
) -> Fill:
    return Fill(
        trade_id=trade,
        order_id=f"order-{trade}",
        intent_id=f"intent-{trade}",
        market=of.slug,
        outcome=outcome,
        side=side,
        shares_micros=shares,
        price_micros=price,
        fee_micros=fee,
        status=status,
        maker=False,
        opens=side is Side.BUY,
        deadline_ns=deadline_ns,
        at_ns=at_ns,
    )
