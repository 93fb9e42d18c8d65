"""Shadows in SQL: beside the account's own positions, never among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

import worker
from db import migrate
from helpers.domain import NS_PER_SECOND, Asset, Body, MarketSeen, RoundTrip, ShadowWindow
from helpers.settings import Settings
from tests.db.journals import write_run
from tests.journal_samples import EVERY_BODY, RUN_STARTED, RUN_STOPPED, at

WINDOWS = 6
LENGTH_SECONDS = 300
TRIP = next(body for body in EVERY_BODY if isinstance(body, RoundTrip))
SEEN = next(body for body in EVERY_BODY if isinstance(body, MarketSeen))


def story() -> list[tuple[float, str, Body]]:
    """Return a run of six windows: it traded in two of them, its shadow earned a dollar in each."""
    rows: list[tuple[float, str, Body]] = [(0.0, "", RUN_STARTED)]
    for index in range(WINDOWS):
        slug, seconds = f"m{index}", float(index * LENGTH_SECONDS)
        rows.append((seconds, slug, replace(SEEN, slug=slug)))
        if index < 2:
            rows.append((seconds + 200, slug, replace(TRIP, market=slug, pnl_micros=300_000)))
        shadow = ShadowWindow(
            shadow="momentum",
            model_id="momentum-1",
            asset=Asset.BTC,
            opens_ns=at(seconds),
            closes_ns=at(seconds) + LENGTH_SECONDS * NS_PER_SECOND,
            pnl_micros=1_000_000 + 10_000 * index,
            fees_micros=1,
            cost_micros=2,
            trips=3,
            wins=2,
            up_won=True,
        )
        rows.append((seconds + 290, slug, shadow))
    return [*rows, (2_000.0, "", RUN_STOPPED)]


@pytest.fixture
def served(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a server with the run of a story in it."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert migrate.main([]) == 0
    write_run(tmp_path / "backups" / "journal", story())


@pytest.mark.usefixtures("served")
def test_status_shows_shadows_and_mixes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The account's own profit is that of its two positions."""
    assert worker.main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    (duel,) = status["shadows"]
    assert (duel["challenger"], duel["windows"]) == ("momentum", WINDOWS)
    assert duel["challenger_pnl"]["mean"] == pytest.approx(1.025)
    assert duel["champion_pnl"]["mean"] == pytest.approx(0.1)
    assert worker.main(["status"]) == 0
    assert "shadow    momentum: +1.02 a window" in capsys.readouterr().out
    assert worker.main(["trades", "--json"]) == 0
    trades = json.loads(capsys.readouterr().out)
    assert trades["totals"]["pnl_micros"] == 600_000


@pytest.mark.usefixtures("served")
def test_compare_asks_sql(capsys: pytest.CaptureFixture[str]) -> None:
    """A challenger beats the champion by a margin, or does not."""
    question = ["compare", "momentum", "champion", "--sql"]
    assert worker.main([*question, "--margin", "0.5"]) == 0
    assert "difference" in capsys.readouterr().out
    assert worker.main([*question, "--margin", "1.5"]) == 1
    assert worker.main(["compare", "champion", "momentum", "--sql", "--margin", "0"]) == 1
    assert worker.main([*question, "--json", "--since", "20m"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told[told.index("{") :])["windows"] < WINDOWS
    assert worker.main(["compare", "rl", "champion", "--sql"]) == 66
    assert "windows of champion, momentum" in capsys.readouterr().err
    assert worker.main([*question, "--since", "yesterday"]) == 2
