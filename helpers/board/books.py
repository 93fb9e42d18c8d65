"""Outcome books: one integer price grid per token and side, owned here and shown as frozen views.

Up and Down are separate books; neither is ever derived from the other (I27).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from helpers.board.anomalies import Anomalies
from helpers.board.clock_offset import ClockOffset
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    BestPrices,
    BookChange,
    BookLevels,
    BookProblem,
    BookSnapshot,
    BookView,
    LevelChange,
    Side,
)

VIEW_LEVELS: Final = 5
"""Levels a side in a view: as many as the widest feature reads."""
WALK_TICKS: Final = 24
"""Empty ticks the best price steps over before a scan of the side is cheaper."""
OVERLAP_NS: Final = 2 * NS_PER_SECOND
"""Two sockets that overlap during a reconnect differ by less; a snapshot that comes later than
this after the last change is no relic of the slower socket, whatever its stamp."""
SUSPECT_AGAIN_NS: Final = 5 * NS_PER_SECOND
"""A book that is still unsynchronised is named again after this long, should a refetch fail."""
NO_BID: Final = 0
NO_ASK: Final = MICROS
"""An empty side's best price: as the venue says it, and never crossed."""
FINEST_TICK_MICROS: Final = 100
"""The finest grid the venue has (0.0001); any other tick is an unknown fact, and nothing fits."""
GRIDS_KEPT: Final = 16
"""The venue has six ticks; what it may yet invent is not kept for ever."""


@lru_cache(GRIDS_KEPT)
def price_grid(tick_micros: int) -> Mapping[float, int]:
    """Return every price of a grid, as the wire's decimal decodes, with its micros.

    One look-up both converts a price and proves it on the grid. Empty for a tick we do not know.
    """
    if tick_micros < FINEST_TICK_MICROS or MICROS % tick_micros:
        return {}
    # The quotient of two exact integers is the float nearest to the decimal, as parsing gives.
    return {price / MICROS: price for price in range(tick_micros, MICROS, tick_micros)}


class OutcomeBook:
    """One token's book."""

    __slots__ = (
        "ask_price",
        "asks",
        "best_ask",
        "best_bid",
        "bid_price",
        "bids",
        "grid",
        "received_ns",
        "snapshot_ns",
        "step_micros",
        "suspected_ns",
        "synchronised",
        "tick_micros",
        "token",
        "venue_ns",
    )

    def __init__(self, token: str, tick_micros: int) -> None:
        self.token = token
        self.tick_micros = tick_micros
        self.step_micros = tick_micros
        """What best prices step by: the tick, or finer while the book holds finer levels."""
        self.grid = price_grid(tick_micros)
        self.bids: dict[int, float] = {}
        self.asks: dict[int, float] = {}
        self.best_bid = NO_BID
        self.best_ask = NO_ASK
        self.bid_price = 0.0
        self.ask_price = 1.0
        """Best prices in dollars, as the venue's own are compared without a conversion."""
        self.venue_ns = 0
        self.received_ns = 0
        self.snapshot_ns = 0
        """When the newest snapshot was received: it shows the book as it was then."""
        self.suspected_ns = 0
        self.synchronised = False

    def set_tick(self, tick_micros: int) -> None:
        """Take another grid; levels of the old one must be replaced by the caller."""
        self.tick_micros = tick_micros
        self.set_step(tick_micros)

    def set_step(self, step_micros: int) -> None:
        """Believe prices on another grid than the tick's (0 keeps none)."""
        self.step_micros = step_micros
        self.grid = price_grid(step_micros)

    def problem(self) -> BookProblem:
        """Return why the book must not be traded on."""
        if not self.synchronised:
            return BookProblem.UNSYNCHRONISED
        if not self.bids or not self.asks:
            return BookProblem.ONE_SIDED if self.bids or self.asks else BookProblem.EMPTY
        return BookProblem.CROSSED if self.best_bid >= self.best_ask else BookProblem.NONE

    def true_ns(self, offset_ns: int) -> int:
        """Return when, on our clock, the newest content was true; 0 before any."""
        if not self.venue_ns:
            return self.received_ns
        return max(self.snapshot_ns, min(self.received_ns, self.venue_ns + offset_ns))

    def top(self, side: Side, depth: int) -> BookLevels:
        """Return up to ``depth`` levels resting on a side, best first, in exact micro-shares."""
        bids = side is Side.BUY
        levels = self.bids if bids else self.asks
        tick = -self.step_micros if bids else self.step_micros
        price = self.best_bid if bids else self.best_ask
        found: list[tuple[int, int]] = []
        wanted = min(depth, len(levels))
        for _ in range(wanted + WALK_TICKS):
            if len(found) == wanted:
                return tuple(found)
            size = levels.get(price)
            if size is not None:
                found.append((price, int(size * 1e6 + 0.5)))
            price += tick
        ordered = sorted(levels, reverse=bids)[:wanted]
        return tuple((price, int(levels[price] * 1e6 + 0.5)) for price in ordered)

    def view(self, now_ns: int, offset_ns: int) -> BookView:
        """Return the best five levels, the age of the venue's data, and what is wrong."""
        true_ns = self.true_ns(offset_ns)
        return BookView(
            bids=self.top(Side.BUY, VIEW_LEVELS),
            asks=self.top(Side.SELL, VIEW_LEVELS),
            tick_micros=self.tick_micros,
            age_seconds=(now_ns - true_ns) / NS_PER_SECOND if true_ns else float("inf"),
            problem=self.problem(),
        )

    def find_best_bid(self) -> None:
        """Step the best bid down to the next level, from where it was."""
        bids = self.bids
        price = self.best_bid
        tick = self.step_micros
        for _ in range(WALK_TICKS):
            if price in bids:
                break
            price -= tick
        else:
            price = max(bids, default=NO_BID)
        self.best_bid = price
        self.bid_price = price / MICROS

    def find_best_ask(self) -> None:
        """Step the best ask up to the next level, from where it was."""
        asks = self.asks
        price = self.best_ask
        tick = self.step_micros
        for _ in range(WALK_TICKS):
            if price in asks:
                break
            price += tick
        else:
            price = min(asks, default=NO_ASK)
        self.best_ask = price
        self.ask_price = price / MICROS


class Books:
    """All outcome books, by token."""

    __slots__ = ("_anomalies", "_clock", "_doubts", "_suspects", "by_token")

    def __init__(self, clock: ClockOffset, seen: Anomalies) -> None:
        self._clock = clock
        self._anomalies = seen
        self._suspects: dict[str, None] = {}
        self._doubts: dict[str, BestPrices] = {}
        self.by_token: dict[str, OutcomeBook] = {}
        # 1.4 ms and 0.9 MB, which else the first frame with so fine a price would wait for.
        price_grid(FINEST_TICK_MICROS)

    def open(self, token: str, tick_micros: int) -> None:
        """Keep a book for a token; one that exists keeps its levels (I14)."""
        book = self.by_token.get(token)
        if book is None:
            self.by_token[token] = OutcomeBook(token, tick_micros)

    def forget(self, token: str) -> None:
        """Drop a token's book."""
        self.by_token.pop(token, None)
        self._suspects.pop(token, None)
        self._doubts.pop(token, None)

    def drain_suspects(self) -> tuple[str, ...]:
        """Return, once, the tokens whose book must be fetched anew."""
        self.settle_doubts()
        suspects = tuple(self._suspects)
        self._suspects.clear()
        return suspects

    def snapshot(self, event: BookSnapshot) -> None:
        """Replace a book, unless it comes from the slower of two sockets."""
        book = self.by_token.get(event.token)
        if book is None:
            self._anomalies.add("unknown_token")
            return
        venue_ns = event.venue_ns
        if book.synchronised and venue_ns < book.venue_ns:
            if event.received_ns - book.received_ns < OVERLAP_NS:
                self._anomalies.add("out_of_order")
                return
            venue_ns = book.venue_ns
        if event.tick_micros and event.tick_micros != book.tick_micros:
            book.set_tick(event.tick_micros)
        if not self._fill(book, event):
            self._suspect(book, event.received_ns, "off_grid_price")
            return
        book.best_bid = max(book.bids, default=NO_BID)
        book.best_ask = min(book.asks, default=NO_ASK)
        book.bid_price = book.best_bid / MICROS
        book.ask_price = book.best_ask / MICROS
        book.venue_ns = venue_ns
        book.received_ns = book.snapshot_ns = event.received_ns
        book.synchronised = True
        self._suspects.pop(event.token, None)
        if book.best_bid >= book.best_ask:
            self._anomalies.add("crossed")

    def _fill(self, book: OutcomeBook, event: BookSnapshot) -> bool:
        for step_micros in (book.tick_micros, FINEST_TICK_MICROS):
            if book.step_micros != step_micros:
                book.set_step(step_micros)
            grid = book.grid
            try:
                bids = {grid[level.price]: level.size for level in event.bids if level.size > 0.0}
                asks = {grid[level.price]: level.size for level in event.asks if level.size > 0.0}
            except KeyError:
                if not grid:
                    return False  # A tick we do not know fails closed.
                # After a return to a coarser tick, finer orders rest on: the venue's own snapshot
                # says so, and a book without them would show prices that are not there.
                continue
            if step_micros != book.tick_micros:
                self._anomalies.add("off_tick_level")
            book.bids = bids
            book.asks = asks
            return True
        return False

    def change(self, event: BookChange) -> None:
        """Apply changed levels in place, and compare our best prices with the venue's."""
        venue_ns = event.venue_ns
        received_ns = event.received_ns
        by_token = self.by_token
        doubtful = False
        for change in event.changes:
            book = by_token.get(change.token)
            if book is None:
                self._anomalies.add("unknown_token")
                continue
            if venue_ns < book.venue_ns or not book.synchronised:
                self._refuse(book, received_ns)
                continue
            price = book.grid.get(change.price)
            if price is None:
                self._suspect(book, received_ns, "off_grid_price")
                continue
            size = change.size
            if change.side is Side.BUY:
                if size > 0.0:
                    book.bids[price] = size
                    if price > book.best_bid:
                        book.best_bid = price
                        book.bid_price = change.price
                else:
                    book.bids.pop(price, None)
                    if price == book.best_bid:
                        book.find_best_bid()
            elif size > 0.0:
                book.asks[price] = size
                if price < book.best_ask:
                    book.best_ask = price
                    book.ask_price = change.price
            else:
                book.asks.pop(price, None)
                if price == book.best_ask:
                    book.find_best_ask()
            book.venue_ns = venue_ns
            book.received_ns = received_ns
            if change.best_bid != book.bid_price or change.best_ask != book.ask_price:
                doubtful = True
        clock = self._clock
        clock.countdown -= 1
        if not clock.countdown:
            clock.add(received_ns, venue_ns)
        if doubtful:
            self._compare(event)

    def _refuse(self, book: OutcomeBook, received_ns: int) -> None:
        if book.synchronised:
            self._anomalies.add("out_of_order")
            return
        self._anomalies.add("before_snapshot")
        if received_ns - book.suspected_ns > SUSPECT_AGAIN_NS:
            book.suspected_ns = received_ns
            self._suspects[book.token] = None

    def _compare(self, event: BookChange) -> None:
        # A frame with several levels of one token says for each the best prices after all of
        # them, so only the last of a token is compared, once the whole frame was applied.
        last: dict[str, LevelChange] = {change.token: change for change in event.changes}
        for token, change in last.items():
            book = self.by_token.get(token)
            if book is not None and book.synchronised and event.venue_ns == book.venue_ns:
                self._verify(book, change.best_bid, change.best_ask, event.received_ns)

    def _verify(self, book: OutcomeBook, bid: float, ask: float, received_ns: int) -> None:
        # 0 is unsaid; a venue's ask of 1 is no ask, as ours is. NaN differs from everything.
        if (bid != 0.0 and bid != book.bid_price) or (ask != 0.0 and ask != book.ask_price):
            self._suspect(book, received_ns, "best_mismatch")
        elif book.best_bid >= book.best_ask:
            self._anomalies.add("crossed")

    def _suspect(self, book: OutcomeBook, received_ns: int, kind: str) -> None:
        self._anomalies.add(kind)
        book.synchronised = False
        book.suspected_ns = received_ns
        self._suspects[book.token] = None

    def best_prices(self, event: BestPrices) -> None:
        """Remember the venue's own best prices until ``settle_doubts`` (reference C.5).

        The frame may overtake the change that made it true, so it is not judged on arrival.
        """
        book = self.by_token.get(event.token)
        if book is None:
            self._anomalies.add("unknown_token")
        elif not book.synchronised:
            self._refuse(book, event.received_ns)
        elif event.venue_ns >= book.venue_ns:
            self._doubts[event.token] = event

    def settle_doubts(self) -> None:
        """Compare books with the best prices told since the last call; a change since wins."""
        for token, event in self._doubts.items():
            book = self.by_token.get(token)
            if book is not None and book.synchronised and event.venue_ns >= book.venue_ns:
                self._verify(book, event.bid, event.ask, event.received_ns)
        self._doubts.clear()

    def tick(self, token: str, tick_micros: int, received_ns: int) -> None:
        """Change a token's grid; its book waits for a snapshot (reference C.4)."""
        book = self.by_token.get(token)
        if book is None:
            self._anomalies.add("unknown_token")
            return
        if tick_micros == book.tick_micros:
            return
        book.set_tick(tick_micros)
        self._suspect(book, received_ns, "tick_changed")
