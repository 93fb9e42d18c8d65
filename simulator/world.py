"""The simulated world: one exchange, one market model, windows that roll; no sockets, no clock.

Whoever drives time calls ``advance``; what happens goes to the listeners in the order it happened.
Deterministic by seed. It puts nothing on a wire: ``transport`` and the socket servers do.

    world = World(7, WorldSettings())
    world.on_exchange_events = venue.publish
    world.on_reference = lambda tick, stamp_ns, now_ns: venue.publish_reference(...)
    world.on_fast = ...
    world.advance(now_ns)        # before anybody reads or places at a later moment
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from helpers.domain import NS_PER_SECOND, Asset, Candle, Market
from simulator.actions import (
    Action,
    Cancel,
    FastQuote,
    FastTrade,
    Place,
    ReferenceTick,
    Take,
    WindowCloses,
    WindowOpens,
)
from simulator.agenda import Agenda
from simulator.exchange import Exchange
from simulator.exchange_messages import COLLATERAL, ExchangeEvent
from simulator.fast_price import PriceSource
from simulator.gamma_bodies import ReferencePrices, event_body
from simulator.listings import listing_of
from simulator.market_model import MarketModel
from simulator.randomness import random_stream
from simulator.windows import market_facts, window_start_ns
from simulator.world_books import WorldBooks
from simulator.world_settings import RESOLUTION_SECONDS, WALLET, WorldSettings

FastAction = FastQuote | FastTrade
_FAST: Final = (FastQuote, FastTrade)
_RESOLUTION_STREAM: Final = 8
"""Name of the random stream of resolution delays; the model uses 1 to 7."""
_RETRY_NS: Final = 60 * NS_PER_SECOND
"""A market whose trades have not settled is retired this much later."""
_PRICES_KEPT: Final = 256
"""Prices of resolved windows for Gamma's bodies; far more windows than are listed at once."""


class World:
    """Owner of the exchange, the model and the calendar of windows."""

    def __init__(
        self, seed: int, settings: WorldSettings | None = None, source: PriceSource | None = None
    ) -> None:
        """Draw the history and list the first windows; ``source`` is a tape's prices, if any."""
        self.settings = settings or WorldSettings()
        self.seed = seed
        self.now_ns = self.settings.start_ns
        self.exchange = Exchange(self.settings.exchange)
        self.books = WorldBooks(self.exchange)
        self.model = MarketModel(seed, self.now_ns, self.books, self.settings.model, source)
        self.on_fast: Callable[[FastAction, int], None] | None = None
        """Quotes and trades of the perpetuals, and their moment."""
        self.on_reference: Callable[[ReferenceTick, int, int], None] | None = None
        """The settlement source's prices, their stamp, and the moment they are delivered."""
        self.on_prices: Callable[[str, ReferencePrices], None] | None = None
        """Condition id and what Gamma's ``eventMetadata`` shows from now on (reference E.5)."""
        self.on_exchange_events: Callable[[Sequence[ExchangeEvent]], None] | None = None
        """What happened at the venue, in order."""
        self.model_timer: Callable[[Iterator[tuple[int, Action]]], Iterator[tuple[int, Action]]]
        self.model_timer = iter
        """Wraps the model's iterator; for measuring how long drawing takes."""
        self._agenda = Agenda()
        self._strikes: dict[str, float] = {}
        self._prices: dict[str, ReferencePrices] = {}
        self._listed: dict[str, Market] = {}
        self._open_wallet()
        for market in self._windows_at(self.now_ns):
            self._list(market, self.now_ns)

    # What can be read.

    def markets(self) -> tuple[Market, ...]:
        """Return every listed market that was not retired, oldest first."""
        return tuple(self._listed.values())

    def candles(self, asset: Asset) -> tuple[Candle, ...]:
        """Return one-minute candles for a client's warm-up, oldest first (``klines``)."""
        return self.model.candles(asset)

    def gamma_text(self, slug: str, now_ns: int) -> str | None:
        """Return the body of GET /events/slug/{slug}, ``None`` for an unknown one (404)."""
        state = self.books.find(slug)
        if state is None:
            return None
        return event_body(state, now_ns, self._prices.get(slug))

    def conserved_micros(self) -> tuple[int, int]:
        """Return (dollars in the world less what was deposited, shares without a counterpart).

        Both are 0 in a sound world: money only changes hands, and every Up share has its Down
        share; settlements on their way count as what they will move.
        """
        accounts = self.exchange.accounts
        pending = self.exchange.settlement.pending_moves()
        owners = [accounts.get(name) for name in accounts.names()]

        def total(asset: str) -> int:
            held = sum(o.holdings[asset].total_micros for o in owners if asset in o.holdings)
            return held + sum(move.micros for move in pending if move.asset == asset)

        unpaired = sum(
            abs(total(state.listing.up_token) - total(state.listing.down_token))
            for state in self.exchange.markets()
        )
        return total(COLLATERAL) - self.settings.wallet_micros, unpaired

    # Time.

    def next_due_ns(self) -> int | None:
        """Return when the calendar or the exchange next has something to do, model aside."""
        dues = (self._agenda.next_due_ns(), self.exchange.next_due_ns())
        return min((due for due in dues if due is not None), default=None)

    def at(self, due_ns: int, action: Callable[[int], None]) -> None:
        """Put an action of a transport down for a moment of the world; it is given that moment."""
        self._agenda.at(due_ns, action)

    def advance(self, to_ns: int) -> None:
        """Let everything up to and including ``to_ns`` happen; an earlier moment does nothing."""
        if to_ns < self.now_ns:
            return
        books, agenda, exchange = self.books, self._agenda, self.exchange
        for at_ns, action in self.model_timer(self.model.advance(to_ns)):
            self.now_ns = at_ns
            agenda.run(at_ns)
            if isinstance(action, _FAST):
                if self.on_fast is not None:
                    self.on_fast(action, at_ns)
                continue
            exchange.advance(at_ns)
            if isinstance(action, Place):
                books.place(action, at_ns)
            elif isinstance(action, Cancel):
                books.cancel(action, at_ns)
            elif isinstance(action, Take):
                books.take(action, at_ns)
            else:
                self._calendar(action, at_ns)
            self._publish()
        self.now_ns = to_ns
        agenda.run(to_ns)
        self.exchange.advance(to_ns)
        self._publish()

    def _publish(self) -> None:
        events = self.exchange.drain()
        if events and self.on_exchange_events is not None:
            self.on_exchange_events(events)

    # The calendar.

    def _calendar(self, action: Action, at_ns: int) -> None:
        if isinstance(action, ReferenceTick):
            if self.on_reference is not None:
                due_ns = at_ns + self.settings.reference_delay_ns
                self._agenda.at(due_ns, partial(self._refer, action, at_ns))
        elif isinstance(action, WindowOpens):
            self._strikes[action.market.slug] = action.strike
            for market in self._windows_of(action.market, at_ns):
                self._list(market, at_ns)
        elif isinstance(action, WindowCloses):
            due_ns = at_ns + self._resolution_delay_ns(self._listed[action.market])
            self._agenda.at(due_ns, partial(self._resolve, action))

    def _refer(self, tick: ReferenceTick, stamp_ns: int, now_ns: int) -> None:
        if self.on_reference is not None:
            self.on_reference(tick, stamp_ns, now_ns)

    def _resolve(self, closes: WindowCloses, now_ns: int) -> None:
        condition_id = self._listed[closes.market].condition_id
        self.exchange.advance(now_ns)
        prices = ReferencePrices(
            price_to_beat=repr(self._strikes.pop(closes.market)),
            final_price=repr(closes.final_price),
        )
        if len(self._prices) >= _PRICES_KEPT:
            del self._prices[next(iter(self._prices))]
        self._prices[closes.market] = prices
        self.exchange.resolve(condition_id, closes.winner, now_ns)
        if self.on_prices is not None:
            self.on_prices(condition_id, prices)
        self._publish()
        retire = partial(self._retire, closes.market)
        self._agenda.at(now_ns + self.settings.retire_after_ns, retire)

    def _retire(self, slug: str, now_ns: int) -> None:
        condition_id = self._listed[slug].condition_id
        self.exchange.advance(now_ns)
        if not self.exchange.settlement.is_settled(condition_id):
            self._agenda.at(now_ns + _RETRY_NS, partial(self._retire, slug))
            return
        self._publish()
        self.exchange.retire(condition_id, now_ns)
        self.books.close(slug)
        del self._listed[slug]
        self._prices.pop(slug, None)

    def _list(self, market: Market, now_ns: int) -> None:
        if market.slug in self._listed:
            return
        self._listed[market.slug] = market
        self.exchange.list_market(listing_of(market), now_ns)
        self.books.open(market)

    def _windows_at(self, now_ns: int) -> Iterator[Market]:
        model = self.settings.model
        for length in model.window_seconds:
            opens_ns = window_start_ns(now_ns, length)
            for asset in model.assets:
                running = market_facts(self.seed, asset, length, opens_ns)
                yield from self._windows_of(running, now_ns)

    def _windows_of(self, market: Market, now_ns: int) -> Iterator[Market]:
        """Give a running window and those listed ahead of their time, none that is over."""
        if market.closes_ns > now_ns:
            yield market
        length_ns = market.closes_ns - market.opens_ns
        for ahead in range(1, self.settings.windows_ahead + 1):
            opens_ns = market.opens_ns + ahead * length_ns
            yield market_facts(self.seed, market.asset, length_ns // NS_PER_SECOND, opens_ns)

    def _resolution_delay_ns(self, market: Market) -> int:
        least, most = RESOLUTION_SECONDS[int(market.window_seconds)]
        key = (list(Asset).index(market.asset), int(market.window_seconds))
        opens = market.opens_ns // NS_PER_SECOND
        stream = random_stream(self.seed, _RESOLUTION_STREAM, *key, opens)
        return round(float(stream.uniform(least, most)) * NS_PER_SECOND)

    def _open_wallet(self) -> None:
        accounts = self.exchange.accounts
        accounts.open(
            WALLET,
            signer=self.settings.wallet_signer,
            maker_address=self.settings.wallet_address,
            signature_type=self.settings.wallet_type,
        )
        accounts.deposit(WALLET, COLLATERAL, self.settings.wallet_micros, self.now_ns)
        accounts.update(WALLET, COLLATERAL)
