"""What an alert is, before anybody knows whether it will arrive, and how its figures are written.

Pure. Text is plain: who shows it escapes it.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from helpers.domain import (
    AlertKind,
    AlertSeverity,
    Message,
    from_micros,
)

NAME_PARTS: Final = 3
"""A slug starts with asset, ``updown`` and the length of its window."""


class Meaning(enum.StrEnum):
    """What an alert means to its reader; with the mode it makes the colour."""

    NEUTRAL = "neutral"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    CRITICAL = "critical"


class EquityPoint(NamedTuple):
    """Profit after fees at one moment, unrealised included."""

    at_ns: int
    profit_micros: int


class Alert(Message, frozen=True):
    """Something the owner should know."""

    kind: AlertKind
    severity: AlertSeverity
    meaning: Meaning
    title: str
    text: str
    at_ns: int
    merge_key: str = ""
    """Alerts of one key say the same thing again: while one waits, a newer takes its place. Empty
    for what must be told by itself."""
    count: int = 1
    """How many things it stands for."""
    curve: tuple[EquityPoint, ...] = ()
    """What a picture is to be drawn of; empty once it is drawn."""
    picture: bytes = b""
    """A PNG that goes with it."""


def market_name(market: str) -> str:
    """Return a market as people call it: ``BTC 15m``, or the slug when it is none of these."""
    parts = market.split("-")
    if len(parts) <= NAME_PARTS or parts[1] != "updown":
        return market or "the account"
    return f"{parts[0].upper()} {parts[2]}"


def signed_dollars(micros: int) -> str:
    """Return a profit or loss."""
    return f"{'-' if micros < 0 else '+'}${abs(from_micros(micros)):,.2f}"


def dollars(micros: int) -> str:
    """Return an amount."""
    return f"{'-' if micros < 0 else ''}${abs(from_micros(micros)):,.2f}"


def lines(**facts: object) -> str:
    """Return one line a fact, in the order given; facts without a value are left out."""
    told = ((name.replace("_", " "), value) for name, value in facts.items())
    return "\n".join(f"{name}: {value}" for name, value in told if value not in ("", None))
