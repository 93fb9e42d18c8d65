"""The board as a whole: which markets, which strike, how much memory."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from helpers.board import Board
from helpers.board.board import RESOLVED_KEPT_NS
from helpers.board.market_list import MAXIMUM_MARKETS
from helpers.domain import (
    GRID_NS,
    NS_PER_SECOND,
    Asset,
    Connected,
    Disconnected,
    Market,
    MarketOpened,
    MarketResolved,
    MarkPrice,
    OperatorRequest,
    OperatorVerb,
    OutcomeTrade,
    ReferencePrice,
    Side,
    Source,
    StrikeKnown,
    StrikeRung,
)
from tests.board_streams import LATENCY_NS, START_NS, UP, book, market, opened, quote

T = START_NS
SECOND = NS_PER_SECOND
SLUG = "btc-updown-15m"


def twap(price: float, at_ns: int, kind: str = "twap60") -> ReferencePrice:
    """Return a print of the settlement source."""
    assert kind in {"twap60", "spot"}
    return ReferencePrice(
        Asset.BTC, "spot" if kind == "spot" else "twap60", "chainlink", price, at_ns, at_ns
    )


def resolved(of: Market, price: float) -> MarketResolved:
    """Return the end of a window."""
    return MarketResolved(
        of.condition_id, of.up_token, price, Source.GAMMA, of.closes_ns, of.closes_ns
    )


def strike(board: Board, slug: str = SLUG) -> tuple[float, StrikeRung] | None:
    """Return price and rung of a market's strike."""
    found = board.snapshot(slug, T + SECOND, True).strike
    return None if found is None else (found.price, found.rung)


def test_open_markets_are_ordered_and_end_exclusively() -> None:
    """By close time, then slug; open from its first to before its last moment."""
    board = Board()
    for slug, seconds in (("b", 900), ("a", 900), ("c", 300)):
        board.apply(opened(market(slug, seconds=seconds, up=slug + "1", down=slug + "2")))
    assert board.open_markets(T - 1) == ()
    assert [found.slug for found in board.open_markets(T)] == ["c", "a", "b"]
    assert [found.slug for found in board.open_markets(T + 300 * SECOND)] == ["a", "b"]
    assert [found.slug for found in board.open_markets(T + 1)] == ["c", "a", "b"]
    board.forget("a")
    assert [found.slug for found in board.open_markets(T + 1)] == ["c", "b"]
    assert board.open_markets(T + 900 * SECOND) == ()


def test_unknown_markets() -> None:
    """An unlisted or forgotten slug has no view; a foreign condition is none of ours."""
    board = Board()
    board.apply(opened(market()))
    assert board.market_by_condition("0x" + SLUG) == market()
    board.forget(SLUG)
    board.forget(SLUG)
    assert board.market_by_condition("0x" + SLUG) is None
    with pytest.raises(KeyError):
        board.snapshot(SLUG, T, True)
    assert board.market(SLUG) is None
    board.apply(book(T, UP, (), ()))
    board.apply(OutcomeTrade("0x", UP, 0.5, 1.0, Side.BUY, T, T))
    assert board.anomalies() == (("unknown_token", 2),)


def test_a_relisting_keeps_the_book() -> None:
    """Discovery refreshes facts, and never wipes what the socket told (I14)."""
    board = Board()
    board.apply(opened(market()))
    board.apply(book(T, UP, ((0.5, 1.0),), ((0.51, 1.0),)))
    again = market(seconds=901)
    board.apply(MarketOpened(again, T))
    assert board.market(SLUG) == again
    assert board.levels(UP, Side.BUY, 5) == ((510_000, 1_000_000),)


def test_a_relisting_with_another_tick_or_token() -> None:
    """A tick that the listing changed waits for a snapshot; a token that went is forgotten."""
    board = Board()
    board.apply(opened(market()))
    board.apply(book(T, UP, ((0.5, 1.0),), ((0.51, 1.0),)))
    board.apply(MarketOpened(replace(market(), tick_micros=1_000), T))
    assert UP in board.drain_suspects()
    assert board.levels(UP, Side.BUY, 5) == ()
    board.apply(MarketOpened(market(up="33"), T))
    board.apply(book(T, UP, (), ()))
    assert dict(board.anomalies())["unknown_token"] == 1
    assert board.snapshot(SLUG, T, True).up.bids == ()


def test_the_number_of_markets_is_bounded() -> None:
    """The longest closed one goes for a new one, with all that is kept for it (I34)."""
    board = Board()
    for number in range(MAXIMUM_MARKETS + 3):
        name = f"m{number}"
        listed = market(name, opens_ns=T + number * SECOND, up=name + "u", down=name + "d")
        board.apply(opened(listed))
    assert dict(board.anomalies())["evicted_market"] == 3
    assert board.market("m2") is None
    assert board.market("m3") is not None
    board.apply(book(T, "m2u", (), ()))
    assert dict(board.anomalies())["unknown_token"] == 1


def test_a_resolved_market_is_forgotten_an_hour_later() -> None:
    """Its books are of no use any more; one that waits for its resolution stays (I15, I34)."""
    board = Board()
    over, waiting = market(), market("waits", up="w-up", down="w-down")
    for listed in (over, waiting):
        board.apply(opened(listed))
    board.apply(resolved(over, 1.0))
    soon = market("soon", opens_ns=over.closes_ns + RESOLVED_KEPT_NS - 1, up="s-up", down="s-down")
    board.apply(opened(soon))
    assert board.market(over.slug) == over
    later = market("later", opens_ns=over.closes_ns + RESOLVED_KEPT_NS, up="l-up", down="l-down")
    board.apply(opened(later))
    assert board.market(over.slug) is None
    assert board.market("waits") == waiting
    board.apply(book(T, UP, (), ()))
    board.apply(resolved(over, 1.0))  # told again, by polling
    assert dict(board.anomalies()) == {"unknown_token": 1}


def test_the_best_rung_is_kept() -> None:
    """A strike is replaced by a better source only, in the ladder's order."""
    board = Board()
    before = market("before", opens_ns=T - 900 * SECOND, up="1", down="2")
    board.apply(opened(before))
    board.apply(opened(market()))
    assert strike(board) is None
    board.apply(resolved(before, 102.0))
    assert strike(board) == (102.0, StrikeRung.PREVIOUS_FINAL)
    board.apply(StrikeKnown(SLUG, 101.0, StrikeRung.VENUE_METADATA, T))
    board.apply(StrikeKnown(SLUG, 101.5, StrikeRung.VENUE_METADATA, T))
    assert strike(board) == (101.0, StrikeRung.VENUE_METADATA)
    board.apply(resolved(before, 103.0))
    assert strike(board) == (101.0, StrikeRung.VENUE_METADATA)
    board.apply(twap(104.0, T + SECOND))
    board.apply(twap(105.0, T, kind="spot"))
    assert strike(board) == (101.0, StrikeRung.VENUE_METADATA)
    board.apply(twap(106.0, T))
    board.apply(resolved(before, 107.0))
    assert strike(board) == (106.0, StrikeRung.VENUE_TWAP)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (twap(5.0, T), (5.0, StrikeRung.VENUE_TWAP)),
        (StrikeKnown(SLUG, 6.0, StrikeRung.VENUE_METADATA, T), (6.0, StrikeRung.VENUE_METADATA)),
        (StrikeKnown(SLUG, -6.0, StrikeRung.VENUE_METADATA, T), None),
        (resolved(market("before", T - 300 * SECOND, 300), 0.0), None),
    ],
)
def test_what_was_told_before_the_listing(
    told: ReferencePrice | StrikeKnown | MarketResolved,
    expected: tuple[float, StrikeRung] | None,
) -> None:
    """A strike may come before the market's facts do; a price that is none is no strike."""
    board = Board()
    board.apply(opened(market("before", T - 300 * SECOND, 300, up="1", down="2")))
    board.apply(told)
    board.apply(opened(market()))
    assert strike(board) == expected


def test_an_hourly_window_settles_on_another_source() -> None:
    """Its final price and the TWAP say nothing of each other (reference E.4)."""
    board = Board()
    hourly = market("hourly", T - 3_600 * SECOND, 3_600, up="1", down="2")
    board.apply(opened(hourly))
    board.apply(opened(market()))
    board.apply(opened(market("next", T, 3_600, up="3", down="4")))
    board.apply(resolved(hourly, 99.0))
    board.apply(twap(98.0, T))
    assert strike(board) == (98.0, StrikeRung.VENUE_TWAP)
    assert strike(board, "next") == (99.0, StrikeRung.PREVIOUS_FINAL)


def test_the_proxy_is_the_mean_of_the_minute_before() -> None:
    """60 whole seconds of fast mids, all seen live; worse than anything the venue says."""
    board = Board()
    board.apply(opened(market()))
    for second in range(-61, 2):
        board.apply(quote(T + second * SECOND, 1_000.0 + second, second + 100))
    board.on_grid(T - GRID_NS)
    assert strike(board) is None
    board.on_grid(T + SECOND)
    assert strike(board) == (pytest.approx(1_000.0 - 30.5), StrikeRung.FAST_PROXY)
    board.apply(StrikeKnown(SLUG, 970.0, StrikeRung.VENUE_METADATA, T))
    assert strike(board) == (970.0, StrikeRung.VENUE_METADATA)


def test_no_proxy_from_half_a_minute() -> None:
    """A worker that started too late says that it does not know."""
    board = Board()
    board.apply(opened(market()))
    for second in range(-30, 2):
        board.apply(quote(T + second * SECOND, 1_000.0, second + 100))
    board.on_grid(T + SECOND)
    assert strike(board) is None


def test_reference_price_prefers_spot() -> None:
    """The latest spot print shows; an average never replaces it."""
    board = Board()
    board.apply(opened(market()))
    assert board.snapshot(SLUG, T, True).reference_price == 0.0
    for event in (twap(1.0, T), twap(2.0, T, "spot"), twap(3.0, T + 1), twap(4.0, T - 1, "spot")):
        board.apply(event)
    assert board.snapshot(SLUG, T, True).reference_price == 2.0


def test_clock_skew_is_the_largest_of_the_feeds() -> None:
    """Venue minus ours: a venue that seems 70 ms behind is latency, or a clock of ours ahead."""
    board = Board()
    board.apply(opened(market()))
    board.apply(quote(T, 100.0, 1))
    skew = board.snapshot(SLUG, T, True).clock_skew_seconds
    assert skew == pytest.approx(-LATENCY_NS / SECOND)
    assert board.clock_offset_ns(Source.BINANCE_PUBLIC) == LATENCY_NS


def test_a_clock_that_nobody_has_seen_is_not_right() -> None:
    """Not measured is not zero: no feed has sent a stamped frame yet, or only a whole book.

    A snapshot's stamp is that of the book's last change, so its age says nothing of a clock.
    """
    board = Board()
    board.apply(opened(market()))
    assert board.snapshot(SLUG, T, True).clock_skew_seconds == math.inf
    board.apply(book(T, UP, ((0.5, 1.0),), ((0.51, 1.0),)))
    assert board.snapshot(SLUG, T, True).clock_skew_seconds == math.inf
    board.apply(replace(quote(T, 100.0, 1), venue_ns=0))
    assert board.snapshot(SLUG, T, True).clock_skew_seconds == math.inf, "a quote without a stamp"
    board.apply(quote(T + SECOND, 100.0, 2))
    assert math.isfinite(board.snapshot(SLUG, T, True).clock_skew_seconds)


def test_an_operator_changes_nothing_of_the_market() -> None:
    """A request travels with the feeds' events, and the board must survive it (I30)."""
    board = Board()
    board.apply(OperatorRequest("r1", OperatorVerb.HALT, "look", T))


def test_connections_and_mark_prices_change_nothing() -> None:
    """Make-before-break keeps the books fed; staleness is the age of data (invariant 8)."""
    board = Board()
    board.apply(opened(market()))
    board.apply(book(T, UP, ((0.5, 1.0),), ((0.51, 1.0),)))
    before = board.snapshot(SLUG, T + SECOND, True)
    board.apply(Connected(Source.POLYMARKET_MARKET, T + 1))
    board.apply(Disconnected(Source.POLYMARKET_MARKET, "closed", T + 1))
    board.apply(MarkPrice(Source.BINANCE_MARKET, Asset.BTC, 1.0, 1.0, T, T))
    assert board.snapshot(SLUG, T + SECOND, True) == before


def test_up_mid_sd_warms_and_goes_cold_after_a_gap() -> None:
    """30 grid steps with a sound book; a gap as long as the window empties it."""
    board = Board()
    board.apply(opened(market()))
    board.apply(book(T, UP, ((0.5, 1.0),), ((0.52, 1.0),)))
    for step in range(30):
        assert board.snapshot(SLUG, T + step * GRID_NS, True).up_mid_sd is None
        if step == 15:
            board.apply(book(T + 1, UP, ((0.52, 1.0),), ((0.54, 1.0),)))
        board.on_grid(T + step * GRID_NS)
    now_ns = T + 29 * GRID_NS
    assert board.snapshot(SLUG, now_ns, True).up_mid_sd == pytest.approx(0.01)
    assert board.snapshot(SLUG, now_ns + 16 * SECOND, True).up_mid_sd is None
    board.on_grid(now_ns + 16 * SECOND)
    assert board.snapshot(SLUG, now_ns + 16 * SECOND, True).up_mid_sd is None


def test_a_stranger_is_no_feed_event() -> None:
    """An event of another type is a programmer's error."""
    with pytest.raises(KeyError):
        Board().apply(market())  # pyright: ignore[reportArgumentType]
