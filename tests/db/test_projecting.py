"""The worker's side of the projector, with the real process and an embedded server."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from db.embedded import serve
from db.journal import Journal
from db.migrate import behind
from helpers import logs
from helpers.clock import RealClock
from helpers.commands import projecting as projecting_module
from helpers.commands.projecting import Projecting
from helpers.commands.run import run_worker
from helpers.domain import Mode
from helpers.settings import Settings, load_settings
from helpers.venues import Venues
from tests.db.journals import counts_in, counts_of, migrated, trade
from tests.db.serving import ROOT, open_folder
from tests.journal_samples import RUN_STARTED, SLUG, at, decision


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that the embedded server's user may pass through."""
    with open_folder() as folder:
        yield folder


def settings_in(folder: Path, **changes: object) -> Settings:
    """Return settings of a worker that keeps everything in a folder."""
    given: dict[str, object] = {
        "database": "auto",
        "journal_directory": folder / "journal",
        "embedded_postgres_directory": folder / "postgres",
        "log_directory": folder / "logs",
    }
    return load_settings(_env_file=None, **{**given, **changes})


@pytest.fixture
def lines(folder: Path) -> Iterator[Path]:
    """Write log lines to a file and return its path."""
    written = logs.configure(
        clock=RealClock(), json_lines=True, directory=folder / "logs", quiet=True
    )
    yield folder / "logs" / "worker.log"
    written.close()


def events(path: Path) -> list[str]:
    """Return what was told, in order."""
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def wait_for(path: Path, event: str, times: int = 1) -> None:
    """Return once an event was told so often."""
    until = time.monotonic() + 30
    while events(path).count(event) < times:
        assert time.monotonic() < until, (event, path.read_text())
        time.sleep(0.05)


async def look(folder: Path, journal: Path) -> None:
    """Assert that a folder's database has its journal, and that every order is explained."""
    async with serve(folder) as url:
        connection = await asyncpg.connect(url)
        assert await counts_in(connection) == counts_of(journal)
        assert await connection.fetch("SELECT * FROM unexplained_orders") == []
        await connection.close()


def test_a_run_that_ends_at_once_is_still_carried_over(folder: Path, lines: Path) -> None:
    """The process may not even have started when the run is over."""
    with (
        Projecting(settings_in(folder)) as projecting,
        Journal.open_run(folder / "journal", Mode.PAPER, at(0)) as journal,
    ):
        projecting.start()
        for seconds, market, body in ((0.0, "", RUN_STARTED), *trade(10.0)):
            journal.append(at(seconds), market, body)
    assert events(lines) == ["database_follows", "database_caught_up"]
    asyncio.run(look(folder / "postgres", folder / "journal"))


def test_a_projector_that_dies_is_started_again_and_told_once(
    folder: Path, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice: two lines of failure, none of the rows lost, the run not held up."""
    monkeypatch.setattr(projecting_module, "RESTART_SECONDS", (0.1,))
    with (
        Projecting(settings_in(folder)) as projecting,
        Journal.open_run(folder / "journal", Mode.PAPER, at(0)) as journal,
    ):
        journal.append(at(0), "", RUN_STARTED)
        journal.commit()
        projecting.start()
        for kill in (1, 2):
            wait_for(lines, "database_follows", kill)
            assert projecting._process is not None
            projecting._process.kill()
            wait_for(lines, "projector_failed", kill)
            journal.append(at(kill), SLUG, decision(float(kill)))
            journal.commit()
        wait_for(lines, "database_follows", 3)
    asyncio.run(look(folder / "postgres", folder / "journal"))


def test_off_starts_nothing(folder: Path, lines: Path) -> None:
    """DATABASE=off: the file journal alone."""
    with Projecting(settings_in(folder, database="off")) as projecting:
        projecting.start()
        assert projecting._thread is None
    assert events(lines) == []
    assert not (folder / "postgres").exists()


def test_no_server_on_this_platform_is_told_once(folder: Path, lines: Path) -> None:
    """A folder that holds other things: the journal alone serves, and the run goes on."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "mine.txt").write_text("mine")
    with Projecting(settings_in(folder)) as projecting:
        projecting.start()
        wait_for(lines, "database_no_server")
    assert events(lines) == ["database_no_server"]


def test_a_fresh_clones_demo_is_in_the_database_when_it_ends(folder: Path) -> None:
    """No DATABASE_URL, no set-up: rows equal the journal's; Ctrl-C ends it in order."""
    command = [sys.executable, str(ROOT / "worker.py"), "demo", "--quiet", "--speed", "20"]
    environment = {**os.environ, "DATABASE": "auto", "LOG_FORMAT": "json"}
    started = subprocess.Popen(
        [*command, "--strategy", "momentum", "--minutes", "60"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    log = folder / "logs" / "worker.log"
    until = time.monotonic() + 60
    while not log.exists() or b"position_closed" not in log.read_bytes():
        assert started.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    # As a terminal does: to every process of its group.
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 0, errors
    assert events(log)[-1] == "database_caught_up"
    journal = folder / "backups" / "journal" / "demo-paper"
    assert counts_of(journal)["fill"] > 1
    asyncio.run(look(folder / "backups" / "postgres", journal))


async def test_a_worker_whose_database_is_behind_does_not_start(
    server_url: str, database_url: str, folder: Path, lines: Path
) -> None:
    """It says which migration is missing; nothing was opened, no lease was taken."""
    settings = settings_in(folder, database_url=database_url, heartbeat_url=None)
    start = partial(run_worker, settings, RealClock(), Venues(), random.Random(1), None)
    assert await asyncio.to_thread(start) == 65
    assert events(lines) == ["database_behind"]
    assert not (folder / "journal").exists()


async def test_a_database_that_is_away_keeps_nobody(folder: Path, database_url: str) -> None:
    """The journal waits for it; up to date, nothing keeps a worker either."""
    assert await behind(f"postgresql://worker@/x?host={folder}/nowhere") == ""
    (await migrated(database_url)).terminate()
    assert await behind(database_url) == ""
