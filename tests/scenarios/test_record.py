"""Recording: the feeds of simulated venues onto a tape that the ordinary replay trades."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.journal_reading import list_runs, read_journal
from helpers import logs
from helpers.commands import record, replay
from helpers.commands.demo import with_demo_wallet
from helpers.domain import NS_PER_SECOND, Decision, Fill, MarketResolved, Source
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from helpers.tape import TapeFaults, TapeFrame, read_tape
from simulator.demo_world import ServedWorld
from simulator.faults import Fault, FaultKind
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.world_settings import DEFAULT_START_NS

SEED = 7
RECORDED = {
    Source.WORKER,
    Source.BINANCE_PUBLIC,
    Source.BINANCE_MARKET,
    Source.BINANCE_REST,
    Source.POLYMARKET_MARKET,
    Source.POLYMARKET_REFERENCE,
    Source.GAMMA,
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ASSETS", "BTC")
    monkeypatch.setenv("WINDOWS", "5m")


def recorded(
    seconds: float, *faults: Fault, begin_seconds: float = 0.0
) -> tuple[int, ServedWorld, frozenset[str]]:
    """Record a served world; return the exit code, the world, and what was asked for at the end."""
    loop = SimulatedLoop()
    clock = LoopClock(loop, DEFAULT_START_NS + round(begin_seconds * NS_PER_SECOND))
    plain = load_settings()
    served = ServedWorld(SEED, clock, plain.assets, plain.window_seconds(), faults)
    settings = with_demo_wallet(plain, served, None, SEED)
    lines = logs.configure(clock=clock, json_lines=True, directory=None, quiet=True)
    wanted: set[str] = set()

    async def listen() -> None:
        while True:
            await asyncio.sleep(1.0)
            wanted.clear()
            for client in served.polymarket.market_channel.clients():
                wanted.update(client.assets)

    async def play() -> None:
        await served.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(served.drive()), tasks.create_task(listen())]
                rng = random.Random(SEED)
                await record.record(settings, clock, served.venues(), rng, seconds)
                for task in beside:
                    task.cancel()
        finally:
            await served.stop()

    try:
        return record.supervise(play(), lambda: loop), served, frozenset(wanted)
    finally:
        lines.close()


def frames() -> Iterator[TapeFrame]:
    """Yield what the recording wrote."""
    faults = TapeFaults()
    yield from read_tape(Path("backups/tapes/record.jsonl.gz"), faults)
    assert (faults.truncated, faults.corrupt, faults.malformed_lines) == (0, 0, 0)


def test_a_recorded_world_is_replayed_and_traded(capsys: pytest.CaptureFixture[str]) -> None:
    """The tape has every source in order, and the ordinary replay decides and trades on it."""
    code, _, _ = recorded(120.0)
    assert code == 0
    stamps = [frame.received_ns for frame in frames()]
    assert stamps == sorted(stamps)
    assert 119e9 < stamps[-1] - stamps[0] <= 120e9
    assert {frame.source_text for frame in frames()} >= RECORDED
    assert replay.main(["backups/tapes", "--quiet", "--strategy", "momentum"]) == 0
    assert "malformed" not in capsys.readouterr().out
    (run,) = list_runs(Path("backups/journal"))
    rows = [row.body for row in read_journal(run.path)]
    decisions = [row for row in rows if isinstance(row, Decision)]
    assert len(decisions) >= 240
    assert any(row.features[15] > 0 for row in decisions)
    assert any(isinstance(row, Fill) for row in rows)


def test_a_window_is_recorded_to_its_resolution_and_then_given_up() -> None:
    """Without Gamma: the socket tells the outcome, and later windows' tokens are asked for."""
    away = Fault(
        kind=FaultKind.REFUSE, where="gamma:*", status=503, from_seconds=300, for_seconds=600
    )
    code, served, wanted = recorded(150.0, away, begin_seconds=250.0)
    assert code == 0
    ingest, resolved = Ingest(), list[MarketResolved]()
    for frame in frames():
        if frame.source_text == Source.POLYMARKET_MARKET:
            events = ingest.parse(Source.POLYMARKET_MARKET, frame.raw, frame.received_ns)
            resolved += [event for event in events if isinstance(event, MarketResolved)]
    (over,) = resolved
    listing = served.world.exchange.market(over.condition_id).listing
    assert over.winning_token in (listing.up_token, listing.down_token)
    assert wanted
    assert wanted.isdisjoint((listing.up_token, listing.down_token))


def test_a_venue_that_refuses_everywhere_ends_the_recording() -> None:
    """I11: a block of Polymarket is obeyed: exit code 69, and the tape is whole."""
    blocked = Fault(kind=FaultKind.REFUSE, where="gamma:*", status=451, for_seconds=600)
    code, _, _ = recorded(60.0, blocked)
    assert code == 69
    assert list(frames())
    assert not list(Path("backups/tapes").glob("*.part"))


@pytest.mark.parametrize("minutes", ["-1", "nan", "inf", "soon"])
def test_minutes_that_are_none_are_refused(
    minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is recorded for a time that is no time."""
    with pytest.raises(SystemExit) as ended:
        record.main(["--minutes", minutes])
    assert ended.value.code == 2
    assert "--minutes" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be: exit code 70."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAPE_DIRECTORY", str(tmp_path / "file"))
    code, _, _ = recorded(1.0)
    assert code == 70
