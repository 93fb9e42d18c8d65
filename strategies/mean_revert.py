"""Fades the Up mid against its own last 15 s where the fast market gave no reason for the move.

Must not: remember more than 30 mids a market, or trade a move that the fast
market explains.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from helpers.domain import GRID_NS, MarketState, Outcome, Snapshot
from strategies.baseline import Baseline, Judgement, basis_points, close, enter, held_outcome, hold
from strategies.per_market import PerMarket

WINDOW_STEPS: Final = 30
"""15 s of the 0.5 s grid, as the feature ``vol_5m`` uses."""
SD_FLOOR: Final = 0.005
"""Half a usual tick, in dollars: a mid that stood still has no meaningful standard deviation."""
DEFAULT_ENTRY_Z: Final = 2.0
DEFAULT_QUIET_BPS: Final = 0.3
"""Moves of the fast market below 0.3 bp are the smallest that quotes follow (recordings)."""


class _Mids:
    """The last 30 Up mids of one market, one per grid step."""

    __slots__ = ("last_step", "values")

    def __init__(self) -> None:
        self.values: deque[float] = deque(maxlen=WINDOW_STEPS)
        self.last_step = -1


class MeanRevert(Baseline):
    """Sells what has risen and buys what has fallen by 2 standard deviations for no reason.

    Only 29 % of quote moves of 1 c have a fast-market move before them (recordings); the rest is
    taken for noise that comes back to its 15 s mean. The way back must exceed spread and both fees.
    """

    name = "mean_revert"

    def __init__(
        self, entry_z: float = DEFAULT_ENTRY_Z, quiet_bps: float = DEFAULT_QUIET_BPS
    ) -> None:
        if entry_z <= 0 or quiet_bps <= 0:
            raise ValueError(f"thresholds were {entry_z} and {quiet_bps} bp, expected above 0")
        self._entry_z = entry_z
        self._quiet_bps = quiet_bps
        self._markets = PerMarket[_Mids]()

    def judge(self, state: MarketState) -> Judgement:
        """Return the fade of a mid far from its mean, the close of a position back at it."""
        snapshot = state.snapshot
        mids = self._remembered(snapshot)
        if len(mids.values) < WINDOW_STEPS:
            return hold(f"{len(mids.values)} of {WINDOW_STEPS} mids are known")
        mean = math.fsum(mids.values) / WINDOW_STEPS
        variance = math.fsum((value - mean) ** 2 for value in mids.values) / WINDOW_STEPS
        away = snapshot.up.mid - mean
        z = away / max(SD_FLOOR, math.sqrt(variance))
        why = f"Up mid {away:+.3f} from its 15 s mean, {z:+.1f} sd"
        held = held_outcome(state)
        if held is not None:
            back = away >= 0 if held is Outcome.UP else away <= 0
            return close(held, f"{why}: back") if back else hold(f"{why}, holding {held}")
        if abs(z) < self._entry_z:
            return hold(f"{why}, under {self._entry_z:.1f}")
        explained = self._explanation(snapshot)
        if explained:
            return hold(f"{why}, but {explained}")
        return enter(snapshot, Outcome.DOWN if away > 0 else Outcome.UP, abs(away), why)

    def _explanation(self, snapshot: Snapshot) -> str:
        before = snapshot.fast.mid_5s_ago
        if before is None or before <= 0 or snapshot.fast.mid <= 0:
            return "the fast mid of 5 s ago is not known yet"
        move = basis_points(snapshot.fast.mid, before)
        if abs(move) < self._quiet_bps:
            return ""
        return f"the fast market moved {move:+.2f} bp in 5 s"

    def _remembered(self, snapshot: Snapshot) -> _Mids:
        slug = snapshot.market.slug
        mids = self._markets.find(slug)
        if mids is None:
            mids = self._markets.keep(slug, _Mids())
        step = snapshot.now_ns // GRID_NS
        if snapshot.on_grid and step > mids.last_step:
            mids.values.append(snapshot.up.mid)
            mids.last_step = step
        return mids

    def forget(self, market: str) -> None:
        """Drop the mids of a market that has rolled."""
        self._markets.forget(market)
