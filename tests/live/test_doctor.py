"""The doctor against the simulated venues: all green, and each fault makes its own line red."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.commands import doctor
from helpers.commands.doctor_demo import AILMENT_NAMES
from helpers.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("STRATEGY", "momentum")
    monkeypatch.setenv("ASSETS", "BTC")


def looked(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict[str, str]]]:
    code = doctor.main(["--demo", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_all_is_green_at_sound_venues(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line ok, none skipped."""
    code, rows = looked(capsys)
    assert code == 0
    assert {row["state"] for row in rows} == {"ok"}
    assert {row["name"] for row in rows} == {*AILMENT_NAMES, "signed order"}


@pytest.mark.parametrize("broken", AILMENT_NAMES)
def test_each_fault_makes_exactly_its_line_red_and_says_the_fix(
    broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What depends on it is skipped, not red."""
    code, rows = looked(capsys, "--break", broken)
    assert code == 69
    failed = [row for row in rows if row["state"] == "failed"]
    assert [row["name"] for row in failed] == [broken]
    assert failed[0]["fix"]
    assert len(failed[0]["found"]) > 10


def test_the_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The failed line, its fix below it, and the count; no colour outside a terminal."""
    assert doctor.main(["--demo", "--break", "region"]) == 69
    out = capsys.readouterr().out
    assert "FAILED   region" in out
    assert "fix: run from a region the venue serves" in out
    assert "1 of 15 failed" in out
    assert "\x1b" not in out


def test_what_cannot_be_broken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, exit 2."""
    assert doctor.main(["--demo", "--break", "the bank"]) == 2
    assert "cannot break 'the bank'" in capsys.readouterr().err


def test_a_test_alert_is_sent_and_its_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Freqtrade #10260: a webhook that does not work is found before it is needed."""
    code, rows = looked(capsys, "--alert")
    assert code == 0
    assert rows[-1] == {
        "name": "alert",
        "state": "ok",
        "found": "a test message arrived (message 1)",
        "fix": "",
    }
