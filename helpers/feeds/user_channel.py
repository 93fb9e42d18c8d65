"""The socket of our own orders and trades; its login frame holds credentials and is only sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from helpers.domain import Message, Source
from helpers.feeds.polymarket_user import user_subscribe_frame
from helpers.feeds.subscription import Endpoint, FixedSubscription
from helpers.venues import Venues

KEEPALIVE_SECONDS: Final = 10.0
"""Reference C.1; the channel is silent for as long as we do nothing."""
NAME: Final = "user"


class UserFeed(Message, frozen=True):
    """The socket and what to say on it."""

    endpoint: Endpoint
    subscription: FixedSubscription


def user_feed(venues: Venues, api_key: str, secret: str, passphrase: str) -> UserFeed:
    """Return the user channel of an API key, for all markets (reference D.1)."""
    endpoint = Endpoint(
        source=Source.POLYMARKET_USER,
        url=f"{venues.polymarket_socket}/ws/user",
        streams_in=_streams_in,
        silence_seconds=0.0,
        first_data_seconds=0.0,
        keepalive="PING",
        keepalive_answer=b"PONG",
        keepalive_seconds=KEEPALIVE_SECONDS,
        ping_seconds=KEEPALIVE_SECONDS,
    )
    frame = user_subscribe_frame(api_key, secret, passphrase)
    return UserFeed(endpoint, FixedSubscription(frozenset({NAME}), (frame,)))


def _streams_in(_raw: bytes) -> Sequence[str]:
    return (NAME,)
