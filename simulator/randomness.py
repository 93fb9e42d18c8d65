"""Named random streams and cheap scalar draws from them; draws nothing by itself.

Every sense of the model (fast price, basis, each market's makers and takers) has its own stream,
so what a strategy does to one book never changes the price path or another market.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

_BUFFER: Final = 256
"""Draws made at once: numpy's cost a call is spread over them; small enough for many markets."""
_HALF: Final = 0.5
_TABLE: Final = 4096
"""Resolution of a quantile curve: the last cell is the top 0.024 %."""


def random_stream(seed: int, *key: int) -> np.random.Generator:
    """Return the generator named by ``key`` under ``seed``; equal names give equal streams."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *key])))


class Draws:
    """Scalar draws from one generator, buffered; the order of calls decides the values."""

    __slots__ = ("_exponentials", "_generator", "_normals", "_uniforms")

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._uniforms: list[float] = []
        self._normals: list[float] = []
        self._exponentials: list[float] = []

    def uniform(self) -> float:
        """Return a draw from [0, 1)."""
        if not self._uniforms:
            self._uniforms = self._generator.random(_BUFFER).tolist()
        return self._uniforms.pop()

    def heads(self) -> bool:
        """Toss a fair coin."""
        return self.uniform() < _HALF

    def normal(self) -> float:
        """Return a standard normal draw."""
        if not self._normals:
            self._normals = self._generator.standard_normal(_BUFFER).tolist()
        return self._normals.pop()

    def exponential(self) -> float:
        """Return a draw with mean 1."""
        if not self._exponentials:
            self._exponentials = self._generator.standard_exponential(_BUFFER).tolist()
        return self._exponentials.pop()

    def weibull(self, mean: float, shape: float) -> float:
        """Return a Weibull draw of this mean; a shape under 1 gives bursts and long silences."""
        return mean * self.exponential() ** (1.0 / shape) / math.gamma(1.0 + 1.0 / shape)


class QuantileCurve:
    """A positive distribution given by measured quantiles, log-linear between them."""

    __slots__ = ("_table",)

    def __init__(self, points: tuple[tuple[float, float], ...]) -> None:
        probabilities = [probability for probability, _ in points]
        if probabilities != sorted(set(probabilities)) or probabilities[0] != 0.0:
            raise ValueError(f"quantiles were {probabilities}, expected increasing from 0")
        logs = [math.log(value) for _, value in points]
        cells = (np.arange(_TABLE) + 0.5) / _TABLE
        self._table: list[float] = np.exp(np.interp(cells, probabilities, logs)).tolist()

    def at(self, uniform: float) -> float:
        """Return the value at a uniform draw in [0, 1)."""
        return self._table[int(uniform * _TABLE)]
