"""Price-time-priority book of one binary market, both tokens mirrored into one book.

Buying Down at 1 - p is selling Up at p: a buy of each token mints a pair, a sale of each merges
one (protocol reference C.3, D.4). It knows no accounts, no ticks, no fees and no clock.

Prices and shares are integers in micro-units. Inside, every order is a bid or an ask for Up; a
ladder keeps its prices sorted best last, so the best is the end of a list, and each level keeps
its orders in arrival order. Placing and cancelling cost O(log levels).
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort

from msgspec import Struct

from helpers.domain import MICROS, Message, Outcome, Side

SHARE_QUANTUM_MICROS = 100
"""Fills of dollar-sized orders are cut to 4 decimals of a share (protocol reference B.5)."""


class TimeInForce(enum.StrEnum):
    """How long an order lives (protocol reference B.3)."""

    GTC = "GTC"
    GTD = "GTD"
    FOK = "FOK"
    FAK = "FAK"


class MatchType(enum.StrEnum):
    """What the exchange contract does with a match."""

    NORMAL = "normal"
    MINT = "mint"
    MERGE = "merge"


class MatchStatus(enum.StrEnum):
    """What became of a placed order."""

    RESTING = "resting"
    PARTLY_RESTING = "partly_resting"
    FILLED = "filled"
    PARTLY_KILLED = "partly_killed"
    KILLED = "killed"
    WOULD_CROSS = "would_cross"


class BookOrder(Message, frozen=True):
    """An order for the book; price is of its own token.

    ``budget_micros`` > 0 makes a FAK or FOK buy dollar-sized: it buys what the money buys at the
    makers' prices, and ``shares_micros`` is ignored (protocol reference D.2).
    """

    order_id: str
    owner: str
    outcome: Outcome
    side: Side
    price_micros: int
    shares_micros: int
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    budget_micros: int = 0

    @property
    def is_bid(self) -> bool:
        """Return whether the order is a bid in the Up book."""
        return (self.side is Side.BUY) is (self.outcome is Outcome.UP)

    @property
    def up_price_micros(self) -> int:
        """Return the price in the Up book."""
        return self.price_micros if self.outcome is Outcome.UP else MICROS - self.price_micros


class MatchFill(Message, frozen=True):
    """One maker order met; the price is the maker's, in the Up book."""

    maker_order_id: str
    taker_order_id: str
    maker_owner: str
    maker_outcome: Outcome
    maker_side: Side
    maker_remaining_micros: int
    up_price_micros: int
    shares_micros: int
    match_type: MatchType


class LevelUpdate(Message, frozen=True):
    """A level of the Up book and its new absolute size; 0 when it is gone."""

    side: Side
    price_micros: int
    shares_micros: int


class MatchResult(Message, frozen=True):
    """What placing an order did."""

    order_id: str
    status: MatchStatus
    fills: tuple[MatchFill, ...]
    filled_micros: int
    resting_micros: int
    levels: tuple[LevelUpdate, ...]


class Preview(Message, frozen=True):
    """What an order would take from the book now: (Up price, shares), best first."""

    matches: tuple[tuple[int, int], ...]
    shares_micros: int
    fills_whole: bool


def cost_micros(outcome: Outcome, up_price_micros: int, shares_micros: int) -> int:
    """Return the money of some shares of an outcome at a price of the Up book.

    Floored for Up and the complement for Down, so that a mint or merge of both adds up to exactly
    one dollar a pair.
    """
    up_cost = shares_micros * up_price_micros // MICROS
    return up_cost if outcome is Outcome.UP else shares_micros - up_cost


def affordable_shares(budget_micros: int, own_price_micros: int) -> int:
    """Return the shares a budget buys at a price, cut to ``SHARE_QUANTUM_MICROS``."""
    shares = budget_micros * MICROS // own_price_micros
    return shares - shares % SHARE_QUANTUM_MICROS


class RestingOrder(Struct, gc=False):
    """An order in the book; only its remaining size ever changes, and only here."""

    order_id: str
    owner: str
    outcome: Outcome
    side: Side
    is_bid: bool
    up_price_micros: int
    remaining_micros: int


class _Level:
    __slots__ = ("orders", "total_micros")

    def __init__(self) -> None:
        self.orders: dict[str, RestingOrder] = {}
        self.total_micros = 0


class _Ladder:
    """One side of the book. A key is the price of a bid, minus the price of an ask: best last."""

    __slots__ = ("keys", "levels", "side", "sign")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.sign = 1 if side is Side.BUY else -1
        self.keys: list[int] = []
        self.levels: dict[int, _Level] = {}

    def best(self) -> int | None:
        return self.keys[-1] * self.sign if self.keys else None

    def add(self, order: RestingOrder) -> LevelUpdate:
        price = order.up_price_micros
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = _Level()
            insort(self.keys, price * self.sign)
        level.orders[order.order_id] = order
        level.total_micros += order.remaining_micros
        return LevelUpdate(self.side, price, level.total_micros)

    def remove(self, order: RestingOrder) -> LevelUpdate:
        price = order.up_price_micros
        level = self.levels[price]
        del level.orders[order.order_id]
        level.total_micros -= order.remaining_micros
        if not level.orders:
            self.drop(price)
        return LevelUpdate(self.side, price, level.total_micros)

    def drop(self, price: int) -> None:
        del self.levels[price]
        key = price * self.sign
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]


class Book:
    """The one book of a market; owner of its resting orders."""

    def __init__(self) -> None:
        self._bids = _Ladder(Side.BUY)
        self._asks = _Ladder(Side.SELL)
        self._orders: dict[str, RestingOrder] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._orders

    @property
    def best_bid(self) -> int | None:
        """Return the best bid for Up, ``None`` when there is none."""
        return self._bids.best()

    @property
    def best_ask(self) -> int | None:
        """Return the best ask for Up, ``None`` when there is none."""
        return self._asks.best()

    def order(self, order_id: str) -> RestingOrder | None:
        """Return a resting order, for reading only."""
        return self._orders.get(order_id)

    def order_ids(self) -> tuple[str, ...]:
        """Return the ids of all resting orders, oldest first."""
        return tuple(self._orders)

    def place(self, order: BookOrder) -> MatchResult:
        """Match an order and rest what may rest.

        Takers fill at the makers' prices, best price first, then oldest first. FOK is all or
        nothing, FAK never rests, post-only never takes. Raises ``ValueError`` for an id that
        rests already or a price outside (0, 1).
        """
        if order.order_id in self._orders:
            raise ValueError(f"order id {order.order_id} was resting already, expected a new one")
        if not 0 < order.price_micros < MICROS:
            raise ValueError(f"price was {order.price_micros} micros, expected 1 to 999999")
        is_bid = order.is_bid
        up_price = order.up_price_micros
        against = self._asks if is_bid else self._bids
        kind = order.time_in_force
        fills: list[MatchFill] = []
        levels: list[LevelUpdate] = []
        remaining = order.shares_micros or order.budget_micros
        if against.keys and against.keys[-1] >= up_price * against.sign:
            if order.post_only:
                return MatchResult(order.order_id, MatchStatus.WOULD_CROSS, (), 0, 0, ())
            if kind is TimeInForce.FOK and not self.preview(order).fills_whole:
                return MatchResult(order.order_id, MatchStatus.KILLED, (), 0, 0, ())
            remaining = self._sweep(order, against, up_price * against.sign, fills, levels)
        filled = sum([fill.shares_micros for fill in fills]) if fills else 0
        if remaining == 0:
            return MatchResult(
                order.order_id, MatchStatus.FILLED, tuple(fills), filled, 0, tuple(levels)
            )
        if kind is TimeInForce.FAK or kind is TimeInForce.FOK:
            status = MatchStatus.PARTLY_KILLED if fills else MatchStatus.KILLED
            return MatchResult(order.order_id, status, tuple(fills), filled, 0, tuple(levels))
        resting = RestingOrder(
            order.order_id, order.owner, order.outcome, order.side, is_bid, up_price, remaining
        )
        self._orders[order.order_id] = resting
        levels.append((self._bids if is_bid else self._asks).add(resting))
        status = MatchStatus.PARTLY_RESTING if fills else MatchStatus.RESTING
        return MatchResult(order.order_id, status, tuple(fills), filled, remaining, tuple(levels))

    def cancel(self, order_id: str) -> LevelUpdate | None:
        """Take an order out; return its level's new size, ``None`` when it does not rest."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return None
        return (self._bids if order.is_bid else self._asks).remove(order)

    def crosses(self, order: BookOrder) -> bool:
        """Return whether the order would meet a resting one."""
        against = self._asks if order.is_bid else self._bids
        return bool(against.keys) and against.keys[-1] >= order.up_price_micros * against.sign

    def preview(self, order: BookOrder) -> Preview:
        """Return what the order would take now, without taking it."""
        against = self._asks if order.is_bid else self._bids
        threshold = order.up_price_micros * against.sign
        budget = order.budget_micros
        wanted = order.shares_micros
        matches: list[tuple[int, int]] = []
        for key in reversed(against.keys):
            if key < threshold:
                break
            price = key * against.sign
            available = against.levels[price].total_micros
            if order.budget_micros:
                wanted = affordable_shares(budget, _own_price(order.outcome, price))
            take = min(available, wanted)
            if take:
                matches.append((price, take))
            if available >= wanted:
                return Preview(tuple(matches), sum(m[1] for m in matches), fills_whole=True)
            wanted -= take
            budget -= cost_micros(order.outcome, price, take)
        return Preview(tuple(matches), sum(m[1] for m in matches), fills_whole=False)

    def levels(self, outcome: Outcome, side: Side) -> tuple[tuple[int, int], ...]:
        """Return (price, shares) of one side of a token's displayed book, best first.

        Down's book is the mirror of Up's: its bids are Up's asks at one minus the price.
        """
        if outcome is Outcome.UP:
            ladder = self._bids if side is Side.BUY else self._asks
            return tuple(
                (key * ladder.sign, ladder.levels[key * ladder.sign].total_micros)
                for key in reversed(ladder.keys)
            )
        mirrored = Side.SELL if side is Side.BUY else Side.BUY
        return tuple((MICROS - price, size) for price, size in self.levels(Outcome.UP, mirrored))

    def _sweep(
        self,
        taker: BookOrder,
        against: _Ladder,
        threshold: int,
        fills: list[MatchFill],
        updates: list[LevelUpdate],
    ) -> int:
        """Fill against the ladder down to the threshold key; return the shares left to fill."""
        remaining = taker.shares_micros or taker.budget_micros
        budget = taker.budget_micros
        while remaining and against.keys and against.keys[-1] >= threshold:
            price = against.keys[-1] * against.sign
            level = against.levels[price]
            if budget:
                remaining = affordable_shares(budget, _own_price(taker.outcome, price))
                if remaining == 0:
                    break
            before = len(fills)
            wanted = remaining
            for maker in level.orders.values():
                take = min(maker.remaining_micros, remaining)
                maker.remaining_micros -= take
                remaining -= take
                fills.append(_fill(taker, maker, price, take))
                if remaining == 0:
                    break
            level.total_micros -= wanted - remaining
            for fill in fills[before:]:
                if fill.maker_remaining_micros == 0:
                    del level.orders[fill.maker_order_id]
                    del self._orders[fill.maker_order_id]
            if not level.orders:
                against.drop(price)
            updates.append(LevelUpdate(against.side, price, level.total_micros))
            if taker.budget_micros:
                budget -= sum(
                    cost_micros(taker.outcome, price, fill.shares_micros) for fill in fills[before:]
                )
                if remaining == 0 or budget <= 0:
                    return 0
        return remaining


def _own_price(outcome: Outcome, up_price_micros: int) -> int:
    return up_price_micros if outcome is Outcome.UP else MICROS - up_price_micros


def _fill(taker: BookOrder, maker: RestingOrder, price: int, shares: int) -> MatchFill:
    if maker.outcome is taker.outcome:
        match_type = MatchType.NORMAL
    elif taker.side is Side.BUY:
        match_type = MatchType.MINT
    else:
        match_type = MatchType.MERGE
    return MatchFill(
        maker.order_id,
        taker.order_id,
        maker.owner,
        maker.outcome,
        maker.side,
        maker.remaining_micros,
        price,
        shares,
        match_type,
    )
