"""The simulated venue: markets, orders, phases, resolution, redemption; one object, no I/O.

Deterministic: every time is an argument, every outward fact is an event in the order it happened.
Transports drain the events and turn them into frames; in-process users read them as they are.

    exchange = Exchange(ExchangeSettings())
    exchange.list_market(listing, now_ns)
    exchange.accounts.open("me"); exchange.accounts.deposit("me", COLLATERAL, 100_000_000, now_ns)
    reply = exchange.place(PlaceOrder(...), now_ns)
    exchange.advance(now_ns)        # before anything else happens at a later moment
    events = exchange.drain()
"""

from __future__ import annotations

from functools import partial
from typing import Final

from helpers.domain import MICROS, Outcome
from simulator import refusals
from simulator.accounts import Accounts
from simulator.agenda import Agenda
from simulator.dead_man import DeadMan
from simulator.exchange_messages import (
    COLLATERAL,
    CancelReply,
    ExchangeEvent,
    ExchangeSettings,
    HeartbeatAccepted,
    HeartbeatMismatch,
    MarketListed,
    MarketListing,
    MarketResolved,
    OrderReply,
    OrderView,
    Phase,
    PhaseChanged,
    PlaceOrder,
    Refusal,
    SettlementStep,
    TradeChanged,
)
from simulator.market_state import MarketState
from simulator.matching import RestingOrder, TimeInForce
from simulator.order_entry import OrderEntry
from simulator.order_records import CANCELED, DELAYED, OrderRecord, lock_asset
from simulator.order_signing import SignedOrder
from simulator.settlement import CONTRACT, VENUE, Settlement
from simulator.signed_entry import check_signed

BATCH_ORDERS_MAX: Final = 15
"""Orders of one POST /orders (reference B.2)."""
REBATE_MINIMUM_MICROS: Final = MICROS
"""Rebates under a dollar are carried over (reference G.5)."""


class Exchange:
    """The venue's state and everything that may be asked of it."""

    def __init__(self, settings: ExchangeSettings | None = None) -> None:
        self.settings = settings or ExchangeSettings()
        self.agenda = Agenda()
        self.accounts = Accounts(self.settings.balance_cache_lag_ns)
        self._events: list[ExchangeEvent] = []
        self.settlement = Settlement(
            self.accounts, self.agenda, self._emit, self.settings.settlement
        )
        self.settlement.on_revert(self._cancel_uncovered)
        self._entry = OrderEntry(
            self.settings, self.accounts, self.agenda, self.settlement, self._emit
        )
        deadline_ns = self.settings.heartbeat_timeout_ns + self.settings.heartbeat_slack_ns
        self._dead_man = DeadMan(self.agenda, deadline_ns, self._heartbeat_expired)
        self._markets: dict[str, MarketState] = {}
        self._rebates: dict[str, int] = {}
        self.accounts.open(VENUE, house=True)
        self.accounts.open(CONTRACT, house=True)

    # Time and events.

    def advance(self, now_ns: int) -> None:
        """Do everything due up to now: releases, ladder steps, expiries, heartbeats, phases."""
        self.agenda.run(now_ns)
        self.accounts.advance(now_ns)

    def next_due_ns(self) -> int | None:
        """Return when ``advance`` next has something to do, or ``None``."""
        dues = [due for due in (self.agenda.next_due_ns(), self.accounts.next_due_ns()) if due]
        return min(dues, default=None)

    def drain(self) -> tuple[ExchangeEvent, ...]:
        """Return what happened since the last call, in order."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def _emit(self, event: ExchangeEvent) -> None:
        self._events.append(event)

    # Markets.

    def list_market(self, listing: MarketListing, now_ns: int) -> None:
        """Create a market; raise ``ValueError`` when its condition or a token exists already."""
        tokens = (listing.up_token, listing.down_token)
        if listing.condition_id in self._markets or any(t in self._entry.tokens for t in tokens):
            raise ValueError(f"market {listing.slug} existed already, expected new ids")
        market = MarketState(listing)
        self._markets[listing.condition_id] = market
        self._entry.tokens[listing.up_token] = (market, Outcome.UP)
        self._entry.tokens[listing.down_token] = (market, Outcome.DOWN)
        self._emit(MarketListed(listing, now_ns))

    def market(self, condition_id: str) -> MarketState:
        """Return a market, for reading only; raise ``KeyError`` when it is unknown."""
        return self._markets[condition_id]

    def markets(self) -> tuple[MarketState, ...]:
        """Return all markets that were not retired, oldest first."""
        return tuple(self._markets.values())

    def market_of_token(self, token: str) -> tuple[MarketState, Outcome] | None:
        """Return the market and outcome of a token, or ``None``."""
        return self._entry.tokens.get(token)

    def resolve(self, condition_id: str, winner: Outcome, now_ns: int) -> None:
        """Resolve a market once: orders are cancelled, the book is gone, the winner pays 1."""
        market = self._markets[condition_id]
        if market.resolved:
            return
        self._entry.clear_book(market, "CANCELED_MARKET_RESOLVED", now_ns)
        market.winner = winner
        market.resolved_ns = now_ns
        self._emit(MarketResolved(condition_id, winner, now_ns))

    def retire(self, condition_id: str, now_ns: int) -> None:
        """Forget a resolved and settled market, so that memory stays flat.

        Whoever still holds its winner is paid, as the venue's auto-redeem does (reference H.5).
        Raises ``ValueError`` while it trades or a trade of it is on its way.
        """
        market = self._markets[condition_id]
        if not market.resolved or not self.settlement.is_settled(condition_id):
            raise ValueError(
                f"market {market.listing.slug} was open or unsettled, expected resolved and settled"
            )
        self._collect_rebates(market)
        for name in self.accounts.names():
            self._pay_out(market, name, now_ns)
        for token in (market.listing.up_token, market.listing.down_token):
            self.accounts.forget(token)
            del self._entry.tokens[token]
        del self._markets[condition_id]

    # Orders.

    def place(self, order: PlaceOrder, now_ns: int) -> OrderReply:
        """Place an order that needs no signature; raise ``KeyError`` for an unknown account."""
        return self._entry.place(order, now_ns)

    def place_signed(
        self,
        order: SignedOrder,
        owner_key: str,
        request_key: str,
        time_in_force: TimeInForce,
        *,
        post_only: bool,
        now_ns: int,
    ) -> OrderReply:
        """Verify a signed order and place it; its id is its EIP-712 hash (reference B.3, J.3).

        ``owner_key`` is the body's owner, ``request_key`` the key that authenticated the request.
        """
        translated = check_signed(
            order,
            owner_key,
            request_key,
            time_in_force,
            self.accounts,
            self._entry.tokens,
            post_only=post_only,
        )
        if isinstance(translated, Refusal):
            return translated
        return self._entry.place(translated, now_ns)

    def cancel(
        self, account: str, order_ids: tuple[str, ...], now_ns: int
    ) -> CancelReply | Refusal:
        """Cancel some orders of an account; what cannot be is answered with the reason."""
        refusal = refusals.cancel_refusal(self._entry.phase)
        if refusal is not None:
            return refusal
        canceled: list[str] = []
        kept: list[tuple[str, str]] = []
        for order_id in order_ids:
            record = self._entry.records.find(order_id)
            if record is None or record.order.account != account:
                kept.append((order_id, refusals.NOT_CANCELED))
            elif record.status == DELAYED:
                kept.append((order_id, refusals.HELD))
            elif self._entry.cancel(record, CANCELED, now_ns):
                canceled.append(order_id)
            else:
                kept.append((order_id, refusals.NOT_CANCELED))
        return CancelReply(tuple(canceled), tuple(kept))

    def cancel_all(
        self, account: str, now_ns: int, *, condition_id: str = "", token: str = ""
    ) -> CancelReply | Refusal:
        """Cancel every resting order of an account, of one market or token if named."""
        wanted = tuple(
            record.order.order_id
            for record in self._entry.records.open_of(account)
            if record.status != DELAYED
            and condition_id in ("", record.market.listing.condition_id)
            and token in ("", record.order.token)
        )
        return self.cancel(account, wanted, now_ns)

    def cancel_house(self, condition_id: str, order_id: str, now_ns: int) -> bool:
        """Cancel a house order; ``False`` when it does not rest or the engine takes no cancels."""
        if refusals.cancel_refusal(self._entry.phase) is not None:
            return False
        return self._entry.cancel_house(self._markets[condition_id], order_id, now_ns)

    def house_orders(self, condition_id: str) -> tuple[RestingOrder, ...]:
        """Return the resting orders of background makers in a market."""
        book = self._markets[condition_id].book
        resting = (book.order(order_id) for order_id in book.order_ids())
        return tuple(order for order in resting if order and self.accounts.get(order.owner).house)

    def force_tick(self, tick_micros: int, now_ns: int) -> None:
        """Make every open market's tick this one; 0 gives it back to the prices (C.4)."""
        for market in self._markets.values():
            if not market.resolved:
                self._entry.force_tick(market, tick_micros, now_ns)

    def open_orders(self, account: str) -> tuple[OrderView, ...]:
        """Return an account's resting orders, oldest first (held ones are not shown yet)."""
        return tuple(
            record.view()
            for record in self._entry.records.open_of(account)
            if record.status != DELAYED
        )

    def order(self, account: str, order_id: str) -> OrderView | None:
        """Return an order of an account while it is active, else ``None`` (reference B.2)."""
        record = self._entry.records.find(order_id)
        if record is None or record.order.account != account:
            return None
        return record.view() if self._entry.records.is_open(record) else None

    def trades(self, account: str) -> tuple[TradeChanged, ...]:
        """Return an account's trades as they stand, oldest first."""
        return self.settlement.trades(account)

    def trade(self, account: str, trade_id: str) -> TradeChanged | None:
        """Return one trade of an account, or ``None``."""
        return self.settlement.trade(account, trade_id)

    def script_settlements(self, *ladders: tuple[SettlementStep, ...]) -> None:
        """Give the coming trades of customers these ladders instead of the ordinary one."""
        self.settlement.script(ladders)

    def heartbeat(
        self, account: str, heartbeat_id: str, now_ns: int
    ) -> HeartbeatAccepted | HeartbeatMismatch:
        """Put an account's dead-man deadline off (reference I)."""
        return self._dead_man.beat(account, heartbeat_id, now_ns)

    # Phases.

    @property
    def phase(self) -> Phase:
        """Return the state of the matching engine."""
        return self._entry.phase

    def set_phase(self, phase: Phase, now_ns: int, until_ns: int = 0) -> None:
        """Enter a phase; with ``until_ns`` the engine returns to normal by itself."""
        self._entry.phase = phase
        self._entry.phase_until_ns = until_ns
        self._emit(PhaseChanged(phase, now_ns))
        if until_ns:
            self.agenda.at(until_ns, partial(self._phase_over, phase, until_ns))

    def restart(self, now_ns: int, duration_ns: int) -> None:
        """Restart the engine: 425 meanwhile, then two minutes of post-only mode."""
        self.set_phase(Phase.RESTARTING, now_ns, now_ns + duration_ns)

    def _phase_over(self, phase: Phase, until_ns: int, now_ns: int) -> None:
        if self._entry.phase is not phase or self._entry.phase_until_ns != until_ns:
            return  # Another phase was set meanwhile.
        if phase is Phase.RESTARTING:
            self.set_phase(
                Phase.POST_ONLY, now_ns, now_ns + self.settings.post_only_after_restart_ns
            )
        else:
            self.set_phase(Phase.NORMAL, now_ns)

    # Positions.

    def redeem(self, account: str, condition_id: str, now_ns: int) -> int:
        """Turn both tokens of a resolved market into dollars; return the payout in micros.

        Idempotent: what was redeemed is gone, so a second call pays 0. Raises ``ValueError`` while
        the market has no outcome.
        """
        market = self._markets[condition_id]
        if market.winner is None:
            raise ValueError(f"market {market.listing.slug} was open, expected a resolved one")
        return self._pay_out(market, account, now_ns)

    def split(self, account: str, condition_id: str, micros: int, now_ns: int) -> None:
        """Turn dollars into as many shares of both tokens; raise ``ValueError`` when short."""
        owner = self.accounts.get(account)
        if not owner.house and owner.free_micros(COLLATERAL) < micros:
            raise ValueError(f"free dollars were under {micros} micros, expected enough to split")
        self._pay(account, CONTRACT, micros, now_ns)
        for outcome in Outcome:
            token = self._markets[condition_id].listing.token(outcome)
            self.accounts.credit(owner, token, micros, now_ns)

    def merge(self, account: str, condition_id: str, micros: int, now_ns: int) -> None:
        """Turn shares of both tokens into dollars (H.6); raise ``ValueError`` when short."""
        owner = self.accounts.get(account)
        tokens = [self._markets[condition_id].listing.token(outcome) for outcome in Outcome]
        if not owner.house and any(owner.free_micros(token) < micros for token in tokens):
            raise ValueError(f"free shares were under {micros} micros, expected enough to merge")
        for token in tokens:
            self.accounts.debit(owner, token, micros)
        self._pay(CONTRACT, account, micros, now_ns)

    def pay_rebates(self, now_ns: int) -> tuple[tuple[str, int], ...]:
        """Pay makers their share of taker fees; the venue does it once a day (reference G.5)."""
        for market in self._markets.values():
            self._collect_rebates(market)
        paid = tuple(
            (name, due) for name, due in self._rebates.items() if due >= REBATE_MINIMUM_MICROS
        )
        for name, due in paid:
            del self._rebates[name]
            self._pay(VENUE, name, due, now_ns)
        return paid

    def _pay_out(self, market: MarketState, account: str, now_ns: int) -> int:
        owner = self.accounts.get(account)
        payout = 0
        for outcome in Outcome:
            token = market.listing.token(outcome)
            shares = owner.holding(token).total_micros
            if shares > 0 or owner.house:  # A house's short shares are paid for, too.
                self.accounts.debit(owner, token, shares)
                self.accounts.update(account, token)
                payout += shares if outcome is market.winner else 0
        self._pay(CONTRACT, account, payout, now_ns)
        return payout

    def _collect_rebates(self, market: MarketState) -> None:
        for name, due in market.take_rebates():
            self._rebates[name] = self._rebates.get(name, 0) + due

    def _pay(self, payer: str, payee: str, micros: int, now_ns: int) -> None:
        if micros:
            self.accounts.debit(self.accounts.get(payer), COLLATERAL, micros)
            self.accounts.credit(self.accounts.get(payee), COLLATERAL, micros, now_ns)

    def _heartbeat_expired(self, account: str, now_ns: int) -> None:
        # An engine that takes no cancels cannot do this one either (reference I: not guaranteed).
        self.cancel_all(account, now_ns)

    def _cancel_uncovered(self, account: str, now_ns: int) -> None:
        """Cancel orders whose cover a FAILED trade took away, newest first."""
        owner = self.accounts.get(account)
        for record in reversed(self._entry.records.open_of(account)):
            if record.status != DELAYED and self._uncovered(owner.name, record):
                self._entry.cancel(record, "CANCELED_NOT_ENOUGH_BALANCE", now_ns)

    def _uncovered(self, account: str, record: OrderRecord) -> bool:
        return self.accounts.get(account).holding(lock_asset(record)).free_micros < 0
