"""`worker.py config`: effective values, their source, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.commands import config
from helpers.settings import Settings

CANARY = "canary-7f3a91c2d4"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_setting_is_shown_with_its_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line a setting: name, value, source, bounds."""
    monkeypatch.setenv("TRADE_SIZE", "25")
    assert config.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(Settings.model_fields)
    (line,) = [line for line in lines if line.startswith("TRADE_SIZE ")]
    assert line.split() == ["TRADE_SIZE", "25", "environment", "1", "to", "1000"]


def test_a_secret_is_stars(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """I35: set secrets are masked, unset ones say so."""
    for part in ("KEY", "SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"POLYMARKET_API_{part}", CANARY)
    assert config.main([]) == 0
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err
    assert shown.out.count("********") == 3


def test_wrong_settings_end_with_78_and_a_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines name the variables; the typo is told as well."""
    monkeypatch.setenv("TRADE_SIZE", "lots")
    monkeypatch.setenv("MAXIMUM_POSITIONS", "0")
    assert config.main([]) == 78
    error = capsys.readouterr().err
    assert "  TRADE_SIZE: " in error
    assert "  MAXIMUM_POSITIONS: " in error
    assert "lots" not in error


def test_a_typo_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """I12: an unknown name that looks like ours is pointed at."""
    monkeypatch.setenv("MAXIMUM_POSITION", "3")
    assert config.main([]) == 0
    assert "MAXIMUM_POSITION is not a setting" in capsys.readouterr().err
