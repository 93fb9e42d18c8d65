"""The live ``Executor``: an approved intent becomes a signed order, once; answers come as events.

An order's id is journalled before its bytes leave: the row goes to disk while the order is signed,
and the request waits for both (I20). Nothing is ever sent twice. Must not: decide what becomes of
an answer (``helpers.live.orders`` does), read the venue back, or touch the ledger.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from helpers.clob.eip712 import OrderSigner
from helpers.clob.messages import (
    CancelReply,
    OrderTerms,
    OrderType,
    PostReply,
    RequestFailedError,
    SignedOrder,
)
from helpers.clock import Clock
from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    Approved,
    Body,
    BookSnapshot,
    ExecutionEvent,
    FeedEvent,
    Fill,
    Market,
    OrderIntent,
    OrderSigned,
    OrderStyle,
    Rejected,
    RuleFailure,
    TickSize,
    keep_latest,
)
from helpers.live.order import LiveOrder, Stage
from helpers.live.orders import LiveOrders
from helpers.live.venue_mode import VenueMode
from helpers.order_rules import OrderAmounts, resting_amounts, taker_amounts, venue_text

INTENTS_REMEMBERED: Final = 1_024
"""Latest intent ids kept to refuse a second submission; ids carry their moment, old ones die."""
TICKS_REMEMBERED: Final = 1_024
"""Tokens whose grid was announced; the oldest is forgotten first."""
SALT_LIMIT: Final = 2**53
"""A salt is a JSON number in the body (reference B.3)."""
EXPIRY_LEAD_SECONDS: Final = 60 + 120
"""A GTD order must end 3 minutes ahead and ends 1 minute early (reference B.5). Ours is cancelled
when its time has come; this is for the case that nobody is left to cancel it."""
CANCEL_TRIES: Final = 3
CANCEL_RETRY_SECONDS: Final = 1.0


class OrderGateway(Protocol):
    """Where orders are sent (``helpers.clob.rest.ClobRest``)."""

    async def post_order(self, signed: SignedOrder) -> PostReply:
        """Send an order once; every outcome is a value."""
        ...

    async def cancel(self, order_ids: Sequence[str]) -> CancelReply:
        """Cancel some orders; raises ``RequestFailedError``."""
        ...


class DurableOutlet(Protocol):
    """Where orders are journalled."""

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Tell one thing, the journal first."""
        ...

    def start_sync(self) -> int:
        """Begin to put everything told so far on the disk; return what ``durable`` waits for."""
        ...

    async def durable(self, ticket: int) -> None:
        """Return once it is there; raises what the journal raises when it never will be."""
        ...


class ClobExecutor:
    """Sends orders of one wallet to the CLOB (protocol in ``helpers.execution``)."""

    def __init__(
        self,
        signer: OrderSigner,
        api_key: Callable[[], str],
        gateway: OrderGateway,
        orders: LiveOrders,
        mode: VenueMode,
        clock: Clock,
        salt: Callable[[], int],
    ) -> None:
        self._signer = signer
        self._api_key = api_key
        self._gateway = gateway
        self._orders = orders
        self._mode = mode
        self._clock = clock
        self._salt = salt
        self._outlet: DurableOutlet | None = None
        self._on_ready: Callable[[], None] = _nobody
        self._tasks: asyncio.TaskGroup | None = None
        self._inbox: deque[tuple[int, ExecutionEvent]] = deque()
        self._timers: list[tuple[int, str]] = []
        self._intents: dict[str, None] = {}
        self._ticks: dict[str, int] = {}
        self._sellable: dict[str, int] = {}

    def attach(self, outlet: DurableOutlet, on_ready: Callable[[], None]) -> None:
        """Connect the journal, and whoever moves the engine when an answer has come."""
        self._outlet = outlet
        self._on_ready = on_ready

    async def run(self) -> None:
        """Own the requests in flight until cancelled; raises what a request's task raised."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    # --- The executor's side of the engine -------------------------------------------------------

    @property
    def real_money(self) -> bool:
        """Return ``True``: its orders reach the venue."""
        return True

    def submit(self, approved: Approved, market: Market) -> None:
        """Sign, journal and send an order; raise ``ValueError`` for an intent seen before (I20)."""
        intent, now_ns = approved.intent, approved.at_ns
        if intent.intent_id in self._intents:
            raise ValueError(f"intent {intent.intent_id} was submitted before")
        if intent.market != market.slug or intent.token != market.token(intent.outcome):
            raise ValueError(f"intent {intent.intent_id} was not of {market.slug}")
        keep_latest(self._intents, intent.intent_id, None, INTENTS_REMEMBERED)
        outlet, tasks = self._outlet, self._tasks
        if outlet is None or tasks is None:
            self._inbox.append((now_ns, _never_sent(intent, "the executor does not run", now_ns)))
            return
        amounts = self._amounts(intent, market)
        if isinstance(amounts, RuleFailure):
            text = venue_text(amounts, "not signed")
            self._inbox.append((now_ns, _never_sent(intent, text, now_ns)))
            return
        hashed = self._signer.hash(self._terms(intent, amounts, now_ns))
        terms = hashed.terms
        row = OrderSigned(
            intent.intent_id,
            hashed.order_id,
            terms.order_type.value,
            amounts.shares_micros,
            intent.price_limit_micros,
            terms.expiration_seconds,
            now_ns,
        )
        self._orders.add(intent, market, row)
        outlet.write(now_ns, intent.market, row)
        ticket = outlet.start_sync()
        signed = self._signer.sign(hashed, self._api_key())
        if intent.expires_ns:
            heapq.heappush(self._timers, (intent.expires_ns, hashed.order_id))
        tasks.create_task(self._send(signed, outlet, ticket))

    def cancel_market(self, market: str, now_ns: int) -> None:
        """Ask for the cancellation of what rests in a market."""
        self._cancel([o for o in self._orders.resting() if o.intent.market == market], now_ns)

    def cancel_all(self, now_ns: int) -> None:
        """Ask for the cancellation of whatever rests."""
        self._cancel(self._orders.resting(), now_ns)

    def next_due_ns(self) -> int | None:
        """Return when ``advance`` next has something to do, or ``None``."""
        dues = [self._inbox[0][0]] if self._inbox else []
        if self._timers and self._tasks is not None:
            dues.append(self._timers[0][0])
        return min(dues, default=None)

    def advance(self, now_ns: int) -> Sequence[ExecutionEvent]:
        """Return what became known up to now; cancel orders whose time is over."""
        while self._timers and self._timers[0][0] <= now_ns:
            _, order_id = heapq.heappop(self._timers)
            order = self._orders.find(order_id)
            if order is not None and order.stage not in (Stage.ENDED, Stage.DONE):
                self._cancel([order], now_ns)
        happened: list[ExecutionEvent] = []
        while self._inbox and self._inbox[0][0] <= now_ns:
            happened.append(self._inbox.popleft()[1])
        return happened

    def on_event(self, event: FeedEvent) -> Sequence[ExecutionEvent]:
        """Follow the price grid of every token; the venue's answers come another way."""
        if isinstance(event, TickSize) or (isinstance(event, BookSnapshot) and event.tick_micros):
            keep_latest(self._ticks, event.token, event.tick_micros, TICKS_REMEMBERED)
        return ()

    def markets_with_orders(self) -> frozenset[str]:
        """Return the slugs in which an order of ours is alive, or its end not told yet.

        An answer can come while the engine is at an earlier moment: the order is over then, and
        its fill not booked, and the market would look free for a second entry (I22).
        """
        untold = {_market_of(event) for _, event in self._inbox}
        return self._orders.markets() | untold if untold else self._orders.markets()

    def markets_unknown(self) -> frozenset[str]:
        """Return the slugs in which an order's outcome is unknown."""
        return self._orders.markets_unknown()

    def resting_entry(self, market: str) -> OrderIntent | None:
        """Return the entry that rests in a market's book, ``None`` when there is none."""
        resting = (order for order in self._orders.resting() if not order.cancel_asked_ns)
        wanted = (o.intent for o in resting if o.intent.opens and o.intent.market == market)
        return next(wanted, None)

    def sellable_micros(self, token: str) -> int | None:
        """Return what the venue says we own, where it refused a sale for want of it (I2)."""
        return self._sellable.get(token)

    def pending_entry_micros(self, market: str) -> int:
        """Return the notional of entries in flight in a market, fills not told yet included."""
        untold = sum(
            event.shares_micros * event.price_micros // MICROS
            for _, event in self._inbox
            if isinstance(event, Fill) and event.opens and event.market == market
        )
        return self._orders.pending_entry_micros(market) + untold

    # --- The venue's side -----------------------------------------------------------------------

    def deliver(self, events: Iterable[ExecutionEvent], at_ns: int) -> None:
        """Give the engine what became known, and say that there is something."""
        latest_ns = max(at_ns, self._inbox[-1][0] if self._inbox else 0)
        count = len(self._inbox)
        self._inbox.extend((latest_ns, event) for event in events)
        if len(self._inbox) > count:
            self._on_ready()

    def note_sellable(self, token: str, shares_micros: int | None) -> None:
        """Take the venue's word for how much of a token can be sold; ``None`` forgets it."""
        if shares_micros is None:
            self._sellable.pop(token, None)
        else:
            keep_latest(self._sellable, token, shares_micros, TICKS_REMEMBERED)

    def cancel_zombies(self) -> None:
        """Cancel what the venue has open although we had given it up."""
        wanted, self._orders.zombies = list(self._orders.zombies), {}
        if wanted:
            self._start_cancel(wanted)

    async def _send(self, signed: SignedOrder, outlet: DurableOutlet, ticket: int) -> None:
        await outlet.durable(ticket)
        reply = await self._gateway.post_order(signed)
        now_ns = self._clock.now_ns()
        self._mode.note(reply.condition, reply.retry_after_seconds, now_ns)
        self.deliver(self._orders.on_reply(signed.order_id, reply.outcome, now_ns), now_ns)
        order = self._orders.find(signed.order_id)
        if order is not None and order.cancel_asked_ns and order.stage is Stage.OPEN:
            self._start_cancel([order.order_id])

    def _cancel(self, orders: Iterable[LiveOrder], now_ns: int) -> None:
        wanted: list[str] = []
        for order in orders:
            order.cancel_asked_ns = order.cancel_asked_ns or now_ns
            if order.stage is not Stage.SENDING:  # else once its answer is there
                wanted.append(order.order_id)
        if wanted:
            self._start_cancel(wanted)

    def _start_cancel(self, order_ids: list[str]) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._cancel_now(order_ids))

    async def _cancel_now(self, order_ids: list[str]) -> None:
        for _ in range(CANCEL_TRIES):
            try:
                reply = await self._gateway.cancel(order_ids)
            except RequestFailedError as failed:
                # Not lost: the order stays alive, its market blocked, and is read back.
                self._mode.note(failed.condition, failed.retry_after_seconds, self._clock.now_ns())
                await asyncio.sleep(max(CANCEL_RETRY_SECONDS, failed.retry_after_seconds))
                continue
            now_ns = self._clock.now_ns()
            self.deliver(self._orders.on_cancel(reply.canceled, reply.kept, now_ns), now_ns)
            return

    def _amounts(self, intent: OrderIntent, market: Market) -> OrderAmounts | RuleFailure:
        rule = taker_amounts if intent.style is OrderStyle.TAKER else resting_amounts
        return rule(
            intent.side,
            intent.shares_micros,
            intent.price_limit_micros,
            self._ticks.get(intent.token, market.tick_micros),
            market.minimum_shares_micros,
        )

    def _terms(self, intent: OrderIntent, amounts: OrderAmounts, now_ns: int) -> OrderTerms:
        taking = intent.style is OrderStyle.TAKER
        lifetime_seconds = max(0, intent.expires_ns - now_ns) // NS_PER_SECOND
        expiration = 0 if taking else now_ns // NS_PER_SECOND + EXPIRY_LEAD_SECONDS
        return OrderTerms(
            token=intent.token,
            side=intent.side,
            maker_micros=amounts.maker_micros,
            taker_micros=amounts.taker_micros,
            salt=self._salt() % SALT_LIMIT,
            timestamp_ms=now_ns // NS_PER_MS,
            order_type=OrderType.FAK if taking else OrderType.GTD,
            post_only=not taking,
            expiration_seconds=expiration + lifetime_seconds if expiration else 0,
        )


def _never_sent(intent: OrderIntent, reason: str, at_ns: int) -> Rejected:
    return Rejected(intent.intent_id, "", f"never sent: {reason}", at_ns)


def _market_of(event: ExecutionEvent) -> str:
    return event.intent_id.split("/", 1)[0]


def _nobody() -> None:
    """Wait for nothing: nobody moves the engine yet."""
