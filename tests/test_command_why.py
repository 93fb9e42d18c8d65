"""``worker.py why`` answers from the journal, and says plainly when it cannot."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

import worker
from db.explain_report import MarketReport, Report
from db.journal import Journal
from helpers.commands import why
from helpers.domain import Body, Mode
from tests.journal_samples import OPENS_NS, RUN_STARTED, SLUG, STORY, at, decision, refused

REPOSITORY = Path(__file__).resolve().parents[1]


def write(
    folder: Path, rows: list[tuple[float, str, Body]] = STORY, mode: Mode = Mode.REPLAY
) -> Path:
    """Write one run and return its folder."""
    with Journal.open_run(folder, mode, OPENS_NS) as journal:
        for seconds, market, body in rows:
            journal.append(at(seconds), market, body)
    return journal.run


def ask(folder: Path, *words: str) -> int:
    """Run the command with these words."""
    parser = argparse.ArgumentParser()
    why.add_arguments(parser)
    return why.run(parser.parse_args(["--journal", str(folder), *words]))


def test_the_latest_run_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments: a table of markets, then entries and refusals."""
    write(tmp_path, [(0.0, "", RUN_STARTED), (1.0, "eth-old", decision(1.0))])
    run = write(tmp_path)
    assert ask(tmp_path) == 0
    text = capsys.readouterr().out
    assert "eth-old" not in text
    assert "MARKET" in text
    assert "ENTRIES, 1\n" in text
    assert "REFUSALS, 1\n" in text
    for path in (run, run / "000001.jsonl"):
        assert ask(path) == 0
        assert capsys.readouterr().out == text


def test_the_verb_looks_where_the_settings_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``worker.py why`` reads the journal that ``worker.py`` writes."""
    write(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOURNAL_DIRECTORY", "elsewhere")
    assert worker.main(["why", "--last", "1"]) == 0
    assert "ENTRIES, 1\n" in capsys.readouterr().out
    monkeypatch.setenv("JOURNAL_DIRECTORY", "nowhere")
    assert worker.main(["why"]) == 2
    assert str(tmp_path / "nowhere") in capsys.readouterr().err
    monkeypatch.setenv("TRADE_SIZE", "a lot")
    assert worker.main(["why"]) == 78


def test_one_market_in_detail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A market's own view says how often it decided what, and why."""
    write(tmp_path)
    assert ask(tmp_path, "--market", SLUG) == 0
    assert "invalid         1 x  one_sided book" in capsys.readouterr().out


def test_a_market_that_is_not_there_is_told_with_a_near_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped slug costs one look, not a search."""
    write(tmp_path)
    assert ask(tmp_path, "--market", SLUG[:-1]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert SLUG in captured.err


def test_no_journal_names_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says where it looked."""
    assert ask(tmp_path / "nothing") == 2
    assert str(tmp_path / "nothing") in capsys.readouterr().err
    write(tmp_path / "demo-paper")
    assert ask(tmp_path) == 2
    assert f"--journal {tmp_path / 'demo-paper'}" in capsys.readouterr().err
    (tmp_path / "control_paper.jsonl").write_bytes(b"")  # beside the journals, and none of them
    assert ask(tmp_path) == 2


@pytest.mark.parametrize(
    ("since", "decisions"),
    [
        ("1h", 5),
        ("84", 4),
        ("30s", 1),
        ("2026-03-28T00:00:10", 2),
        ("2026-03-28T01:00:10+01:00", 2),
    ],
)
def test_since_counts_back_from_the_last_row_or_from_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], since: str, decisions: int
) -> None:
    """Durations need no clock, so a dead worker's last hour can be asked for."""
    write(tmp_path)
    assert ask(tmp_path, "--json", "--since", since) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["markets"][0]["decisions"] == decisions


def test_since_reads_earlier_runs_of_the_same_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A restart in between hides nothing, and a replay in between is not mixed in."""
    start: tuple[float, str, Body] = (0.0, "", RUN_STARTED)
    write(tmp_path, [start, (10.0, SLUG, refused(10.0))], Mode.PAPER)
    write(tmp_path, [start, (5000.0, SLUG, refused(5000.0))], Mode.PAPER)
    write(tmp_path, [start, (5500.0, SLUG, refused(5500.0))], Mode.REPLAY)
    write(tmp_path, [(6000.0, "", RUN_STARTED), (6000.0, SLUG, refused(6000.0))], Mode.PAPER)
    assert ask(tmp_path, "--json", "--since", "1h") == 0
    report = json.loads(capsys.readouterr().out)
    assert [run["mode"] for run in report["runs"]] == ["paper", "paper"]
    assert report["markets"][0]["refusals_by_rule"] == [{"name": "spread_ceiling", "count": 2}]


@pytest.mark.parametrize("since", ["x", "1w", "-5", "2026-13-01", ""])
def test_a_since_that_means_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], since: str
) -> None:
    """The message says what was given and what is expected."""
    write(tmp_path)
    assert ask(tmp_path, f"--since={since}") == 2
    assert "expected 1h" in capsys.readouterr().err


@pytest.mark.parametrize("last", ["0", "1001", "ten", "-1"])
def test_last_is_bounded(tmp_path: Path, last: str) -> None:
    """A number outside the bound is a usage error."""
    with pytest.raises(SystemExit) as error:
        ask(tmp_path, "--last", last)
    assert error.value.code == 2


def test_damage_is_told_after_what_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows before the damage are explained, the line is named, and the exit code says so."""
    segment = write(tmp_path) / "000001.jsonl"
    content = segment.read_bytes().replace(b'"tape ended"', b'"tape bended"')
    segment.write_bytes(content)
    assert ask(tmp_path) == 70
    text = capsys.readouterr().out
    assert f"line {len(STORY) + 1}: checksum does not match" in " ".join(text.split())
    assert "ENTRIES, 1\n" in text


def test_a_torn_tail_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A crash costs the last row, not the answer."""
    segment = write(tmp_path) / "000001.jsonl"
    segment.write_bytes(segment.read_bytes()[:-9])
    assert ask(tmp_path) == 0
    assert "torn last line dropped" in capsys.readouterr().out


def test_json_keys_are_those_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keys that scripts rely on are the documented fields."""
    write(tmp_path)
    assert ask(tmp_path, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == list(Report.__struct_fields__)
    assert list(report["markets"][0]) == list(MarketReport.__struct_fields__)
    assert why.__doc__ is not None
    for key in ("since_ns", "rows", "runs", "markets", "moments", "warnings"):
        assert key in report
        assert f"``{key}``" in why.__doc__


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """``why | head`` ends quietly."""
    write(tmp_path)
    script = (
        "import argparse, sys; from helpers.commands import why; p = argparse.ArgumentParser(); "
        "why.add_arguments(p); sys.stdin.readline(); sys.exit(why.run(p.parse_args()))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "--journal", str(tmp_path)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asking:
        assert asking.stdin is not None
        assert asking.stdout is not None
        assert asking.stderr is not None
        asking.stdout.close()
        asking.stdin.write(b"\n")
        asking.stdin.close()
        assert asking.stderr.read() == b""
        assert asking.wait() == 0
