"""PolyBolt updates are read by the worker's parser to the prices that went in."""

from __future__ import annotations

from typing import Literal

import msgspec

from helpers.domain import NS_PER_SECOND, Asset, ReferencePrice, Source
from helpers.feeds.reference_price import ReferencePriceParser
from simulator.reference_frames import SPOT_CHANNEL, TWAP_CHANNEL, ReferenceFrames

STAMP_NS = 1_783_339_500 * NS_PER_SECOND


def test_both_channels_are_read_back() -> None:
    """Spot and 60 s average keep their price and stamp; each channel counts its own updates."""
    frames = ReferenceFrames()
    parser = ReferencePriceParser()
    kinds: dict[str, Literal["spot", "twap60"]] = {SPOT_CHANNEL: "spot", TWAP_CHANNEL: "twap60"}
    for number in (1, 2):
        for channel, kind in kinds.items():
            sent_ns = STAMP_NS + NS_PER_SECOND
            frame = frames.frame(channel, Asset.ETH, 2433.88123456, STAMP_NS, sent_ns)
            assert frame.source is Source.POLYMARKET_REFERENCE
            assert frame.key == f"{channel}:ethusd"
            assert frame.at_ns == sent_ns
            assert msgspec.json.decode(frame.text)["seq"] == number
            assert list(parser.parse(frame.text, 9)) == [
                ReferencePrice(Asset.ETH, kind, "chainlink", 2433.88123456, STAMP_NS, 9)
            ]
    assert not list(parser.skipped.rows())
