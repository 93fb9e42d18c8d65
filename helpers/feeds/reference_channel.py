"""The socket of the settlement source's prices (PolyBolt); must not keep or show credentials.

Frames are recorded like any other; the ones we send hold credentials and never reach a sink.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from helpers.domain import Asset, Message, Source
from helpers.feeds.reference_price import auth_frame, subscribe_frame, subscribe_frames
from helpers.feeds.subscription import Endpoint, FixedSubscription
from helpers.venues import Venues

SILENCE_SECONDS: Final = 30.0
"""Spot comes up to five times a second, the TWAP once (reference E.1)."""
FIRST_DATA_SECONDS: Final = 15.0
_CHANNEL: Final = re.compile(rb'"channel":\s*"([^"]+)"')
_SYMBOL: Final = re.compile(rb'"symbol":\s*"([^"]+)"')


class Credentials:
    """A CLOB API key, shown as stars only."""

    __slots__ = ("key", "passphrase", "secret")

    def __init__(self, key: str, secret: str, passphrase: str) -> None:
        self.key = key
        self.secret = secret
        self.passphrase = passphrase

    def __repr__(self) -> str:
        return "Credentials(********)"


class ReferenceFeed(Message, frozen=True):
    """The socket and what to ask for on it."""

    endpoint: Endpoint
    subscription: FixedSubscription


class _Subscription(FixedSubscription):
    """Asks for a stream once more: the first request may have come before the login was done."""

    def __init__(self, login: str, subscribe: str, single: Mapping[str, str]) -> None:
        super().__init__(frozenset(single), (login, subscribe))
        self._single = single
        self._asked_again: set[str] = set()

    def opening_frames(self, names: frozenset[str], /) -> tuple[str, ...]:
        """Return login and request of a fresh socket."""
        self._asked_again.clear()
        return super().opening_frames(names)

    def second_try(self, name: str, /) -> tuple[str, ...]:
        """Return the stream's own request once a socket, then nothing: a new socket logs in again.

        Each stream has its own try, as all of them miss their deadline in one look.
        """
        if name in self._asked_again:
            return super().second_try(name)
        self._asked_again.add(name)
        return (self._single[name],)


def streams_in(raw: bytes) -> Sequence[str]:
    """Name channel and symbol of a price frame; answers and errors name none."""
    channel, symbol = _CHANNEL.search(raw), _SYMBOL.search(raw)
    if channel is None or symbol is None:
        return ()
    return (f"{channel[1].decode(errors='replace')}:{symbol[1].decode(errors='replace')}",)


def reference_feed(
    assets: Sequence[Asset], venues: Venues, credentials: Credentials
) -> ReferenceFeed:
    """Describe the reference socket for these assets (reference E.1)."""
    endpoint = Endpoint(
        source=Source.POLYMARKET_REFERENCE,
        url=f"{venues.polymarket_reference_socket}/ws",
        streams_in=streams_in,
        silence_seconds=SILENCE_SECONDS,
        first_data_seconds=FIRST_DATA_SECONDS,
    )
    login = auth_frame(credentials.key, credentials.secret, credentials.passphrase)
    single = subscribe_frames(assets)
    return ReferenceFeed(endpoint, _Subscription(login, subscribe_frame(assets), single))
