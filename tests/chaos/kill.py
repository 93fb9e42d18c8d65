"""SIGKILL of a live worker at journal rows and random instants; each next start must agree.

    uv run python -m tests.chaos.kill --rows 40 --instants 200

The venues are another process in real time and live on. After every kill the worker is started
again; its first ``reconciled`` line must agree, and at the end its books must equal what the
exchange itself holds.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
"""Longest wait for a start to agree; an order in flight takes some seconds to be given up."""
LIFE_SECONDS = (0.05, 4.0)
"""From the agreeing line to a kill at a random instant."""
SETTLE_SECONDS = 12.0


class Killer:
    """One venue process and the lives of one worker after another."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.lives = self.agreed = self.unknown = 0
        self.rng = random.Random(f"kill/{seed}")
        self._venues = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.venue_process", str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._spec: dict[str, Any] = json.loads(self._line())

    def _line(self) -> str:
        assert self._venues.stdout is not None
        return self._venues.stdout.readline()

    def ask(self) -> dict[str, Any]:
        """Return what the exchange holds for the wallet."""
        assert self._venues.stdin is not None
        self._venues.stdin.write("?\n")
        self._venues.stdin.flush()
        return json.loads(self._line())

    def close(self) -> None:
        """End the venues."""
        self._venues.kill()
        self._venues.communicate()

    def live(self, *, row: int = 0, after: bool = False) -> subprocess.Popen[bytes]:
        """Start the worker's next life."""
        self.lives += 1
        spec = {
            **self._spec,
            "seed": self.seed,
            "life": self.lives,
            "folder": str(self.folder),
            "deadly_row": row,
            "after": after,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.worker_process", json.dumps(spec)], cwd=ROOT
        )

    def lines(self) -> list[dict[str, Any]]:
        """Return the log so far."""
        path = self.folder / "worker.log"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def wait_agreed(self, worker: subprocess.Popen[bytes], known: int) -> bool:
        """Return whether a start agreed, or died on purpose before it could (False)."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            fresh = self.lines()[known:]
            differs = [line for line in fresh if line["event"] == "books_differ"]
            assert not differs, f"seed {self.seed}, life {self.lives}: {differs[0]}"
            if any(line["event"] == "reconciled" for line in fresh):
                self.agreed += 1
                taken = next(line for line in fresh if line["event"] == "books_taken_over")
                self.unknown += taken["orders"]
                return True
            if worker.poll() is not None:
                assert worker.returncode == -signal.SIGKILL, fresh[-1:]
                return False
            time.sleep(0.02)
        raise AssertionError(f"seed {self.seed}, life {self.lives}: no agreement in time")

    def at_rows(self, rows: int) -> None:
        """Kill once before and once after each of the first rows of a life."""
        for row in range(1, rows + 1):
            for after in (False, True):
                known = len(self.lines())
                worker = self.live(row=row, after=after)
                if self.wait_agreed(worker, known):
                    try:
                        worker.wait(20.0)
                    except subprocess.TimeoutExpired:  # nothing was wanted for so long
                        worker.kill()
                        worker.wait()
                self.check_again()

    def at_instants(self, count: int) -> None:
        """Kill at random instants."""
        for _ in range(count):
            known = len(self.lines())
            worker = self.live()
            assert self.wait_agreed(worker, known)
            time.sleep(self.rng.uniform(*LIFE_SECONDS))
            worker.kill()
            worker.wait()

    def check_again(self) -> None:
        """Start once more without a kill: the reconciliation must agree."""
        known = len(self.lines())
        worker = self.live()
        assert self.wait_agreed(worker, known)
        worker.kill()
        worker.wait()

    def finish(self) -> str:
        """Let the last life end in order, and hold its books against the exchange."""
        known = len(self.lines())
        worker = self.live()
        assert self.wait_agreed(worker, known)
        worker.terminate()
        assert worker.wait(60.0) == 0
        last = [line for line in self.lines() if line["event"] in ("reconciled", "books_differ")]
        assert last[-1]["event"] == "reconciled", last[-1]
        held = self.ask()
        assert held["resting"] == [], "an order rests after the stop"
        return f"last comparison {last[-1]['shares']} shares, {last[-1]['cash']}"


def run(seed: int, rows: int, instants: int) -> str:
    """Kill, and return what it came to; raises ``AssertionError`` keeping the folder."""
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    killer = Killer(seed, folder)
    try:
        killer.at_rows(rows)
        killer.at_instants(instants)
        end = killer.finish()
    finally:
        killer.close()
    shutil.rmtree(folder)
    return (
        f"seed {seed}: {killer.lives} lives, {killer.agreed} reconciliations, all agreed; "
        f"{2 * rows} kills at journal rows, {instants} at random instants; "
        f"{killer.unknown} orders were in flight; {end}\n"
    )


def main(arguments: list[str]) -> int:
    """Kill and print the count."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kill", description=__doc__)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--instants", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    sys.stdout.write(run(options.seed, options.rows, options.instants))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
