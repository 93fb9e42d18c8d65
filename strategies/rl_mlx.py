"""The learned policy: market states to decisions by one packed forward of both networks.

Must not: learn, read files or a clock, or evaluate anything off the calling thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Final

import mlx.core as mx
import numpy as np

from helpers.domain import FEATURE_NAMES, NO_FORECAST, Action, Decision, MarketState, Message
from strategies.base import decision_from, entropy_nats, softmax
from strategies.history import HISTORY_LENGTH, StateHistory
from strategies.networks import Actor, ActorCritic, Architecture, Critic, TemporalEncoder
from strategies.packed import Forward, PackedForward
from strategies.per_market import PerMarket
from strategies.registry import Model, ModelManifest
from strategies.rollout import Choice
from strategies.stance import LEARN_INTERVAL_SECONDS, Stance, Stances

__all__ = [
    "Actor",
    "ActorCritic",
    "Architecture",
    "Critic",
    "RLStrategy",
    "StateHistory",
    "TemporalEncoder",
    "TemporalNote",
    "choose_device",
    "softmax",
]

PROBE_ROWS: Final = 4
PROBE_FORWARDS: Final = 30
"""Forwards timed per device at start; the median of 30 is a few milliseconds of work."""

Recorder = Callable[[MarketState, Choice], None]
"""Told of every choice with the state it was made from, whose books and position say what it is
worth; called on the decision path, so it must be quick and must not raise."""

_HOLD_FOR_CERTAIN: Final = (1.0, 0.0, 0.0)
_ACTION_NAMES: Final = ("hold", "buy", "sell")


class TemporalNote(Message, frozen=True):
    """What the temporal encoder made of a market at its last choice."""

    market: str
    history_depth: int
    """States in the window, 0 to 5; the rest of it is zeros."""
    encoder_norm: float
    """Euclidean norm of the actor's 32 encodings, at most sqrt 32 = 5.66."""


class RLStrategy:
    """The actor-critic policy, greedy unless given a generator to sample with.

    It chooses at decision points and its choice stands between them (``strategies.stance``). With a
    recorder every choice is told, as the very forward made it that acted (L2).
    """

    name: str = "rl"
    holds_to_resolution: bool = False

    def __init__(
        self,
        model: Model,
        sampler: np.random.Generator | None = None,
        device: mx.DeviceType = mx.cpu,
        learn_interval_seconds: float = LEARN_INTERVAL_SECONDS,
        recorder: Recorder | None = None,
    ) -> None:
        self._device = device
        self._sampler = sampler
        self._recorder = recorder
        self._history = StateHistory(model.manifest.architecture.features)
        self._notes = PerMarket[tuple[int, mx.array, int]]()
        self._stances = Stances(learn_interval_seconds)
        self._version = model.manifest.feature_version
        self.adopt(model)

    @property
    def model_id(self) -> str:
        """Return the id of the model in use."""
        return self._model_id

    @property
    def manifest(self) -> ModelManifest:
        """Return the manifest of the model in use."""
        return self._manifest

    @property
    def feature_version(self) -> str:
        """Return the version of the features it must be given."""
        return self._version

    def adopt(self, model: Model) -> None:
        """Use another model, which chooses at each market's next step; histories stay.

        Raises ``ValueError`` when its windows are of another shape than the histories (I8), or its
        features of another version than those that are in them.
        """
        if model.manifest.feature_version != self._version:
            raise ValueError(
                f"model features were {model.manifest.feature_version!r}, "
                f"expected {self._version!r}: start anew to change the version"
            )
        shape = model.manifest.architecture
        window = (shape.features, shape.history_length)
        if window != (len(FEATURE_NAMES), HISTORY_LENGTH):
            raise ValueError(
                f"model window was {window} (features, states), "
                f"expected {(len(FEATURE_NAMES), HISTORY_LENGTH)}"
            )
        self._packed = PackedForward(shape, model.networks, self._device)
        self._manifest = model.manifest
        self._model_id = model.manifest.model_id
        self._windows = np.zeros((PROBE_ROWS, shape.window_width), dtype=np.float32)
        self._stances.clear()

    def choose_greedily(self) -> None:
        """Take the likeliest action from now on, and record nothing any more."""
        self._sampler = self._recorder = None

    def decide(self, states: Sequence[MarketState]) -> Sequence[Decision]:
        """Return one decision for each state, in order; one batched forward for all that choose.

        An invalid state, or one of another feature version, is a HOLD with the reason and leaves
        no trace in the history.
        """
        if len(states) > len(self._windows):
            self._windows = np.zeros((len(states), self._windows.shape[1]), dtype=np.float32)
        decisions: list[Decision | None] = []
        depths: list[int] = []
        for state in states:
            reason = self._refusal(state)
            if reason:
                decisions.append(self._hold(state, reason))
                continue
            # On the grid every state is pushed, also where a choice stands; the row of one that
            # does not choose is the next one's.
            depth = self._fill(state, len(depths))
            stance = self._stances.standing(state.snapshot)
            decisions.append(None if stance is None else self._stand(state, stance))
            if stance is None:
                depths.append(depth)
        if not depths:
            return [decision for decision in decisions if decision is not None]
        forward = self._packed(self._windows[: len(depths)])
        rows = iter(enumerate(depths))
        return [
            self._decide(state, forward, *next(rows)) if decision is None else decision
            for state, decision in zip(states, decisions, strict=True)
        ]

    def _fill(self, state: MarketState, row: int) -> int:
        snapshot = state.snapshot
        return self._history.window(
            snapshot.market.slug,
            state.features,
            snapshot.now_ns,
            on_grid=snapshot.on_grid,
            out=self._windows[row],
        )

    def _decide(self, state: MarketState, forward: Forward, row: int, depth: int) -> Decision:
        """Choose in one market by its row of the forward, and let the choice stand."""
        market = state.snapshot.market.slug
        logits, value = forward.logits[row], forward.values[row]
        self._notes.keep(market, (depth, forward.encodings, row))
        if not math.isfinite(sum(logits) + value):
            self._stances.forget(market)
            return self._hold(state, f"network output was {logits} and {value}, expected finite")
        probabilities = softmax(logits)
        chosen = self._choose(probabilities)
        reason = (
            f"p_{_ACTION_NAMES[chosen]}={probabilities[chosen]:.2f} "
            f"entropy={entropy_nats(probabilities):.2f}"
        )
        _, buy, sell = probabilities
        forecast_up = buy / (buy + sell) if buy + sell > 0.0 else NO_FORECAST
        now_ns = state.snapshot.now_ns
        stance = Stance(now_ns, Action(chosen), probabilities, value, forecast_up, reason)
        self._stances.choose(market, stance)
        if self._recorder is not None:
            window = self._windows[row].copy()
            log_probability = log_softmax(logits)[chosen]
            self._recorder(state, Choice(market, now_ns, window, chosen, log_probability, value))
        return self._decision(state, stance, reason)

    def _stand(self, state: MarketState, stance: Stance) -> Decision:
        return self._decision(state, stance, f"stance of {stance.reason}")

    def _decision(self, state: MarketState, stance: Stance, reason: str) -> Decision:
        return decision_from(
            state,
            stance.action,
            stance.probabilities,
            stance.value,
            self._model_id,
            reason,
            stance.forecast_up,
        )

    def _choose(self, probabilities: tuple[float, float, float]) -> int:
        if self._sampler is None:
            return probabilities.index(max(probabilities))
        drawn = self._sampler.random()
        if drawn < probabilities[0]:
            return 0
        return 1 if drawn < probabilities[0] + probabilities[1] else 2

    def _refusal(self, state: MarketState) -> str:
        if state.invalid or state.version == self._version:
            return state.invalid
        return f"feature version was {state.version!r}, the model expects {self._version!r}"

    def _hold(self, state: MarketState, reason: str) -> Decision:
        return decision_from(state, Action.HOLD, _HOLD_FOR_CERTAIN, 0.0, self._model_id, reason)

    def describe(self, market: str) -> TemporalNote | None:
        """Return depth and encoder norm of a market's last choice; ``None`` before the first."""
        note = self._notes.find(market)
        if note is None:
            return None
        depth, encodings, row = note
        # The encodings were evaluated with the forward: reading them starts no work.
        actor = np.array(encodings, copy=False)[0, row]
        return TemporalNote(market, depth, math.sqrt(float(np.dot(actor, actor))))

    def forget(self, market: str) -> None:
        """Drop the history, the note and the choice of a market that has rolled."""
        self._history.forget(market)
        self._notes.forget(market)
        self._stances.forget(market)


def log_softmax(logits: Sequence[float]) -> tuple[float, ...]:
    """Return the logarithms of the probabilities, exact also for the least of them (L10)."""
    top = max(logits)
    total = math.log(sum([math.exp(logit - top) for logit in logits]))
    return tuple([logit - top - total for logit in logits])


def choose_device(model: Model, monotonic_seconds: Callable[[], float]) -> mx.DeviceType:
    """Return the device on which the forward is faster; the CPU where there is no other.

    A GPU launch can cost more than this arithmetic, so both are timed once at start (measured, not
    guessed). Devices may round differently: a replay uses the device of its recording.
    """
    if not mx.is_available(mx.gpu):
        return mx.cpu
    on_cpu = median_forward_seconds(model, mx.cpu, monotonic_seconds)
    on_gpu = median_forward_seconds(model, mx.gpu, monotonic_seconds)
    return mx.cpu if on_cpu <= on_gpu else mx.gpu


def median_forward_seconds(
    model: Model, device: mx.DeviceType, monotonic_seconds: Callable[[], float]
) -> float:
    """Return the median time of 30 forwards of four markets on a device, by the clock given."""
    shape = model.manifest.architecture
    packed = PackedForward(shape, model.networks, device)
    windows = np.zeros((PROBE_ROWS, shape.window_width), dtype=np.float32)
    packed(windows)  # The first call pays for kernels being loaded.
    taken: list[float] = []
    for _ in repeat(None, PROBE_FORWARDS):
        started = monotonic_seconds()
        packed(windows)
        taken.append(monotonic_seconds() - started)
    return sorted(taken)[len(taken) // 2]
