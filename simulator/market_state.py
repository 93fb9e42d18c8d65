"""One market while it trades: its book, tick, last price, fees and rebates.

It matches nothing itself and knows no account's balance.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import MICROS, FeeSchedule, Outcome
from simulator.exchange_messages import MarketListing
from simulator.matching import Book, MatchFill

FINE_TICK_MICROS: Final = 1_000
FINE_ABOVE_MICROS: Final = 960_000
"""The tick is 0.001 when the price is above 0.96 or below 0.04 (reference C.4)."""
COARSE_BELOW_MICROS: Final = 950_000
"""And back within 0.05 to 0.95: a band, so that a price on the edge does not flap."""
PPM: Final = 1_000_000


class MarketState:
    """Owner of one market's book and totals."""

    def __init__(self, listing: MarketListing) -> None:
        self.listing = listing
        self.book = Book()
        self.fees = FeeSchedule(listing.fee_rate_ppm, listing.fee_exponent, listing.fee_taker_only)
        self.tick_micros = listing.tick_micros
        self.forced_tick_micros = 0
        """A fault's tick, whatever the price calls for; 0 for none."""
        self.last_up_price_micros = 0
        self.last_change_ns = listing.created_ns
        self.sequence = 0
        self.best: tuple[int, int] = (0, 0)
        self.winner: Outcome | None = None
        self.resolved_ns = 0
        self.volume_micros = 0
        self.taker_fees_micros = 0
        self.maker_weights: dict[str, int] = {}
        self.rebates_settled_micros = 0

    @property
    def resolved(self) -> bool:
        """Return whether the market has an outcome; its book is gone then."""
        return self.winner is not None

    @property
    def middle_micros(self) -> int | None:
        """Return the middle of the Up book, ``None`` when a side is empty."""
        bid, ask = self.book.best_bid, self.book.best_ask
        return None if bid is None or ask is None else (bid + ask) // 2

    def last_price_micros(self, outcome: Outcome) -> int:
        """Return the last trade's price of an outcome, 0 when nothing traded."""
        if self.last_up_price_micros == 0 or outcome is Outcome.UP:
            return self.last_up_price_micros
        return MICROS - self.last_up_price_micros

    def wanted_tick_micros(self) -> int:
        """Return the tick the book's price calls for; unchanged while a side is empty.

        Orders that rest off the coarser grid when it comes back stay: only new ones must fit it.
        """
        if self.forced_tick_micros:
            return self.forced_tick_micros
        middle = self.middle_micros
        coarse = self.listing.tick_micros
        if middle is None or coarse <= FINE_TICK_MICROS:
            return self.tick_micros
        extreme = max(middle, MICROS - middle)
        if extreme > FINE_ABOVE_MICROS:
            return FINE_TICK_MICROS
        return coarse if extreme <= COARSE_BELOW_MICROS else self.tick_micros

    def taker_fee_micros(self, shares_micros: int, up_price_micros: int) -> int:
        """Return the taker's fee; the formula is the same for both tokens (reference G.1)."""
        return self.fees.taker_fee_micros(shares_micros, up_price_micros)

    def record_fill(self, fill: MatchFill, fee_micros: int, dollars_micros: int) -> None:
        """Add one fill to the totals; a maker's weight is the fee its fill would have cost."""
        self.last_up_price_micros = fill.up_price_micros
        self.volume_micros += dollars_micros
        self.taker_fees_micros += fee_micros
        weights = self.maker_weights
        weights[fill.maker_owner] = weights.get(fill.maker_owner, 0) + fee_micros

    def take_rebates(self) -> tuple[tuple[str, int], ...]:
        """Return each maker's share of the rebate not yet paid, and start anew (reference G.5)."""
        total = sum(self.maker_weights.values())
        if total == 0:
            return ()
        pool = self.taker_fees_micros - self.rebates_settled_micros
        pool = pool * self.listing.rebate_rate_ppm // PPM
        shares = tuple(
            (owner, pool * weight // total) for owner, weight in self.maker_weights.items()
        )
        self.rebates_settled_micros = self.taker_fees_micros
        self.maker_weights.clear()
        return shares
