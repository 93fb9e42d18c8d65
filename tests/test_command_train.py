"""``worker.py train``: learns, keeps what it learned, goes on, and refuses what would lose it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import worker
from helpers.commands.train import CurvePoint
from strategies.registry import load, load_optimizer

SMALL = ("--environments", "1")


@pytest.fixture(autouse=True)
def small_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """One market of five minutes is learned from as well as four of fifteen, and sooner."""
    monkeypatch.setenv("WINDOWS", "5m")
    monkeypatch.setenv("ASSETS", "BTC")
    monkeypatch.setenv("LEARN_INTERVAL_SECONDS", "1")


def curve(folder: Path) -> list[CurvePoint]:
    lines = (folder / "curve.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=CurvePoint) for line in lines]


def test_it_learns_keeps_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model's folder with its optimizer; resumed, it counts on; other work is not overwritten."""
    folder = tmp_path / "trained"
    own = ["train", *SMALL, "--output", str(folder), "--seed", "4"]
    assert worker.main([*own, "--steps", "300"]) == 0
    assert f"updates, in {folder}" in capsys.readouterr().out
    first = load(folder).manifest
    assert first.trained_steps >= 300
    assert first.seed == 4
    assert first.data == "the calibrated simulator"
    state = load_optimizer(folder)
    assert state is not None
    assert int(state["updates"]) == len(curve(folder)) == first.metrics["training_updates"]

    assert worker.main([*own, "--steps", "600"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert load(folder).manifest == first

    assert worker.main([*own, "--steps", "600", "--resume"]) == 0
    second = load(folder).manifest
    assert second.trained_steps >= 600
    assert second.model_id != first.model_id
    points = curve(folder)
    assert [point.learned.progress.updates for point in points] == list(range(1, len(points) + 1))
    kept = [load(place).manifest.model_id for place in (folder / "checkpoints").iterdir()]
    assert kept == [first.model_id]

    other = [*own[:-1], "5", "--steps", "900", "--resume"]
    assert worker.main(other) == 2
    assert "seed 4" in capsys.readouterr().err
    assert load(folder).manifest == second


def test_it_begins_from_a_model(tmp_path: Path) -> None:
    """The parent is in the manifest, the weights are not the parent's any more."""
    begun, parent = tmp_path / "begun", load(Path("models")).manifest.model_id
    words = ["train", *SMALL, "--steps", "1", "--output", str(begun), "--from", "models"]
    assert worker.main(words) == 0
    manifest = load(begun).manifest
    assert manifest.parent == parent
    assert manifest.model_id != parent


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--steps", "0"), 2, "--steps was 0"),
        (("--environments", "65"), 2, "--environments was 65"),
        (("--resume", "--from", "models"), 2, "one of the two"),
        (("--resume",), 2, "no training to go on with"),
        (("--from", "nowhere"), 66, "nowhere"),
        (("no-tape.jsonl",), 66, "no-tape.jsonl"),
    ],
)
def test_wrong_words_lose_nothing(
    words: tuple[str, ...],
    code: int,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is told, and nothing is written."""
    output = tmp_path / "output"
    try:
        found = worker.main(["train", *words, "--output", str(output)])
    except SystemExit as ended:
        found = ended.code
    assert found == code
    assert told in capsys.readouterr().err
    assert not (output / "rl_model.json").exists()
