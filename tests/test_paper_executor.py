"""Paper fills: never better and never more than what was displayed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers import paper_executor as paper_module
from helpers import paper_liquidity, paper_queue
from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    Accepted,
    Approved,
    BookChange,
    BookLevels,
    BookSnapshot,
    ExecutionEvent,
    FeeSchedule,
    Fill,
    FillStatus,
    Level,
    LevelChange,
    MarketOpened,
    MarketResolved,
    Mode,
    OrderIntent,
    OrderState,
    OrderStyle,
    OrderUpdate,
    Outcome,
    OutcomeTrade,
    Rejected,
    Side,
    Source,
    TickSize,
    from_micros,
)
from helpers.execution import Executor
from helpers.ledger import Ledger
from helpers.order_rules import FAK_UNMATCHED_TEXT, POST_ONLY_CROSSES_TEXT
from helpers.paper_executor import PaperExecutor, PaperSettings
from tests.trading_builders import CLOSES_NS, MARKET, NOW_NS, approved, intent, market

MS = NS_PER_MS
ARRIVES_NS = NOW_NS + 75 * MS
MATCHES_NS = ARRIVES_NS + 150 * MS
CONFIRMS_NS = MATCHES_NS + 2_000 * MS
SETTINGS = PaperSettings()


class ShownBooks:
    """Two tokens' displayed books, mirrored, kept by hand: the outside world of the executor."""

    def __init__(self, bids: BookLevels, asks: BookLevels) -> None:
        self.up: dict[Side, dict[int, int]] = {Side.BUY: dict(bids), Side.SELL: dict(asks)}

    def rows(self, token: str, resting: Side) -> dict[int, int]:
        """Return the levels that rest on one side of a token's book."""
        if token == MARKET.up_token:
            return self.up[resting]
        other = Side.SELL if resting is Side.BUY else Side.BUY
        return {MICROS - price: size for price, size in self.up[other].items()}

    def levels(self, token: str, side: Side, depth: int) -> BookLevels:
        """Return what an order of that side meets."""
        resting = Side.SELL if side is Side.BUY else Side.BUY
        rows = sorted(self.rows(token, resting).items(), reverse=side is Side.SELL)
        return tuple((price, size) for price, size in rows if size)[:depth]

    def shares_at(self, token: str, side: Side, price_micros: int) -> int:
        """Return what rests on a side at a price."""
        return self.rows(token, side).get(price_micros, 0)


def shown() -> ShownBooks:
    return ShownBooks(
        ((520_000, 100 * MICROS), (510_000, 50 * MICROS)),
        ((530_000, 8 * MICROS), (540_000, 50 * MICROS)),
    )


def executor(books: ShownBooks) -> PaperExecutor:
    return PaperExecutor(books, SETTINGS)


def fills(events: Sequence[ExecutionEvent]) -> list[Fill]:
    return [event for event in events if isinstance(event, Fill)]


def states(events: Sequence[ExecutionEvent]) -> list[tuple[OrderState, int]]:
    return [(e.state, e.remaining_shares_micros) for e in events if isinstance(e, OrderUpdate)]


def reason_of(events: Sequence[ExecutionEvent]) -> str:
    (rejected,) = events
    assert isinstance(rejected, Rejected)
    return rejected.reason


def run(books: ShownBooks, wanted: OrderIntent) -> Sequence[ExecutionEvent]:
    paper = executor(books)
    paper.submit(approved(wanted), MARKET)
    return paper.advance(MATCHES_NS)


def test_it_is_an_executor() -> None:
    """The paper executor keeps the protocol that the engine speaks."""
    kept: Executor = executor(shown())
    assert kept.next_due_ns() is None
    assert kept.markets_unknown() == frozenset()


def test_a_taker_walks_the_book_after_latency_and_hold() -> None:
    """U4, I26: each level is a fill at its own displayed price with its own fee, then confirmed."""
    paper = executor(shown())
    wanted = intent(Side.BUY, 540_000, 20 * MICROS)
    paper.submit(approved(wanted), MARKET)
    assert paper.next_due_ns() == ARRIVES_NS
    assert paper.markets_with_orders() == {MARKET.slug}
    assert paper.pending_entry_micros(MARKET.slug) == 10_800_000
    assert paper.advance(ARRIVES_NS - 1) == []
    assert paper.advance(ARRIVES_NS) == []
    assert paper.next_due_ns() == MATCHES_NS
    events = paper.advance(MATCHES_NS)
    first, second = fills(events)
    assert events[0] == Accepted(wanted.intent_id, f"paper-{wanted.intent_id}", MATCHES_NS)
    assert (first.price_micros, first.shares_micros) == (530_000, 8 * MICROS)
    assert (second.price_micros, second.shares_micros) == (540_000, 12 * MICROS)
    assert first.fee_micros == MARKET.fees.taker_fee_micros(8 * MICROS, 530_000)
    assert (first.status, first.maker, first.opens) == (FillStatus.MATCHED, False, True)
    assert states(events) == [(OrderState.FILLED, 0)]
    assert paper.markets_with_orders() == frozenset()
    assert paper.pending_entry_micros(MARKET.slug) == 0
    assert paper.next_due_ns() == CONFIRMS_NS
    confirmed = fills(paper.advance(CONFIRMS_NS))
    assert [f.status for f in confirmed] == [FillStatus.CONFIRMED] * 2
    assert [f.trade_id for f in confirmed] == [first.trade_id, second.trade_id]
    assert {f.at_ns for f in confirmed} == {CONFIRMS_NS}
    assert paper.next_due_ns() is None


def test_the_book_at_the_match_counts_not_the_one_at_the_decision() -> None:
    """I26: what was displayed when the order was wanted may be gone when it is matched."""
    books = shown()
    paper = executor(books)
    paper.submit(approved(intent(Side.BUY, 540_000, 20 * MICROS)), MARKET)
    paper.advance(ARRIVES_NS)
    books.up[Side.SELL] = {540_000: 5 * MICROS, 550_000: 90 * MICROS}
    events = paper.advance(MATCHES_NS)
    (only,) = fills(events)
    assert (only.price_micros, only.shares_micros) == (540_000, 5 * MICROS)
    assert states(events) == [(OrderState.CANCELED, 15 * MICROS)]


def test_a_book_that_ran_away_is_the_venues_no_match() -> None:
    """A FAK that finds nothing is rejected with the venue's words (B.4), nothing is booked."""
    books = shown()
    paper = executor(books)
    paper.submit(approved(intent(Side.BUY, 530_000)), MARKET)
    paper.advance(ARRIVES_NS)
    books.up[Side.SELL] = {550_000: 90 * MICROS}
    assert reason_of(paper.advance(MATCHES_NS)) == FAK_UNMATCHED_TEXT
    assert paper.markets_with_orders() == frozenset()


def test_an_unmarketable_fak_is_killed_without_a_hold() -> None:
    """Only marketable orders are held (G.4)."""
    paper = executor(shown())
    paper.submit(approved(intent(Side.BUY, 520_000)), MARKET)
    assert reason_of(paper.advance(ARRIVES_NS)) == FAK_UNMATCHED_TEXT


@pytest.mark.parametrize(
    ("outcome", "side", "limit", "price"),
    [
        (Outcome.UP, Side.BUY, 530_000, 530_000),
        (Outcome.UP, Side.SELL, 520_000, 520_000),
        (Outcome.DOWN, Side.BUY, 480_000, 480_000),
        (Outcome.DOWN, Side.SELL, 470_000, 470_000),
    ],
)
def test_every_side_trades_at_its_own_tokens_price(
    outcome: Outcome, side: Side, limit: int, price: int
) -> None:
    """I25, I27: Up and Down, in and out, each at the price its own book displays."""
    events = run(shown(), intent(side, limit, 6 * MICROS, outcome=outcome))
    (only,) = fills(events)
    assert (only.outcome, only.side, only.price_micros) == (outcome, side, price)


WORKED_FEES = [
    (10_000, 3_470, 13_860, 69_300),
    (30_000, 10_190, 40_740, 203_700),
    (50_000, 16_630, 66_500, 332_500),
    (100_000, 31_500, 126_000, 630_000),
    (200_000, 56_000, 224_000, 1_120_000),
    (300_000, 73_500, 294_000, 1_470_000),
    (400_000, 84_000, 336_000, 1_680_000),
    (450_000, 86_630, 346_500, 1_732_500),
    (500_000, 87_500, 350_000, 1_750_000),
]
FEE_TABLE = [
    (price, shares, fee)
    for low, *fees in WORKED_FEES
    for price in {low, MICROS - low}
    for shares, fee in zip((5, 20, 100), fees, strict=True)
]


@pytest.mark.parametrize(("price", "shares", "fee"), [*FEE_TABLE, (360_000, 108, 1_741_820)])
def test_fees_are_the_references(price: int, shares: int, fee: int) -> None:
    """U4: the fee of a paper sale is the reference's worked number (G.3), both ends of the book."""
    books = ShownBooks(((price, 1_000 * MICROS),), ())
    (only,) = fills(run(books, intent(Side.SELL, price, shares * MICROS)))
    assert only.fee_micros == fee


levels = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 20_000)), max_size=8, unique_by=lambda row: row[0]
)


@settings(deadline=None)
@given(
    levels,
    st.sampled_from(Side),
    st.sampled_from(Outcome),
    st.integers(1, 99),
    st.integers(500, 40_000),
    st.integers(1, 4),
)
def test_never_better_never_more(
    rows: list[tuple[int, int]],
    side: Side,
    outcome: Outcome,
    limit: int,
    hundredths: int,
    times: int,
) -> None:
    """U4, I26: fills lie on displayed levels, within limit, size and order, best level first."""
    books = ShownBooks((), ())
    resting = Side.SELL if side is Side.BUY else Side.BUY
    if outcome is Outcome.DOWN:
        rows = [(100 - cents, size) for cents, size in rows]
        resting = side
    books.up[resting] = {cents * 10_000: size * 10_000 for cents, size in rows}
    token = MARKET.token(outcome)
    displayed = dict(books.levels(token, side, 99))
    paper = executor(books)
    taken = dict.fromkeys(displayed, 0)
    for number in range(times):
        wanted = intent(
            side, limit * 10_000, hundredths * 10_000, outcome=outcome, now_ns=NOW_NS + number
        )
        paper.submit(approved(wanted), MARKET)
        events = paper.advance(MATCHES_NS + number)
        filled = fills(events)
        prices = [f.price_micros for f in filled]
        assert prices == sorted(prices, reverse=side is Side.SELL)
        for part in filled:
            inside = part.price_micros <= wanted.price_limit_micros
            assert inside if side is Side.BUY else part.price_micros >= wanted.price_limit_micros
            taken[part.price_micros] += part.shares_micros
        assert sum(f.shares_micros for f in filled) <= wanted.shares_micros
        paid = sum(f.shares_micros * f.price_micros for f in filled) // MICROS
        if side is Side.BUY:
            assert paid <= wanted.notional_micros
        # Until the book changes, all orders together never take more than it shows.
        assert all(taken[price] <= displayed[price] for price in displayed)
        if not filled:
            assert isinstance(events[-1], Rejected)


def change(side: Side, price: int, shares: int, **stamps: int) -> BookChange:
    up = LevelChange(MARKET.up_token, from_micros(price), from_micros(shares), side)
    other = Side.SELL if side is Side.BUY else Side.BUY
    down = LevelChange(MARKET.down_token, from_micros(MICROS - price), from_micros(shares), other)
    venue_ns, received_ns = stamps.get("venue_ns", 0), stamps.get("received_ns", MATCHES_NS)
    return BookChange(MARKET.condition_id, (up, down), venue_ns, received_ns)


def test_what_we_took_is_not_there_again_until_the_level_changes() -> None:
    """I26: a second order meets only what the first left, until the venue shows another size."""
    books = shown()
    paper = executor(books)

    def buy(number: int) -> Sequence[ExecutionEvent]:
        wanted = intent(Side.BUY, 530_000, 6 * MICROS, now_ns=NOW_NS + number)
        paper.submit(approved(wanted), MARKET)
        return [
            e
            for e in paper.advance(MATCHES_NS + number)
            if not (isinstance(e, Fill) and e.status is FillStatus.CONFIRMED)
        ]

    assert [f.shares_micros for f in fills(buy(0))] == [6 * MICROS]
    assert [f.shares_micros for f in fills(buy(1))] == [2 * MICROS]
    paper.on_event(change(Side.SELL, 530_000, 8 * MICROS))
    assert reason_of(buy(2)) == FAK_UNMATCHED_TEXT
    # Selling Down meets the very same resting orders: the books are one.
    mirror = intent(Side.SELL, 470_000, 6 * MICROS, outcome=Outcome.DOWN, now_ns=NOW_NS + 3)
    paper.submit(approved(mirror), MARKET)
    assert reason_of(paper.advance(MATCHES_NS + 3)) == FAK_UNMATCHED_TEXT
    paper.on_event(change(Side.SELL, 530_000, 7 * MICROS))
    books.up[Side.SELL][530_000] = 7 * MICROS
    assert [f.shares_micros for f in fills(buy(4))] == [6 * MICROS]
    up_asks = (Level(0.53, 9.0), Level(0.54, 50.0))
    paper.on_event(BookSnapshot(MARKET.condition_id, MARKET.up_token, (), up_asks, 0, 0, 0))
    assert [f.shares_micros for f in fills(buy(5))] == [6 * MICROS]
    paper.on_event(BookSnapshot(MARKET.condition_id, "foreign", (), up_asks, 0, 0, 0))
    assert [f.shares_micros for f in fills(buy(6))] == [MICROS]
    foreign = (LevelChange("foreign", 0.53, 1.0, Side.SELL),)
    paper.on_event(BookChange(MARKET.condition_id, foreign, 0, 0))
    assert reason_of(buy(7)) == FAK_UNMATCHED_TEXT


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (intent(Side.BUY, 535_000), "breaks minimum tick size rule: 0.01"),
        (intent(Side.BUY, 530_000, 4 * MICROS), "lower than the minimum: 5"),
        (intent(Side.SELL, 520_000, 4_999_999), "Size (4.99) lower than the minimum: 5"),
        (intent(Side.BUY, 10_000, 20 * MICROS), "marketable BUY order ($0.2), min size: $1"),
        (intent(Side.BUY, 535_000, style=OrderStyle.MAKER), "breaks minimum tick size rule"),
        (intent(Side.BUY, 530_000, style=OrderStyle.MAKER), POST_ONLY_CROSSES_TEXT),
        (intent(Side.SELL, 520_000, style=OrderStyle.MAKER), POST_ONLY_CROSSES_TEXT),
        (
            intent(Side.BUY, 520_000, style=OrderStyle.MAKER, expires_ns=ARRIVES_NS),
            "invalid expiration",
        ),
    ],
)
def test_the_venues_rules_are_checked_on_arrival(wanted: OrderIntent, text: str) -> None:
    """I6: what live would refuse, paper refuses, in the venue's words."""
    paper = executor(shown())
    paper.submit(approved(wanted), MARKET)
    assert text in reason_of(paper.advance(ARRIVES_NS))
    assert paper.markets_with_orders() == frozenset()


def test_a_new_grid_counts_at_once() -> None:
    """The tick the venue announced last decides, not the one discovery knew (C.4)."""
    books = ShownBooks(((960_000, 9 * MICROS),), ((965_000, 50 * MICROS),))
    paper = executor(books)
    first = intent(Side.BUY, 965_000, 10 * MICROS)
    paper.on_event(TickSize(MARKET.condition_id, MARKET.up_token, 5_000, 0, NOW_NS))
    paper.submit(approved(first), MARKET)
    assert len(fills(paper.advance(MATCHES_NS))) == 1
    coarse = BookSnapshot(MARKET.condition_id, MARKET.up_token, (), (), 10_000, 0, NOW_NS)
    paper.on_event(coarse)
    paper.submit(approved(replace(first, intent_id="second")), MARKET)
    assert "minimum tick size rule: 0.01" in reason_of(
        [e for e in paper.advance(MATCHES_NS) if isinstance(e, Rejected)]
    )


def test_a_closed_market_takes_nothing() -> None:
    """An order that arrives, or is released from its hold, after the close is rejected."""
    for late_ns, text in ((CLOSES_NS - 75 * MS, "arrival"), (CLOSES_NS - 200 * MS, "match")):
        paper = executor(shown())
        paper.submit(approved(intent(Side.BUY, 530_000, now_ns=late_ns)), MARKET)
        assert text in reason_of(paper.advance(CLOSES_NS + NS_PER_SECOND))


def test_an_unknown_fee_schedule_is_refused() -> None:
    """A fee we cannot compute is not guessed (G.1)."""
    odd = replace(MARKET, fees=FeeSchedule(250_000, 2, True))
    paper = executor(shown())
    paper.submit(approved(intent(Side.BUY, 530_000)), odd)
    assert "exponent was 2" in reason_of(paper.advance(ARRIVES_NS))


def test_nothing_is_sent_twice() -> None:
    """I20: an intent that was submitted is refused for ever, even after it ended."""
    paper = executor(shown())
    wanted = approved(intent(Side.BUY, 530_000))
    paper.submit(wanted, MARKET)
    paper.advance(CONFIRMS_NS)
    with pytest.raises(ValueError, match="submitted before"):
        paper.submit(wanted, MARKET)
    with pytest.raises(ValueError, match="was not of"):
        paper.submit(approved(intent(Side.SELL, 520_000)), market(2))


def test_settings_are_checked() -> None:
    """A negative delay or an empty depth is a mistake, not a setting."""
    with pytest.raises(ValueError, match="negative"):
        PaperExecutor(shown(), PaperSettings(latency_ms=-1))
    with pytest.raises(ValueError, match="depth"):
        PaperExecutor(shown(), PaperSettings(depth=0))


RESTS_NS = ARRIVES_NS


def resting(
    books: ShownBooks,
    side: Side = Side.BUY,
    price: int = 520_000,
    *,
    outcome: Outcome = Outcome.UP,
    shares: int = 10 * MICROS,
    expires_ns: int = 0,
) -> PaperExecutor:
    paper = executor(books)
    wanted = intent(
        side, price, shares, outcome=outcome, style=OrderStyle.MAKER, expires_ns=expires_ns
    )
    paper.submit(approved(wanted), MARKET)
    accepted, update = paper.advance(RESTS_NS)
    assert isinstance(accepted, Accepted)
    assert isinstance(update, OrderUpdate)
    assert (update.state, update.remaining_shares_micros) == (OrderState.RESTING, shares)
    return paper


def trade(
    price: int,
    shares: int,
    taker: Side,
    *,
    token: str = MARKET.up_token,
    venue_ns: int = 0,
    after_ms: int = 100,
) -> OutcomeTrade:
    return OutcomeTrade(
        MARKET.condition_id,
        token,
        from_micros(price),
        from_micros(shares),
        taker,
        venue_ns,
        RESTS_NS + after_ms * MS,
    )


def traded(paper: PaperExecutor, event: OutcomeTrade) -> int:
    return sum(f.shares_micros for f in fills(paper.on_event(event)))


def test_the_queue_ahead_goes_first() -> None:
    """U4: 100 shares were displayed before ours, so the 101st traded share is our first."""
    paper = resting(shown())
    assert traded(paper, trade(520_000, 60 * MICROS, Side.SELL)) == 0
    assert traded(paper, trade(520_000, 44 * MICROS, Side.SELL, after_ms=200)) == 4 * MICROS
    assert paper.pending_entry_micros(MARKET.slug) == 6 * 520_000
    events = paper.on_event(trade(520_000, 44 * MICROS, Side.SELL, after_ms=300))
    (last,) = fills(events)
    assert (last.shares_micros, last.price_micros, last.fee_micros) == (6 * MICROS, 520_000, 0)
    assert last.maker
    assert last.trade_id.endswith("/1")
    assert states(events) == [(OrderState.FILLED, 0)]
    assert paper.markets_with_orders() == frozenset()
    confirmed = fills(paper.advance(RESTS_NS + 3 * NS_PER_SECOND))
    assert [f.status for f in confirmed] == [FillStatus.CONFIRMED] * 2


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (trade(520_000, 130 * MICROS, Side.BUY), 0),
        (trade(530_000, 130 * MICROS, Side.SELL), 0),
        (trade(510_000, 30 * MICROS, Side.SELL), 10 * MICROS),
        (trade(510_000, 4 * MICROS, Side.SELL), 4 * MICROS),
        (trade(480_000, 104 * MICROS, Side.BUY, token=MARKET.down_token), 4 * MICROS),
        (trade(490_000, 30 * MICROS, Side.BUY, token=MARKET.down_token), 10 * MICROS),
        (trade(480_000, 130 * MICROS, Side.SELL, token=MARKET.down_token), 0),
        (trade(520_000, 130 * MICROS, Side.SELL, token="foreign"), 0),
        (trade(520_000, 130 * MICROS, Side.SELL, venue_ns=RESTS_NS - 1), 0),
        (trade(520_000, 130 * MICROS, Side.SELL, venue_ns=RESTS_NS), 10 * MICROS),
        (trade(1_520_000, 130 * MICROS, Side.SELL), 0),
    ],
)
def test_which_trades_fill_a_resting_buy(event: OutcomeTrade, expected: int) -> None:
    """Sellers of Up at or through our price, or buyers of Down at its complement, and no others."""
    assert traded(resting(shown()), event) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (trade(530_000, 11 * MICROS, Side.BUY), 3 * MICROS),
        (trade(540_000, 11 * MICROS, Side.BUY), 10 * MICROS),
        (trade(470_000, 11 * MICROS, Side.SELL, token=MARKET.down_token), 3 * MICROS),
        (trade(530_000, 11 * MICROS, Side.SELL), 0),
        (trade(520_000, 99 * MICROS, Side.BUY), 0),
    ],
)
def test_which_trades_fill_a_resting_sale(event: OutcomeTrade, expected: int) -> None:
    """I25: the other side of the book is treated alike."""
    paper = resting(shown(), Side.SELL, 530_000)
    assert paper.pending_entry_micros(MARKET.slug) == 0
    assert traded(paper, event) == expected


def test_a_resting_down_order_sees_the_mirrored_trades() -> None:
    """I27: an order for Down at 0.47 is met by buyers of Up at 0.53."""
    paper = resting(shown(), Side.BUY, 470_000, outcome=Outcome.DOWN)
    (only,) = fills(paper.on_event(trade(530_000, 11 * MICROS, Side.BUY)))
    assert (only.outcome, only.price_micros) == (Outcome.DOWN, 470_000)
    assert only.shares_micros == 3 * MICROS


def test_a_match_printed_for_both_tokens_counts_once() -> None:
    """The mirrored print of the same moment, size and price is the same match."""
    paper = resting(shown())
    stamp = RESTS_NS + 5 * MS
    up = trade(520_000, 104 * MICROS, Side.SELL, venue_ns=stamp)
    down = trade(480_000, 104 * MICROS, Side.BUY, token=MARKET.down_token, venue_ns=stamp)
    assert traded(paper, up) == 4 * MICROS
    assert traded(paper, down) == 0
    # Each print is mirrored once: a third one of the same kind is another match.
    assert traded(paper, replace(down, size=1.0)) == MICROS
    assert traded(paper, replace(up, size=1.0)) == 0
    assert traded(paper, replace(up, size=1.0)) == MICROS
    assert traded(paper, replace(down, venue_ns=stamp + 1, size=1.0)) == MICROS
    assert traded(paper, replace(down, venue_ns=stamp + 1, size=1.0)) == MICROS


def test_cancellations_ahead_move_us_forward_and_joiners_do_not_push_us_back() -> None:
    """The queue ahead is at most what the level displays; who joins later stands behind us."""
    paper = resting(shown())
    late = RESTS_NS + 10 * MS
    paper.on_event(change(Side.BUY, 520_000, 30 * MICROS, received_ns=late))
    paper.on_event(change(Side.BUY, 520_000, 500 * MICROS, received_ns=late))
    paper.on_event(change(Side.BUY, 510_000, 1 * MICROS, received_ns=late))
    # Two seconds later nobody takes that shrinking for half of this trade.
    assert traded(paper, trade(520_000, 34 * MICROS, Side.SELL, after_ms=2_000)) == 4 * MICROS


@pytest.mark.parametrize("print_first", [True, False])
def test_a_trade_and_its_level_change_are_one_thing(print_first: bool) -> None:
    """Sixty shares trade: whether the print or the new size comes first, forty stay ahead."""
    paper = resting(shown())
    print_ = trade(520_000, 60 * MICROS, Side.SELL, after_ms=20)
    size = change(Side.BUY, 520_000, 40 * MICROS, received_ns=RESTS_NS + 20 * MS)
    for event in (print_, size) if print_first else (size, print_):
        assert not paper.on_event(event)
    assert traded(paper, trade(520_000, 40 * MICROS, Side.SELL, after_ms=30)) == 0
    assert traded(paper, trade(520_000, 3 * MICROS, Side.SELL, after_ms=40)) == 3 * MICROS


def test_a_change_from_before_we_arrived_corrects_the_queue() -> None:
    """What the venue did before our order stood there tells the true queue, longer or shorter."""
    paper = resting(shown())
    stale = change(Side.BUY, 520_000, 150 * MICROS, venue_ns=RESTS_NS - 1, received_ns=RESTS_NS)
    paper.on_event(stale)
    assert traded(paper, trade(520_000, 152 * MICROS, Side.SELL)) == 2 * MICROS


def test_a_whole_book_shortens_the_queue_too() -> None:
    """A snapshot shows the level's size, or that it is gone; another token's says nothing."""
    for bids, expected in (((Level(0.52, 20.0),), 5 * MICROS), ((), 10 * MICROS)):
        paper = resting(shown())
        at_ns = RESTS_NS + MS
        for token in (MARKET.up_token, MARKET.down_token):
            snapshot = BookSnapshot(MARKET.condition_id, token, bids, (), 10_000, 0, at_ns)
            paper.on_event(snapshot)
        later = trade(520_000, 25 * MICROS, Side.SELL, after_ms=2_000)
        assert traded(paper, later) == expected
    sale = resting(shown(), Side.SELL, 530_000)
    asks = (Level(0.53, 2.0),)
    sale.on_event(BookSnapshot(MARKET.condition_id, MARKET.up_token, (), asks, 0, 0, RESTS_NS))
    assert traded(sale, trade(530_000, 4 * MICROS, Side.BUY, after_ms=2_000)) == 2 * MICROS


def test_an_order_expires_and_the_close_cancels() -> None:
    """A resting order ends at its own time, or with its market."""
    expires_ns = RESTS_NS + NS_PER_SECOND
    paper = resting(shown(), expires_ns=expires_ns)
    assert paper.next_due_ns() == expires_ns
    assert states(paper.advance(expires_ns)) == [(OrderState.EXPIRED, 10 * MICROS)]
    assert traded(paper, trade(510_000, 99 * MICROS, Side.SELL, after_ms=2_000)) == 0
    paper = resting(shown(), expires_ns=CLOSES_NS + NS_PER_SECOND)
    assert states(paper.advance(CLOSES_NS)) == [(OrderState.CANCELED, 10 * MICROS)]


def test_a_cancellation_takes_its_way() -> None:
    """Until the request has arrived the order can still be filled."""
    paper = resting(shown())
    paper.cancel_market(MARKET.slug, RESTS_NS)
    assert paper.advance(RESTS_NS + 74 * MS) == []
    assert traded(paper, trade(520_000, 104 * MICROS, Side.SELL, after_ms=74)) == 4 * MICROS
    assert states(paper.advance(RESTS_NS + 75 * MS)) == [(OrderState.CANCELED, 6 * MICROS)]
    paper.cancel_all(RESTS_NS + 80 * MS)
    paper.advance(CLOSES_NS)
    assert paper.markets_with_orders() == frozenset()


def test_cancel_all_reaches_every_market_and_others_are_left_by_the_narrow_one() -> None:
    """The two verbs differ in what they name; an order still on its way is cancelled after it."""
    paper = executor(shown())
    paper.submit(approved(intent(Side.BUY, 520_000, style=OrderStyle.MAKER)), MARKET)
    paper.cancel_market("another", NOW_NS)
    paper.cancel_all(NOW_NS)
    found = states(paper.advance(ARRIVES_NS))
    assert found == [(OrderState.RESTING, 10 * MICROS), (OrderState.CANCELED, 10 * MICROS)]


def test_a_held_taker_cannot_be_cancelled() -> None:
    """The venue keeps an order it holds (G.4)."""
    paper = executor(shown())
    paper.submit(approved(intent(Side.BUY, 530_000, 6 * MICROS)), MARKET)
    paper.cancel_all(NOW_NS)
    assert len(fills(paper.advance(MATCHES_NS))) == 1


def test_a_maker_does_not_rest_in_a_book_nobody_knows() -> None:
    """I18: without a book neither crossing nor queue can be known; one side is enough."""
    wanted = intent(Side.BUY, 520_000, style=OrderStyle.MAKER)
    paper = executor(ShownBooks((), ()))
    paper.submit(approved(wanted), MARKET)
    assert "unknown" in reason_of(paper.advance(ARRIVES_NS))
    paper = executor(ShownBooks(((520_000, MICROS),), ()))
    paper.submit(approved(wanted), MARKET)
    assert states(paper.advance(ARRIVES_NS)) == [(OrderState.RESTING, 10 * MICROS)]


def test_two_orders_share_one_trade() -> None:
    """A print is spent once: what the first order took the second does not get."""
    books = ShownBooks((), ((530_000, MICROS),))
    paper = executor(books)
    for number in range(2):
        wanted = intent(Side.BUY, 520_000, style=OrderStyle.MAKER, now_ns=NOW_NS + number)
        paper.submit(approved(wanted), MARKET)
    books.up[Side.BUY][510_000] = MICROS
    paper.advance(RESTS_NS + MS)
    filled = fills(paper.on_event(trade(520_000, 14 * MICROS, Side.SELL)))
    assert [f.shares_micros for f in filled] == [10 * MICROS, 4 * MICROS]


def test_open_orders_and_memories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """I34: too many orders are refused with the reason, old ids and levels are forgotten."""
    monkeypatch.setattr(paper_module, "OPEN_ORDERS_MAXIMUM", 1)
    monkeypatch.setattr(paper_module, "INTENTS_REMEMBERED", 1)
    monkeypatch.setattr(paper_liquidity, "LEVELS_REMEMBERED", 1)
    assert paper_queue.TRADES_REMEMBERED == 64
    paper = executor(shown())
    first = intent(Side.BUY, 540_000, 20 * MICROS)
    paper.submit(approved(first), MARKET)
    paper.submit(approved(replace(first, intent_id="second")), MARKET)
    assert "1 orders were alive" in reason_of(paper.advance(NOW_NS))
    assert len(fills(paper.advance(MATCHES_NS))) == 2
    again = replace(first, intent_id="third", price_limit_micros=530_000)
    paper.submit(Approved(again, MATCHES_NS), MARKET)
    later = fills(paper.advance(MATCHES_NS + 225 * MS))
    assert [f.shares_micros for f in later] == [8 * MICROS]


def test_an_ended_market_is_forgotten() -> None:
    """I34: after resolution, or once it has closed, nothing of a market is kept."""
    books = shown()
    paper = executor(books)
    paper.submit(approved(intent(Side.BUY, 540_000, 20 * MICROS)), MARKET)
    paper.advance(MATCHES_NS)
    resolved = MarketResolved(
        MARKET.condition_id, MARKET.up_token, 0.0, Source.GAMMA, 0, MATCHES_NS
    )
    assert paper.on_event(resolved) == ()
    assert paper.on_event(resolved) == ()
    assert paper.on_event(MarketOpened(MARKET, MATCHES_NS)) == ()
    assert traded(paper, trade(510_000, MICROS, Side.SELL)) == 0
    paper.on_event(change(Side.SELL, 530_000, MICROS))
    wanted = intent(Side.BUY, 530_000, 6 * MICROS, now_ns=CLOSES_NS)
    paper.submit(approved(wanted), MARKET)
    late = replace(wanted, intent_id="again", created_ns=CLOSES_NS + 1)
    paper.submit(approved(late), MARKET)
    assert (
        len([e for e in paper.advance(CLOSES_NS + NS_PER_SECOND) if isinstance(e, Rejected)]) == 2
    )


def story(seed_prices: list[int]) -> list[ExecutionEvent]:
    books = shown()
    paper = executor(books)
    told: list[ExecutionEvent] = []
    for number, price in enumerate(seed_prices):
        at_ns = NOW_NS + number * 400 * MS
        told.extend(paper.advance(at_ns))
        side = Side.BUY if number % 2 else Side.SELL
        style = OrderStyle.MAKER if number % 3 else OrderStyle.TAKER
        wanted = intent(side, price * 10_000, 7 * MICROS, style=style, now_ns=at_ns)
        paper.submit(approved(wanted), MARKET)
        told.extend(paper.on_event(trade(price * 10_000, 200 * MICROS, side)))
    told.extend(paper.advance(CLOSES_NS))
    return told


@settings(deadline=None)
@given(st.lists(st.integers(45, 60), max_size=12))
def test_the_same_story_twice_is_the_same(prices: list[int]) -> None:
    """U20: no randomness and no clock: equal inputs give equal events."""
    assert story(prices) == story(prices)


@settings(deadline=None)
@given(st.lists(st.integers(51, 55), min_size=1, max_size=8), st.sampled_from(Outcome))
def test_paper_and_ledger_conserve_money(prices: list[int], winner: Outcome) -> None:
    """U4, I4: what the executor fills and the ledger books adds up to the settlement at 0 or 1."""
    books = shown()
    paper = executor(books)
    ledger = Ledger(Mode.PAPER, 100 * MICROS)
    ledger.remember_market(MARKET)
    paid = received = shares = 0
    for number, cents in enumerate(prices):
        at_ns = NOW_NS + number * 3 * NS_PER_SECOND
        held = ledger.position(MARKET.slug).shares_settled_micros
        sells = held >= 5 * MICROS and number % 2 == 1
        side, amount = (Side.SELL, held) if sells else (Side.BUY, 7 * MICROS)
        wanted = intent(side, cents * 10_000, amount, now_ns=at_ns)
        paper.submit(approved(wanted), MARKET)
        for event in fills(paper.advance(at_ns + 2_500 * MS)):
            ledger.apply(event)
            if event.status is FillStatus.CONFIRMED:
                notional = event.shares_micros * event.price_micros
                assert notional % 100 == 0
                if event.side is Side.BUY:
                    paid += -(-notional // MICROS) + event.fee_micros
                    shares += event.shares_micros
                else:
                    received += notional // MICROS - event.fee_micros
                    shares -= event.shares_micros
    settled = ledger.settle(MARKET, winner, CLOSES_NS)
    payout = shares if winner is Outcome.UP else 0
    assert (settled.payout_micros if settled else 0) == payout
    assert ledger.cash_micros == 100 * MICROS - paid + received + payout
    assert ledger.report().realised_micros == ledger.cash_micros - 100 * MICROS


def test_a_level_that_shows_another_size_is_whole_again() -> None:
    """What was taken is forgotten when the book itself shows that the level has changed."""
    books = shown()
    paper = executor(books)
    for number, expected in enumerate((8 * MICROS, 9 * MICROS)):
        wanted = intent(Side.BUY, 530_000, 10 * MICROS, now_ns=NOW_NS + number)
        paper.submit(approved(wanted), MARKET)
        filled = fills(paper.advance(MATCHES_NS + number))
        assert [f.shares_micros for f in filled] == [expected]
        books.up[Side.SELL][530_000] = 9 * MICROS


def test_an_old_shrinking_is_no_trade_of_today() -> None:
    """The credit of a cancellation ends after its second and does not add up with a later one."""
    paper = resting(shown())
    for after_ms, left in ((10, 60 * MICROS), (3_000, 50 * MICROS)):
        at_ns = RESTS_NS + after_ms * MS
        paper.on_event(change(Side.BUY, 520_000, left, received_ns=at_ns))
    # Ten of these sixty-four were told by the level; the fifty ahead go next.
    assert traded(paper, trade(520_000, 64 * MICROS, Side.SELL, after_ms=3_010)) == 4 * MICROS


def test_a_trade_through_us_used_up_the_queue() -> None:
    """Whoever was ahead is gone once a worse price traded: the next share at ours is ours."""
    paper = resting(shown())
    assert traded(paper, trade(510_000, 4 * MICROS, Side.SELL)) == 4 * MICROS
    assert traded(paper, trade(520_000, 5 * MICROS, Side.SELL, after_ms=200)) == 5 * MICROS


def test_taken_levels_are_forgotten_by_market() -> None:
    """I34: an ended market's levels go, another's stay."""
    taken = paper_liquidity.TakenLiquidity()
    rows = ((530_000, 8 * MICROS),)
    for of in (MARKET, market(2)):
        assert taken.take(of, intent(of=of), rows, 5 * MICROS) == [(530_000, 5 * MICROS)]
    taken.forget(MARKET.slug)
    assert len(taken) == 1
    assert taken.take(MARKET, intent(), rows, 9 * MICROS) == [(530_000, 8 * MICROS)]
    assert taken.take(market(2), intent(of=market(2)), rows, 9 * MICROS) == [(530_000, 3 * MICROS)]


def test_shrinking_in_two_steps_is_counted_once_in_all() -> None:
    """The level tells of one trade in two changes: the print counts only what they did not."""
    paper = resting(shown())
    for left in (60 * MICROS, 50 * MICROS):
        paper.on_event(change(Side.BUY, 520_000, left, received_ns=RESTS_NS + 10 * MS))
    assert traded(paper, trade(520_000, 50 * MICROS, Side.SELL, after_ms=20)) == 0
    assert traded(paper, trade(520_000, 54 * MICROS, Side.SELL, after_ms=30)) == 4 * MICROS
