"""Recorded Binance frames of many years: each is an event or is counted by a telling name."""

from __future__ import annotations

import gzip
import json

import pytest

from helpers.domain import DepthChange, FeedEvent, Quote, Source, Trade
from helpers.feeds.binance import BinanceParser, BinanceSpotParser
from tests.feed_parsing import parse_all
from tests.shared import shared_file


def futures(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(BinanceParser(Source.BINANCE_PUBLIC), *frames)


def spot(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(BinanceSpotParser(), *frames)


def kinds(events: list[FeedEvent]) -> dict[str, int]:
    names = [type(event).__name__ for event in events]
    return {name: names.count(name) for name in sorted(set(names))}


def test_capture_of_september_2026() -> None:
    """A production capture gives its events; only liquidations are not ours."""
    text = shared_file("fixtures/binance/live_2026/usdm_streams_2026-09-27.txt").read_text()
    events, skipped = futures(*(line.partition(" ")[2] for line in text.splitlines() if line))
    assert kinds(events) == {
        "Candles": 4,
        "DepthChange": 4,
        "MarkPrice": 3,
        "Quote": 16,
        "Trade": 16,
    }
    assert skipped == {"unknown:forceOrder": 21}


def test_single_frames_of_2026() -> None:
    """Frames of several products and venues: ours pass, each other one is counted by name."""
    text = shared_file("fixtures/binance/live_2026/misc_live_frames_2026.jsonl").read_text()
    raws = [json.loads(line)["raw"] for line in text.splitlines()]
    others = {
        "control:ack": 1,
        "control:error 2": 1,
        "control:error 4": 1,
        "control:serverShutdown": 2,
        "ignored:trade NA": 1,
        "unknown:forceOrder": 2,
        "unknown:symbol 1000PEPEUSDT": 1,
        "unknown:symbol BTCUSD_PERP": 2,
        "unknown:symbol PAXGUSDT": 1,
    }
    # Without a kind: two frames of Bybit, and for futures the spot quote.
    events, skipped = futures(*raws)
    assert kinds(events) == {"Candles": 1, "Quote": 1, "Trade": 4}
    assert skipped == {**others, "malformed:no kind": 3}
    events, skipped = spot(*raws)
    assert kinds(events) == {"Candles": 1, "Quote": 2, "Trade": 4}
    assert skipped == {**others, "malformed:no kind": 2}


def test_probes_of_october_2026() -> None:
    """Live probes of every stream give their events."""
    path = shared_file("fixtures/binance/live_2026/polyoxide_2026-10-07.json")
    events, skipped = futures(*json.loads(path.read_text())["ws"].values())
    assert kinds(events) == {
        "Candles": 1,
        "MarkPrice": 1,
        "PartialDepth": 1,
        "Quote": 1,
        "Trade": 1,
    }
    assert skipped == {"unknown:symbol XAGUSDT": 1, "unknown:symbol XAUUSDT": 1}


def test_frames_of_2019_to_2025() -> None:
    """Old captures: an aggregate trade without id and a mark without index are not guessed at."""
    folder = "fixtures/binance/tardis_node"
    lines = shared_file(f"{folder}/binance_futures.jsonl").read_text().splitlines()
    events, skipped = futures(*lines)
    assert kinds(events) == {"DepthChange": 2, "MarkPrice": 1, "Quote": 1, "Trade": 2}
    assert skipped == {
        "ignored:depth body without stream": 1,
        "ignored:trade INSURANCE_FUND": 1,
        "malformed:aggTrade": 1,
        "malformed:markPriceUpdate without index": 1,
        "malformed:no kind": 1,
        "unknown:24hrTicker": 2,
        "unknown:forceOrder": 1,
        "unknown:symbol BTCBUSD_210129": 1,
    }
    events, skipped = spot(*shared_file(f"{folder}/binance_spot.jsonl").read_text().splitlines())
    assert kinds(events) == {"Quote": 1}
    assert skipped == {
        "ignored:depth body without stream": 2,
        "unknown:24hrTicker": 1,
        "unknown:symbol BNBBTC": 2,
        "unknown:symbol BTCUSDC": 1,
        "unknown:symbol GNTBTC": 3,
    }


@pytest.mark.parametrize(
    ("name", "frames"),
    [("BINANCE.ws.1.0", 265), ("BINANCE_US.ws.1.0", 480), ("BINANCE_FUTURES.ws.1.0", 1535)],
)
def test_recordings_of_foreign_symbols(name: str, frames: int) -> None:
    """Recordings of small coins: every frame is known, none is ours."""
    text = shared_file(f"fixtures/binance/cryptofeed/{name}").read_text()
    raws = [line.partition(": ")[2] for line in text.splitlines() if line[:1].isdigit()]
    for parse in (futures, spot):
        events, skipped = parse(*raws)
        assert events == []
        assert sum(skipped.values()) == frames
        assert all(name.startswith("unknown:symbol ") for name in skipped)


@pytest.mark.parametrize(
    ("name", "quotes", "trades", "changes", "bodies"),
    [
        ("usdm_btcusdt_20240808", 66089, 21313, 6551, 1),
        ("usdm_ethusdt_20240808", 53992, 14076, 6586, 1),
        ("spot_btcusdt_20240808", 28040, 9757, 3451, 1),
        ("spot_btcusdt_20240809", 45134, 10147, 3044, 0),
        ("spot_ethusdt_20240808", 24077, 6106, 3434, 1),
        ("spot_ethusdt_20240809", 34681, 8409, 3036, 0),
    ],
)
def test_recorded_minutes(name: str, quotes: int, trades: int, changes: int, bodies: int) -> None:
    """Minutes of raw frames: all of them are events, but for the depth body without a symbol."""
    path = shared_file(f"fixtures/binance/hftbacktest/{name}.gz")
    spot_file = name.startswith("spot")
    parser = BinanceSpotParser() if spot_file else BinanceParser(Source.BINANCE_PUBLIC)
    counts = {Quote: 0, Trade: 0, DepthChange: 0}
    with gzip.open(path, "rb") as lines:
        for line in lines:
            for event in parser.parse(line.partition(b" ")[2], 5):
                assert isinstance(event, (Quote, Trade, DepthChange))
                counts[type(event)] += 1
    assert counts == {Quote: quotes, Trade: trades, DepthChange: changes}
    assert sum(count for _, count in parser.skipped.rows()) == bodies
