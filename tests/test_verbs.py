"""The terminal: every verb's help, its example and exit codes; what a stranger mistypes."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

import worker
from helpers.commands.terminal import wants_colour
from helpers.commands.verbs import EXITS, GROUPS, VERBS
from helpers.settings import Settings

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
ANSWERS_IN_JSON = (
    *("backtest", "compare", "config", "doctor", "markets", "status", "trades", "why"),
)
"""Verbs that bring data; `models` has it in `list` and `show`."""


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        worker.main([*words, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_has_an_example_and_the_exit_codes(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One text a verb: what it does, how it is typed, how it ends; no wider than a terminal."""
    shown = help_of([verb], capsys)
    assert all(f"  {one}\n" in shown for one in VERBS[verb].examples)
    assert any(verb in one or verb == "run" for one in VERBS[verb].examples)
    assert [code for code in VERBS[verb].exits if f"\n  {code:>3}  " not in shown] == []
    assert max(len(line) for line in shown.splitlines()) <= 100


@pytest.mark.parametrize("verb", ["list", "show", "promote", "rollback"])
def test_each_verb_of_models_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The four are verbs like the others."""
    assert f"example: worker.py models {verb}" in help_of(["models", verb], capsys)


@pytest.mark.parametrize("verb", ANSWERS_IN_JSON)
def test_data_comes_as_json_too(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes a script need not parse a table."""
    assert "--json" in help_of([verb], capsys)


def test_the_verbs_stand_in_their_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """`worker.py --help` is a map, on a terminal of a hundred columns."""
    assert worker.main(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"\n{group}\n") for group in GROUPS]
    assert places == sorted(places)
    assert {told.group for told in VERBS.values()} == set(GROUPS)
    assert max(len(line) for line in shown.splitlines()) <= 100


@pytest.mark.parametrize(
    ("typed", "meant"), [("dmo", "demo"), ("stauts", "status"), ("rollback", ""), ("xyzzy", "")]
)
def test_an_unknown_verb_is_answered_with_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a suggestion, where there is a near one."""
    assert worker.main([typed]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert f"no verb '{typed}'" in first
    assert ("Did you mean" in first) == bool(meant)
    assert meant in first


def test_the_readme_has_every_exit_code() -> None:
    """U19: the table is the code's."""
    table = README.split("<!-- exit codes -->")[1].split("<!-- /exit codes -->")[0].strip()
    rows = "\n".join(f"| {code} | {text} |" for code, text in EXITS.items())
    assert table == f"| code | what it means |\n|---|---|\n{rows}"


def test_every_verb_ends_with_documented_codes_only() -> None:
    """What a verb may return is in the table of all."""
    assert {code for told in VERBS.values() for code in told.exits} <= set(EXITS)
    sources = Path(worker.__file__).parent / "helpers" / "commands"
    named = re.compile(r"^(?:EXIT_\w+): Final = (\d+)$", re.MULTILINE)
    found = {int(code) for path in sources.glob("*.py") for code in named.findall(path.read_text())}
    assert found <= set(EXITS)


def test_config_as_json_masks_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every setting with value, source and bounds; no secret."""
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", "0x" + "c0ffee" + "1" * 58)
    monkeypatch.setenv("TRADE_SIZE", "25")
    assert worker.main(["config", "--json"]) == 0
    shown = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(shown)}
    assert set(rows) == {name.upper() for name in Settings.model_fields}
    assert rows["TRADE_SIZE"]["value"] == "25"
    assert rows["TRADE_SIZE"]["source"] == "environment"
    assert rows["TRADE_SIZE"]["allowed"] == "1 to 1000"
    assert "c0ffee" not in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["demo", "--seed", "-1"], "--seed was -1, expected 0 or more"),
        (["demo", "--minutes", "x"], "was x, expected a number"),
        (["record", "--minutes", "x"], "was x, expected a number"),
        (["status", "--watch", "abc"], "was abc, expected a number"),
    ],
)
def test_a_wrong_number_is_told_in_words(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not by the name of our function, nor by a stack trace of a library's."""
    with pytest.raises(SystemExit) as left:
        worker.main(arguments)
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_colour_is_for_terminals_whose_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colour in a file or a pipe, none with NO_COLOR."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())


@pytest.mark.parametrize("seconds", ["0", "0.1", "7200", "soon"])
def test_watch_has_bounds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A status that is asked without a pause would be load, not a look."""
    with pytest.raises(SystemExit) as left:
        worker.main(["status", "--watch", seconds])
    assert left.value.code == 2
    assert "--watch" in capsys.readouterr().err
