"""One outward frame of the simulated world, before any transport; holds text, decides nothing."""

from __future__ import annotations

from helpers.domain import Message, Source


class Frame(Message, frozen=True):
    """What a venue sends on one stream at one moment.

    Transports deliver it to whoever asked for its key: sockets to their subscribers, the
    in-process world straight to a parser.
    """

    source: Source
    at_ns: int
    """Venue time, which is also the stamp inside the text."""
    key: str
    """Binance: the stream's name (``btcusdt@trade``). Polymarket market channel: the condition id.
    User channel: the account. Reference: ``channel:symbol``. Coinbase: ``type:product``."""
    text: str
    """The frame as it goes on the wire, envelope included."""
