"""The market model as a whole: determinism, rolling windows, resolution, bounds."""

from __future__ import annotations

import gc
import sys
from itertools import pairwise

import pytest

from helpers.domain import NS_PER_SECOND, Asset, Outcome, Side
from simulator.actions import (
    Action,
    Cancel,
    FastQuote,
    FastTrade,
    Place,
    ReferenceTick,
    Take,
    TimedAction,
    WindowCloses,
    WindowOpens,
)
from simulator.calibration_book import BackgroundBooks
from simulator.fast_price import TapeEndedError, TapePrices
from simulator.market_model import MarketModel, ModelSettings

START_NS = 1_790_000_100 * NS_PER_SECOND
"""A multiple of 300 s but not of 900."""
MINUTE_NS = 60 * NS_PER_SECOND
FIVE_MINUTES = ModelSettings(assets=(Asset.BTC,), window_seconds=(300,), warm_up_minutes=1)


def apply(books: BackgroundBooks, action: Action) -> None:
    """Apply an action as an exchange would; a crossing maker order raises."""
    match action:
        case Place():
            books.place(action)
        case Cancel():
            books.cancel(action)
        case Take():
            books.take(action)
        case WindowOpens():
            books.open(action.market)
        case WindowCloses():
            books.close(action.market)
        case _:
            pass


def run(
    settings: ModelSettings, seconds: int, seed: int = 3, start_ns: int = START_NS
) -> list[TimedAction]:
    """Run a model on books of its own and return all it did."""
    books = BackgroundBooks()
    model = MarketModel(seed, start_ns, books, settings)
    done: list[TimedAction] = []
    for timed in model.advance(start_ns + seconds * NS_PER_SECOND):
        apply(books, timed[1])
        done.append(timed)
    return done


def test_equal_seeds_give_equal_actions_bit_for_bit() -> None:
    """The same seed repeats every action and moment; another seed does not."""
    settings = ModelSettings(
        assets=(Asset.BTC, Asset.ETH), window_seconds=(300, 900), warm_up_minutes=1
    )
    first, again = run(settings, 40), run(settings, 40)
    assert first == again
    assert first != run(settings, 40, seed=4)
    kinds = {type(action) for _, action in first}
    assert kinds == {FastQuote, FastTrade, ReferenceTick, Place, Cancel, Take, WindowOpens}


def test_time_never_goes_back_and_ends_where_asked() -> None:
    """Actions come in time order, from the start to the end asked for, both included."""
    moments = [at_ns for at_ns, _ in run(FIVE_MINUTES, 61)]
    assert all(later >= earlier for earlier, later in pairwise(moments))
    assert moments[0] >= START_NS
    assert moments[-1] <= START_NS + 61 * NS_PER_SECOND


def test_small_advances_equal_one_large_one() -> None:
    """How the caller slices time does not change what happens."""
    books = BackgroundBooks()
    model = MarketModel(3, START_NS, books, FIVE_MINUTES)
    sliced: list[TimedAction] = []
    for slice_number in range(1, 61):
        for timed in model.advance(START_NS + slice_number * NS_PER_SECOND // 2):
            apply(books, timed[1])
            sliced.append(timed)
    assert sliced == run(FIVE_MINUTES, 30)


def test_windows_roll_without_a_gap_and_strikes_chain() -> None:
    """Each window opens the moment the last one closes, at the last one's final price (E.4)."""
    done = run(FIVE_MINUTES, 16 * 60)
    opened = [(at_ns, action) for at_ns, action in done if isinstance(action, WindowOpens)]
    closed = [(at_ns, action) for at_ns, action in done if isinstance(action, WindowCloses)]
    assert len(opened) == 4
    assert len(closed) == 3
    for (close_ns, closes), (_, before), (open_ns, after) in zip(
        closed, opened, opened[1:], strict=False
    ):
        assert close_ns == open_ns == before.market.closes_ns == after.market.opens_ns
        assert closes.market == before.market.slug
        assert closes.final_price == after.strike
        up_won = closes.final_price >= before.strike
        assert closes.winner is (Outcome.UP if up_won else Outcome.DOWN)


def test_a_model_started_inside_a_window_knows_its_strike() -> None:
    """The strike is the average at the window's start, though that was before the run."""
    early = run(FIVE_MINUTES, 301)
    strike = next(
        action.strike
        for at_ns, action in early
        if isinstance(action, WindowOpens) and at_ns == START_NS + 300 * NS_PER_SECOND
    )
    ticks = [(at_ns, action) for at_ns, action in early if isinstance(action, ReferenceTick)]
    assert strike in [tick.twap60 for at_ns, tick in ticks if at_ns % MINUTE_NS == 0]
    late = run(FIVE_MINUTES, 1, start_ns=START_NS + 137 * NS_PER_SECOND)
    opens = next(action for _, action in late if isinstance(action, WindowOpens))
    assert opens.market.opens_ns == START_NS


def test_hourly_windows_settle_by_the_fast_market() -> None:
    """An hour's strike is the fast mid, not the reference's average (E.4)."""
    settings = ModelSettings(assets=(Asset.BTC,), window_seconds=(3_600,), warm_up_minutes=0)
    start_ns = START_NS // (3_600 * NS_PER_SECOND) * (3_600 * NS_PER_SECOND)
    done = run(settings, 1, start_ns=start_ns)
    opens = next(action for _, action in done if isinstance(action, WindowOpens))
    quote = next(action for _, action in done if isinstance(action, FastQuote))
    tick = next(action for _, action in done if isinstance(action, ReferenceTick))
    assert abs(opens.strike - quote.bid) < 1.0
    assert opens.strike != tick.twap60


def test_no_quote_is_crossed_and_prices_are_on_the_grid() -> None:
    """Makers never cross (the books would raise); every price is a tick inside (0, 1)."""
    for _, action in run(FIVE_MINUTES, 310):
        if isinstance(action, Place | Take):
            price = action.price_micros if isinstance(action, Place) else action.price_limit_micros
            assert 0 < price < 1_000_000
            assert price % 1_000 == 0
            assert action.shares_micros > 0
            assert action.shares_micros % 10_000 == 0
        if isinstance(action, FastQuote):
            assert 0 < action.bid < action.ask


def test_fast_prices_do_not_depend_on_the_books() -> None:
    """What strangers do to a book leaves fast prices and references untouched."""
    books = BackgroundBooks()
    model = MarketModel(3, START_NS, books, FIVE_MINUTES)
    disturbed: list[TimedAction] = []
    for at_ns, action in model.advance(START_NS + 20 * NS_PER_SECOND):
        apply(books, action)
        if isinstance(action, Place):
            limit = 990_000
            books.take(Take(action.market, Outcome.UP, Side.BUY, limit, 50_000_000))
        elif isinstance(action, FastQuote | FastTrade | ReferenceTick):
            disturbed.append((at_ns, action))
    calm = [
        timed
        for timed in run(FIVE_MINUTES, 20)
        if isinstance(timed[1], FastQuote | FastTrade | ReferenceTick)
    ]
    assert disturbed == calm


def test_a_stranger_left_behind_by_fair_value_is_hit() -> None:
    """A resting bid far above fair value is sold to, and quoting goes on without a cross."""
    books = BackgroundBooks()
    model = MarketModel(3, START_NS, books, FIVE_MINUTES)
    slug = ""
    for at_ns, action in model.advance(START_NS + 60 * NS_PER_SECOND):
        apply(books, action)
        if isinstance(action, WindowOpens):
            slug = action.market.slug
            books.place(Place(slug, "stranger", Outcome.UP, Side.BUY, 900_000, 5_000_000))
        if books.remaining_micros(slug, "stranger") == 0:
            assert at_ns > START_NS
            return
    pytest.fail("nobody sold to a bid of 0.90 within a minute")


def test_a_tape_replaces_the_process() -> None:
    """Quotes follow the tape; past its end the model says so."""
    tape = tuple((START_NS + second * NS_PER_SECOND, 50_000.0 + second) for second in range(90))
    books = BackgroundBooks()
    model = MarketModel(3, START_NS, books, FIVE_MINUTES, TapePrices((tape,)))
    quotes: list[tuple[int, FastQuote]] = []

    def follow(seconds: int) -> None:
        for at_ns, action in model.advance(START_NS + seconds * NS_PER_SECOND):
            apply(books, action)
            if isinstance(action, FastQuote):
                quotes.append((at_ns, action))

    with pytest.raises(TapeEndedError, match="tape ended"):
        follow(200)
    assert quotes[-1][0] > START_NS + 90 * NS_PER_SECOND
    for at_ns, quote in quotes:
        second = min((at_ns - START_NS) // NS_PER_SECOND, 89)
        assert (quote.bid + quote.ask) / 2 == pytest.approx(50_000.0 + second, abs=0.2)


def test_state_stays_bounded() -> None:
    """Memory blocks in use after four windows are about as many as after one."""
    settings = ModelSettings(
        assets=(Asset.BTC,),
        window_seconds=(300,),
        warm_up_minutes=70,
        quotes_per_second=1.0,
        trades_per_second=0.5,
    )
    books = BackgroundBooks()
    model = MarketModel(3, START_NS, books, settings)

    def blocks_at(seconds: int) -> int:
        for _, action in model.advance(START_NS + seconds * NS_PER_SECOND):
            apply(books, action)
        gc.collect()
        return sys.getallocatedblocks()

    early = blocks_at(310)
    # Three more windows hold 100,000 blocks when their actions are kept.
    assert blocks_at(1_210) < early + 5_000


def test_candles_and_open_markets_are_told() -> None:
    """A client can be warmed up, and an open market's strike be asked for."""
    model = MarketModel(3, START_NS, BackgroundBooks(), FIVE_MINUTES)
    candles = model.candles(Asset.BTC)
    assert candles
    assert all(
        later.opens_ns - earlier.opens_ns == MINUTE_NS for earlier, later in pairwise(candles)
    )
    assert candles[-1].opens_ns + MINUTE_NS <= START_NS
    (market,) = model.open_markets
    assert model.strike(market.slug) > 0
    with pytest.raises(KeyError):
        model.strike("no-such-market")


def test_an_unknown_window_length_is_refused() -> None:
    """Only the venue's lengths are simulated."""
    with pytest.raises(ValueError, match="window lengths were"):
        MarketModel(3, START_NS, BackgroundBooks(), ModelSettings(window_seconds=(60,)))
