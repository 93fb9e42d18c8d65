"""The smoke decision finds what cannot be a policy, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.architecture import Architecture
from strategies.base import ModelError, entropy_nats, softmax
from strategies.networks import FloatArray, build_networks, network_parameters
from strategies.packed import PackedForward
from strategies.registry import (
    FRESH_STATISTICS,
    Model,
    build_model,
    import_weights,
    initial_model,
)
from strategies.smoke import (
    ENTROPY_FLOOR_NATS,
    PADDED_WINDOWS,
    SMOKE_WINDOWS,
    smoke_problem,
    smoke_windows,
    try_model,
)
from tests.shared import shared_file

SHAPE = Architecture()


def changed(**parameters: FloatArray) -> Model:
    """Return a fresh model with some parameters exchanged, ``__`` for a dot."""
    model = initial_model(1, "2026-01-01")
    names = {name.replace("__", "."): value for name, value in parameters.items()}
    found = {**network_parameters(model.networks), **names}
    networks = build_networks(SHAPE, found)
    return build_model(
        networks, SHAPE, FRESH_STATISTICS, created="2026-01-01", trained_steps=0, note="changed"
    )


def biased(hold: float) -> Model:
    """Return a policy that prefers HOLD by so many nats of log-odds."""
    return changed(actor__fc3__bias=np.array([hold, 0.0, 0.0], dtype=np.float32))


def test_windows_are_fixed_and_look_like_a_market() -> None:
    """The same bits each time, in range, flags 0 or 1, the first ones just opened."""
    windows = smoke_windows(SHAPE)
    assert windows.shape == (SMOKE_WINDOWS, 90)
    assert windows.dtype == np.float32
    assert (windows == smoke_windows(SHAPE)).all()
    states = windows.reshape(SMOKE_WINDOWS, 5, 18)
    assert np.abs(states).max() <= 1.0
    assert (states[:, :, 15] >= 0).all()
    assert set(np.unique(states[:, :, [12, 16, 17]])) == {0.0, 1.0}
    assert not states[:PADDED_WINDOWS, :4].any()
    assert states[:PADDED_WINDOWS, 4].any(axis=1).all()


def test_fresh_and_trained_models_pass() -> None:
    """Close to uniform, and with strong opinions."""
    assert smoke_problem(SHAPE, initial_model(1, "").networks) == ""
    assert smoke_problem(SHAPE, biased(3.0).networks) == ""
    try_model(biased(3.0), "m")


def test_the_phase5_model_passes() -> None:
    """Its mean entropy on these windows is 0.66 nats, far above the floor."""
    model = import_weights(shared_file("weights/phase5.safetensors"), None, "", "")
    assert smoke_problem(SHAPE, model.networks) == ""
    logits = PackedForward(SHAPE, model.networks)(smoke_windows(SHAPE)).logits
    mean = sum(entropy_nats(softmax(row)) for row in logits) / SMOKE_WINDOWS
    assert mean == pytest.approx(0.66, abs=0.02)


def test_a_collapsed_policy_is_refused_with_its_entropy() -> None:
    """One action with 99.9 % in every market is no policy any more."""
    collapsed = biased(8.0)
    problem = smoke_problem(SHAPE, collapsed.networks)
    assert "mean entropy was 0.00" in problem
    assert str(ENTROPY_FLOOR_NATS) in problem
    with pytest.raises(ModelError, match=r"somewhere: smoke decision: .*models rollback"):
        try_model(collapsed, "somewhere")


@pytest.mark.parametrize("net", ["actor", "critic"])
def test_outputs_that_are_not_finite_are_refused(net: str) -> None:
    """Finite weights can overflow: float32 ends at 3.4e38."""
    weight = initial_model(1, "").networks
    shape = network_parameters(weight)[f"{net}.fc3.weight"].shape
    huge = changed(**{f"{net}__fc3__weight": np.full(shape, 3e38, dtype=np.float32)})
    assert "of 64 outputs were not finite" in smoke_problem(SHAPE, huge.networks)
