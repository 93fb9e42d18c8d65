"""PolyBolt's price updates as wire text (reference E.1); subscriptions are the transport's."""

from __future__ import annotations

from collections import Counter
from typing import Final

from helpers.domain import NS_PER_MS, Asset, Source
from simulator.frame import Frame
from simulator.reference import TWAP_SECONDS

SPOT_CHANNEL: Final = "price.crypto"
TWAP_CHANNEL: Final = "price.crypto.twap"


class ReferenceFrames:
    """Numbers the updates of each channel."""

    def __init__(self) -> None:
        self._sequences: Counter[str] = Counter()

    def frame(self, channel: str, asset: Asset, price: float, stamp_ns: int, sent_ns: int) -> Frame:
        """Return one update: the price stamped ``stamp_ns``, sent at ``sent_ns``."""
        self._sequences[channel] += 1
        symbol = f"{asset.lower()}usd"
        window = f'"window_seconds":{TWAP_SECONDS},' if channel == TWAP_CHANNEL else ""
        text = (
            f'{{"v":1,"channel":"{channel}","seq":{self._sequences[channel]},'
            f'"ts":{sent_ns // NS_PER_MS},"payload":{{"symbol":"{symbol}","source":"chainlink",'
            f'{window}"timestamp":{stamp_ns // NS_PER_MS},"value":{price!r},'
            f'"full_accuracy_value":"{price:.18f}"}}}}'
        )
        return Frame(Source.POLYMARKET_REFERENCE, sent_ns, f"{channel}:{symbol}", text)
