"""README and docs tell the truth: settings, verbs, tags, alerts, causes; links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import worker
from helpers.commands.config import shown
from helpers.domain import AlertKind, AlertOutcome, HoldCause
from helpers.logs import Tag
from helpers.metrics import documentation
from helpers.settings import Settings, load_settings
from helpers.settings_words import bounds_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


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
    table = OPERATIONS.split("## Alerts on Discord")[1].split("\n## ")[0]
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


def test_operations_explain_every_cause_that_holds_entries() -> None:
    """Whatever stops a trader has a row: what it means, what to do."""
    table = OPERATIONS.split("## What holds entries")[1].split("\n## ")[0]
    missing = [cause.value for cause in HoldCause if f"`{cause.value}`" not in table]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    """A stranger who clicks arrives."""
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_keeps_the_commands_of_a_first_visit() -> None:
    """The two commands and the tests', as a stranger types them."""
    for command in ("uv run worker.py demo ", "uv run worker.py  ", "uv run pytest"):
        assert f"    {command}" in README


def test_what_is_documented_to_be_typed_are_verbs() -> None:
    """No page tells to type a verb that is not there."""
    typed = re.compile(r"^ +(?:uv run worker\.py|fly ssh console.* -C \"worker) ([a-z]+)")
    for page in PAGES:
        for line in page.read_text().splitlines():
            if found := typed.match(line):
                assert found[1] in worker.VERBS, (page.name, line)
