"""The outside heartbeat against a real server on loopback: pings while the worker decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from helpers import logs
from helpers.clock import RealClock
from helpers.outside_heartbeat import FAILURES_MERGED, OutsideHeartbeat
from helpers.settings import SettingsError, load_settings
from helpers.watchdog import Vital
from tests.servers import answer, web

TOKEN = "0d338dcc-a054-11ec-b909-0242ac120002"
INTERVAL_SECONDS = 0.02


class Worker:
    """Counters as a worker has them."""

    def __init__(self) -> None:
        self.grid_steps = 0
        self.supervised = 0
        self.vitals = (
            Vital("no grid step was done", lambda: self.grid_steps),
            Vital("the position supervisor has not looked", lambda: self.supervised),
        )

    def decide(self, times: int = 1) -> None:
        self.grid_steps += times
        self.supervised += times


@asynccontextmanager
async def beating(
    url: str, worker: Worker, *, answer_seconds: float = 2.0
) -> AsyncGenerator[OutsideHeartbeat]:
    heartbeat = OutsideHeartbeat(
        url, worker.vitals, interval_seconds=INTERVAL_SECONDS, answer_seconds=answer_seconds
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(heartbeat.run())
        yield heartbeat
        running.cancel()


async def until(condition: Callable[[], bool], worker: Worker) -> None:
    """Let the worker decide until something has happened."""
    async with asyncio.timeout(10):
        while not condition():
            worker.decide()
            await asyncio.sleep(INTERVAL_SECONDS / 4)


@pytest.fixture(name="log")
def log_of_the_test(tmp_path: Path) -> Iterator[Callable[[], str]]:
    lines = logs.configure(clock=RealClock(), json_lines=True, directory=tmp_path, quiet=True)
    yield lambda: (tmp_path / "worker.log").read_text()
    lines.close()


async def test_it_pings_while_the_worker_decides(log: Callable[[], str]) -> None:
    """A GET each interval; an answer is nothing to talk about."""
    worker = Worker()
    async with web() as server, beating(f"{server.url}/ping/{TOKEN}", worker):
        server.on(f"/ping/{TOKEN}", answer(200, b"OK"))
        await until(lambda: len(server.requests) >= 3, worker)
    assert set(server.requests) == {f"/ping/{TOKEN}"}
    assert log() == ""


@pytest.mark.parametrize("standing", ["grid_steps", "supervised"])
async def test_it_is_silent_when_ticks_or_the_supervisor_stand_still(
    standing: str, log: Callable[[], str]
) -> None:
    """I1: a process that merely runs must not look alive."""
    worker = Worker()
    async with web() as server, beating(server.url, worker):
        for _ in range(20):
            worker.decide()
            setattr(worker, standing, 7)
            await asyncio.sleep(INTERVAL_SECONDS / 2)
        asked = len(server.requests)
        assert asked <= 1  # the one change to 7
        await until(lambda: len(server.requests) > asked, worker)
    assert asked <= 1


async def test_a_monitor_that_fails_is_told_of_once_and_never_named(
    log: Callable[[], str],
) -> None:
    """I33: no storm of identical lines; I35: the address is a secret."""
    worker = Worker()
    async with web() as server, beating(f"{server.url}/{TOKEN}", worker) as heartbeat:
        server.on(f"/{TOKEN}", answer(500, TOKEN.encode()))
        await until(lambda: heartbeat.pings >= 5, worker)
        server.on(f"/{TOKEN}", answer(200, b"OK"))
        await until(lambda: "outside_heartbeat_answered" in log(), worker)
    failed, answered = log().splitlines()
    assert '"outside_heartbeat_failed"' in failed
    assert '"why":"HTTP 500"' in failed
    assert '"outside_heartbeat_answered"' in answered
    assert TOKEN not in log()


async def test_a_lasting_failure_is_told_again_with_the_number_merged(
    log: Callable[[], str],
) -> None:
    """Nobody listens at all: it goes on, and says so once in a while."""
    worker = Worker()
    async with web() as server:
        gone = server.url
    heartbeat = OutsideHeartbeat(f"{gone}/{TOKEN}", worker.vitals, interval_seconds=0.001)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(heartbeat.run())
        await until(lambda: heartbeat.pings > FAILURES_MERGED, worker)
        running.cancel()
    first, second = log().splitlines()[:2]
    assert '"why":"ConnectError","merged":0' in first
    assert f'"merged":{FAILURES_MERGED - 1}' in second
    assert TOKEN not in log()


async def test_a_monitor_that_never_answers_is_not_waited_for(log: Callable[[], str]) -> None:
    """The ping is given up after its bound, and the next one is sent."""
    worker = Worker()
    async with web() as server:
        server.hold = asyncio.Event()
        server.on("/", b"")
        async with beating(f"{server.url}/", worker, answer_seconds=0.1):
            await until(lambda: len(server.requests) >= 2, worker)
        server.hold.set()
    assert '"why":"TimeoutError"' in log()


@pytest.mark.parametrize(
    "url",
    [
        "https://hc-ping.com/0d338dcc-a054-11ec-b909-0242ac120002",
        "https://monitor.example:8443/ping?key=1",
        "http://127.0.0.1:8000/ping",
        "http://localhost/ping",
        "http://[::1]:80/ping",
    ],
)
def test_an_address_may_be(url: str) -> None:
    """TLS anywhere, plain on this machine; it is among the secrets and masked."""
    settings = load_settings(_env_file=None, heartbeat_url=url)
    assert url in settings.secrets()
    assert url not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://hc-ping.com/0d338dcc",
        "http://127.0.0.1.example.com/",
        "http://localhost@example.com/",
        "https://user@example.com/",
        "https:///ping",
        "ftp://example.com",
        "hc-ping.com/0d338dcc",
        "https://example.com/two words",
    ],
)
def test_an_address_may_not_be(url: str) -> None:
    """The error names the setting and what is allowed, and does not show the value."""
    with pytest.raises(SettingsError) as wrong:
        load_settings(_env_file=None, heartbeat_url=url)
    (line,) = wrong.value.lines
    assert line.startswith("HEARTBEAT_URL: was not an https:// address")
    assert url not in line
