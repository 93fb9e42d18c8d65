"""The user channel: an account's own orders and trades, after its credentials (reference D)."""

from __future__ import annotations

import hmac
from typing import Final

import msgspec
from starlette.routing import WebSocketRoute

from helpers.domain import Message
from simulator.accounts import Account, Accounts
from simulator.exchange_messages import OrderChanged, TradeChanged
from simulator.polymarket_frames import UserFrames
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Surface
from simulator.servers.sockets import POLICY, Outbox, socket_route
from simulator.servers.surroundings import Surroundings

PATH: Final = "/ws/user"
MARKETS_MAX: Final = 500
SURFACE: Final = Surface.USER_SOCKET


class SocketCredentials(Message, frozen=True):
    """Credentials inside a frame, spelled as on the wire."""

    apiKey: str  # noqa: N815 - the wire's name
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"SocketCredentials(apiKey={self.apiKey!r}, ...)"


class UserRequest(Message, frozen=True):
    """What a client sends; no ``markets`` in the first frame means all."""

    type: str = ""
    operation: str = ""
    auth: SocketCredentials | None = None
    markets: tuple[str, ...] | None = None


class UserSession:
    """One client of the user channel."""

    def __init__(self, outbox: Outbox, channel: UserChannel) -> None:
        self.outbox = outbox
        self.account: Account | None = None
        self._all_markets = False
        self._markets: set[str] = set()
        self._channel = channel

    def received(self, text: str) -> None:
        """Take a request; wrong credentials end the connection without a word (reference D.1)."""
        if text == "PING":
            self.outbox.send("pong", "PONG")
            return
        try:
            request = msgspec.json.decode(text, type=UserRequest)
        except UNREADABLE:
            self._channel.unread("malformed request")
            return
        if request.type.lower() == "user":
            self._log_in(request)
        elif self.account is None:
            self._channel.unread("request before the credentials")
        elif request.operation == "subscribe":
            room = MARKETS_MAX - len(self._markets)
            self._markets.update((request.markets or ())[:room])
            self._all_markets = self._all_markets and not request.markets
        elif request.operation == "unsubscribe":
            self._markets.difference_update(request.markets or ())
            # Without any market left a client is told of all again (the vendor's client does so).
            self._all_markets = not self._markets
        else:
            self._channel.unread("unknown request")

    def wants(self, condition_id: str) -> bool:
        """Return whether an event of a market is for this client."""
        return self._all_markets or condition_id in self._markets

    def ended(self) -> None:
        """Forget the client."""
        self._channel.remove(self)

    def _log_in(self, request: UserRequest) -> None:
        account = account_of(self._channel.accounts, request.auth)
        if account is None:
            self.outbox.close(POLICY)
            return
        self._channel.add(self, account)
        self._all_markets = not request.markets
        self._markets = set((request.markets or ())[:MARKETS_MAX])


class UserChannel:
    """All clients of the user channel."""

    def __init__(self, accounts: Accounts, surroundings: Surroundings) -> None:
        self.accounts = accounts
        self._surroundings = surroundings
        self._frames = UserFrames(accounts)
        self._by_account: dict[str, dict[UserSession, None]] = {}

    def route(self) -> WebSocketRoute:
        """Return the route of this channel."""
        return socket_route(
            PATH, SURFACE, self._surroundings, lambda outbox: UserSession(outbox, self)
        )

    def unread(self, reason: str) -> None:
        """Count a frame that meant nothing."""
        self._surroundings.unread[f"{SURFACE}: {reason}"] += 1

    def add(self, session: UserSession, account: Account) -> None:
        """Send an account's events to a client from now on."""
        self.remove(session)
        session.account = account
        self._by_account.setdefault(account.name, {})[session] = None

    def remove(self, session: UserSession) -> None:
        """Drop a client."""
        if session.account is None:
            return
        sessions = self._by_account.get(session.account.name, {})
        sessions.pop(session, None)
        if not sessions:
            self._by_account.pop(session.account.name, None)

    def publish(self, event: OrderChanged | TradeChanged) -> None:
        """Send an event to the clients of its account."""
        sessions = self._by_account.get(event.account)
        if not sessions:
            return
        if isinstance(event, OrderChanged):
            kind, condition_id = "order", event.order.condition_id
            text = self._frames.order(event)
        else:
            kind, condition_id = "trade", event.facts.condition_id
            text = self._frames.trade(event)
        for session in sessions:
            if session.wants(condition_id):
                session.outbox.send(kind, text)


def account_of(accounts: Accounts, given: SocketCredentials | None) -> Account | None:
    """Return whose credentials these are, ``None`` when they are nobody's."""
    known = None if given is None else accounts.by_key(given.apiKey)
    if known is None or given is None:
        return None
    account, credentials = known
    same_secret = hmac.compare_digest(credentials.secret.encode(), given.secret.encode())
    same_passphrase = hmac.compare_digest(
        credentials.passphrase.encode(), given.passphrase.encode()
    )
    return account if same_secret and same_passphrase else None
