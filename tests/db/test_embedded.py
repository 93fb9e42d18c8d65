"""The embedded Postgres: one, private, durable, gone with its owner, back after every kill."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from db.embedded import EmbeddedUnavailableError, serve
from db.embedded_cluster import Cluster, find_binaries
from tests.db.serving import (
    PACKAGES,
    ROOT,
    ServingProcess,
    ask,
    ask_until_answered,
    interpreter_for,
    open_folder,
    postmaster,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return where a cluster may be made."""
    with open_folder() as place:
        yield place / "postgres"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Return a cluster that was made once, to be copied: making one takes half a second."""

    async def make(where: Path) -> None:
        async with serve(where) as url:
            await ask(url, "SELECT 1")
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE TABLE kept (number integer PRIMARY KEY)")
            await connection.close()

    with open_folder() as place:
        asyncio.run(make(place / "postgres"))
        yield place / "postgres"


@pytest.fixture
def cluster(made: Path, folder: Path) -> Path:
    """Return a folder whose cluster is made already."""
    subprocess.run(["cp", "-a", str(made), str(folder)], check=True)
    return folder


def ended(process_id: int) -> bool:
    """Say whether a process is gone, or is only waited for."""
    status = Path(f"/proc/{process_id}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def wait_for_end(process_id: int) -> None:
    async with asyncio.timeout(10):
        while not ended(process_id):
            await asyncio.sleep(0.02)


async def test_it_starts_from_nothing_and_again(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """What was committed is there after a stop; nothing is left running. Times are told."""
    began = time.perf_counter()
    async with serve(folder) as url:
        cold = time.perf_counter() - began
        await ask(url, "SELECT 1")
        first = postmaster(folder)
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept AS SELECT 17 AS number")
        await connection.close()
    assert not (folder / "data" / "postmaster.pid").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    began = time.perf_counter()
    async with serve(folder) as url:
        warm = time.perf_counter() - began
        assert await ask(url, "SELECT number FROM kept") == 17
    record_property("figures", f"embedded server: cold {cold:.2f} s, warm {warm:.2f} s")


async def test_it_is_durable_and_listens_to_nobody_else(cluster: Path) -> None:
    """Asked of the server itself, and of the system: fsync is on, no port is open."""
    async with serve(cluster) as url:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert await ask(url, f"SHOW {name}") == "on", name
        assert await ask(url, "SHOW listen_addresses") == ""
        assert await ask(url, "SHOW unix_socket_permissions") == "0700"
        assert await ask(url, "SELECT inet_server_port()") is None
        assert await ask(url, "SHOW timezone") == "UTC"
        assert await ask(url, "SHOW server_encoding") == "UTF8"
        if sys.platform == "linux":
            assert not listening_sockets(postmaster(cluster))


def listening_sockets(process_id: int) -> list[str]:
    """Return the network sockets a process has; its unix sockets are not among them."""
    links = [entry.readlink().name for entry in Path(f"/proc/{process_id}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    assert inodes, "its own socket is not seen"
    rows = [
        line.split()
        for kind in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{process_id}/net/{kind}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[9] in inodes]


async def test_its_files_are_private(cluster: Path) -> None:
    """Nobody else may read the data or reach the socket; who may connect is named."""
    async with serve(cluster) as url:
        assert await ask(url, "SELECT current_user") == "worker"
        for path in (cluster / "data", cluster / "socket"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        for name in ("owner.lock", "server.lock", "server.log", "socket_folder"):
            assert not (cluster / name).stat().st_mode & 0o077, name
        assert not cluster.stat().st_mode & 0o066
    access = (cluster / "data" / "pg_hba.conf").read_text()
    assert access == "local all all peer map=owner\n"


@as_root
async def test_root_gives_it_to_nobody_and_nobody_may_not_connect(cluster: Path) -> None:
    """Never root; and what else runs as nobody is not let in, if it got to the socket."""
    nobody = pwd.getpwnam("nobody")
    async with serve(cluster):
        process_id = postmaster(cluster)
        assert Path(f"/proc/{process_id}").stat().st_uid == nobody.pw_uid
        asked = subprocess.run(
            [find_binaries() / "psql", "-h", cluster / "socket", "-U", "worker", "-c", "SELECT 1"],
            user=nobody.pw_uid,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode != 0
        assert "Peer authentication failed" in asked.stderr


@as_root
@on_linux
async def test_root_needs_no_folder_that_is_open_to_others(tmp_path: Path) -> None:
    """A root's checkout is closed, and stays so: the server sees its folder somewhere else."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with serve(closed / "postgres") as url:
        assert await ask(url, "SELECT 17") == 17
        assert Path(f"/proc/{postmaster(closed / 'postgres')}").stat().st_uid != 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert str(closed) not in Path("/proc/self/mounts").read_text()


@as_root
@on_linux
def test_root_that_may_not_mount_is_told_what_to_do(tmp_path: Path) -> None:
    """In a container: nothing is opened and nothing is run as root."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("there is no setpriv to give a capability away")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = subprocess.run(
        [setpriv, "--bounding-set=-sys_admin", sys.executable, "-m", "tests.db.serving",
         closed / "postgres"],
        cwd=ROOT, env={"PYTHONPATH": PACKAGES}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the user nobody may not enter" in done.stderr
    assert not (closed / "postgres" / "data").exists()


@as_root
async def test_another_user_serves_its_own(folder: Path) -> None:
    """Not as root: the same, by the user itself; root that comes later runs it as that user."""
    user = pwd.getpwnam("nobody").pw_uid
    interpreter = interpreter_for(user)
    if not interpreter:
        pytest.skip("no interpreter of this version is open to other users")
    os.chown(folder.parent, user, -1)
    with ServingProcess(folder, user=user, interpreter=interpreter):
        assert folder.stat().st_uid == user
    async with serve(folder) as url:
        assert await ask(url, "SELECT 17") == 17
        assert Path(f"/proc/{postmaster(folder)}").stat().st_uid == user


@on_linux
async def test_a_killed_server_comes_back_with_all_that_was_committed(cluster: Path) -> None:
    """Kill -9 of the server, of one of its processes, again and again; the address stays."""
    async with serve(cluster) as url:
        for number in range(6):
            await ask_until_answered(
                url, f"INSERT INTO kept VALUES ({number}) ON CONFLICT DO NOTHING"
            )
            if number % 2:
                backend = await ask(url, "SELECT pid FROM pg_stat_activity WHERE "
                                    "backend_type = 'checkpointer'")  # fmt: skip
                assert isinstance(backend, int)
                os.kill(backend, signal.SIGKILL)
            else:
                os.kill(postmaster(cluster), signal.SIGKILL)
        assert await ask_until_answered(url, "SELECT count(*) FROM kept") == 6


@on_linux
async def test_it_ends_with_its_owner_and_the_next_one_starts(cluster: Path) -> None:
    """Kill -9 of the owner: no server is left behind, no commit is lost."""
    serving = ServingProcess(cluster)
    await ask(serving.url, "INSERT INTO kept VALUES (1) RETURNING 1")
    process_id = postmaster(cluster)
    serving.kill()
    async with serve(cluster) as url:
        assert postmaster(cluster) != process_id
        await wait_for_end(process_id)
        assert await ask(url, "SELECT count(*) FROM kept") == 1


@on_linux
async def test_owner_and_server_killed_at_once(cluster: Path) -> None:
    """What a killed machine leaves: a file that names a process that is not the server's."""
    serving = ServingProcess(cluster)
    await ask(serving.url, "INSERT INTO kept VALUES (1) RETURNING 1")
    os.kill(postmaster(cluster), signal.SIGKILL)
    serving.kill()
    # The number is somebody else's after a restart: ours, which surely runs.
    lines = (cluster / "data" / "postmaster.pid").read_text().split("\n")
    (cluster / "data" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    async with serve(cluster) as url:
        assert await ask(url, "SELECT count(*) FROM kept") == 1


@on_linux
async def test_a_server_that_was_left_behind_is_stopped(cluster: Path) -> None:
    """Where a system cannot end it with its owner, the next start does."""
    serving = ServingProcess(cluster)
    process_id = postmaster(cluster)
    # Stopped, it cannot obey the signal that comes with its owner's end.
    os.kill(process_id, signal.SIGSTOP)
    serving.kill()
    starting = asyncio.create_task(asyncio.to_thread(ServingProcess, cluster))
    await asyncio.sleep(0.3)
    assert not ended(process_id)
    os.kill(process_id, signal.SIGCONT)
    with await starting as another:
        assert await ask(another.url, "SELECT 17") == 17
    await wait_for_end(process_id)


@on_linux
async def test_who_comes_second_is_a_guest_and_then_the_owner(cluster: Path) -> None:
    """A report beside a worker: one server; the one that stays takes it over, same address."""
    owner = ServingProcess(cluster)
    async with serve(cluster) as url:
        assert url == owner.url
        first = postmaster(cluster)
        assert await ask(url, "SELECT 17") == 17
        owner.stop()
        assert await ask_until_answered(url, "SELECT 18") == 18
        assert postmaster(cluster) != first
    assert not (cluster / "data" / "postmaster.pid").exists()


async def test_many_that_start_at_once_have_one_server(cluster: Path) -> None:
    """Whoever is first owns it."""
    ready = asyncio.Barrier(4)

    async def one() -> object:
        async with serve(cluster) as url:
            await ready.wait()
            found = await ask(url, "SELECT pg_postmaster_start_time()")
            await ready.wait()
            return found

    async with asyncio.timeout(30):
        found = await asyncio.gather(*(one() for _ in range(4)))
    assert len(set(found)) == 1


async def test_what_fails_in_the_block_is_raised_as_it_is(cluster: Path) -> None:
    """Not in a group; and the server is stopped."""
    with pytest.raises(ValueError, match="the caller's"):
        async with serve(cluster):
            raise ValueError("the caller's")
    assert not (cluster / "data" / "postmaster.pid").exists()


async def test_ctrl_c_at_the_terminal_does_not_reach_it(cluster: Path) -> None:
    """It is no member of the worker's group: the worker stops it when all is written."""
    async with serve(cluster):
        assert os.getpgid(postmaster(cluster)) != os.getpgid(0)


async def test_a_cluster_that_is_half_made_is_never_used(folder: Path) -> None:
    """A kill while it was made leaves what is thrown away."""
    new = folder / "data.new"
    new.mkdir(parents=True)
    (folder / "owner.lock").touch()
    (new / "PG_VERSION").write_text("18\n")
    async with serve(folder) as url:
        assert await ask(url, "SELECT 17") == 17
    assert not new.exists()


async def test_a_cluster_of_another_version_is_refused(cluster: Path) -> None:
    """An update must not touch data it cannot read; what to do is said."""
    (cluster / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedUnavailableError, match=r"is of Postgres 17.*move it away"):
        async with serve(cluster):
            pass


async def test_a_folder_with_other_things_is_not_touched(tmp_path: Path) -> None:
    """EMBEDDED_POSTGRES_DIRECTORY=/root must not change who may enter there."""
    (tmp_path / "letters").write_text("private")
    before = tmp_path.stat().st_mode
    with pytest.raises(EmbeddedUnavailableError, match="EMBEDDED_POSTGRES_DIRECTORY"):
        async with serve(tmp_path):
            pass
    assert tmp_path.stat().st_mode == before


async def test_a_server_that_cannot_start_says_where_to_look(cluster: Path) -> None:
    """Damaged data is not made anew behind anybody's back."""
    (cluster / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedUnavailableError, match=r"did not start; see .*server\.log"):
        async with serve(cluster):
            pass
    assert "pg_control" in (cluster / "server.log").read_text()


async def test_a_long_path_has_its_socket_elsewhere(made: Path) -> None:
    """An address of a unix socket has a hundred bytes; the folder that serves is removed by us."""
    with open_folder() as place:
        folder = place / ("long" * 25) / "postgres"
        folder.parent.mkdir(mode=0o711)
        subprocess.run(["cp", "-a", str(made), str(folder)], check=True)
        cluster = Cluster(folder)
        async with serve(folder) as url:
            assert await ask(url, "SELECT 17") == 17
            noted = cluster.noted_socket_folder()
        async with serve(folder) as again:
            assert again == url
        assert noted is not None
        assert stat.S_IMODE(noted.stat().st_mode) == 0o700
        shutil.rmtree(noted)


def test_a_platform_without_binaries_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file journal alone serves then."""
    monkeypatch.setattr("db.embedded_cluster.PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedUnavailableError, match="set DATABASE_URL"):
        find_binaries()


def test_the_launcher_says_what_it_cannot_do() -> None:
    """One line and no trace: it becomes the reason of an EmbeddedUnavailableError."""
    plan = '{"user_id": %d, "group_id": 0, "parent": 0, "signal_at_its_end": 2, "mount_place": ""}'
    launcher = ROOT / "db" / "embedded_launch.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", launcher, plan % os.geteuid(), "/bin/true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 126
    assert done.stderr == "/bin/true cannot be started: who started it is gone\n"
