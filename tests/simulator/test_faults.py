"""Fault schedules strike where and when they say, and the same way twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.domain import NS_PER_SECOND, Source
from simulator.faults import (
    Fault,
    FaultError,
    FaultKind,
    FaultSchedule,
    read_schedule,
    seeded_schedule,
)
from simulator.frame import Frame
from simulator.servers.fault_seam import Answer, Close, Deliver

START_NS = 1_790_000_100 * NS_PER_SECOND
FRAME = "market_socket:price_change"


class Clock:
    """Seconds since the start of the world."""

    seconds = 0.0

    def __call__(self) -> int:
        return START_NS + round(self.seconds * NS_PER_SECOND)


def schedule(*faults: Fault, seed: int = 1) -> tuple[FaultSchedule, Clock]:
    clock = Clock()
    return FaultSchedule(faults, seed, START_NS, clock), clock


@pytest.mark.parametrize(
    ("kind", "fate"),
    [
        (FaultKind.SILENCE, Deliver()),
        (FaultKind.GAP, Deliver()),
        (FaultKind.CUT, Close()),
        (FaultKind.SLOW_READER, Close(4002)),
        (FaultKind.DUPLICATE, Deliver(("x", "x"))),
        (FaultKind.LATE, Deliver(("x",), 1_500_000_000)),
        (FaultKind.ERROR_AFTER, Answer(500, '{"error":"simulated 500"}')),
        (FaultKind.THIN_BOOK, "x"),
        (FaultKind.REFUSE, "x"),
    ],
)
def test_each_kind_has_its_fate_and_its_span(kind: FaultKind, fate: object) -> None:
    """It strikes inside its span only, and counts."""
    fault = Fault(kind, "market_socket:*", 10, 5, delay_seconds=1.5)
    made, clock = schedule(fault)
    assert made.outgoing("c", FRAME, "x") == "x"
    clock.seconds = 10
    assert made.outgoing("c", FRAME, "x") == fate
    assert made.outgoing("c", "gamma:GET /events", "x") == "x"
    clock.seconds = 15
    assert made.outgoing("d", FRAME, "x") == "x"
    assert made.counts[kind] == (fate != "x")


def test_silence_leaves_the_pongs_alive() -> None:
    """C.8: the socket answers pings and sends no data."""
    made, _ = schedule(Fault(FaultKind.SILENCE, "market_socket:*"))
    assert made.outgoing("c", "market_socket:pong", "PONG") == "PONG"
    assert made.outgoing("c", FRAME, "x") == Deliver()


def test_a_cut_strikes_each_connection_once() -> None:
    """The client may come back within the span."""
    made, _ = schedule(Fault(FaultKind.CUT))
    assert made.outgoing("c1", FRAME, "x") == Close()
    assert made.outgoing("c1", FRAME, "x") == "x"
    assert made.outgoing("c2", FRAME, "x") == Close()


def test_reordering_swaps_neighbours_and_loses_nothing() -> None:
    """A held frame follows the next one of its connection."""
    made, clock = schedule(Fault(FaultKind.REORDER, for_seconds=1))
    assert made.outgoing("c", FRAME, "first") == Deliver()
    clock.seconds = 2
    assert made.outgoing("d", FRAME, "other") == "other"
    assert made.outgoing("c", FRAME, "second") == Deliver(("second", "first"))


def test_requests_are_refused_before_they_are_carried_out() -> None:
    """425, 429 and 451 carry their wait; a hang-up answers nothing."""
    refuse = Fault(FaultKind.REFUSE, "clob:POST *", status=425, retry_after_seconds=1)
    made, _ = schedule(refuse, Fault(FaultKind.HANG_UP, "gamma:*"))
    assert made.incoming("r", "clob:POST /order") == Answer(425, '{"error":"simulated 425"}', 1)
    assert made.incoming("r", "clob:GET /time") is None
    assert made.incoming("r", "gamma:GET /events/slug/{slug}") == Close()


def test_the_same_seed_strikes_the_same_frames() -> None:
    """A probability is drawn from the seed; another seed strikes others."""
    fault = Fault(FaultKind.GAP, probability=0.3, for_seconds=1000)

    def struck(seed: int) -> list[bool]:
        made, _ = schedule(fault, seed=seed)
        return [made.outgoing("c", FRAME, "x") == Deliver() for _ in range(200)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90


def test_one_schedule_acts_on_frames_in_process_as_well() -> None:
    """The same rules, without a socket."""
    made, _ = schedule(
        Fault(FaultKind.LATE, "binance_socket:bookTicker", delay_seconds=0.5),
        Fault(FaultKind.CUT, "market_socket:*"),
    )
    quote = Frame(Source.BINANCE_PUBLIC, START_NS, "btcusdt@bookTicker", "q")
    assert made.on_frame(quote) == [(500_000_000, quote)]
    assert made.on_frame(Frame(Source.POLYMARKET_MARKET, START_NS, "0xc", "b")) == []
    gamma = Frame(Source.GAMMA, START_NS, "slug", "{}")
    assert made.on_frame(gamma) == [(0, gamma)]


def test_the_world_asks_what_it_has_to_act_out() -> None:
    """Clock skew and books are not a transport's business."""
    made, clock = schedule(Fault(FaultKind.CLOCK_SKEW, "*", 5, 5, delay_seconds=2.5))
    assert made.skew_ns() == 0
    clock.seconds = 6
    assert made.skew_ns() == 2_500_000_000
    assert made.active(FaultKind.THIN_BOOK) is None


def test_a_schedule_is_read_from_a_file(tmp_path: Path) -> None:
    """TOML, with defaults; a mistake is named."""
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "silence"\nwhere = "market_socket:*"\nfrom_seconds = 120\n')
    assert read_schedule(path) == (Fault(FaultKind.SILENCE, "market_socket:*", 120),)
    for text, wrong in (
        ('[[fault]]\nkind = "earthquake"', "earthquake"),
        ('[[fault]]\nkind = "gap"\nprobability = 2', "probability was 2"),
        ("[[", "could not be read"),
    ):
        path.write_text(text)
        with pytest.raises(FaultError, match=wrong):
            read_schedule(path)
    with pytest.raises(FaultError, match="could not be read"):
        read_schedule(tmp_path / "none.toml")


def test_a_random_schedule_comes_from_its_seed() -> None:
    """The same seed makes the same rough day."""
    assert seeded_schedule(7, 60) == seeded_schedule(7, 60)
    assert seeded_schedule(7, 60) != seeded_schedule(8, 60)
    assert 15 < len(seeded_schedule(7, 60)) < 60


def test_schedules_are_bounded() -> None:
    """Nothing endless."""
    with pytest.raises(FaultError, match="at most"):
        schedule(*[Fault(FaultKind.GAP)] * 257)
