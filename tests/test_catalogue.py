"""Every policy can be had by its name, without what it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from strategies.base import Strategy
from strategies.catalogue import STRATEGY_NAMES, build_strategy
from strategies.feature_versions import version_of
from strategies.registry import ModelError
from tests.policy_samples import state

ROOT = Path(__file__).resolve().parents[1]


def _clock() -> float:
    return 0.0


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_every_name_builds_a_policy_that_decides(name: str) -> None:
    """The name asked for is the name it bears, and it decides on a cold state."""
    strategy = build_strategy(
        name,
        model_directory=ROOT / "models",
        seed=1,
        learn_interval_seconds=5.0,
        monotonic_seconds=_clock,
    )
    assert isinstance(strategy, Strategy)
    assert strategy.name == name
    assert strategy.holds_to_resolution == (name == "fair_value")
    (decision,) = strategy.decide([state()])
    assert decision.model_id == strategy.model_id != ""
    assert decision.reason
    strategy.forget(decision.market)


def test_the_learned_policy_gets_its_interval() -> None:
    """A choice stands as long as the setting says, and no longer."""
    strategy = build_strategy(
        "rl",
        model_directory=ROOT / "models",
        seed=1,
        learn_interval_seconds=1.0,
        monotonic_seconds=_clock,
    )
    version = version_of(strategy)
    seen = (state(seconds=step / 2, version=version) for step in range(4))
    reasons = [strategy.decide([one])[0].reason for one in seen]
    assert [reason.startswith("stance of") for reason in reasons] == [False, True, False, True]


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    """The error lists what there is."""
    with pytest.raises(ValueError, match="'martingale', expected one of rl, momentum"):
        build_strategy(
            "martingale",
            model_directory=ROOT / "models",
            seed=1,
            learn_interval_seconds=5.0,
            monotonic_seconds=_clock,
        )


def test_missing_model_is_refused(tmp_path: Path) -> None:
    """The learned policy does not start without a verified model (I8)."""
    with pytest.raises(ModelError, match="No such file"):
        build_strategy(
            "rl",
            model_directory=tmp_path,
            seed=1,
            learn_interval_seconds=5.0,
            monotonic_seconds=_clock,
        )


def test_baselines_do_not_load_mlx() -> None:
    """Only the learned policy imports MLX."""
    program = (
        "import sys; from pathlib import Path;"
        "from strategies.catalogue import build_strategy as b;"
        "[b(n, model_directory=Path(), seed=1, learn_interval_seconds=5.0,"
        " monotonic_seconds=float) for n in "
        "('momentum', 'mean_revert', 'fade_spike', 'fair_value', 'random')];"
        "sys.exit('mlx.core' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
