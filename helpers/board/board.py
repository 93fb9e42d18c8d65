"""Owner of all market state: ``apply`` feed events, ask for snapshots.

Must not: read a clock, decide anything, or hand out what it owns; everything shown is frozen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from helpers.board.anomalies import Anomalies
from helpers.board.books import Books
from helpers.board.clock_offset import ClockOffset
from helpers.board.depth_book import DepthBook
from helpers.board.fast_market import FastMarket
from helpers.board.market_list import MarketList
from helpers.board.strikes import Strikes
from helpers.board.windows import GridMids
from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    BestPrices,
    BookChange,
    BookLevels,
    BookProblem,
    BookSnapshot,
    Candles,
    Connected,
    DepthChange,
    DepthSnapshot,
    Disconnected,
    FastSourceChosen,
    FastView,
    FeedEvent,
    Market,
    MarketOpened,
    MarketResolved,
    MarkPrice,
    OperatorRequest,
    OutcomeTrade,
    PartialDepth,
    PriceSize,
    Quote,
    ReferencePrice,
    Side,
    Snapshot,
    Source,
    StrikeKnown,
    TickSize,
    Trade,
)

NO_FAST_MARKET: Final = FastView(
    source=None,
    bid=0.0,
    ask=0.0,
    age_seconds=float("inf"),
    mid_1s_ago=None,
    mid_5s_ago=None,
    mid_60s_ago=None,
    mid_300s_ago=None,
    mid_600s_ago=None,
    mid_3600s_ago=None,
    flow_buy_usd=None,
    flow_sell_usd=None,
    signed_flow_500ms_usd=None,
    trades_10s=None,
    large_trade=None,
    volume_1h_usd=None,
    volume_24h_usd=None,
    minute_return_sd=None,
    volatility_per_sqrt_second=None,
)
PROXY_WITHIN_NS: Final = 3_000 * NS_PER_SECOND
"""How long after an opening the minute before it is still in the history of one hour."""
RESOLVED_KEPT_NS: Final = 3_600 * NS_PER_SECOND
"""A resolved market is forgotten so long after its close: its final price is told by then."""


class Board:
    """Books, windows, strikes and ages of every market; one writer, frozen readers."""

    def __init__(self) -> None:
        self._seen = Anomalies()
        self._clocks = {source: ClockOffset() for source in Source}
        self._books = Books(self._clocks[Source.POLYMARKET_MARKET], self._seen)
        self._fast: dict[Asset, FastMarket] = {}
        self._early_candles: dict[Asset, Candles] = {}
        """Bars that came before it was known which source counts."""
        self._depth: dict[tuple[Source, Asset], DepthBook] = {}
        self._depth_suspects: dict[tuple[Source, Asset], None] = {}
        self._references: dict[Asset, ReferencePrice] = {}
        self._markets = MarketList()
        self._resolved: dict[str, None] = {}
        """Listed markets that are over; the rest waits for its resolution, or for the bound."""
        self._grid_mids: dict[str, GridMids] = {}
        self._strikes = Strikes()
        # Each handler takes the one kind it is listed under, which a type checker cannot see.
        handlers: dict[type, Callable[[Any], None]] = {
            BookChange: self._books.change,
            Quote: self._on_quote,
            Trade: self._on_trade,
            PartialDepth: self._on_partial_depth,
            BookSnapshot: self._books.snapshot,
            BestPrices: self._books.best_prices,
            OutcomeTrade: self._on_outcome_trade,
            TickSize: self._on_tick_size,
            DepthChange: self._on_depth_change,
            DepthSnapshot: self._on_depth_snapshot,
            MarkPrice: _ignore,
            Candles: self._on_candles,
            ReferencePrice: self._on_reference_price,
            MarketOpened: self._on_market_opened,
            MarketResolved: self._on_market_resolved,
            StrikeKnown: self._on_strike_known,
            # Overlapping sockets feed the same books, so a connection says nothing of them:
            # staleness is the age of the venue's data (invariant 8).
            Connected: _ignore,
            Disconnected: _ignore,
            FastSourceChosen: self._on_fast_source_chosen,
            OperatorRequest: _ignore,
        }
        self._handlers = handlers

    def apply(self, event: FeedEvent) -> None:
        """Take one event; raise ``KeyError`` for a type that is no feed event."""
        self._handlers[type(event)](event)

    def on_grid(self, now_ns: int) -> None:
        """Sample the Up mid of every open market; call once a 0.5 s step."""
        self._books.settle_doubts()
        books = self._books.by_token
        for market in self._markets.open(now_ns):
            book = books[market.up_token]
            if book.problem() is BookProblem.NONE:
                self._grid_mids[market.slug].add(now_ns, book.best_bid, book.best_ask)
            if now_ns - market.opens_ns < PROXY_WITHIN_NS:
                self._propose_proxy(market, now_ns)

    def _propose_proxy(self, market: Market, now_ns: int) -> None:
        fast = self._fast.get(market.asset)
        if (
            fast is not None
            and self._strikes.strike(market.slug) is None
            and fast.venue_now_ns(now_ns) >= market.opens_ns
        ):
            self._strikes.proxy(market, fast)

    def snapshot(self, slug: str, now_ns: int, on_grid: bool) -> Snapshot:
        """Return one market at one moment; raise ``KeyError`` for an unknown slug."""
        market = self._markets.by_slug[slug]
        books = self._books.by_token
        book_offset_ns = self._clocks[Source.POLYMARKET_MARKET].median_ns
        fast = self._fast.get(market.asset)
        reference = self._references.get(market.asset)
        return Snapshot(
            market=market,
            now_ns=now_ns,
            on_grid=on_grid,
            up=books[market.up_token].view(now_ns, book_offset_ns),
            down=books[market.down_token].view(now_ns, book_offset_ns),
            fast=fast.view(now_ns) if fast is not None else NO_FAST_MARKET,
            up_mid_sd=self._grid_mids[slug].read(now_ns),
            strike=self._strikes.strike(slug),
            reference_price=reference.price if reference is not None else 0.0,
            clock_skew_seconds=self._skew_seconds(fast),
        )

    def _skew_seconds(self, fast: FastMarket | None) -> float:
        # Infinite until a feed has shown its clock: not measured is not zero. One is enough to
        # judge ours by, and while the books' is unknown their only content is snapshots, whose age
        # counts from when we received them.
        clocks = [self._clocks[Source.POLYMARKET_MARKET]]
        if fast is not None:
            clocks.append(self._clocks[fast.source])
        offsets = [clock.median_ns for clock in clocks if clock.measured]
        return -max(offsets, key=abs) / NS_PER_SECOND if offsets else math.inf

    def open_markets(self, now_ns: int) -> tuple[Market, ...]:
        """Return the markets whose window contains ``now_ns``, by close time, then slug."""
        return self._markets.open(now_ns)

    def market(self, slug: str) -> Market | None:
        """Return a market's facts, ``None`` for an unknown slug."""
        return self._markets.by_slug.get(slug)

    def market_by_condition(self, condition_id: str) -> Market | None:
        """Return the market of a condition, ``None`` for one that is not ours."""
        return self._markets.by_condition.get(condition_id)

    def forget(self, slug: str) -> None:
        """Drop a market, its books, windows and strike; an unknown slug is none to drop."""
        market = self._markets.remove(slug)
        if market is not None:
            self._drop(market)

    def _drop(self, market: Market) -> None:
        self._books.forget(market.up_token)
        self._books.forget(market.down_token)
        self._grid_mids.pop(market.slug, None)
        self._strikes.forget(market.slug)
        self._resolved.pop(market.slug, None)

    def _forget_resolved(self, now_ns: int) -> None:
        known, before_ns = self._markets.by_slug, now_ns - RESOLVED_KEPT_NS
        for slug in [slug for slug in self._resolved if known[slug].closes_ns <= before_ns]:
            self.forget(slug)

    def fast_mid(self, asset: Asset) -> float:
        """Return the fast market's mid in dollars, 0 before its first quote."""
        fast = self._fast.get(asset)
        return (fast.bid + fast.ask) / 2 if fast is not None else 0.0

    def fast_source(self, asset: Asset) -> Source | None:
        """Return which source is the asset's fast market."""
        fast = self._fast.get(asset)
        return fast.source if fast is not None else None

    def partial_depth(self, asset: Asset) -> PartialDepth | None:
        """Return the newest top of the fast market's book."""
        fast = self._fast.get(asset)
        return fast.depth if fast is not None else None

    def depth_best(self, source: Source, asset: Asset) -> tuple[PriceSize, PriceSize] | None:
        """Return best bid and ask of a sequenced book; ``None`` unless it is in sequence."""
        book = self._depth.get((source, asset))
        return book.best() if book is not None else None

    def depth_update_id(self, source: Source, asset: Asset) -> int:
        """Return the update id up to which a sequenced book is true; 0 while it is not."""
        book = self._depth.get((source, asset))
        return book.last_update_id if book is not None else 0

    def clock_offset_ns(self, source: Source) -> int:
        """Return the median of received minus venue time of a source; 0 before its first frame."""
        return self._clocks[source].median_ns

    def levels(self, token: str, side: Side, depth: int) -> BookLevels:
        """Return up to ``depth`` levels an order of that side would meet, best first."""
        book = self._books.by_token.get(token)
        if book is None or book.problem() in (BookProblem.CROSSED, BookProblem.UNSYNCHRONISED):
            return ()
        return book.top(Side.SELL if side is Side.BUY else Side.BUY, depth)

    def shares_at(self, token: str, side: Side, price_micros: int) -> int:
        """Return the displayed shares resting on ``side`` at one price, in micro-shares."""
        book = self._books.by_token.get(token)
        if book is None or not book.synchronised:
            return 0
        resting = book.bids if side is Side.BUY else book.asks
        return int(resting.get(price_micros, 0.0) * 1e6 + 0.5)

    def drain_suspects(self) -> tuple[str, ...]:
        """Return, once, the tokens whose book must be fetched anew; until then untradable."""
        return self._books.drain_suspects()

    def drain_depth_suspects(self) -> tuple[tuple[Source, Asset], ...]:
        """Return, once, the sequenced books whose diffs have a gap: they need a snapshot."""
        suspects = tuple(self._depth_suspects)
        self._depth_suspects.clear()
        return suspects

    def anomalies(self) -> tuple[tuple[str, int], ...]:
        """Return how often what was refused or doubted, by name."""
        return self._seen.read()

    def _on_quote(self, quote: Quote) -> None:
        fast = self._fast.get(quote.asset)
        if fast is None:
            fast = self._claim(quote.asset, quote.source)
        if quote.source is fast.source:
            fast.quote(quote)

    def _on_trade(self, trade: Trade) -> None:
        fast = self._fast.get(trade.asset)
        if fast is None:
            return
        source = trade.source
        if source is fast.source:
            fast.trade(trade)
        elif source is Source.BINANCE_MARKET and fast.source is Source.BINANCE_PUBLIC:
            fast.fallback_trade(trade)

    def _on_partial_depth(self, depth: PartialDepth) -> None:
        fast = self._fast.get(depth.asset)
        if fast is not None and depth.source is fast.source:
            fast.partial_depth(depth)

    def _claim(self, asset: Asset, source: Source) -> FastMarket:
        fast = self._fast[asset] = FastMarket(source, self._clocks[source], self._seen)
        candles = self._early_candles.pop(asset, None)
        if candles is not None and _warms(candles.source, source):
            fast.warm(candles)
        return fast

    def _on_fast_source_chosen(self, event: FastSourceChosen) -> None:
        fast = self._fast.get(event.asset)
        if fast is None or fast.source is not event.source:
            # Another venue's prices and volumes do not continue these.
            self._claim(event.asset, event.source)

    def _on_candles(self, event: Candles) -> None:
        fast = self._fast.get(event.asset)
        if fast is None:
            self._early_candles[event.asset] = event
        elif _warms(event.source, fast.source):
            fast.warm(event)

    def _on_outcome_trade(self, event: OutcomeTrade) -> None:
        if event.token not in self._books.by_token:
            self._seen.add("unknown_token")

    def _on_tick_size(self, event: TickSize) -> None:
        self._books.tick(event.token, event.tick_micros, event.received_ns)

    def _on_depth_snapshot(self, event: DepthSnapshot) -> None:
        key = (event.source, event.asset)
        book = self._depth.setdefault(key, DepthBook())
        if not book.snapshot(event):
            self._seen.add("depth_gap")
            self._depth_suspects[key] = None
        else:
            self._depth_suspects.pop(key, None)

    def _on_depth_change(self, event: DepthChange) -> None:
        key = (event.source, event.asset)
        book = self._depth.get(key)
        if book is None:
            book = self._depth[key] = DepthBook()
            self._depth_suspects[key] = None
        if not book.change(event):
            self._seen.add("depth_gap")
            self._depth_suspects[key] = None

    def _on_reference_price(self, event: ReferencePrice) -> None:
        held = self._references.get(event.asset)
        # Spot moves a minute before its own average does, so a TWAP never replaces it.
        if held is None or (
            event.venue_ns >= held.venue_ns and (event.kind == "spot" or held.kind == "twap60")
        ):
            self._references[event.asset] = event
        self._strikes.reference(event, self._markets.listed())

    def _on_market_opened(self, event: MarketOpened) -> None:
        market = event.market
        held = self._markets.by_slug.get(market.slug)
        if held is None:
            self._forget_resolved(event.received_ns)
        for evicted in self._markets.put(market):
            self._seen.add("evicted_market")
            self._drop(evicted)
        if market.slug not in self._markets.by_slug:
            return
        if held is not None:
            for token in {held.up_token, held.down_token} - {market.up_token, market.down_token}:
                self._books.forget(token)
        for token in (market.up_token, market.down_token):
            self._books.open(token, market.tick_micros)
            # A listing can lag behind the socket's tick, so only its own change counts.
            if held is not None and held.tick_micros != market.tick_micros:
                self._books.tick(token, market.tick_micros, event.received_ns)
        self._grid_mids.setdefault(market.slug, GridMids())
        self._strikes.open(market)

    def _on_market_resolved(self, event: MarketResolved) -> None:
        market = self._markets.by_condition.get(event.condition_id)
        # The message is global (reference C.5): others' markets are no anomaly.
        if market is not None:
            self._resolved[market.slug] = None
            self._strikes.resolved(event, market, self._markets.listed())

    def _on_strike_known(self, event: StrikeKnown) -> None:
        self._strikes.known(event, event.slug in self._markets.by_slug)


def _warms(bars: Source, quotes: Source) -> bool:
    # Bars come over REST or another stream of the venue whose quotes are the fast market.
    if bars is Source.BINANCE_REST:
        return quotes in (Source.BINANCE_PUBLIC, Source.BINANCE_SPOT)
    if bars is Source.BINANCE_MARKET:
        return quotes is Source.BINANCE_PUBLIC
    return bars is quotes


def _ignore(event: object) -> None:
    del event
