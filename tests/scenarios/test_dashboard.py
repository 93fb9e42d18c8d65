"""The dashboard beside the ordinary worker: on its loop, in a demo, and where it cannot be had."""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from db.control import ControlLog
from db.file_lease import FileLease
from db.journal import Journal
from db.journal_reading import list_runs, read_journal
from db.records import Record
from helpers import logs
from helpers.clock import SimulatedClock
from helpers.commands import dashboard, demo
from helpers.commands.dashboard import Dashboard
from helpers.commands.guards import Guards
from helpers.commands.observers import observers_of
from helpers.commands.trading_worker import Worker
from helpers.domain import NS_PER_SECOND, Mode, RunStarted
from helpers.feeds.ingest import Ingest
from helpers.server.memory import Memory
from helpers.server.serving import listen
from helpers.server.view import History, View
from helpers.settings import Settings, load_settings
from helpers.venues import Venues
from tests.scenarios.tapes import OPENS, frames

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WAIT_SECONDS_MAXIMUM = 60
SECONDS = 250
"""Of the window that are traded before anybody looks."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE", "off")
    monkeypatch.setenv("WINDOWS", "15m")
    monkeypatch.setenv("STRATEGY", "momentum")


def free_port() -> int:
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    listener.close()
    return port


@asynccontextmanager
async def watched_worker(
    silent_seconds: int = 0,
) -> AsyncGenerator[tuple[Worker, httpx.AsyncClient]]:
    """Run a worker over some minutes of frames, and some seconds of none; then it is looked at."""
    start_ns = (OPENS - 80) * 1_000_000_000
    clock = SimulatedClock(start_ns)
    lines = logs.configure(clock=clock, json_lines=True, directory=None, quiet=True)
    port = free_port()
    settings = load_settings(dashboard_port=port, dashboard_token=TOKEN)
    folder = settings.journal_directory
    with (
        Guards(settings, FileLease(folder, Mode.PAPER), lambda _: None),
        Journal.open_run(folder, Mode.PAPER, start_ns, background=True) as journal,
    ):
        dashboard = Dashboard(settings, Mode.PAPER, clock)
        worker = Worker(
            settings, clock, journal, Venues(), random.Random(1), observers=(dashboard,)
        )
        worker.begin()
        for at, source_text, raw in frames(seconds=SECONDS):
            if at > OPENS + SECONDS:
                break  # the market's end comes later
            now_ns = round(at * 1e9)
            worker.move_time(now_ns - 1)
            clock.advance_to(now_ns)
            source = Ingest.source_of(source_text)
            assert source is not None
            worker.on_frame(source, raw.encode(), now_ns)
        clock.advance_to(clock.now_ns() + silent_seconds * NS_PER_SECOND)
        worker.move_time(clock.now_ns())

        async def hear() -> None:
            while True:
                worker.hear_operator()
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(dashboard.run()), tasks.create_task(hear())]
            await asyncio.sleep(0)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=WAIT_SECONDS_MAXIMUM) as client:
                yield worker, client
            for task in beside:
                task.cancel()
        worker.close("stopped")
    lines.close()


async def test_the_page_shows_what_the_worker_did() -> None:
    """The view, the history and the metrics of a run that decided and traded."""
    async with watched_worker() as (worker, client):
        assert (await client.get("/livez")).text == "alive\n"
        view = msgspec.json.decode((await client.get("/view")).content, type=View)
        assert (view.mode, view.strategy, view.simulated) == ("paper", "momentum", False)
        assert len(view.feature_names) == 18
        market = view.markets[0]
        assert len(market.features) == 18
        assert market.fast_price is not None
        assert market.up.bid is not None
        assert market.decision is not None
        assert market.value is None, "a baseline has no critic"
        assert view.account.trades == worker._flow.ledger.report().trades
        assert view.account.equity == pytest.approx(1000 + view.account.day_pnl)
        assert {feed.source for feed in view.feeds} >= {"binance.public", "polymarket.market"}
        assert next(one for one in view.latency if one.stage == "decision").count > 100
        history = msgspec.json.decode((await client.get("/history")).content, type=History)
        assert len(history.equity) >= 4
        assert (history.equity_seq, history.trades_seq) == (view.equity_seq, view.trades_seq)
        text = (await client.get("/metrics")).text
        samples = samples_of(text)
        decided = worker._flow.scorecard.decisions
        assert samples["worker_decisions_total", "hold"] == decided["HOLD"]
        assert samples["worker_grid_steps_total",] == worker._engine.grid_steps
        assert TOKEN not in text


def samples_of(text: str) -> dict[tuple[str, ...], float]:
    """Return the numbers of a page of metrics by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def past_what_was_published(client: httpx.AsyncClient) -> None:
    """Wait until a view is shown that was made after this was called."""
    async with asyncio.timeout(WAIT_SECONDS_MAXIMUM):
        first = (await client.get("/view")).json()["seq"]
        while (await client.get("/view")).json()["seq"] < first + 2:
            await asyncio.sleep(0.1)


async def test_metrics_tell_what_was_done_not_what_the_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time goes on without a step: an alarm on the last one must be able to ring."""

    def forget_nothing(*_: object) -> None:
        """As with a position that is held."""

    monkeypatch.setattr(Memory, "forget_closed", forget_nothing)
    async with watched_worker() as (worker, client):
        before = samples_of((await client.get("/metrics")).text)
        clock = worker._clock
        assert isinstance(clock, SimulatedClock)
        step = before["worker_last_grid_step_timestamp_seconds",]
        assert step == worker._engine.last_grid_step_ns / NS_PER_SECOND > OPENS
        assert ("worker_book_age_seconds", "BTC") in before
        clock.advance_to(clock.now_ns() + 900 * NS_PER_SECOND)
        await past_what_was_published(client)
        after = samples_of((await client.get("/metrics")).text)
        assert after["worker_clock_timestamp_seconds",] > step + 800
        assert after["worker_last_grid_step_timestamp_seconds",] == step
        assert ("worker_book_age_seconds", "BTC") not in after, "its market is over"


async def test_a_run_that_learns_has_one_series_of_its_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every update makes another model; the page shows it, a label must not."""
    async with watched_worker() as (worker, client):
        named = {s for s in samples_of((await client.get("/metrics")).text) if "build_info" in s[0]}
        monkeypatch.setattr(type(worker._flow.strategy), "model_id", "learned", raising=False)
        await past_what_was_published(client)
        later = {s for s in samples_of((await client.get("/metrics")).text) if "build_info" in s[0]}
        view = msgspec.json.decode((await client.get("/view")).content, type=View)
    assert view.model_id == "learned"
    assert named == later


async def test_what_could_not_be_computed_is_not_shown_as_zeros() -> None:
    """After half a minute without a frame every book is too old to reckon with."""
    async with watched_worker(silent_seconds=30) as (_, client):
        view = msgspec.json.decode((await client.get("/view")).content, type=View)
        market = view.markets[0]
        assert market.invalid
        assert market.features == ()
        assert market.cold == ()


async def test_halt_and_resume_go_through_the_control_log() -> None:
    """The worker itself answers; the log is that of the verbs."""
    async with watched_worker() as (worker, client):
        wish = {"verb": "halt", "reason": "odd fills", "confirmation": "paper"}
        answer = (await client.post("/control", json=wish, headers=BEARER)).json()
        assert answer["ok"], answer
        assert "the worker is halted: operator: dashboard: odd fills" in answer["text"]
        assert worker.entries_stopped.startswith("operator: dashboard")
        (held,) = ControlLog(Path("backups/journal"), Mode.PAPER).read().standing
        assert held.detail == "operator: dashboard: odd fills"
        names = [one["name"] for one in (await client.get("/readyz")).json()["failing"]]
        assert "halted" in names
        wish = {"verb": "resume", "confirmation": "paper"}
        answer = (await client.post("/control", json=wish, headers=BEARER)).json()
        assert answer["ok"], answer
        assert worker.entries_stopped == ""
        wish = {"verb": "flatten", "confirmation": "paper"}
        answer = (await client.post("/control", json=wish, headers=BEARER)).json()
        assert "positions are being closed" in answer["text"]
        assert worker.entries_stopped.startswith("operator: dashboard")


def told(records: list[Record]) -> list[object]:
    return [record.body for record in records if not isinstance(record.body, RunStarted)]


def look_until(over: threading.Event, port: int, seen: list[str]) -> None:
    """Follow the events, ask for everything, again and again."""
    base = f"http://127.0.0.1:{port}"
    while not over.is_set():
        try:
            for path in ("/view", "/metrics", "/readyz", "/history"):
                httpx.get(base + path, timeout=5)
            with httpx.stream("GET", base + "/events", timeout=5) as stream:
                for line in stream.iter_lines():
                    seen.append(line[:6])
                    if over.is_set() or len(seen) % 20 == 0:
                        break
        except httpx.HTTPError:
            continue


def test_viewers_change_nothing_in_a_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same run, with and without people who look."""
    port = free_port()
    monkeypatch.setenv("DASHBOARD_PORT", str(port))
    options = ["--speed", "max", "--quiet", "--minutes", "1", "--seed", "3"]
    assert demo.main(options) == 0
    over, seen = threading.Event(), list[str]()
    viewers = [threading.Thread(target=look_until, args=(over, port, seen)) for _ in range(2)]
    for viewer in viewers:
        viewer.start()
    assert demo.main(options) == 0
    over.set()
    for viewer in viewers:
        viewer.join()
    assert "event:" in seen, "nobody saw anything: nothing is proved"
    first, second = (
        list(read_journal(r.path)) for r in list_runs(Path("backups/journal/demo-paper"))
    )
    assert told(first) == told(second)
    assert len(first) > 300


def test_a_port_that_is_taken_is_told_and_traded_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With how to mend it; the run ends as any other."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    monkeypatch.setenv("DASHBOARD_PORT", str(taken.getsockname()[1]))
    assert demo.main(["--speed", "max", "--quiet", "--minutes", "0.1"]) == 0
    taken.close()
    assert "dashboard  off: 127.0.0.1:" in capsys.readouterr().out
    log = Path("logs/worker.log").read_text()
    assert '"event":"dashboard_off"' in log
    assert "set DASHBOARD_PORT to a free port" in log


def test_a_host_that_cannot_be_one_is_told_and_traded_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was the end of a worker, as an error that nobody expected of a name."""
    monkeypatch.setenv("DASHBOARD_HOST", "a..b")
    monkeypatch.setenv("DASHBOARD_TOKEN", "a-token-of-the-tests")
    assert demo.main(["--speed", "max", "--quiet", "--minutes", "0.1"]) == 0
    assert "dashboard  off: a..b:" in capsys.readouterr().out


def test_a_view_that_fails_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is shown, and one line says what was wrong with the other."""
    port, real = free_port(), dashboard.build_view
    monkeypatch.setenv("DASHBOARD_PORT", str(port))
    failures = iter([ValueError("no such view"), ValueError("nor this")])

    def build(*given: Any, **named: Any) -> Any:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return real(*given, **named)

    monkeypatch.setattr(dashboard, "build_view", build)
    over, seen = threading.Event(), list[str]()
    viewer = threading.Thread(target=look_until, args=(over, port, seen))
    viewer.start()
    assert demo.main(["--speed", "60", "--quiet", "--minutes", "4"]) == 0
    over.set()
    viewer.join()
    assert next(failures, None) is None, "nobody looked: nothing is proved"
    assert "event:" in seen
    assert Path("logs/worker.log").read_text().count('"event":"dashboard_view_failed"') == 1


def test_a_demo_says_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    """Its address is on the screen."""
    settings_port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASHBOARD_PORT", str(settings_port))
        assert demo.main(["--speed", "max", "--quiet", "--minutes", "0.1"]) == 0
    assert f"dashboard  http://127.0.0.1:{settings_port}" in capsys.readouterr().out


def test_nothing_of_a_server_is_imported_for_nobody() -> None:
    """``config`` answers at once, and a worker without a dashboard does not carry one."""
    assert observers_of(load_settings(dashboard_port=0), Mode.PAPER, SimulatedClock(1)) == ()
    script = (
        "import sys, worker; worker.main(['config']); import helpers.commands.run;"
        "print({'uvicorn', 'starlette', 'prometheus_client'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "set()"


def test_another_address_without_a_token_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 78, before anything is opened."""
    monkeypatch.setenv("DASHBOARD_HOST", "0.0.0.0")
    assert demo.main(["--minutes", "0.1"]) == 78
    assert "set DASHBOARD_TOKEN" in capsys.readouterr().err
