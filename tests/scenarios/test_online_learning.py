"""TRAIN=true under a demo: the worker learns from what it trades, and misses no step for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from db.records import Record
from helpers.domain import GRID_NS, Decision, ModelChanged
from helpers.settings import Settings
from strategies.model_backups import kept_models
from strategies.registry import initial_model, load, load_optimizer, save
from tests.scenarios.running_demo import rows, running, wait_for

MODELS, BACKUPS = Path("models"), Path("backups/models")
UPDATES = 2


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def learned(records: list[Record]) -> list[ModelChanged]:
    return [record.body for record in records if isinstance(record.body, ModelChanged)]


def test_a_demo_learns_and_saves_what_it_learned() -> None:
    """Every update decides from the next grid step on; the files are the last update's."""
    first = save(initial_model(1, "2026-01-01"), MODELS, BACKUPS, 1).model_id
    settings = {"TRAIN": "true", "LEARN_INTERVAL_SECONDS": "0.5", "LOSING_STREAK_LIMIT": "100"}
    options = ("--seed", "3", "--speed", "20", "--strategy", "rl")
    with running(Path("demo.out"), *options, LOG_FORMAT="json", **settings):
        wait_for(1, lambda records: len(learned(records)) > UPDATES)
    records = rows(1)
    changes = learned(records)
    assert {one.change for one in changes} == {"learned"}, "its own files are no news"
    assert [one.replaces for one in changes] == [first, *(one.model_id for one in changes[:-1])]
    decided = [record.body.model_id for record in records if isinstance(record.body, Decision)]
    assert list(dict.fromkeys(decided))[: UPDATES + 1] == [
        first,
        *(one.model_id for one in changes[:UPDATES]),
    ]
    steps = {r.at_ns for r in records if isinstance(r.body, Decision) and r.at_ns % GRID_NS == 0}
    assert len(steps) == (max(steps) - min(steps)) // GRID_NS + 1, "a grid step was missed"

    saved = load(MODELS).manifest
    assert saved.model_id == changes[-1].model_id
    assert saved.parent == first
    assert load_optimizer(MODELS) is not None
    assert [kept.manifest.model_id for kept in kept_models(BACKUPS)] == [first]
    lines = [json.loads(line) for line in Path("logs/worker.log").read_text().splitlines()]
    updates = [line for line in lines if line["event"] == "update"]
    assert len(updates) == len(changes)
    assert all(line["tag"] == "RL" for line in updates)
