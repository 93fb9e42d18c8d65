"""The venue of a live run: the simulated exchange; quotes, trades and resolutions made by hand.

It also tells what the market data feeds would have brought, so that a run of two minutes takes a
fraction of a second.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator

from helpers.clob.account import AccountDone, AccountOutcome, AccountUnknown
from helpers.clob.eip712 import OrderSigner
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Asset,
    BookSnapshot,
    Level,
    Market,
    MarketResolved,
    Outcome,
    Quote,
    Side,
    Source,
    Trade,
)
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    COLLATERAL,
    ExchangeEvent,
    ExchangeSettings,
    OrderChanged,
    PlaceOrder,
)
from simulator.faults import FaultSchedule
from simulator.matching import TimeInForce
from simulator.servers.polymarket import PolymarketVenue
from simulator.simulated_loop import LoopClock
from simulator.world_faults import WorldFaults
from tests.chaos.live_plan import START_NS, STEP_SECONDS, WINDOWS, listing_of, market_of

WALLET = "me"


class LiveVenue:
    """Owner of the exchange and of everybody who trades there but the worker."""

    def __init__(
        self,
        seed: int,
        rng: random.Random,
        clock: LoopClock,
        schedule: FaultSchedule,
        signer: OrderSigner,
        balance_cache_lag_ns: int,
    ) -> None:
        self.rng = rng
        self.clock = clock
        self.exchange = Exchange(ExchangeSettings(balance_cache_lag_ns=balance_cache_lag_ns))
        self.servers = PolymarketVenue(self.exchange, clock.now_ns, self.advance, schedule)
        self.world_faults = WorldFaults(schedule, self.exchange)
        self.markets = tuple(self._list(asset, seed) for asset in WINDOWS)
        self.mids: dict[Asset, float] = dict.fromkeys(WINDOWS, 0.5)
        self.fast: dict[Asset, float] = {Asset.BTC: 80_000.0, Asset.ETH: 3_000.0}
        self.placed: set[str] = set()
        self.by_hand: set[str] = set()
        self.on_step: Callable[[int], None] = _ignore
        """Called at every step of time, after the exchange moved."""
        self.on_resolved: Callable[[Market, Outcome, int], None] = _ignore
        self._quotes = 0
        accounts = self.exchange.accounts
        accounts.open("house", house=True)
        accounts.open(
            WALLET,
            signer=signer.address,
            maker_address=signer.wallet,
            signature_type=signer.signature_type,
        )
        accounts.deposit(WALLET, COLLATERAL, 1_000 * MICROS, START_NS)

    def _list(self, asset: Asset, seed: int) -> Market:
        listing = listing_of(asset, seed)
        self.exchange.list_market(listing, START_NS)
        return market_of(listing, asset)

    def advance(self) -> None:
        """Bring the exchange to now and publish what happened."""
        now_ns = self.clock.now_ns()
        self.exchange.advance(now_ns)
        events = self.exchange.drain()
        self._note(events)
        self.servers.publish(events)

    def _note(self, events: tuple[ExchangeEvent, ...]) -> None:
        for event in events:
            if isinstance(event, OrderChanged) and event.account == WALLET:
                self.placed.add(event.order.order_id)

    async def drive(self) -> None:
        """Quote, trade against resting orders, and let time pass, until cancelled."""
        while True:
            now_ns = self.clock.now_ns()
            for market in self.markets:
                state = self.exchange.market(market.condition_id)
                if state.resolved:
                    continue
                if now_ns >= market.closes_ns + 5 * NS_PER_SECOND:
                    self._resolve(market, now_ns)
                    continue
                if now_ns < market.closes_ns:
                    self._quote(market, now_ns)
            self.world_faults.advance(now_ns)
            self.advance()
            self.on_step(now_ns)
            await asyncio.sleep(STEP_SECONDS)

    def _quote(self, market: Market, now_ns: int) -> None:
        if self.rng.random() > 0.4:
            return
        mid = self.mids[market.asset] + self.rng.gauss(0.0, 0.02)
        self.mids[market.asset] = min(0.8, max(0.2, mid))
        cents = round(self.mids[market.asset] * 100)
        for order in self.exchange.house_orders(market.condition_id):
            self.exchange.cancel_house(market.condition_id, order.order_id, now_ns)
        spread = self.rng.choice((1, 1, 2))
        for level in range(3):
            shares = self.rng.randint(4, 40)
            self._house(market, Side.BUY, cents - level, shares, now_ns)
            self._house(market, Side.SELL, cents + spread + level, shares, now_ns)
        if self.rng.random() < 0.5:  # somebody takes, from us if we are first in the book
            side = self.rng.choice((Side.BUY, Side.SELL))
            price = cents + 5 if side is Side.BUY else cents - 5
            self._house(market, side, price, self.rng.randint(5, 60), now_ns, TimeInForce.FAK)

    def _house(
        self,
        market: Market,
        side: Side,
        cents: int,
        shares: int,
        now_ns: int,
        kind: TimeInForce = TimeInForce.GTC,
    ) -> None:
        self._quotes += 1
        order = PlaceOrder(
            f"house-{self._quotes}",
            "house",
            market.up_token,
            side,
            cents * MICROS // 100,
            shares * MICROS,
            kind,
        )
        self.exchange.place(order, now_ns)

    def meddle(self) -> bool:
        """Let the wallet's owner buy or deposit on the website; return whether he bought."""
        now_ns = self.clock.now_ns()
        if self.rng.random() < 0.3:
            self.exchange.accounts.deposit(WALLET, COLLATERAL, 25 * MICROS, now_ns)
        market = self.markets[-1]  # the one that stays open: what is won is left to its owner
        buys = self.rng.random() < 0.3
        if buys:
            token = self.rng.choice((market.up_token, market.down_token))
            order_id = f"by-hand-{now_ns}"
            shares = self.rng.randint(5, 20) * MICROS
            order = PlaceOrder(order_id, WALLET, token, Side.BUY, 990_000, shares, TimeInForce.FAK)
            self.exchange.place(order, now_ns)
            self.by_hand.add(order_id)
        return buys

    def _resolve(self, market: Market, now_ns: int) -> None:
        winner = self.rng.choice(list(Outcome))
        self.exchange.resolve(market.condition_id, winner, now_ns)
        self.on_resolved(market, winner, now_ns)

    async def redeem(self, condition_id: str) -> AccountOutcome:
        """Redeem as the relayer would: mostly it works, sometimes nobody knows."""
        await asyncio.sleep(1.0)
        happens = self.rng.random() < 0.8
        if happens:
            self.exchange.redeem(WALLET, condition_id, self.clock.now_ns())
        if self.rng.random() < 0.3:
            return AccountUnknown("no answer")
        return AccountDone("0xredeem", "submitted")

    async def merge(self, condition_id: str) -> AccountOutcome:
        """Merge every pair, as the relayer would; sometimes nothing comes of it."""
        await asyncio.sleep(1.0)
        listing = self.exchange.market(condition_id).listing
        account = self.exchange.accounts.get(WALLET)
        tokens = (listing.up_token, listing.down_token)
        pairs = min(account.free_micros(token) for token in tokens)
        if self.rng.random() < 0.8 and pairs > 0:
            self.exchange.merge(WALLET, condition_id, pairs, self.clock.now_ns())
        return AccountDone("0xmerge", "submitted")

    def news(self, market: Market, now_ns: int) -> Iterator[Quote | Trade | BookSnapshot]:
        """Yield what the feeds would bring of a market now."""
        asset = market.asset
        self._quotes += 1
        self.fast[asset] *= math.exp(self.rng.gauss(0.0, 2e-5))
        mid = self.fast[asset]
        source = Source.BINANCE_PUBLIC
        yield Quote(source, asset, mid - 0.05, 5.0, mid + 0.05, 5.0, self._quotes, now_ns, now_ns)
        state = self.exchange.market(market.condition_id)
        if state.resolved or now_ns >= market.closes_ns:
            return
        for outcome in Outcome:
            yield BookSnapshot(
                market.condition_id,
                market.token(outcome),
                _levels(state.book.levels(outcome, Side.BUY)),
                _levels(state.book.levels(outcome, Side.SELL)),
                state.tick_micros,
                now_ns,
                now_ns,
            )


def resolution(market: Market, winner: Outcome, now_ns: int) -> MarketResolved:
    """Return what discovery would say of a market's end."""
    token = market.token(winner)
    return MarketResolved(market.condition_id, token, 0.0, Source.GAMMA, now_ns, now_ns)


def _ignore(*_: object) -> None:
    """Nobody listens yet."""


def _levels(found: tuple[tuple[int, int], ...]) -> tuple[Level, ...]:
    return tuple(Level(price / MICROS, shares / MICROS) for price, shares in found)
