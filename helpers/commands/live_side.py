"""Everything live trading adds to the flow: orders, user channel, reading back, claims, the stop.

Composition only: who owns what is in ``helpers.live`` and ``helpers.clob``. It is also an outlet:
it hears what was booked, to claim what was won and to compare what was traded.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import msgspec

from db.recovery import LeftBehind
from helpers.board import Board
from helpers.clob.auth import ApiCredentials, RequestAuth
from helpers.clob.eip712 import OrderSigner
from helpers.clob.messages import RequestFailedError
from helpers.clob.rest import ClobRest, new_order_client
from helpers.clob_executor import ClobExecutor
from helpers.clock import Clock
from helpers.commands.account_operations import AccountOperations
from helpers.commands.arming import credentials_of
from helpers.commands.composition import Flow, Outlets, Trading
from helpers.commands.preflight_gate import hold_until_right
from helpers.domain import (
    Body,
    Connected,
    Disconnected,
    Fill,
    FillStatus,
    HoldCause,
    Market,
    MarketOpened,
    MergeAsked,
    Mode,
    Reconciled,
    Rejected,
    Settled,
    Side,
    Source,
)
from helpers.execution import Executor
from helpers.feeds.gamma import GammaParser
from helpers.feeds.http import VenueHttp, new_client
from helpers.feeds.polymarket_user import PolymarketUserParser, UserOrder
from helpers.feeds.retry import FeedError
from helpers.feeds.socket import SocketReader
from helpers.feeds.user_channel import user_feed
from helpers.ledger_carry import ledger_part, replay_rows, restored_ledger
from helpers.live.heartbeat import Heartbeat
from helpers.live.merger import Merge, Merger
from helpers.live.order import Stage
from helpers.live.ports import Holder
from helpers.live.reader import VenueReader
from helpers.live.recovery import EMPTY, restored_claims, restored_merges, restored_orders
from helpers.live.redeemer import Redeem, Redeemer
from helpers.live.start import VenueStart
from helpers.live.venue_mode import VenueMode
from helpers.logs import Log, Tag, logger
from helpers.settings import Settings
from helpers.venues import Venues

CHECKPOINT_SECONDS: Final = 3_600.0
"""A start reads the journal from the last checkpoint on."""
STOP_SECONDS: Final = 15.0
"""Longest wait for the last cancellation; platforms kill a minute after they asked."""
RETRY_SECONDS: Final = 1.0
LOG_IN_RETRY_SECONDS: Final = 5.0


class LiveSide:
    """One wallet's live trading."""

    mode = Mode.LIVE

    def __init__(
        self,
        settings: Settings,
        signer: OrderSigner,
        clock: Clock,
        venues: Venues,
        rng: random.Random,
        left: LeftBehind | None,
        redeem: Redeem | None = None,
        merge: Merge | None = None,
    ) -> None:
        """Take over what an earlier run left; raise ``LedgerError`` when it contradicts itself."""
        self._settings = settings
        self._signer = signer
        self._clock = clock
        self._venues = venues
        self._rng = rng
        self._log: Log = logger(Tag.LIVE)
        checkpoint = left.checkpoint if left is not None else EMPTY
        rows = [(r.market, r.at_ns, r.body) for r in left.rows] if left is not None else []
        self.ledger = restored_ledger(Mode.LIVE, checkpoint)
        replayed = replay_rows(self.ledger, rows)
        self.refused_rows = replayed.refused
        now_ns = clock.now_ns()
        self.orders = restored_orders(checkpoint, rows, self.ledger.market, now_ns)
        self.claims = restored_claims(
            checkpoint, rows, replayed.settled, self.ledger.market, now_ns
        )
        self._merges = restored_merges(checkpoint, rows)
        self._auth = RequestAuth(signer.address)
        self._client = new_order_client()
        self.rest = ClobRest(self._client, venues, self._auth, signer.signature_type, clock)
        self._mode = VenueMode(posts_only=settings.execution_style == "maker")
        self.executor = ClobExecutor(
            signer,
            lambda: self._auth.api_key,
            self.rest,
            self.orders,
            self._mode,
            clock,
            lambda: rng.getrandbits(53),
        )
        self._operations = AccountOperations(settings, venues)
        self._redeem = redeem or self._operations.redeem
        self._merge = merge or self._operations.merge
        self._parser = PolymarketUserParser()
        self._outlets: Outlets | None = None
        self._reader: VenueReader | None = None
        self._holder: Holder | None = None
        self.last_reconciled: Reconciled | None = None

    def trading(self) -> Trading:
        """Return what the flow is built with."""

        def executor(_board: Board) -> Executor:
            return self.executor

        return Trading(executor, self.ledger, (self,))

    def attach(self, flow: Flow, move_time: Callable[[int], None]) -> None:
        """Connect the flow; write what was taken over, so that the next start finds it here."""
        self._outlets = flow.outlets
        self._holder = flow.engine.halts
        self.executor.attach(flow.outlets, lambda: move_time(self._clock.now_ns()))
        self._reader = VenueReader(
            self.rest,
            self.orders,
            self.ledger,
            self.claims,
            self._merges,
            self._mode,
            self._clock,
            deliver=self.executor.deliver,
            write=flow.outlets.write,
            on_doubt=self.executor.note_sellable,
            holder=flow.engine.halts,
            log=self._log,
        )
        self._start = VenueStart(
            self.rest,
            self._reader,
            self.orders,
            self.ledger,
            self.claims,
            self._clock,
            wallet=self._signer.wallet,
            timeout_seconds=self._settings.position_timeout_seconds,
            find_market=self._find_market,
            deliver=self.executor.deliver,
            remember=self.ledger.remember_market,
            write=flow.outlets.write,
            holder=flow.engine.halts,
            log=self._log,
        )
        detail = "what a trade needs was not looked at yet"
        flow.engine.halts.hold_entries(HoldCause.PREFLIGHT, detail, self._clock.now_ns())
        alive = [order.signed.at_ns for order in self.orders.alive()]
        self._reader.oldest_ns = min((self._clock.now_ns(), *alive))
        self.checkpoint()
        self._log.info(
            "books_taken_over",
            positions=len(self.ledger.positions()),
            orders=len(alive),
            claims=len(self.claims.owed()),
            refused_rows=self.refused_rows,
        )

    # --- As an outlet -----------------------------------------------------------------------------

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Hear what was booked."""
        if isinstance(body, Settled):
            self._claim(at_ns, market, body)
        elif isinstance(body, MergeAsked):
            self._tell_commit()
        elif isinstance(body, Fill):
            self._tell_commit()
            self._note_fill(body)
        elif isinstance(body, Rejected):
            self._note_rejected(body)
        elif isinstance(body, Reconciled):
            self.last_reconciled = body

    def commit(self) -> None:
        """Keep nothing of its own."""

    def _tell_commit(self) -> None:
        # A fill that is lost in a crash is read back, but what is known need not be asked again.
        if self._outlets is not None:
            self._outlets.commit()

    def _claim(self, at_ns: int, slug: str, settled: Settled) -> None:
        market = self.ledger.market(slug)
        assert market is not None, "a settled position is of a market the ledger remembers"
        change = self.claims.add(settled, market, at_ns)
        if change is not None and self._outlets is not None:
            self._outlets.write(at_ns, slug, change)

    def _note_fill(self, fill: Fill) -> None:
        market = self.ledger.market(fill.market)
        if market is None or self._reader is None:
            return
        token = market.token(fill.outcome)
        self._reader.touched(token, market.closes_ns)
        if fill.status is FillStatus.CONFIRMED and fill.side is Side.BUY:
            self._reader.wants_refresh(token)

    def _note_rejected(self, rejected: Rejected) -> None:
        order = self.orders.find(rejected.order_id)
        refused = order is not None and order.intent.side is Side.SELL and not rejected.missed
        if order is not None and refused and self._reader is not None:
            self._reader.doubts(order.intent.token)

    # --- Running ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Trade until cancelled; raises a group of what made a part fail."""
        reader = self._reader
        assert reader is not None, "attach comes first"
        redeemer = Redeemer(self.claims, self.rest, self._redeem, self._tell, self._clock)
        merger = Merger(
            self._merge, self._merges, self.orders, self.ledger, self._clock, self._tell, self._log
        )
        heartbeat = Heartbeat(self.rest, lambda: bool(self.orders.resting()), self._log)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.executor.run())
                channel = await self._log_in()
                tasks.create_task(channel.run())
                tasks.create_task(heartbeat.run())
                tasks.create_task(self._checkpoints())
                tasks.create_task(self._look_at_everything())
                await self._start.run()
                tasks.create_task(reader.run())
                tasks.create_task(redeemer.run())
                tasks.create_task(merger.run())
                tasks.create_task(self._bury_zombies())
        finally:
            await self._client.aclose()

    async def _look_at_everything(self) -> None:
        assert self._holder is not None, "attach comes first"
        await hold_until_right(
            self._settings,
            self._clock,
            self._venues,
            self._rng,
            self._holder,
            logger(Tag.SAFETY),
        )

    async def stop(self) -> None:
        """Cancel everything within ``STOP_SECONDS`` and compare the books a last time."""
        reader = self._reader
        assert reader is not None, "attach comes first"
        self._operations.stop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while not await self._cancel_all(reader):
                    await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError:
            left = [order.order_id for order in self.orders.alive()]
            self._log.error("orders_left_at_stop", orders=left, next="the next start owns them")
        self.checkpoint()

    async def _cancel_all(self, reader: VenueReader) -> bool:
        try:
            reply = await self.rest.cancel_all()
            now_ns = self._clock.now_ns()
            self.executor.deliver(self.orders.on_cancel(reply.canceled, reply.kept, now_ns), now_ns)
            await reader.read_back()
            if self.orders.alive() or self.ledger.unsettled_fills():
                return False  # a trade on its way settles within seconds
            return await reader.reconcile()
        except RequestFailedError as failed:
            self._log.warning("stop_not_answered", why=failed.reason)
            return False

    async def _log_in(self) -> SocketReader:
        credentials = await self._credentials()
        self._auth.log_in(credentials)
        feed = user_feed(
            self._venues, credentials.api_key, credentials.secret, credentials.passphrase
        )
        return SocketReader(
            feed.endpoint,
            feed.subscription,
            clock=self._clock,
            frames=self._on_user_frame,
            on_link=self._on_link,
            rng=self._rng,
        )

    async def _credentials(self) -> ApiCredentials:
        known = credentials_of(self._settings)
        if known is not None:
            return known
        while True:
            try:
                return await self.rest.credentials(self._signer)
            except RequestFailedError as failed:
                self._log.warning("not_logged_in", why=failed.reason)
                await asyncio.sleep(max(LOG_IN_RETRY_SECONDS, failed.retry_after_seconds))

    def _on_user_frame(self, _source: Source, raw: str | bytes, received_ns: int) -> None:
        for message in self._parser.parse(raw, received_ns):
            if isinstance(message, UserOrder):
                events = self.orders.on_order(message, received_ns)
            else:
                events = self.orders.on_trade(message, received_ns)
            self.executor.deliver(events, received_ns)

    def _on_link(self, event: Connected | Disconnected) -> None:
        reader = self._reader
        assert reader is not None, "attach comes first"
        if isinstance(event, Connected):
            self._log.info("user_channel_connected")
            reader.channel_up()
        else:
            self._log.warning("user_channel_lost", why=event.reason)
            reader.channel_down(event.received_ns)

    async def _bury_zombies(self) -> None:
        while True:
            self.executor.cancel_zombies()
            await asyncio.sleep(RETRY_SECONDS)

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self.checkpoint()

    def checkpoint(self) -> None:
        """Write everything a next start needs, in one row."""
        outlets, now_ns = self._outlets, self._clock.now_ns()
        assert outlets is not None, "attach comes first"
        known = {account.market.slug for account in self.ledger.carried_accounts()}
        orders = tuple(
            carried
            for carried in self.orders.carried()
            if carried.stage != Stage.DONE or carried.intent.market in known
        )
        row = msgspec.structs.replace(
            ledger_part(self.ledger, now_ns),
            wallet=self._signer.wallet,
            orders=orders,
            claims=self.claims.owed(),
            merges=self._merges.carried(),
        )
        outlets.write(now_ns, "", row)
        outlets.commit()

    def _tell(self, at_ns: int, market: str, body: Body) -> None:
        assert self._outlets is not None, "attach comes first"
        self._outlets.write(at_ns, market, body)

    async def _find_market(self, slug: str) -> Market | None:
        client = new_client()
        try:
            url = f"{self._venues.gamma_rest}/events/slug/{slug}"
            reply = await VenueHttp(client, self._clock).get(url)
        except FeedError as failed:
            raise RequestFailedError(f"market {slug}: {failed}") from failed
        finally:
            await client.aclose()
        facts = GammaParser().parse(reply.body, self._clock.now_ns()) if reply.found else ()
        return next((f.market for f in facts if isinstance(f, MarketOpened)), None)
