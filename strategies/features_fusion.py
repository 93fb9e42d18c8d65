"""(Snapshot, Position) to the 18 features of version ``fusion``; pure.

The challenger of ``phase5``: slots that carry little in these markets (regime flags, volume
expansion, saturated intensity, long returns) give way to what decides them. Prices in dollars:

| # | name | value |
|---|---|---|
| 0-1 | fast_return_1s, fast_return_5s | 1000 x (mid / mid 1, 5 s ago - 1): 10 bp is 1 |
| 2 | returns_1m | as ``phase5`` |
| 3-6 | ob_imbalance_l1, ob_imbalance_l5, trade_flow_imbalance, cvd_acceleration | as ``phase5`` |
| 7 | cost_to_cross | 20 x (half the Up spread + taker fee a share at the Up mid): 5 c is 1 |
| 8 | quoted_mid | 2 x Up mid - 1 |
| 9 | strike_distance | z / 3, z = standard deviations from strike to fast mid, in the time left |
| 10 | vol_5m | as ``phase5`` |
| 11 | fair_minus_mid | 10 x (fair digital value - Up mid): 10 c is 1 |
| 12-15 | has_position, position_side, position_pnl, time_remaining | as ``phase5`` |
| 16 | quote_age | age of the Up book's data / 2 s, at most 1 |
| 17 | microprice_offset | 100 x (size-weighted Up mid - Up mid): 1 c is 1 |

9 and 11 are cold while strike or volatility are not known; our own guess of a strike is none. The
fair value is that of ``strategies.fair_value`` at the fast mid, whose basis to the source that
settles is in its deviation; in the last minute it takes the part that is known already for the mid
itself, as it has no memory.

Must not: let a number through that is not finite or not in [-1, 1] (I28).
"""

from __future__ import annotations

import math
from typing import Final

from helpers.domain import (
    FUSION_VERSION,
    MICROS,
    MarketState,
    Position,
    Snapshot,
    StrikeRung,
)
from strategies.baseline import taker_fee_per_share
from strategies.fair_value import (
    BASIS_SD,
    average_seconds,
    expected_volatility,
    normal_cdf,
    standard_distance,
)
from strategies.features import (
    CVD_SCALE,
    RETURN_SCALE,
    VOL_SCALE,
    ZEROS,
    Invalid,
    balance,
    depth,
    flow,
    position_features,
    scaled_return,
    state_of,
    unusable,
)

FAST_RETURN_SCALE: Final = 1_000.0
COST_SCALE: Final = 20.0
DISTANCE_SCALE: Final = 1.0 / 3.0
EDGE_SCALE: Final = 10.0
QUOTE_AGE_SECONDS: Final = 2.0
"""Nothing of a fast move is still to be quoted after this long (recordings)."""
MICROPRICE_SCALE: Final = 100.0
CERTAIN: Final = 8.0
"""Standard deviations beyond which nothing is in doubt."""
VOLATILITY_MAXIMUM: Final = 1.0
"""Log return per root second: a thousand times the wildest minute's; more is no measurement."""


def fusion_features(snapshot: Snapshot, position: Position) -> MarketState:
    """Return what a policy of version ``fusion`` sees of one market, or why there is nothing.

    Windows that are not filled, a strike and a volatility that are not known, read 0 and are named
    in ``cold``. A fee schedule that is not known makes the state invalid: slot 7 needs it.
    """
    reason = unusable(snapshot, position)
    if not reason and snapshot.market.fees.exponent != 1:
        reason = Invalid.UNKNOWN_FEE
    if reason:
        return MarketState(ZEROS, reason, (), snapshot, position, FUSION_VERSION)
    fast, up = snapshot.fast, snapshot.up
    mid = (fast.bid + fast.ask) / 2
    bid, bid_size = up.bids[0]
    ask, ask_size = up.asks[0]
    up_mid = (bid + ask) / (2 * MICROS)
    half_spread = (ask - bid) / (2 * MICROS)
    touch = balance(bid_size, ask_size)
    distance = _distance(snapshot, mid)
    signed, sd = fast.signed_flow_500ms_usd, snapshot.up_mid_sd
    raw = (
        scaled_return(mid, fast.mid_1s_ago, FAST_RETURN_SCALE),
        scaled_return(mid, fast.mid_5s_ago, FAST_RETURN_SCALE),
        scaled_return(mid, fast.mid_60s_ago, RETURN_SCALE),
        touch,
        balance(depth(up.bids), depth(up.asks)),
        flow(fast.flow_buy_usd, fast.flow_sell_usd),
        None if signed is None else CVD_SCALE * signed / MICROS,
        COST_SCALE * (half_spread + taker_fee_per_share(snapshot.market.fees, up_mid)),
        2.0 * up_mid - 1.0,
        None if distance is None else DISTANCE_SCALE * distance,
        None if sd is None else VOL_SCALE * sd,
        None if distance is None else EDGE_SCALE * (normal_cdf(distance) - up_mid),
        *position_features(snapshot, position),
        up.age_seconds / QUOTE_AGE_SECONDS,
        # The size-weighted mid lies half a spread times the imbalance off the mid.
        MICROPRICE_SCALE * half_spread * touch,
    )
    return state_of(raw, snapshot, position, FUSION_VERSION)


def _distance(snapshot: Snapshot, mid: float) -> float | None:
    strike, volatility = snapshot.strike, expected_volatility(snapshot.fast)
    if strike is None or strike.rung is StrikeRung.FAST_PROXY or volatility is None:
        return None
    ratio = mid / strike.price if strike.price > 0.0 else math.nan
    if not (0.0 < ratio < math.inf and 0.0 <= volatility <= VOLATILITY_MAXIMUM):
        return math.nan
    seconds = average_seconds(snapshot)
    distance = standard_distance(
        price=mid,
        strike=strike.price,
        volatility_per_sqrt_second=volatility,
        seconds_to_close=max(0.0, snapshot.seconds_to_close),
        realised_mean=mid,
        average_seconds=seconds,
        basis_sd=BASIS_SD if seconds else 0.0,
    )
    # Nothing is left to happen: as sure as can be, and a number.
    return math.copysign(CERTAIN, distance) if math.isinf(distance) else distance
