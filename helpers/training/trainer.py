"""One training: trajectories in, better weights out, and where it stands.

Must not: gather anything, read files or a clock, or trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from helpers.domain import Message
from helpers.training.collector import Experience
from strategies.averaging import Average
from strategies.batch import build_batch
from strategies.models import Model, ModelStatistics
from strategies.networks import ActorCritic, FloatArray, build_networks
from strategies.ppo import Learner, OptimizerState, UpdateReport
from strategies.ppo_settings import PpoSettings
from strategies.reward_scale import RewardScale

REFUSALS_MAXIMUM: Final = 10
"""Updates in a row that may be refused; more, and nothing will be learned from here on."""


class TrainingError(Exception):
    """The training cannot go on; the text says why and what to do."""


class AnotherTrainingError(TrainingError):
    """What is in the folder is another training than was asked for; it is left alone."""


class Progress(Message, frozen=True):
    """Where a training stands."""

    steps: int = 0
    """Choices whose outcome was learned from, or refused."""
    updates: int = 0
    reward: float = 0.0
    """Sum of all rewards: net profit over the capital."""


class Learned(Message, frozen=True):
    """One update, and what it was made from."""

    progress: Progress
    report: UpdateReport
    reward: float
    """Sum of the batch's rewards, unscaled: change of equity over the capital."""
    trips: int
    """Positions closed meanwhile."""
    wins: int


class Trainer:
    """Owner of a learner, its reward scale, its progress, and the mean of what it was."""

    def __init__(
        self, model: Model, settings: PpoSettings, seed: int, progress: Progress | None = None
    ) -> None:
        """Begin from a model; its statistics are gone on with where they are of a training.

        A model of a training is the mean of its parameters; those themselves are in its optimizer's
        state, which ``restore`` goes on from.
        """
        self.settings = settings
        self.shape = model.manifest.architecture
        self.progress = progress or Progress()
        self._learner = Learner(model.manifest.architecture, model.networks, settings, seed)
        self._scale = RewardScale(settings, model.statistics)
        self._average = Average(self._learner.parameters(), self.progress.updates)
        self._refused = 0

    def parameters(self) -> Mapping[str, FloatArray]:
        """Return copies of the present parameters by their dotted names: what gathers acts by."""
        return self._learner.parameters()

    def networks(self) -> ActorCritic:
        """Return new networks with the present parameters."""
        return self._learner.networks()

    def average_networks(self) -> ActorCritic:
        """Return new networks with the mean of the parameters, which is what a training leaves."""
        return build_networks(self.shape, self._average.parameters())

    def statistics(self) -> ModelStatistics:
        """Return the scale's statistics, as a model's file keeps them."""
        return self._scale.statistics()

    def state(self) -> OptimizerState:
        """Return the optimizer's state, the present parameters with it."""
        return self._learner.state()

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on with an optimizer's state; raises ``ModelError`` for another network's."""
        self._learner.restore(state)

    def learn(self, experience: Experience) -> Learned:
        """Learn from what was gathered, once.

        Raises ``ValueError`` when there is no transition, and ``TrainingError`` when one update
        after the other is refused.
        """
        trajectories = experience.trajectories
        self._scale.observe(trajectories)
        report = self._learner.update(build_batch(trajectories, self._scale, self.settings))
        self._refused = self._refused + 1 if report.problem else 0
        if not report.problem:
            self._average.add(self._learner.parameters())
        if self._refused > REFUSALS_MAXIMUM:
            raise TrainingError(
                f"{self._refused} updates in a row were refused, the last because "
                f"{report.problem}; go on from an earlier checkpoint, with a lower learning rate"
            )
        rewards = [step.reward for one in trajectories for step in one.transitions]
        self.progress = Progress(
            steps=self.progress.steps + len(rewards),
            updates=self.progress.updates + 1,
            reward=self.progress.reward + sum(rewards),
        )
        return Learned(self.progress, report, sum(rewards), experience.trips, experience.wins)
