"""The flat vector holds every parameter once."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.networks import Architecture, orthogonal_parameters
from strategies.packed_layout import PackedLayout
from tests.learning_samples import SHAPE, SMALL, random_parameters


@pytest.mark.parametrize("shape", [SHAPE, SMALL])
def test_what_is_packed_comes_out_again(shape: Architecture) -> None:
    """Packing and unpacking lose and add nothing."""
    layout, parameters = PackedLayout(shape), random_parameters(3, shape)
    flat = layout.pack(parameters)
    assert flat.shape == (layout.size,)
    assert flat.dtype == np.float32
    assert layout.size == sum(value.size for value in parameters.values())
    unpacked = layout.unpack(flat)
    assert unpacked.keys() == parameters.keys()
    for name, value in parameters.items():
        assert unpacked[name].shape == value.shape
        assert np.array_equal(unpacked[name], value)


def test_shipped_architecture_has_the_documented_size() -> None:
    """38,756 parameters, and no padding."""
    assert PackedLayout(SHAPE).size == 38_756


def test_numbers_per_net_reach_that_net_only() -> None:
    """The learning rates of actor and critic do not mix."""
    layout = PackedLayout(SMALL)
    for name, value in layout.unpack(layout.per_net(1.0, 2.0)).items():
        assert (value == (1.0 if name.startswith("actor.") else 2.0)).all()


def test_gain_scales_are_the_root_of_the_width_at_norm_gains_only() -> None:
    """Only LayerNorm's gains are scaled."""
    layout = PackedLayout(SMALL)
    for name, value in layout.unpack(layout.gain_scales()).items():
        is_gain = ".ln" in f".{name}" and name.endswith(".weight")
        assert np.allclose(value, np.sqrt(value.size) if is_gain else 1.0)


def test_another_shape_is_refused() -> None:
    """Parameters of another network are not squeezed in."""
    parameters = dict(orthogonal_parameters(SMALL, 1))
    parameters["actor.fc1.weight"] = parameters["actor.fc1.weight"].T
    with pytest.raises(ValueError, match=r"actor\.fc1\.weight was \(16, 7\)"):
        PackedLayout(SMALL).pack(parameters)
