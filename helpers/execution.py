"""What an executor is: approved intents in, events out; and what it may read of the books.

An order's outcome is accepted, rejected or unknown. Unknown is reconciled, never sent again, and
blocks entries in its market until then (NautilusTrader's order command outcome policy).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from helpers.domain import (
    Approved,
    BookLevels,
    ExecutionEvent,
    FeedEvent,
    Market,
    OrderIntent,
    Side,
)


class Books(Protocol):
    """Read access to the outcome books, as far as an executor needs it."""

    def levels(self, token: str, side: Side, depth: int) -> BookLevels:
        """Return up to ``depth`` levels an order of that side would meet, best first.

        ``Side.BUY`` walks the asks upwards, ``Side.SELL`` the bids downwards. Empty when the book
        is unknown, crossed or unsynchronised.
        """
        ...

    def shares_at(self, token: str, side: Side, price_micros: int) -> int:
        """Return the displayed shares resting on ``side`` at one price, in micro-shares."""
        ...


class Executor(Protocol):
    """Sends approved intents; every answer comes back as an event.

    The engine calls ``advance`` with each moment before it applies what happened at that moment,
    and ``on_event`` after the board has applied a feed event; both return what became known, in
    order. Neither blocks.
    """

    @property
    def real_money(self) -> bool:
        """Return whether its orders spend real money: the gate's last look (I23)."""
        ...

    def submit(self, approved: Approved, market: Market) -> None:
        """Take an order on its way; raises ``ValueError`` for an intent seen before."""
        ...

    def cancel_market(self, market: str, now_ns: int) -> None:
        """Ask for the cancellation of every order in a market."""
        ...

    def cancel_all(self, now_ns: int) -> None:
        """Ask for the cancellation of every order."""
        ...

    def next_due_ns(self) -> int | None:
        """Return when ``advance`` next has something to do, or ``None``."""
        ...

    def advance(self, now_ns: int) -> Sequence[ExecutionEvent]:
        """Return what happened up to ``now_ns``."""
        ...

    def on_event(self, event: FeedEvent) -> Sequence[ExecutionEvent]:
        """Return what a feed event did to our orders."""
        ...

    def markets_with_orders(self) -> frozenset[str]:
        """Return the slugs in which an order of ours is alive."""
        ...

    def markets_unknown(self) -> frozenset[str]:
        """Return the slugs in which an order's outcome is unknown."""
        ...

    def resting_entry(self, market: str) -> OrderIntent | None:
        """Return the entry that rests in a market's book, ``None`` when there is none."""
        ...

    def sellable_micros(self, token: str) -> int | None:
        """Return the shares the venue says we own, where it refused a sale for want of them (I2).

        ``None`` where it did not: our books count then.
        """
        ...

    def pending_entry_micros(self, market: str) -> int:
        """Return the notional of entries in flight in a market."""
        ...
