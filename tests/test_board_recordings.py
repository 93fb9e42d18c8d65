"""The board against real frames: a sequenced book that agrees with the venue, and its clock."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from statistics import median

import msgspec
import pytest

from helpers.board import Board
from helpers.domain import (
    NS_PER_MS,
    Asset,
    DepthChange,
    DepthSnapshot,
    FeedEvent,
    Quote,
    Source,
    Trade,
)
from tests.shared import shared_file

Levels = tuple[tuple[float, float], ...]
MATCHING_POINTS = 629
FRAMES = 93_954


def _levels(wire: object) -> Levels:
    assert isinstance(wire, list)
    return tuple((float(price), float(size)) for price, size in wire)


def _events(name: str) -> Iterator[FeedEvent]:
    source, asset = Source.BINANCE_PUBLIC, Asset.BTC
    with gzip.open(shared_file(f"fixtures/binance/hftbacktest/{name}"), "rb") as lines:
        for line in lines:
            stamp, raw = line.split(b" ", 1)
            received_ns = int(stamp)
            frame = msgspec.json.decode(raw)
            if "lastUpdateId" in frame:
                bids, asks = _levels(frame["bids"]), _levels(frame["asks"])
                yield DepthSnapshot(
                    source, asset, frame["lastUpdateId"], bids, asks, 0, received_ns
                )
                continue
            body = frame["data"]
            venue_ns = body["E"] * NS_PER_MS
            if body["e"] == "bookTicker":
                bid, bid_size = float(body["b"]), float(body["B"])
                ask, ask_size = float(body["a"]), float(body["A"])
                yield Quote(
                    source, asset, bid, bid_size, ask, ask_size, body["u"], venue_ns, received_ns
                )
            elif body["e"] == "trade":
                price, quantity, taker_buys = float(body["p"]), float(body["q"]), not body["m"]
                yield Trade(
                    source, asset, body["t"], price, quantity, taker_buys, venue_ns, received_ns
                )
            else:
                bids, asks = _levels(body["b"]), _levels(body["a"])
                yield DepthChange(
                    source, asset, body["U"], body["u"], body["pu"], bids, asks, venue_ns,
                    received_ns,
                )  # fmt: skip


@pytest.fixture(scope="module")
def recorded() -> list[FeedEvent]:
    """Events of 345 s of BTC USD-M."""
    return list(_events("usdm_btcusdt_20240808.gz"))


def test_recorded_depth_has_no_gap_and_agrees_with_the_quotes(recorded: list[FeedEvent]) -> None:
    """At each of the 629 update ids both streams share, best prices and sizes agree."""
    assert len(recorded) == FRAMES
    source, asset = Source.BINANCE_PUBLIC, Asset.BTC
    by_id = {event.update_id: event for event in recorded if isinstance(event, Quote)}
    board = Board()
    agreed = 0
    differed: list[int] = []
    for event in recorded:
        board.apply(event)
        if not isinstance(event, DepthChange) or event.last_update_id not in by_id:
            continue
        if board.depth_update_id(source, asset) != event.last_update_id:
            continue
        quote = by_id[event.last_update_id]
        best = board.depth_best(source, asset)
        if best == ((quote.bid, quote.bid_size), (quote.ask, quote.ask_size)):
            agreed += 1
        else:
            differed.append(event.last_update_id)
    counts = dict(board.anomalies())
    assert not differed
    assert agreed == MATCHING_POINTS
    assert "depth_gap" not in counts
    assert "out_of_order" not in counts
    assert "duplicate_trade" not in counts


def test_clock_offset_is_within_20_ms(recorded: list[FeedEvent]) -> None:
    """The recorder's clock is 1,269.5 ms behind the venue's (median), and the board finds it."""
    board = Board()
    differences: list[int] = []
    for event in recorded:
        board.apply(event)
        if isinstance(event, Quote | Trade):
            differences.append(event.received_ns - event.venue_ns)
    offset_ms = board.clock_offset_ns(Source.BINANCE_PUBLIC) / NS_PER_MS
    assert abs(offset_ms - -1_269.5) < 20.0
    assert abs(offset_ms - median(differences) / NS_PER_MS) < 20.0
