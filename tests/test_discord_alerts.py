"""Rows of the journal become alerts: what is told, how urgently, and what is not worth a word."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from db.records import TYPE_OF_KIND
from helpers.discord_alerts import READ, AlertReader
from helpers.discord_words import Alert, Meaning
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    AlertKind,
    AlertSeverity,
    Asset,
    Body,
    BookHealth,
    CarriedClaim,
    CashAdjusted,
    Checkpoint,
    ClaimChanged,
    Equity,
    ExitAttempted,
    ExitEnded,
    FeedGap,
    FeedRestored,
    FillStatus,
    HaltChanged,
    IntentReason,
    LedgerConflict,
    ModelChanged,
    Outcome,
    Reconciled,
    RoundTrip,
    RunStopped,
    Side,
    Source,
    TradingState,
    Unknown,
)
from tests.journal_samples import CLAIM, EVERY_BODY, OPENS_NS, RUN_STARTED, SLUG, at, fill, refused

INFO, WARNING, CRITICAL = AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL
DAY_SECONDS = 86_400.0
MIDNIGHT_NS = (OPENS_NS // (86_400 * NS_PER_SECOND) + 1) * 86_400 * NS_PER_SECOND
MIDNIGHT = (MIDNIGHT_NS - OPENS_NS) / NS_PER_SECOND


def told(rows: Iterable[tuple[float, Body]], reader: AlertReader | None = None) -> list[Alert]:
    """Return the alerts of rows of the sample market."""
    used = reader or AlertReader()
    return [alert for seconds, body in rows for alert in used.read(at(seconds), SLUG, body)]


def trip(pnl_micros: int, how: str = "sold") -> RoundTrip:
    """Return a closed position of that profit."""
    return RoundTrip(
        market=SLUG,
        asset=Asset.BTC,
        outcome=Outcome.UP,
        shares_micros=9_400_000,
        cost_micros=5_142_000,
        proceeds_micros=5_142_000 + pnl_micros,
        fees_micros=320_000,
        pnl_micros=pnl_micros,
        opened_ns=at(10),
        closed_ns=at(60),
        how="sold" if how == "sold" else "settled",
        entry_price_micros=530_000,
    )


def held(cause: str, trading: TradingState = TradingState.HALTED) -> HaltChanged:
    return HaltChanged("held", cause, f"because of {cause}", trading)


def released(cause: str) -> HaltChanged:
    return HaltChanged("released", cause, "", TradingState.ACTIVE)


def account(realised_micros: int = 0, today_micros: int = 0) -> Checkpoint:
    day = OPENS_NS // (86_400 * NS_PER_SECOND)
    return Checkpoint("w", 0, realised_micros, day, today_micros, (), (), ())


def differ(*, agrees: bool) -> Reconciled:
    return Reconciled(agrees, () if agrees else ("shares: ours 1, venue 2",), 2, 5, 5, 4, 1, 0)


def test_every_kind_of_row_is_read_or_means_nothing_here() -> None:
    """No kind makes it fail (I17), and the outlet keeps no row that nobody reads."""
    assert {type(body) for body in EVERY_BODY} == set(TYPE_OF_KIND.values())
    assert set(TYPE_OF_KIND.values()) > READ
    reader = AlertReader()
    for body in EVERY_BODY:
        list(reader.read(at(20), SLUG, body))
        if type(body) not in READ:
            assert not list(reader.read(at(20), SLUG, body))


def test_an_entry_is_told_with_what_it_cost_so_far() -> None:
    """Two trades of one order are one alert when the second comes while the first waits; a rung of
    the ladder is no news.
    """
    first = fill(10.0, trade_id="a", status=FillStatus.MATCHED)
    second = fill(10.1, trade_id="b", price_micros=550_000, intent_seconds=10.0)
    alerts = told([(10.0, first), (10.1, second), (12.0, replace(first, status=FillStatus.MINED))])
    assert [a.title for a in alerts] == ["entered BTC 5m up"] * 2
    assert alerts[0].merge_key == alerts[1].merge_key != ""
    assert "shares: 18.8\nprice: 0.5400\ncost: $10.15\nfee: $0.3200" in alerts[1].text


def test_a_sale_is_told_by_the_position_it_closes() -> None:
    """The fill of an exit says nothing by itself; profit after fees and the sum of all do."""
    sale = fill(59.0, side=Side.SELL, status=FillStatus.MATCHED)
    alerts = told([(0.0, account(1_000_000)), (59.0, sale), (60.0, trip(310_000))])
    (closed,) = alerts
    assert (closed.kind, closed.meaning) == (AlertKind.CLOSED, Meaning.GOOD)
    assert closed.title == "sold BTC 5m up: +$0.31"
    assert "profit after fees: +$0.31\ncumulative: +$1.31\nfees: $0.3200" in closed.text
    (lost,) = told([(60.0, trip(-5_142_000, "settled"))])
    assert (lost.title, lost.meaning) == ("settled BTC 5m up: -$5.14", Meaning.BAD)


def test_a_trade_that_never_settled_is_critical() -> None:
    """U17: it had been told as an entry."""
    failed = fill(10.0, trade_id="a", status=FillStatus.FAILED)
    (alert,) = told([(10.0, failed)])
    assert (alert.kind, alert.severity) == (AlertKind.FILL_FAILED, CRITICAL)


def test_refusals_are_merged_for_five_minutes() -> None:
    """One alert with how often, by which rule, and the last found; then it counts anew."""
    reader = AlertReader()
    rows: list[tuple[float, Body]] = [(n / 2, refused(n / 2)) for n in range(590)]
    rows += [(299.0, refused(299.0, "cooldown", "3 s"))]
    assert not told(rows, reader)
    (alert,) = reader.advance(at(301))
    assert (alert.title, alert.count, alert.severity) == (
        "591 entries refused in 5 min",
        591,
        INFO,
    )
    assert alert.text.startswith("spread_ceiling: 590, limit 0.03, last found 0.05\ncooldown: 1")
    assert alert.text.endswith("markets: BTC 5m")
    assert not list(reader.advance(at(900)))
    told([(901.0, refused(901.0))], reader)
    assert [a.count for a in reader.close(at(902))] == [1]
    assert not list(reader.close(at(903)))


def test_a_halt_is_critical_at_once_and_its_end_is_told() -> None:
    """The words say that exits continue (freqtrade #4837)."""
    alerts = told([(0.0, held("loss_limit")), (9.0, released("loss_limit"))])
    assert [(a.kind, a.severity) for a in alerts] == [
        (AlertKind.ENTRIES_HELD, CRITICAL),
        (AlertKind.ENTRIES_RELEASED, WARNING),
    ]
    assert alerts[0].title == "entries stopped, exits continue: loss_limit"
    assert "why: because of loss_limit\ntrading: halted" in alerts[0].text
    assert alerts[1].title == "resumed: loss_limit is over"
    assert told([(0.0, held("lease"))])[0].severity is CRITICAL
    assert not told([(0.0, held("stopping"))])


def test_what_passes_within_seconds_is_no_news() -> None:
    """Every start holds entries until preflight and reconciliation are done."""
    reader = AlertReader()
    assert not told([(0.0, held("preflight")), (6.0, released("preflight"))], reader)
    assert not told([(7.0, held("venue")), (8.0, held("venue"))], reader)
    assert not list(reader.advance(at(16.9)))
    (alert,) = reader.advance(at(17))
    assert (alert.severity, alert.title) == (WARNING, "entries stopped, exits continue: venue")
    assert not told([(30.0, held("venue"))], reader)
    (over,) = told([(40.0, released("venue"))], reader)
    assert (over.kind, over.severity) == (AlertKind.ENTRIES_RELEASED, INFO)


def test_a_feed_is_told_when_it_stays_away_and_when_it_is_back() -> None:
    """A socket that reconnects within a second is no news; one that fails again and again is one
    alert.
    """
    book = Source.POLYMARKET_MARKET
    reader = AlertReader()
    assert not told([(0.0, FeedGap(book, "cut")), (1.0, FeedRestored(book, 1.0))], reader)
    alerts = told([(n, FeedGap(book, f"try {n}")) for n in range(5, 60, 5)], reader)
    alerts += told([(61.0, FeedRestored(book, 56.0))], reader)
    assert [a.title for a in alerts] == [
        "feed stale: polymarket.market",
        "feed recovered: polymarket.market",
    ]
    assert alerts[1].text == "after 56 s"


def test_the_book_of_a_held_position_is_told_at_once() -> None:
    """I16: money hangs on it."""
    states = (("degraded", 31.0), ("critical", 61.0), ("fresh", 0.1), ("fresh", 0.1))
    rows = [
        (float(n), BookHealth(SLUG, Outcome.UP, state, age))  # pyright: ignore[reportArgumentType]
        for n, (state, age) in enumerate(states)
    ]
    assert [(a.kind, a.severity) for a in told(rows)] == [
        (AlertKind.FEED_STALE, WARNING),
        (AlertKind.FEED_STALE, CRITICAL),
        (AlertKind.FEED_RECOVERED, INFO),
    ]


def test_what_nobody_knows_and_what_contradicts_is_critical() -> None:
    """I20, I15."""
    alerts = told([(0.0, Unknown("i", "0xabc", "timeout", 1)), (1.0, LedgerConflict("tokens"))])
    assert [(a.kind, a.severity) for a in alerts] == [
        (AlertKind.ORDER_UNKNOWN, CRITICAL),
        (AlertKind.MISMATCH, CRITICAL),
    ]
    assert "order: 0xabc" in alerts[0].text


def test_books_that_differ_once_are_no_news() -> None:
    """A fill on its way differs for a second; what stays is told, and its end."""
    reader = AlertReader()
    assert not told([(0.0, differ(agrees=False)), (5.0, differ(agrees=True))], reader)
    alerts = told([(30.0, differ(agrees=False)), (60.0, differ(agrees=False))], reader)
    alerts += told([(90.0, differ(agrees=True)), (120.0, differ(agrees=True))], reader)
    assert [a.kind for a in alerts] == [AlertKind.MISMATCH, AlertKind.BOOKS_AGREE]


def exit_step(attempt: int, reason: IntentReason, price_micros: int = 480_000) -> ExitAttempted:
    return ExitAttempted(SLUG, Outcome.UP, reason, attempt, 9_000_000, price_micros, 20_000)


def exit_end(reason: IntentReason, how: str) -> ExitEnded:
    flat = how == "flat"
    return ExitEnded(
        SLUG, Outcome.UP, reason, "flat" if flat else "awaiting_resolution", 3, 0 if flat else 9, ""
    )


def test_a_forced_exit_is_told_step_by_step() -> None:
    """Each sale and the end; what cannot be sold is critical."""
    stale = IntentReason.EXIT_STALE
    rows: list[tuple[float, Body]] = [
        (0.0, exit_step(1, stale)),
        (1.0, exit_step(2, stale, 0)),
        (2.0, exit_end(stale, "flat")),
    ]
    alerts = told(rows)
    assert [a.title for a in alerts] == [
        "forced exit of BTC 5m up, try 1",
        "forced exit of BTC 5m up, try 2",
        "forced exit of BTC 5m up: flat",
    ]
    assert "limit: no bid to sell to" in alerts[1].text
    assert len({a.merge_key for a in alerts}) == 1  # none of them is merged away
    assert alerts[0].merge_key == ""
    (stuck,) = told([(3.0, exit_end(IntentReason.EXIT_TIMEOUT, "awaiting"))])
    assert stuck.severity is CRITICAL


def test_an_ordinary_exit_that_sells_at_once_is_not_forced() -> None:
    """The closed position is told anyway."""
    due = IntentReason.EXIT_TIMEOUT
    assert not told([(0.0, exit_step(1, due)), (1.0, exit_end(due, "flat"))])
    rows: list[tuple[float, Body]] = [(0.0, exit_step(1, due)), (1.0, exit_step(2, due))]
    assert [a.title[-5:] for a in told([*rows, (2.0, exit_end(due, "flat"))])] == ["try 2", " flat"]


def claim(state: str, attempt: int, detail: str = "") -> ClaimChanged:
    changed: CarriedClaim = replace(CLAIM, state=state)
    return ClaimChanged(changed, attempt, detail)


def test_a_redemption_is_told_by_its_steps() -> None:
    """A look that could not be made is not told again."""
    rows = [
        claim("due", 0),
        claim("due", 1, "relayer: wallet busy"),
        claim("submitted", 2),
        claim("submitted", 2, "could not look"),
        claim("paid", 2),
    ]
    alerts = told([(float(n), row) for n, row in enumerate(rows)])
    assert [(a.title, a.severity) for a in alerts] == [
        ("redeem failed: BTC 5m", WARNING),
        ("redeem submitted: BTC 5m", INFO),
        ("redeem paid: BTC 5m", INFO),
    ]
    assert alerts[0].text.startswith("payout: $9.40\nattempt: 1")


def test_money_that_came_or_went_by_itself_is_told() -> None:
    """A deposit, a withdrawal, a rebate."""
    (alert,) = told([(0.0, CashAdjusted(5 * MICROS, 7 * MICROS))])
    assert alert.title == "the wallet changed by +$2.00 without a trade of ours"


def test_milestones_of_the_cumulative_profit_are_told_once() -> None:
    """Those the account had passed before this run are not told again."""
    rows: list[tuple[float, Body]] = [(0.0, account(19 * MICROS))]
    rows += [(n, trip(MICROS if n % 2 else -MICROS)) for n in range(1, 9)]
    rows += [(9.0, trip(40 * MICROS)), (10.0, trip(0))]
    titles = [a.title for a in told(rows) if a.kind is AlertKind.MILESTONE]
    assert titles == [
        "$20.00 of profit after fees",
        "$50.00 of profit after fees",
        "10 positions closed in this run",
    ]


def test_the_day_is_summed_up_at_utc_midnight() -> None:
    """Trades, profit of the whole day, drawdown, and the curve a picture is drawn of."""
    rows: list[tuple[float, Body]] = [
        (0.0, RUN_STARTED),
        (1.0, account(7 * MICROS, 2 * MICROS)),
        (2.0, Equity(0, 7 * MICROS, 0, 0)),
        (3.0, fill(3.0, trade_id="a")),
        (4.0, refused(4.0)),
        (5.0, held("operator")),
        (6.0, FeedGap(Source.COINBASE, "cut")),
        (6.5, FeedRestored(Source.COINBASE, 0.5)),
        (8.0, trip(3 * MICROS)),
        (9.0, trip(-MICROS)),
        (62.0, Equity(0, 9 * MICROS, -4 * MICROS, 1)),
        (122.0, Equity(0, 9 * MICROS, 0, 0)),
    ]
    reader = AlertReader()
    noon = 12 * 3_600.0
    told([(noon + seconds, body) for seconds, body in rows], reader)
    list(reader.advance(at(MIDNIGHT - 1)))
    (summary,) = reader.advance(at(MIDNIGHT))
    assert summary.kind is AlertKind.DAILY_SUMMARY
    assert summary.title == "2026-03-28: +$4.00 after fees"
    assert summary.text.startswith(
        "trades: 2 (50% won)\nfees: $0.64\ncumulative: +$9.00\ndrawdown: $2.00\n"
        "fills of entries: 1\nrefused: 1\nhalts: 1\nfeed gaps: 1\nuptime: "
    )
    assert summary.text.endswith("uptime: 12.0 h\ncounted since: 12:00 UTC")
    assert [point.profit_micros for point in summary.curve] == [7 * MICROS, 5 * MICROS, 9 * MICROS]
    assert summary.at_ns == MIDNIGHT_NS
    (quiet,) = reader.advance(at(MIDNIGHT + DAY_SECONDS))
    assert quiet.title == "2026-03-29: +$0.00 after fees"
    assert "uptime: 24.0 h" in quiet.text
    assert "counted since" not in quiet.text


def test_a_clock_that_jumps_by_years_is_one_summary() -> None:
    """A machine that slept does not flood the channel."""
    reader = AlertReader()
    list(reader.advance(at(0)))
    assert len(list(reader.advance(at(0) + 10**18))) == 1


@pytest.mark.parametrize(("failed", "severity"), [(False, WARNING), (True, CRITICAL)])
def test_the_end_says_why(failed: bool, severity: AlertSeverity) -> None:
    """Jesse #378: a crash that nobody is told of."""
    stopped = RunStopped("failed: KeyError", 3, -2 * MICROS, MICROS, 40, 7)
    alert = AlertReader().stopped(at(1), stopped, failed=failed)
    assert (alert.title, alert.severity) == ("stopped: failed: KeyError", severity)
    assert alert.text == "trades: 3\nprofit: -$2.00\nfees: $1.00\ndecisions: 40\nrefused: 7"


def test_the_start_says_what_runs() -> None:
    """I1: build, model and settings."""
    (alert,) = told([(0.0, RUN_STARTED)])
    assert "model: policy@3f2a\nbuild: b1" in alert.text


# --- The model ------------------------------------------------------------------------------------


def test_a_changed_model_is_told_and_a_refused_one_more_urgently() -> None:
    """What decides now, what decided before, and why files were not taken."""
    new, old, bad, same = told(
        [
            (1.0, ModelChanged("promoted", "b", "a", "b", "trained")),
            (2.0, ModelChanged("rolled_back", "a", "b", "a", "the first one")),
            (3.0, ModelChanged("refused", "a", "a", "c", "a NaN")),
            (4.0, replace(RUN_STARTED, model_id="a")),
        ]
    )
    assert (new.kind, new.severity, new.title) == (
        AlertKind.MODEL_PROMOTED, INFO, "model b promoted",
    )  # fmt: skip
    assert "replaces: a" in new.text
    assert (old.kind, old.severity, old.title) == (
        AlertKind.MODEL_ROLLED_BACK, WARNING, "model a is back",
    )  # fmt: skip
    assert (bad.kind, bad.severity) == (AlertKind.MODEL_REFUSED, WARNING)
    assert bad.title == "model files refused, a stays"
    assert "why: a NaN" in bad.text
    assert same.kind is AlertKind.STARTED


def test_files_of_the_running_model_that_were_written_again_are_no_news() -> None:
    """Nothing changed for whoever owns the money."""
    assert told([(1.0, ModelChanged("rolled_back", "a", "a", "a", "written again"))]) == []
