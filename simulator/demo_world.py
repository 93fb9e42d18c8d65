"""The simulated world behind real servers on loopback: world, venues and the task that drives it.

Everything is composed here and nothing is decided: prices are the model's, rules the exchange's,
texts the frames'. Must not: know who its clients are.

    served = ServedWorld(7, clock, assets, (300, 900))
    await served.start()
    run(worker, venues=served.venues())     # while served.drive() runs beside it
    await served.stop()
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from helpers.clob.eip712 import OrderSigner
from helpers.clock import Clock
from helpers.domain import MICROS, Asset, Message
from helpers.venues import Venues
from simulator.accounts import Credentials
from simulator.actions import FastQuote, FastTrade, ReferenceTick
from simulator.binance_frames import (
    DEPTH_INTERVAL_NS,
    CoinbaseFrames,
    FuturesFrames,
    SpotFrames,
)
from simulator.exchange_messages import ExchangeSettings
from simulator.fast_flow import DEFAULT_QUOTES_PER_SECOND, DEFAULT_TRADES_PER_SECOND
from simulator.faults import Fault, FaultSchedule
from simulator.market_model import ModelSettings
from simulator.servers.binance import FastVenues
from simulator.servers.polymarket import PolymarketVenue
from simulator.world import World
from simulator.world_faults import WorldFaults
from simulator.world_settings import DEFAULT_START_NS, WALLET, WorldSettings

STEP_SECONDS: Final = 0.01
"""How often the world is moved; frames carry their own time and arrive at most so late."""
HISTORY_MINUTES: Final = 90
"""Candles for a client's warm-up: its hour of returns and a half to spare."""


class ServedSettings(Message, frozen=True):
    """How busy a served world is; less of what nobody looks at makes long runs cheap."""

    step_seconds: float = STEP_SECONDS
    quotes_per_second: float = DEFAULT_QUOTES_PER_SECOND
    """Mean rate of one perpetual's quotes beside those that every move of the price brings."""
    trades_per_second: float = DEFAULT_TRADES_PER_SECOND
    quietness: float = 1.0
    """Of the traders in the background (``ModelSettings``)."""
    depth_interval_ns: int = DEPTH_INTERVAL_NS
    """Between two depth frames of a perpetual: most of the bytes, and no feature reads them."""
    wallet_micros: int = 1_000 * MICROS
    exchange: ExchangeSettings = ExchangeSettings()


class ServedWorld:
    """A world, the servers of its venues, and a wallet with an API key."""

    def __init__(
        self,
        seed: int,
        clock: Clock,
        assets: Sequence[Asset],
        window_seconds: Sequence[int],
        faults: Sequence[Fault] = (),
        signer: OrderSigner | None = None,
        served: ServedSettings | None = None,
    ) -> None:
        """Draw the history; raise ``ValueError`` for a window length that is not simulated."""
        self._clock = clock
        served = served or ServedSettings()
        self._step_seconds = served.step_seconds
        self.schedule = FaultSchedule(faults, seed, DEFAULT_START_NS, clock.now_ns)
        model = ModelSettings(
            assets=tuple(assets),
            window_seconds=tuple(window_seconds),
            quotes_per_second=served.quotes_per_second,
            trades_per_second=served.trades_per_second,
            quietness=served.quietness,
            warm_up_minutes=HISTORY_MINUTES,
        )
        self.world = World(
            seed,
            WorldSettings(
                start_ns=DEFAULT_START_NS,
                model=model,
                exchange=served.exchange,
                wallet_micros=served.wallet_micros,
                wallet_signer=signer.address if signer else "",
                wallet_address=signer.wallet if signer else "",
                wallet_type=signer.signature_type if signer else 0,
            ),
        )
        self.polymarket = PolymarketVenue(
            self.world.exchange, clock.now_ns, self.advance, self.schedule
        )
        self.fast = FastVenues(clock.now_ns, self.advance, self.world.candles, self.schedule)
        self._world_faults = WorldFaults(self.schedule, self.world.exchange)
        self._futures = FuturesFrames(assets, depth_interval_ns=served.depth_interval_ns)
        self._spot = SpotFrames(assets)
        self._coinbase = CoinbaseFrames(assets)
        self.world.on_exchange_events = self.polymarket.publish
        self.world.on_prices = self.polymarket.gamma.publish_prices
        self.world.on_reference = self._publish_reference
        self.world.on_fast = self._publish_fast

    def credentials(self) -> Credentials:
        """Return the API key of the world's wallet, the same each time."""
        accounts = self.world.exchange.accounts
        return accounts.create_key(accounts.get(WALLET), 0)

    def add_faults(self, *faults: Fault) -> None:
        """Let more go wrong from now on."""
        self.schedule.add(*faults)

    def venues(self) -> Venues:
        """Return the addresses of every venue, all on loopback."""
        return self.fast.venues(self.polymarket.venues(NOWHERE))

    async def start(self) -> None:
        """Serve from now on, with books and quotes to be had."""
        self.advance()
        await self.polymarket.start()
        await self.fast.start()

    async def stop(self) -> None:
        """Close every connection and stop serving."""
        await self.fast.stop()
        await self.polymarket.stop()

    async def drive(self) -> None:
        """Move the world with the clock until cancelled."""
        while True:
            self.advance()
            self.fast.futures.retire_old()
            self.fast.coinbase.close_idle()
            await asyncio.sleep(self._step_seconds)

    def advance(self) -> None:
        """Let everything up to now happen, and send what the venues send by their own clock."""
        now_ns = self._clock.now_ns()
        self.world.advance(now_ns)
        self._world_faults.advance(now_ns)
        self.fast.publish(self._futures.due(now_ns))

    def _publish_fast(self, action: FastQuote | FastTrade, at_ns: int) -> None:
        self.fast.publish(self._futures.due(at_ns))
        if isinstance(action, FastQuote):
            self.fast.note_quote(action)
            self._coinbase.quote(action)
            self.fast.publish((self._futures.quote(at_ns, action), self._spot.quote(at_ns, action)))
            return
        self.fast.publish((self._futures.trade(at_ns, action), self._spot.trade(at_ns, action)))
        self.fast.publish(self._coinbase.trade(at_ns, action))

    def _publish_reference(self, tick: ReferenceTick, stamp_ns: int, _now_ns: int) -> None:
        self.polymarket.publish_reference(tick.asset, tick.spot, tick.twap60, stamp_ns)


NOWHERE: Final = Venues(okx_socket="ws://127.0.0.1:9")
"""The venue that is not simulated: the discard port, so that nothing ever leaves the machine."""
