"""Background makers of one market: a ladder of orders around fair value; match nothing.

One order stands on each price level. All depth comes as buy orders, Up below fair value and Down
mirrored above it, since makers need no shares to buy. Each step does the most urgent thing: take
back what became stale, quote the new touch, hit a stranger's order that fair value has run
through, then tidy depth, then churn. So a move widens the book for milliseconds, not for long.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from helpers.domain import MICROS, NS_PER_SECOND, Market, Outcome, Side
from simulator.actions import Action, Cancel, DisplayedBooks, Place, Take
from simulator.profiles import (
    DEEP_MEDIANS,
    DEEP_SD,
    EXTREME_PRICE,
    TAKER_SIZES,
    THINNING,
    TOUCH_SIZES,
    URGENT_GAP_SECONDS,
    MakerProfile,
)
from simulator.randomness import Draws
from simulator.windows import COARSE_TICK_MICROS

LEVELS: Final = 10
"""Levels a side that the makers keep."""
_SPARE_LEVELS: Final = 3
"""Levels beyond those that may linger after a move."""
_FINE_TICKS_BETWEEN_LEVELS: Final = 2
"""Near the extremes the tick is a tenth of a cent; makers there stand two apart."""
_REFIT_LEVELS: Final = 3
_REFIT_ABOVE: Final = 2.6
_REFIT_BELOW: Final = 0.3
"""A level within the first three is resized when it is off its due size by more than this."""
_TOUCH_LIMIT: Final = 1_200.0
"""Shares; a level that became the touch with more is resized."""
_MINIMUM_SHARES: Final = 5.0
_HITS_IN_A_ROW_MAXIMUM: Final = 7
"""The pause after a hit doubles so often: about a second. While the venue restarts it takes none.
"""


class _Ladder:
    """Our orders on one side of the Up book: price -> (order id, shares placed)."""

    __slots__ = ("orders", "outcome", "sign")

    def __init__(self, outcome: Outcome, sign: int) -> None:
        self.orders: dict[int, tuple[str, float]] = {}
        self.outcome = outcome
        self.sign = sign
        """+1 for bids, -1 for asks: ``sign * price`` grows towards the touch."""

    def best(self) -> int:
        return (max(self.orders) if self.sign > 0 else min(self.orders)) if self.orders else 0

    def worst(self) -> int:
        return (min(self.orders) if self.sign > 0 else max(self.orders)) if self.orders else 0


class BookMaker:
    """The makers of one market; state is bounded by the ladder's length."""

    def __init__(self, market: Market, profile: MakerProfile, draws: Draws) -> None:
        self._slug = market.slug
        self._opens_ns = market.opens_ns
        self._length_ns = market.closes_ns - market.opens_ns
        self._profile = profile
        self._draws = draws
        self._bids = _Ladder(Outcome.UP, 1)
        self._asks = _Ladder(Outcome.DOWN, -1)
        self._superseded: deque[tuple[str, int, int]] = deque()
        """(order id, price, sign of its side) of orders that a newer one replaced."""
        self._sequence = 0
        self._tick = COARSE_TICK_MICROS
        self._spacing = COARSE_TICK_MICROS
        self._bid = 0
        self._ask = 0
        """Where the touch should be, 0 for a side that nobody quotes."""
        self._middle = 0.0
        self._width_ticks = 1
        self._thinning = 1.0
        self.gap_ns = 0
        """Pause that the makers want after the last step."""
        self._hits = 0
        """Hits in a row; what the venue refuses is not tried hundreds of times a second."""
        self._calm_due_ns = 0
        """When the next update that nothing hurries is due."""

    def step(self, now_ns: int, fair: float, books: DisplayedBooks) -> Action | None:
        """Return the most urgent action at fair value ``fair`` (0..1), ``None`` when there is none.

        Sets ``gap_ns``. The action must be applied to the books before the next step.
        """
        tick = books.tick_micros(self._slug)
        if tick != self._tick:
            self._retick(tick)
        self._aim(fair)
        action = self._retreat() or self._advance(books)
        profile = self._profile
        if action is not None:
            due_ns = now_ns + self._pause(profile.refit_gap_seconds)
            self._calm_due_ns = min(self._calm_due_ns, due_ns)
            hits = self._hits + 1 if isinstance(action, Take) else 0
            self._hits = min(hits, _HITS_IN_A_ROW_MAXIMUM)
            self.gap_ns = self._pause(URGENT_GAP_SECONDS * 2**self._hits)
            return action
        if now_ns >= self._calm_due_ns:
            self._thinning = _thinning((now_ns - self._opens_ns) / self._length_ns)
            action = self._tidy()
            if action is not None:
                self._calm_due_ns = now_ns + self._pause(profile.refit_gap_seconds)
            else:
                action = self._churn()
                gap = self._draws.weibull(profile.calm_gap_seconds, profile.calm_gap_shape)
                self._calm_due_ns = now_ns + int(gap * NS_PER_SECOND) + 1
        self.gap_ns = self._calm_due_ns - now_ns
        return action

    def _pause(self, mean_seconds: float) -> int:
        return int(mean_seconds * self._draws.exponential() * NS_PER_SECOND) + 1

    def _retick(self, tick: int) -> None:
        self._tick = tick
        fine = tick < COARSE_TICK_MICROS
        self._spacing = tick * (_FINE_TICKS_BETWEEN_LEVELS if fine else 1)
        self._middle = 0.0

    def _aim(self, fair: float) -> None:
        target = fair * MICROS
        spacing = self._spacing
        slack = (0.5 * self._width_ticks + self._profile.hysteresis_ticks) * spacing
        if self._middle and abs(target - self._middle) <= slack:
            return
        chance = self._draws.uniform()
        self._width_ticks = 1 if chance >= self._profile.wide_chance else 2
        width = self._width_ticks * spacing
        bid = math.floor((target - 0.5 * width) / spacing + 0.5) * spacing
        self._middle = bid + 0.5 * width
        ask = bid + width
        top = MICROS - self._tick
        # A book at the edge loses one side (2.8 % of recorded 5 m rows).
        self._bid = 0 if bid < self._tick or fair < 1.0 - EXTREME_PRICE else min(bid, top)
        self._ask = 0 if ask > top or fair > EXTREME_PRICE else max(ask, self._tick)

    def _retreat(self) -> Action | None:
        if self._superseded:
            order_id, price, sign = self._superseded[0]
            if price > self._bid if sign > 0 else self._ask == 0 or price < self._ask:
                self._superseded.popleft()
                return Cancel(self._slug, order_id)
        asks, bids = self._asks, self._bids
        best = asks.best()
        if best and (self._ask == 0 or best < self._ask):
            return self._cancel(asks, best)
        best = bids.best()
        if best and best > self._bid:
            return self._cancel(bids, best)
        return None

    def _advance(self, books: DisplayedBooks) -> Action | None:
        bid, ask = self._bid, self._ask
        if bid and self._missing(self._bids, bid, books):
            shown = books.best_ask_micros(self._slug)
            if shown and shown <= bid:
                return self._hit(Outcome.UP, bid)
            return self._place(self._bids, bid, 0)
        if ask and self._missing(self._asks, ask, books):
            shown = books.best_bid_micros(self._slug)
            if shown and shown >= ask:
                return self._hit(Outcome.DOWN, MICROS - ask)
            return self._place(self._asks, ask, 0)
        return None

    def _missing(self, ladder: _Ladder, price: int, books: DisplayedBooks) -> bool:
        order = ladder.orders.get(price)
        if order is None:
            return True
        if books.remaining_micros(self._slug, order[0]) > 0:
            return False
        del ladder.orders[price]
        return True

    def _hit(self, outcome: Outcome, limit: int) -> Take:
        # A stranger rests where fair value has already been: somebody takes it.
        shares = max(TAKER_SIZES.at(self._draws.uniform()), _MINIMUM_SHARES)
        return Take(self._slug, outcome, Side.BUY, limit, _shares_micros(shares))

    def _tidy(self) -> Action | None:
        if self._superseded:
            return Cancel(self._slug, self._superseded.popleft()[0])
        first, second = self._bids, self._asks
        if self._draws.heads():
            first, second = second, first
        return self._tidy_side(first) or self._tidy_side(second)

    def _tidy_side(self, ladder: _Ladder) -> Action | None:
        touch = self._bid if ladder.sign > 0 else self._ask
        if touch == 0:
            worst = ladder.worst()
            return self._cancel(ladder, worst) if worst else None
        price = touch
        for level in range(LEVELS):
            if not 0 < price < MICROS:
                break
            order = ladder.orders.get(price)
            if order is None:
                return self._place(ladder, price, level)
            if level < _REFIT_LEVELS and self._misfit(order[1], level):
                return self._place(ladder, price, level)
            price -= ladder.sign * self._spacing
        if len(ladder.orders) > LEVELS + _SPARE_LEVELS:
            return self._cancel(ladder, self._leftover(ladder))
        return None

    def _leftover(self, ladder: _Ladder) -> int:
        # Orders between the levels remain from a finer tick; they go before the farthest.
        return next((p for p in ladder.orders if p % self._spacing), ladder.worst())

    def _misfit(self, shares: float, level: int) -> bool:
        if level == 0:
            return shares > _TOUCH_LIMIT * self._thinning
        due = DEEP_MEDIANS[level - 1] * self._thinning
        return not _REFIT_BELOW * due <= shares <= _REFIT_ABOVE * due

    def _churn(self) -> Action | None:
        draws = self._draws
        ladder = self._bids if draws.heads() else self._asks
        touch = self._bid if ladder.sign > 0 else self._ask
        # The square leans to the touch, where most orders come and go.
        level = int(LEVELS * draws.uniform() ** 2)
        price = touch - ladder.sign * level * self._spacing
        if touch == 0 or price not in ladder.orders:
            return None
        return self._place(ladder, price, level)

    def _place(self, ladder: _Ladder, price: int, level: int) -> Place:
        before = ladder.orders.get(price)
        if before is not None:
            # The new order first, the old one goes at the next step: a level never blinks.
            self._superseded.append((before[0], price, ladder.sign))
        if level == 0:
            shares = TOUCH_SIZES.at(self._draws.uniform()) * self._thinning
        else:
            due = DEEP_MEDIANS[level - 1] * self._thinning
            shares = due * math.exp(DEEP_SD * self._draws.normal())
        shares = max(shares, _MINIMUM_SHARES)
        self._sequence += 1
        order_id = f"{self._slug}/m{self._sequence}"
        ladder.orders[price] = (order_id, shares)
        own_price = price if ladder.sign > 0 else MICROS - price
        return Place(
            self._slug, order_id, ladder.outcome, Side.BUY, own_price, _shares_micros(shares)
        )

    def _cancel(self, ladder: _Ladder, price: int) -> Cancel:
        return Cancel(self._slug, ladder.orders.pop(price)[0])


def _shares_micros(shares: float) -> int:
    # The venue counts shares to two decimals.
    return round(shares * 100) * 10_000


def _thinning(share_gone: float) -> float:
    for until, factor in THINNING:
        if share_gone < until:
            return factor
    return THINNING[-1][1]
