"""The learner: batches in, better parameters out, and never a broken one.

An update works on a copy and is kept only when what it made is fit to decide, so that the model in
use is never touched. At rest the learner holds numpy arrays, so any thread may run the update:
``asyncio.to_thread(learner.update, batch)`` keeps it off the event loop. It needs no compiler:
``mx.compile`` starts g++ on Linux and takes longer than it saves.

Must not: read files, a clock or a global random number, or be updated by two threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

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
from strategies.ppo_step import (
    AdamState,
    Minibatch,
    PackedStep,
    StepMetrics,
    log_policy_of,
    log_ratio_of,
)
from strategies.update_check import batch_problem, mean_entropy_nats, update_problem

_ADVANTAGE_FLOOR: Final = 1e-8
"""Added to the advantages' deviation before dividing by it."""
_ENTROPY: Final = StepMetrics._fields.index("entropy_nats")
_KL: Final = StepMetrics._fields.index("kl")
OptimizerState: TypeAlias = Mapping[str, NDArray[np.float32] | NDArray[np.int64]]
"""Adam's moments by parameter name, and counters."""
LOOK_STEPS: Final = 4
"""Minibatches between two looks at the KL, an epoch by default: so many may be done for nothing,
and so many states are kept meanwhile, 0.5 MB each."""
_MOMENTS: Final = ("first_moment", "second_moment")
_SIGNED: Final = ("parameters.", "first_moment.")
_COUNTERS: Final = ("steps", "updates")


class UpdateReport(Message, frozen=True):
    """What an update did: means over the steps taken, zeros for a batch that was refused."""

    problem: str
    """Why the update was refused; empty when it was kept."""
    samples: int
    steps: int = 0
    """Gradient steps taken."""
    stopped_early: bool = False
    """Whether the KL ended the update."""
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy_nats: float = 0.0
    """Of the policy after the update, over the batch; ln 3 at most."""
    kl: float = 0.0
    """The last looked at, k3; over the target where it ended the update."""
    clip_fraction: float = 0.0
    gradient_norm: float = 0.0
    explained_variance: float = 0.0
    """1 - Var(returns - values) / Var(returns): 1 is perfect, 0 no better than a constant."""
    win_rate: float = 0.0
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
        return self._layout.unpack(self._flat["parameters"])

    def update(self, batch: Batch) -> UpdateReport:
        """Learn from a batch; keep the result only when it is fit to decide.

        A refused update leaves parameters and optimizer as they were, and its problem is in the
        report. It does not touch the networks that the learner began with.
        """
        self._updates += 1
        problem = batch_problem(batch)
        if problem:
            return UpdateReport(problem, len(batch.actions), win_rate=batch.win_rate)
        with mx.stream(self._device):
            state, rows, steps = self._run(batch)
            flat = {
                name: np.array(value) for name, value in zip(AdamState._fields, state, strict=True)
            }
        means = StepMetrics(*rows[: max(1, steps)].mean(axis=0).tolist())
        networks = build_networks(self._shape, self._layout.unpack(flat["parameters"]))
        decided = PackedForward(self._shape, networks, self._device)(batch.windows)
        logits = np.array(decided.logits, dtype=np.float32)
        figures = (*means, float(rows[-1][_KL]))
        problem = update_problem(
            flat["parameters"],
            figures,
            logits,
            np.array(decided.values, dtype=np.float32),
            float(rows[0][_ENTROPY]),
            self.settings.minimum_entropy_nats,
        )
        if not problem:
            self._flat = flat
            self._steps += steps
        return UpdateReport(
            problem=problem,
            samples=len(batch.actions),
            steps=steps,
            stopped_early=steps < len(rows),
            policy_loss=means.policy_loss,
            value_loss=means.value_loss,
            entropy_nats=mean_entropy_nats(logits),
            kl=float(rows[-1][_KL]),
            clip_fraction=means.clip_fraction,
            gradient_norm=means.gradient_norm,
            explained_variance=explained_variance(batch.values, batch.returns),
            win_rate=batch.win_rate,
        )

    def ratios(self, batch: Batch) -> FloatArray:
        """Return pi(a) / pi_acted(a) of every sample, (N,): 1 until a step is taken (L2)."""
        with mx.stream(self._device):
            everything = minibatch_of(batch, np.arange(len(batch.actions)), self._shape.actions)
            forwarded = PackedStep(self._layout, self.settings).forward(
                mx.array(self._flat["parameters"]), everything.windows
            )
            log_policy = log_policy_of(forwarded.logits)
            return np.exp(np.array(log_ratio_of(log_policy, everything))[:, 0])

    def state(self) -> OptimizerState:
        """Return parameters and moments by parameter name, and counters."""
        state: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
            "steps": np.array(self._steps, dtype=np.int64),
            "updates": np.array(self._updates, dtype=np.int64),
        }
        for part in AdamState._fields:
            by_name = self._layout.unpack(self._flat[part])
            state |= {f"{part}.{name}": value for name, value in by_name.items()}
        return state

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on with an optimizer's state as if there had been no stop.

        Without parameters in it those that the learner has stay.

        Raises ``ModelError`` for names, shapes or values that are not this learner's; then nothing
        has changed.
        """
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(_COUNTERS, ())
        parts = [
            part
            for part in AdamState._fields
            if part in _MOMENTS or any(name.startswith(f"{part}.") for name in state)
        ]
        for part in parts:
            expected |= {f"{part}.{name}": shape for name, shape in self._names.items()}
        if state.keys() != expected.keys():
            wrong = sorted(state.keys() ^ expected.keys())
            raise ModelError(
                f"optimizer state: {wrong} were missing or unknown, expected the "
                f"{len(expected)} of this network; learn without it"
            )
        for name, shape in expected.items():
            value = state[name]
            numbers = value.astype(np.float64) if value.dtype.kind in "fi" else np.array(np.nan)
            lowest = -np.inf if name.startswith(_SIGNED) else 0
            if numbers.shape != shape or not np.isfinite(numbers).all() or (numbers < lowest).any():
                raise ModelError(
                    f"optimizer state: {name} was {value.dtype} {value.shape}, expected finite "
                    f"{shape}, counts and second moments not negative; learn without it"
                )
        for part in parts:
            self._flat[part] = self._layout.pack(
                {name: state[f"{part}.{name}"].astype(np.float32) for name in self._names}
            )
        self._steps, self._updates = (int(state[name]) for name in _COUNTERS)

    def _run(self, batch: Batch) -> tuple[AdamState, FloatArray, int]:
        """Return the state after all steps, each minibatch's metrics (M, 6), and the steps taken.

        A minibatch whose KL is over the target is not stepped on, nor is any after it. That is
        found out without waiting for each: states are kept, and looked back on.
        """
        settings = self.settings
        step = PackedStep(self._layout, settings)
        state = AdamState(*(mx.array(self._flat[name]) for name in AdamState._fields))
        rows: list[FloatArray] = []
        order = minibatch_order(len(batch.actions), settings, self._seed, self._updates)
        for parts in _looks(order):
            before: list[AdamState] = []
            metrics: list[mx.array] = []
            for part in parts:
                before.append(state)
                count = self._steps + len(rows) + len(before)
                state, row = step(state, minibatch_of(batch, part, self._shape.actions), count)
                metrics.append(row)
                # Computed while the next graph is built; nothing is waited for.
                mx.async_eval(*state, row)
            for kept, row in zip(before, np.array(mx.stack(metrics)), strict=True):
                rows.append(row)
                # Written so that a KL that is not a number stops it, too.
                if not row[_KL] <= settings.target_kl:
                    return kept, np.stack(rows), len(rows) - 1
        return state, np.stack(rows), len(rows)


def minibatch_order(
    samples: int, settings: PpoSettings, seed: int, update: int
) -> Sequence[IntArray]:
    """Return the minibatches of all epochs of an update, counted from 1.

    Every sample comes once an epoch, in an order that seed and update fix.
    """
    random = np.random.Generator(np.random.PCG64([seed, update]))
    return [
        part
        for _ in range(settings.epochs)
        for part in minibatches(random.permutation(samples), settings.minibatch_size)
    ]


def minibatches(order: IntArray, size: int) -> Sequence[IntArray]:
    """Cut an order of samples into parts of nearly equal sizes, as near to ``size`` as can be."""
    return np.array_split(order, max(1, round(len(order) / size)))


def normalised(advantages: FloatArray) -> FloatArray:
    """Return advantages with mean 0 and standard deviation 1; zeros stay zeros."""
    centred = advantages - advantages.mean()
    return centred / (centred.std() + np.float32(_ADVANTAGE_FLOOR))


def explained_variance(values: FloatArray, returns: FloatArray) -> float:
    """Return the share of the returns' variance that the values foresaw; 0 where there is none."""
    wanted = returns.astype(np.float64)
    total = float(np.var(wanted))
    return 1.0 - float(np.var(wanted - values)) / total if total else 0.0


def _looks(parts: Sequence[IntArray]) -> Iterator[Sequence[IntArray]]:
    """Cut all minibatches into the runs between two looks at the KL."""
    for start in range(0, len(parts), LOOK_STEPS):
        yield parts[start : start + LOOK_STEPS]


def minibatch_of(batch: Batch, part: IntArray, actions: int) -> Minibatch:
    """Return these samples of a batch as a step takes them, advantages normalised over them."""
    return Minibatch(
        windows=mx.array(batch.windows[part]),
        chosen=mx.array(np.eye(actions, dtype=np.float32)[batch.actions[part]]),
        log_probabilities=mx.array(batch.log_probabilities[part][:, None]),
        values=mx.array(batch.values[part][:, None]),
        advantages=mx.array(normalised(batch.advantages[part])[:, None]),
        returns=mx.array(batch.returns[part][:, None]),
    )
