"""How `worker.py why` reads journals: which runs, from when on, and what was met on the way.

Must not: need a database, or print.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from db.explain import Explainer
from db.explain_report import Report
from db.journal import JournalDamagedError, JournalFaults, latest_run, list_runs, read_journal
from db.journal_folder import began_ns
from db.journal_reading import RunFolder, last_moment_ns, list_segments
from db.projector import journal_folders
from db.query_results import Book
from helpers.commands.database_reading import book_of
from helpers.commands.spans import EXPECTED, parse_moment_ns
from helpers.domain import Message, Mode


class NoAnswerError(Exception):
    """There is nothing to explain as it was asked; the text says why."""


class Asked(Message, frozen=True):
    """What is asked."""

    since: str | None
    market: str
    """Empty for all."""
    last: int


class Answer(NamedTuple):
    """The report, and whether the journal is damaged: what lies before the damage is told."""

    report: Report
    damaged: bool


def since_ns_of(asked: Asked, last_ns: int) -> int:
    """Return the moment asked for, 0 for none; raises ``NoAnswerError`` where it means nothing."""
    if asked.since is None:
        return 0
    since_ns = parse_moment_ns(asked.since, last_ns)
    if since_ns is None:
        raise NoAnswerError(f"--since was {asked.since!r}, expected {EXPECTED}")
    return since_ns


def explain_journal(journal: Path, asked: Asked) -> Answer:
    """Explain the latest run of a folder, one run, or one segment.

    Raises ``NoAnswerError``, and ``JournalError`` for what cannot be read.
    """
    paths = _choose_runs(journal)
    if not paths:
        raise NoAnswerError(
            f"no journal was found in {journal.resolve()}: nothing has run yet{_demos(journal)}"
        )
    return _explain(paths, asked)


def explain_run(run: RunFolder, asked: Asked) -> Answer:
    """Explain one run, with those of its mode before it as far as asked; raises as above."""
    return _explain(_up_to(run), asked)


def newest_run(root: Path, books: Collection[Book], *, replays: bool) -> RunFolder | None:
    """Return the run of some books, or a replay, that was begun last on this disk."""
    newest: list[RunFolder] = []
    for folder in journal_folders(root):
        runs = [
            run
            for run in list_runs(folder.path)
            if (replays if run.mode is Mode.REPLAY else book_of(folder, run.mode) in books)
            if list_segments(run.path)
        ]
        newest += runs[-1:]
    return max(newest, key=lambda run: began_ns(run.path), default=None)


def read_into(explainer: Explainer, path: Path, faults: JournalFaults) -> str:
    """Let a report take a run's rows; return the damage after which there are none, or nothing."""
    try:
        for record in read_journal(path, faults):
            explainer.add(record)
    except JournalDamagedError as error:
        return f"{error}; rows after it are not told"
    return ""


def _choose_runs(journal: Path) -> list[Path]:
    # Candidates, oldest first; the last one is what is explained by default.
    if journal.is_file():
        return [journal]
    runs = list_runs(journal)
    if not runs:
        return [journal] if journal.is_dir() and list_segments(journal) else []
    newest = latest_run(journal)
    return [path for run in runs if run.path == newest for path in _up_to(run)]


def _up_to(run: RunFolder) -> list[Path]:
    runs = list_runs(run.path.parent)
    return [other.path for other in runs if other.mode is run.mode and other.number <= run.number]


def _demos(journal: Path) -> str:
    # A demo keeps its journal apart from a real worker's.
    found = [str(path) for path in sorted(journal.glob("demo-*")) if list_runs(path)]
    return f"; a demo's journal is read with --journal {' or '.join(found)}" if found else ""


def _reaching_back(paths: Sequence[Path], since_ns: int) -> list[Path]:
    chosen = list(paths[-1:])
    # Replays of one tape would only repeat each other.
    if not since_ns or chosen[0].name.endswith(Mode.REPLAY.value):
        return chosen
    for path in reversed(paths[:-1]):
        last_ns = last_moment_ns(path)
        if last_ns is not None and last_ns < since_ns:
            break
        chosen.insert(0, path)
    return chosen


def _explain(paths: Sequence[Path], asked: Asked) -> Answer:
    last_ns = 0 if asked.since is None else last_moment_ns(paths[-1]) or 0
    since_ns = since_ns_of(asked, last_ns)
    explainer = Explainer(since_ns, asked.market, asked.last)
    faults = JournalFaults()
    damages = [read_into(explainer, path, faults) for path in _reaching_back(paths, since_ns)]
    warnings = [*torn_warnings(faults), *filter(None, damages)]
    return Answer(explainer.report(faults.unknown_kinds.items(), warnings), any(damages))


def torn_warnings(faults: JournalFaults) -> list[str]:
    """Return what is said of a last line that was cut short."""
    return [] if faults.torn_tail is None else [f"{faults.torn_tail}; a crash leaves that"]
