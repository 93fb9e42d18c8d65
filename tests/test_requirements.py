"""The exported requirements hold what the project asks for, hashed, and no host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPORTED = (ROOT / "requirements.txt").read_text()
PINNED = re.compile(r"^([a-z0-9_.-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", re.MULTILINE | re.IGNORECASE)


def test_every_dependency_is_exported_in_its_version() -> None:
    """The image installs what the tests ran with (I9); the official client is one of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {match.groups() for text in project["dependencies"] for match in PINNED.finditer(text)}
    assert len(wanted) == len(project["dependencies"])
    assert {("polymarket-client", "0.14.0"), ("eth-account", "0.13.7")} <= wanted
    assert wanted <= set(PINNED.findall(EXPORTED))


def test_everything_exported_has_a_hash_and_no_host() -> None:
    """`--require-hashes` works, and nobody's index is named."""
    entries = re.split(r"\n(?=[a-z0-9])", EXPORTED, flags=re.IGNORECASE)
    assert len(entries) > 20
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in EXPORTED
    assert "index-url" not in EXPORTED
