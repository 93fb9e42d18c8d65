"""What the independent model of the gate keeps: books as told, shares, money, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from helpers.domain import MICROS, Market, OrderIntent, OrderStyle, Outcome

VIEW_LEVELS: Final = 5


@dataclass
class TokenBook:
    """One outcome's book as it was told."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    synchronised: bool = False
    stamp_ns: int = 0
    true_ns: int = 0
    """When the newest content was true, on our clock; 0 before any."""

    @property
    def sound(self) -> bool:
        return (
            self.synchronised
            and bool(self.bids)
            and bool(self.asks)
            and max(self.bids) < min(self.asks)
        )

    def best_bids(self) -> list[tuple[int, int]]:
        return sorted(self.bids.items(), reverse=True)[:VIEW_LEVELS]

    def best_asks(self) -> list[tuple[int, int]]:
        return sorted(self.asks.items())[:VIEW_LEVELS]


@dataclass
class Lot:
    """What is held of one outcome."""

    shares: int = 0
    cost: int = 0
    unconfirmed: dict[str, int] = field(default_factory=dict)
    trip_paid: int = 0
    trip_got: int = 0


@dataclass
class Window:
    """One market and everything of ours in it."""

    market: Market
    lots: dict[Outcome, Lot] = field(default_factory=lambda: {o: Lot() for o in Outcome})
    mark: int | None = None
    marked_grid: int = 0
    closed_ns: int = 0
    conflicted: bool = False
    resolved: bool = False
    sound_steps: int = 0
    unsound_steps: int = 0
    exit_rejected_ns: int = 0

    @property
    def held(self) -> list[tuple[Outcome, Lot]]:
        return [(outcome, lot) for outcome, lot in self.lots.items() if lot.shares]


def fee(shares: int, price: int) -> int:
    """Return the taker's fee: 7 % of p (1 - p), half up to a hundred-thousandth of a dollar."""
    cube = MICROS**3
    return (shares * price * (MICROS - price) * 14_000 + cube) // (2 * cube) * 10


def cost(intent: OrderIntent, shares: int) -> int:
    """Return what is spoken for by an entry: the limit, and the fee if it takes."""
    if not intent.opens or not shares:
        return 0
    price = intent.price_limit_micros
    taking = intent.style is OrderStyle.TAKER
    return shares * price // MICROS + (fee(shares, price) if taking else 0)
