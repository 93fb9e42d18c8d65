"""What is heard beside the worker: what the venue said and when, what was on its disk, what it got.

The taps stand where the outside world touches the worker, and on its journal's two calls; they
change nothing. Invariants are judged by what they noted, never by what the worker thinks.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from db.journal import Journal
from helpers.commands.trading_worker import Worker
from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    Approved,
    Asset,
    Body,
    Decision,
    Fill,
    FillStatus,
    MarketSeen,
    OrderSigned,
    Outcome,
    Refused,
    Side,
    Source,
    StrikeSeen,
    Unsized,
)
from helpers.feeds.rest_lines import read_rest_line
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    ExchangeEvent,
    OrderChanged,
    OrderReply,
    TradeChanged,
)
from simulator.world_settings import WALLET

STAMP_TOLERANCE_NS: Final = 4 * NS_PER_SECOND
"""How far the venue's clock may be wrong in these runs, and some to spare."""
PRICES_KEPT: Final = 4_096
SHOWN_SECONDS: Final = 45.0
"""A paper order may meet a level that was shown so long ago: after a gap nobody knows better."""
UNINTERESTING: Final = (Decision, Refused, Unsized, StrikeSeen)
"""Rows that say nothing about money: dying at them is dying at a random instant."""
_FAST_ASSET: Final = re.compile(
    r'"stream":"([a-z]+)usdt@(?:bookTicker|depth20)|"product_id":"([A-Z]+)-USD"'
)
_FAST_STAMP: Final = re.compile(r'"E":(\d{13})')


class Killed(BaseException):
    """The process is dead: nothing of it goes on, whatever it catches."""


class Shown(NamedTuple):
    """Best prices of a token at one moment, in micro-dollars; 0 where there was none."""

    at_ns: int
    bid_micros: int
    ask_micros: int


class Ages(NamedTuple):
    """How long ago the venue had last spoken of what an intent is about, in seconds."""

    up: float
    down: float
    fast: float


class WireTap:
    """What the feeds brought the worker, read by itself."""

    def __init__(self) -> None:
        self.spoken_ns: dict[str, int] = {}
        """Of each token, when what was last told of its book was true."""
        self.fast_ns: dict[Asset, int] = {}
        self.shown: dict[str, deque[Shown]] = {}
        self._fresh: list[tuple[str, Shown]] = []

    def frame_taken(self) -> None:
        """Count the last frame's prices as shown: orders due before it were filled before it."""
        for token, fresh in self._fresh:
            shown = self.shown.setdefault(token, deque(maxlen=PRICES_KEPT))
            if not shown or shown[-1][1:] != fresh[1:]:
                shown.append(fresh)
        self._fresh.clear()

    def note(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        """Read a frame that the worker is about to take."""
        if source is Source.POLYMARKET_MARKET:
            self._note_market(raw, received_ns)
        elif source is Source.CLOB_REST:
            line = read_rest_line(raw)
            if line is not None and line.path.startswith("/book"):
                self._note_market(bytes(line.body), received_ns)
        elif source in (Source.BINANCE_PUBLIC, Source.BINANCE_SPOT, Source.COINBASE):
            self._note_fast(raw if isinstance(raw, str) else raw.decode(), received_ns)

    def _note_fast(self, text: str, received_ns: int) -> None:
        found = _FAST_ASSET.search(text)
        if found is None:
            return
        stamp = _FAST_STAMP.search(text)
        asset = Asset((found[1] or found[2]).upper())
        at_ns = _true_ns(stamp[1] if stamp else "", received_ns)
        self.fast_ns[asset] = max(self.fast_ns.get(asset, 0), at_ns)

    def _note_market(self, raw: str | bytes, received_ns: int) -> None:
        try:
            found: Any = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return  # PONG, or what a fault made of it
        for message in found if isinstance(found, list) else [found]:
            kind = message.get("event_type", "book") if isinstance(message, dict) else ""
            if kind == "book" and "bids" in message:
                bids = [_micros(level["price"]) for level in message["bids"]]
                asks = [_micros(level["price"]) for level in message["asks"]]
                token = message["asset_id"]
                self._note_book(token, received_ns, max(bids, default=0), min(asks, default=0))
            elif kind == "price_change":
                at_ns = _true_ns(message["timestamp"], received_ns)
                for change in message["price_changes"]:
                    best = _micros(change["best_bid"]), _micros(change["best_ask"])
                    self._note_book(change["asset_id"], at_ns, *best)

    def _note_book(self, token: str, at_ns: int, bid: int, ask: int) -> None:
        self.spoken_ns[token] = max(self.spoken_ns.get(token, 0), at_ns)
        self._fresh.append((token, Shown(at_ns, bid, ask)))

    def best_shown(self, token: str, side: Side, now_ns: int) -> int:
        """Return the best price lately shown to who buys, or to who sells; 0 for none."""
        since_ns = now_ns - round(SHOWN_SECONDS * NS_PER_SECOND)
        seen = self.shown.get(token, ())
        recent = [shown for shown in seen if shown.at_ns >= since_ns]
        older = [shown for shown in seen if shown.at_ns < since_ns][-1:]
        if side is Side.BUY:
            asks = [shown.ask_micros for shown in (*older, *recent) if shown.ask_micros]
            return min(asks, default=0)
        return max((shown.bid_micros for shown in (*older, *recent)), default=0)


class VenueTap:
    """What reached the exchange from the worker's wallet, and what came of it there."""

    def __init__(self, exchange: Exchange, journals: JournalTap) -> None:
        self.orders: dict[str, int] = {}
        """Every order of ours the exchange ever had, and when it was first seen."""
        self.traded: dict[str, set[str]] = {}
        """Trades by order of ours."""
        self.arrivals: Counter[str] = Counter()
        """How often an order with a sound signature reached the exchange."""
        self.undurable: list[str] = []
        """Orders that reached it before their rows were with the system."""
        self._journals = journals
        self._place = exchange.place_signed
        exchange.place_signed = self._arrives  # type: ignore[method-assign]

    def _arrives(self, *arguments: Any, **named: Any) -> OrderReply:
        reply = self._place(*arguments, **named)
        if not reply.order_id:
            return reply  # refused before anybody looked at the order
        self.arrivals[reply.order_id] += 1
        if reply.order_id not in self._journals.signed:
            self.undurable.append(reply.order_id)
        return reply

    def note(self, events: Sequence[ExchangeEvent]) -> None:
        """Take what happened."""
        for event in events:
            if isinstance(event, OrderChanged) and event.account == WALLET:
                self.orders.setdefault(event.order.order_id, event.at_ns)
            elif isinstance(event, TradeChanged) and event.account == WALLET:
                facts = event.facts
                ours = [leg.order_id for leg in facts.makers if leg.account == WALLET]
                if facts.taker == WALLET:
                    ours.append(facts.taker_order_id)
                for order_id in ours:
                    self.traded.setdefault(order_id, set()).add(facts.trade_id)


class JournalTap:
    """What the journals of a run were given, and what of it outlives the process."""

    def __init__(self, wire: WireTap) -> None:
        self.wire = wire
        self.signed: set[str] = set()
        """Orders whose row, and the approval before it, are with the system."""
        self.ages: dict[str, Ages] = {}
        """Of each approved intent, at that moment."""
        self.paper_prices: dict[tuple[str, str], tuple[Fill, int]] = {}
        """First sight of each paper trade by a taker, and the best price lately shown."""
        self._markets: dict[str, MarketSeen] = {}

    def note(self, at_ns: int, body: Body) -> None:
        """Look at what the world was like when a row was written."""
        if isinstance(body, MarketSeen):
            self._markets[body.slug] = body
        elif isinstance(body, Approved):
            market = self._markets[body.intent.market]
            spoken = self.wire.spoken_ns
            self.ages[body.intent.intent_id] = Ages(
                (at_ns - spoken.get(market.up_token, 0)) / NS_PER_SECOND,
                (at_ns - spoken.get(market.down_token, 0)) / NS_PER_SECOND,
                (at_ns - self.wire.fast_ns.get(market.asset, 0)) / NS_PER_SECOND,
            )
        elif isinstance(body, Fill) and body.status is FillStatus.MATCHED and not body.maker:
            market = self._markets[body.market]
            token = market.up_token if body.outcome is Outcome.UP else market.down_token
            best = self.wire.best_shown(token, body.side, at_ns)
            self.paper_prices.setdefault((body.trade_id, body.order_id), (body, best))


class WatchedJournal(Journal):
    """The ordinary journal of a process that can die at a row, as SIGKILL would have it."""

    tap: JournalTap
    deadly_row = 0
    before_row = False
    dead = False
    _rows = 0
    _waiting: list[str]

    def watch(self, tap: JournalTap, deadly_row: int, *, before_row: bool) -> None:
        """Note everything in a tap; die before or after a row that says something about money."""
        self.tap = tap
        self.deadly_row = deadly_row
        self.before_row = before_row
        self._waiting = []

    def append(self, at_ns: int, market: str, body: Body) -> int:
        """Add a row, or die."""
        self._require_alive()
        self._rows += not isinstance(body, UNINTERESTING)
        deadly = self._rows == self.deadly_row and not isinstance(body, UNINTERESTING)
        if deadly and self.before_row:
            self.die()
        seq = super().append(at_ns, market, body)
        self.tap.note(at_ns, body)
        if isinstance(body, OrderSigned):
            self._waiting.append(body.order_id)
        if deadly:
            self.commit()
            self.die()
        return seq

    def commit(self) -> None:
        """Hand every row to the system, or be dead."""
        self._require_alive()
        super().commit()
        self.tap.signed.update(self._waiting)
        self._waiting.clear()

    def die(self) -> None:
        """Lose what was not handed over; every later call finds the process dead."""
        self._buffer.clear()
        self._waiting.clear()
        self.dead = True
        raise Killed

    def bury(self) -> None:
        """Let go of the files of a dead process."""
        self.dead = False
        self.close()

    def _require_alive(self) -> None:
        if self.dead:
            raise Killed


class WatchedWorker(Worker):
    """The ordinary worker; what its feeds bring is noted beside it."""

    wire: WireTap

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        """Let the tap have a frame, and take it; only then are its prices shown."""
        self.wire.note(source, raw, received_ns)
        super().on_frame(source, raw, received_ns)
        self.wire.frame_taken()


def _true_ns(stamp: str, received_ns: int) -> int:
    if not stamp:
        return received_ns
    return min(received_ns, int(stamp) * NS_PER_MS + STAMP_TOLERANCE_NS)


def _micros(price: str) -> int:
    return round(float(price) * MICROS)
