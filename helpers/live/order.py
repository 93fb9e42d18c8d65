"""One order of ours and what is known of it; changed by ``LiveOrders`` only."""

from __future__ import annotations

import enum
from typing import Final

from helpers.clob.messages import OrderType
from helpers.domain import Market, OrderIntent, OrderSigned, OrderState, Side
from helpers.live.fills import OwnOrder

DUST_MICROS: Final = 10_000
"""Fills may differ by a hundredth of a share from what was asked (reference D.5)."""


class Stage(enum.StrEnum):
    """Where an order of ours is."""

    SENDING = "sending"
    """Signed and journalled; its request has no answer yet."""
    UNKNOWN = "unknown"
    OPEN = "open"
    """The venue has it: resting, or held before its match."""
    ENDED = "ended"
    """Over at the venue; a matched part is not booked yet."""
    DONE = "done"


class LiveOrder:
    """One order and what is known of it."""

    __slots__ = (
        "absent_ns",
        "absent_reads",
        "answered_ns",
        "booked_micros",
        "cancel_asked_ns",
        "end",
        "matched_known",
        "matched_micros",
        "own",
        "signed",
        "stage",
        "told",
        "trade_ids",
    )

    def __init__(self, intent: OrderIntent, market: Market, signed: OrderSigned) -> None:
        self.own = OwnOrder(signed.order_id, intent, market)
        self.signed = signed
        self.stage = Stage.SENDING
        self.matched_micros = 0
        self.matched_known = True
        """False while the venue matched an amount it did not tell."""
        self.booked_micros = 0
        self.end = OrderState.CANCELED
        self.told = False
        """Whether ``Accepted`` was told."""
        self.answered_ns = signed.at_ns
        self.absent_reads = 0
        self.absent_ns = 0
        self.cancel_asked_ns = 0
        self.trade_ids: tuple[str, ...] = ()

    @property
    def order_id(self) -> str:
        """Return the venue's id."""
        return self.signed.order_id

    @property
    def intent(self) -> OrderIntent:
        """Return what it is for."""
        return self.own.intent

    @property
    def rests(self) -> bool:
        """Return whether it is of a kind that waits in the book."""
        return self.signed.order_type in (OrderType.GTC, OrderType.GTD)

    @property
    def remaining_micros(self) -> int:
        """Return the shares that are not booked yet."""
        return max(0, self.signed.shares_micros - self.booked_micros)

    def book(self, shares_micros: int) -> None:
        """Count the shares of a trade that was not seen before."""
        self.booked_micros += shares_micros
        self.matched_micros = max(self.matched_micros, self.booked_micros)

    def hear_matched(self, micros: int | None) -> None:
        """Take in what the venue says was matched so far; ``None`` where it does not say.

        Of a FAK or FOK buy the channel tells dollars, not shares (reference D.2): then only that
        something was matched is known.
        """
        if self.intent.side is Side.BUY and not self.rests:
            self.matched_known = self.matched_known and (micros == 0 or self.matched_micros > 0)
        elif micros is None:
            self.matched_known = False
        else:
            self.matched_micros = max(self.matched_micros, micros)
            self.matched_known = True

    def awaits(self) -> bool:
        """Return whether the venue matched more than is booked."""
        return not self.matched_known or self.matched_micros > self.booked_micros + DUST_MICROS
