"""The fast market: which source counts, what is refused, how windows warm and cool."""

from __future__ import annotations

import math

import pytest

from helpers.board import Board
from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    Candle,
    Candles,
    FastSourceChosen,
    FastView,
    PartialDepth,
    Quote,
    Source,
    Trade,
)
from tests.board_streams import LATENCY_NS, START_NS, market, opened, quote, trade

T = START_NS
SECOND = NS_PER_SECOND
MINUTE = 60 * SECOND
FIRST_ID = 100


def fast(board: Board, venue_ns: int) -> FastView:
    """Return the fast market at a moment of the venue's clock."""
    return board.snapshot("btc-updown-15m", venue_ns + LATENCY_NS, on_grid=True).fast


def new_board() -> Board:
    """Return a board with one market."""
    board = Board()
    board.apply(opened(market()))
    return board


def of(source: Source, event: Quote) -> Quote:
    """Return the same quote from another source."""
    return Quote(source, event.asset, event.bid, 1.0, event.ask, 1.0, event.update_id,
                 event.venue_ns, event.received_ns)  # fmt: skip


def test_the_first_source_claims_and_a_choice_replaces_it() -> None:
    """Only one source counts; a chosen one starts with empty windows."""
    board = new_board()
    board.apply(of(Source.COINBASE, quote(T, 100.0, 1)))
    board.apply(quote(T + 1, 200.0, 2))
    assert board.fast_source(Asset.BTC) is Source.COINBASE
    assert board.fast_mid(Asset.BTC) == 100.0
    board.apply(FastSourceChosen(Asset.BTC, Source.BINANCE_PUBLIC, T + 2))
    assert board.fast_mid(Asset.BTC) == 0.0
    assert fast(board, T).age_seconds == math.inf
    board.apply(quote(T + 3, 200.0, 3))
    assert board.fast_mid(Asset.BTC) == 200.0


def test_no_fast_market_is_said() -> None:
    """Before the first quote there is no source, no mid and nothing but cold windows."""
    board = new_board()
    assert board.fast_mid(Asset.BTC) == 0.0
    assert board.fast_source(Asset.BTC) is None
    view = fast(board, T)
    assert view.source is None
    assert view.flow_buy_usd is None


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (quote(T + 1, 100.0, FIRST_ID), "duplicate_quote"),
        (quote(T + 1, 100.0, FIRST_ID - 1), "out_of_order"),
        (quote(T - 1, 100.0, FIRST_ID + 1), "clock_back"),
        (quote(T + 1, 100.0, FIRST_ID + 1, half=-0.1), "fast_crossed"),
        (quote(T + 1, math.nan, FIRST_ID + 1), "fast_not_a_price"),
        (quote(T + 1, -5.0, FIRST_ID + 1), "fast_not_a_price"),
        (quote(T + 1, math.inf, FIRST_ID + 1), "fast_not_a_price"),
    ],
)
def test_bad_quotes_are_counted_and_dropped(event: Quote, kind: str) -> None:
    """Nothing of a refused quote shows."""
    board = new_board()
    board.apply(quote(T, 99.0, FIRST_ID))
    board.apply(event)
    assert board.fast_mid(Asset.BTC) == 99.0
    assert board.anomalies() == ((kind, 1),)


def test_a_locked_quote_is_allowed() -> None:
    """A feed that knows a last price only shows it as bid and as ask."""
    board = new_board()
    board.apply(quote(T, 99.0, 1, half=0.0))
    assert board.fast_mid(Asset.BTC) == 99.0


def test_a_frame_from_the_future_does_not_stop_the_feed_for_ever() -> None:
    """After 5 s of nothing but refusals the wrong last frame is given up, with its history."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    ahead = quote(T + 3_000 * SECOND, 100.0, 2)
    board.apply(Quote(ahead.source, ahead.asset, 99.0, 1.0, 99.0, 1.0, 2, ahead.venue_ns, T + 1))
    for second in range(1, 9):
        board.apply(quote(T + second * SECOND, 101.0, 2 + second))
    assert board.fast_mid(Asset.BTC) == 101.0
    counts = dict(board.anomalies())
    assert counts["fast_started_over"] == 1
    assert fast(board, T + 8 * SECOND).mid_60s_ago is None


def test_a_duplicate_after_a_silence_keeps_the_history() -> None:
    """The other socket repeating the last quote is no reason to start over."""
    board = new_board()
    for second in range(70):
        board.apply(quote(T + second * SECOND, 100.0, second + 1))
    last = quote(T + 69 * SECOND, 100.0, 70)
    for late in (0, 6, 12):
        board.apply(Quote(last.source, last.asset, last.bid, 1.0, last.ask, 1.0, 70,
                          last.venue_ns, last.received_ns + late * SECOND))  # fmt: skip
    assert fast(board, T + 70 * SECOND).mid_60s_ago == 100.0


def test_the_mid_of_a_second_is_the_last_at_or_before_it() -> None:
    """A quote exactly on a second is that second's; one later is not."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    board.apply(quote(T + 1 * SECOND, 101.0, 2))
    board.apply(quote(T + 1 * SECOND + 1, 102.0, 3))
    board.apply(quote(T + 3 * SECOND, 103.0, 4))
    assert fast(board, T + 6 * SECOND).mid_5s_ago == 101.0
    assert fast(board, T + 7 * SECOND).mid_5s_ago == 102.0
    assert fast(board, T + 8 * SECOND).mid_5s_ago == 103.0


def test_a_second_behind_a_long_silence_is_cold() -> None:
    """A mid more than 15 s older than the second it stands for is not used."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    board.apply(quote(T + 40 * SECOND, 101.0, 2))
    assert fast(board, T + 74 * SECOND).mid_60s_ago == 100.0
    assert fast(board, T + 76 * SECOND).mid_60s_ago is None
    assert fast(board, T + 99 * SECOND).mid_60s_ago is None


def test_a_jump_over_the_ring_clears_it() -> None:
    """More than an hour of silence leaves no second to look back to."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    board.apply(quote(T + SECOND, 100.0, 2))
    board.apply(quote(T + 4_000 * SECOND, 101.0, 3))
    view = fast(board, T + 4_001 * SECOND)
    assert view.mid_1s_ago == 101.0
    assert view.mid_5s_ago is None
    assert view.mid_3600s_ago is None


def bars(first_ns: int, closes: list[float], volume: float, received_ns: int) -> Candles:
    """Return one-minute bars."""
    candles = tuple(
        Candle(first_ns + index * MINUTE, close, volume) for index, close in enumerate(closes)
    )
    return Candles(Source.BINANCE_REST, Asset.BTC, 60, candles, received_ns)


@pytest.mark.parametrize("candles_first", [True, False])
def test_candles_warm_what_was_not_seen(candles_first: bool) -> None:
    """A day of bars warms returns, volumes and the regimes at once; live mids win."""
    board = new_board()
    now_ns = T - T % MINUTE + 30 * SECOND
    first_ns = now_ns - 30 * SECOND - 1_440 * MINUTE
    history = bars(first_ns, [100.0] * 1_440 + [250.0], 10.0, now_ns + LATENCY_NS)
    if candles_first:
        board.apply(history)
    board.apply(quote(now_ns, 110.0, 1))
    board.apply(quote(now_ns + 2 * SECOND, 120.0, 2))
    if not candles_first:
        board.apply(history)
    view = fast(board, now_ns + 2 * SECOND)
    assert (view.mid_60s_ago, view.mid_600s_ago, view.mid_3600s_ago) == (100.0, 100.0, 100.0)
    assert view.mid_1s_ago == 110.0
    assert view.volume_1h_usd == 600.0
    assert view.volume_24h_usd == 14_400.0
    assert view.minute_return_sd == 0.0
    assert view.volatility_per_sqrt_second is None


@pytest.mark.parametrize(
    ("candles", "kind"),
    [
        (Candles(Source.BINANCE_REST, Asset.BTC, 3_600, (), T), "candle_interval"),
        (bars(T - MINUTE, [math.nan], 1.0, T), "candle_not_a_number"),
        (bars(T - MINUTE, [1.0], -1.0, T), "candle_not_a_number"),
    ],
)
def test_bad_candles_are_counted(candles: Candles, kind: str) -> None:
    """Bars of another length or without sound numbers warm nothing."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    board.apply(candles)
    assert board.anomalies() == ((kind, 1),)


def test_aggregated_trades_count_until_a_real_one_comes() -> None:
    """The fallback stream is ignored as soon as the source's own trades are there."""
    board = new_board()
    board.apply(quote(T - 20 * SECOND, 100.0, 1))
    for index in range(3):
        at_ns = T - 15 * SECOND + index
        board.apply(trade(at_ns, 100.0, 1.0, True, 50 + index, Source.BINANCE_MARKET))
    board.apply(trade(T - 15 * SECOND + 3, 100.0, 1.0, True, 52, Source.BINANCE_MARKET))
    board.apply(trade(T - 2 * SECOND, 100.0, 1.0, True, 7))
    board.apply(trade(T - SECOND, 100.0, 1.0, True, 60, Source.BINANCE_MARKET))
    board.apply(trade(T - SECOND, 100.0, 1.0, False, 8))
    assert fast(board, T).trades_10s == 2
    assert dict(board.anomalies()) == {"duplicate_trade": 1}


def test_duplicate_and_senseless_trades_are_dropped() -> None:
    """Ids that do not increase, clocks that go back, prices that are none."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    board.apply(trade(T, 100.0, 1.0, True, 10))
    board.apply(trade(T, 100.0, 1.0, True, 10))
    board.apply(trade(T, 100.0, 1.0, True, 9))
    board.apply(trade(T - 1, 100.0, 1.0, True, 11))
    board.apply(trade(T, math.nan, 1.0, True, 12))
    board.apply(trade(T, 100.0, 0.0, True, 13))
    board.apply(trade(T, 1e12, 1e12, True, 14))
    assert dict(board.anomalies()) == {
        "clock_back": 1, "duplicate_trade": 2, "fast_not_a_trade": 3,
    }  # fmt: skip
    assert fast(board, T + 9 * SECOND).trades_10s is None
    board.apply(trade(T + 9 * SECOND, 100.0, 1.0, True, 15))
    assert fast(board, T + 10 * SECOND - 1).trades_10s is None
    assert fast(board, T + 10 * SECOND).trades_10s == 1


def test_a_spot_quote_without_a_stamp_is_timed_by_its_receipt() -> None:
    """Spot's bookTicker carries no time (binance reference 2.3)."""
    board = new_board()
    for index in range(3):
        board.apply(
            Quote(Source.BINANCE_SPOT, Asset.BTC, 99.0, 1.0, 101.0, 1.0, index + 1, 0,
                  T + index * SECOND)
        )  # fmt: skip
    view = board.snapshot("btc-updown-15m", T + 5 * SECOND, True).fast
    assert view.age_seconds == pytest.approx(3.0)
    assert view.mid_5s_ago == 100.0


def test_past_trades_warm_the_flow_and_leave_the_clock_alone() -> None:
    """A batch fetched over REST is minutes old; it says nothing of the clock's offset."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    for index in range(300):
        past = trade(T - (600 - 2 * index) * SECOND, 100.0, 1.0, True, index + 1)
        board.apply(
            Trade(Source.BINANCE_MARKET, Asset.BTC, index + 1, 100.0, 1.0, True,
                  past.venue_ns, T + LATENCY_NS)
        )  # fmt: skip
    assert board.clock_offset_ns(Source.BINANCE_PUBLIC) == LATENCY_NS
    board.apply(trade(T + SECOND, 100.0, 1.0, False, 9_000))
    view = fast(board, T + SECOND)
    assert view.trades_10s == 5
    assert view.flow_buy_usd is not None
    assert view.flow_sell_usd == pytest.approx(100.0)


def test_spot_trades_tell_the_clock_where_quotes_do_not() -> None:
    """Spot quotes have no stamp, so its live trades give the offset, its past ones do not."""
    board = new_board()
    board.apply(Quote(Source.BINANCE_SPOT, Asset.BTC, 99.0, 1.0, 101.0, 1.0, 1, 0, T))
    for index, (venue_ns, received_ns) in enumerate(
        ((T - 60 * SECOND, T), (T - SECOND, T), (T + SECOND, T + SECOND + LATENCY_NS))
    ):
        board.apply(
            Trade(Source.BINANCE_SPOT, Asset.BTC, index + 1, 100.0, 1.0, True, venue_ns,
                  received_ns)
        )  # fmt: skip
    assert board.clock_offset_ns(Source.BINANCE_SPOT) == LATENCY_NS


def test_partial_depth_is_kept_in_order() -> None:
    """The newest top of the book is kept, an older one counted."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    tops = [
        PartialDepth(Source.BINANCE_PUBLIC, Asset.BTC, update, ((99.0, 1.0),), (), T, T + update)
        for update in (5, 7, 6)
    ]
    for top in tops:
        board.apply(top)
    assert board.partial_depth(Asset.BTC) == tops[1]
    assert board.anomalies() == (("out_of_order", 1),)


def test_age_is_that_of_the_quote() -> None:
    """Trades do not make a stale price young."""
    board = new_board()
    board.apply(quote(T, 100.0, 1))
    board.apply(trade(T + 20 * SECOND, 100.0, 1.0, True, 1))
    assert fast(board, T + 20 * SECOND).age_seconds == pytest.approx(20.0)
