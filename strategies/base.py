"""What every policy is: states in, one decision for each out.

Must not: read a clock, the network or the environment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from helpers.domain import NO_FORECAST, Action, Decision, MarketState

if TYPE_CHECKING:
    from strategies.models import Model, ModelManifest

__all__ = [
    "Action",
    "LearnedStrategy",
    "MarketState",
    "ModelError",
    "Strategy",
    "decision_from",
    "entropy_nats",
    "get_confidence_size",
    "softmax",
]

CONFIDENCE_FLOOR = 0.25


class ModelError(Exception):
    """A model must not be used: what was found, what was expected, what to do (I8)."""


@runtime_checkable
class Strategy(Protocol):
    """A policy the engine can ask."""

    @property
    def name(self) -> str:
        """Return the name users choose it by."""
        ...

    @property
    def model_id(self) -> str:
        """Return what produced the decisions: a model's id, or the baseline's name and version."""
        ...

    @property
    def holds_to_resolution(self) -> bool:
        """Return whether its positions are meant to be paid out rather than sold again."""
        ...

    def decide(self, states: Sequence[MarketState]) -> Sequence[Decision]:
        """Return one decision for each state, in order; HOLD with the reason where invalid."""
        ...

    def forget(self, market: str) -> None:
        """Drop whatever is remembered of a market that has rolled (slug)."""
        ...


@runtime_checkable
class LearnedStrategy(Strategy, Protocol):
    """A policy whose weights can be exchanged while it is asked."""

    @property
    def manifest(self) -> ModelManifest:
        """Return the manifest of the model in use."""
        ...

    def adopt(self, model: Model) -> None:
        """Use another model from the next decision on."""
        ...


def get_confidence_size(probability: float) -> float:
    """Return the fraction of TRADE_SIZE to risk: 0.25 at 0.5, 1 at 0 and at 1 (DESIGN section 5).

    Raises ``ValueError`` for anything that is not a probability.
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability was {probability}, expected 0 to 1")
    return CONFIDENCE_FLOOR + (1.0 - CONFIDENCE_FLOOR) * 2.0 * abs(probability - 0.5)


def entropy_nats(probabilities: Sequence[float]) -> float:
    """Return the entropy of a distribution in nats; three actions have at most ln 3 = 1.0986."""
    return -sum(p * math.log(p) for p in probabilities if p > 0.0)


def softmax(logits: Sequence[float]) -> tuple[float, float, float]:
    """Return the probabilities of three logits; they sum to 1 within rounding."""
    hold, buy, sell = logits
    top = max(hold, buy, sell)
    weights = (math.exp(hold - top), math.exp(buy - top), math.exp(sell - top))
    total = weights[0] + weights[1] + weights[2]
    return (weights[0] / total, weights[1] / total, weights[2] / total)


def decision_from(
    state: MarketState,
    action: Action,
    probabilities: tuple[float, float, float],
    value: float,
    model_id: str,
    reason: str,
    forecast_up: float = NO_FORECAST,
) -> Decision:
    """Build a decision that carries what it was made from."""
    snapshot = state.snapshot
    up = snapshot.up
    return Decision(
        market=snapshot.market.slug,
        at_ns=snapshot.now_ns,
        action=action,
        probabilities=probabilities,
        value=value,
        model_id=model_id,
        reason=reason,
        features=state.features,
        cold=state.cold,
        up_bid_micros=up.bids[0][0] if up.bids else 0,
        up_ask_micros=up.asks[0][0] if up.asks else 0,
        fast_mid=snapshot.fast.mid,
        seconds_to_close=snapshot.seconds_to_close,
        forecast_up=forecast_up,
    )
