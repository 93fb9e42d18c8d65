"""Settings of the simulated world and its fixed names; computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpers.domain import MICROS, NS_PER_MS, NS_PER_SECOND, Message, Source
from simulator.exchange_messages import ExchangeSettings
from simulator.market_model import ModelSettings

MAKERS: Final = "background-makers"
TAKERS: Final = "background-takers"
"""House accounts of everybody but the worker."""
WALLET: Final = "worker"
"""The account of the worker's wallet."""
DEFAULT_START_NS: Final = 1_783_339_500 * NS_PER_SECOND
"""2026-07-06 12:05 UTC, in Eastern summer time: names of hourly windows are right (``windows``)."""
RESOLUTION_SECONDS: Final[Mapping[int, tuple[float, float]]] = {
    300: (20.0, 90.0),
    900: (20.0, 90.0),
    3_600: (720.0, 780.0),
}
"""From the end of a window to its resolution, least and most (reference E.6)."""


class WorldSettings(Message, frozen=True):
    """What exists, from when on, and how slowly it is told."""

    start_ns: int = DEFAULT_START_NS
    model: ModelSettings = ModelSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    windows_ahead: int = 2
    """Windows listed before they open; the real venue lists a day ahead (reference F.2)."""
    wallet_micros: int = 1_000 * MICROS
    """Dollars of the worker's wallet at the start."""
    wallet_signer: str = ""
    """Address that signs for the wallet; blank opens it without one (in process)."""
    wallet_address: str = ""
    wallet_type: int = 0
    """Signature type of the wallet (reference H.1)."""
    reference_delay_ns: int = NS_PER_SECOND
    """From the stamp of a reference price to its delivery (reference E.4)."""
    retire_after_ns: int = 600 * NS_PER_SECOND
    """From resolution until the venue forgets a market, so that memory stays flat."""


class Latencies(Message, frozen=True):
    """From a venue's stamp to the worker's hands, one way, in milliseconds."""

    binance_ms: int = 40
    polymarket_ms: int = 60
    reference_ms: int = 60
    gamma_ms: int = 150

    def latency_ns(self, source: Source) -> int:
        """Return a source's latency in nanoseconds."""
        if source in _BINANCE:
            return self.binance_ms * NS_PER_MS
        if source is Source.POLYMARKET_REFERENCE:
            return self.reference_ms * NS_PER_MS
        if source is Source.GAMMA:
            return self.gamma_ms * NS_PER_MS
        return self.polymarket_ms * NS_PER_MS


_BINANCE: Final = frozenset(
    {Source.BINANCE_PUBLIC, Source.BINANCE_MARKET, Source.BINANCE_SPOT, Source.BINANCE_REST}
)
