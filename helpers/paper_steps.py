"""What the paper venue has still to do, and how far away it is.

Frozen messages only. Must not: decide anything.
"""

from __future__ import annotations

from helpers.domain import Fill, Market, Message, OrderIntent


class PaperSettings(Message, frozen=True):
    """How far away the paper venue is."""

    latency_ms: int = 75
    """From here to the venue, orders and cancels alike (reference C.8: 73 ms from Europe)."""
    taker_hold_ms: int = 150
    """The venue's hold of marketable orders (reference G.4)."""
    settlement_ms: int = 2_000
    """From match to confirmation on chain (reference C.8)."""
    depth: int = 20
    """Book levels a taker order may walk."""


class Flight(Message, frozen=True):
    """An order on its way, or a taker order held by the venue."""

    order_id: str
    intent: OrderIntent
    market: Market


class Arrive(Message, frozen=True):
    """An order reaches the venue."""

    flight: Flight


class Match(Message, frozen=True):
    """A held taker order is released for so many shares."""

    flight: Flight
    shares_micros: int


class Deny(Message, frozen=True):
    """An order that was never sent is answered."""

    flight: Flight


class Confirm(Message, frozen=True):
    """A fill is confirmed on chain."""

    fill: Fill


class Expire(Message, frozen=True):
    """A resting order comes to its end, or its market does."""

    order_id: str


class Cancel(Message, frozen=True):
    """A cancellation reaches the venue."""

    market: str
    """Slug; empty for every market."""


Step = Arrive | Match | Deny | Confirm | Expire | Cancel
