"""The 18 features: their formulas by hand, and never anything but a sound number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.domain import (
    FEATURE_NAMES,
    FEATURE_VERSION,
    BookProblem,
    BookView,
    FastView,
    FeeSchedule,
    Outcome,
    Position,
    Snapshot,
    Source,
)
from strategies.features import BOOK_STALE_SECONDS, FAST_STALE_SECONDS, Invalid, features
from tests.board_streams import START_NS, market

SLUG = "btc-updown-15m"
FLAT = Position(SLUG)
UP_BOOK = BookView(
    bids=((500_000, 30_000_000), (490_000, 10_000_000)),
    asks=((520_000, 10_000_000), (530_000, 70_000_000)),
    tick_micros=10_000,
    age_seconds=1.0,
    problem=BookProblem.NONE,
)
DOWN_BOOK = BookView(
    bids=((400_000, 10_000_000), (390_000, 20_000_000)),
    asks=((600_000, 5_000_000),),
    tick_micros=10_000,
    age_seconds=1.0,
    problem=BookProblem.NONE,
)
FAST = FastView(
    source=Source.BINANCE_PUBLIC,
    bid=99.0,
    ask=101.0,
    age_seconds=0.1,
    mid_1s_ago=100.0,
    mid_5s_ago=100.0,
    mid_60s_ago=99.9,
    mid_300s_ago=100.2,
    mid_600s_ago=80.0,
    mid_3600s_ago=99.4,
    flow_buy_usd=3_000.0,
    flow_sell_usd=1_000.0,
    signed_flow_500ms_usd=-20_000.0,
    trades_10s=35,
    large_trade=0.7,
    volume_1h_usd=1_500.0,
    volume_24h_usd=24_000.0,
    minute_return_sd=0.002,
    volatility_per_sqrt_second=0.0001,
)
SNAPSHOT = Snapshot(
    market=market(),
    now_ns=START_NS + 225_000_000_000,
    on_grid=True,
    up=UP_BOOK,
    down=DOWN_BOOK,
    fast=FAST,
    up_mid_sd=0.011,
    strike=None,
    reference_price=0.0,
    clock_skew_seconds=0.0,
)


def named(snapshot: Snapshot, position: Position = FLAT) -> dict[str, float]:
    """Return the features by name."""
    state = features(snapshot, position)
    assert not state.invalid
    assert state.version == FEATURE_VERSION
    return dict(zip(FEATURE_NAMES, state.features, strict=True))


def test_every_feature_by_hand() -> None:
    """Each formula of the table, computed here from the numbers above."""
    found = named(SNAPSHOT)
    assert found == pytest.approx(
        {
            "returns_1m": 50 * (100 / 99.9 - 1),
            "returns_5m": 50 * (100 / 100.2 - 1),
            "returns_10m": 1.0,
            "ob_imbalance_l1": 0.5,
            "ob_imbalance_l5": (40 - 80) / 120,
            "trade_flow_imbalance": 0.5,
            "cvd_acceleration": -0.2,
            "spread_pct": 20 * 0.02 / 0.51,
            "trade_intensity": 0.35,
            "large_trade_flag": 0.7,
            "vol_5m": 0.22,
            "vol_expansion": 0.5,
            "has_position": 0.0,
            "position_side": 0.0,
            "position_pnl": 0.0,
            "time_remaining": 0.75,
            "vol_regime": 1.0,
            "trend_regime": 1.0,
        }
    )


def test_position_pnl_is_what_the_bids_would_pay_after_the_fee() -> None:
    """The held outcome's own bids are walked (I27), never the mid (I26)."""
    held = Position(SLUG, Outcome.DOWN, 12_000_000, 3_000_000, 6_500_000)
    value = 10 * 0.40 + 5 * 0.39 - 0.07 * (10 * 0.40 * 0.60 + 5 * 0.39 * 0.61)
    found = named(SNAPSHOT, held)
    assert found["position_pnl"] == pytest.approx(5 * (value - 6.5) / 6.5, abs=1e-5)
    assert (found["has_position"], found["position_side"]) == (1.0, -1.0)
    up = Position(SLUG, Outcome.UP, 30_000_000, 0, 15_000_000)
    found = named(SNAPSHOT, up)
    assert found["position_pnl"] == pytest.approx(5 * -0.07 * 30 * 0.25 / 15)
    assert (found["has_position"], found["position_side"]) == (1.0, 1.0)


def test_windows_that_are_not_filled_are_cold() -> None:
    """A cold feature reads 0 and is named by its index."""
    nothing = dict.fromkeys(
        (
            "mid_60s_ago",
            "mid_300s_ago",
            "mid_600s_ago",
            "mid_3600s_ago",
            "flow_buy_usd",
            "signed_flow_500ms_usd",
            "trades_10s",
            "large_trade",
            "volume_1h_usd",
            "minute_return_sd",
        )
    )
    state = features(replace(SNAPSHOT, fast=replace(FAST, **nothing), up_mid_sd=None), FLAT)
    assert state.cold == (0, 1, 2, 5, 6, 8, 9, 10, 11, 16, 17)
    assert all(state.features[index] == 0.0 for index in state.cold)
    assert not state.invalid


@pytest.mark.parametrize("side", ["up", "down"])
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (replace(UP_BOOK, problem=BookProblem.UNSYNCHRONISED), Invalid.UNSYNCHRONISED_BOOK),
        (replace(UP_BOOK, problem=BookProblem.CROSSED), Invalid.CROSSED_BOOK),
        (replace(UP_BOOK, problem=BookProblem.ONE_SIDED, asks=()), Invalid.ONE_SIDED_BOOK),
        (replace(UP_BOOK, problem=BookProblem.EMPTY, asks=(), bids=()), Invalid.EMPTY_BOOK),
        (replace(UP_BOOK, age_seconds=BOOK_STALE_SECONDS + 0.1), Invalid.STALE_BOOK),
        (replace(UP_BOOK, age_seconds=math.nan), Invalid.STALE_BOOK),
        (replace(UP_BOOK, bids=()), Invalid.ONE_SIDED_BOOK),
    ],
)
def test_an_unusable_book_makes_the_state_invalid(
    side: str, broken: BookView, reason: Invalid
) -> None:
    """Either outcome's: what is not sound is not seen."""
    state = features(replace(SNAPSHOT, **{side: broken}), FLAT)
    assert state.invalid == reason
    assert state.features == (0.0,) * 18
    assert state.cold == ()


@pytest.mark.parametrize(
    ("fast", "reason"),
    [
        (replace(FAST, source=None), Invalid.NO_FAST_MARKET),
        (replace(FAST, bid=0.0, ask=0.0), Invalid.NO_FAST_MARKET),
        (replace(FAST, bid=math.nan), Invalid.NO_FAST_MARKET),
        (replace(FAST, age_seconds=FAST_STALE_SECONDS + 0.1), Invalid.STALE_FAST_MARKET),
        (replace(FAST, ask=math.nan), Invalid.NOT_FINITE),
        (replace(FAST, mid_60s_ago=math.nan), Invalid.NOT_FINITE),
        (replace(FAST, signed_flow_500ms_usd=math.inf), Invalid.NOT_FINITE),
    ],
)
def test_an_unusable_fast_market_makes_the_state_invalid(fast: FastView, reason: Invalid) -> None:
    """A price that is old, missing or no number is said, not clamped to 1 (I28)."""
    assert features(replace(SNAPSHOT, fast=fast), FLAT).invalid == reason


def test_a_fee_we_cannot_compute_is_said_when_it_matters() -> None:
    """An unknown fee schedule makes a held position's worth unknown."""
    strange = replace(SNAPSHOT, market=replace(market(), fees=FeeSchedule(70_000, 2, True)))
    assert features(strange, FLAT).invalid == ""
    held = Position(SLUG, Outcome.UP, 1_000_000, 0, 500_000)
    assert features(strange, held).invalid == Invalid.UNKNOWN_FEE


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-60, 1.0), (0, 1.0), (450, 0.5), (900, 0.0), (990, 0.0)]
)
def test_time_remaining_stays_in_its_range(seconds: int, expected: float) -> None:
    """Before the opening it is 1, after the close 0 (I28)."""
    at = replace(SNAPSHOT, now_ns=START_NS + seconds * 1_000_000_000)
    assert named(at)["time_remaining"] == pytest.approx(expected)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
MAYBE = st.none() | NUMBERS
LEVELS = st.lists(st.tuples(st.integers(1, 999_999), st.integers(1, 10**15)), max_size=5).map(tuple)
BOOKS = st.builds(
    BookView,
    bids=LEVELS,
    asks=LEVELS,
    tick_micros=st.just(10_000),
    age_seconds=st.floats(0.0, 40.0),
    problem=st.sampled_from((BookProblem.NONE, BookProblem.NONE, BookProblem.CROSSED)),
)
POSITIONS = st.builds(
    Position,
    market=st.just(SLUG),
    outcome=st.sampled_from((None, Outcome.UP, Outcome.DOWN)),
    shares_settled_micros=st.integers(0, 10**12),
    shares_pending_micros=st.integers(0, 10**12),
    cost_micros=st.integers(0, 10**12),
)
POSITIVE = st.none() | st.floats(1e-12, 1e12)
FASTS = st.builds(
    FastView,
    source=st.just(Source.COINBASE),
    bid=NUMBERS,
    ask=NUMBERS,
    age_seconds=st.floats(0.0, 12.0),
    mid_1s_ago=POSITIVE,
    mid_5s_ago=POSITIVE,
    mid_60s_ago=POSITIVE,
    mid_300s_ago=POSITIVE,
    mid_600s_ago=POSITIVE,
    mid_3600s_ago=POSITIVE,
    flow_buy_usd=MAYBE,
    flow_sell_usd=MAYBE,
    signed_flow_500ms_usd=MAYBE,
    trades_10s=st.none() | st.integers(0, 10**9),
    large_trade=MAYBE,
    volume_1h_usd=MAYBE,
    volume_24h_usd=MAYBE,
    minute_return_sd=MAYBE,
    volatility_per_sqrt_second=MAYBE,
)


@settings(max_examples=300, deadline=None)
@given(up=BOOKS, down=BOOKS, fast=FASTS, sd=MAYBE, position=POSITIONS)
def test_always_a_sound_number_or_a_reason(
    up: BookView, down: BookView, fast: FastView, sd: float | None, position: Position
) -> None:
    """Whatever comes: 18 finite numbers in [-1, 1], or zeros and a reason (I28)."""
    state = features(replace(SNAPSHOT, up=up, down=down, fast=fast, up_mid_sd=sd), position)
    assert len(state.features) == len(FEATURE_NAMES)
    assert all(math.isfinite(value) and -1.0 <= value <= 1.0 for value in state.features)
    if state.invalid:
        assert state.invalid in set(Invalid)
        assert not any(state.features)
