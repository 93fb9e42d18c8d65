"""A stranger with a clean machine: clone, the README's two commands, nothing else.

    uv run python -m tests.newcomer

As another user where this one is root, with an empty HOME, no setting, no key, no cache and nobody
to answer a question. Prints the seconds to the first decision and in total. Where the venues can
be reached the second command trades on paper until it has decided, and is then interrupted; where
they cannot it must say so and exit with 69.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deploy.image_tree import this_uv

ROOT: Final = Path(__file__).resolve().parents[1]
EXIT_FAILED: Final = 1
NOBODY: Final = "nobody"
DEMO: Final = "uv run worker.py demo"
LIVE_VENUES: Final = "uv run worker.py"
MINUTES: Final = "2"
"""Of the demo, so that the newcomer's visit has an end: six seconds at its usual speed."""
COMMAND_SECONDS: Final = 540.0
"""Downloading everything included."""
UNREACHABLE: Final = 69
OF_THE_INSTALLER: Final = ("UV_INDEX", "UV_DEFAULT_INDEX", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY")
"""How this machine reaches packages; a newcomer's own machine has its own ways."""
OUTPUT_LINES: Final = 15


class Visit(NamedTuple):
    """What came of one command."""

    code: int
    first_decision_seconds: float | None
    seconds: float
    lines: tuple[str, ...]


class Newcomer:
    """A user with a HOME of their own and a PATH with what the README asks for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = home / "project"
        self._other = os.geteuid() == 0
        self._account = pwd.getpwnam(NOBODY) if self._other else pwd.getpwuid(os.getuid())
        self.name = self._account.pw_name
        self._tools = home / ".local" / "bin"
        self._tools.mkdir(parents=True)
        # As `pip install uv` leaves it; this machine's own may lie where nobody may look.
        shutil.copy2(this_uv(), self._tools / "uv")
        for path in (home, *home.rglob("*")):
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def environment(self) -> Mapping[str, str]:
        """Return all that is set: nothing of ours."""
        ways = {k: v for k, v in os.environ.items() if k.startswith(OF_THE_INSTALLER)}
        path = f"{self._tools}:/usr/local/bin:/usr/bin:/bin"
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", **ways}

    def run(self, words: Sequence[str], folder: Path, *, leave_after_decision: bool) -> Visit:
        """Run a command to its end, or interrupt it when it has decided."""
        began = time.monotonic()
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            user=self._account.pw_uid if self._other else None,
            group=self._account.pw_gid if self._other else None,
            extra_groups=[] if self._other else None,
        )
        too_long = threading.Timer(COMMAND_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        too_long.start()
        lines: list[str] = []
        decided: float | None = None
        assert process.stdout is not None, "it was asked for"
        for line in process.stdout:
            lines.append(line.rstrip())
            if decided is None and re.search(r'"event":"decision"|\bdecision\b.*\baction=', line):
                decided = time.monotonic() - began
                if leave_after_decision:
                    # As ctrl-C in their terminal: to uv and to the worker.
                    os.killpg(process.pid, signal.SIGINT)
        code = process.wait()
        too_long.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return Visit(code, decided, time.monotonic() - began, tuple(lines))


def main(arguments: Sequence[str]) -> int:
    """Visit; return 0 when both commands did what the README says."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.newcomer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="newcomer-"))
    try:
        return _visit(Newcomer(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _visit(newcomer: Newcomer) -> int:
    readme = (ROOT / "README.md").read_text()
    assert f"    {DEMO} " in readme, "the README's first command"
    assert f"    {LIVE_VENUES}  " in readme, "the README's second command"
    began = time.monotonic()
    # git serves nobody from another user's folder; theirs comes over the network.
    bundle = str(newcomer.home / "repository.bundle")
    subprocess.run(("git", "bundle", "create", "--quiet", bundle, "HEAD"), cwd=ROOT, check=True)
    quiet = ("-c", "advice.detachedHead=false")
    clone = ("git", *quiet, "clone", "--quiet", bundle, str(newcomer.project))
    cloned = newcomer.run(clone, newcomer.home, leave_after_decision=False)
    _tell(newcomer.name, "git clone", cloned)
    if cloned.code:
        return EXIT_FAILED
    words = (*DEMO.split(), "--minutes", MINUTES)
    demo = newcomer.run(words, newcomer.project, leave_after_decision=False)
    _tell(newcomer.name, " ".join(words), demo)
    live = newcomer.run(LIVE_VENUES.split(), newcomer.project, leave_after_decision=True)
    _tell(newcomer.name, LIVE_VENUES, live)
    sys.stdout.write(f"in total {time.monotonic() - began:.1f} s\n")
    good = demo.code == 0 and demo.first_decision_seconds is not None and _did_as_told(live)
    sys.stdout.write("both commands did what the README says\n" if good else "FAILED\n")
    return 0 if good else EXIT_FAILED


def _did_as_told(live: Visit) -> bool:
    """Say whether it traded until it was interrupted, or said that no venue can be reached."""
    if live.first_decision_seconds is not None:
        return live.code in (0, -signal.SIGINT)
    return live.code == UNREACHABLE and any("venue_unavailable" in line for line in live.lines)


def _tell(user: str, command: str, visit: Visit) -> None:
    decided = visit.first_decision_seconds
    when = f", first decision after {decided:.1f} s" if decided is not None else ""
    sys.stdout.write(f"{user}$ {command}: exit {visit.code} in {visit.seconds:.1f} s{when}\n")
    for line in visit.lines[-OUTPUT_LINES:]:
        sys.stdout.write(f"    {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
