"""Everything that must be right before money is at risk, looked at one by one; sends no order.

Each look gives a row: ok, failed with the fix, or skipped because of what failed before it, so that
one fault makes one red line. Must not: change anything at the venue.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import Final, TypeVar

from helpers.clob.auth import RequestAuth
from helpers.clob.eip712 import EXCHANGE, OrderSigner
from helpers.clob.messages import Balance, OrderTerms, OrderType, RequestFailedError
from helpers.clob.rest import ClobRest, new_order_client
from helpers.clock import Clock, monotonic_seconds
from helpers.commands.arming import NotArmedError, credentials_of, signer_of
from helpers.commands.checks import CheckRow, Look, Problem, SkippedError, look_at, room_to_write
from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    Market,
    MarketOpened,
    RuleFailure,
    Side,
    Source,
    from_micros,
    to_micros,
)
from helpers.feeds.gamma import GammaParser
from helpers.feeds.http import VenueHttp, new_client
from helpers.feeds.market_channel import MarketChannel, market_endpoint, tokens_in
from helpers.feeds.probe import FastMarketProbe, NoFastMarket
from helpers.feeds.retry import FeedError
from helpers.feeds.windows import Series, expected_windows
from helpers.order_rules import taker_amounts
from helpers.settings import Settings
from helpers.venues import Venues
from strategies.base import ModelError
from strategies.catalogue import build_strategy

ORDER_VERSION: Final = 2
"""Of the orders we sign (reference A.1)."""
CLOCK_ROUNDING_SECONDS: Final = 1.0
"""The venue tells whole seconds."""
BOOK_SECONDS: Final = 15.0
_Found = TypeVar("_Found")


class Preflight:
    """Looks at one wallet's way to the venue."""

    def __init__(
        self, settings: Settings, clock: Clock, venues: Venues, rng: random.Random
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._venues = venues
        self._rng = rng
        self._signer: OrderSigner | None = None
        self._rest: ClobRest | None = None
        self._auth: RequestAuth | None = None
        self._market: Market | None = None
        self._logged_in = False

    async def examine(self, *, feeds: bool) -> tuple[CheckRow, ...]:
        """Return a row for every look; with ``feeds`` the sockets are opened, too."""
        client, orders = new_client(), new_order_client()
        self._http = VenueHttp(client, self._clock)
        self._orders_client = orders
        looks: list[tuple[str, Look]] = [
            ("wallet", self._wallet),
            ("clock", self._skew),
            ("region", self._region),
            ("order version", self._version),
            ("credentials", self._credentials),
            ("account", self._account),
            ("market facts", self._facts),
            ("collateral", self._collateral),
            ("approvals", self._approvals),
            ("signed order", self._signed_order),
            ("redeeming", self._redeeming),
            ("model", self._model),
            ("journal", self._journal),
        ]
        if feeds:
            looks += [("fast market", self._fast_market), ("order books", self._books)]
        try:
            return tuple([await look_at(name, look) for name, look in looks])
        finally:
            await client.aclose()
            await orders.aclose()

    # --- The wallet and the account ---------------------------------------------------------------

    async def _wallet(self) -> str:
        if self._settings.polymarket_private_key is None:
            self._open(RequestAuth("0x" + "00" * 20), 0)
            raise SkippedError("no POLYMARKET_PRIVATE_KEY: paper needs none")
        try:
            signer = self._signer = signer_of(self._settings)
        except NotArmedError as error:
            self._open(RequestAuth("0x" + "00" * 20), 0)
            raise Problem(str(error), "correct it in the environment or .env") from error
        self._open(RequestAuth(signer.address), signer.signature_type)
        return f"{signer.wallet}, signature type {signer.signature_type}, signer {signer.address}"

    def _open(self, auth: RequestAuth, signature_type: int) -> None:
        self._auth = auth
        self._rest = ClobRest(self._orders_client, self._venues, auth, signature_type, self._clock)

    @property
    def rest(self) -> ClobRest:
        """Return the client; the first look opens it."""
        assert self._rest is not None, "the wallet is looked at first"
        return self._rest

    async def _skew(self) -> str:
        sent_ns = self._clock.now_ns()
        venue = await self._asked(self.rest.server_seconds(), "see the venue's status page")
        ours = (sent_ns + self._clock.now_ns()) / 2 / NS_PER_SECOND
        skew = venue + CLOCK_ROUNDING_SECONDS / 2 - ours
        limit = self._settings.clock_skew_seconds
        if abs(skew) > limit + CLOCK_ROUNDING_SECONDS / 2:
            raise Problem(
                f"the venue's clock is {skew:+.1f} s from ours, allowed {limit:g} s",
                "synchronise this machine's clock (NTP): signatures carry the time",
            )
        return f"the venue's clock is {skew:+.1f} s from ours"

    async def _region(self) -> str:
        fix = "run from a region the venue serves; a block is obeyed, never routed around"
        found = await self._asked(self.rest.geoblock(), fix)
        if found.blocked:
            raise Problem(f"the venue blocks this address ({found.country})", fix)
        return f"not blocked ({found.country or 'unknown country'})"

    async def _version(self) -> str:
        fix = "update the worker: it signs another version of orders"
        version = await self._asked(self.rest.version(), "see the venue's status page")
        if version != ORDER_VERSION:
            raise Problem(f"the venue takes orders of version {version}, we sign 2", fix)
        return f"version {version}"

    async def _credentials(self) -> str:
        signer, auth = self._needs_wallet()
        fix = "remove POLYMARKET_API_*: they are derived from the key"
        credentials, how = credentials_of(self._settings), "from the settings"
        if credentials is None:
            how = "derived from the key"
            credentials = await self._asked(self.rest.credentials(signer), fix)
        try:
            auth.log_in(credentials)
        except ValueError as error:
            raise Problem(str(error), fix) from error
        known = await self._asked(self.rest.api_keys(), fix)
        if credentials.api_key not in known:
            raise Problem("the venue does not know this API key", fix)
        self._logged_in = True
        return how

    async def _account(self) -> str:
        self._needs_login()
        fix = "ask the venue's support: the account may only close positions"
        if await self._asked(self.rest.closed_only(), fix):
            raise Problem("the account is in closed-only mode", fix)
        return "may open positions"

    async def _collateral(self) -> str:
        self._needs_login()
        fix = "deposit pUSD into the wallet, or check POLYMARKET_SIGNATURE_TYPE (I5)"
        balance = await self._asked(self._fresh(""), fix)
        needed = to_micros(self._settings.trade_size)
        if balance.balance_micros < needed:
            raise Problem(
                f"${from_micros(balance.balance_micros):.2f}, a trade needs "
                f"${from_micros(needed):.2f}",
                fix,
            )
        return f"${from_micros(balance.balance_micros):,.2f}"

    async def _approvals(self) -> str:
        self._needs_login()
        market = self._needs_market()
        fix = "uv run worker.py approve"
        for name, token in (("pUSD", ""), ("outcome tokens", market.up_token)):
            balance = await self._asked(self._fresh(token), fix)
            allowed = dict(balance.allowances).get(EXCHANGE.lower(), 0)
            if allowed < to_micros(self._settings.maximum_exposure):
                raise Problem(f"the exchange may not spend the wallet's {name} (I2)", fix)
        return "the exchange may spend pUSD and outcome tokens"

    async def _fresh(self, token: str) -> Balance:
        await self.rest.refresh_balance(token)
        return await self.rest.balance(token)

    async def _redeeming(self) -> str:
        signer, _ = self._needs_wallet()
        if signer.signature_type == 0:
            return "an EOA redeems by itself and pays POL for it"
        if self._settings.polymarket_relayer_key is None:
            raise Problem(
                "no relayer key: won positions would wait for you to redeem them",
                "create one at polymarket.com, Settings, API Keys; set POLYMARKET_RELAYER_KEY "
                "and POLYMARKET_RELAYER_ADDRESS",
            )
        return "by the relayer, without gas"

    # --- The market and an order --------------------------------------------------------------

    async def _facts(self) -> str:
        fix = "nothing to do here: such markets are not traded; see the venue's changelog"
        settings = self._settings
        series = Series(settings.assets[0], settings.window_seconds()[0])
        market = None
        for window in expected_windows(series, self._clock.now_ns()):
            market = await self._found(window.slug)
            if market is not None:
                break
        if market is None:
            raise Problem(f"Gamma lists no window of {series}", "see the venue's status page")
        if market.problems:
            raise Problem(f"{market.slug}: {'; '.join(market.problems)}", fix)
        facts = await self._asked(self.rest.market(market.condition_id), fix)
        if facts.fees != market.fees:
            raise Problem(f"{market.slug}: CLOB and Gamma name different fees", fix)
        if facts.minimum_shares_micros != market.minimum_shares_micros:
            raise Problem(f"{market.slug}: CLOB and Gamma name different minimums", fix)
        self._market = market
        rate = market.fees.rate_ppm / MICROS
        return (
            f"{market.slug}: fee {rate:g} p (1-p), takers only, minimum "
            f"{from_micros(market.minimum_shares_micros):g} shares, tick "
            f"{from_micros(facts.tick_micros):g}"
        )

    async def _found(self, slug: str) -> Market | None:
        url = f"{self._venues.gamma_rest}/events/slug/{slug}"
        try:
            reply = await self._http.get(url)
        except FeedError as failed:
            raise Problem(str(failed), "check the network and the venue's status page") from failed
        facts = GammaParser().parse(reply.body, self._clock.now_ns()) if reply.found else ()
        return next((fact.market for fact in facts if isinstance(fact, MarketOpened)), None)

    async def _signed_order(self) -> str:
        signer, auth = self._needs_wallet()
        market = self._needs_market()
        fix = "report it: our own signature does not verify"
        amounts = taker_amounts(
            Side.BUY, 10 * MICROS, MICROS // 2, market.tick_micros, market.minimum_shares_micros
        )
        if isinstance(amounts, RuleFailure):
            raise Problem(f"a plain order breaks the rule {amounts.rule}", fix)
        terms = OrderTerms(
            token=market.up_token,
            side=Side.BUY,
            maker_micros=amounts.maker_micros,
            taker_micros=amounts.taker_micros,
            salt=self._rng.getrandbits(52),
            timestamp_ms=self._clock.now_ns() // NS_PER_MS,
            order_type=OrderType.FAK,
        )
        hashed = signer.hash(terms)
        signed = signer.sign(hashed, auth.api_key)
        if not signer.verifies(hashed, signer.signature(hashed)):
            raise Problem("the signature does not recover to the signer", fix)
        return f"{len(signed.body)} bytes, id {signed.order_id[:10]}..., verified and not sent"

    # --- This machine -----------------------------------------------------------------------------

    async def _model(self) -> str:
        settings = self._settings
        try:
            strategy = build_strategy(
                settings.strategy,
                model_directory=settings.model_directory,
                seed=settings.random_seed,
                learn_interval_seconds=settings.learn_interval_seconds,
                monotonic_seconds=monotonic_seconds,
            )
        except ModelError as error:
            raise Problem(
                str(error), "uv run worker.py models rollback, or set STRATEGY"
            ) from error
        return f"{strategy.name}, {strategy.model_id}"

    async def _journal(self) -> str:
        folder = self._settings.journal_directory
        fix = f"make {folder} writable, on a disk with room"
        try:
            return await asyncio.to_thread(room_to_write, folder, fix)
        except OSError as error:
            raise Problem(f"{folder}: {error.strerror or error}", fix) from error

    # --- Feeds ------------------------------------------------------------------------------------

    async def _fast_market(self) -> str:
        probe = FastMarketProbe(self._venues, self._clock)
        try:
            chosen = await probe.choose_fast_source(self._settings.assets)
        except NoFastMarket as none:
            raise Problem(str(none), "check the network; a region's block is obeyed") from none
        first = self._settings.assets[0]
        if chosen.source is not Source.BINANCE_PUBLIC:
            tried = chosen.attempts[0]
            return f"{chosen.source} ({tried.source} did not answer: {tried.outcome})"
        return f"{chosen.source}, {first}: {chosen.attempts[-1].outcome}"

    async def _books(self) -> str:
        market = self._needs_market()
        wanted = {market.up_token, market.down_token}
        heard = asyncio.Event()

        def listen(_source: Source, raw: str | bytes, _received_ns: int) -> None:
            found = tokens_in(raw if isinstance(raw, bytes) else raw.encode())
            wanted.difference_update(found)
            if not wanted:
                heard.set()

        channel = MarketChannel(
            market_endpoint(self._venues),
            clock=self._clock,
            frames=listen,
            on_link=lambda _event: None,
            rng=self._rng,
        )
        channel.set_tokens(frozenset(wanted))
        try:
            async with asyncio.timeout(BOOK_SECONDS), asyncio.TaskGroup() as tasks:
                running = tasks.create_task(channel.run())
                await heard.wait()
                running.cancel()
        except TimeoutError as late:
            found = f"no book of {market.slug} within {BOOK_SECONDS:g} s"
            raise Problem(found, "check the network and the venue's status page") from late
        return f"both books of {market.slug}"

    # --- What looks need --------------------------------------------------------------------------

    def _needs_wallet(self) -> tuple[OrderSigner, RequestAuth]:
        if self._signer is None or self._auth is None:
            raise SkippedError("no wallet")
        return self._signer, self._auth

    def _needs_login(self) -> None:
        self._needs_wallet()
        if not self._logged_in:
            raise SkippedError("no credentials")

    def _needs_market(self) -> Market:
        if self._market is None:
            raise SkippedError("no market facts")
        return self._market

    async def _asked(self, request: Awaitable[_Found], fix: str) -> _Found:
        try:
            return await request
        except RequestFailedError as failed:
            raise Problem(failed.reason, fix) from failed
