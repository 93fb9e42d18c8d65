"""Version ``fusion``: its formulas by hand, and never anything but a sound number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.domain import (
    FEATURE_NAMES,
    FEATURE_NAMES_OF,
    FEATURE_VERSION,
    FUSION_NAMES,
    FUSION_VERSION,
    BookView,
    FastView,
    FeeSchedule,
    Outcome,
    Position,
    Snapshot,
    Strike,
    StrikeRung,
)
from helpers.safety_data import WARM_FEATURES
from strategies.fair_value import BASIS_SD
from strategies.feature_versions import FEATURE_VERSIONS, feature_function, version_of
from strategies.features import BOOK_STALE_SECONDS, Invalid, features
from strategies.features_fusion import CERTAIN, fusion_features
from strategies.momentum import Momentum
from tests.board_streams import START_NS, market
from tests.test_features import BOOKS, FASTS, FLAT, MAYBE, POSITIONS, SLUG, SNAPSHOT

STRIKE = Strike(99.9, StrikeRung.VENUE_TWAP)
HOUR = replace(SNAPSHOT.fast, minute_return_sd=1e-4 * math.sqrt(60.0))
SEEN = replace(SNAPSHOT, strike=STRIKE, fast=HOUR)
LEFT_SECONDS = 675.0


def named(snapshot: Snapshot, position: Position = FLAT) -> dict[str, float]:
    """Return the features by name."""
    state = fusion_features(snapshot, position)
    assert (state.invalid, state.version) == ("", FUSION_VERSION)
    return dict(zip(FUSION_NAMES, state.features, strict=True))


def test_every_feature_by_hand() -> None:
    """Each formula of the table, computed here from the sample's numbers."""
    fast = replace(SEEN.fast, mid_1s_ago=99.95, mid_5s_ago=100.02)
    sd = math.sqrt(1e-4**2 * (LEFT_SECONDS - 40.0) + BASIS_SD**2)
    z = math.log(100.0 / 99.9) / sd
    fair = 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))
    assert named(replace(SEEN, fast=fast)) == pytest.approx(
        {
            "fast_return_1s": 1000 * (100 / 99.95 - 1),
            "fast_return_5s": 1000 * (100 / 100.02 - 1),
            "returns_1m": 50 * (100 / 99.9 - 1),
            "ob_imbalance_l1": 0.5,
            "ob_imbalance_l5": (40 - 80) / 120,
            "trade_flow_imbalance": 0.5,
            "cvd_acceleration": -0.2,
            "cost_to_cross": 20 * (0.01 + 0.07 * 0.51 * 0.49),
            "quoted_mid": 0.02,
            "strike_distance": z / 3,
            "vol_5m": 0.22,
            "fair_minus_mid": min(1.0, 10 * (fair - 0.51)),
            "has_position": 0.0,
            "position_side": 0.0,
            "position_pnl": 0.0,
            "time_remaining": 0.75,
            "quote_age": 0.5,
            "microprice_offset": 100 * 0.01 * 0.5,
        }
    )


def test_the_price_of_the_sizes_is_that_of_the_table() -> None:
    """Bid and ask weighted by the size on the other side, less the mid."""
    weighed = (0.50 * 10 + 0.52 * 30) / 40
    assert named(SEEN)["microprice_offset"] == pytest.approx(100 * (weighed - 0.51))


def test_what_the_two_versions_share_is_the_same() -> None:
    """Position, time and order books mean the same in both."""
    held = Position(SLUG, Outcome.DOWN, 10_000_000, 0, 5_000_000)
    ours = named(SEEN, held)
    theirs: dict[str, float] = dict(zip(FEATURE_NAMES, features(SEEN, held).features, strict=True))
    shared = [name for name in FUSION_NAMES if name in FEATURE_NAMES]
    assert len(shared) == 10
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    assert [FUSION_NAMES.index(name) for name in FEATURE_NAMES[12:16]] == [12, 13, 14, 15]


@pytest.mark.parametrize(
    "strike", [None, Strike(99.9, StrikeRung.FAST_PROXY)], ids=["none", "our own guess"]
)
def test_a_strike_that_is_not_known_is_cold(strike: Strike | None) -> None:
    """Distance and fair value read 0; entries do not depend on them."""
    state = fusion_features(replace(SEEN, strike=strike), FLAT)
    assert state.cold == (9, 11)
    assert state.features[9] == state.features[11] == 0.0
    assert not set(state.cold) & set(WARM_FEATURES)


def test_windows_that_are_not_filled_are_cold() -> None:
    """Each reads 0 and is named by its index."""
    names = ("mid_1s_ago", "mid_5s_ago", "mid_60s_ago", "flow_buy_usd", "signed_flow_500ms_usd")
    volatilities = ("volatility_per_sqrt_second", "minute_return_sd")
    fast = replace(SEEN.fast, **dict.fromkeys((*names, *volatilities)))
    state = fusion_features(replace(SEEN, fast=fast, up_mid_sd=None), FLAT)
    assert state.cold == (0, 1, 2, 5, 6, 9, 10, 11)
    assert all(state.features[index] == 0.0 for index in state.cold)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e200])
def test_a_volatility_that_is_none_is_said(value: float) -> None:
    """No measurement, no certainty."""
    fast = replace(SEEN.fast, minute_return_sd=value)
    assert fusion_features(replace(SEEN, fast=fast), FLAT).invalid == Invalid.NOT_FINITE


@pytest.mark.parametrize("price", [math.nan, math.inf, 0.0, -5.0])
def test_a_strike_that_is_no_price_is_said(price: float) -> None:
    """A venue's nonsense is not seen as a certain market."""
    strange = replace(SEEN, strike=Strike(price, StrikeRung.VENUE_TWAP))
    assert fusion_features(strange, FLAT).invalid == Invalid.NOT_FINITE


def test_what_is_invalid_in_one_version_is_in_the_other() -> None:
    """And an unknown fee always, since the cost of crossing is seen."""
    stale = replace(SEEN, up=replace(SEEN.up, age_seconds=BOOK_STALE_SECONDS + 1))
    state = fusion_features(stale, FLAT)
    assert (state.invalid, state.features, state.version) == (
        Invalid.STALE_BOOK,
        (0.0,) * 18,
        FUSION_VERSION,
    )
    strange = replace(SEEN, market=replace(market(), fees=FeeSchedule(70_000, 2, True)))
    assert fusion_features(strange, FLAT).invalid == Invalid.UNKNOWN_FEE


def test_when_nothing_is_left_to_happen_the_distance_is_a_number() -> None:
    """At the close of an hour there is no deviation left: certain, in bounds."""
    hour = replace(market(), opens_ns=START_NS - 3_600_000_000_000, closes_ns=START_NS)
    closing = replace(SEEN, market=hour, now_ns=START_NS)
    found = named(closing)
    assert found["strike_distance"] == min(1.0, CERTAIN / 3)
    assert found["fair_minus_mid"] == 1.0


STRIKES = st.none() | st.builds(
    Strike, price=st.floats(allow_nan=True, allow_infinity=True), rung=st.sampled_from(StrikeRung)
)


@settings(max_examples=300, deadline=None)
@given(up=BOOKS, down=BOOKS, fast=FASTS, sd=MAYBE, position=POSITIONS, strike=STRIKES)
def test_always_a_sound_number_or_a_reason(
    up: BookView,
    down: BookView,
    fast: FastView,
    sd: float | None,
    position: Position,
    strike: Strike | None,
) -> None:
    """Whatever comes: 18 finite numbers in [-1, 1], or zeros and a reason (I28)."""
    seen = replace(SEEN, up=up, down=down, fast=fast, up_mid_sd=sd, strike=strike)
    state = fusion_features(seen, position)
    assert len(state.features) == 18
    assert all(math.isfinite(value) and -1.0 <= value <= 1.0 for value in state.features)
    if state.invalid:
        assert state.invalid in set(Invalid)
        assert not any(state.features)


def test_every_version_is_in_the_registry() -> None:
    """18 names each, all different, and a function whose states carry the version."""
    assert set(FEATURE_VERSIONS) == set(FEATURE_NAMES_OF)
    for version, found in FEATURE_VERSIONS.items():
        assert found.names == FEATURE_NAMES_OF[version]
        assert len(set(found.names)) == 18
        assert found.function(SEEN, FLAT).version == version
        assert feature_function(version) is found.function
    with pytest.raises(KeyError):
        feature_function("phase4")
    assert version_of(Momentum()) == FEATURE_VERSION
