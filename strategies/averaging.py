"""The mean of the parameters on the way: what a training leaves, steadier than its last step.

A policy that learns goes round its optimum, and where it stops is chance: of three seeds' last
parameters the best earned 7.0 dollars a window and the worst 3.2, of their means 5.6 and 5.1 (48
simulated windows). The weighted mean forgets at the pace of the training's length, so that it needs
no length of its own: polynomial-decay averaging, O. Shamir and T. Zhang, Stochastic Gradient
Descent for Non-smooth Optimization, ICML 2013, section 3.

Must not: act, or be learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strategies.networks import FloatArray

DECAY: Final = 3
"""Eta of the paper: the last quarter of all steps has two thirds of the weight."""


class Average:
    """Owner of the mean of all parameters it was shown, the late ones more than the early."""

    def __init__(self, parameters: Mapping[str, FloatArray], steps: int = 0) -> None:
        """Go on from a mean over so many steps; over none, the first that is shown replaces it."""
        self._mean = {name: value.copy() for name, value in parameters.items()}
        self._steps = steps

    def add(self, parameters: Mapping[str, FloatArray]) -> None:
        """Take in the parameters after one more step; names and shapes are those of before."""
        self._steps += 1
        weight = (DECAY + 1) / (self._steps + DECAY)
        for name, mean in self._mean.items():
            mean += weight * (parameters[name] - mean)

    def parameters(self) -> Mapping[str, FloatArray]:
        """Return copies of the mean by the parameters' names."""
        return {name: value.copy() for name, value in self._mean.items()}
