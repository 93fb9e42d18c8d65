"""A model of each feature version loads, is given its own features, and passes its own gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.commands.composition import build_flow, run_started
from helpers.commands.outlets import NoJournal
from helpers.domain import FEATURE_VERSION, FUSION_VERSION, Body, Decision, Mode, Refused
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings
from strategies.base import ModelError
from strategies.models import FRESH_STATISTICS, Model, build_model
from strategies.networks import ActorCritic, Architecture
from strategies.registry import load, save
from strategies.rl_mlx import RLStrategy
from tests.scenarios.tapes import frames


def a_model(version: str) -> Model:
    shape = Architecture()
    return build_model(
        ActorCritic(shape),
        shape,
        FRESH_STATISTICS,
        created="2026-07-01",
        trained_steps=0,
        note="untrained",
        feature_version=version,
    )


class Rows:
    """An outlet that keeps decisions and refusals."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.rules: set[str] = set()

    def write(self, at_ns: int, market: str, body: Body) -> None:
        assert at_ns
        assert isinstance(market, str)
        if isinstance(body, Decision):
            self.decisions.append(body)
        elif isinstance(body, Refused):
            self.rules |= {failure.rule for failure in body.failures}

    def commit(self) -> None: ...


@pytest.mark.parametrize("version", [FEATURE_VERSION, FUSION_VERSION])
def test_a_model_is_given_its_own_features(version: str, tmp_path: Path) -> None:
    """From its manifest through the flow; the first row of a run names the version."""
    save(a_model(version), tmp_path, tmp_path / "backups", 1)
    strategy = RLStrategy(load(tmp_path))
    assert strategy.feature_version == version
    settings, rows = Settings.model_validate({"windows": "15m"}), Rows()
    flow = build_flow(
        settings, Mode.REPLAY, NoJournal(), allow_cold=True, strategy=strategy, keepers=(rows,),
        narrated=False,
    )  # fmt: skip
    ingest = Ingest()
    for at, source_text, raw in frames(seconds=120):
        source = Ingest.source_of(source_text)
        assert source is not None
        for event in ingest.parse(source, raw, round(at * 1e9)):
            flow.engine.on_event(event)
    valid = [decision for decision in rows.decisions if any(decision.features)]
    assert len(valid) > 100
    assert "p_" in valid[-1].reason
    assert "feature_version" not in rows.rules
    assert run_started(settings, strategy, "r", "").feature_version == version


def test_a_running_strategy_adopts_no_model_of_another_version() -> None:
    """Its histories hold features of the old one."""
    strategy = RLStrategy(a_model(FEATURE_VERSION))
    with pytest.raises(ValueError, match="fusion"):
        strategy.adopt(a_model(FUSION_VERSION))
    strategy.adopt(a_model(FEATURE_VERSION))


def test_names_must_be_those_of_the_version(tmp_path: Path) -> None:
    """A manifest that gives one version's names to another is refused."""
    save(a_model(FUSION_VERSION), tmp_path, tmp_path / "backups", 1)
    manifest = tmp_path / "rl_model.json"
    manifest.write_text(manifest.read_text().replace('"fusion"', '"phase5"'))
    with pytest.raises(ModelError, match="feature version"):
        load(tmp_path)
    with pytest.raises(KeyError):
        a_model("phase4")
