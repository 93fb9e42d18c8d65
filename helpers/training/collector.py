"""Gathers what one flow's learned policy chose and what became of it.

It is told every choice by the policy and hears every row of the flow; what a choice was worth is
the change of its market's equity in that flow's ledger, nothing else. Must not: value anything
itself, or keep a choice whose outcome will not be known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from helpers.domain import (
    NS_PER_SECOND,
    Body,
    MarketState,
    ResolutionSeen,
    RoundTrip,
    Snapshot,
)
from helpers.training.terms import Terms
from strategies.per_market import PerMarket
from strategies.rollout import Choice, Rollouts, Trajectory, market_equity


class Books(Protocol):
    """What is asked of the ledger."""

    def market_realised_micros(self, slug: str) -> int:
        """Return what was realised in one market so far, after fees."""
        ...


class Experience(NamedTuple):
    """What was gathered since it was last taken."""

    trajectories: Sequence[Trajectory] = ()
    trips: int = 0
    """Positions closed, by a sale or a settlement."""
    wins: int = 0
    """Those that made money after fees."""

    def __add__(self, other: object) -> Experience:
        """Return both, one after the other; they are not of one market."""
        if not isinstance(other, Experience):
            return NotImplemented
        return Experience(
            (*self.trajectories, *other.trajectories),
            self.trips + other.trips,
            self.wins + other.wins,
        )


class Collector:
    """Owner of one flow's rollouts; an outlet of its rows and the recorder of its policy."""

    def __init__(self, terms: Terms) -> None:
        """Take what the flow trades by; ``attach`` comes next.

        Raises ``ValueError`` for a capital that is not above 0.
        """
        if terms.capital_micros <= 0:
            raise ValueError(f"capital was {terms.capital_micros} micro-dollars, expected above 0")
        self._terms = terms
        self._closed_ns = PerMarket[int]()
        self._books: Books | None = None
        self._entries_held: Callable[[], str] = str
        self._rollouts = Rollouts()
        self._resolved: dict[str, int] = {}
        self._trips = self._wins = 0

    def attach(self, books: Books, entries_held: Callable[[], str] = str) -> None:
        """Take the flow's ledger, which is built with the flow and after its outlets.

        ``entries_held`` says why nothing may be entered, empty while everything may.
        """
        self._books = books
        self._entries_held = entries_held

    def __len__(self) -> int:
        """Return the number of choices whose outcome is known and not taken yet."""
        return len(self._rollouts)

    def record(self, state: MarketState, choice: Choice) -> None:
        """Note a choice: with it the market's last one has its outcome.

        Where there is no position and none may be opened nothing is chosen, and such a step would
        teach that actions are worth nothing. The choice before it goes on until the next that is
        one, or until the market is settled.
        """
        if state.position.outcome is None and self._bars_entries(state.snapshot):
            return
        realised, capital = self._realised_micros(choice.market), self._terms.capital_micros
        equity = market_equity(realised, state.snapshot, state.position, capital)
        self._rollouts.record(choice, equity)

    def _bars_entries(self, snapshot: Snapshot) -> bool:
        terms = self._terms
        if snapshot.seconds_to_close <= terms.entry_stop_seconds or self._entries_held():
            return True
        closed_ns = self._closed_ns.find(snapshot.market.slug)
        cooldown_ns = terms.cooldown_seconds * NS_PER_SECOND
        return closed_ns is not None and snapshot.now_ns - closed_ns < cooldown_ns

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Hear one row; a resolution ends its market's trajectory."""
        if isinstance(body, ResolutionSeen):
            # The pay-out is booked right after this row: its market is settled when next asked.
            self._resolved[market] = at_ns
        elif isinstance(body, RoundTrip):
            self._closed_ns.keep(market, at_ns)
            self._trips += 1
            self._wins += body.pnl_micros > 0

    def commit(self) -> None:
        """Keep nothing: what was not learned from is lost with the process, and no harm done."""

    def take(self) -> Experience:
        """Return everything whose outcome is known, settled markets included, and forget it."""
        for market, at_ns in self._resolved.items():
            realised = self._realised_micros(market)
            self._rollouts.settle(market, at_ns, realised / self._terms.capital_micros)
            self._closed_ns.forget(market)
        self._resolved.clear()
        taken = Experience(self._rollouts.take(), self._trips, self._wins)
        self._trips = self._wins = 0
        return taken

    def _realised_micros(self, market: str) -> int:
        assert self._books is not None, "attach comes before the first choice"
        return self._books.market_realised_micros(market)
