"""The worker's side of the projector: starts its process, keeps it running, lets it drain.

A thread of its own does all of it, so nothing here can hold up the event loop; the worker never
waits for a database before the run is over and its journal closed. Must not: let a process outlive
the worker, or end a run because of it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, Self

import msgspec

from db.journal_folder import DEMO_FOLDERS
from db.projector_process import DRAIN, EXIT_UNAVAILABLE, Order, ProjectorState, Told
from helpers.commands.composition import ROOT
from helpers.logs import Log, Tag, logger
from helpers.settings import Settings

DRAIN_SECONDS: Final = 10.0
"""Longest wait at the end of a run; what is left then, the next start carries over."""
DEMO_DRAIN_SECONDS: Final = 120.0
"""A demo runs many times faster than its rows go in, and nobody kills it meanwhile."""
END_SECONDS: Final = 15.0
"""For the process, and the embedded server that it runs, to end in order."""
RESTART_SECONDS: Final = (1.0, 5.0, 30.0, 60.0)
NO_DATABASE: Final = "the file journal alone serves; the next start with a database catches up"


class Projecting:
    """The projector of one run, from ``start`` until the block is left."""

    def __init__(self, settings: Settings) -> None:
        """Take where the journal is and where it goes; nothing is started yet."""
        self._on = settings.database == "auto"
        self._order = _order(settings)
        demo = settings.journal_directory.name in DEMO_FOLDERS
        self._drain_seconds = DEMO_DRAIN_SECONDS if demo else DRAIN_SECONDS
        self._log: Log = logger(Tag.HEALTH)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._last_line = ""

    def __enter__(self) -> Self:
        """Return it; leaving the block lets it drain and ends it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Carry over what is left, within a bounded time."""
        self.stop()

    def start(self) -> None:
        """Start beside the run and return at once."""
        if self._on and self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="projecting", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let it carry over what is left, then end it; call when the journal is closed."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._lock:
            self._stopping.set()
            self._send_drain()
        thread.join(self._drain_seconds)
        if thread.is_alive():
            self._log.warning("database_not_caught_up", next=NO_DATABASE)
            with self._lock:
                self._close_input()
            thread.join(END_SECONDS)
        if thread.is_alive() and self._process is not None:
            self._process.kill()
            thread.join()

    @property
    def process_id(self) -> int | None:
        """Return the system's number of the process that runs now."""
        process = self._process
        return None if process is None else process.pid

    # --- The thread ------------------------------------------------------------------------------

    def _keep(self) -> None:
        while True:
            code = self._run_once()
            if self._stopping.is_set() or code == EXIT_UNAVAILABLE:
                return
            if not self._failures:
                why = self._last_line or f"it ended with {code}"
                self._log.error("projector_failed", why=why, next="it is started again")
            wait = RESTART_SECONDS[min(self._failures, len(RESTART_SECONDS) - 1)]
            self._failures += 1
            self._stopping.wait(wait)
            if self._stopping.is_set():
                return

    def _run_once(self) -> int:
        with self._lock:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "db.projector_process"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # An interrupt typed at the terminal is for the worker: this one still drains.
                start_new_session=True,
            )
            self._write(msgspec.json.encode(self._order) + b"\n")
            if self._stopping.is_set():
                self._send_drain()
        assert process.stdout is not None, "it was asked for"
        for line in process.stdout:
            self._hear(line)
        code = process.wait()
        with self._lock:
            self._close_input()
            self._process = None
        process.stdout.close()
        return code

    def _hear(self, line: bytes) -> None:
        try:
            told = msgspec.json.decode(line, type=Told)
        except msgspec.DecodeError:
            # The last words of a process that fails: a traceback's last line says why.
            self._last_line = line.decode(errors="replace").strip() or self._last_line
            return
        match told.state:
            case ProjectorState.FOLLOWING:
                self._failures = 0
                self._log.info("database_follows", journal=self._order.folders[0][0])
            case ProjectorState.AWAY | ProjectorState.BEHIND | ProjectorState.NO_SERVER:
                self._log.warning(f"database_{told.state}", why=told.detail, next=NO_DATABASE)
            case ProjectorState.DAMAGED | ProjectorState.LOST | ProjectorState.FAULT:
                self._log.error(f"journal_{told.state}_for_database", why=told.detail)
            case ProjectorState.DRAINED:
                self._log.info("database_caught_up")

    # --- Its input -------------------------------------------------------------------------------

    def _send_drain(self) -> None:
        self._write(DRAIN)

    def _write(self, text: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            # Ended already: what it printed, or its exit code, says why.
            with contextlib.suppress(BrokenPipeError, ValueError):
                self._process.stdin.write(text)
                self._process.stdin.flush()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


def _order(settings: Settings) -> Order:
    url, direct = settings.database_url, settings.database_direct_url
    folder = settings.journal_directory.absolute()
    return Order(
        url="" if url is None else url.get_secret_value(),
        direct_url="" if direct is None else direct.get_secret_value(),
        embedded_directory=str(Path(settings.embedded_postgres_directory).absolute()),
        folders=((str(folder), folder.name in DEMO_FOLDERS),),
        detail_days=settings.database_detail_days,
    )
