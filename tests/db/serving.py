"""A process that serves an embedded Postgres until its input ends, and what tests ask of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import asyncpg

from db.embedded import serve

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = str(Path(asyncpg.__file__).parents[1])


class ServingProcess:
    """Another process of ours that serves a folder."""

    def __init__(
        self, folder: Path, *, user: int | None = None, interpreter: str = sys.executable
    ) -> None:
        self.process = subprocess.Popen(
            [interpreter, "-m", "tests.db.serving", str(folder)],
            cwd=ROOT,
            env={"PYTHONPATH": PACKAGES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=user,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            _, errors = self.process.communicate()
            raise AssertionError(f"it does not serve: {errors}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let it leave the block."""
        self.process.communicate(timeout=30)

    def kill(self) -> None:
        """End it as a machine out of memory would."""
        self.process.kill()
        self.process.communicate(timeout=30)


@contextmanager
def open_folder() -> Generator[Path, None, None]:
    """Yield a folder that others may pass through; pytest's own is closed to all others."""
    with tempfile.TemporaryDirectory(prefix="worker-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def interpreter_for(user: int) -> str:
    """Return a Python of this version that a user may run, empty if there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            done = subprocess.run([candidate, "-c", ""], user=user, cwd="/", check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return ""


def postmaster(folder: Path) -> int:
    """Return the process id of a folder's server."""
    return int((folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


async def ask(url: str, sql: str) -> object:
    """Return what a new connection answers to a question."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def ask_until_answered(url: str, sql: str) -> object:
    """Return the answer as soon as a server gives one; for after a kill.

    The server may die between the commit and its answer, so `sql` is asked again though it was
    done: it must be such that this does no harm. What is wrong with `sql` itself is raised.
    """
    async with asyncio.timeout(20):
        while True:
            try:
                return await ask(url, sql)
            except asyncpg.IntegrityConstraintViolationError:
                raise
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.02)


async def _main(folder: Path) -> None:
    async with serve(folder) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
