"""A report's rows for tests: one of everything, and a story that Postgres can be asked about."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from db.query_results import (
    Book,
    CalibrationBin,
    Drift,
    EquityPoint,
    Execution,
    HoldSeen,
    Performance,
    Refusals,
    ReportRead,
    Scope,
    SessionSeen,
    Totals,
    Trip,
    UnexplainedOrder,
)
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Action,
    Asset,
    Body,
    Equity,
    HaltChanged,
    HoldCause,
    IntentReason,
    OrderStyle,
    Outcome,
    ResolutionSeen,
    RoundTrip,
    Source,
    TradingState,
)
from tests.db.journals import trade
from tests.journal_samples import (
    MARKET_SEEN,
    RUN_STARTED,
    RUN_STOPPED,
    SLUG,
    at,
    decision,
    refused,
)

MINUTE_NS = 60 * NS_PER_SECOND
SESSION = SessionSeen(
    session=3,
    account=1,
    book=Book.PAPER,
    run="000001_20260328T000000Z_paper",
    strategy="fair_value",
    model_id="fair_value-1",
    feature_version="phase5",
    build_id="b1",
    settings_digest="d1",
    started_ns=at(0),
    heartbeat_ns=at(3600),
    stopped_ns=at(3600),
    stop_reason="SIGTERM",
    seq=1000,
    finished=True,
    rows_lost=0,
    rows_unknown=0,
    rows_refused=0,
    rows_retired=0,
    damage="",
    projected_ns=at(3601),
    other_accounts=0,
)
TRIP = Trip(
    run=SESSION.run,
    market=SLUG,
    asset=Asset.BTC,
    outcome=Outcome.UP,
    shares_micros=9_400_000,
    entry_price_micros=530_000,
    cost_micros=5_142_000,
    proceeds_micros=9_400_000,
    fees_micros=160_000,
    pnl_micros=4_258_000,
    opened_ns=at(10),
    closed_ns=at(330),
    hold_seconds=320.0,
    how="settled",
)


def point(minute: int, realised: float, unrealised: float = 0.0, session: int = 3) -> EquityPoint:
    """Return the account at one minute, in dollars."""
    total = round((realised + unrealised) * MICROS)
    return EquityPoint(
        session=session,
        at_ns=at(0) + minute * MINUTE_NS,
        realised_micros=round(realised * MICROS),
        unrealised_micros=round(unrealised * MICROS),
        cash_micros=1_000 * MICROS,
        lowest_micros=total,
        highest_micros=total,
    )


def performance(key: str, pnl: float = 1.5, trips: int = 4, wins: int = 3) -> Performance:
    """Return trips that have a key in common."""
    return Performance(key, trips, wins, round(pnl * MICROS), 640_000, 20_568_000)


def sample_read() -> ReportRead:
    """Return a report with something in each of its parts, nothing unexplained."""
    return ReportRead(
        scope=Scope(1, Book.PAPER, 0, (1 << 63) - 1),
        latest=SESSION,
        sessions=(SESSION,),
        totals=Totals(
            trips=8,
            wins=5,
            pnl_micros=3_000_000,
            fees_micros=1_280_000,
            cost_micros=41_136_000,
            won_micros=9_000_000,
            lost_micros=-6_000_000,
            best_micros=4_258_000,
            worst_micros=-5_142_000,
            hold_seconds_median=320.0,
            decisions=7200,
            orders=9,
            refusals=31,
        ),
        equity_before=None,
        equity=(point(0, 0.0), point(1, 4.0, 1.0), point(2, 1.0, 1.0), point(3, 3.0)),
        by_day=(performance("2026-03-28"), performance("2026-03-29", -0.5)),
        by_asset=(performance("BTC"), performance("ETH", -0.25)),
        by_outcome=(performance("up"), performance("down", -0.75)),
        by_asset_outcome=(performance("BTC up"), performance("ETH down", -2.0)),
        by_hour=(performance("00"), performance("13", -1.0)),
        by_entry_price=(performance("50"), performance("95", -1.0)),
        by_hold=(performance("5"), performance("8", -1.0)),
        execution=(execution(Book.PAPER, 3_000.0), execution(Book.LIVE, 6_500.0)),
        refusals=(Refusals("refused", "spread_ceiling", 30, 35, 4, at(0), at(3000)),),
        calibration=(
            CalibrationBin(2, 40, 5, 0.25, 0.30, 10, 7.5, 8.0, 40),
            CalibrationBin(7, 60, 6, 0.75, 0.70, 45, 11.0, 12.0, 60),
        ),
        drift=(
            Drift(
                asset=Asset.BTC,
                outcome=Outcome.UP,
                paper_trips=8,
                live_trips=2,
                paper_pnl_micros_a_share=20_000.0,
                live_pnl_micros_a_share=-10_000.0,
                paper_slippage_micros=3_000.0,
                live_slippage_micros=6_500.0,
                paper_filled_part=1.0,
                live_filled_part=0.5,
                paper_entry_price_micros=530_000.0,
                live_entry_price_micros=540_000.0,
            ),
        ),
        unexplained=(),
        holds=(
            HoldSeen(HoldCause.OPERATOR, "held", at(100), TradingState.HALTED, "odd fills"),
        ),
        trips=(TRIP,),
    )  # fmt: skip


def execution(book: Book, slippage_micros: float) -> Execution:
    """Return how a book's taker entries were filled."""
    return Execution(
        book=book,
        opens=True,
        style=OrderStyle.TAKER,
        orders=9,
        filled=8,
        rejected=1,
        unknown=0,
        filled_part=0.9,
        slippage_micros=slippage_micros,
        fees_micros=1_280_000,
        fee_micros_a_share=17_000.0,
        answer_milliseconds_p50=225.0,
        answer_milliseconds_p99=260.0,
        fill_milliseconds_p50=226.0,
        fill_milliseconds_p99=None,
    )


def hostile_read(text: str) -> ReportRead:
    """Return a report in which a venue wrote ``text`` wherever it can write something."""
    read = sample_read()
    session = replace(read.latest, stop_reason=text, strategy=text, damage=text)
    return replace(
        read,
        latest=session,
        sessions=(session,),
        by_asset_outcome=(performance(text), performance("ETH down")),
        refusals=(replace(read.refusals[0], rule=text),),
        holds=(replace(read.holds[0], detail=text),),
        trips=(replace(TRIP, market=text),),
        unexplained=(UnexplainedOrder(text, text, text, IntentReason.ENTRY_SIGNAL, text),),
    )


def closed(opened: float, ended: float, pnl_micros: int, outcome: Outcome) -> RoundTrip:
    """Return a round trip of 9.4 shares at 0.53."""
    return RoundTrip(
        market=SLUG,
        asset=Asset.BTC,
        outcome=outcome,
        shares_micros=9_400_000,
        cost_micros=5_142_000,
        proceeds_micros=5_142_000 + pnl_micros,
        fees_micros=320_000,
        pnl_micros=pnl_micros,
        opened_ns=at(opened),
        closed_ns=at(ended),
        how="sold",
        entry_price_micros=530_000,
    )


def story(*, ends: bool = True) -> Iterator[tuple[float, str, Body]]:
    """Yield a run: two trades, one that gained and one that lost, three refusals, a halt."""
    yield 0.0, "", RUN_STARTED
    yield 0.0, SLUG, MARKET_SEEN
    yield 1.0, "", Equity(1_000 * MICROS, 0, 0, 0)
    for begun, pnl_micros, outcome in ((10.0, 310_000, Outcome.UP), (70.0, -500_000, Outcome.DOWN)):
        yield from trade(begun)
        yield begun + 40, SLUG, closed(begun, begun + 40, pnl_micros, outcome)
    yield 120.0, "", Equity(1_000 * MICROS - 190_000, -190_000, 0, 0)
    for seconds in (130.0, 131.0):
        yield seconds, SLUG, refused(seconds)
    yield 140.0, SLUG, refused(140.0, rule="depth")
    for seconds in (150.0, 150.5, 185.0):
        forecast = replace(decision(seconds, Action.HOLD), forecast_up=0.75)
        yield seconds, SLUG, forecast
    held = HaltChanged("held", "operator", "odd fills", TradingState.HALTED, "halt-1")
    yield 200.0, "", held
    yield 320.0, SLUG, ResolutionSeen(Outcome.UP, 66_200.25, Source.GAMMA)
    if ends:
        yield 330.0, "", RUN_STOPPED
