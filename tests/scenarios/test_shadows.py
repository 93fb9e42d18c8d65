"""Shadows beside a worker: they earn what they would alone, and nothing else is changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from db.journal_reading import latest_run, read_journal
from db.records import Record
from helpers import logs
from helpers.clock import SimulatedClock
from helpers.commands import backtest, replay, shadows
from helpers.commands.shadows import Shadow, Shadows
from helpers.domain import FeedEvent, OperatorRequest, OperatorVerb, ShadowWindow
from helpers.evaluation.windows import WindowResult
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, SettingsError, load_settings
from strategies.base import ModelError
from tests.scenarios.tapes import SLUG, frames, write_tape
from tests.scenarios.test_trading_worker import play

NAMES = "fade_spike,fair_value,hold,random"
MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("WINDOWS", "15m")
    monkeypatch.setenv("STRATEGY", "momentum")


def windows(records: Sequence[Record]) -> dict[str, ShadowWindow]:
    return {r.body.shadow: r.body for r in records if isinstance(r.body, ShadowWindow)}


def events(seconds: float = 1e9) -> list[FeedEvent]:
    """Return what the feeds say in the synthetic market's life."""
    ingest, rows = Ingest(), frames()
    found: list[FeedEvent] = []
    for at, source_text, raw in rows:
        source = Ingest.source_of(source_text)
        assert source is not None
        if at < rows[0][0] + seconds:
            found += ingest.parse(source, raw, round(at * 1e9))
    return found


def replayed(tape: Path, *more: str) -> list[Record]:
    assert replay.main([str(tape), "--quiet", *more]) == 0
    run = latest_run(Path("backups/journal"))
    assert run is not None
    return list(read_journal(run))


def test_a_shadow_earns_what_a_backtest_of_it_earns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same flow on the same events, behind another strategy or alone."""
    tape = write_tape(tmp_path / "t.jsonl.gz", frames())
    arguments = [str(tape), "--strategy", NAMES, "--cold", "--json", "--processes", "1"]
    assert backtest.main(arguments) == 0
    alone = json.loads(capsys.readouterr().out)["windows"]
    monkeypatch.setenv("SHADOW", NAMES)
    found = windows(replayed(tape, "--cold"))
    assert list(found) == NAMES.split(",")
    for row in alone:
        shadow = found[row["contender"]]
        for name in ("pnl_micros", "fees_micros", "cost_micros", "trips", "wins", "up_won"):
            assert getattr(shadow, name) == row[name]
    assert found["random"].trips > 0
    assert found["hold"].trips == 0
    told = capsys.readouterr().out
    assert "the strategy's" in told
    assert "\nrandom " in told


def test_shadows_change_no_row_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """With them and without them a worker writes the same rows, theirs aside."""
    plain = play(1_000, record=False)
    monkeypatch.setenv("SHADOW", NAMES)
    monkeypatch.setenv("JOURNAL_DIRECTORY", "beside")
    beside = play(1_000, record=False)
    rows = [(r.at_ns, r.market, r.body) for r in beside if r.kind != "shadow_window"]
    first, *others = rows
    assert others == [(r.at_ns, r.market, r.body) for r in plain][1:]
    assert first[0] == plain[0].at_ns
    assert set(windows(beside)) == set(NAMES.split(","))
    assert {r.market for r in beside if r.kind == "shadow_window"} == {SLUG}


class Failing(Shadow):
    """A shadow with a bug in its third event."""

    def __init__(self, name: str, settings: Settings, *, allow_cold: bool) -> None:
        super().__init__(name, settings, allow_cold=allow_cold)
        self.steps = 0

    def step(self) -> tuple[WindowResult, ...]:
        self.steps += 1
        if self.name == "fade_spike" and self.steps == 3:
            raise ZeroDivisionError("a bug")
        return super().step()


def heard(names: str, build: type[Shadow] = Shadow) -> tuple[Shadows, list[ShadowWindow]]:
    """Return shadows, and the windows they will tell."""
    told: list[ShadowWindow] = []
    settings = load_settings(shadow=names)
    made = Shadows(settings, lambda _, window: told.append(window), allow_cold=True, build=build)
    return made, told


def test_a_shadow_that_fails_ends_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """One HEALTH line says why; the others go on, and so does whoever feeds them."""
    lines = logs.configure(clock=SimulatedClock(1), json_lines=True, directory=None)
    made, told = heard("fade_spike,random", Failing)
    for event in events():
        made.hear(event)
        made.catch_up()
    lines.close()
    assert made.endings() == (("fade_spike", "failed: ZeroDivisionError: a bug"),)
    assert [window.shadow for window in told] == ["random"]
    assert [shadow.name for shadow in made.alive] == ["random"]
    said = [line for line in capsys.readouterr().err.splitlines() if "shadow_ended" in line]
    assert len(said) == 1
    assert "HEALTH" in said[0]
    assert "a bug" in said[0]


def test_a_shadow_that_falls_behind_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, and the worker never waits for it."""
    lines = logs.configure(clock=SimulatedClock(1), level="error", json_lines=True, directory=None)
    monkeypatch.setattr(shadows, "QUEUE_MAXIMUM", 10)
    made, told = heard("random")
    for event in events(60.0):
        made.hear(event)
    lines.close()
    assert made.endings() == (("random", "was more than 10 events behind"),)
    made.catch_up()
    assert told == []


def test_moments_that_came_together_are_one() -> None:
    """Time moves twenty times a second: only the latest moment waits."""
    made, _ = heard("random")
    (shadow,) = made.alive
    for moment in range(1, 1_000):
        made.hear(moment)
    assert shadow.waits
    shadow.step()
    assert not shadow.waits


def test_what_an_operator_asks_for_is_not_for_shadows() -> None:
    """A halt stops the strategy that trades; a shadow has no money to lose."""
    made, _ = heard("random")
    (shadow,) = made.alive
    made.hear(OperatorRequest("1", OperatorVerb.HALT, "why", 5))
    assert not shadow.waits


def test_other_work_of_the_loop_comes_between_any_two_events() -> None:
    """An order that is to be sent waits for one event of one shadow at most."""
    made, told = heard("fade_spike,random")
    turns = 0
    heard_events = events()

    async def loop() -> None:
        nonlocal turns
        for event in heard_events:
            made.hear(event)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(made.run())
            while any(shadow.waits for shadow in made.alive):
                turns += 1
                await asyncio.sleep(0)
            following.cancel()

    asyncio.run(loop())
    assert turns >= 2 * len(heard_events)
    assert [window.shadow for window in told] == ["fade_spike", "random"]


def test_without_shadows_nothing_is_heard() -> None:
    """No queue, no listener."""
    made, _ = heard("")
    made.hear(5)
    assert (made.listeners, made.alive, made.duels(), made.endings()) == ((), (), (), ())


def test_a_model_that_does_not_verify_ends_the_start(tmp_path: Path) -> None:
    """Told at once, as for the strategy that trades; a sound one takes part under its folder."""
    with pytest.raises(ModelError):
        heard(f"{tmp_path}/")
    made, _ = heard(str(MODELS))
    (shadow,) = made.alive
    assert shadow.name == str(MODELS)
    assert len(shadow.model_id) == 12


@pytest.mark.parametrize(
    "names", ["nobody", "oracle", "rl,rl", ",".join(f"a/{n}" for n in "123456789")]
)
def test_a_name_that_is_none_is_a_wrong_setting(names: str) -> None:
    """A typo, the oracle, somebody twice, too many."""
    with pytest.raises(SettingsError, match="SHADOW"):
        load_settings(shadow=names)
