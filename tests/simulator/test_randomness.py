"""Random streams and draws."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.randomness import Draws, QuantileCurve, random_stream


def test_streams_are_named() -> None:
    """Equal names give equal streams, other names others."""
    first, same, other = (random_stream(7, key) for key in (1, 1, 2))
    assert first.random() == same.random() != other.random()


def test_draws_have_their_distributions() -> None:
    """Means of uniform, normal, exponential, Weibull and coin draws are as stated."""
    draws = Draws(random_stream(7, 3))
    count = 20_000
    assert np.mean([draws.uniform() for _ in range(count)]) == pytest.approx(0.5, abs=0.01)
    assert np.std([draws.normal() for _ in range(count)]) == pytest.approx(1.0, abs=0.03)
    assert np.mean([draws.exponential() for _ in range(count)]) == pytest.approx(1.0, abs=0.04)
    assert np.mean([draws.weibull(3.0, 0.7) for _ in range(count)]) == pytest.approx(3.0, abs=0.2)
    assert np.mean([draws.heads() for _ in range(count)]) == pytest.approx(0.5, abs=0.02)


def test_a_quantile_curve_returns_its_quantiles() -> None:
    """Values at the stated probabilities are the stated ones, between them log-linear."""
    curve = QuantileCurve(((0.0, 1.0), (0.5, 10.0), (1.0, 1_000.0)))
    assert curve.at(0.0) == pytest.approx(1.0, rel=0.01)
    assert curve.at(0.25) == pytest.approx(10**0.5, rel=0.01)
    assert curve.at(0.5) == pytest.approx(10.0, rel=0.01)
    assert curve.at(0.99999) == pytest.approx(1_000.0, rel=0.01)


def test_a_disordered_curve_is_refused() -> None:
    """Quantiles must rise from 0."""
    with pytest.raises(ValueError, match="quantiles were"):
        QuantileCurve(((0.5, 1.0), (0.2, 2.0)))
