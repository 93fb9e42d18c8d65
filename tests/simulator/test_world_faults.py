"""The world's faults reach books, settlements, ticks and servers, and end when their span does."""

from __future__ import annotations

import pytest

from helpers.domain import NS_PER_SECOND, FillStatus, Outcome, Side
from simulator.exchange import Exchange
from simulator.exchange_messages import OrderAccepted, Phase, TickSizeChanged, TradeChanged
from simulator.faults import Fault, FaultKind, FaultSchedule
from simulator.matching import TimeInForce
from simulator.world_faults import KEPT_OF_A_THIN_BOOK, WorldFaults
from tests.simulator.venue import CONDITION, T0, order, venue


class Proxy:
    """Writes down what happens to a server."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def cut(self) -> None:
        self.said.append("cut")

    def restore(self) -> None:
        self.said.append("restore")


class Run:
    """A venue, a schedule, and time in seconds."""

    def __init__(self, *faults: Fault) -> None:
        self.seconds = 0.0
        self.exchange: Exchange = venue()
        self.proxy = Proxy()
        self.schedule = FaultSchedule(faults, 1, T0, self.now_ns)
        self.faults = WorldFaults(self.schedule, self.exchange, {"postgres": self.proxy})

    def now_ns(self) -> int:
        return T0 + round(self.seconds * NS_PER_SECOND)

    def at(self, seconds: float) -> None:
        self.seconds = seconds
        self.exchange.advance(self.now_ns())
        self.faults.advance(self.now_ns())

    def quote(self, levels: int) -> None:
        for level in range(levels):
            for side, price in ((Side.BUY, 0.49), (Side.SELL, 0.51)):
                step = -0.01 * level if side is Side.BUY else 0.01 * level
                placed = order("house", Outcome.UP, side, round(price + step, 2), 100)
                assert isinstance(self.exchange.place(placed, self.now_ns()), OrderAccepted)

    def levels(self, side: Side) -> int:
        return len(self.exchange.market(CONDITION).book.levels(Outcome.UP, side))


def test_a_one_sided_book_stays_so_for_its_span_and_spares_customers() -> None:
    """Makers who come back lose their asks again; a customer's order stays."""
    run = Run(Fault(FaultKind.ONE_SIDED_BOOK, "*", 1, 5))
    run.quote(3)
    run.exchange.place(order("ann", Outcome.DOWN, Side.BUY, 0.40, 10), run.now_ns())
    run.at(0.5)
    assert (run.levels(Side.BUY), run.levels(Side.SELL)) == (3, 4)
    for seconds in (1, 2):
        run.at(seconds)
        assert (run.levels(Side.BUY), run.levels(Side.SELL)) == (3, 1)
        run.quote(3)
    run.at(6)
    assert run.levels(Side.SELL) == 4
    assert run.schedule.counts[FaultKind.ONE_SIDED_BOOK] == 1


def test_a_thin_book_keeps_the_same_few_orders() -> None:
    """About one order in five stays, and a large order is filled in part."""
    run = Run(Fault(FaultKind.THIN_BOOK))
    run.quote(20)
    run.at(0)
    left = {order.order_id for order in run.exchange.house_orders(CONDITION)}
    assert 0 < len(left) < 40 * 2 // KEPT_OF_A_THIN_BOOK
    run.at(1)
    assert {order.order_id for order in run.exchange.house_orders(CONDITION)} == left
    large = order("ann", Outcome.UP, Side.BUY, 0.99, 1_000, TimeInForce.FAK)
    run.exchange.place(large, run.now_ns())
    filled = [e for e in run.exchange.drain() if isinstance(e, TradeChanged)]
    assert all(trade.facts.shares_micros < large.shares_micros for trade in filled)


def test_settlements_fail_as_often_as_it_says() -> None:
    """MATCHED then FAILED once; the next trade confirms."""
    run = Run(Fault(FaultKind.FAILED_SETTLEMENT, times=1))
    run.quote(1)
    run.at(0)
    run.at(1)
    for _ in range(2):
        taken = order("ann", Outcome.UP, Side.BUY, 0.51, 10, TimeInForce.FAK)
        run.exchange.place(taken, run.now_ns())
    run.at(20)
    statuses = [trade.status for trade in run.exchange.trades("ann")]
    assert statuses == [FillStatus.FAILED, FillStatus.CONFIRMED]


def test_the_tick_changes_and_comes_back() -> None:
    """A fine tick is told whatever the price, and orders on it are taken."""
    run = Run(Fault(FaultKind.TICK_SIZE, "*", 1, 5))
    run.quote(1)
    run.exchange.drain()
    run.at(1)
    run.at(2)
    fine = order("ann", Outcome.UP, Side.BUY, 0.485, 10)
    assert isinstance(run.exchange.place(fine, run.now_ns()), OrderAccepted)
    run.at(7)
    changes = [e for e in run.exchange.drain() if isinstance(e, TickSizeChanged)]
    assert [(e.old_micros, e.new_micros) for e in changes] == [(10_000, 1_000), (1_000, 10_000)]


def test_a_restart_refuses_for_its_span() -> None:
    """425 meanwhile, then post-only."""
    run = Run(Fault(FaultKind.RESTART, "*", 1, 5))
    run.at(1)
    assert run.exchange.phase is Phase.RESTARTING
    run.at(6.5)
    assert run.exchange.phase is Phase.POST_ONLY


def test_an_outage_cuts_and_restores_its_server() -> None:
    """Overlapping outages end with the last; a server nobody knows is an error."""
    run = Run(Fault(FaultKind.OUTAGE, "postgres", 1, 5), Fault(FaultKind.OUTAGE, "postgres", 3, 5))
    for seconds in (0, 1, 2, 4, 7):
        run.at(seconds)
    assert run.proxy.said == ["cut", "cut"]
    run.at(9)
    assert run.proxy.said == ["cut", "cut", "restore"]
    with pytest.raises(KeyError, match="mars"):
        Run(Fault(FaultKind.OUTAGE, "mars")).at(0)
