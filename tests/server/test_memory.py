"""What the page remembers: bounded, and in the words it shows."""

from __future__ import annotations

from msgspec.structs import replace

from helpers.domain import (
    Action,
    Equity,
    HaltChanged,
    Outcome,
    Refused,
    RuleFailure,
    RunStarted,
    Settled,
    Side,
    Unsized,
)
from helpers.server.memory import MARKETS_REMEMBERED_MAXIMUM, Memory
from helpers.server.view import EQUITY_POINTS_MAXIMUM, TRADES_SHOWN
from tests.builders import a_market, a_snapshot, a_state
from tests.report_samples import closed
from tests.trading_builders import NOW_NS, approved, decision, intent

STATE = a_state()
SLUG = STATE.snapshot.market.slug
CLOSES_NS = STATE.snapshot.market.closes_ns
FAILURE = RuleFailure("spread", 0.05, 0.0712345678)


def seeing() -> Memory:
    memory = Memory(lambda: 1_000_000)
    memory.see(STATE)
    return memory


def test_a_decision_is_shown_with_what_became_of_it() -> None:
    """Nothing wanted, approved, refused with rule, limit and found, or not sized."""
    memory = seeing()
    assert memory.decision(SLUG) is None
    wanted = decision(Action.BUY, SLUG)
    memory.write(NOW_NS, SLUG, wanted)
    shown = memory.decision(SLUG)
    assert shown is not None
    assert (shown.action, shown.outcome_text) == ("buy", "nothing wanted")
    outcomes = {
        approved(intent()): "approved: BUY up",
        Refused(intent(), (FAILURE,), NOW_NS): "refused: spread (limit 0.05, found 0.0712346)",
        Unsized(SLUG, Outcome.UP, Side.BUY, FAILURE, NOW_NS): (
            "not sized: spread (limit 0.05, found 0.0712346)"
        ),
    }
    for row, text in outcomes.items():
        memory.write(NOW_NS, SLUG, row)
        after = memory.decision(SLUG)
        assert after is not None
        assert after.outcome_text == text
    memory.write(NOW_NS, SLUG, wanted)
    again = memory.decision(SLUG)
    assert again is not None
    assert again.outcome_text == "nothing wanted", "of an earlier decision"


def test_markets_go_when_their_window_is_over_unless_something_is_held() -> None:
    """And there are never more than so many."""
    memory = seeing()
    memory.write(NOW_NS, SLUG, decision(Action.HOLD, SLUG))
    memory.forget_closed(CLOSES_NS - 1, set())
    assert list(memory.states) == [SLUG]
    memory.forget_closed(CLOSES_NS, {SLUG})
    assert list(memory.states) == [SLUG]
    memory.forget_closed(CLOSES_NS, set())
    assert (memory.states, memory.decisions) == ({}, {})
    for number in range(MARKETS_REMEMBERED_MAXIMUM + 5):
        market = a_market(slug=f"market-{number}")
        memory.see(a_state(replace(a_snapshot(), market=market)))
    assert len(memory.states) == MARKETS_REMEMBERED_MAXIMUM


def test_the_equity_curve_is_thinned_and_keeps_its_span() -> None:
    """The latest point always stays; the number of changes tells the page to fetch it anew."""
    equity = [0]
    memory = Memory(lambda: equity[0])
    count = 3 * EQUITY_POINTS_MAXIMUM
    for number in range(count):
        equity[0] = number * 1_000_000
        memory.write(number * 1_000_000, "", Equity(0, 0, 0, 0))
        points = memory.history().equity
        assert len(points) <= EQUITY_POINTS_MAXIMUM
        assert points[-1] == (number, float(number))
    points = memory.history().equity
    assert points[0][0] < 8
    assert [at for at, _ in points] == sorted({at for at, _ in points})
    assert memory.equity_seq == count


def test_trades_say_why_they_were_closed() -> None:
    """The exit's reason, or how the market was resolved; the oldest go first."""
    memory = seeing()
    memory.write(NOW_NS, SLUG, approved(intent(Side.SELL)))
    memory.write(NOW_NS, SLUG, closed(10, 20, 310_000, Outcome.UP))
    memory.write(NOW_NS, "other", closed(10, 20, 310_000, Outcome.UP))
    memory.write(NOW_NS, SLUG, Settled(SLUG, Outcome.UP, False, 1, 0, 1, NOW_NS))
    memory.write(NOW_NS, SLUG, closed(10, 20, -500_000, Outcome.UP))
    trades = memory.history().trades
    assert [trade.reason for trade in trades] == ["exit_signal", "unknown", "resolved: lost"]
    assert [trade.pnl for trade in trades] == [0.31, 0.31, -0.5]
    for _ in range(2 * TRADES_SHOWN):
        memory.write(NOW_NS, SLUG, closed(10, 20, 0, Outcome.UP))
    assert len(memory.history().trades) == TRADES_SHOWN
    assert memory.trades_seq == 3 + 2 * TRADES_SHOWN


def test_it_knows_since_when_entries_are_held() -> None:
    """The first moment counts until it is released."""
    memory = seeing()
    memory.write(5, "", HaltChanged("held", "operator", "me"))
    memory.write(6, "", HaltChanged("held", "operator", "me"))
    assert memory.held_since_ns == {"operator": 5}
    memory.write(7, "", HaltChanged("released", "operator", "me"))
    assert memory.held_since_ns == {}


def test_the_first_row_says_what_runs() -> None:
    """Run, build and feature version come from it."""
    memory = seeing()
    started = RunStarted("run", "rl", "m", "phase5", "s", "b", "")
    memory.write(3, "", started)
    assert (memory.started, memory.started_ns) == (started, 3)
