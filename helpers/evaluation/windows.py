"""What one strategy earned in each window, gathered from the rows its own flow writes.

Must not: value anything itself. A window's profit is the sum of its closed positions, as the ledger
booked them: fills at executable prices, fees paid, what was left settled at 0 or 1. Nothing is
ever marked at a mid.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Asset,
    Body,
    Decision,
    MarketSeen,
    Message,
    Outcome,
    ResolutionSeen,
    RoundTrip,
    keep_latest,
)

LATE_SECONDS: Final = 60.0
"""A window whose first decision comes later than this after its opening was not seen whole."""
WINDOWS_MAXIMUM: Final = 100_000
"""Windows kept of one run, the latest: four markets of quarter hours for most of a year."""


class WindowResult(Message, frozen=True):
    """One strategy in one window, from its opening to its resolution."""

    contender: str
    run: str
    """The tape, or the simulated seed."""
    market: str
    asset: Asset
    opens_ns: int
    closes_ns: int
    pnl_micros: int
    """After fees."""
    fees_micros: int
    cost_micros: int
    """Dollars put in, fees included."""
    trips: int
    """Closed positions."""
    wins: int
    up_won: bool

    @property
    def window(self) -> tuple[str, str]:
        """Return what is the same for every strategy that saw this window."""
        return self.run, self.market

    @property
    def cluster(self) -> tuple[str, int]:
        """Return what windows share that ran at the same time: they are not independent."""
        return self.run, self.opens_ns

    @property
    def dollars(self) -> float:
        """Return the profit after fees in dollars."""
        return self.pnl_micros / MICROS


class Gathered(Message, frozen=True):
    """The windows of one run, and how many there were that do not count."""

    results: tuple[WindowResult, ...]
    late: int
    """Resolved, but not seen from their opening."""
    unresolved: int
    """Decided in, but not resolved within the run: what is open in them is worth nobody knows."""


class _Window:
    __slots__ = ("cost", "decided_ns", "fees", "pnl", "seen", "trips", "winner", "wins")

    def __init__(self, seen: MarketSeen) -> None:
        self.seen = seen
        self.decided_ns = 0
        self.winner: Outcome | None = None
        self.pnl = self.fees = self.cost = self.trips = self.wins = 0

    @property
    def late(self) -> bool:
        """Return whether it was not seen from its opening."""
        return self.decided_ns > self.seen.opens_ns + LATE_SECONDS * NS_PER_SECOND


class WindowGatherer:
    """An outlet that adds up positions by window; of too many the oldest are forgotten."""

    def __init__(self, contender: str, run: str, maximum: int = WINDOWS_MAXIMUM) -> None:
        self._contender = contender
        self._run = run
        self._maximum = maximum
        self._windows: dict[str, _Window] = {}
        self._resolved: list[str] = []

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Add one row."""
        if isinstance(body, MarketSeen):
            known = self._windows.get(market)
            if known is None:
                keep_latest(self._windows, market, _Window(body), self._maximum)
            else:
                known.seen = body
            return
        window = self._windows.get(market)
        if window is None:
            return
        if isinstance(body, Decision):
            window.decided_ns = window.decided_ns or at_ns
        elif isinstance(body, RoundTrip):
            window.pnl += body.pnl_micros
            window.fees += body.fees_micros
            window.cost += body.cost_micros
            window.trips += 1
            window.wins += body.pnl_micros > 0
        elif isinstance(body, ResolutionSeen):
            window.winner = body.outcome
            self._resolved.append(market)

    def commit(self) -> None:
        """Keep nothing: there is nothing to lose."""

    def take_resolved(self) -> tuple[WindowResult, ...]:
        """Return the whole windows that were resolved since the last call.

        To be called when the event that resolved them is done with: what was held is paid then.
        """
        taken, self._resolved = self._resolved, []
        found = ((slug, self._windows.get(slug)) for slug in taken)
        return tuple(
            self._result(slug, window, window.winner)
            for slug, window in found
            if window is not None
            and window.winner is not None
            and window.decided_ns
            and not window.late
        )

    def gathered(self, *, late_too: bool = False) -> Gathered:
        """Return the windows that were decided in and resolved, by their opening.

        Without ``late_too`` those that were not seen from their opening are left out.
        """
        late = unresolved = 0
        results: list[WindowResult] = []
        for slug, window in self._windows.items():
            if not window.decided_ns:
                continue
            if window.winner is None:
                unresolved += 1
            elif window.late:
                late += 1
                if late_too:
                    results.append(self._result(slug, window, window.winner))
            else:
                results.append(self._result(slug, window, window.winner))
        results.sort(key=lambda result: (result.opens_ns, result.market))
        return Gathered(tuple(results), late, unresolved)

    def _result(self, slug: str, window: _Window, winner: Outcome) -> WindowResult:
        seen = window.seen
        return WindowResult(
            contender=self._contender,
            run=self._run,
            market=slug,
            asset=seen.asset,
            opens_ns=seen.opens_ns,
            closes_ns=seen.closes_ns,
            pnl_micros=window.pnl,
            fees_micros=window.fees,
            cost_micros=window.cost,
            trips=window.trips,
            wins=window.wins,
            up_won=winner is Outcome.UP,
        )
