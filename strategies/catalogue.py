"""Every policy by the name users choose it by; each is imported only when it is asked for.

Must not: import MLX unless the learned policy is wanted (a baseline starts without it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from strategies.base import Strategy

STRATEGY_NAMES: Final[Sequence[str]] = (
    "rl",
    "momentum",
    "mean_revert",
    "fade_spike",
    "fair_value",
    "random",
)


def build_strategy(
    name: str,
    *,
    model_directory: Path,
    seed: int,
    learn_interval_seconds: float,
    monotonic_seconds: Callable[[], float],
) -> Strategy:
    """Return a new policy by name; only ``rl`` reads the model directory and times devices.

    Raises ``ValueError`` for an unknown name and ``ModelError`` for a model that does not verify
    or whose smoke decision fails.
    """
    if name == "rl":
        return _learned(model_directory, learn_interval_seconds, monotonic_seconds)
    if name == "random":
        from strategies.random_strategy import RandomStrategy

        return RandomStrategy(seed)
    return _rule(name)


def _learned(
    model_directory: Path,
    learn_interval_seconds: float,
    monotonic_seconds: Callable[[], float],
) -> Strategy:
    from strategies.registry import load
    from strategies.rl_mlx import RLStrategy, choose_device
    from strategies.smoke import try_model

    model = load(model_directory)
    try_model(model, str(model_directory))
    device = choose_device(model, monotonic_seconds)
    return RLStrategy(model, device=device, learn_interval_seconds=learn_interval_seconds)


def _rule(name: str) -> Strategy:
    match name:
        case "momentum":
            from strategies.momentum import Momentum

            return Momentum()
        case "mean_revert":
            from strategies.mean_revert import MeanRevert

            return MeanRevert()
        case "fade_spike":
            from strategies.fade_spike import FadeSpike

            return FadeSpike()
        case "fair_value":
            from strategies.fair_value import FairValue

            return FairValue()
        case _:
            raise ValueError(f"strategy was {name!r}, expected one of {', '.join(STRATEGY_NAMES)}")
