"""The flow's schedule: the grid, the trigger, one exit in flight, conflicts, resolutions."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.journal import Journal
from db.journal_reading import read_journal
from db.records import Record
from helpers import logs
from helpers.clock import SimulatedClock
from helpers.commands.composition import Flow, build_flow
from helpers.domain import (
    Approved,
    Decision,
    FeedGap,
    HaltChanged,
    HoldCause,
    IntentReason,
    LedgerConflict,
    MarketOpened,
    MarketResolved,
    MarketSeen,
    Mode,
    OrderIntent,
    Refused,
    ResolutionSeen,
    Source,
    TradingState,
)
from helpers.domain import Disconnected as Lost
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from tests.builders import a_market
from tests.scenarios.tapes import (
    CONDITION,
    DOWN,
    OPENS,
    SLUG,
    UP,
    book_frame,
    fast_frame,
    gamma_object,
)

SECOND = 1_000_000_000


class Run:
    """A flow fed by hand, and its journal."""

    def __init__(self, folder: Path, strategy: str, **overrides: object) -> None:
        settings = load_settings(strategy=strategy, **overrides)
        self.journal = Journal.open_run(folder, Mode.REPLAY, 0)
        self.flow: Flow = build_flow(settings, Mode.REPLAY, self.journal, allow_cold=True)
        self._ingest = Ingest()
        self._updates = 0

    def frame(self, source: Source, raw: dict[str, object], at: float) -> None:
        for event in self._ingest.parse(source, json.dumps(raw), round(at * SECOND)):
            self.flow.engine.on_event(event)

    def fast(self, mid: float, at: float) -> None:
        self._updates += 1
        self.frame(Source.BINANCE_PUBLIC, fast_frame(mid, self._updates, at), at)

    def books(self, bid: int, at: float) -> None:
        self.frame(Source.POLYMARKET_MARKET, book_frame(UP, bid, at), at)
        self.frame(Source.POLYMARKET_MARKET, book_frame(DOWN, 99 - bid, at), at)

    def rows(self) -> list[Record]:
        self.journal.close()
        return list(read_journal(self.journal.run))

    def bodies(self, kind: type) -> list[Record]:
        return [record for record in self.rows() if isinstance(record.body, kind)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    lines = logs.configure(clock=SimulatedClock(), json_lines=True, directory=None, quiet=True)
    yield tmp_path / "journal"
    lines.close()


def approved(run: Run) -> list[OrderIntent]:
    run.journal.commit()
    rows = read_journal(run.journal.run)
    return [record.body.intent for record in rows if isinstance(record.body, Approved)]


def sold_frame(token: str, price: int, shares: float, at: float) -> dict[str, object]:
    """Return a public trade in which a taker sold."""
    return {
        "market": CONDITION,
        "asset_id": token,
        "price": f"{price / 100:.2f}",
        "size": f"{shares:.2f}",
        "fee_rate_bps": "0",
        "side": "SELL",
        "timestamp": str(round(at * 1000)),
        "event_type": "last_trade_price",
        "transaction_hash": "0x" + "cd" * 32,
    }


def opened(run: Run) -> None:
    run.frame(Source.GAMMA, gamma_object(), OPENS - 20.0)
    for step in range(40):
        run.fast(83_000.0, OPENS - 10 + step * 0.25)
    run.books(50, OPENS - 0.5)


def test_every_open_market_is_decided_on_each_grid_step(folder: Path) -> None:
    """Twice a second, at whole halves of it, from the opening on."""
    run = Run(folder, "momentum")
    opened(run)
    run.flow.engine.advance((OPENS + 10) * SECOND)
    moments = [record.at_ns for record in run.bodies(Decision)]
    assert moments == [OPENS * SECOND + half * SECOND // 2 for half in range(21)]


def test_a_move_of_the_fast_market_is_answered_at_once_and_not_more_often_than_20_ms(
    folder: Path,
) -> None:
    """DESIGN section 5: a trigger decides at the frame's moment; a storm is coalesced."""
    run = Run(folder, "momentum")
    opened(run)
    run.fast(83_000.0, OPENS + 1.01)
    run.fast(83_020.0, OPENS + 1.1)  # 2.4 bp
    for step in range(1, 19):
        run.fast(83_020.0 + 20.0 * step, OPENS + 1.1 + step / 1000)
    run.fast(83_400.0, OPENS + 1.13)
    off_grid = [r.at_ns for r in run.bodies(Decision) if r.at_ns % (SECOND // 2)]
    assert off_grid[0] == round((OPENS + 1.1) * 1e9)
    gaps = [later - earlier for earlier, later in itertools.pairwise(off_grid)]
    assert gaps
    assert min(gaps) >= 20_000_000


def test_an_exit_is_not_ordered_twice(folder: Path) -> None:
    """I22: decisions between an exit and its answer are refused, and nothing is oversold."""
    run = Run(folder, "momentum")
    opened(run)
    for step in range(1, 41):  # up: buys Up; then down: sells it
        mid = 83_000.0 * (1 + 2e-4 * min(step, 12) - 4e-4 * max(0, step - 20))
        at = OPENS + 1 + step * 0.25
        run.fast(mid, at)
        run.books(52 if step < 21 else 47, at + 0.01)
    run.flow.engine.advance(round((OPENS + 20) * 1e9))
    approved = [r.body.intent for r in run.rows() if isinstance(r.body, Approved)]
    sells = [intent for intent in approved if not intent.opens]
    assert len(sells) == 1
    assert not [r for r in run.rows() if isinstance(r.body, LedgerConflict)]


def test_a_market_is_told_once_and_again_when_its_facts_change(folder: Path) -> None:
    """Polling the same facts writes one row."""
    run = Run(folder, "momentum")
    for _ in range(3):
        run.frame(Source.GAMMA, gamma_object(), OPENS - 20.0)
    run.frame(Source.GAMMA, gamma_object(orderMinSize=10), OPENS - 19.0)
    assert len(run.bodies(MarketSeen)) == 2


def test_changed_tokens_stop_entries_and_do_not_stop_the_worker(folder: Path) -> None:
    """I4: facts that contradict the ledger are a conflict, told, and refuse entries there."""
    run = Run(folder, "momentum")
    market = a_market()
    run.flow.engine.on_event(MarketOpened(market, 5))
    run.flow.engine.on_event(MarketOpened(a_market(up_token="3" * 77), 6))
    assert [record.market for record in run.bodies(LedgerConflict)] == [market.slug]


def test_a_resolution_is_told_once_and_a_foreign_winner_is_a_conflict(folder: Path) -> None:
    """The channel and the poll both tell; a token that is not ours settles nothing."""
    run = Run(folder, "momentum")
    run.frame(Source.GAMMA, gamma_object(), OPENS - 20.0)
    at_ns = (OPENS + 900) * SECOND
    for source in (Source.POLYMARKET_MARKET, Source.GAMMA):
        run.flow.engine.on_event(MarketResolved(CONDITION, UP, 0.0, source, at_ns, at_ns))
    run.flow.engine.on_event(MarketResolved(CONDITION, "9", 0.0, Source.GAMMA, at_ns, at_ns))
    run.flow.engine.on_event(MarketResolved("0xother", "9", 0.0, Source.GAMMA, at_ns, at_ns))
    assert len([r for r in run.rows() if isinstance(r.body, ResolutionSeen)]) == 1
    assert [r.market for r in run.rows() if isinstance(r.body, LedgerConflict)] == [SLUG]


def test_a_lost_feed_is_in_the_journal(folder: Path) -> None:
    """Which feed, and why."""
    run = Run(folder, "momentum")
    run.flow.engine.on_event(Lost(Source.BINANCE_PUBLIC, "silent for 10 s", 5))
    (row,) = run.bodies(FeedGap)
    assert row.body == FeedGap(Source.BINANCE_PUBLIC, "silent for 10 s")


def test_no_entry_after_entries_were_stopped(folder: Path) -> None:
    """The first reason stays, and every wish is refused by it."""
    run = Run(folder, "momentum")
    opened(run)
    run.flow.engine.halts.hold_entries(HoldCause.STOPPING, "shutting down", 1)
    run.flow.engine.halts.hold_entries(HoldCause.STOPPING, "again", 2)
    for step in range(1, 20):
        at = OPENS + 1 + step * 0.25
        run.fast(83_000.0 * (1 + 2e-4 * step), at)
        run.books(52, at + 0.01)
    refused = [record.body for record in run.bodies(Refused)]
    assert refused
    assert {body.failures[0].found for body in refused if isinstance(body, Refused)} == {
        "shutting down"
    }


def test_a_released_cause_holds_nothing_and_another_still_does(folder: Path) -> None:
    """Each cause is its owner's: releasing one must not open what another shut."""
    run = Run(folder, "momentum")
    engine = run.flow.engine
    engine.halts.release_entries(HoldCause.SUPERVISOR, 0)
    engine.halts.hold_entries(HoldCause.UNREAD, "not read", 1)
    engine.halts.hold_entries(HoldCause.VENUE, "the venue restarts", 2)
    engine.halts.release_entries(HoldCause.VENUE, 3)
    engine.halts.release_entries(HoldCause.VENUE, 4)
    assert engine.halts.reason == "not read"
    engine.halts.release_entries(HoldCause.UNREAD, 5)
    assert engine.halts.state is TradingState.ACTIVE
    told = [(r.at_ns, r.body) for r in run.bodies(HaltChanged)]
    reducing, active = TradingState.REDUCING, TradingState.ACTIVE
    assert told[1:] == [
        (1, HaltChanged("held", "unread", "not read", reducing)),
        (2, HaltChanged("held", "venue", "the venue restarts", reducing)),
        (3, HaltChanged("released", "venue", "the venue restarts", reducing)),
        (5, HaltChanged("released", "unread", "not read", active)),
    ]


def test_a_resting_entry_does_not_keep_a_due_exit_waiting(folder: Path) -> None:
    """A partly filled bid that still rests is taken away, and the position closed on time."""
    run = Run(
        folder,
        "momentum",
        execution_style="maker",
        maker_lifetime_seconds=300,
        maximum_position_age_seconds=10,
    )
    opened(run)
    for step in range(1, 13):
        at = OPENS + 1 + step * 0.25
        run.fast(83_000.0 * (1 + 2e-4 * step), at)
        run.books(50, at + 0.01)
    assert len(approved(run)) == 1
    at = OPENS + 5.0
    # Sold through the queue ahead of us, and most of ours.
    run.frame(Source.POLYMARKET_MARKET, sold_frame(UP, 50, 306.0, at), at)
    assert run.flow.engine.executor.pending_entry_micros(SLUG)
    for step in range(60):
        at = OPENS + 6 + step * 0.5
        run.fast(83_200.0, at)
        run.books(50, at + 0.01)
    exits = [intent for intent in approved(run) if not intent.opens]
    assert [intent.reason for intent in exits] == [IntentReason.EXIT_TIMEOUT]
    assert exits[0].created_ns <= (OPENS + 1 + 10 + 2) * SECOND, "a step after its deadline"
