"""Builds and tries the image without Docker: the Dockerfile's own steps, a clean tree, its user.

    uv run python -m deploy.rehearse_image                 # on this machine's files as the base
    uv run python -m deploy.rehearse_image --base ROOTFS   # on another root file system

Then it does what a platform does: the release command, the worker's `demo`, HEALTHCHECK while it
trades, an operator's verb from root's shell, STOPSIGNAL; and prints the size of what the image
adds and the resident memory. What it cannot show: that the base image exists, and its other
libraries.

Exit codes: 0 all of it worked; 1 something did not, named; 69 this machine cannot (Linux, root and
`unshare` are needed).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deploy.dockerfile import DockerfileError, IgnoreRules, read_instructions, read_stages
from deploy.image_tree import Build, Image, RehearsalError
from helpers.clock import monotonic_seconds, pause_seconds

ROOT: Final = Path(__file__).resolve().parents[1]
EXIT_FAILED: Final = 1
EXIT_UNAVAILABLE: Final = 69
TRADE_SECONDS: Final = 20.0
"""How long the demo trades before memory is read, 400 simulated seconds at its usual speed."""
HEALTHY_SECONDS: Final = 60.0
"""As HEALTHCHECK's own start period."""
END_SECONDS: Final = 60.0
"""As fly.toml's kill_timeout."""
SHORT_SECONDS: Final = 120.0
OUTPUT_LINES: Final = 10
DECIDED: Final = '"event":"decision"'
"""In a line of the log, which is JSON where there is no terminal."""
KIB: Final = 1024
MIB: Final = 1024 * 1024


class Tried(NamedTuple):
    """One thing that was tried, and what came of it."""

    what: str
    found: str
    good: bool


class Running:
    """A process of the image, its output read as it comes."""

    def __init__(self, image: Image, words: Sequence[str]) -> None:
        self.process = image.start(words)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None, "it was asked for"
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def end(self, number: signal.Signals, seconds: float) -> int:
        """Send a signal and return the exit code; raises ``RehearsalError`` when none comes."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise RehearsalError(f"it did not end within {seconds:g} s of {number.name}") from error
        self._reader.join(seconds)
        return code

    def tail(self) -> str:
        """Return its last lines."""
        return "\n".join(self.lines[-OUTPUT_LINES:])


def main(arguments: Sequence[str]) -> int:
    """Rehearse; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.rehearse_image",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", type=Path, default=Path("/"), metavar="ROOTFS",
                        help="the base image's files (default: this machine's)")  # fmt: skip
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        return _rehearse(options.base)
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        sys.stderr.write("rehearse_image: needs Linux, root and unshare; use Docker itself here\n")
        return EXIT_UNAVAILABLE
    words = [sys.executable, "-m", "deploy.rehearse_image", *arguments, "--inside"]
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return subprocess.run((*alone, *words), cwd=ROOT, check=False).returncode  # noqa: S603


def _rehearse(base: Path) -> int:
    work = Path(tempfile.mkdtemp(prefix="rehearse-image-"))
    try:
        # An overlay's upper folder may not be on another overlay, as /tmp of a container is.
        subprocess.run(("mount", "-t", "tmpfs", "tmpfs", str(work)), check=True)  # noqa: S603, S607
        began = monotonic_seconds()
        ignored = IgnoreRules((ROOT / ".dockerignore").read_text())
        stages = read_stages(read_instructions((ROOT / "Dockerfile").read_text()))
        image = Build(ROOT, ignored, base.resolve(), work).run(stages)
        # This machine's own worker may serve the usual port.
        own = {**image.environment, "DASHBOARD_PORT": str(_free_port())}
        image = image._replace(environment=own)
        sys.stdout.write(f"built in {monotonic_seconds() - began:.0f} s\n")
        _write_sizes(image)
        tried = _told(_try(image))
    except (DockerfileError, RehearsalError) as error:
        sys.stderr.write(f"rehearse_image: {error}\n")
        return EXIT_FAILED
    failed = [one for one in tried if not one.good]
    sys.stdout.write(f"{len(tried) - len(failed)} passed, {len(failed)} failed\n")
    return EXIT_FAILED if failed else 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _told(tries: Iterable[Tried]) -> list[Tried]:
    done: list[Tried] = []
    for one in tries:
        sys.stdout.write(f"{'ok' if one.good else 'FAILED':<7} {one.what:<34} {one.found}\n")
        sys.stdout.flush()
        done.append(one)
    return done


def _write_sizes(image: Image) -> None:
    venv = image.root / "app/.venv"
    everything = _bytes_of(image.layer)
    packages = _bytes_of(venv)
    sys.stdout.write(
        f"size    {everything / MIB:.0f} MiB above the base image: packages "
        f"{packages / MIB:.0f}, ours {(everything - packages) / MIB:.0f}\n"
    )


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _try(image: Image) -> Iterator[Tried]:
    yield _nothing_compiles(image)
    yield _code_is_read_only(image)
    yield _short(image, "fly's release command", _release_command())
    yield _short(image, "worker.py config", (*image.command, "config"))
    yield from _trade(image)
    yield _operator_is_no_root(image)


def _release_command() -> tuple[str, ...]:
    return tuple(
        tomllib.loads((ROOT / "fly.toml").read_text())["deploy"]["release_command"].split()
    )


def _short(image: Image, what: str, words: Sequence[str], *, as_root: bool = False) -> Tried:
    began = monotonic_seconds()
    process = image.start(words, as_root=as_root)
    try:
        output, _ = process.communicate(timeout=SHORT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return Tried(what, f"no end within {SHORT_SECONDS:g} s", good=False)
    found = f"exit {process.returncode} in {monotonic_seconds() - began:.1f} s"
    good = process.returncode == 0
    return Tried(what, found if good else f"{found}\n{output}", good)


def _nothing_compiles(image: Image) -> Tried:
    words = ("sh", "-c", "! command -v gcc cc g++ clang make")
    return _short(image, "no compiler", words)._replace(found="none in the final image")


def _code_is_read_only(image: Image) -> Tried:
    tried = _short(image, "code read-only", ("sh", "-c", "! touch worker.py helpers/x 2>/dev/null"))
    return tried._replace(
        found="the worker cannot change its own code" if tried.good else tried.found
    )


def _trade(image: Image) -> Iterator[Tried]:
    began = monotonic_seconds()
    demo = Running(image, (*image.command, "demo", "--minutes", "600"))
    try:
        decided = _wait(lambda: any(DECIDED in line for line in demo.lines))
        yield Tried("demo decides", f"after {monotonic_seconds() - began:.1f} s", decided)
        healthy = _wait(lambda: _short(image, "", image.health).good)
        found = f"exit 0 after {monotonic_seconds() - began:.1f} s"
        yield Tried("HEALTHCHECK", found if healthy else demo.tail(), healthy)
        pause_seconds(TRADE_SECONDS)
        yield _memory()
        began = monotonic_seconds()
        code = demo.end(signal.Signals[image.stop_signal], END_SECONDS)
        found = f"exit {code} in {monotonic_seconds() - began:.1f} s"
        good = code == 0
        yield Tried(image.stop_signal, found if good else f"{found}\n{demo.tail()}", good)
    finally:
        demo.process.kill()


def _wait(condition: Callable[[], bool]) -> bool:
    until = monotonic_seconds() + HEALTHY_SECONDS
    while not condition():
        if monotonic_seconds() > until:
            return False
        pause_seconds(0.1)
    return True


def _memory() -> Tried:
    """Return the resident memory of the image's processes; shared pages are counted once."""
    worker, everything = 0, 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if folder.stat().st_uid == 0:
                continue
            command = (folder / "cmdline").read_bytes()
            rollup = (folder / "smaps_rollup").read_text()
        except OSError:
            continue  # ended meanwhile
        fields = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
        everything += int(fields["Pss"])
        if b"worker.py" in command:
            worker = max(worker, int(fields["Rss"]))
    found = f"worker {worker / KIB:.0f} MiB, all processes {everything / KIB:.0f} MiB"
    return Tried("resident memory", found, worker > 0)


def _operator_is_no_root(image: Image) -> Tried:
    tried = _short(image, "worker halt, from root's shell", ("worker", "halt", "rehearsal"),
                   as_root=True)  # fmt: skip
    folder = image.root / "app/backups"
    owned = [path.name for path in folder.rglob("*") if path.lstat().st_uid == 0]
    if owned:
        return tried._replace(found=f"left to root: {owned}", good=False)
    return tried


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
