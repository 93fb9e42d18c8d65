"""Positions are looked after on their own schedule: exits until flat, one at a time, each told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.journal import Journal
from db.journal_reading import read_journal
from helpers import logs
from helpers.board.board import Board
from helpers.clock import SimulatedClock
from helpers.commands.composition import Trading, build_flow, paper_settings
from helpers.domain import (
    MICROS,
    Approved,
    BookHealth,
    ExitAttempted,
    ExitEnded,
    Fill,
    FillStatus,
    HaltChanged,
    HoldCause,
    IntentReason,
    Mode,
    OperatorAnswered,
    OperatorRequest,
    OperatorVerb,
    Outcome,
    Side,
    Source,
    TradingState,
    to_micros,
)
from helpers.feeds.ingest import Ingest
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor
from helpers.settings import Settings, load_settings
from tests.scenarios.tapes import (
    DOWN,
    OPENS,
    SLUG,
    UP,
    WINDOW,
    book_frame,
    fast_frame,
    gamma_object,
)

SECOND = 1_000_000_000
BOUGHT = OPENS + 100


class Held:
    """A flow that holds twenty Up shares bought at 0.50, fed by hand."""

    def __init__(
        self,
        folder: Path,
        *,
        deadline: float = OPENS + WINDOW - 120,
        venue: type[PaperExecutor] = PaperExecutor,
        **more: object,
    ):
        settings = load_settings(strategy="momentum", **more)
        self.journal = Journal.open_run(folder, Mode.PAPER, 0)

        def paper(books: Board) -> PaperExecutor:
            return venue(books, paper_settings(settings))

        trading = Trading(paper, Ledger(Mode.PAPER, to_micros(settings.paper_cash)), ())
        self.flow = build_flow(settings, Mode.PAPER, self.journal, allow_cold=True, trading=trading)
        self.engine = self.flow.engine
        self._ingest = Ingest()
        self._updates = 0
        self.frame(Source.GAMMA, gamma_object(), OPENS + 1.0)
        self.fast(OPENS + 2.0)
        self.books(50, BOUGHT - 1.0)
        self.flow.ledger.apply(
            Fill(
                trade_id="t1",
                order_id="o1",
                intent_id=f"{SLUG}/1/up/BUY",
                market=SLUG,
                outcome=Outcome.UP,
                side=Side.BUY,
                shares_micros=20 * MICROS,
                price_micros=500_000,
                fee_micros=0,
                status=FillStatus.CONFIRMED,
                maker=False,
                opens=True,
                deadline_ns=round(deadline * SECOND),
                at_ns=BOUGHT * SECOND,
            )
        )

    def frame(self, source: Source, raw: dict[str, object], at: float) -> None:
        for event in self._ingest.parse(source, json.dumps(raw), round(at * SECOND)):
            self.engine.on_event(event)

    def fast(self, at: float) -> None:
        self._updates += 1
        self.frame(Source.BINANCE_PUBLIC, fast_frame(83_000.0, self._updates, at), at)

    def books(self, bid: int, at: float, shares: float = 300) -> None:
        self.frame(Source.POLYMARKET_MARKET, book_frame(UP, bid, at, shares), at)
        self.frame(Source.POLYMARKET_MARKET, book_frame(DOWN, 99 - bid, at, shares), at)

    def no_bids(self, at: float) -> None:
        raw: dict[str, object] = {**book_frame(UP, 50, at), "bids": []}
        self.frame(Source.POLYMARKET_MARKET, raw, at)

    def quiet(self, since: float, until: float, bid: int, shares: float = 300) -> None:
        """Let time pass with fresh books and a fast market that does not move."""
        at = since
        while at <= until:
            self.fast(at)
            self.books(bid, at + 0.01, shares)
            at += 0.5
        self.engine.advance(round(until * SECOND))

    def ask(self, verb: OperatorVerb, at: float) -> None:
        at_ns = round(at * SECOND)
        self.engine.on_event(OperatorRequest(f"{verb}-1", verb, "a test", at_ns))

    def told(self, *kinds: type) -> list[tuple[float, object]]:
        """Return (second of the window, body) of these rows."""
        self.journal.commit()
        rows = read_journal(self.journal.run)
        return [(r.at_ns / SECOND - OPENS, r.body) for r in rows if isinstance(r.body, kinds)]

    def attempts(self) -> list[ExitAttempted]:
        return [body for _, body in self.told(ExitAttempted) if isinstance(body, ExitAttempted)]

    def ended(self) -> list[ExitEnded]:
        return [body for _, body in self.told(ExitEnded) if isinstance(body, ExitEnded)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    lines = logs.configure(clock=SimulatedClock(), json_lines=True, directory=None, quiet=True)
    yield tmp_path / "journal"
    lines.close()


def test_a_deadline_closes_a_position_whatever_the_policy_wants(folder: Path) -> None:
    """I1: three live positions ran to expiry since nobody looked."""
    held = Held(folder, deadline=BOUGHT + 20)
    held.quiet(BOUGHT + 1, BOUGHT + 23, 50)
    ((at, first),) = held.told(ExitAttempted)
    assert isinstance(first, ExitAttempted)
    assert (at, first.attempt, first.reason) == (120.0, 1, IntentReason.EXIT_TIMEOUT)
    assert (first.shares_micros, first.price_limit_micros) == (20 * MICROS, 490_000)
    (ended,) = held.ended()
    assert (ended.how, ended.attempts, ended.shares_left_micros) == ("flat", 1, 0)
    assert not held.flow.ledger.positions()


def test_attempts_go_deeper_until_flat(folder: Path) -> None:
    """A thin book takes what it holds; each attempt sells the rest, further below the bid."""
    held = Held(folder, deadline=BOUGHT + 20, slippage_ticks=0)
    held.quiet(BOUGHT + 1, BOUGHT + 40, 50, shares=6)
    attempts = held.attempts()
    assert [a.attempt for a in attempts] == [1, 2, 3]
    assert [a.slippage_micros for a in attempts] == [0, 10_000, 30_000]
    assert [a.shares_micros // MICROS for a in attempts] == [20, 14, 8]
    assert [e.how for e in held.ended()] == ["flat"]


def test_without_a_bid_nothing_is_sent_and_the_resolution_is_awaited(folder: Path) -> None:
    """I19: what cannot be sold is not booked as sold; it is told to wait."""
    held = Held(folder)
    at = OPENS + WINDOW - 130.0
    held.quiet(BOUGHT + 1, at - 0.5, 50)
    while at < OPENS + WINDOW + 2:
        held.fast(at)
        held.no_bids(at + 0.01)
        at += 0.5
    held.engine.advance(round(at * SECOND))
    assert held.attempts() == []
    (ended,) = held.ended()
    assert (ended.how, ended.shares_left_micros) == ("awaiting_resolution", 20 * MICROS)
    assert ended.detail == "the window closed"
    assert held.flow.ledger.position(SLUG).shares_micros == 20 * MICROS
    assert held.engine.supervisor.flat, "nothing is left that could be sold"


class SeesTwelve(PaperExecutor):
    """A venue whose cached balance is twelve shares, as its refusal of a sale has shown."""

    def sellable_micros(self, token: str) -> int | None:
        return 12 * MICROS if token == UP else None


def test_what_the_venue_does_not_see_yet_is_not_offered(folder: Path) -> None:
    """I2: after a refused sale the next one is as large as the venue says we own."""
    held = Held(folder, deadline=BOUGHT + 20, venue=SeesTwelve)
    held.quiet(BOUGHT + 1, BOUGHT + 25, 50)
    sold = [attempt.shares_micros for attempt in held.attempts()]
    assert sold == [12 * MICROS, 8 * MICROS], "the rest stays ours until it is sold too"
    assert [e.how for e in held.ended()] == ["flat"]


class SeesNothing(PaperExecutor):
    """A venue that has not seen any of our shares yet."""

    def sellable_micros(self, token: str) -> int | None:
        return 0 if token == UP else None


def test_shares_the_venue_has_not_seen_are_waited_for(folder: Path) -> None:
    """I2: nothing to sell yet is neither an attempt nor the end of the exit."""
    held = Held(folder, deadline=BOUGHT + 20, venue=SeesNothing)
    held.quiet(BOUGHT + 1, BOUGHT + 25, 50)
    assert (held.attempts(), held.ended()) == ([], [])
    assert held.flow.ledger.position(SLUG).shares_micros == 20 * MICROS


def test_no_halt_stops_an_exit(folder: Path) -> None:
    """DESIGN section 4, invariant 7: a halt stops entries, never exits."""
    held = Held(folder, deadline=BOUGHT + 20)
    held.ask(OperatorVerb.HALT, BOUGHT + 1)
    held.quiet(BOUGHT + 2, BOUGHT + 25, 50)
    assert [e.how for e in held.ended()] == ["flat"]
    assert held.engine.halts.state is TradingState.HALTED


def test_a_halt_alone_sells_nothing_and_flatten_sells_everything(folder: Path) -> None:
    """Flattening is a separate verb; it halts first, and each is answered with its id (I30)."""
    held = Held(folder)
    held.ask(OperatorVerb.HALT, BOUGHT + 1)
    held.quiet(BOUGHT + 2, BOUGHT + 10, 50)
    assert held.attempts() == []
    held.ask(OperatorVerb.FLATTEN, BOUGHT + 11)
    assert not held.engine.supervisor.flat
    held.quiet(BOUGHT + 12, BOUGHT + 16, 50)
    (attempt,) = held.attempts()
    assert attempt.reason is IntentReason.EXIT_OPERATOR
    assert attempt.price_limit_micros == 460_000, "urgent: it begins further below the bid"
    assert [e.how for e in held.ended()] == ["flat"]
    assert held.engine.supervisor.flat
    answers = [body for _, body in held.told(OperatorAnswered)]
    assert [(a.request_id, a.trading) for a in answers if isinstance(a, OperatorAnswered)] == [
        ("halt-1", TradingState.HALTED),
        ("flatten-1", TradingState.HALTED),
        ("flatten-1", TradingState.HALTED),
    ]
    assert [a.detail for a in answers if isinstance(a, OperatorAnswered)][-1] == "flat"


def test_resuming_ends_a_flattening(folder: Path) -> None:
    """Positions of after the resume keep their own deadlines."""
    held = Held(folder)
    held.ask(OperatorVerb.FLATTEN, BOUGHT + 1)
    held.ask(OperatorVerb.RESUME, BOUGHT + 1.1)
    held.quiet(BOUGHT + 2, BOUGHT + 10, 50)
    assert held.attempts() == []
    assert held.engine.halts.state is TradingState.ACTIVE


def test_no_entry_before_the_first_look(folder: Path) -> None:
    """I1: no entry is allowed until the supervisor has ticked since the start."""
    settings = load_settings(strategy="momentum")
    journal = Journal.open_run(folder, Mode.PAPER, 0)
    engine = build_flow(settings, Mode.PAPER, journal, allow_cold=True).engine
    assert [cause for cause, _ in engine.halts.standing()] == [HoldCause.SUPERVISOR]
    engine.advance(OPENS * SECOND)
    engine.advance((OPENS + 1) * SECOND)
    assert engine.supervisor.ticks > 0
    assert engine.halts.state is TradingState.ACTIVE


def test_the_age_of_the_data_is_told_and_recovers_and_the_halt_stays(folder: Path) -> None:
    """I16: degraded, critical, and fresh again; a person must look at the halt."""
    held = Held(folder, hold_to_resolution="always", deadline=0)
    held.no_bids(BOUGHT)
    held.engine.advance((BOUGHT + 65) * SECOND)
    held.no_bids(BOUGHT + 66.0)
    held.engine.advance((BOUGHT + 67) * SECOND)
    told = [(at, b.state) for at, b in held.told(BookHealth) if isinstance(b, BookHealth)]
    assert told == [(130.5, "degraded"), (160.5, "critical"), (166.5, "fresh")]
    halted = [b.cause for _, b in held.told(HaltChanged) if isinstance(b, HaltChanged)]
    assert halted == ["supervisor", "feed_loss"]
    assert held.engine.halts.state is TradingState.HALTED
    held.ask(OperatorVerb.RESUME, BOUGHT + 68)
    assert held.engine.halts.state is TradingState.ACTIVE


def test_a_start_is_not_taken_for_a_silence(folder: Path) -> None:
    """A position taken over at a start has no book yet: its data is as old as the start."""
    held = Held(folder)
    held.flow.board.market(SLUG)
    held.engine.advance((BOUGHT + 5) * SECOND)
    assert held.told(BookHealth) == []


def test_the_loss_limit_latches_and_can_end_with_the_day(folder: Path) -> None:
    """A limit that was hit does not open again with the next tick of the price."""
    held = Held(folder, daily_loss_limit=5, resume_at_day_roll=True)
    held.quiet(BOUGHT + 1, BOUGHT + 3, 20)
    held.quiet(BOUGHT + 4, BOUGHT + 6, 50)
    assert held.engine.halts.state is TradingState.HALTED
    assert "today, the limit is $5.00" in held.engine.halts.reason
    entries = [b for _, b in held.told(Approved) if isinstance(b, Approved) and b.intent.opens]
    assert entries == []
    next_day = (BOUGHT // 86_400 + 1) * 86_400
    held.engine.advance((next_day + 1) * SECOND)
    causes = [cause for cause, _ in held.engine.halts.standing()]
    assert HoldCause.LOSS_LIMIT not in causes
