"""A paper account goes on where its last run ended, in order or killed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.journal import Journal
from db.journal_reading import read_journal
from db.records import Record
from db.recovery import read_left_behind
from helpers import logs
from helpers.clock import SimulatedClock
from helpers.commands.paper_side import PAPER_WALLET, PaperSide
from helpers.commands.trading_worker import Worker
from helpers.domain import (
    Approved,
    Checkpoint,
    Fill,
    FillStatus,
    Mode,
    OrderState,
    OrderUpdate,
    Position,
    Rejected,
)
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from helpers.venues import Venues
from tests.scenarios.tapes import OPENS, frames

NS = 1_000_000_000
FOLDER = Path("backups/journal")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("STRATEGY", "momentum")
    lines = logs.configure(clock=SimulatedClock(), json_lines=True, directory=None, quiet=True)
    yield
    lines.close()


class Life:
    """One worker over the synthetic frames."""

    def __init__(self, begins: float) -> None:
        self.clock = SimulatedClock(round(begins * NS))
        settings = load_settings()
        self.journal = Journal.open_run(FOLDER, Mode.PAPER, self.clock.now_ns())
        left = read_left_behind(FOLDER, Mode.PAPER, PAPER_WALLET)
        self.side = PaperSide(settings, self.clock, left)
        self.worker = Worker(
            settings, self.clock, self.journal, Venues(), random.Random(1), self.side,
            allow_cold=True,
        )  # fmt: skip
        self.worker.begin()

    def until(self, seconds: float) -> Iterator[float]:
        since = self.clock.now_ns() / NS
        for at, name, raw in frames(seconds=300):
            if not since < at <= seconds:
                continue
            self.worker.move_time(round(at * NS) - 1)
            self.clock.advance_to(round(at * NS))
            source = Ingest.source_of(name)
            assert source is not None
            self.worker.on_frame(source, raw.encode(), round(at * NS))
            yield at

    def positions(self) -> tuple[Position, ...]:
        return self.side.ledger.positions()

    def rows(self) -> list[Record]:
        self.journal.commit()
        return list(read_journal(self.journal.run))

    def kill(self) -> None:
        """End as SIGKILL would: what was not handed over is gone."""
        self.journal.commit()
        self.journal.close()


def life_with_a_position(*, settled: bool) -> Life:
    life = Life(OPENS - 80)
    for _ in life.until(OPENS + 250):
        pending = [p for p in life.positions() if p.shares_pending_micros]
        held = [p for p in life.positions() if p.shares_settled_micros]
        if held if settled else pending:
            return life
    raise AssertionError("the frames give a position")


def test_a_killed_runs_position_is_taken_over_with_its_deadline_and_cash() -> None:
    """I1, I31: the next start owns it; its deadline is its own."""
    first = life_with_a_position(settled=True)
    before, cash = first.positions(), first.side.ledger.cash_micros
    first.kill()
    second = Life(first.clock.now_ns() / NS + 5)
    assert second.positions() == before
    assert second.side.ledger.cash_micros == cash
    (checkpoint,) = [r.body for r in second.rows() if isinstance(r.body, Checkpoint)]
    assert checkpoint.wallet == PAPER_WALLET
    for _ in second.until(OPENS + 299):
        pass
    sold = [
        r.body for r in second.rows() if isinstance(r.body, Approved) and not r.body.intent.opens
    ]
    assert sold, "it is closed by its new owner"


def test_a_trade_that_was_matched_is_settled_by_the_next_start() -> None:
    """The paper venue settles every trade; shares are not pending for ever."""
    first = life_with_a_position(settled=False)
    pending = sum(p.shares_micros for p in first.positions())
    first.kill()
    second = Life(first.clock.now_ns() / NS + 5)
    assert sum(p.shares_settled_micros for p in second.positions()) == pending
    assert all(not p.shares_pending_micros for p in second.positions())
    confirmed = [r.body for r in second.rows() if isinstance(r.body, Fill)]
    assert {fill.status for fill in confirmed} == {FillStatus.CONFIRMED}


@pytest.mark.parametrize(("after_ms", "resting"), [(50, False), (400, True)])
def test_an_order_that_was_on_its_way_or_rests_has_an_end(
    after_ms: int, resting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row without an end: the paper venue died with the process."""
    monkeypatch.setenv("EXECUTION_STYLE", "maker")
    first = Life(OPENS - 80)
    for _ in first.until(OPENS + 250):
        if any(isinstance(row.body, Approved) for row in first.rows()):
            break
    first.worker.move_time(first.clock.now_ns() + after_ms * 1_000_000)
    first.kill()
    second = Life(first.clock.now_ns() / NS + 5)
    (ended,) = [r.body for r in second.rows() if isinstance(r.body, OrderUpdate | Rejected)]
    if resting:
        assert isinstance(ended, OrderUpdate)
        assert ended.state is OrderState.CANCELED
        assert ended.remaining_shares_micros > 0
    else:
        assert isinstance(ended, Rejected)
        assert ended.missed


def test_an_orderly_stop_and_a_third_run() -> None:
    """The same path after a clean stop; a checkpoint of each start is enough for the next."""
    first = life_with_a_position(settled=True)
    first.worker.close("stopped")
    cash = first.side.ledger.cash_micros
    first.journal.close()
    for later in (5, 6):
        life = Life(first.clock.now_ns() / NS + later)
        assert life.side.ledger.cash_micros == cash
        assert life.positions() == first.positions()
        life.kill()


def test_a_fresh_account_starts_with_the_cash_of_the_settings() -> None:
    """Nothing to take over."""
    life = Life(OPENS - 80)
    assert life.side.ledger.cash_micros == 1_000_000_000
    life.kill()
