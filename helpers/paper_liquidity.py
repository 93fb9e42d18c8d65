"""What our paper takers took of the displayed book, so that nothing is taken twice.

Both tokens of a market are one book: bids for Up at p are asks for Down at 1 - p (mint and merge),
so levels are known by the Up token's price. Must not: schedule, send, or read a clock.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    MICROS,
    BookChange,
    BookLevels,
    BookSnapshot,
    Market,
    OrderIntent,
    Outcome,
    Side,
    to_micros,
)

LEVELS_REMEMBERED: Final = 4_096
"""Levels we took from and that have not changed since; beyond it the oldest is forgotten."""


def up_side(outcome: Outcome, side: Side) -> Side:
    """Return what an order or a taker does to the Up book: selling Down is buying Up."""
    if outcome is Outcome.UP:
        return side
    return Side.SELL if side is Side.BUY else Side.BUY


def up_price(outcome: Outcome, price_micros: int) -> int:
    """Return an outcome's price as the Up token's."""
    return price_micros if outcome is Outcome.UP else MICROS - price_micros


_LevelKey = tuple[str, Side, int]


class TakenLiquidity:
    """Displayed shares that our paper orders took: not there a second time until they change."""

    def __init__(self) -> None:
        self._taken: dict[_LevelKey, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return how many levels are remembered."""
        return len(self._taken)

    def take(
        self, market: Market, intent: OrderIntent, levels: BookLevels, shares_micros: int
    ) -> list[tuple[int, int]]:
        """Walk displayed levels up to the limit; return (price, shares) taken of each, best first.

        Never better than a displayed price, never more than is displayed and was not taken before.
        """
        filled: list[tuple[int, int]] = []
        buys = intent.side is Side.BUY
        for price, displayed in levels:
            beyond = (
                price > intent.price_limit_micros if buys else price < intent.price_limit_micros
            )
            if beyond or shares_micros == 0:
                break
            key = _key(market, intent.outcome, intent.side, price)
            seen, taken = self._taken.get(key, (displayed, 0))
            if seen != displayed:
                taken = 0
            part = min(displayed - taken, shares_micros)
            if part <= 0:
                continue
            self._remember(key, (displayed, taken + part))
            shares_micros -= part
            filled.append((price, part))
        return filled

    def on_change(self, market: Market, event: BookChange) -> None:
        """Forget what was taken of levels whose size has changed."""
        for change in event.changes:
            if change.token not in (market.up_token, market.down_token):
                continue
            # Who rests on the bids is met by a seller: the taker's side is the other one.
            taker = Side.SELL if change.side is Side.BUY else Side.BUY
            outcome = market.outcome_of(change.token)
            key = _key(market, outcome, taker, to_micros(change.price))
            known = self._taken.get(key)
            if known is not None and known[0] != to_micros(change.size):
                del self._taken[key]

    def on_snapshot(self, market: Market, snapshot: BookSnapshot) -> None:
        """Forget what was taken of levels that a whole book shows with another size."""
        outcome = market.outcome_of(snapshot.token)
        shown: dict[_LevelKey, int] = {}
        for taker, levels in ((Side.SELL, snapshot.bids), (Side.BUY, snapshot.asks)):
            for level in levels:
                key = _key(market, outcome, taker, to_micros(level.price))
                shown[key] = to_micros(level.size)
        for key in [key for key in self._taken if key[0] == market.slug]:
            if shown.get(key, 0) != self._taken[key][0]:
                del self._taken[key]

    def forget(self, slug: str) -> None:
        """Drop a market that has ended."""
        for key in [key for key in self._taken if key[0] == slug]:
            del self._taken[key]

    def _remember(self, key: _LevelKey, entry: tuple[int, int]) -> None:
        self._taken.pop(key, None)
        self._taken[key] = entry
        if len(self._taken) > LEVELS_REMEMBERED:
            del self._taken[next(iter(self._taken))]


def _key(market: Market, outcome: Outcome, taker: Side, price_micros: int) -> _LevelKey:
    return (market.slug, up_side(outcome, taker), up_price(outcome, price_micros))
