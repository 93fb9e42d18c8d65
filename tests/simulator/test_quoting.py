"""Background makers."""

from __future__ import annotations

import pytest

from helpers.domain import MICROS, NS_PER_SECOND, Asset, Outcome, Side
from simulator.actions import Cancel, Place, Take
from simulator.calibration_book import BackgroundBooks
from simulator.profiles import MAKER_PROFILES
from simulator.quoting import LEVELS, BookMaker
from simulator.randomness import Draws, random_stream
from simulator.windows import market_facts


class Desk:
    """A maker, its books, and a clock that steps from pause to pause."""

    def __init__(self) -> None:
        self.market = market_facts(7, Asset.BTC, 900, 0)
        self.books = BackgroundBooks()
        self.books.open(self.market)
        self.maker = BookMaker(self.market, MAKER_PROFILES[900], Draws(random_stream(7, 1)))
        self.now_ns = 0
        self.updates: list[Place | Cancel | Take] = []

    def quote(self, fair: float, seconds: float) -> None:
        """Let the maker work at a fair value for a while."""
        until_ns = self.now_ns + int(seconds * NS_PER_SECOND)
        while self.now_ns < until_ns:
            action = self.maker.step(self.now_ns, fair, self.books)
            match action:
                case Place():
                    self.books.place(action)
                case Cancel():
                    self.books.cancel(action)
                case Take():
                    self.books.take(action)
                case _:
                    pass
            if isinstance(action, Place | Cancel | Take):
                self.updates.append(action)
            self.now_ns += max(self.maker.gap_ns, 1)

    @property
    def touch(self) -> tuple[int, int]:
        """Best bid and ask for Up."""
        slug = self.market.slug
        return self.books.best_bid_micros(slug), self.books.best_ask_micros(slug)


def test_a_full_ladder_stands_around_fair_value() -> None:
    """Ten levels a side, a tick wide, as buys of both outcomes."""
    desk = Desk()
    desk.quote(0.53, 10.0)
    bid, ask = desk.touch
    assert ask - bid == 10_000
    assert bid <= 530_000 <= ask
    assert desk.books.best_bid_micros(desk.market.slug) > 0
    for side in Side:
        assert len(desk.books.depth(desk.market.slug, side, 20)) >= LEVELS
    assert {place.side for place in desk.updates if isinstance(place, Place)} == {Side.BUY}
    outcomes = {place.outcome for place in desk.updates if isinstance(place, Place)}
    assert outcomes == set(Outcome)


def test_a_move_is_followed_within_a_third_of_a_second() -> None:
    """Five cents of fair value move the touch by five cents, without ever crossing."""
    desk = Desk()
    desk.quote(0.53, 10.0)
    before = desk.touch
    desk.quote(0.58, 0.35)
    assert desk.touch[0] - before[0] == pytest.approx(50_000, abs=10_000)
    assert desk.touch[0] < desk.touch[1]


def test_small_moves_are_ignored() -> None:
    """Fair value within the touch changes nothing of it."""
    desk = Desk()
    desk.quote(0.535, 10.0)
    before = desk.touch
    desk.quote(0.537, 2.0)
    assert desk.touch == before


def test_a_touch_that_was_taken_is_quoted_anew() -> None:
    """After a taker emptied the best ask, the makers show it again."""
    desk = Desk()
    desk.quote(0.535, 10.0)
    before = desk.touch
    limit = before[1]
    desk.books.take(Take(desk.market.slug, Outcome.UP, Side.BUY, limit, 10_000 * MICROS))
    assert desk.touch[1] > before[1]
    desk.quote(0.535, 1.0)
    assert desk.touch == before


def test_near_certainty_the_book_is_fine_then_one_sided() -> None:
    """Beyond 0.96 the makers use the fine tick; near 1 nobody offers the winner."""
    desk = Desk()
    desk.quote(0.97, 10.0)
    assert desk.books.tick_micros(desk.market.slug) == 1_000
    assert desk.touch[1] - desk.touch[0] < 10_000
    desk.quote(0.9999, 10.0)
    assert desk.touch[0] > 990_000
    assert desk.touch[1] == 0
    desk.quote(0.5, 10.0)
    assert desk.books.tick_micros(desk.market.slug) == 10_000
    assert desk.touch[1] - desk.touch[0] == 10_000


def test_orders_stay_bounded() -> None:
    """However fair value wanders, few orders are left standing."""
    desk = Desk()
    walk = random_stream(7, 2)
    for _ in range(300):
        desk.quote(float(walk.uniform(0.02, 0.98)), 0.3)
    desk.quote(0.5, 10.0)
    for side in Side:
        assert len(desk.books.depth(desk.market.slug, side, 100)) <= LEVELS + 5


def test_an_order_id_is_never_used_twice() -> None:
    """Each placement has an id of its own that names its market."""
    desk = Desk()
    desk.quote(0.4, 20.0)
    ids = [place.order_id for place in desk.updates if isinstance(place, Place)]
    assert len(ids) == len(set(ids)) > 2 * LEVELS
    assert all(order_id.startswith(desk.market.slug) for order_id in ids)
