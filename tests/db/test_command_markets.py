"""`worker.py markets`: the open windows, from real Postgres."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

import worker
from db import migrate
from helpers.domain import Body, Outcome, ResolutionSeen, Source, StrikeRung, StrikeSeen
from helpers.settings import Settings
from tests.db.journals import write_run
from tests.journal_samples import MARKET_SEEN, RUN_STARTED, SLUG, decision

OPEN: tuple[tuple[float, str, Body], ...] = (
    (0.0, "", RUN_STARTED),
    (1.0, SLUG, MARKET_SEEN),
    (2.0, SLUG, StrikeSeen(price=66_100.5, rung=StrikeRung.VENUE_TWAP)),
    (10.0, SLUG, decision(10.0, reason="the first")),
    (40.0, SLUG, decision(40.0, reason="the last")),
)


@pytest.fixture
def folder(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a journal folder beside a server whose schema is up to date."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert migrate.main([]) == 0
    return tmp_path / "backups" / "journal"


def test_an_open_window_is_shown_with_its_last_decision(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Quotes, strike and fast price as the policy saw them last; time left at the last row."""
    write_run(folder, OPEN)
    capsys.readouterr()
    assert worker.main(["markets", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (market,) = document["markets"]
    assert (document["book"], market["market"], market["asset"]) == ("paper", SLUG, "BTC")
    assert (market["up_bid_micros"], market["up_ask_micros"]) == (520_000, 530_000)
    assert (market["strike"], market["strike_rung"]) == (66_100.5, "venue_twap")
    assert (market["fast_mid"], market["reason"]) == (66_123.45, "the last")
    assert worker.main(["markets"]) == 0
    heads, row = capsys.readouterr().out.splitlines()[1:]
    assert heads.split()[:2] == ["market", "left"]
    assert f"{SLUG}  4 min 20 s   0.520   0.530  66,100.5  66,123.45" in row


def test_a_resolved_window_is_not_open(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has a winner is over, whatever the clock says."""
    won = ResolutionSeen(outcome=Outcome.UP, final_price=66_200.25, source=Source.GAMMA)
    write_run(folder, (*OPEN, (50.0, SLUG, won)))
    capsys.readouterr()
    assert worker.main(["markets"]) == 0
    assert "no window is open" in capsys.readouterr().out


def test_a_window_that_is_not_traded_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A market that nothing was decided in has no quotes, and its problem."""
    closed = replace(MARKET_SEEN, problems=("market is closed",))
    write_run(folder, ((0.0, "", RUN_STARTED), (1.0, SLUG, closed)))
    capsys.readouterr()
    assert worker.main(["markets"]) == 0
    assert "not traded: market is closed" in capsys.readouterr().out
