"""Known small problems, solved to their optimum by the real learner, rollouts and packed forward.

The market has no part in them: they show that the algorithm is right (issue F, must show 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from helpers.domain import NS_PER_SECOND
from strategies.batch import build_batch
from strategies.models import FRESH_STATISTICS
from strategies.networks import Architecture, FloatArray, build_networks, orthogonal_parameters
from strategies.packed import PackedForward
from strategies.ppo import Learner
from strategies.ppo_settings import PpoSettings
from strategies.reward_scale import RewardScale
from strategies.rl_mlx import log_softmax
from strategies.rollout import Choice, Rollouts

SETTINGS = PpoSettings(actor_rate=3e-3, critic_rate=3e-3, minimum_entropy_nats=0.0)
"""The product's, but for the learning rates: a problem of a second, not of a day. And a policy that
has solved one of these may be certain."""
ENVIRONMENTS = 16
EVALUATED = 16
DECISION_SECONDS = 15.0
BUY, SELL = 1, 2


class Problem(Protocol):
    """An episode: what is seen, and what an action brings."""

    def window(self) -> FloatArray:
        """Return what is seen now."""
        ...

    def step(self, action: int) -> tuple[float, bool]:
        """Return the reward of an action and whether the episode is over."""
        ...


class DelayedBandit:
    """Two states. The first action matters: its payoff comes four decisions, a minute, later.

    BUY is right in state 0, SELL in state 1: 1 dollar, or -1 for the opposite; HOLD brings nothing.
    What is done while waiting brings nothing either. The best mean is 1.
    """

    SHAPE = Architecture(
        features=3,
        history_length=1,
        encoder_hidden=16,
        temporal_width=8,
        actor_hidden=16,
        critic_hidden=16,
    )
    WAIT = 4

    def __init__(self, random: np.random.Generator) -> None:
        self._state = int(random.integers(2))
        self._chosen: int | None = None
        self._waited = 0

    def window(self) -> FloatArray:
        deciding = self._chosen is None
        side = (1.0 if self._state else -1.0) if deciding else 0.0
        return np.array([side, float(deciding), self._waited / self.WAIT], dtype=np.float32)

    def step(self, action: int) -> tuple[float, bool]:
        if self._chosen is None:
            self._chosen = action
            return 0.0, False
        self._waited += 1
        if self._waited < self.WAIT:
            return 0.0, False
        right = SELL if self._state else BUY
        return (0.0 if self._chosen == 0 else 1.0 if self._chosen == right else -1.0), True


class Corridor:
    """Seven cells, begun in the middle: BUY walks right, SELL left, HOLD stays, 12 steps at most.

    The left end pays 0.3 and is as near as the right end, which pays 1: the greedy first find is
    not the optimum. The best mean is 1, in three steps.
    """

    SHAPE = Architecture(
        features=7,
        history_length=1,
        encoder_hidden=16,
        temporal_width=8,
        actor_hidden=16,
        critic_hidden=16,
    )
    CELLS = 7
    STEPS = 12

    def __init__(self, random: np.random.Generator) -> None:
        self._cell = self.CELLS // 2
        self._steps = 0

    def window(self) -> FloatArray:
        return np.eye(self.CELLS, dtype=np.float32)[self._cell]

    def step(self, action: int) -> tuple[float, bool]:
        self._cell += {BUY: 1, SELL: -1}.get(action, 0)
        self._steps += 1
        if self._cell == self.CELLS - 1:
            return 1.0, True
        if self._cell == 0:
            return 0.3, True
        return 0.0, self._steps == self.STEPS


class _Episode:
    def __init__(self, problem: Problem, market: str) -> None:
        self.problem = problem
        self.market = market
        self.equity = 0.0
        self.decisions = 0
        self.over = False

    @property
    def now_ns(self) -> int:
        return round(self.decisions * DECISION_SECONDS * NS_PER_SECOND)


def _learn(
    problem: Callable[[np.random.Generator], Problem], shape: Architecture, seed: int
) -> list[float]:
    """Learn for 40 updates at most; return the greedy policy's mean payoff after every fourth.

    Twice the optimum in a row ends it: solved, and it stays so.
    """
    random = np.random.default_rng(seed)
    networks = build_networks(shape, orthogonal_parameters(shape, seed))
    learner = Learner(shape, networks, SETTINGS, seed)
    rollouts, scale = Rollouts(), RewardScale(SETTINGS, FRESH_STATISTICS)
    count = iter(range(1_000_000))
    episodes = [_Episode(problem(random), str(next(count))) for _ in range(ENVIRONMENTS)]
    payoffs = [_greedy_mean(problem, PackedForward(shape, networks), random)]
    for update in range(1, 41):
        packed = PackedForward(shape, learner.networks())
        while len(rollouts) < SETTINGS.batch_size:
            _step_all(episodes, packed, rollouts, random)
            for row, episode in enumerate(episodes):
                if episode.over:
                    episodes[row] = _Episode(problem(random), str(next(count)))
        trajectories = rollouts.take()
        scale.observe(trajectories)
        report = learner.update(build_batch(trajectories, scale, SETTINGS))
        assert report.problem == ""
        if update % 4 == 0:
            packed = PackedForward(shape, learner.networks())
            payoffs.append(_greedy_mean(problem, packed, random))
            if payoffs[-2:] == [1.0, 1.0]:
                break
    return payoffs


def _step_all(
    episodes: list[_Episode],
    packed: PackedForward,
    rollouts: Rollouts,
    random: np.random.Generator,
) -> None:
    windows = np.stack([episode.problem.window() for episode in episodes])
    forward = packed(windows)
    for episode, window, logits, value in zip(
        episodes, windows, forward.logits, forward.values, strict=True
    ):
        policy = log_softmax(logits)
        action = int(np.searchsorted(np.cumsum(np.exp(policy)), random.random()))
        action = min(action, 2)
        rollouts.record(
            Choice(episode.market, episode.now_ns, window, action, policy[action], value),
            episode.equity,
        )
        reward, episode.over = episode.problem.step(action)
        episode.equity += reward
        episode.decisions += 1
        if episode.over:
            rollouts.settle(episode.market, episode.now_ns, episode.equity)


def _greedy_mean(
    problem: Callable[[np.random.Generator], Problem],
    packed: PackedForward,
    random: np.random.Generator,
) -> float:
    total = 0.0
    for _ in range(EVALUATED):
        episode, over = problem(random), False
        while not over:
            forward = packed(episode.window()[None])
            reward, over = episode.step(int(np.argmax(forward.logits[0])))
            total += reward
    return total / EVALUATED


@pytest.mark.parametrize("seed", [1, 4])
def test_a_bandit_that_pays_a_minute_later_is_solved(seed: int) -> None:
    """Greedy play earns the optimum, 1 an episode: the payoff finds the choice that earned it."""
    payoffs = _learn(DelayedBandit, DelayedBandit.SHAPE, seed)
    assert payoffs[0] < 0.9
    assert payoffs[-2:] == [1.0, 1.0], payoffs


@pytest.mark.parametrize("seed", [1, 2])
def test_a_corridor_is_walked_to_the_better_end(seed: int) -> None:
    """Greedy play earns the optimum, 1 an episode, and not the 0.3 of the other end."""
    payoffs = _learn(Corridor, Corridor.SHAPE, seed)
    assert payoffs[0] < 0.9
    assert payoffs[-2:] == [1.0, 1.0], payoffs
