"""The first moments of a process of the embedded Postgres: becomes its user, then the program.

    python -I -S embedded_launch.py PLAN PROGRAM [ARGUMENT ...]

A program of its own, since what it does between fork and exec is not safe in a process with
threads, which ours is. Needs the standard library only: it runs before anything can be found. Must
not: run the program as root.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Final, TypedDict

PARENT_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
NEW_MOUNTS: Final = 0x00020000
"""CLONE_NEWNS of unshare(2)."""
NO_SUID_NO_DEVICES: Final = 0x2 | 0x4
BIND: Final = 0x1000
PRIVATE_RECURSIVE: Final = 0x4000 | (1 << 18)
"""MS_* of mount(2)."""
EXIT_CANNOT_RUN: Final = 126


class Plan(TypedDict):
    """What to become; JSON, so that it can be an argument."""

    user_id: int
    group_id: int
    parent: int
    """Process that starts this one; when it is gone, so is the reason to run."""
    signal_at_its_end: int
    mount_place: str
    """Folder that is covered to show the others; empty: none is needed."""
    shown: list[tuple[str, str]]
    """A folder of ours, and where the program sees it."""


def become(plan: Plan) -> None:
    """Turn this process into what the plan says; raises ``OSError``."""
    if plan["mount_place"]:
        _make_mounts(Path(plan["mount_place"]), plan["shown"])
    if os.geteuid() != plan["user_id"]:
        os.setgroups([])
        os.setgid(plan["group_id"])
        os.setuid(plan["user_id"])
    os.umask(0o077)
    if sys.platform.startswith("linux"):
        # After the change of user, which would undo it.
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, plan["signal_at_its_end"], 0, 0, 0)
    if os.getppid() != plan["parent"]:
        raise OSError("who started it is gone")


def _make_mounts(place: Path, shown: list[tuple[str, str]]) -> None:
    library = ctypes.CDLL(None, use_errno=True)

    def done(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def mount(source: bytes, where: Path, kind: bytes | None, flags: int) -> None:
        done(library.mount(source, os.fsencode(where), kind, flags, None))

    done(library.unshare(NEW_MOUNTS))
    mount(b"none", Path("/"), None, PRIVATE_RECURSIVE)
    # Opened before the place is covered, which they may lie under.
    opened = [(os.open(ours, os.O_RDONLY), Path(theirs)) for ours, theirs in shown]
    mount(b"tmpfs", place, b"tmpfs", NO_SUID_NO_DEVICES)
    place.chmod(0o755)
    for descriptor, theirs in opened:
        theirs.mkdir()
        mount(f"/proc/self/fd/{descriptor}".encode(), theirs, None, BIND)
        os.close(descriptor)


def main(arguments: list[str]) -> int:
    """Become the program; return only when that cannot be."""
    try:
        become(json.loads(arguments[0]))
        os.execv(arguments[1], arguments[1:])  # noqa: S606 - a shell is what it must not meet
    except OSError as error:
        sys.stderr.write(f"{arguments[1]} cannot be started: {error}\n")
    return EXIT_CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
