"""One door for all frames: every source is parsed, and tapes give back what the worker saw."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import (
    Asset,
    BookSnapshot,
    Connected,
    Disconnected,
    FastSourceChosen,
    Quote,
    Source,
    StrikeKnown,
    StrikeRung,
)
from helpers.feeds.ingest import Ingest, WorkerEvent, encode_rest, encode_worker_event
from helpers.recorder import FIRST_LINE
from tests.feed_parsing import HOSTILE
from tests.shared import shared_file

BOOK = json.dumps(
    {
        "market": "0xm",
        "asset_id": "11",
        "timestamp": "1000",
        "bids": [],
        "asks": [],
        "tick_size": "0.01",
        "neg_risk": False,
        "min_order_size": "5",
    }
)


@pytest.mark.parametrize(
    "event",
    [
        Connected(Source.BINANCE_PUBLIC, 7),
        Disconnected(Source.POLYMARKET_MARKET, 'closed 1006 "abnormal"', 7),
        FastSourceChosen(Asset.SOL, Source.COINBASE, 7),
        StrikeKnown("btc-updown-5m-1777470300", 75679.5587, StrikeRung.VENUE_TWAP, 7),
    ],
)
def test_worker_events_survive_a_tape(event: WorkerEvent) -> None:
    """A control event written to a tape is the same event when read, with its own time."""
    ingest = Ingest()
    assert list(ingest.parse(Source.WORKER, encode_worker_event(event), 9)) == [event]
    assert ingest.skipped_rows() == ()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ('{"kind":"rebooted","event":{}}', "worker unknown:rebooted"),
        ('{"kind":"connected","event":{"source":"mars","received_ns":1}}', "worker malformed:line"),
        ("{}", "worker malformed:line"),
        ('{"kind":"connected"}', "worker malformed:line"),
        ('{"event":"tape_begun","format":2}', "worker unknown:tape_begun"),
        ('{"event":"tape_burnt"}', "worker unknown:tape_burnt"),
        ('{"event":"tape_overflow","dropped":-5}', "worker unknown:tape_overflow"),
    ],
)
def test_other_worker_lines_are_counted(raw: str, name: str) -> None:
    """A line of a newer worker is survived."""
    ingest = Ingest()
    assert list(ingest.parse(Source.WORKER, raw, 9)) == []
    assert ingest.skipped_rows() == ((name, 1),)


def test_what_the_recorder_says_of_a_tape_is_understood() -> None:
    """The first line is nothing malformed, and frames that were dropped are told by number."""
    ingest = Ingest()
    for raw in (FIRST_LINE, '{"event":"tape_overflow","dropped":5}'):
        assert list(ingest.parse(Source.WORKER, raw, 9)) == []
    assert ingest.skipped_rows() == (
        ("worker ignored:tape_begun", 1),
        ("worker unrecorded:frames", 5),
    )


def test_rest_answers_from_a_tape() -> None:
    """Books and candles asked for over REST are on the tape; another token's book is refused."""
    ingest = Ingest()
    klines = '[[60000,"1","2","0.5","1.5","10",119999,"15.5",4,"1","1","0"]]'
    body = encode_rest("/fapi/v1/klines?interval=1m", "BTCUSDT", klines)
    assert len(ingest.parse(Source.BINANCE_REST, body, 9)) == 1
    assert list(ingest.parse(Source.CLOB_REST, encode_rest("/book", "11", BOOK), 9)) == [
        BookSnapshot("0xm", "11", (), (), 10_000, 1_000_000_000, 9)
    ]
    for line in (encode_rest("/book", "22", BOOK), encode_rest("/tick", "11", BOOK), "x"):
        assert list(ingest.parse(Source.CLOB_REST, line, 9)) == []
    assert ingest.skipped_rows() == (
        ("clob.rest malformed:line", 1),
        ("clob.rest malformed:not the book asked for", 1),
        ("clob.rest unknown:path /tick", 1),
    )


def test_sources_of_tapes() -> None:
    """Every source is read by its name, two by their old ones; another gives nothing."""
    assert [Ingest.source_of(source.value) for source in Source] == list(Source)
    assert Ingest.source_of("coinbase") is Source.COINBASE
    assert Ingest.source_of("polymarket_rtds_chainlink") is Source.POLYMARKET_REFERENCE
    assert Ingest.source_of("kraken") is None


def test_reader_of_one_source() -> None:
    """A reader's own door is the same parser, with the same counts."""
    ingest = Ingest()
    assert list(ingest.parser_of(Source.GAMMA)("{", 9)) == []
    assert ingest.skipped_rows() == (("gamma malformed:not JSON", 1),)


def test_user_frames_are_no_feed_events() -> None:
    """The user channel is the executor's."""
    ingest = Ingest()
    assert list(ingest.parse(Source.POLYMARKET_USER, '{"event_type":"order"}', 9)) == []
    assert ingest.skipped_rows() == (("polymarket.user ignored:user frame", 1),)


def test_server_shutdown_is_told_by_source() -> None:
    """A reader learns from its own socket's frames that the server goes down."""
    ingest = Ingest()
    ingest.parse(Source.BINANCE_SPOT, '{"e":"serverShutdown","E":1770123456789}', 9)
    assert ingest.server_shutdowns(Source.BINANCE_SPOT) == 1
    assert ingest.server_shutdowns(Source.BINANCE_PUBLIC) == 0
    assert ingest.server_shutdowns(Source.OKX) == 0


@given(st.sampled_from(list(Source)), HOSTILE)
@settings(max_examples=150, deadline=None)
def test_never_raises(source: Source, raw: bytes | str) -> None:
    """Whatever comes from wherever gives no event and no exception."""
    assert list(Ingest().parse(source, raw, 9)) == []


@pytest.mark.parametrize(
    ("name", "expected", "skipped"),
    [
        (
            "btc-updown-5m_2026-03-28_both-venues_1s",
            {
                "binance.public Quote": 8169,
                "gamma MarketOpened": 66,
                "polymarket.market BookSnapshot": 16948,
            },
            (),
        ),
        (
            "btc-updown-5m_2026-04-18_lives_coinbase",
            {
                "coinbase.exchange Quote": 1394,
                "gamma MarketOpened": 9,
                "gamma MarketResolved": 2,
                "gamma StrikeKnown": 5,
                "polymarket.market BookSnapshot": 2782,
                "polymarket.reference ReferencePrice": 1394,
            },
            (),
        ),
        (
            "btc-updown-5m_2026-04-25_life_binance",
            {
                "binance.public Quote": 525,
                "gamma MarketOpened": 3,
                "gamma MarketResolved": 1,
                "gamma StrikeKnown": 2,
                "polymarket.market BookSnapshot": 1048,
                "polymarket.reference ReferencePrice": 525,
            },
            (),
        ),
        (
            # 444 bare books and 37 arrays of 6; 111 backfills of about a minute and 894 ticks.
            "raw-frames_15m_2026-04-29_bursts",
            {
                "binance.spot Trade": 335,
                "coinbase.exchange Quote": 298,
                "polymarket.market BookChange": 58,
                "polymarket.market BookSnapshot": 666,
                "polymarket.reference ReferencePrice": 7350,
            },
            (
                ("coinbase.exchange control:subscriptions", 37),
                ("polymarket.market ignored:new_market", 27),
            ),
        ),
    ],
)
def test_recordings(
    name: str, expected: dict[str, int], skipped: tuple[tuple[str, int], ...]
) -> None:
    """Every frame of the recorded markets is an event, or is known not to be one."""
    ingest = Ingest()
    counts: Counter[str] = Counter()
    with gzip.open(shared_file(f"recordings/{name}.jsonl.gz"), "rt") as lines:
        for line in lines:
            frame = json.loads(line)
            source = Ingest.source_of(frame["src"])
            assert source is not None
            for event in ingest.parse(source, frame["raw"], frame["t"]):
                counts[f"{source} {type(event).__name__}"] += 1
                if isinstance(event, Quote):
                    assert event.bid <= event.ask
    assert dict(counts) == expected
    assert ingest.skipped_rows() == skipped
