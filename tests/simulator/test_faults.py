"""Fault schedules strike where and when they say, and the same way twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.domain import NS_PER_SECOND, Asset, Quote, Source
from helpers.feeds.ingest import Ingest
from simulator.actions import FastQuote
from simulator.binance_frames import FuturesFrames
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


def test_a_span_of_reordering_loses_only_what_never_had_a_follower() -> None:
    """Pairs are swapped one after the other; an answer, which has no follower, is left alone."""
    made, _ = schedule(Fault(FaultKind.REORDER))
    fates = [made.outgoing("c", FRAME, text) for text in "abcde"]
    assert fates == [
        Deliver(),
        Deliver(("b", "a")),
        Deliver(),
        Deliver(("d", "c")),
        Deliver(),
    ]
    assert made.outgoing("r", "clob:GET /book", "{}") == "{}"


def test_a_silence_keeps_a_held_frame_waiting() -> None:
    """What is held comes after the next frame that passes, not through a silence."""
    made, clock = schedule(
        Fault(FaultKind.REORDER, times=1), Fault(FaultKind.SILENCE, from_seconds=1, for_seconds=1)
    )
    assert made.outgoing("c", FRAME, "a") == Deliver()
    clock.seconds = 1
    assert made.outgoing("c", FRAME, "b") == Deliver()
    clock.seconds = 2
    assert made.outgoing("c", FRAME, "c") == Deliver(("c", "a"))


def test_a_fault_strikes_from_the_nth_message_so_many_times() -> None:
    """Messages are counted by what matches, surface, connection and direction."""
    fault = Fault(
        FaultKind.GAP, "market_socket:*", connection="market_socket-2", from_message=3, times=2
    )
    made, _ = schedule(fault)
    assert [made.outgoing("market_socket-1", FRAME, "x") for _ in range(4)] == ["x"] * 4
    fates = [made.outgoing("market_socket-2", FRAME, "x") for _ in range(6)]
    assert [fate == Deliver() for fate in fates] == [False, False, True, True, False, False]
    refuse, _ = schedule(Fault(FaultKind.REFUSE, "clob:*", from_message=2, times=1, status=429))
    asked = []
    for _ in range(3):
        asked.append(refuse.incoming("r", "clob:POST /order"))
        assert refuse.outgoing("r", "clob:POST /order", "{}") == "{}"
    assert [answer is None for answer in asked] == [True, False, True]


def test_a_skewed_clock_shows_in_every_stamp() -> None:
    """Milliseconds, seconds and the bare number of ``/time``; ids and prices stay."""
    made, clock = schedule(Fault(FaultKind.CLOCK_SKEW, "*", 5, 5, delay_seconds=-2.5))
    quote = FuturesFrames([Asset.BTC]).quote(START_NS, FastQuote(Asset.BTC, 1.0, 2.0, 1.1, 3.0))
    kind = "binance_socket:bookTicker"
    assert made.outgoing("c", kind, quote.text) == quote.text
    clock.seconds = 6
    skewed = made.outgoing("c", kind, quote.text)
    assert isinstance(skewed, str)
    (event,) = Ingest().parse(Source.BINANCE_PUBLIC, skewed, START_NS)
    assert isinstance(event, Quote)
    assert event.venue_ns == START_NS - 2_500_000_000
    assert skewed.replace("1790000097500", "1790000100000") == quote.text
    assert made.outgoing("r", "clob:GET /time", "1790000100") == "1790000097"
    user = '{"match_time":"1790000100","price":"0.5"}'
    assert made.outgoing("c", "user_socket:trade", user) == user.replace("100", "097")


def test_in_process_events_have_the_names_the_servers_give() -> None:
    """One schedule acts on the same frames with and without sockets."""
    frames = (
        (Frame(Source.BINANCE_MARKET, START_NS, "btcusdt@markPrice@1s", "{}"), "markPrice@1s"),
        (Frame(Source.COINBASE, START_NS, "match:BTC-USD", "{}"), "match"),
        (
            Frame(Source.POLYMARKET_REFERENCE, START_NS, "price.crypto.twap:btcusd", "{}"),
            "price.crypto.twap",
        ),
        (
            Frame(Source.POLYMARKET_MARKET, START_NS, "0xc", '[{"event_type":"book"}]'),
            "book",
        ),
        (Frame(Source.POLYMARKET_USER, START_NS, "me", '{"event_type":"trade"}'), "trade"),
    )
    for frame, event in frames:
        made, _ = schedule(Fault(FaultKind.GAP, f"*_socket:{event}"))
        assert made.on_frame(frame) == []
        other, _ = schedule(Fault(FaultKind.GAP, "*_socket:other"))
        assert other.on_frame(frame) == [(0, frame)]


def test_a_frame_held_in_process_keeps_its_key_and_its_source() -> None:
    """Only texts swap places, not what they are about; a cut tells whose connection it was."""
    made, _ = schedule(Fault(FaultKind.REORDER, times=1), Fault(FaultKind.CUT, from_message=4))
    cut: list[Source] = []
    made.on_cut = cut.append
    btc = Frame(Source.BINANCE_PUBLIC, START_NS, "btcusdt@trade", "b")
    mark = Frame(Source.BINANCE_MARKET, START_NS, "btcusdt@markPrice@1s", "m")
    eth = Frame(Source.BINANCE_PUBLIC, START_NS + 1, "ethusdt@trade", "e")
    assert made.on_frame(btc) == []
    assert made.on_frame(mark) == [(0, mark)]
    assert made.on_frame(eth) == [(0, eth), (0, btc)]
    assert made.on_frame(eth) == []
    assert cut == [Source.BINANCE_PUBLIC]


def test_a_schedule_is_read_from_a_file(tmp_path: Path) -> None:
    """TOML, with defaults; a mistake is named."""
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "silence"\nwhere = "market_socket:*"\nfrom_seconds = 120\n')
    assert read_schedule(path) == (Fault(FaultKind.SILENCE, "market_socket:*", 120),)
    for text, wrong in (
        ('[[fault]]\nkind = "earthquake"', "earthquake"),
        ('[[fault]]\nkind = "gap"\nprobability = 2', "probability was 2"),
        ('[[fault]]\nkind = "gap"\ntimes = -1', "-1 times"),
        ('[[fault]]\nkind = "gap"\nform_seconds = 2', "form_seconds"),
        ("[[", "could not be read"),
    ):
        path.write_text(text)
        with pytest.raises(FaultError, match=wrong):
            read_schedule(path)
    with pytest.raises(FaultError, match="could not be read"):
        read_schedule(tmp_path / "none.toml")
    json = tmp_path / "faults.json"
    json.write_text('{"fault":[{"kind":"outage","where":"postgres","for_seconds":3}]}')
    assert read_schedule(json) == (Fault(FaultKind.OUTAGE, "postgres", for_seconds=3),)
    json.write_text("{")
    with pytest.raises(FaultError, match="could not be read"):
        read_schedule(json)


def test_a_random_schedule_comes_from_its_seed() -> None:
    """The same seed makes the same rough day."""
    assert seeded_schedule(7, 60) == seeded_schedule(7, 60)
    assert seeded_schedule(7, 60) != seeded_schedule(8, 60)
    assert 15 < len(seeded_schedule(7, 60)) < 60


def test_schedules_are_bounded() -> None:
    """Nothing endless."""
    with pytest.raises(FaultError, match="at most"):
        schedule(*[Fault(FaultKind.GAP)] * 257)
