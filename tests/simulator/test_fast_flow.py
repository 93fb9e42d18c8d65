"""Messages of the perpetuals."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from helpers.domain import NS_PER_SECOND, Asset
from simulator.actions import FastQuote, FastTrade, TimedAction
from simulator.fast_flow import FastFlow, FlowMinute
from simulator.fast_price import BLOCK_NS, STEP_NS, FastPriceProcess, price_steps


def messages(quotes: float, trades: float, minutes: int) -> list[TimedAction]:
    """Return Bitcoin's messages of some minutes."""
    process, flow = FastPriceProcess(5, (Asset.BTC,)), FastFlow(5, Asset.BTC, quotes, trades)
    blocks = (process.next_block(minute * BLOCK_NS) for minute in range(minutes))
    return [message for block in blocks for message in whole(flow.minute(block, 0))]


def whole(minute: FlowMinute) -> list[TimedAction]:
    """Return all of a minute."""
    start_ns = int(minute.at_ns[0]) // BLOCK_NS * BLOCK_NS
    return minute.between(start_ns, start_ns + BLOCK_NS)


def test_messages_are_ordered_and_sound() -> None:
    """Times rise, quotes are a tick wide, trades print at bid or ask with a size."""
    found = messages(8.0, 4.0, 10)
    assert all(later[0] >= earlier[0] for earlier, later in pairwise(found))
    for _, message in found:
        if isinstance(message, FastQuote):
            assert message.ask - message.bid == pytest.approx(0.1)
            assert message.bid_size > 0 < message.ask_size
        else:
            assert isinstance(message, FastTrade)
            assert message.quantity > 0


def test_a_minute_is_the_sum_of_its_parts() -> None:
    """However it is cut, each message comes once, at its place."""
    block = FastPriceProcess(5, (Asset.BTC,)).next_block(0)
    minute = FastFlow(5, Asset.BTC, 8.0, 4.0).minute(block, 0)
    seconds = [minute.between(s * NS_PER_SECOND, (s + 1) * NS_PER_SECOND) for s in range(60)]
    assert [message for second in seconds for message in second] == whole(minute)
    assert max(map(len, seconds)) < len(minute.at_ns) / 4


def test_the_rate_is_a_parameter() -> None:
    """Three times the rate gives about three times the messages."""
    ratio = len(messages(24.0, 12.0, 60)) / len(messages(8.0, 4.0, 60))
    assert 2.4 < ratio < 3.2


def test_every_move_is_quoted() -> None:
    """Even at a rate of nothing, each move of the mid brings a quote in its step."""
    block = FastPriceProcess(5, (Asset.BTC,)).next_block(0)
    quoted = whole(FastFlow(5, Asset.BTC, 0.0, 0.0).minute(block, 0))
    assert [at_ns // STEP_NS for at_ns, _ in quoted] == price_steps(block, 0)
    for at_ns, quote in quoted:
        assert isinstance(quote, FastQuote)
        mid = math.exp(block.log_mid[0, at_ns // STEP_NS])
        assert quote.bid - 0.001 <= mid <= quote.ask + 0.001
