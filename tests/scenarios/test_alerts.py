"""Alerts of whole runs: a demo's, and of a run that fails before it trades."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pydantic import SecretStr

from db.journal import Journal
from db.journal_reading import list_runs, read_journal
from db.records import Record
from helpers import logs
from helpers.commands import demo
from helpers.commands.trading_worker import Worker
from helpers.domain import AlertKind, AlertOutcome, AlertSent, AlertSeverity, Mode, RunStopped
from helpers.feeds.probe import NoFastMarket
from helpers.settings import Settings, load_settings
from simulator.demo_world import NOWHERE
from tests.discord_world import DiscordWorld, simulated

CANARY = "http://127.0.0.1:9/api/webhooks/1/canary-of-the-real-webhook"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def alerts_of(records: list[Record]) -> list[AlertSent]:
    return [record.body for record in records if isinstance(record.body, AlertSent)]


def test_a_demo_tells_the_simulated_discord_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started, entered, stopped: delivered, and written down before the last row."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", CANARY)
    assert demo.main(["--speed", "max", "--quiet", "--minutes", "2", "--strategy", "momentum"]) == 0
    (run,) = list_runs(Path("backups/journal/demo-paper"))
    records = list(read_journal(run.path))
    alerts = alerts_of(records)
    assert {alert.outcome for alert in alerts} <= {AlertOutcome.DELIVERED, AlertOutcome.MERGED}
    kinds = [alert.kind for alert in alerts]
    assert kinds[0] is AlertKind.STARTED
    assert AlertKind.ENTERED in kinds
    stopped = next(alert for alert in alerts if alert.kind is AlertKind.STOPPED)
    assert (stopped.title, stopped.severity) == (
        "stopped: the demo is over",
        AlertSeverity.WARNING,
    )
    assert sorted(alert.number for alert in alerts) == list(range(1, len(alerts) + 1))
    assert isinstance(records[-1].body, RunStopped)
    assert "to the simulated Discord" in capsys.readouterr().out
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert not any(b"canary" in path.read_bytes() for path in written)
    assert not any(b"simulated-webhook" in path.read_bytes() for path in written)


def test_the_owner_hears_of_a_run_that_fails(tmp_path: Path) -> None:
    """Jesse #378: what ends the worker must not end the notifier first."""

    async def scenario(world: DiscordWorld) -> list[str]:
        settings = load_settings(strategy="momentum", discord_webhook_url=SecretStr(world.url))
        now_ns = world.clock.now_ns()
        lines = logs.configure(
            clock=world.clock, json_lines=True, directory=tmp_path / "logs", quiet=True
        )
        with Journal.open_run(
            settings.journal_directory, Mode.PAPER, now_ns, background=True
        ) as journal:
            worker = Worker(settings, world.clock, journal, NOWHERE, random.Random(1))
            with pytest.raises(ExceptionGroup) as caught:
                await worker.run()
            worker.close("failed")
        lines.close()
        assert caught.group_contains(NoFastMarket)
        records = list(read_journal(journal.run))
        assert isinstance(records[-1].body, RunStopped)
        (stopped, _) = alerts_of(records)
        assert stopped.severity is AlertSeverity.CRITICAL
        return world.titles

    # It failed at once: both are in one message, and what matters more comes first.
    assert simulated(scenario) == ["PAPER · ❗ stopped: failed: NoFastMarket", "PAPER · started"]
