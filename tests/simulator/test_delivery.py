"""Frames arrive after their latency, in order of arrival, each once."""

from __future__ import annotations

from helpers.domain import NS_PER_MS, Source
from simulator.delivery import Delivery
from simulator.frame import Frame
from simulator.world_settings import Latencies


def test_frames_arrive_when_they_are_due() -> None:
    """A slow source's frame comes after a fast one's that was sent later."""
    arrived: list[tuple[str, int]] = []
    delivery = Delivery(
        Latencies(binance_ms=40, polymarket_ms=60),
        lambda _, text, received_ns: arrived.append((text, received_ns // NS_PER_MS)),
    )
    delivery.send(Frame(Source.POLYMARKET_MARKET, 0, "", "book"))
    delivery.send(Frame(Source.BINANCE_PUBLIC, 10 * NS_PER_MS, "", "quote"))
    delivery.send(Frame(Source.POLYMARKET_MARKET, 30 * NS_PER_MS, "", "late"))
    delivery.deliver_until(49 * NS_PER_MS)
    assert arrived == []
    delivery.deliver_until(60 * NS_PER_MS)
    assert arrived == [("quote", 50), ("book", 60)]
    delivery.deliver_until(1_000 * NS_PER_MS)
    assert arrived == [("quote", 50), ("book", 60), ("late", 90)]
