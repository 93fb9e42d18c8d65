"""What was chosen and what came of it: one trajectory per market (L3, L4).

A choice is recorded with what the acting forward saw and said (L2). It becomes a transition when
the market's next choice, or its settlement, tells what it was worth: the change of the market's
equity since. Rewards so telescope to the realised net profit, and nothing is ever added.

Must not: know prices, run a network, or hold more than it is allowed to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from helpers.domain import NS_PER_SECOND, Message, Position, Snapshot, exit_value_micros
from strategies.networks import FloatArray
from strategies.per_market import MAXIMUM_MARKETS

MAXIMUM_TRANSITIONS: Final = 16_384
"""Kept at most, 64 default batches or some 8 MB; more means that nobody learns from them."""


class Choice(Message, frozen=True):
    """One action, and everything of the forward that chose it."""

    market: str
    """Slug."""
    at_ns: int
    window: FloatArray
    """(90,), a copy: the state is its last 18."""
    action: int
    log_probability: float
    value: float


class Transition(NamedTuple):
    """A choice and what came of it until the next."""

    choice: Choice
    reward: float
    """Change of the market's equity, as a fraction of the capital."""
    seconds: float
    """From this choice to the next one or the end; not negative."""


class Trajectory(NamedTuple):
    """Consecutive transitions of one market, oldest first."""

    market: str
    transitions: Sequence[Transition]
    terminal: bool
    """Whether the market was settled after the last one."""
    bootstrap: float
    """Value of what follows the last transition: 0 when terminal, else the critic's (L5)."""


class _Open:
    """A market that goes on: its transitions, and the choice whose outcome is not known yet."""

    __slots__ = ("equity", "pending", "transitions")

    def __init__(self, pending: Choice, equity: float) -> None:
        self.pending = pending
        self.equity = equity
        self.transitions: list[Transition] = []

    def close(self, at_ns: int, equity: float) -> None:
        """Make the pending choice a transition that ends at this moment and equity."""
        seconds = max(0, at_ns - self.pending.at_ns) / NS_PER_SECOND
        self.transitions.append(Transition(self.pending, equity - self.equity, seconds))


class Rollouts:
    """Owner of the trajectories that an update will learn from."""

    def __init__(
        self, maximum: int = MAXIMUM_TRANSITIONS, maximum_markets: int = MAXIMUM_MARKETS
    ) -> None:
        self._maximum = maximum
        self._maximum_markets = maximum_markets
        self._open: dict[str, _Open] = {}
        self._done: list[Trajectory] = []
        self._count = 0
        self.dropped = 0
        """Choices not recorded because nobody took what was there."""

    def __len__(self) -> int:
        """Return the number of complete transitions."""
        return self._count

    def record(self, choice: Choice, equity: float) -> None:
        """Note a choice made when the market's equity was this fraction of the capital."""
        market = choice.market
        found = self._open.get(market)
        if found is not None:
            self._close(found, choice.at_ns, equity)
            found.pending, found.equity = choice, equity
        if self._count >= self._maximum:
            self.dropped += 1
            self.cut(market)
            return
        if found is None:
            if len(self._open) >= self._maximum_markets:
                self.cut(next(iter(self._open)))
            self._open[market] = _Open(choice, equity)

    def settle(self, market: str, at_ns: int, equity: float) -> None:
        """End a market for good: its last choice is worth what the settlement made of it."""
        found = self._open.get(market)
        if found is not None:
            self._close(found, at_ns, equity)
            self._finish(market, found, terminal=True)

    def cut(self, market: str) -> None:
        """End a trajectory whose outcome will not be known (a gap, a stop): it is bootstrapped.

        The pending choice has no outcome and is left out; its value stands for what follows.
        """
        found = self._open.get(market)
        if found is not None:
            self._finish(market, found, terminal=False)

    def take(self) -> Sequence[Trajectory]:
        """Return all complete transitions and forget them; open markets go on.

        An open market is cut before its pending choice, which begins the market's next trajectory.
        """
        taken = self._done
        for market, found in self._open.items():
            if found.transitions:
                taken.append(_cut_off(market, found))
                found.transitions = []
        self._done, self._count = [], 0
        return taken

    def _close(self, found: _Open, at_ns: int, equity: float) -> None:
        found.close(at_ns, equity)
        self._count += 1

    def _finish(self, market: str, found: _Open, *, terminal: bool) -> None:
        if found.transitions:
            ended = _cut_off(market, found)
            self._done.append(ended._replace(terminal=True, bootstrap=0.0) if terminal else ended)
        self._open.pop(market, None)


def _cut_off(market: str, found: _Open) -> Trajectory:
    return Trajectory(market, tuple(found.transitions), False, found.pending.value)


def market_equity(
    realised_micros: int, snapshot: Snapshot, position: Position, capital_micros: int
) -> float:
    """Return a market's equity as a fraction of the capital, at executable prices net of fees.

    ``realised_micros`` is the market's realised profit after fees; the open position counts at what
    its shares would bring now, walking the bids, less what they cost (I26). Raises ``ValueError``
    for a capital that is not above 0.
    """
    if capital_micros <= 0:
        raise ValueError(f"capital was {capital_micros} micro-dollars, expected above 0")
    unrealised_micros = exit_value_micros(snapshot, position) - position.cost_micros
    return (realised_micros + unrealised_micros) / capital_micros
