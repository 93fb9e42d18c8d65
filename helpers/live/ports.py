"""What live trading needs of its neighbours: protocols only."""

from __future__ import annotations

from typing import Protocol

from helpers.clob.messages import (
    Balance,
    CancelReply,
    OpenOrder,
    VenuePosition,
)
from helpers.domain import Fill, HoldCause, Market, Position
from helpers.feeds.polymarket_user import UserTrade


class ReadGateway(Protocol):
    """What is read of the venue (``helpers.clob.rest.ClobRest``).

    Every call raises ``RequestFailedError`` where the answer is missing or incomplete.
    """

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return every open order of ours."""
        ...

    async def trades(
        self, *, after_seconds: int = 0, condition_id: str = "", trade_id: str = ""
    ) -> tuple[UserTrade, ...]:
        """Return our trades matched from a moment on."""
        ...

    async def balance(self, token: str = "") -> Balance:
        """Return a balance."""
        ...

    async def refresh_balance(self, token: str = "") -> None:
        """Let the venue look at the chain again."""
        ...

    async def cancel_all(self) -> CancelReply:
        """Cancel every order of ours."""
        ...

    async def positions(self, wallet: str) -> tuple[VenuePosition, ...]:
        """Return a wallet's positions, late by minutes."""
        ...


class BooksOwner(Protocol):
    """What is read of our own books (``helpers.ledger.Ledger``)."""

    def positions(self) -> tuple[Position, ...]:
        """Return every open position."""
        ...

    def unsettled_fills(self) -> tuple[Fill, ...]:
        """Return the trades that are matched and not settled."""
        ...

    def market(self, slug: str) -> Market | None:
        """Return the facts of a market."""
        ...

    def adjust_cash(self, micros: int) -> None:
        """Count dollars that came or went without a trade."""
        ...

    @property
    def cash_micros(self) -> int:
        """Return the cash."""
        ...


class Holder(Protocol):
    """Who holds entries (``helpers.halt_control.HaltControl``)."""

    def hold_entries(
        self, cause: HoldCause, detail: str, now_ns: int, *, lasting: bool = True
    ) -> None:
        """Allow no entry until the cause is released, or an operator resumes."""
        ...

    def release_entries(self, cause: HoldCause, now_ns: int) -> None:
        """Let a cause hold entries no longer."""
        ...
