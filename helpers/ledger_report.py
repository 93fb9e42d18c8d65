"""Running totals of everything that was realised: bounded history, exact sums that outlive it.

Must not: hold positions or cash; it is told how a leg changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from helpers.domain import NS_PER_SECOND, Asset, Message, Mode, Outcome, RoundTrip
from helpers.ledger_leg import Leg

ROUND_TRIPS_KEPT: Final = 1_000
"""Round trips kept one by one for display and streaks; the totals never forget one."""

DAYS_KEPT: Final = 8
"""UTC days whose realised PnL is kept; the daily limit asks for the current one."""

_NS_PER_DAY: Final = 86_400 * NS_PER_SECOND


class LedgerRow(Message, frozen=True):
    """Closed round trips of one asset and outcome."""

    asset: Asset
    outcome: Outcome
    trades: int
    wins: int
    fees_micros: int
    pnl_micros: int
    """After fees."""


class LedgerReport(Message, frozen=True):
    """What a run came to. ``start + realised + partly_realised == cash + open_cost``, exactly."""

    mode: Mode
    trades: int
    """Closed round trips; the next five are theirs."""
    wins: int
    losses: int
    realised_micros: int
    fees_micros: int
    gross_micros: int
    """Realised before fees."""
    partly_realised_micros: int
    """Of what was sold of positions that are still open."""
    fees_paid_micros: int
    """All fees, those of open positions included."""
    maximum_drawdown_micros: int
    """Largest fall of realised equity from its highest point, as it was known at the time."""
    cash_micros: int
    open_positions: int
    open_cost_micros: int
    rows: tuple[LedgerRow, ...]
    """By asset and outcome, in a fixed order."""


@dataclass(slots=True)
class _RowTotals:
    trades: int = 0
    wins: int = 0
    losses: int = 0
    realised_micros: int = 0
    fees_micros: int = 0

    def count(self, trip: RoundTrip, sign: int) -> None:
        self.trades += sign
        self.wins += sign * (trip.pnl_micros > 0)
        self.losses += sign * (trip.pnl_micros < 0)
        self.realised_micros += sign * trip.pnl_micros
        self.fees_micros += sign * trip.fees_micros


_TripKey = tuple[str, Outcome, int]


class RealisedTotals:
    """Owner of the history of round trips, the days' PnL and the drawdown."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Asset, Outcome], _RowTotals] = {}
        self._history: dict[_TripKey, RoundTrip] = {}
        self._days: dict[int, int] = {}
        self._realised_micros = 0
        self._peak_micros = 0
        self._drawdown_micros = 0
        self._fees_paid_micros = 0

    def replace(
        self, market: str, asset: Asset, old: Leg, new: Leg, at_ns: int
    ) -> tuple[RoundTrip, ...]:
        """Count how a leg changed; return the round trips that are new or revised."""
        self._fees_paid_micros += new.fees_micros - old.fees_micros
        self._realise(new.realised_micros - old.realised_micros, at_ns)
        if old.trips == new.trips:
            return ()
        row = self._rows.setdefault((asset, new.outcome), _RowTotals())
        for trip in old.trips:
            row.count(trip, -1)
        for trip in new.trips:
            row.count(trip, +1)
        return self._remember(market, old.trips, new)

    def rebase(self, realised_micros: int, day: int, today_micros: int) -> None:
        """Make the sums these, with the drawdown counted from here and the trips in their order."""
        trips = sorted(self._history.items(), key=lambda item: item[1].closed_ns)
        self._history = dict(trips)
        self._realised_micros = self._peak_micros = realised_micros
        self._drawdown_micros = 0
        self._days = {day: today_micros}

    def daily_micros(self, now_ns: int) -> int:
        """Return what was realised since UTC midnight."""
        return self._days.get(now_ns // _NS_PER_DAY, 0)

    @property
    def realised_micros(self) -> int:
        """Return all that was realised, of closed and of partly sold positions."""
        return self._realised_micros

    def losing_streak(self, now_ns: int, since_ns: int) -> int:
        """Return how many of the UTC day's latest round trips lost without a break.

        Those that were closed up to ``since_ns`` are passed over.
        """
        streak = 0
        midnight_ns = now_ns - now_ns % _NS_PER_DAY
        for trip in reversed(self._history.values()):
            if trip.closed_ns <= since_ns:
                continue
            if trip.pnl_micros >= 0 or trip.closed_ns < midnight_ns:
                break
            streak += 1
        return streak

    def round_trips(self) -> tuple[RoundTrip, ...]:
        """Return the latest round trips, oldest first."""
        return tuple(self._history.values())

    def report(
        self, mode: Mode, cash_micros: int, open_positions: int, open_cost_micros: int
    ) -> LedgerReport:
        """Return the totals beside what the ledger holds."""
        rows = sorted(self._rows.items())
        realised = sum(row.realised_micros for _, row in rows)
        fees = sum(row.fees_micros for _, row in rows)
        return LedgerReport(
            mode=mode,
            trades=sum(row.trades for _, row in rows),
            wins=sum(row.wins for _, row in rows),
            losses=sum(row.losses for _, row in rows),
            realised_micros=realised,
            fees_micros=fees,
            gross_micros=realised + fees,
            partly_realised_micros=self._realised_micros - realised,
            fees_paid_micros=self._fees_paid_micros,
            maximum_drawdown_micros=self._drawdown_micros,
            cash_micros=cash_micros,
            open_positions=open_positions,
            open_cost_micros=open_cost_micros,
            rows=tuple(
                LedgerRow(asset, outcome, r.trades, r.wins, r.fees_micros, r.realised_micros)
                for (asset, outcome), r in rows
            ),
        )

    def _realise(self, change_micros: int, at_ns: int) -> None:
        if change_micros == 0:
            return
        day = at_ns // _NS_PER_DAY
        self._days[day] = self._days.get(day, 0) + change_micros
        if len(self._days) > DAYS_KEPT:
            del self._days[min(self._days)]
        self._realised_micros += change_micros
        self._peak_micros = max(self._peak_micros, self._realised_micros)
        fallen = self._peak_micros - self._realised_micros
        self._drawdown_micros = max(self._drawdown_micros, fallen)

    def _remember(self, market: str, old: tuple[RoundTrip, ...], leg: Leg) -> tuple[RoundTrip, ...]:
        fresh: list[RoundTrip] = []
        for index, trip in enumerate(leg.trips):
            if index >= len(old) or old[index] != trip:
                key = (market, leg.outcome, index)
                fresh.append(trip)
                # A revised trip keeps its place in the order; one that fell out stays out.
                if index >= len(old) or key in self._history:
                    self._history[key] = trip
        for index in range(len(leg.trips), len(old)):
            self._history.pop((market, leg.outcome, index), None)
        while len(self._history) > ROUND_TRIPS_KEPT:
            del self._history[next(iter(self._history))]
        return tuple(fresh)
