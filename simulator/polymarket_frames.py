"""Exchange events as the exact text of the market and user WebSockets (protocol reference C, D).

Text only: who is subscribed to what is the transport's business. ``price_change`` is formatted
by hand because it is sent for every change of every book; the rest is encoded plainly.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

import msgspec

from helpers.clob.wallets import checksum_address
from helpers.domain import MICROS, FillStatus, Message, Outcome, Side
from simulator.accounts import Accounts
from simulator.book_text import book_hash, last_price_text, levels_json
from simulator.exchange_messages import (
    BookChanged,
    BookPublished,
    MakerLeg,
    MarketListing,
    MarketResolved,
    MarketTraded,
    OrderChanged,
    OrderView,
    TickSizeChanged,
    TradeChanged,
)
from simulator.market_state import MarketState
from simulator.order_signing import derive_credentials
from simulator.wire_text import micros_text, milliseconds_text, price_text, seconds_text

OUTCOME_LABELS: Final = {Outcome.UP: "Up", Outcome.DOWN: "Down"}
_HASH_MULTIPLIER: Final = 0x9E3779B97F4A7C15F39CC0605CEDC8341082276B
"""Spreads change numbers over 160 bits: per-level hashes are opaque to clients (C.6)."""
_HASH_MODULUS: Final = 1 << 160
_CHANGES_PER_FRAME_BITS: Final = 12
ADDRESS_CACHE_ENTRIES: Final = 4_096


class MakerOrderRow(Message, frozen=True):
    """One entry of ``maker_orders``, keys as on the wire."""

    asset_id: str
    fee_rate_bps: str
    maker_address: str
    matched_amount: str
    order_id: str
    outcome: str
    owner: str
    price: str
    side: str


class FeeScheduleRow(Message, frozen=True):
    """Gamma's ``feeSchedule``, keys as on the wire."""

    exponent: int
    rate: float
    takerOnly: bool  # noqa: N815 - the wire's name
    rebateRate: float  # noqa: N815 - the wire's name


class MarketFrames:
    """Market-channel texts of one market; remembers the best prices it last sent."""

    def __init__(self, listing: MarketListing) -> None:
        self.listing = listing
        self._best: tuple[int, int] = (0, 0)
        self._head = f'{{"market":"{listing.condition_id}","price_changes":['
        self._up = f'{{"asset_id":"{listing.up_token}","price":"'
        self._down = f'{{"asset_id":"{listing.down_token}","price":"'

    def price_change(self, event: BookChanged) -> str:
        """Return changed levels, each for both tokens, with the best prices after the change."""
        bid, ask = event.best_bid_micros, event.best_ask_micros or MICROS
        up_tail = f'","best_bid":"{price_text(bid)}","best_ask":"{price_text(ask)}"}}'
        down_tail = (
            f'","best_bid":"{price_text(MICROS - ask)}","best_ask":"{price_text(MICROS - bid)}"}}'
        )
        parts: list[str] = []
        number = event.sequence << _CHANGES_PER_FRAME_BITS
        for change in event.changes:
            size = micros_text(change.shares_micros)
            up_side, down_side = ("BUY", "SELL") if change.side is Side.BUY else ("SELL", "BUY")
            number += 2
            parts.append(
                f'{self._up}{price_text(change.price_micros)}","size":"{size}",'
                f'"side":"{up_side}","hash":"{_opaque_hash(number)}{up_tail}'
            )
            parts.append(
                f'{self._down}{price_text(MICROS - change.price_micros)}","size":"{size}",'
                f'"side":"{down_side}","hash":"{_opaque_hash(number + 1)}{down_tail}'
            )
        return (
            f'{self._head}{",".join(parts)}],"timestamp":"{milliseconds_text(event.at_ns)}",'
            '"event_type":"price_change"}'
        )

    def book(self, market: MarketState, outcome: Outcome, at_ns: int) -> str:
        """Return a token's whole book as it is now, as sent on subscription."""
        bids = market.book.levels(outcome, Side.BUY)
        asks = market.book.levels(outcome, Side.SELL)
        return self._book(market, outcome, bids, asks, at_ns, initial=True)

    def books(self, market: MarketState, event: BookPublished) -> tuple[str, str]:
        """Return both tokens' whole books of a moment, as sent after a trade."""
        mirror_bids = tuple((MICROS - price, size) for price, size in event.asks)
        mirror_asks = tuple((MICROS - price, size) for price, size in event.bids)
        return (
            self._book(market, Outcome.UP, event.bids, event.asks, event.at_ns, initial=False),
            self._book(market, Outcome.DOWN, mirror_bids, mirror_asks, event.at_ns, initial=False),
        )

    def best_bid_ask(self, event: BookChanged) -> tuple[str, ...]:
        """Return both tokens' best prices when they changed since the last call, else nothing."""
        best = (event.best_bid_micros, event.best_ask_micros)
        if best == self._best:
            return ()
        self._best = best
        bid, ask = best[0], best[1] or MICROS
        return (
            self._best_text(self.listing.up_token, bid, ask, event.at_ns),
            self._best_text(self.listing.down_token, MICROS - ask, MICROS - bid, event.at_ns),
        )

    def last_trade_price(self, event: MarketTraded) -> str:
        """Return a public trade, from the taker's view."""
        return (
            f'{{"market":"{event.condition_id}","asset_id":"{event.token}",'
            f'"price":"{price_text(event.price_micros)}",'
            f'"size":"{micros_text(event.shares_micros)}","fee_rate_bps":"0",'
            f'"side":"{event.side.value}","timestamp":"{milliseconds_text(event.at_ns)}",'
            f'"event_type":"last_trade_price","transaction_hash":"{event.transaction_hash}"}}'
        )

    def tick_size_change(self, event: TickSizeChanged) -> tuple[str, str]:
        """Return the new tick of both tokens."""
        old, new = micros_text(event.old_micros), micros_text(event.new_micros)
        return (
            self._tick_text(self.listing.up_token, old, new, event.at_ns),
            self._tick_text(self.listing.down_token, old, new, event.at_ns),
        )

    def new_market(self, at_ns: int) -> str:
        """Return the announcement of the market; global, custom feature only."""
        listing = self.listing
        tokens = [listing.up_token, listing.down_token]
        return _encode(
            {
                "event_type": "new_market",
                "id": listing.market_id,
                "question": listing.question,
                "market": listing.condition_id,
                "slug": listing.slug,
                "description": "",
                "assets_ids": tokens,
                "outcomes": list(OUTCOME_LABELS.values()),
                "event_message": {
                    "id": listing.event_id,
                    "ticker": listing.slug,
                    "slug": listing.slug,
                    "title": listing.question,
                    "description": "",
                },
                "timestamp": milliseconds_text(at_ns),
                "tags": ["crypto", "up-or-down"],
                "condition_id": listing.condition_id,
                "active": True,
                "clob_token_ids": tokens,
                "sports_market_type": "",
                "line": "",
                "game_start_time": "",
                "order_price_min_tick_size": micros_text(listing.tick_micros),
                "group_item_title": "",
                "taker_base_fee": "1000",
                "fees_enabled": True,
                "fee_schedule": fee_schedule(listing),
            }
        )

    def market_resolved(self, event: MarketResolved) -> str:
        """Return the outcome of the market; global, custom feature only."""
        listing = self.listing
        return _encode(
            {
                "event_type": "market_resolved",
                "id": listing.market_id,
                "market": listing.condition_id,
                "assets_ids": [listing.up_token, listing.down_token],
                "winning_asset_id": listing.token(event.winner),
                "winning_outcome": OUTCOME_LABELS[event.winner],
                "timestamp": milliseconds_text(event.at_ns),
                "tags": ["crypto", "up-or-down"],
            }
        )

    def _book(
        self,
        market: MarketState,
        outcome: Outcome,
        bids: tuple[tuple[int, int], ...],
        asks: tuple[tuple[int, int], ...],
        at_ns: int,
        *,
        initial: bool,
    ) -> str:
        timestamp = milliseconds_text(at_ns)
        bids_text, asks_text = levels_json(bids), levels_json(asks)
        digest = book_hash(market, outcome, timestamp, bids_text, asks_text)
        extra = ""
        if initial:
            last = last_price_text(market, outcome)
            extra = f'"tick_size":"{micros_text(market.tick_micros)}","last_trade_price":"{last}",'
        return (
            f'{{"market":"{self.listing.condition_id}","asset_id":"{self.listing.token(outcome)}",'
            f'"timestamp":"{timestamp}","hash":"{digest}","bids":{bids_text},"asks":{asks_text},'
            f'{extra}"event_type":"book"}}'
        )

    def _best_text(self, token: str, bid: int, ask: int, at_ns: int) -> str:
        return (
            f'{{"market":"{self.listing.condition_id}","asset_id":"{token}",'
            f'"best_bid":"{price_text(bid)}","best_ask":"{price_text(ask)}",'
            f'"spread":"{price_text(ask - bid)}","timestamp":"{milliseconds_text(at_ns)}",'
            '"event_type":"best_bid_ask"}'
        )

    def _tick_text(self, token: str, old: str, new: str, at_ns: int) -> str:
        return (
            f'{{"asset_id":"{token}","event_type":"tick_size_change",'
            f'"market":"{self.listing.condition_id}","new_tick_size":"{new}",'
            f'"old_tick_size":"{old}","timestamp":"{milliseconds_text(at_ns)}"}}'
        )


class UserFrames:
    """User-channel texts; needs the accounts only for addresses and key ids."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def order(self, event: OrderChanged) -> str:
        """Return an order event (reference D.2)."""
        order = event.order
        owner = self.owner_key(event.account)
        return _encode(
            {
                "asset_id": order.token,
                "associate_trades": list(order.trade_ids) or None,
                "created_at": seconds_text(order.created_ns),
                "event_type": "order",
                "expiration": expiration_text(order),
                "id": order.order_id,
                "maker_address": self.address(event.account),
                "market": order.condition_id,
                "order_owner": owner,
                "order_type": order.time_in_force.value,
                "original_size": micros_text(order.original_micros),
                "outcome": OUTCOME_LABELS[order.outcome],
                "owner": owner,
                "price": price_text(order.price_micros),
                "side": order.side.value,
                "size_matched": micros_text(order.matched_micros),
                "status": order.status,
                "timestamp": milliseconds_text(event.at_ns),
                "type": event.kind.value,
            }
        )

    def trade(self, event: TradeChanged) -> str:
        """Return a trade event; to a maker, too, the top level is the taker's view (D.4)."""
        facts = event.facts
        taker_key = self.owner_key(facts.taker)
        return _encode(
            {
                "asset_id": facts.token,
                "bucket_index": 0,
                "event_type": "trade",
                "fee_rate_bps": "0",
                "id": facts.trade_id,
                "last_update": seconds_text(event.at_ns),
                "maker_address": self.address(facts.taker),
                "maker_orders": [self.maker_order(leg) for leg in facts.makers],
                "market": facts.condition_id,
                "match_time": seconds_text(facts.matched_ns),
                "outcome": OUTCOME_LABELS[facts.outcome],
                "owner": taker_key,
                "price": price_text(facts.price_micros),
                "side": facts.side.value,
                "size": micros_text(facts.shares_micros),
                "status": event.status.value,
                "taker_order_id": facts.taker_order_id,
                "timestamp": milliseconds_text(event.at_ns),
                "trade_owner": taker_key,
                "trader_side": "MAKER" if event.maker else "TAKER",
                "transaction_hash": settled_hash(event),
                "type": "TRADE",
            }
        )

    def maker_order(self, leg: MakerLeg) -> MakerOrderRow:
        """Return one entry of ``maker_orders``, in the maker's own token and price."""
        return MakerOrderRow(
            asset_id=leg.token,
            fee_rate_bps="0",
            maker_address=self.address(leg.account),
            matched_amount=micros_text(leg.shares_micros),
            order_id=leg.order_id,
            outcome=OUTCOME_LABELS[leg.outcome],
            owner=self.owner_key(leg.account),
            price=price_text(leg.price_micros),
            side=leg.side.value,
        )

    def address(self, name: str) -> str:
        """Return an account's wallet address, a made one for accounts without a wallet."""
        account = self._accounts.find(name)
        if account is not None and account.maker_address.startswith("0x"):
            return account.maker_address
        return _made_address(name)

    def owner_key(self, name: str) -> str:
        """Return an account's first API key, a made one for accounts without keys."""
        account = self._accounts.find(name)
        if account is not None and account.api_keys:
            return account.api_keys[0]
        return _made_key(name)


def settled_hash(event: TradeChanged) -> str:
    """Return a trade's transaction hash once it was broadcast, before that nothing."""
    return "" if event.status is FillStatus.MATCHED else event.facts.transaction_hash


def expiration_text(order: OrderView) -> str:
    """Return an order's stated expiry in seconds, ``0`` when it has none."""
    return seconds_text(order.expires_ns)


def fee_schedule(listing: MarketListing) -> FeeScheduleRow:
    """Return Gamma's ``feeSchedule`` object."""
    return FeeScheduleRow(
        exponent=listing.fee_exponent,
        rate=listing.fee_rate_ppm / MICROS,
        takerOnly=listing.fee_taker_only,
        rebateRate=listing.rebate_rate_ppm / MICROS,
    )


def _encode(body: dict[str, object]) -> str:
    return msgspec.json.encode(body).decode()


def _opaque_hash(number: int) -> str:
    return f"{number * _HASH_MULTIPLIER % _HASH_MODULUS:040x}"


@lru_cache(maxsize=ADDRESS_CACHE_ENTRIES)
def _made_address(name: str) -> str:
    return checksum_address(hashlib.sha256(name.encode()).digest()[:20])


@lru_cache(maxsize=ADDRESS_CACHE_ENTRIES)
def _made_key(name: str) -> str:
    return derive_credentials(name, 0).api_key
