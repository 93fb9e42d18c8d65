"""Who the embedded Postgres runs as, and where it sees what is its own.

Postgres refuses to run as root, and rightly. When we are root the server runs as the owner of its
data, nobody for new data. A root's checkout is often where nobody may not enter, /root above all:
then the server gets mounts of its own that show it its folder and its binaries elsewhere, and no
folder is opened to anybody. Must not: choose root.
"""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Final, NamedTuple

MOUNT_PLACES: Final = ("/mnt", "/media", "/srv", "/opt")
"""Folders that systems have for this; one is covered, for the server's eyes only."""


class EmbeddedUnavailableError(Exception):
    """There can be no embedded Postgres here; the text says why and what to do."""


class ServerUser(NamedTuple):
    """Who the server runs as."""

    user_id: int
    group_id: int
    name: str

    @property
    def is_us(self) -> bool:
        """Whether it needs no change of user."""
        return self.user_id == os.geteuid()


def choose_user(data: Path) -> ServerUser:
    """Return who runs the server of some data: us, or when we are root its owner, else nobody."""
    user_id = os.geteuid()
    try:
        if user_id == 0:
            owner = data.stat().st_uid if data.exists() else 0
            entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
        else:
            entry = pwd.getpwuid(user_id)
    except KeyError as error:
        raise EmbeddedUnavailableError(
            f"this system has no name for the user of the embedded Postgres ({error}): add one to "
            "its users, or set DATABASE_URL"
        ) from error
    return ServerUser(entry.pw_uid, entry.pw_gid, entry.pw_name)


class PrivateMounts:
    """Where a server that may not enter our folders sees its own."""

    def __init__(self, user: ServerUser, folder: Path, packages: Path) -> None:
        """Take the cluster's folder and that of the installed packages."""
        place = next((one for one in map(Path, MOUNT_PLACES) if one.is_dir()), None)
        if place is None or not sys.platform.startswith("linux"):
            raise EmbeddedUnavailableError(closed_text(user, folder))
        self.place = place
        self.folders = {folder: place / "cluster", packages: place / "packages"}

    def shown(self, path: Path) -> Path:
        """Return what the server calls a path of ours."""
        for ours, theirs in self.folders.items():
            if path.is_relative_to(ours):
                return theirs / path.relative_to(ours)
        return path


def closed_text(user: ServerUser, folder: Path) -> str:
    """Return what to do where the server's user may not enter and mounts are not allowed."""
    return (
        f"Postgres never runs as root, and the user {user.name} may not enter {folder}: start the "
        "worker as another user than root, move the checkout to where others may enter, or set "
        "DATABASE_URL"
    )
