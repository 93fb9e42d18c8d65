"""A demo with its dashboard, as a process that a test may kill and start again on its port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.db.serving import ROOT

TOKEN = "a-token-of-the-tests-only"
START_SECONDS = 120
STOP_SECONDS = 90
POLL_SECONDS = 0.2


def free_port() -> int:
    """Return a port of this machine that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


class ServingDemo:
    """One demo after the other, at the same address and in the same folder."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/"
        self._options = options
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it shows something."""
        assert self._process is None
        kept = ("PATH", "HOME", "LANG")
        environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "DATABASE": "off",
            "DASHBOARD_PORT": str(self.port),
            "DASHBOARD_TOKEN": TOKEN,
        }
        with (self.folder / "stderr.txt").open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "worker.py"), "demo", "--quiet", *self._options],
                cwd=self.folder,
                env=environment | self._settings,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            try:
                self.view()
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert self._process.poll() is None, (self.folder / "stderr.txt").read_text()
                time.sleep(POLL_SECONDS)
            else:
                return
        raise AssertionError((self.folder / "stderr.txt").read_text())

    def view(self) -> Any:
        """Return what the worker shows at this moment."""
        with urllib.request.urlopen(f"{self.address}view", timeout=10) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """End it as a machine out of memory would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=STOP_SECONDS)
            self._process = None
