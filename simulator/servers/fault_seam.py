"""Where faults enter: every outgoing frame and answer passes one function; it decides none.

Transports ask before anything leaves. An answer that is replaced by a 5xx was still carried out,
which is exactly the unknown outcome a client must survive.
"""

from __future__ import annotations

import enum
from typing import Protocol

from helpers.domain import Message


class Surface(enum.StrEnum):
    """The first word of every kind: which of the venues' servers speaks."""

    CLOB = "clob"
    GAMMA = "gamma"
    MARKET_SOCKET = "market_socket"
    USER_SOCKET = "user_socket"
    REFERENCE_SOCKET = "reference_socket"
    DATA_API = "data_api"
    RELAYER = "relayer"
    CHAIN = "chain"
    WEBSITE = "website"
    DISCORD = "discord"
    BINANCE_SOCKET = "binance_socket"
    BINANCE_REST = "binance_rest"
    COINBASE_SOCKET = "coinbase_socket"


class Deliver(Message, frozen=True):
    """Send these texts instead, in order, after a wait; no text at all is a drop.

    A dropped frame is lost and the socket stays open; a dropped answer leaves its request without
    one until the client gives up. Several texts are duplicates or late ones; an answer has one.
    The wait is venue time and holds back what follows on the same connection.
    """

    payloads: tuple[str, ...] = ()
    after_ns: int = 0


class Close(Message, frozen=True):
    """Cut the connection: a close code on a socket, no answer to a request."""

    code: int = 1006
    """1006 is a cut without a close frame."""


class Answer(Message, frozen=True):
    """Answer a request with another status and body than the one it earned.

    Given for a frame of an open socket, which has no status, it cuts the connection.
    """

    status: int
    body: str = ""
    retry_after_seconds: int = 0


Fate = str | Deliver | Close | Answer
"""What becomes of a text: itself (or another text) now, or one of the rest."""


class Faults(Protocol):
    """What every transport asks about each thing it is about to send."""

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        """Return the fate of one text.

        ``connection_id`` is the same for the life of a socket or of one HTTP request and says its
        number (``market_socket-3``). ``kind`` is the surface, a colon, and what it carries: for
        sockets the event type (``market_socket:price_change``, ``user_socket:trade``,
        ``reference_socket:price.crypto.twap``, ``...:pong``), for answers method and route
        (``clob:POST /order``). ``payload`` is the frame or the body of a 200 answer or an error.
        """
        ...

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        """Return how a request ends before it is carried out, or ``None`` to let it through.

        Asked for requests and for handshakes of sockets (``market_socket:handshake``), where an
        ``Answer`` refuses the upgrade with its status.
        """
        ...


class NoFaults:
    """Everything leaves as it is."""

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:  # noqa: ARG002
        """Return the payload."""
        return payload

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:  # noqa: ARG002
        """Return nothing: every request is carried out."""
        return None
