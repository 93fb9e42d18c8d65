"""The report tells what the rows say, in numbers and in words that fit a terminal."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.explain import Explainer, explain
from db.explain_market import without_numbers
from db.explain_report import MarketReport, Report
from db.explain_text import WIDTH, dollars, moment, price, report_lines, shares
from helpers.domain import (
    Accepted,
    Action,
    Body,
    FeedGap,
    FillStatus,
    HaltChanged,
    IntentReason,
    OperatorAnswered,
    OperatorVerb,
    OrderState,
    OrderUpdate,
    Rejected,
    RoundTrip,
    RuleFailure,
    Side,
    Source,
    TradingState,
    Unknown,
)
from tests.journal_samples import (
    EVERY_BODY,
    MARKET_SEEN,
    RUN_STARTED,
    RUN_STOPPED,
    SETTLED,
    SLUG,
    STORY,
    approved,
    at,
    decision,
    fill,
    intent,
    records,
    refused,
)

TWO_FAILURES = (
    RuleFailure(rule="spread_ceiling", limit=0.03, found=0.05),
    RuleFailure(rule="book_age", limit=30.0, found=31.0),
)
Rows = list[tuple[float, str, Body]]


def only_market(rows: Rows, since_seconds: float | None = None, last: int = 10) -> MarketReport:
    """Explain rows about one market."""
    since_ns = 0 if since_seconds is None else at(since_seconds)
    (market,) = explain(records(rows), since_ns, last=last).markets
    return market


def words(report: Report, *, one_market: bool = False) -> str:
    """Return the report as text, its wrapping undone."""
    return " ".join(" ".join(report_lines(report, 10, one_market=one_market)).split())


def bought(seconds: float = 10.0) -> Rows:
    """Return the rows of an entry that was decided, approved and filled."""
    return [
        (seconds, SLUG, decision(seconds)),
        (seconds, SLUG, approved(seconds)),
        (seconds, SLUG, fill(seconds)),
    ]


def test_the_story_is_told() -> None:
    """Counts, the entry with its reasons and fills, its exit and its result, and the refusals."""
    report = explain(records(STORY))
    (market,) = report.markets
    assert market.decisions == 5
    assert {count.name: count.count for count in market.actions} == {
        "BUY": 3,
        "SELL": 1,
        "INVALID": 1,
    }
    assert [(count.name, count.count) for count in market.invalid] == [("one_sided book", 1)]
    (entry,) = market.entries
    assert entry.order.decision is not None
    assert entry.order.decision.probability_buy == 0.7
    assert entry.order.decision.top_features[0].name == "returns_1m"
    assert entry.order.decision.cold_features == ("returns_10m",)
    assert entry.order.submission == "accepted"
    assert [seen.price_micros for seen in entry.order.fills] == [530_000]
    assert [seen.reason for seen in entry.exits] == ["exit_signal"]
    assert (entry.ended, entry.ended_ns) == ("sold", at(60.3))
    # 9.4 shares bought at 0.53 and sold at 0.58, 16 cents of fee each way.
    assert entry.pnl_micros == 9_400_000 * 5 // 100 - 320_000
    (refusal,) = market.refusals
    assert (refusal.count, refusal.first_ns, refusal.last_ns) == (2, at(6), at(7))
    assert (refusal.limit, refusal.found_first, refusal.found) == (0.03, 0.05, 0.06)
    (run,) = report.runs
    assert run.started == RUN_STARTED
    assert run.stopped == RUN_STOPPED


def test_the_story_in_words() -> None:
    """What a person asks is answered in one line each."""
    text = words(explain(records(STORY)), one_market=True)
    for phrase in (
        "REPLAY run replay-1: strategy rl, model policy@3f2a, features phase5, tape a.jsonl.gz",
        "stopped: tape ended",
        "strike 66,100.50 (venue_twap)",
        "decided 5 decisions: BUY 3, INVALID 1, SELL 1",
        "invalid 1 x one_sided book",
        "order BUY UP 9.40 shares, limit 0.53, taker, entry_signal",
        "policy BUY: hold 0.10, buy 0.70, sell 0.20, value +0.123, model policy@3f2a",
        "saw Up bid 0.52, ask 0.53, fast mid 66,123.45, strike 66,100.50 (venue_twap), 290.0 s to",
        "filled 2026-03-28 00:00:10.300 9.40 at 0.53, fee $0.16, taker, CONFIRMED",
        "exit 2026-03-28 00:01:00.000 SELL UP 9.40 shares",
        "ended sold at 2026-03-28 00:01:00.300 after 50.3 s, PnL after fees +$0.15 (fees $0.32)",
        "2 times, entry BUY UP by gate rule spread_ceiling: limit 0.03, found 0.05 at first, 0.06",
    ):
        assert phrase in text


def test_a_position_held_to_resolution_is_paid_out() -> None:
    """The payout less cost and fees is the result; a lost one loses its cost."""
    (entry,) = only_market([*bought(), (300.0, SLUG, SETTLED)]).entries
    assert entry.ended == "settled_won"
    assert entry.pnl_micros == 9_400_000 - 4_982_000 - 160_000
    lost = msgspec.structs.replace(SETTLED, won=False, payout_micros=0)
    report = explain(records([*bought(), (300.0, SLUG, lost)]))
    assert report.markets[0].entries[0].pnl_micros == -5_142_000
    assert "paid out at 0: lost at 2026-03-28 00:05:00.000" in words(report)
    assert "PnL after fees -$5.14" in words(report)


def test_a_payout_of_a_position_older_than_the_journal_uses_the_ledgers_cost() -> None:
    """A retired beginning does not turn a cost into profit."""
    market = only_market([(300.0, SLUG, SETTLED)])
    assert market.pnl_micros == 9_400_000 - 5_142_000
    assert market.positions_closed == 1


def test_the_ledgers_closing_row_wins() -> None:
    """Where the ledger says the result, it is not added up again."""
    closed = next(body for body in EVERY_BODY if isinstance(body, RoundTrip))
    market = only_market([*bought(), (60.0, SLUG, closed)])
    assert market.entries[0].ended == "sold"
    assert market.pnl_micros == 310_000


def test_a_failed_settlement_never_happened() -> None:
    """A fill that failed leaves no position; one that climbed the ladder counts once."""
    rows = bought()
    climbing = fill(11, status=FillStatus.MINED, trade_id="t", intent_seconds=10.0)
    failed = msgspec.structs.replace(fill(10.0), status=FillStatus.FAILED)
    (entry,) = only_market([*rows, (12.0, SLUG, failed)]).entries
    assert (entry.ended, entry.pnl_micros, entry.fees_micros) == ("not_filled", 0, 0)
    assert entry.order.fills[0].status == "FAILED"
    done = msgspec.structs.replace(climbing, status=FillStatus.CONFIRMED)
    (entry,) = only_market([*rows[:2], (11.0, SLUG, climbing), (12.0, SLUG, done)]).entries
    assert [seen.status for seen in entry.order.fills] == ["CONFIRMED"]
    assert entry.ended == "open"


def test_the_answers_of_the_venue_are_told() -> None:
    """Unknown that was reconciled counts as what it turned out to be; a rejection says why."""
    wish = intent(10.0).intent_id
    unknown = Unknown(intent_id=wish, order_id="o", reason="timeout", at_ns=at(11))
    accepted = Accepted(intent_id=wish, order_id="o", at_ns=at(12))
    update = OrderUpdate(
        intent_id=wish,
        order_id="o",
        market=SLUG,
        state=OrderState.EXPIRED,
        remaining_shares_micros=1,
        at_ns=at(13),
    )
    rows: Rows = [(10.0, SLUG, approved(10.0)), (11.0, SLUG, unknown)]
    market = only_market(rows)
    assert market.entries[0].order.submission_detail == "timeout"
    assert [(count.name, count.count) for count in market.orders] == [("unknown", 1)]
    report = explain(records([*rows, (12.0, SLUG, accepted), (13.0, SLUG, update)]))
    assert [(c.name, c.count) for c in report.markets[0].orders] == [("accepted", 1)]
    assert "sent accepted, order expired" in words(report)
    assert "the decision behind it is not in the journal" in words(report)
    rejected = Rejected(intent_id=wish, order_id="", reason="no\x1b[2J balance", at_ns=at(11))
    text = words(explain(records([*rows[:1], (11.0, SLUG, rejected)])))
    assert "sent rejected: no?[2J balance" in text


def test_refusals_merge_only_while_they_are_the_same() -> None:
    """Another rule, or an approval between, begins a new line."""
    rows: Rows = [
        (1.0, SLUG, refused(1.0)),
        (2.0, SLUG, refused(2.0)),
        (3.0, SLUG, refused(3.0, "book_age", math.inf)),
        (4.0, SLUG, refused(4.0)),
        (5.0, SLUG, approved(5.0)),
        (6.0, SLUG, refused(6.0)),
    ]
    report = explain(records(rows))
    market = report.markets[0]
    assert [(seen.rule, seen.count) for seen in market.refusals] == [
        ("spread_ceiling", 2),
        ("book_age", 1),
        ("spread_ceiling", 1),
        ("spread_ceiling", 1),
    ]
    assert [(c.name, c.count) for c in market.refusals_by_rule] == [
        ("spread_ceiling", 4),
        ("book_age", 1),
    ]
    assert "book_age: limit 0.03, found infinite" in words(report)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_since_leaves_earlier_rows_out_but_tells_what_was_open() -> None:
    """Counts begin at the moment asked for; a position that was open then keeps its entry."""
    rows: Rows = [
        (1.0, SLUG, decision(1.0)),
        (1.0, SLUG, refused(1.0)),
        *bought(10.0),
        (50.0, SLUG, decision(50.0, Action.HOLD)),
        (300.0, SLUG, SETTLED),
    ]
    market = only_market(rows, since_seconds=40.0)
    assert market.decisions == 1
    assert market.refusals == ()
    assert [entry.ended for entry in market.entries] == ["settled_won"]
    assert explain(records(rows), at(301)).markets == ()


def test_lists_are_bounded_and_totals_are_not() -> None:
    """However long the journal, only the last entries are kept, and the sums stay right."""
    rows: Rows = []
    for step in range(100):
        rows += bought(step)
        rows.append((step + 0.5, SLUG, approved(step + 0.5, Side.SELL, IntentReason.EXIT_SIGNAL)))
        rows.append((step + 0.5, SLUG, fill(step + 0.5, Side.SELL, 530_000)))
        rows.append((step + 0.6, SLUG, refused(step + 0.6)))
        rows.append((step + 0.7, SLUG, refused(step + 0.7, f"rule_{step}")))
    market = only_market(rows, last=3)
    assert len(market.entries) == len(market.refusals) == 3
    assert (market.entries_total, market.positions_closed) == (100, 100)
    assert market.pnl_micros == -320_000 * 100
    assert market.fees_micros == 320_000 * 100
    assert len(market.refusals_by_rule) <= 65
    assert sum(count.count for count in market.refusals_by_rule) == 200


def test_an_addition_to_a_position_shares_its_end() -> None:
    """Two entries without an exit between are one position with one result."""
    rows: Rows = [*bought(10.0), *bought(20.0), (300.0, SLUG, SETTLED)]
    market = only_market(rows)
    assert len(market.entries) == 2
    assert market.positions_closed == 1


def test_a_fill_without_its_order_is_said() -> None:
    """A journal whose beginning was retired does not pretend to know."""
    report = explain(records([(10.0, SLUG, fill(10.0))], first_seq=500))
    assert report.markets[0].fills_without_order == 1
    text = words(report, one_market=True)
    assert "1 fills whose order is not in the journal" in text
    assert "its beginning is not in the journal any more" in text


def test_runs_that_follow_each_other_are_told_apart() -> None:
    """A position opened by one run and paid out in the next is one story."""
    explainer = Explainer()
    for record in records([(0.0, "", RUN_STARTED), *bought()]):
        explainer.add(record)
    for record in records([(200.0, "", RUN_STARTED), (300.0, SLUG, SETTLED)]):
        explainer.add(record)
    report = explainer.report()
    assert [run.stopped for run in report.runs] == [None, None]
    assert report.markets[0].entries[0].ended == "settled_won"
    assert "no stop recorded: still running, or killed" in words(report)


def test_one_market_can_be_asked_for() -> None:
    """Others are named, not told."""
    rows: Rows = [(1.0, "eth-x", decision(1.0)), (1.0, SLUG, decision(1.0))]
    report = explain(records(rows), market=SLUG)
    assert [market.slug for market in report.markets] == [SLUG]
    assert report.markets_left_out == ("eth-x",)


def test_the_bound_on_lists_is_checked() -> None:
    """A bound of nothing is a mistake."""
    with pytest.raises(ValueError, match="last was 0"):
        Explainer(last=0)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*EVERY_BODY, *(body for _, _, body in STORY)]), max_size=40))
def test_any_order_of_rows_is_survived_and_fits_the_terminal(bodies: list[Body]) -> None:
    """No sequence of rows, however odd, breaks the answer, its width or its JSON."""
    rows: Rows = [(float(n), SLUG if n % 3 else "", body) for n, body in enumerate(bodies)]
    report = explain(records(rows))
    for one_market in (False, True):
        for line in report_lines(report, 10, one_market=one_market):
            assert len(line) <= WIDTH
            assert line.isprintable()
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


@pytest.mark.parametrize(
    ("reason", "counted"),
    [
        ("fair Up 0.539: no outcome is cheap by 0.020", "fair Up #: no outcome is cheap by #"),
        ("returns_1m is -0.5, 15 s late", "returns_1m is #, # s late"),
        ("5m market, moved +1.2 bp.", "5m market, moved # bp."),
        ("", ""),
    ],
)
def test_reasons_are_counted_without_their_numbers(reason: str, counted: str) -> None:
    """Two reasons that differ by a measurement are one; a digit in a name stays."""
    assert without_numbers(reason) == counted


def test_money_prices_shares_and_times_read_as_people_write_them() -> None:
    """Dollars have cents, prices two decimals or the grid's, times are UTC."""
    assert [dollars(micros) for micros in (1_230_000, -1_235_000, -4_000, 0)] == [
        "$1.23",
        "-$1.24",
        "$0.00",
        "$0.00",
    ]
    assert dollars(1_234_567_890_000, signed=True) == "+$1,234,567.89"
    assert [price(micros) for micros in (530_000, 500_000, 535_000, 999_900)] == [
        "0.53",
        "0.50",
        "0.535",
        "0.9999",
    ]
    assert shares(9_400_000) == "9.40"
    assert moment(at(1.5)) == "2026-03-28 00:00:01.500"


def test_what_bars_a_market_and_what_stopped_entries_is_said() -> None:
    """Problems, halts, gaps, unknown kinds and damage all have their line."""
    barred = msgspec.structs.replace(MARKET_SEEN, problems=("fee exponent was 2",))
    rows: Rows = [
        (1.0, SLUG, barred),
        (2.0, SLUG, decision(2.0, Action.HOLD, "quiet")),
        (3.0, "", HaltChanged(state="halted", cause="daily_loss", detail="lost $100.00")),
        (4.0, "", FeedGap(source=Source.BINANCE_PUBLIC, reason="silent")),
        (4.5, "", OperatorAnswered("halt-1", OperatorVerb.HALT, TradingState.HALTED, "lunch")),
        *bought(5.0),
        (6.0, SLUG, EVERY_BODY[3]),
        (6.0, SLUG, EVERY_BODY[7]),
        (7.0, SLUG, msgspec.structs.replace(refused(7.0), failures=TWO_FAILURES)),
    ]
    explainer = Explainer()
    for record in records(rows):
        explainer.add(record)
    text = words(explainer.report([("telepathy", 3)], ["line 9 is torn"]), one_market=True)
    for phrase in (
        "barred fee exponent was 2",
        "resolved UP at 66,200.25, told by gamma",
        "because 1 x quiet",
        "2026-03-28 00:00:03.000 halted: daily_loss, lost $100.00",
        "2026-03-28 00:00:04.000 feed binance.public: silent",
        "2026-03-28 00:00:04.500 answered halt-1: halted, lunch",
        "WARNING: rows of kinds this version does not know: telepathy 3",
        "WARNING: line 9 is torn",
        "still open, fees so far $0.16",
        "entry BUY DOWN by sizing rule minimum_shares: limit 5, found 4.2",
        "also book_age",
    ):
        assert phrase in text


def test_many_markets_and_many_reasons_stay_readable() -> None:
    """The table ends at a screen, and so do the reasons; both say what they leave out."""
    rows: Rows = [(float(n), f"market-{n}", decision(float(n))) for n in range(40)]
    assert "(10 earlier markets are not shown: use --market SLUG)" in words(explain(records(rows)))
    rows = [(float(n), SLUG, decision(float(n), reason="why" + "!" * n)) for n in range(100)]
    report = explain(records(rows))
    assert len(report.markets[0].reasons) == 65
    assert "and 53 more reasons: use --json" in words(report, one_market=True)


def test_no_rows_is_an_answer() -> None:
    """An empty run is told as one."""
    assert "No market appears in these rows." in words(explain(records([(0.0, "", RUN_STARTED)])))


def test_markets_and_orders_kept_are_bounded() -> None:
    """Weeks of markets do not fill the memory (I34)."""
    rows: Rows = [(float(n), f"market-{n}", approved(float(n))) for n in range(5000)]
    report = explain(records(rows))
    assert len(report.markets) == 1000
    assert report.markets_dropped == 4000
