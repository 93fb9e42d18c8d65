"""Acts out the faults that no transport can: books, settlements, ticks, restarts, outages.

Whoever drives the world calls ``advance`` with it. Must not: touch a customer's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol
from zlib import crc32

from helpers.domain import NS_PER_SECOND
from simulator.exchange import Exchange
from simulator.exchange_messages import FAILING_LADDER
from simulator.faults import Fault, FaultKind, FaultSchedule
from simulator.market_state import FINE_TICK_MICROS
from simulator.matching import RestingOrder

KEPT_OF_A_THIN_BOOK: Final = 5
"""One order in so many stays."""


class Outage(Protocol):
    """What stands before a server and can cut it off (``fault_proxy``)."""

    def cut(self) -> None:
        """Cut every connection, and every new one until ``restore``."""
        ...

    def restore(self) -> None:
        """Let connections through again."""
        ...


class WorldFaults:
    """Begins, keeps up and ends the world's faults of one schedule."""

    def __init__(
        self,
        schedule: FaultSchedule,
        exchange: Exchange,
        outages: Mapping[str, Outage] | None = None,
    ) -> None:
        self._schedule = schedule
        self._exchange = exchange
        self._outages = dict(outages or {})
        self._running: dict[int, Fault] = {}

    def advance(self, now_ns: int) -> None:
        """Bring the world to what the schedule says now; raise ``KeyError`` for an unknown outage.

        Call it with every step of the world: makers come back, and their new orders go as well.
        """
        active = dict(self._schedule.active_world())
        for index, fault in tuple(self._running.items()):
            if index not in active:
                del self._running[index]
                self._end(fault, now_ns)
        for index, fault in active.items():
            if index not in self._running:
                self._running[index] = fault
                self._schedule.counts[fault.kind] += 1
                self._begin(fault, now_ns)
            self._keep_up(fault, now_ns)

    def _begin(self, fault: Fault, now_ns: int) -> None:
        if fault.kind is FaultKind.FAILED_SETTLEMENT:
            self._exchange.script_settlements(*(FAILING_LADDER,) * max(1, fault.times))
        elif fault.kind is FaultKind.RESTART:
            self._exchange.restart(now_ns, round(fault.for_seconds * NS_PER_SECOND))
        elif fault.kind is FaultKind.OUTAGE:
            self._outages[fault.where].cut()

    def _keep_up(self, fault: Fault, now_ns: int) -> None:
        if fault.kind is FaultKind.TICK_SIZE:
            # Again and again, because markets are listed meanwhile.
            self._exchange.force_tick(FINE_TICK_MICROS, now_ns)
        elif fault.kind in (FaultKind.THIN_BOOK, FaultKind.ONE_SIDED_BOOK):
            self._withdraw(fault.kind, now_ns)

    def _end(self, fault: Fault, now_ns: int) -> None:
        others = self._running.values()
        if fault.kind is FaultKind.TICK_SIZE:
            if not any(other.kind is FaultKind.TICK_SIZE for other in others):
                self._exchange.force_tick(0, now_ns)
        elif fault.kind is FaultKind.OUTAGE and not any(
            other.kind is FaultKind.OUTAGE and other.where == fault.where for other in others
        ):
            self._outages[fault.where].restore()

    def _withdraw(self, kind: FaultKind, now_ns: int) -> None:
        for market in self._exchange.markets():
            if market.resolved:
                continue
            condition_id = market.listing.condition_id
            for order in self._exchange.house_orders(condition_id):
                if _goes(kind, order):
                    self._exchange.cancel_house(condition_id, order.order_id, now_ns)


def _goes(kind: FaultKind, order: RestingOrder) -> bool:
    if kind is FaultKind.ONE_SIDED_BOOK:  # Up has no asks, Down no bids.
        return not order.is_bid
    # By the id, so that the same orders stay at every step.
    return crc32(order.order_id.encode()) % KEPT_OF_A_THIN_BOOK != 0
