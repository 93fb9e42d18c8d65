"""The learner: batches in, better parameters out, and never a broken one.

An update works on a copy and is kept only when what it made is fit to decide, so that the model in
use is never touched. At rest the learner holds numpy arrays, so any thread may run the update:
``asyncio.to_thread(learner.update, batch)`` keeps it off the event loop. It needs no compiler:
``mx.compile`` starts g++ on Linux and takes longer than it saves.

Must not: read files, a clock or a global random number, or be updated by two threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from helpers.domain import Message
from strategies.base import ModelError
from strategies.batch import Batch, IntArray
from strategies.networks import (
    ActorCritic,
    Architecture,
    FloatArray,
    build_networks,
    network_parameters,
)
from strategies.packed import PackedForward
from strategies.packed_layout import PackedLayout
from strategies.ppo_settings import PpoSettings
from strategies.ppo_step import AdamState, Minibatch, PackedStep, StepMetrics
from strategies.update_check import batch_problem, mean_entropy_nats, update_problem

_ADVANTAGE_FLOOR: Final = 1e-8
"""Added to the advantages' deviation before dividing by it."""
_MOMENTS: Final = ("first_moment", "second_moment")
_COUNTERS: Final = ("steps", "updates")


class UpdateReport(Message, frozen=True):
    """What an update did. Losses, KL and clip fraction are means over the steps that were taken."""

    problem: str
    """Why the update was refused; empty when it was kept."""
    samples: int
    steps: int
    """Gradient steps taken."""
    stopped_early: bool
    """Whether the KL ended the update."""
    policy_loss: float
    value_loss: float
    entropy_nats: float
    """Of the policy after the update, over the batch; ln 3 at most."""
    kl: float
    """The last looked at, k3; over the target where it ended the update."""
    clip_fraction: float
    gradient_norm: float
    explained_variance: float
    """1 - Var(returns - values) / Var(returns): 1 is perfect, 0 no better than a constant."""
    win_rate: float
    """Of the batch's rewards that are not 0."""


class Learner:
    """Owner of the parameters being learned and of Adam's state."""

    def __init__(
        self,
        shape: Architecture,
        networks: ActorCritic,
        settings: PpoSettings,
        seed: int,
        device: mx.DeviceType = mx.cpu,
    ) -> None:
        """Begin from networks, with a fresh optimizer; ``seed`` fixes the order of minibatches."""
        self.settings = settings
        self._shape = shape
        self._seed = seed
        self._device = device
        self._layout = PackedLayout(shape)
        parameters = network_parameters(networks)
        self._names = {name: value.shape for name, value in parameters.items()}
        self._flat: dict[str, FloatArray] = {
            "parameters": self._layout.pack(parameters),
            **{moment: np.zeros(self._layout.size, dtype=np.float32) for moment in _MOMENTS},
        }
        self._steps = 0
        self._updates = 0

    def networks(self) -> ActorCritic:
        """Return new networks with the present parameters, evaluated on the calling thread."""
        return build_networks(self._shape, self.parameters())

    def parameters(self) -> Mapping[str, FloatArray]:
        """Return copies of the present parameters by their dotted names."""
        return self._layout.unpack(self._flat["parameters"], self._names)

    def update(self, batch: Batch) -> UpdateReport:
        """Learn from a batch; keep the result only when it is fit to decide.

        A refused update leaves parameters and optimizer as they were, and its problem is in the
        report. It does not touch the networks that the learner began with.
        """
        self._updates += 1
        problem = batch_problem(batch)
        if problem:
            return _refused(batch, problem)
        with mx.stream(self._device):
            state, rows = self._run(batch)
            flat = {
                name: np.array(value) for name, value in zip(AdamState._fields, state, strict=True)
            }
        taken = rows[rows[:, -1] > 0.0]
        means = StepMetrics(*(taken if len(taken) else rows[:1]).mean(axis=0).tolist())
        parameters = self._layout.unpack(flat["parameters"], self._names)
        decided = PackedForward(self._shape, build_networks(self._shape, parameters), self._device)(
            batch.windows
        )
        logits = np.array(decided.logits, dtype=np.float32)
        figures = (*means, float(rows[-1][3]))
        problem = update_problem(
            flat["parameters"],
            figures,
            logits,
            np.array(decided.values, dtype=np.float32),
            self.settings.minimum_entropy_nats,
        )
        if not problem:
            self._flat = flat
            self._steps += len(taken)
        return UpdateReport(
            problem=problem,
            samples=len(batch.actions),
            steps=len(taken),
            stopped_early=len(taken) < len(rows),
            policy_loss=means.policy_loss,
            value_loss=means.value_loss,
            entropy_nats=mean_entropy_nats(logits),
            kl=float(rows[-1][3]),
            clip_fraction=means.clip_fraction,
            gradient_norm=means.gradient_norm,
            explained_variance=explained_variance(batch.values, batch.returns),
            win_rate=batch.win_rate,
        )

    def state(self) -> Mapping[str, NDArray[np.float32] | NDArray[np.int64]]:
        """Return the optimizer's state: moments by parameter name, and counters."""
        state: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
            "steps": np.array(self._steps, dtype=np.int64),
            "updates": np.array(self._updates, dtype=np.int64),
        }
        for moment in _MOMENTS:
            by_name = self._layout.unpack(self._flat[moment], self._names)
            state |= {f"{moment}.{name}": value for name, value in by_name.items()}
        return state

    def restore(self, state: Mapping[str, NDArray[np.float32] | NDArray[np.int64]]) -> None:
        """Go on with an optimizer's state as if there had been no stop.

        Raises ``ModelError`` for names, shapes or values that are not this learner's; then nothing
        has changed.
        """
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(_COUNTERS, ())
        for moment in _MOMENTS:
            expected |= {f"{moment}.{name}": shape for name, shape in self._names.items()}
        if state.keys() != expected.keys():
            wrong = sorted(state.keys() ^ expected.keys())
            raise ModelError(
                f"optimizer state: {wrong} were missing or unknown, expected the "
                f"{len(expected)} of this network; learn without it"
            )
        for name, shape in expected.items():
            value = state[name]
            lowest = -np.inf if name.startswith("first_moment") else 0
            if value.shape != shape or not np.isfinite(value).all() or (value < lowest).any():
                raise ModelError(
                    f"optimizer state: {name} was {value.dtype} {value.shape}, expected finite "
                    f"{shape}, not negative but for first moments; learn without it"
                )
        for moment in _MOMENTS:
            self._flat[moment] = self._layout.pack(
                {name: state[f"{moment}.{name}"].astype(np.float32) for name in self._names}
            )
        self._steps, self._updates = (int(state[name]) for name in _COUNTERS)

    def _run(self, batch: Batch) -> tuple[AdamState, FloatArray]:
        """Return the state after all epochs and each minibatch's metrics, (steps, 7)."""
        step = PackedStep(self._layout, self.settings)
        state = AdamState(*(mx.array(self._flat[name]) for name in AdamState._fields))
        alive = mx.array(True)
        chosen = np.eye(self._shape.actions, dtype=np.float32)[batch.actions]
        random = np.random.Generator(np.random.PCG64([self._seed, self._updates]))
        rows: list[FloatArray] = []
        for _ in range(self.settings.epochs):
            metrics: list[mx.array] = []
            order = random.permutation(len(batch.actions))
            for part in minibatches(order, self.settings.minibatch_size):
                count = self._steps + len(rows) + len(metrics) + 1
                state, alive, row = step(state, _minibatch(batch, chosen, part), alive, count)
                metrics.append(row)
                # Computed while the next graph is built; nothing is waited for.
                mx.async_eval(*state, alive, row)
            # One look an epoch: after a stop there is nothing left to do.
            rows.extend(np.array(mx.stack(metrics)))
            if not rows[-1][-1]:
                break
        return state, np.stack(rows)


def minibatches(order: IntArray, size: int) -> Iterator[IntArray]:
    """Cut an order of samples into parts of nearly equal sizes, as near to ``size`` as can be."""
    return iter(np.array_split(order, max(1, round(len(order) / size))))


def normalised(advantages: FloatArray) -> FloatArray:
    """Return advantages with mean 0 and standard deviation 1; zeros stay zeros."""
    centred = advantages - advantages.mean()
    return centred / (centred.std() + np.float32(_ADVANTAGE_FLOOR))


def explained_variance(values: FloatArray, returns: FloatArray) -> float:
    """Return the share of the returns' variance that the values foresaw; 0 where there is none."""
    total = float(np.var(returns))
    return 1.0 - float(np.var(returns - values)) / total if total else 0.0


def _minibatch(batch: Batch, chosen: FloatArray, part: IntArray) -> Minibatch:
    return Minibatch(
        windows=mx.array(batch.windows[part]),
        chosen=mx.array(chosen[part]),
        log_probabilities=mx.array(batch.log_probabilities[part][:, None]),
        values=mx.array(batch.values[part][:, None]),
        advantages=mx.array(normalised(batch.advantages[part])[:, None]),
        returns=mx.array(batch.returns[part][:, None]),
    )


def _refused(batch: Batch, problem: str) -> UpdateReport:
    figures: Sequence[float] = (0.0,) * 7
    return UpdateReport(problem, len(batch.actions), 0, False, *figures, batch.win_rate)
