"""Polymarket's market socket with a token set that changes; must not know what a window is.

Only differences are sent, and the new are asked for before the old are let go (I14). Every fresh
socket asks for everything: the venue replays nothing (reference C.8).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from typing import Final

from helpers.clock import Clock
from helpers.domain import Source
from helpers.feeds.polymarket_market import (
    subscribe_frame,
    subscribe_more_frame,
    unsubscribe_frame,
)
from helpers.feeds.socket import SocketReader, SocketTimings
from helpers.feeds.subscription import Endpoint, Frames, Misses, OnLink
from helpers.venues import Venues

TOKENS_PER_FRAME: Final = 100
"""Keeps a subscribe frame near 8 kB; the venue was silent beyond about 750 in all (C.7)."""
TOKENS_MAXIMUM: Final = 500
"""Assets of one connection in the venue's older documents (C.7)."""
PING_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 20.0
"""Four 15 m markets send hundreds of frames a second at best and some in any 20 s at worst."""
FIRST_DATA_SECONDS: Final = 10.0
"""The snapshot follows a subscribe at once."""
FRAME_BYTES_MAXIMUM: Final = 32 << 20
"""The opening array holds every subscribed book (C.1)."""
_TOKEN: Final = re.compile(rb'"asset_id":\s*"(\d+)"')


def tokens_in(raw: bytes) -> Sequence[str]:
    """Name the tokens one frame has news of (C.2 to C.5).

    The global ``new_market`` and ``market_resolved`` name none, so they prove nothing about the
    books; neither does a PONG.
    """
    return [token.decode() for token in _TOKEN.findall(raw)]


def market_endpoint(venues: Venues) -> Endpoint:
    """Describe the market socket."""
    return Endpoint(
        source=Source.POLYMARKET_MARKET,
        url=f"{venues.polymarket_socket}/ws/market",
        streams_in=tokens_in,
        silence_seconds=SILENCE_SECONDS,
        first_data_seconds=FIRST_DATA_SECONDS,
        keepalive="PING",
        keepalive_answer=b"PONG",
        keepalive_seconds=PING_SECONDS,
        maximum_frame_bytes=FRAME_BYTES_MAXIMUM,
    )


class TokenSubscription:
    """Which tokens are wanted, and which of them were asked for in vain."""

    def __init__(self) -> None:
        self._tokens: frozenset[str] = frozenset()
        self._misses = Misses()
        self._asked_again: set[str] = set()
        self._changed = asyncio.Event()

    def set_tokens(self, tokens: frozenset[str]) -> None:
        """Want exactly these; raises ``ValueError`` for more than one socket can carry."""
        if len(tokens) > TOKENS_MAXIMUM:
            raise ValueError(f"tokens were {len(tokens)}, expected at most {TOKENS_MAXIMUM}")
        if tokens == self._tokens:
            return
        self._tokens = tokens
        self._misses.keep_only(tokens)
        self._asked_again &= tokens
        self._changed.set()
        self._changed = asyncio.Event()

    def names(self) -> frozenset[str]:
        """Return the wanted tokens."""
        return self._tokens

    def judged(self, names: frozenset[str], /) -> frozenset[str]:
        """Return the tokens that have not been given up."""
        return self._misses.judged(names)

    def opening_frames(self, names: frozenset[str], /) -> tuple[str, ...]:
        """Return the opening frame and, past ``TOKENS_PER_FRAME``, subscribes for the rest."""
        first, *rest = _chunks(names)
        return (subscribe_frame(first), *(subscribe_more_frame(chunk) for chunk in rest))

    def change_frames(self, added: frozenset[str], removed: frozenset[str], /) -> tuple[str, ...]:
        """Return the difference, what is new first: a roll has no gap."""
        subscribes = tuple(subscribe_more_frame(chunk) for chunk in _chunks(added))
        return subscribes + tuple(unsubscribe_frame(chunk) for chunk in _chunks(removed))

    def heard(self, name: str, /) -> None:
        """Forget the misses of a token that has spoken."""
        self._misses.heard(name)
        self._asked_again.discard(name)

    def second_try(self, name: str, /) -> tuple[str, ...]:
        """Return the token's own frames anew the first time, nothing (a new socket) the second."""
        if name not in self._asked_again:
            self._asked_again.add(name)
            return (unsubscribe_frame([name]), subscribe_more_frame([name]))
        self._asked_again.discard(name)
        self._misses.add(name)
        return ()

    async def changed_from(self, names: frozenset[str], /) -> None:
        """Return once other tokens are wanted than these."""
        while self._tokens == names:
            await self._changed.wait()


class MarketChannel:
    """The market socket; whoever knows the windows sets the tokens."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock,
        frames: Frames,
        on_link: OnLink,
        rng: random.Random,
        timings: SocketTimings | None = None,
    ) -> None:
        self._subscription = TokenSubscription()
        self._reader = SocketReader(
            endpoint,
            self._subscription,
            clock=clock,
            frames=frames,
            on_link=on_link,
            rng=rng,
            timings=timings,
        )

    def set_tokens(self, tokens: frozenset[str]) -> None:
        """Subscribe to exactly these tokens, by differences; raises as ``TokenSubscription``."""
        self._subscription.set_tokens(tokens)

    async def run(self) -> None:
        """Keep the socket while any token is wanted; raises as ``SocketReader.run``."""
        await self._reader.run()


def _chunks(names: frozenset[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    for start in range(0, len(ordered), TOKENS_PER_FRAME):
        yield ordered[start : start + TOKENS_PER_FRAME]
