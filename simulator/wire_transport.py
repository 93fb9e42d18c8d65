"""The world as frames of wire text for one client that listens to everything; no sockets.

What the socket servers do per connection is done here once: every market is subscribed when it is
listed, its books come first, and Gamma is asked at listing and after resolution, as the worker's
market directory does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from helpers.domain import NS_PER_SECOND, Outcome, Source
from helpers.feeds.ingest import encode_rest
from simulator.actions import FastQuote, ReferenceTick
from simulator.binance_frames import FuturesFrames, klines_body
from simulator.book_text import rest_book
from simulator.exchange_messages import (
    BookChanged,
    BookPublished,
    ExchangeEvent,
    MarketListed,
    MarketResolved,
    MarketTraded,
    OrderChanged,
    TickSizeChanged,
    TradeChanged,
)
from simulator.frame import Frame
from simulator.polymarket_frames import MarketFrames, UserFrames
from simulator.reference_frames import SPOT_CHANNEL, TWAP_CHANNEL, ReferenceFrames
from simulator.world import FastAction, World

FAST_KINDS: Final = ("bookTicker", "trade", "markPrice@1s")
"""Streams of the perpetual that are sent: depth is thinned away, as ``fast_flow`` says."""
RESOLUTION_POLL_NS: Final = 2 * NS_PER_SECOND
"""From a resolution until the client asks Gamma for it."""
SUBSCRIBE_NS: Final = NS_PER_SECOND
"""From a listing until the client, told of it by Gamma, has subscribed to its books."""
BARS_MAX: Final = 1_500
"""One-minute bars of a klines answer (binance 4.1)."""
_TRADING: Final = (BookPublished, MarketTraded, TickSizeChanged)


class WireTransport:
    """Turns what happens in a world into frames, in the order it happened."""

    def __init__(
        self, world: World, send: Callable[[Frame], None], kinds: Sequence[str] = FAST_KINDS
    ) -> None:
        self._world = world
        self._send = send
        self._fast = FuturesFrames(world.settings.model.assets, kinds)
        self._reference = ReferenceFrames()
        self._user = UserFrames(world.exchange.accounts)
        self._markets: dict[str, MarketFrames] = {}
        self._subscribed: set[str] = set()
        world.on_fast = self.fast
        world.on_reference = self.reference
        world.on_exchange_events = self.exchange

    def history(self) -> tuple[Frame, ...]:
        """Return the answers to the warm-up's requests, one an asset."""
        now_ns = self._world.now_ns
        frames: list[Frame] = []
        for asset in self._world.settings.model.assets:
            symbol = f"{asset}USDT"
            body = klines_body(self._world.candles(asset)[-BARS_MAX:])
            text = encode_rest("/fapi/v1/klines", symbol, body)
            frames.append(Frame(Source.BINANCE_REST, now_ns, symbol, text))
        return tuple(frames)

    def fast(self, action: FastAction, at_ns: int) -> None:
        """Send a quote or a trade of a perpetual, and what its venue sends by its own clock."""
        for frame in self._fast.due(at_ns):
            self._send(frame)
        if isinstance(action, FastQuote):
            self._send(self._fast.quote(at_ns, action))
        else:
            self._send(self._fast.trade(at_ns, action))

    def reference(self, tick: ReferenceTick, stamp_ns: int, now_ns: int) -> None:
        """Send both prices of the settlement source."""
        for channel, price in ((TWAP_CHANNEL, tick.twap60), (SPOT_CHANNEL, tick.spot)):
            self._send(self._reference.frame(channel, tick.asset, price, stamp_ns, now_ns))

    def exchange(self, events: Sequence[ExchangeEvent]) -> None:
        """Send what the two channels of the venue tell of its events."""
        for event in events:
            if isinstance(event, BookChanged):
                if event.condition_id not in self._subscribed:
                    continue
                frames = self._markets[event.condition_id]
                self._market(event.condition_id, event.at_ns, frames.price_change(event))
                for text in frames.best_bid_ask(event):
                    self._market(event.condition_id, event.at_ns, text)
            elif isinstance(event, _TRADING):
                self._trading(event)
            elif isinstance(event, MarketListed):
                self._listed(event)
            elif isinstance(event, MarketResolved):
                self._resolved(event)
            elif isinstance(event, OrderChanged):
                text = self._user.order(event)
                self._send(Frame(Source.POLYMARKET_USER, event.at_ns, event.account, text))
            elif isinstance(event, TradeChanged):
                text = self._user.trade(event)
                self._send(Frame(Source.POLYMARKET_USER, event.at_ns, event.account, text))

    def refetch(self, token: str, now_ns: int) -> None:
        """Answer GET /book for a token, as the worker asks when it doubts a book; 404 is silent."""
        found = self._world.exchange.market_of_token(token)
        if found is not None and not found[0].resolved:
            text = encode_rest("/book", token, rest_book(*found))
            self._send(Frame(Source.CLOB_REST, now_ns, token, text))

    def _trading(self, event: BookPublished | MarketTraded | TickSizeChanged) -> None:
        condition_id, at_ns = event.condition_id, event.at_ns
        if condition_id not in self._subscribed:
            return
        frames = self._markets[condition_id]
        if isinstance(event, BookPublished):
            texts = frames.books(self._world.exchange.market(condition_id), event)
        elif isinstance(event, MarketTraded):
            texts = (frames.last_trade_price(event),)
        else:
            texts = frames.tick_size_change(event)
        for text in texts:
            self._market(condition_id, at_ns, text)

    def _listed(self, event: MarketListed) -> None:
        listing, at_ns = event.listing, event.at_ns
        self._forget_retired()
        frames = self._markets[listing.condition_id] = MarketFrames(listing)
        self._market(listing.condition_id, at_ns, frames.new_market(at_ns))
        self._gamma(listing.slug, at_ns)
        self._world.at(at_ns + SUBSCRIBE_NS, partial(self._subscribe, listing.condition_id))

    def _subscribe(self, condition_id: str, now_ns: int) -> None:
        market = self._world.exchange.market(condition_id)
        frames = self._markets[condition_id]
        books = ",".join(frames.book(market, outcome, now_ns) for outcome in Outcome)
        self._market(condition_id, now_ns, f"[{books}]")
        self._subscribed.add(condition_id)

    def _resolved(self, event: MarketResolved) -> None:
        frames = self._markets[event.condition_id]
        self._market(event.condition_id, event.at_ns, frames.market_resolved(event))
        self._gamma(frames.listing.slug, event.at_ns + RESOLUTION_POLL_NS)

    def _gamma(self, slug: str, at_ns: int) -> None:
        body = self._world.gamma_text(slug, at_ns)
        if body is not None:
            self._send(Frame(Source.GAMMA, at_ns, slug, body))

    def _market(self, condition_id: str, at_ns: int, text: str) -> None:
        self._send(Frame(Source.POLYMARKET_MARKET, at_ns, condition_id, text))

    def _forget_retired(self) -> None:
        known = {market.listing.condition_id for market in self._world.exchange.markets()}
        for condition_id in [each for each in self._markets if each not in known]:
            del self._markets[condition_id]
            self._subscribed.discard(condition_id)
