"""The invariants hold in simulated markets, for every policy, taking and making."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.journal_reading import latest_run, read_journal
from helpers.settings import Settings, load_settings
from simulator.in_process import run_in_process
from tests.scenarios.invariants import check

MINUTES = 4.0
FAIR_VALUE_MINUTES = 8.0
"""A window of five minutes, its resolution up to 90 s later, and the beginning of the next."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("LOSING_STREAK_LIMIT", "100")


@pytest.mark.parametrize(
    ("strategy", "style", "seed"),
    [
        ("momentum", "taker", 1),
        ("momentum", "maker", 2),
        ("random", "taker", 3),
        ("random", "maker", 4),
        ("momentum", "taker", 6),
    ],
)
def test_the_journal_of_a_run_keeps_the_invariants(strategy: str, style: str, seed: int) -> None:
    """Approved before filled, within limits, fees paid, nothing oversold, nothing twice."""
    settings = load_settings(strategy=strategy, execution_style=style)
    run_in_process(seed, MINUTES, settings)
    run = latest_run(Path("backups/journal"))
    assert run is not None
    kinds = check(read_journal(run))
    assert kinds["decision"] > 1000
    assert kinds["fill"] > 0
    assert kinds["taker" if style == "taker" else "maker"] > 0


def test_fair_value_is_paid_out_and_keeps_the_invariants() -> None:
    """What it buys it holds: a window of five minutes is entered, resolved and settled."""
    settings = load_settings(strategy="fair_value", assets="BTC", windows="5m")
    run_in_process(2, FAIR_VALUE_MINUTES, settings)
    run = latest_run(Path("backups/journal"))
    assert run is not None
    kinds = check(read_journal(run))
    assert kinds["decision"] > 1000
    assert kinds["taker"] > 0
    assert kinds["settled"] > 0
