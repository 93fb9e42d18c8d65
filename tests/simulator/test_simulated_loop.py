"""The loop on simulated time: the same run every time, far faster than real time."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections.abc import Awaitable, Callable

import pytest

from helpers.clock import monotonic_seconds, system_seconds
from simulator import simulated_loop
from simulator.simulated_loop import LoopClock, SimulatedLoop

START_NS = 1_790_000_000_000_000_000
Events = list[tuple[int, str]]


def run(main: Callable[[SimulatedLoop], Awaitable[None]], speed: float = 0.0) -> None:
    """Run something on a new loop."""
    loop = SimulatedLoop(speed)

    async def inside() -> None:
        await main(loop)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(inside())


def exchange(seed: int) -> Events:
    """Let three clients talk to a server, with timers and random sizes on both sides."""
    seen: Events = []

    async def main(loop: SimulatedLoop) -> None:
        clock = LoopClock(loop, START_NS)
        rng = random.Random(seed)

        served = asyncio.Semaphore(0)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                name = line.split(b" ")[0].decode()
                seen.append((clock.now_ns(), f"server had {len(line)} bytes of {name}"))
                await asyncio.sleep(rng.choice((0.0, 0.005, 0.01)))
                writer.write(b"y" * rng.randrange(1, 300_000) + b"\n")
                await writer.drain()
            writer.close()
            await writer.wait_closed()
            served.release()

        async def call(port: int, name: str) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
            for _ in range(20):
                writer.write(f"{name} {'x' * rng.randrange(1, 5_000)}\n".encode())
                line = await reader.readline()
                seen.append((clock.now_ns(), f"{name} had {len(line)} bytes"))
                await asyncio.sleep(0.005)
            writer.close()
            await writer.wait_closed()
            seen.append((clock.now_ns(), f"{name} closed"))

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
        port = server.sockets[0].getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            for name in ("one", "two", "three"):
                tasks.create_task(call(port, name))
        for _ in range(3):
            await served.acquire()
        server.close()
        await server.wait_closed()

    run(main)
    return seen


def test_two_runs_have_the_same_events_at_the_same_moments() -> None:
    """Real sockets, three clients in step, long messages: one sequence."""
    first = exchange(7)
    assert len(first) == 3 * (20 + 20 + 1)
    assert exchange(7) == first
    assert exchange(8) != first


def test_the_sequence_does_not_depend_on_the_load_of_the_machine() -> None:
    """Threads that take the processor away change nothing."""
    first = exchange(7)
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(1_000))

    threads = [threading.Thread(target=burn) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        again = exchange(7)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert again == first


def test_a_minute_of_sleep_takes_no_time() -> None:
    """Without a pace, time jumps from timer to timer; waits and durations agree."""
    started = system_seconds()

    async def main(loop: SimulatedLoop) -> None:
        clock, began = LoopClock(loop, START_NS), monotonic_seconds()
        for _ in range(600):
            await asyncio.sleep(0.1)
        assert clock.now_ns() - START_NS == pytest.approx(60e9, abs=1e3)
        assert monotonic_seconds() - began == pytest.approx(60.0)

    run(main)
    assert system_seconds() - started < 1.0


def test_a_pace_is_kept() -> None:
    """Ten simulated seconds at fifty times real time take a fifth of a second."""
    started = system_seconds()

    async def main(loop: SimulatedLoop) -> None:
        for _ in range(100):
            await asyncio.sleep(0.1)

    run(main, speed=50.0)
    assert 0.2 <= system_seconds() - started < 0.6


@pytest.mark.parametrize("patience_seconds", [5.0, 0.01])
def test_time_stands_still_while_a_thread_works(
    patience_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread's answer comes at the moment it was asked for, however long it takes."""
    monkeypatch.setattr(simulated_loop, "THREAD_SECONDS", patience_seconds)
    moments: list[int] = []
    go_on = threading.Event()

    async def main(loop: SimulatedLoop) -> None:
        clock = LoopClock(loop, START_NS)
        timer = loop.call_later(0.001, lambda: moments.append(clock.now_ns()))
        helper = threading.Timer(0.05, go_on.set)
        helper.start()
        assert await asyncio.to_thread(go_on.wait, 5)
        assert clock.now_ns() == START_NS
        # Who is waited for no longer may wait for us, and a watchdog sees that nothing is stuck.
        assert (loop.waits_for_threads >= 1) == (patience_seconds < 0.05)
        await asyncio.sleep(0.002)
        assert timer.when() <= loop.time()

    run(main)
    assert moments == [START_NS + 1_000_000]


def test_signals_are_heard_in_the_middle_of_a_run() -> None:
    """A signal handler runs although no socket speaks."""

    async def main(loop: SimulatedLoop) -> None:
        heard = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, heard.set)
        signal.raise_signal(signal.SIGUSR1)
        await asyncio.wait_for(heard.wait(), 60)
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main)


def test_only_loopback_can_be_reached() -> None:
    """No name is resolved, no TLS spoken, a port without a listener refuses."""

    async def main(loop: SimulatedLoop) -> None:
        with pytest.raises(OSError, match="no network"):
            await asyncio.open_connection("example.com", 80)
        with pytest.raises(OSError, match="no network"):
            await loop.getaddrinfo("example.com", 80)
        assert await loop.getaddrinfo("localhost", 80)
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    run(main)


def test_a_busy_callback_does_not_starve_sockets() -> None:
    """A task that never waits for time still lets the answer in."""

    async def main(loop: SimulatedLoop) -> None:
        answered = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        async def call(port: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()
            answered.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call(server.sockets[0].getsockname()[1]))
            for _ in range(20_000):
                if answered.is_set():
                    break
                await asyncio.sleep(0)
        assert answered.is_set()
        server.close()

    run(main)
