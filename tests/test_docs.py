"""The README tells the truth: settings, verbs, tags and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

import worker
from helpers.commands.config import shown
from helpers.domain import AlertKind, AlertOutcome
from helpers.logs import Tag
from helpers.metrics import documentation
from helpers.settings import Settings, load_settings
from helpers.settings_words import bounds_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def settings_table() -> str:
    """Return the table the README must hold."""
    defaults = load_settings(_env_file=None)
    rows = ["| setting | default | allowed | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = field.default if field.default is not None else None
        text = shown(getattr(defaults, name)) if value is not None else ""
        rows.append(f"| `{name.upper()}` | {text} | {bounds_of(field)} | {field.description} |")
    return "\n".join(rows)


def test_readme_lists_every_setting_with_its_default_and_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The settings table is the settings."""
    monkeypatch.delenv("DATABASE")
    monkeypatch.delenv("DASHBOARD_PORT")
    table = README.split("<!-- settings -->")[1].split("<!-- /settings -->")[0].strip()
    assert table == settings_table(), f"the README's table must be:\n\n{settings_table()}\n"


def test_readme_lists_every_verb() -> None:
    """No verb is undocumented."""
    table = README.split("## Verbs")[1].split("Two replays")[0]
    for verb in worker.VERBS:
        assert f"`{verb}" in table, verb


def test_readme_lists_every_tag() -> None:
    """Every tag people may grep for is explained."""
    assert all(f"`{tag.value}`" in README for tag in Tag)


def test_readme_lists_every_alert() -> None:
    """U19: nobody is told of anything that is not explained."""
    table = README.split("## Alerts on Discord")[1].split("## Settings")[0]
    told = [*AlertKind, *AlertOutcome]
    assert [one.value for one in told if f"`{one.value}`" not in table] == []


def test_every_metric_is_documented() -> None:
    """The table of metrics is the registry's."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    table = text.split("<!-- metrics -->")[1].split("<!-- /metrics -->")[0].strip()
    assert table == documentation(), f"docs/metrics.md must hold:\n\n{documentation()}\n"


def test_the_example_environment_names_settings_only() -> None:
    """.env.example holds no name the settings do not know, and no secret."""
    names = [
        line.lstrip("# ").split("=")[0]
        for line in (ROOT / ".env.example").read_text().splitlines()
        if "=" in line
    ]
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)
