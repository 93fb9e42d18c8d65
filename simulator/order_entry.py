"""The path of an order: checks, taker hold, match, and what the match means for both sides.

The only writer of books and order records. Times come in as arguments; facts go out as events.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from helpers.domain import MICROS, NS_PER_SECOND, Outcome, Side
from simulator import refusals
from simulator.accounts import Account, Accounts
from simulator.agenda import Agenda
from simulator.exchange_messages import (
    ExchangeEvent,
    ExchangeSettings,
    OrderAccepted,
    OrderAnswered,
    OrderChanged,
    OrderEventType,
    OrderHeld,
    OrderReply,
    Phase,
    PlaceOrder,
    Refusal,
    TradeFacts,
)
from simulator.market_news import MarketNews, match_facts
from simulator.market_state import MarketState
from simulator.matching import (
    BookOrder,
    MatchFill,
    MatchResult,
    MatchStatus,
    Preview,
    TimeInForce,
    cost_micros,
)
from simulator.order_records import (
    CANCELED,
    DELAYED,
    LIVE,
    MATCHED,
    OrderRecord,
    OrderRecords,
    as_book_order,
    lock_asset,
)
from simulator.order_rules import (
    MARKETABLE_BUY_MINIMUM_MICROS,
    expiry_refusal,
    implied_shares,
    limit_notional,
    tick_refusal,
)
from simulator.settlement import Settlement, trade_moves


class OrderEntry:
    """Takes orders in and out of the books."""

    def __init__(
        self,
        settings: ExchangeSettings,
        accounts: Accounts,
        agenda: Agenda,
        settlement: Settlement,
        emit: Callable[[ExchangeEvent], None],
    ) -> None:
        self.settings = settings
        self.phase = Phase.NORMAL
        self.phase_until_ns = 0
        self.records = OrderRecords()
        self.tokens: dict[str, tuple[MarketState, Outcome]] = {}
        self._accounts = accounts
        self._agenda = agenda
        self._settlement = settlement
        self._emit = emit
        self._news = MarketNews(emit)
        self._trade_count = 0

    def place(self, order: PlaceOrder, now_ns: int) -> OrderReply:
        """Check an order and match, hold or rest it; raise ``KeyError`` for an unknown account."""
        account = self._accounts.get(order.account)
        found = self.tokens.get(order.token)
        if found is None or found[0].resolved:
            return refusals.no_orderbook(order.token)
        market, outcome = found
        if account.house:
            return self._place_house(order, market, outcome, now_ns)
        refusal = self._intake_refusal(order, account, market, now_ns)
        if refusal is not None:
            return refusal
        record = OrderRecord(order, market, outcome, now_ns)
        book_order = record.book_order
        if not market.book.crosses(book_order):
            return self._execute(record, account, now_ns)
        if order.post_only:
            return refusals.POST_ONLY_CROSSES
        notional = limit_notional(order)
        if order.side is Side.BUY and notional < MARKETABLE_BUY_MINIMUM_MICROS:
            return refusals.marketable_too_small(notional)
        if self.settings.taker_hold_ns and market.listing.taker_delay:
            return self._hold(record, account, now_ns)
        return self._execute(record, account, now_ns)

    def cancel(self, record: OrderRecord, status: str, now_ns: int) -> bool:
        """Take a customer's order out of the book; ``False`` when it is held or has ended."""
        order_id = record.order.order_id
        level = record.market.book.cancel(order_id)
        if level is None:
            return False
        self._unlock(record, self._accounts.get(record.order.account))
        self.records.end(record, status)
        self._changed(record, OrderEventType.CANCELLATION, now_ns)
        self._news.book_changed(record.market, (level,), now_ns)
        return True

    def force_tick(self, market: MarketState, tick_micros: int, now_ns: int) -> None:
        """Fix a market's tick, or with 0 let its prices call for one again."""
        market.forced_tick_micros = tick_micros
        self._news.tick_called_for(market, now_ns)

    def cancel_house(self, market: MarketState, order_id: str, now_ns: int) -> bool:
        """Take a house order out of the book; ``False`` when it does not rest."""
        level = market.book.cancel(order_id)
        if level is None:
            return False
        self._news.book_changed(market, (level,), now_ns)
        return True

    def clear_book(self, market: MarketState, status: str, now_ns: int) -> None:
        """Cancel everything that rests in a market, without book events."""
        for order_id in market.book.order_ids():
            market.book.cancel(order_id)
            record = self.records.find(order_id)
            if record is not None and record.market is market:
                self._unlock(record, self._accounts.get(record.order.account))
                self.records.end(record, status)
                self._changed(record, OrderEventType.CANCELLATION, now_ns)

    def _place_house(
        self, order: PlaceOrder, market: MarketState, outcome: Outcome, now_ns: int
    ) -> OrderReply:
        refusal = self._phase_refusal(order, now_ns) or tick_refusal(
            order.order_id, order.price_micros, market.tick_micros
        )
        if refusal is not None:
            return refusal
        if order.order_id in market.book:
            return refusals.duplicated(order.order_id)
        result = market.book.place(as_book_order(order, outcome))
        if not result.fills:
            if result.levels:
                self._news.book_changed(market, result.levels, now_ns)
                return OrderAccepted(order.order_id, "live")
            return self._kill_refusal(order, result)
        facts = self._settle(order, outcome, market, result, now_ns)
        return _matched_reply(order, facts)

    def _intake_refusal(
        self, order: PlaceOrder, account: Account, market: MarketState, now_ns: int
    ) -> Refusal | None:
        refusal = self._phase_refusal(order, now_ns)
        if refusal is not None:
            return refusal
        if account.banned:
            return refusals.banned(account.maker_address)
        if account.closed_only and order.side is Side.BUY:
            return refusals.closed_only(account.maker_address)
        if now_ns < market.listing.created_ns:
            return refusals.NOT_READY
        if order.order_id in self.records or order.order_id in market.book:
            return refusals.duplicated(order.order_id)
        refusal = tick_refusal(order.order_id, order.price_micros, market.tick_micros)
        if refusal is not None:
            return refusal
        shares = implied_shares(order)
        if shares < market.listing.minimum_shares_micros:
            return refusals.too_small(order.order_id, shares, market.listing.minimum_shares_micros)
        if order.post_only and order.time_in_force in (TimeInForce.FAK, TimeInForce.FOK):
            return refusals.INVALID_PAYLOAD
        return expiry_refusal(order, now_ns, self.settings.gtd_minimum_ns)

    def _phase_refusal(self, order: PlaceOrder, now_ns: int) -> Refusal | None:
        if self.phase is Phase.NORMAL:
            return None
        left_seconds = max(0, -(-(self.phase_until_ns - now_ns) // NS_PER_SECOND))
        return refusals.phase_refusal(
            self.phase, post_only=order.post_only, retry_after_seconds=left_seconds
        )

    def _hold(self, record: OrderRecord, account: Account, now_ns: int) -> OrderReply:
        order = record.order
        needed = limit_notional(order) if order.side is Side.BUY else order.shares_micros
        if account.free_micros(lock_asset(record)) < needed:
            return refusals.BALANCE
        self._lock(record, account, needed)
        record.status = DELAYED
        self.records.add(record)
        release_ns = now_ns + self.settings.taker_hold_ns
        self._agenda.at(release_ns, partial(self._release, record))
        return OrderHeld(order.order_id, release_ns)

    def _release(self, record: OrderRecord, now_ns: int) -> None:
        # Re-validated as if it came now: the market may have moved, closed or changed its tick.
        order, market = record.order, record.market
        account = self._accounts.get(order.account)
        self._unlock(record, account)
        reply: OrderAccepted | Refusal
        refusal = self._phase_refusal(order, now_ns) or tick_refusal(
            order.order_id, order.price_micros, market.tick_micros
        )
        if market.resolved:
            refusal = refusals.no_orderbook(order.token)
        if refusal is not None:
            self.records.end(record, f"CANCELED_{refusal.error}")
            self._changed(record, OrderEventType.CANCELLATION, now_ns)
            reply = refusal
        else:
            record.status = LIVE
            reply = self._execute(record, account, now_ns)
        self._emit(OrderAnswered(order.account, order.order_id, reply, now_ns))

    def _execute(
        self, record: OrderRecord, account: Account, now_ns: int
    ) -> OrderAccepted | Refusal:
        order, market = record.order, record.market
        held = order.order_id in self.records
        book_order = record.book_order
        if account.free_micros(lock_asset(record)) < self._needed(record, book_order):
            if held:
                self.records.end(record, "CANCELED_NOT_ENOUGH_BALANCE")
                self._changed(record, OrderEventType.CANCELLATION, now_ns)
            return refusals.BALANCE
        if not held:
            self.records.add(record)
        result = market.book.place(book_order)
        if result.status is MatchStatus.KILLED:
            refusal = self._kill_refusal(order, result)
            self.records.end(record, f"CANCELED_{refusal.error}")
            self._changed(record, OrderEventType.CANCELLATION, now_ns)
            return refusal
        if result.resting_micros:
            self._rest(record, account, result.resting_micros)
        if not result.fills:
            self._changed(record, OrderEventType.PLACEMENT, now_ns)
            self._news.book_changed(market, result.levels, now_ns)
            return OrderAccepted(order.order_id, "live")
        facts = self._settle(order, record.outcome, market, result, now_ns, record)
        return _matched_reply(order, facts)

    def _needed(self, record: OrderRecord, book_order: BookOrder) -> int:
        order = record.order
        if order.side is Side.SELL:
            return order.shares_micros
        preview = record.market.book.preview(book_order)
        needed = self._preview_cost(record, preview)
        if order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD):
            left = order.shares_micros - preview.shares_micros
            needed += -(-left * order.price_micros // MICROS)
        return needed

    def _preview_cost(self, record: OrderRecord, preview: Preview) -> int:
        fee = record.market.taker_fee_micros
        return sum(
            cost_micros(record.outcome, price, shares) + fee(shares, price)
            for price, shares in preview.matches
        )

    def _rest(self, record: OrderRecord, account: Account, resting_micros: int) -> None:
        order = record.order
        if order.side is Side.BUY:
            self._lock(record, account, -(-resting_micros * order.price_micros // MICROS))
        else:
            self._lock(record, account, resting_micros)
        if order.time_in_force is TimeInForce.GTD:
            due_ns = order.expires_ns - self.settings.gtd_security_ns
            self._agenda.at(due_ns, partial(self._expire, record))

    def _expire(self, record: OrderRecord, now_ns: int) -> None:
        if self.records.is_open(record):
            self.cancel(record, "CANCELED_EXPIRED_ORDER", now_ns)

    def _settle(
        self,
        order: PlaceOrder,
        outcome: Outcome,
        market: MarketState,
        result: MatchResult,
        now_ns: int,
        record: OrderRecord | None = None,
    ) -> TradeFacts:
        """Turn a match into one trade, and tell both sides and the market channel."""
        self._trade_count += 1
        # The second of the match keeps ids apart between runs, the count within one.
        trade_id = f"{now_ns // NS_PER_SECOND:08x}-0000-4000-8000-{self._trade_count:012x}"
        facts = match_facts(order, outcome, market, result, trade_id, now_ns)
        if record is not None:
            self._taker_placed(record, result, facts, now_ns)
        for fill in result.fills:
            self._maker_filled(fill, facts.trade_id, now_ns)
        self._settlement.start(facts, trade_moves(facts))
        self._news.book_changed(market, result.levels, now_ns)
        self._news.traded(order, outcome, market, result.fills, facts)
        if self.settings.book_after_trade:
            self._news.publish_book(market, now_ns)
        return facts

    def _taker_placed(
        self, record: OrderRecord, result: MatchResult, facts: TradeFacts, now_ns: int
    ) -> None:
        dollar_sized = record.order.budget_micros > 0
        record.matched_micros = facts.cost_micros if dollar_sized else facts.shares_micros
        record.trade_ids.append(facts.trade_id)
        if result.resting_micros == 0 and result.status is not MatchStatus.PARTLY_KILLED:
            self.records.end(record, MATCHED)
        self._changed(record, OrderEventType.PLACEMENT, now_ns)
        if result.status is MatchStatus.PARTLY_KILLED:
            self.records.end(record, CANCELED)
            self._changed(record, OrderEventType.CANCELLATION, now_ns)

    def _maker_filled(self, fill: MatchFill, trade_id: str, now_ns: int) -> None:
        record = self.records.find(fill.maker_order_id)
        if record is None or record.order.account != fill.maker_owner:
            return  # A house order, which may have any id.
        account = self._accounts.get(record.order.account)
        record.matched_micros += fill.shares_micros
        record.trade_ids.append(trade_id)
        given = fill.shares_micros
        if record.order.side is Side.BUY:
            given = cost_micros(record.outcome, fill.up_price_micros, given)
        given = min(given, record.locked_micros)
        self._accounts.unlock(account, lock_asset(record), given)
        record.locked_micros -= given
        if fill.maker_remaining_micros == 0:
            self._unlock(record, account)
            self.records.end(record, MATCHED)
        self._changed(record, OrderEventType.UPDATE, now_ns)

    def _changed(self, record: OrderRecord, kind: OrderEventType, now_ns: int) -> None:
        self._emit(OrderChanged(record.order.account, kind, record.view(), now_ns))

    def _lock(self, record: OrderRecord, account: Account, micros: int) -> None:
        self._accounts.lock(account, lock_asset(record), micros)
        record.locked_micros += micros

    def _unlock(self, record: OrderRecord, account: Account) -> None:
        self._accounts.unlock(account, lock_asset(record), record.locked_micros)
        record.locked_micros = 0

    def _kill_refusal(self, order: PlaceOrder, result: MatchResult) -> Refusal:
        if result.status is MatchStatus.WOULD_CROSS:
            return refusals.POST_ONLY_CROSSES
        return refusals.killed(order.order_id, fok=order.time_in_force is TimeInForce.FOK)


def _matched_reply(order: PlaceOrder, facts: TradeFacts) -> OrderAccepted:
    money, shares = facts.cost_micros, facts.shares_micros
    making, taking = (money, shares) if order.side is Side.BUY else (shares, money)
    return OrderAccepted(order.order_id, "matched", making, taking, (facts.trade_id,))
