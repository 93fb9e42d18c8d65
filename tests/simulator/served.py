"""A served venue for tests: one market, a house that quotes, a funded deposit wallet.

Time is the test's (``ByHand``) or runs faster than the wall's (``Running``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from helpers.clob.wallets import derive_wallets
from helpers.clock import monotonic_seconds
from helpers.domain import NS_PER_SECOND, Outcome, Side
from simulator.accounts import Account
from simulator.exchange import Exchange
from simulator.exchange_messages import COLLATERAL, ExchangeSettings, OrderAccepted, PlaceOrder
from simulator.matching import TimeInForce
from simulator.order_signing import l2_signature
from simulator.servers.fault_seam import Faults
from simulator.servers.polymarket import PolymarketVenue
from simulator.servers.sockets import OUTBOX_FRAMES_MAX
from tests.simulator.venue import DOLLAR, LISTING, SHARE, T0

KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
"""The second account of the well-known test mnemonic, which nobody may ever fund."""
SIGNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
_OWN = derive_wallets(SIGNER)
WALLET = _OWN.deposit_beacon
WALLET_OF_TYPE = (_OWN.eoa, _OWN.proxy, _OWN.safe, _OWN.deposit_beacon)
DEPOSIT = 3
UP = "75467129615908319583031474642658885479135630431889036121812713428992454630178"
DOWN = "38429637202672537706025763638001166003117341562478123454671352321321125678345"
CONDITION = "0x" + "ab" * 32


class Time(Protocol):
    """What a served venue needs of time."""

    def now_ns(self) -> int: ...


class ByHand:
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.at_ns = T0

    def now_ns(self) -> int:
        return self.at_ns


class Running:
    """Time that runs ``speed`` times as fast as the wall's."""

    def __init__(self, start_ns: int, speed: float) -> None:
        self.start_ns, self.speed = start_ns, speed
        self._started = monotonic_seconds()

    def now_ns(self) -> int:
        passed = (monotonic_seconds() - self._started) * self.speed
        return self.start_ns + int(passed * NS_PER_SECOND)


class Served:
    """The exchange, its servers, and a driver that wakes whenever something is due."""

    def __init__(
        self,
        time: Time,
        settings: ExchangeSettings,
        faults: Faults | None,
        speed: float,
        frames_max: int,
    ) -> None:
        self.time = time
        self.speed = speed
        self.exchange = Exchange(settings)
        self.venue = PolymarketVenue(
            self.exchange, time.now_ns, self.advance, faults, speed, frames_max
        )
        self.loop = asyncio.get_running_loop()
        self._wake: asyncio.TimerHandle | None = None

    def advance(self) -> None:
        """Bring the exchange to the present, publish, and wake again when something is due."""
        now_ns = self.time.now_ns()
        self.exchange.advance(now_ns)
        self.venue.publish(self.exchange.drain())
        due_ns = self.exchange.next_due_ns()
        if self._wake is not None:
            self._wake.cancel()
        if due_ns is not None and isinstance(self.time, Running):
            seconds = max(0, due_ns - now_ns) / NS_PER_SECOND / self.speed
            self._wake = self.loop.call_later(seconds, self.advance)

    def pass_seconds(self, seconds: float) -> None:
        """Let venue time pass at once; only when the test moves it."""
        assert isinstance(self.time, ByHand)
        self.time.at_ns += int(seconds * NS_PER_SECOND)
        self.advance()

    def house(self, outcome: Outcome, side: Side, price: float, shares: float) -> str:
        """Let the house place an order; return its id."""
        order_id = f"house-{outcome.name}-{side.value}-{price}-{shares}"
        token = UP if outcome is Outcome.UP else DOWN
        order = PlaceOrder(
            order_id,
            "house",
            token,
            side,
            round(price * DOLLAR),
            round(shares * SHARE),
            TimeInForce.GTC,
        )
        self.exchange.place(order, self.time.now_ns())
        self.advance()
        return order_id

    def open_account(self, signature_type: int, dollars: int = 1_000) -> Account:
        """Open a wallet of the test key and fund it."""
        account = self.exchange.accounts.open(
            "me",
            signer=SIGNER,
            maker_address=WALLET_OF_TYPE[signature_type],
            signature_type=signature_type,
        )
        self.exchange.accounts.deposit("me", COLLATERAL, dollars * DOLLAR, self.time.now_ns())
        return account

    def stop_waking(self) -> None:
        """Let nothing fall due any more."""
        if self._wake is not None:
            self._wake.cancel()


@asynccontextmanager
async def served(
    time: Time | None = None,
    *,
    settings: ExchangeSettings | None = None,
    faults: Faults | None = None,
    frames_max: int = OUTBOX_FRAMES_MAX,
    signature_type: int = DEPOSIT,
) -> AsyncGenerator[Served]:
    """Serve one market, quoted 0.49 to 0.51, and the test key's wallet with 1,000 dollars."""
    given = time or ByHand()
    speed = given.speed if isinstance(given, Running) else 1.0
    world = Served(given, settings or ExchangeSettings(), faults, speed, frames_max)
    now_ns = given.now_ns()
    listing = msgspec.structs.replace(
        LISTING,
        condition_id=CONDITION,
        up_token=UP,
        down_token=DOWN,
        created_ns=now_ns - NS_PER_SECOND,
        opens_ns=now_ns + 500 * NS_PER_SECOND,
        closes_ns=now_ns + 1_400 * NS_PER_SECOND,
    )
    world.exchange.list_market(listing, now_ns)
    world.exchange.accounts.open("house", house=True)
    world.open_account(signature_type)
    await world.venue.start()
    try:
        world.house(Outcome.UP, Side.BUY, 0.49, 100)
        world.house(Outcome.UP, Side.SELL, 0.51, 100)
        yield world
    finally:
        world.stop_waking()
        await world.venue.stop()


def l2_headers(
    world: Served, method: str, path: str, body: bytes = b"", *, nonce: int = 0
) -> dict[str, str]:
    """Return the L2 headers of the test key's request; its key is created if need be."""
    accounts = world.exchange.accounts
    credentials = accounts.create_key(accounts.get("me"), nonce)
    timestamp = str(world.time.now_ns() // NS_PER_SECOND)
    return {
        "POLY_ADDRESS": SIGNER,
        "POLY_API_KEY": credentials.api_key,
        "POLY_PASSPHRASE": credentials.passphrase,
        "POLY_TIMESTAMP": timestamp,
        "POLY_SIGNATURE": l2_signature(credentials.secret, timestamp, method, path, body),
    }


def rest(world: Served, price: float = 0.4, shares: float = 10) -> str:
    """Let the test key's account rest a buy of Up, without a signature; return its id."""
    order_id = f"me-{price}-{shares}"
    order = PlaceOrder(order_id, "me", UP, Side.BUY, round(price * DOLLAR), round(shares * SHARE))
    reply = world.exchange.place(order, world.time.now_ns())
    assert isinstance(reply, OrderAccepted), reply
    world.advance()
    return order_id
