"""The Polymarket side as real servers on loopback, around one exchange (DESIGN section 6).

Whoever drives time gives ``advance``: it brings the exchange to the present, drains its events and
hands them to ``publish``. Nothing here moves time or makes prices.

    venue = PolymarketVenue(exchange, clock.now_ns, advance)
    await venue.start()
    run(worker, venues=venue.venues())
    venue.publish(exchange.drain())
    await venue.stop()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from helpers.domain import Asset, Message
from helpers.venues import Venues
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    ExchangeEvent,
    OrderAnswered,
    OrderChanged,
    PhaseChanged,
    TradeChanged,
)
from simulator.servers import discord as discord_surface
from simulator.servers import market_socket, reference_socket, user_socket
from simulator.servers.answers import HttpSurface, http_app
from simulator.servers.chain import Chain
from simulator.servers.clob_account import AccountReads
from simulator.servers.clob_auth import ClobAuth
from simulator.servers.clob_public import PublicClob
from simulator.servers.clob_trading import Trading
from simulator.servers.data_api import DataApi
from simulator.servers.discord import DiscordWebhook
from simulator.servers.fault_seam import Faults, Surface
from simulator.servers.gamma import Gamma
from simulator.servers.market_socket import MarketChannel
from simulator.servers.reference_socket import SPOT, TWAP, ReferenceChannel
from simulator.servers.relayer import Relayer
from simulator.servers.serving import LoopbackServer, LoopbackServers
from simulator.servers.sockets import OUTBOX_FRAMES_MAX
from simulator.servers.surroundings import Surroundings
from simulator.servers.user_socket import UserChannel
from simulator.servers.website import Website

REFERENCE_PING_SECONDS: Final = 25.0
"""PolyBolt pings its clients (reference E.1); the CLOB's sockets leave it to them."""


class PolymarketUrls(Message, frozen=True):
    """Where each surface listens, without a trailing slash."""

    clob: str
    gamma: str
    market_socket: str
    user_socket: str
    reference_socket: str
    data_api: str
    relayer: str
    chain: str
    """A node of the chain, for JSON-RPC."""
    website: str
    discord_webhook: str
    sockets: str
    """The host of the market and user channels, without their paths."""
    reference: str
    """The host of the reference prices, without its path."""


class PolymarketVenue:
    """All surfaces of the venue; each is an attribute with its switches."""

    def __init__(
        self,
        exchange: Exchange,
        now_ns: Callable[[], int],
        advance: Callable[[], None],
        faults: Faults | None = None,
        speed: float = 1.0,
        outbox_frames_max: int = OUTBOX_FRAMES_MAX,
    ) -> None:
        self.exchange = exchange
        self.surroundings = Surroundings(now_ns, advance, faults, speed)
        auth = ClobAuth(exchange, self.surroundings)
        self.trading = Trading(exchange, self.surroundings, auth)
        self.gamma = Gamma(exchange, self.surroundings)
        self.market_channel = MarketChannel(exchange, self.surroundings)
        self.user_channel = UserChannel(exchange.accounts, self.surroundings)
        self.reference = ReferenceChannel(exchange.accounts, self.surroundings)
        self.relayer = Relayer(exchange, self.surroundings)
        self.website = Website(self.surroundings)
        self.discord = DiscordWebhook(self.surroundings)
        http = HttpSurface(Surface.CLOB, self.surroundings)
        clob = http_app(
            [
                *PublicClob(exchange, self.surroundings).routes(http),
                *auth.routes(http),
                *AccountReads(exchange, auth).routes(http),
                *self.trading.routes(http),
            ]
        )
        channels = http_app(
            [self.market_channel.route(outbox_frames_max), self.user_channel.route()]
        )
        self._clob = LoopbackServer(clob, self.surroundings)
        self._channels = LoopbackServer(channels, self.surroundings)
        self._gamma = LoopbackServer(self.gamma.app(), self.surroundings)
        self._reference = LoopbackServer(
            http_app([self.reference.route()]), self.surroundings, REFERENCE_PING_SECONDS
        )
        self._data = LoopbackServer(DataApi(exchange, self.surroundings).app(), self.surroundings)
        self._relayer = LoopbackServer(self.relayer.app(), self.surroundings)
        self._chain = LoopbackServer(Chain(exchange, self.surroundings).app(), self.surroundings)
        self._website = LoopbackServer(self.website.app(), self.surroundings)
        self._discord = LoopbackServer(self.discord.app(), self.surroundings)
        self._servers = LoopbackServers(
            (
                self._clob,
                self._channels,
                self._gamma,
                self._reference,
                self._data,
                self._relayer,
                self._chain,
                self._website,
                self._discord,
            )
        )

    async def start(self) -> None:
        """Serve all surfaces, each on a free port."""
        await self._servers.start()

    async def stop(self) -> None:
        """Close every connection and stop."""
        await self._servers.stop()

    def publish(self, events: Iterable[ExchangeEvent]) -> None:
        """Turn what happened at the exchange into frames and answers, in order."""
        for event in events:
            if isinstance(event, OrderChanged | TradeChanged):
                self.user_channel.publish(event)
            elif isinstance(event, OrderAnswered):
                self.trading.answered(event)
            elif not isinstance(event, PhaseChanged):
                self.market_channel.publish(event)

    def publish_reference(
        self, asset: Asset, spot: float | None, twap60: float | None, at_ns: int
    ) -> None:
        """Send a spot price, a 60 s average, or both, stamped ``at_ns``; ``None`` sends none."""
        if spot is not None:
            self.reference.publish(SPOT, asset, spot, at_ns)
        if twap60 is not None:
            self.reference.publish(TWAP, asset, twap60, at_ns)

    def urls(self) -> PolymarketUrls:
        """Return where the surfaces listen."""
        sockets, reference = f"ws://{self._channels.address}", f"ws://{self._reference.address}"
        return PolymarketUrls(
            clob=f"http://{self._clob.address}",
            gamma=f"http://{self._gamma.address}",
            market_socket=sockets + market_socket.PATH,
            user_socket=sockets + user_socket.PATH,
            reference_socket=reference + reference_socket.PATH,
            data_api=f"http://{self._data.address}",
            relayer=f"http://{self._relayer.address}",
            chain=f"http://{self._chain.address}",
            website=f"http://{self._website.address}",
            discord_webhook=f"http://{self._discord.address}{discord_surface.PATH}",
            sockets=sockets,
            reference=reference,
        )

    def venues(self, others: Venues | None = None) -> Venues:
        """Return the worker's addresses with this venue's in place of the real ones."""
        urls = self.urls()
        return msgspec.structs.replace(
            others or Venues(),
            polymarket_socket=urls.sockets,
            polymarket_reference_socket=urls.reference,
            gamma_rest=urls.gamma,
            clob_rest=urls.clob,
            data_api_rest=urls.data_api,
            relayer_rest=urls.relayer,
            polygon_rpc=urls.chain,
            polymarket_website=urls.website,
        )
