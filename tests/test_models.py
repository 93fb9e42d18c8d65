"""Model bytes are believed only when all of them make sense."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.models import (
    FRESH_STATISTICS,
    ModelError,
    ModelStatistics,
    decode_manifest,
    decode_statistics,
    decode_weights,
    encode_manifest,
    encode_statistics,
    encode_weights,
    verify_model,
)
from strategies.networks import Architecture, network_parameters
from strategies.registry import initial_model

SHAPE = Architecture()
MODEL = initial_model(1, "2026-01-01")
WEIGHTS = encode_weights(MODEL.networks)
STATISTICS = encode_statistics(FRESH_STATISTICS)
HEADER_BYTES = 8 + int.from_bytes(WEIGHTS[:8], "little")


def test_every_part_survives_its_bytes() -> None:
    """Weights, statistics and manifest are read back as they were written."""
    parameters = decode_weights(WEIGHTS, SHAPE, "w")
    expected = network_parameters(MODEL.networks)
    assert all((parameters[name] == expected[name]).all() for name in expected)
    statistics = ModelStatistics(reward_mean=-0.5, reward_std=31.6, reward_count=24_325)
    assert decode_statistics(encode_statistics(statistics), "s") == statistics
    assert decode_manifest(encode_manifest(MODEL.manifest), "m") == MODEL.manifest
    verify_model(WEIGHTS, STATISTICS, MODEL.manifest, "all")


def test_same_model_gives_the_same_bytes() -> None:
    """A model's id depends on its weights alone, not on when or where they were written."""
    again = initial_model(1, "2027-12-31")
    assert encode_weights(again.networks) == WEIGHTS
    assert again.manifest.model_id == MODEL.manifest.model_id
    assert encode_statistics(FRESH_STATISTICS) == STATISTICS


def _damaged(raw: bytes, at: int, value: int, length: int) -> bytes:
    changed = bytearray(raw)
    changed[at] = value
    return bytes(changed[:length])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255), st.booleans())
def test_damaged_weights_raise_nothing_else(at: int, value: int, cut: bool) -> None:
    """Whatever byte of the header is wrong, the answer is ModelError or the right weights."""
    raw = _damaged(WEIGHTS, at, value, at if cut else len(WEIGHTS))
    with contextlib.suppress(ModelError):
        assert decode_weights(raw, SHAPE, "w").keys() == network_parameters(MODEL.networks).keys()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(STATISTICS) - 1), st.integers(0, 255), st.booleans())
def test_damaged_statistics_raise_nothing_else(at: int, value: int, cut: bool) -> None:
    """Whatever byte of the npz is wrong, the answer is ModelError or usable statistics."""
    raw = _damaged(STATISTICS, at, value, at if cut else len(STATISTICS))
    with contextlib.suppress(ModelError):
        assert decode_statistics(raw, "s").reward_std > 0


def test_statistics_that_lack_a_number_are_refused() -> None:
    """The three numbers are all needed; others are tolerated."""
    buffer = io.BytesIO()
    np.savez(buffer, reward_mean=0.0, reward_std=1.0)
    with pytest.raises(ModelError, match="reward_count"):
        decode_statistics(buffer.getvalue(), "s")
    np.savez(buffer, reward_mean=0.0, reward_std=2.0, reward_count=1, gamma=0.95)
    assert decode_statistics(buffer.getvalue(), "s").reward_std == 2.0
