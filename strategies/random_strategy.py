"""Acts at random: the yardstick that every other policy must beat.

Must not: depend on anything but seed, market and grid step, so that replays agree.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from helpers.domain import GRID_NS, Action, MarketState
from strategies.baseline import Baseline, Judgement

UNIFORM: Final = 1.0 / len(Action)


class RandomStrategy(Baseline):
    """Draws each action with probability 1/3, as an untrained network does.

    Each draw has a generator of its own, seeded with seed, market and grid step: the order in which
    markets are asked, and how often, changes nothing.
    """

    name = "random"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def judge(self, state: MarketState) -> Judgement:
        """Return the draw of this market at this grid step."""
        snapshot = state.snapshot
        step = snapshot.now_ns // GRID_NS
        key = f"{self._seed}:{snapshot.market.slug}:{step}".encode()
        entropy = int.from_bytes(hashlib.blake2b(key, digest_size=16).digest())
        drawn = int(np.random.default_rng(entropy).integers(len(Action)))
        reason = f"draw {drawn} of 0, 1, 2 at grid step {step}"
        return Judgement(Action(drawn), 0.0, 0.0, reason, (UNIFORM, UNIFORM, UNIFORM))
