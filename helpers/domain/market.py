"""Facts of one market, as the venue serves them."""

from __future__ import annotations

from helpers.domain.words import MICROS, NS_PER_SECOND, Asset, Message, Outcome


class FeeSchedule(Message, frozen=True):
    """Taker fee of a market: ``shares * rate * (p * (1 - p)) ** exponent`` (reference G.1)."""

    rate_ppm: int
    exponent: int
    taker_only: bool

    def taker_fee_micros(self, shares_micros: int, price_micros: int) -> int:
        """Return the taker's fee in micro-dollars, rounded half up to 5 decimals as the venue does.

        Only exponent 1 is known to be in force; any other raises ``ValueError`` (fail closed).
        """
        if self.exponent != 1:
            raise ValueError(f"fee exponent was {self.exponent}, expected 1")
        numerator = shares_micros * self.rate_ppm * price_micros * (MICROS - price_micros)
        hundred_thousandths = (2 * numerator + 10 * MICROS**3) // (20 * MICROS**3)
        return hundred_thousandths * 10


class Market(Message, frozen=True):
    """One Up/Down window and its facts, as Gamma served them."""

    slug: str
    condition_id: str
    asset: Asset
    opens_ns: int
    closes_ns: int
    up_token: str
    down_token: str
    tick_micros: int
    minimum_shares_micros: int
    fees: FeeSchedule
    problems: tuple[str, ...] = ()
    """Facts we do not know how to trade (fee schedule, version, ...): no entries while any."""

    @property
    def window_seconds(self) -> float:
        """Return the length of the window."""
        return (self.closes_ns - self.opens_ns) / NS_PER_SECOND

    def token(self, outcome: Outcome) -> str:
        """Return the token id of an outcome."""
        return self.up_token if outcome is Outcome.UP else self.down_token

    def outcome_of(self, token: str) -> Outcome:
        """Return which outcome a token stands for; raise ``KeyError`` for a foreign token."""
        if token == self.up_token:
            return Outcome.UP
        if token == self.down_token:
            return Outcome.DOWN
        raise KeyError(token)
