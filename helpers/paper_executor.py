"""Fills approved intents against the live book the way the venue would, and never better.

Latency, taker hold, queue, fees, minimums and settlement are modelled; a price is always one that
was displayed (I26). Must not: read a clock, draw a random number, know the ledger, or tell paper
from live to anybody. A buy is filled up to its shares, not its dollars, so a better price than the
limit leaves money unspent where the venue may hand out a few more shares.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from helpers.domain import (
    MICROS,
    NS_PER_MS,
    Accepted,
    Approved,
    BookChange,
    BookSnapshot,
    ExecutionEvent,
    FeedEvent,
    Fill,
    FillStatus,
    Market,
    MarketResolved,
    OrderIntent,
    OrderState,
    OrderStyle,
    OrderUpdate,
    OutcomeTrade,
    Rejected,
    RuleFailure,
    Side,
    TickSize,
    keep_latest,
)
from helpers.execution import Books
from helpers.order_rules import (
    EXPIRATION_TEXT,
    FAK_UNMATCHED_TEXT,
    POST_ONLY_CROSSES_TEXT,
    resting_amounts,
    taker_amounts,
    venue_text,
)
from helpers.paper_liquidity import TakenLiquidity
from helpers.paper_queue import RestingOrder, RestingOrders
from helpers.paper_steps import (
    Arrive,
    Cancel,
    Confirm,
    Deny,
    Expire,
    Flight,
    Match,
    PaperSettings,
    Step,
)

__all__ = ["PaperExecutor", "PaperSettings"]

OPEN_ORDERS_MAXIMUM: Final = 256
"""Orders alive at once; the gate allows one a market, so this many means something loops."""

INTENTS_REMEMBERED: Final = 1_024
"""Latest intent ids kept to refuse a second submission; ids carry their moment, old ones die."""

TICKS_REMEMBERED: Final = 1_024
"""Tokens whose grid was announced; the oldest is forgotten first."""


class PaperExecutor:
    """The ``Executor`` of paper, replay and training (protocol in ``helpers.execution``)."""

    def __init__(self, books: Books, settings: PaperSettings) -> None:
        if min(settings.latency_ms, settings.taker_hold_ms, settings.settlement_ms) < 0:
            raise ValueError(f"a delay of {settings} was negative, expected 0 ms or more")
        if settings.depth < 1:
            raise ValueError(f"depth was {settings.depth}, expected 1 level or more")
        self._books = books
        self._depth = settings.depth
        self._latency_ns = settings.latency_ms * NS_PER_MS
        self._hold_ns = settings.taker_hold_ms * NS_PER_MS
        self._settlement_ns = settings.settlement_ms * NS_PER_MS
        self._steps: list[tuple[int, int, Step]] = []
        self._sequence = 0
        self._flights: dict[str, Flight] = {}
        self._resting = RestingOrders()
        self._intents: dict[str, None] = {}
        self._markets: dict[str, Market] = {}
        self._ticks: dict[str, int] = {}
        self._taken = TakenLiquidity()

    @property
    def real_money(self) -> bool:
        """Return ``False``: it only pretends."""
        return False

    def submit(self, approved: Approved, market: Market) -> None:
        """Take an order on its way; it reaches the venue a latency after its approval.

        Raises ``ValueError`` for an intent seen before (I20) or one of another market.
        """
        intent = approved.intent
        if intent.intent_id in self._intents:
            raise ValueError(f"intent {intent.intent_id} was submitted before")
        if intent.market != market.slug or intent.token != market.token(intent.outcome):
            raise ValueError(f"intent {intent.intent_id} was not of {market.slug}")
        keep_latest(self._intents, intent.intent_id, None, INTENTS_REMEMBERED)
        flight = Flight(f"paper-{intent.intent_id}", intent, market)
        if len(self._flights) + len(self._resting) >= OPEN_ORDERS_MAXIMUM:
            self._schedule(approved.at_ns, Deny(flight))
            return
        self._forget_ended(approved.at_ns)
        self._markets[market.condition_id] = market
        self._flights[flight.order_id] = flight
        self._schedule(approved.at_ns + self._latency_ns, Arrive(flight))

    def cancel_market(self, market: str, now_ns: int) -> None:
        """Cancel what rests in a market once the request has reached the venue."""
        self._schedule(now_ns + self._latency_ns, Cancel(market))

    def cancel_all(self, now_ns: int) -> None:
        """Cancel whatever rests once the request has reached the venue."""
        self._schedule(now_ns + self._latency_ns, Cancel(""))

    def next_due_ns(self) -> int | None:
        """Return when ``advance`` next has something to do, or ``None``."""
        return self._steps[0][0] if self._steps else None

    def advance(self, now_ns: int) -> Sequence[ExecutionEvent]:
        """Return what happened up to ``now_ns``, each thing at its own moment."""
        happened: list[ExecutionEvent] = []
        while self._steps and self._steps[0][0] <= now_ns:
            due_ns, _, step = heapq.heappop(self._steps)
            happened.extend(self._take(step, due_ns))
        return happened

    def on_event(self, event: FeedEvent) -> Sequence[ExecutionEvent]:
        """Return what a feed event did to our resting orders; called after the board had it."""
        # On the path of every frame: the commonest kind first, a market of no interest leaves.
        if isinstance(event, BookChange):
            self._on_change(event)
        elif isinstance(event, OutcomeTrade):
            return self._on_trade(event)
        elif isinstance(event, BookSnapshot):
            self._on_snapshot(event)
        elif isinstance(event, TickSize):
            keep_latest(self._ticks, event.token, event.tick_micros, TICKS_REMEMBERED)
        elif isinstance(event, MarketResolved):
            self._forget(event.condition_id)
        return ()

    def markets_with_orders(self) -> frozenset[str]:
        """Return the slugs in which an order of ours is alive."""
        return frozenset(intent.market for intent, _ in self._alive())

    def markets_unknown(self) -> frozenset[str]:
        """Return nothing: the paper venue always answers."""
        return frozenset()

    def sellable_micros(self, token: str) -> int | None:  # noqa: ARG002
        """Return ``None``: the paper venue never owns less than the books say."""
        return None

    def pending_entry_micros(self, market: str) -> int:
        """Return the notional, at their limits, of what is left of a market's entries."""
        return sum(
            remaining * intent.price_limit_micros // MICROS
            for intent, remaining in self._alive()
            if intent.opens and intent.market == market
        )

    def resting_entry(self, market: str) -> OrderIntent | None:
        """Return the entry that rests in a market's book, ``None`` when there is none."""
        return next((o.intent for o in self._resting.of(market) if o.intent.opens), None)

    def _alive(self) -> Iterator[tuple[OrderIntent, int]]:
        for flight in self._flights.values():
            yield flight.intent, flight.intent.shares_micros
        for order in self._resting.all():
            yield order.intent, order.remaining_micros

    def _schedule(self, due_ns: int, step: Step) -> None:
        self._sequence += 1
        heapq.heappush(self._steps, (due_ns, self._sequence, step))

    def _take(self, step: Step, at_ns: int) -> Sequence[ExecutionEvent]:
        match step:
            case Arrive(flight):
                return self._arrive(flight, at_ns)
            case Match(flight, shares_micros):
                return self._match(flight, shares_micros, at_ns)
            case Deny(flight):
                reason = f"{OPEN_ORDERS_MAXIMUM} orders were alive, expected fewer"
                return [self._rejected(flight, reason, at_ns)]
            case Confirm(fill):
                return [_confirmed(fill, at_ns)]
            case Expire(order_id):
                return self._expire(order_id, at_ns)
            case Cancel(market):
                orders = self._resting.of(market) if market else self._resting.all()
                return [self._ended(order, OrderState.CANCELED, at_ns) for order in orders]

    def _arrive(self, flight: Flight, at_ns: int) -> Sequence[ExecutionEvent]:
        market, intent = flight.market, flight.intent
        if at_ns >= market.closes_ns:
            return [self._rejected(flight, f"market {market.slug} was closed at arrival", at_ns)]
        taking = intent.style is OrderStyle.TAKER
        amounts = (taker_amounts if taking else resting_amounts)(
            intent.side,
            intent.shares_micros,
            intent.price_limit_micros,
            self._ticks.get(intent.token, market.tick_micros),
            market.minimum_shares_micros,
        )
        if isinstance(amounts, RuleFailure):
            return [self._rejected(flight, venue_text(amounts, flight.order_id), at_ns)]
        if not taking:
            return self._rest(flight, amounts.shares_micros, at_ns)
        if market.fees.exponent != 1:
            reason = f"fee exponent was {market.fees.exponent}, expected 1"
            return [self._rejected(flight, reason, at_ns)]
        # Only marketable orders are held; another FAK is killed on the spot (reference G.4).
        if not self._crosses(intent):
            return [self._rejected(flight, FAK_UNMATCHED_TEXT, at_ns, missed=True)]
        self._schedule(at_ns + self._hold_ns, Match(flight, amounts.shares_micros))
        return ()

    def _match(self, flight: Flight, shares_micros: int, at_ns: int) -> Sequence[ExecutionEvent]:
        market, intent = flight.market, flight.intent
        if at_ns >= market.closes_ns:
            return [self._rejected(flight, f"market {market.slug} was closed at match", at_ns)]
        levels = self._books.levels(intent.token, intent.side, self._depth)
        parts = self._taken.take(market, intent, levels, shares_micros)
        if not parts:
            return [self._rejected(flight, FAK_UNMATCHED_TEXT, at_ns, missed=True)]
        happened: list[ExecutionEvent] = [self._accepted(flight, at_ns)]
        for index, (price, shares) in enumerate(parts):
            fee = market.fees.taker_fee_micros(shares, price)
            trade_id = f"{flight.order_id}/{index}"
            happened.append(
                self._fill(intent, flight.order_id, trade_id, shares, price, fee, at_ns)
            )
        remaining = shares_micros - sum(shares for _, shares in parts)
        state = OrderState.CANCELED if remaining else OrderState.FILLED
        happened.append(_update(intent, flight.order_id, state, remaining, at_ns))
        return happened

    def _rest(self, flight: Flight, shares_micros: int, at_ns: int) -> Sequence[ExecutionEvent]:
        market, intent = flight.market, flight.intent
        if 0 < intent.expires_ns <= at_ns:
            return [self._rejected(flight, EXPIRATION_TEXT, at_ns)]
        if self._crosses(intent):
            return [self._rejected(flight, POST_ONLY_CROSSES_TEXT, at_ns, missed=True)]
        opposite = Side.SELL if intent.side is Side.BUY else Side.BUY
        if not self._books.levels(intent.token, intent.side, 1) and not self._books.levels(
            intent.token, opposite, 1
        ):
            # No book at all: whether it crosses and who is ahead cannot be known (I18).
            return [self._rejected(flight, "the paper book was unknown at arrival", at_ns)]
        ahead = self._books.shares_at(intent.token, intent.side, intent.price_limit_micros)
        order = RestingOrder(intent, flight.order_id, market, shares_micros, ahead, at_ns)
        happened = [
            self._accepted(flight, at_ns),
            _update(intent, flight.order_id, OrderState.RESTING, shares_micros, at_ns),
        ]
        self._resting.add(order)
        ends_ns = min(intent.expires_ns or market.closes_ns, market.closes_ns)
        self._schedule(ends_ns, Expire(flight.order_id))
        return happened

    def _expire(self, order_id: str, at_ns: int) -> Sequence[ExecutionEvent]:
        order = self._resting.get(order_id)
        if order is None:
            return ()
        by_itself = order.intent.expires_ns == at_ns
        state = OrderState.EXPIRED if by_itself else OrderState.CANCELED
        return [self._ended(order, state, at_ns)]

    def _crosses(self, intent: OrderIntent) -> bool:
        best = self._books.levels(intent.token, intent.side, 1)
        if not best:
            return False
        price = best[0][0]
        if intent.side is Side.BUY:
            return price <= intent.price_limit_micros
        return price >= intent.price_limit_micros

    def _on_trade(self, trade: OutcomeTrade) -> Sequence[ExecutionEvent]:
        market = self._markets.get(trade.condition_id)
        if market is None or not len(self._resting):
            return ()
        happened: list[ExecutionEvent] = []
        for order, shares in self._resting.on_trade(market, trade):
            happened.extend(self._filled(order, shares, trade.received_ns))
        return happened

    def _filled(self, order: RestingOrder, shares: int, at_ns: int) -> Iterator[ExecutionEvent]:
        trade_id = f"{order.order_id}/{order.fills}"
        order.fills += 1
        price = order.intent.price_limit_micros
        yield self._fill(order.intent, order.order_id, trade_id, shares, price, 0, at_ns)
        if order.remaining_micros == 0:
            yield self._ended(order, OrderState.FILLED, at_ns)

    def _on_change(self, event: BookChange) -> None:
        market = self._markets.get(event.condition_id)
        if market is None:
            return
        if len(self._resting):
            self._resting.on_change(market, event)
        if len(self._taken):
            self._taken.on_change(market, event)

    def _on_snapshot(self, event: BookSnapshot) -> None:
        if event.tick_micros:
            keep_latest(self._ticks, event.token, event.tick_micros, TICKS_REMEMBERED)
        market = self._markets.get(event.condition_id)
        if market is None or event.token not in (market.up_token, market.down_token):
            return
        if len(self._resting):
            self._resting.on_snapshot(event)
        if len(self._taken):
            self._taken.on_snapshot(market, event)

    def _fill(
        self,
        intent: OrderIntent,
        order_id: str,
        trade_id: str,
        shares_micros: int,
        price_micros: int,
        fee_micros: int,
        at_ns: int,
    ) -> Fill:
        fill = Fill(
            trade_id=trade_id,
            order_id=order_id,
            intent_id=intent.intent_id,
            market=intent.market,
            outcome=intent.outcome,
            side=intent.side,
            shares_micros=shares_micros,
            price_micros=price_micros,
            fee_micros=fee_micros,
            status=FillStatus.MATCHED,
            maker=intent.style is OrderStyle.MAKER,
            opens=intent.opens,
            deadline_ns=intent.deadline_ns,
            at_ns=at_ns,
        )
        self._schedule(at_ns + self._settlement_ns, Confirm(fill))
        return fill

    def _accepted(self, flight: Flight, at_ns: int) -> Accepted:
        del self._flights[flight.order_id]
        return Accepted(flight.intent.intent_id, flight.order_id, at_ns)

    def _rejected(
        self, flight: Flight, reason: str, at_ns: int, *, missed: bool = False
    ) -> Rejected:
        self._flights.pop(flight.order_id, None)
        return Rejected(flight.intent.intent_id, flight.order_id, reason, at_ns, missed)

    def _ended(self, order: RestingOrder, state: OrderState, at_ns: int) -> OrderUpdate:
        self._resting.remove(order.order_id)
        return _update(order.intent, order.order_id, state, order.remaining_micros, at_ns)

    def _forget_ended(self, now_ns: int) -> None:
        for condition_id in [c for c, m in self._markets.items() if m.closes_ns <= now_ns]:
            self._forget(condition_id)

    def _forget(self, condition_id: str) -> None:
        market = self._markets.pop(condition_id, None)
        if market is not None:
            self._taken.forget(market.slug)
            self._resting.forget(market.slug)
            self._ticks.pop(market.up_token, None)
            self._ticks.pop(market.down_token, None)


def _confirmed(fill: Fill, at_ns: int) -> Fill:
    return replace(fill, status=FillStatus.CONFIRMED, at_ns=at_ns)


def _update(
    intent: OrderIntent, order_id: str, state: OrderState, remaining_micros: int, at_ns: int
) -> OrderUpdate:
    return OrderUpdate(intent.intent_id, order_id, intent.market, state, remaining_micros, at_ns)
