"""Rewards in units of the discounted return's standard deviation; nothing is ever subtracted.

A reward of zero stays zero and a loss stays a loss: with a running mean subtracted, doing nothing
in a losing time would be rewarded (L6). The scale is that of the discounted sum of rewards up to
each transition, as in Gymnasium's ``NormalizeReward``, here with the discount per time. It moves
between batches, never inside one.

Must not: read rewards from anywhere but finished transitions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from strategies.advantage import Float64Array, discounts
from strategies.models import ModelStatistics
from strategies.per_market import PerMarket
from strategies.ppo_settings import PpoSettings
from strategies.rollout import Trajectory

MINIMUM_SCALE: Final = 1e-5
"""Of the capital: a return that never moves more than a thousandth of a percent is not blown up."""


class RewardScale:
    """The running scale; owner of the returns' statistics."""

    def __init__(self, settings: PpoSettings, statistics: ModelStatistics) -> None:
        """Go on from a model's statistics; a count of 0 begins anew."""
        self._settings = settings
        self._mean = statistics.reward_mean
        self._count = statistics.reward_count
        self._squares = statistics.reward_std**2 * statistics.reward_count
        self._returns = PerMarket[float]()

    @property
    def scale(self) -> float:
        """Return the standard deviation of the discounted return so far, 1 before any."""
        if not self._count:
            return 1.0
        return max(MINIMUM_SCALE, math.sqrt(self._squares / self._count))

    def statistics(self) -> ModelStatistics:
        """Return what a model's file keeps: mean and deviation of the discounted return."""
        return ModelStatistics(
            reward_mean=self._mean, reward_std=self.scale, reward_count=self._count
        )

    def observe(self, trajectories: Sequence[Trajectory]) -> None:
        """Take finished transitions into account, in the order of each market's."""
        found: list[float] = []
        for trajectory in trajectories:
            discounted = self._returns.find(trajectory.market) or 0.0
            seconds = np.array([step.seconds for step in trajectory.transitions])
            for step, discount in zip(trajectory.transitions, self._discounts(seconds)):  # noqa: B905
                discounted = discounted * discount + step.reward
                found.append(discounted)
            if trajectory.terminal:
                self._returns.forget(trajectory.market)
            else:
                self._returns.keep(trajectory.market, discounted)
        if found:
            self._merge(np.array(found))

    def scaled(self, rewards: Float64Array) -> Float64Array:
        """Return rewards over the scale, clipped."""
        limit = self._settings.reward_clip
        return np.clip(rewards / self.scale, -limit, limit)

    def _discounts(self, seconds: Float64Array) -> Float64Array:
        return discounts(self._settings.gamma, seconds, self._settings.learn_step_seconds)

    def _merge(self, found: Float64Array) -> None:
        # Chan, Golub and LeVeque 1979: exact for any split, and stable.
        count = self._count + len(found)
        mean = float(found.mean())
        apart = mean - self._mean
        self._squares += float(np.square(found - mean).sum())
        self._squares += apart**2 * self._count * len(found) / count
        self._mean += apart * len(found) / count
        self._count = count
