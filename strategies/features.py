"""(Snapshot, Position) to the 18 features of version ``phase5``; pure (DESIGN section 5).

Must not: let a number through that is not finite or not in [-1, 1] (I28).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from math import isfinite, sqrt
from typing import Final

from helpers.domain import (
    FEATURE_NAMES,
    FEATURE_VERSION,
    MICROS,
    BookLevels,
    BookProblem,
    MarketState,
    Outcome,
    Position,
    Snapshot,
    exit_value_micros,
)

BOOK_STALE_SECONDS: Final = 30.0
"""The age at which the safety rules call a book degraded; there is nothing to see in an older."""
FAST_STALE_SECONDS: Final = 10.0
"""Quotes of the slowest recording come 1 to 2 s apart, those of a live market within
milliseconds: 10 s of silence is a dead feed on either."""
MINIMUM_MID: Final = 0.01
"""Floor of the divisor of spread_pct: one cent."""
VOL_REGIME_SD: Final = 0.01
TREND_REGIME_RETURN: Final = 0.005
HOURS_A_DAY: Final = 24.0
SPREAD_SCALE: Final = 20.0
RETURN_SCALE: Final = 50.0
CVD_SCALE: Final = 10.0
VOL_SCALE: Final = 20.0
PNL_SCALE: Final = 5.0
TRADE_WINDOW_SECONDS: Final = 10.0
INTENSITY_SCALE: Final = 10.0
ROOT_MINUTES_AN_HOUR: Final = sqrt(60.0)

ZEROS: Final = (0.0,) * len(FEATURE_NAMES)


class Invalid(enum.StrEnum):
    """Why there is nothing to see."""

    NO_FAST_MARKET = "no_fast_market"
    STALE_FAST_MARKET = "stale_fast_market"
    UNSYNCHRONISED_BOOK = "unsynchronised_book"
    EMPTY_BOOK = "empty_book"
    ONE_SIDED_BOOK = "one_sided_book"
    CROSSED_BOOK = "crossed_book"
    STALE_BOOK = "stale_book"
    UNKNOWN_FEE = "unknown_fee"
    NOT_FINITE = "not_finite"


_BOOK_REASONS: Final = {
    BookProblem.UNSYNCHRONISED: Invalid.UNSYNCHRONISED_BOOK,
    BookProblem.EMPTY: Invalid.EMPTY_BOOK,
    BookProblem.ONE_SIDED: Invalid.ONE_SIDED_BOOK,
    BookProblem.CROSSED: Invalid.CROSSED_BOOK,
}


def features(snapshot: Snapshot, position: Position) -> MarketState:
    """Return what a policy sees of one market: the 18 features, or why there are none.

    Windows that are not filled read 0 and are named in ``cold``.
    """
    reason = unusable(snapshot, position)
    if reason:
        return MarketState(ZEROS, reason, (), snapshot, position)
    raw = (*_market_features(snapshot), *position_features(snapshot, position))
    # Features 16 and 17 follow the position's in the contract, so they come last here too.
    return state_of((*raw, *_regimes(snapshot)), snapshot, position, FEATURE_VERSION)


def state_of(
    raw: Iterable[float | None], snapshot: Snapshot, position: Position, version: str
) -> MarketState:
    """Return features clamped to [-1, 1]; ``None`` reads 0 and is cold, no number is invalid."""
    values: list[float] = []
    cold: list[int] = []
    for index, value in enumerate(raw):
        if value is None:
            cold.append(index)
            values.append(0.0)
        elif not isfinite(value):
            return MarketState(ZEROS, Invalid.NOT_FINITE, (), snapshot, position, version)
        else:
            values.append(-1.0 if value < -1.0 else min(value, 1.0))
    return MarketState(tuple(values), "", tuple(cold), snapshot, position, version)


def unusable(snapshot: Snapshot, position: Position) -> str:
    """Return why there is nothing to see, empty when there is."""
    fast = snapshot.fast
    if fast.source is None or not fast.bid > 0.0:
        return Invalid.NO_FAST_MARKET
    # Written so that an age that is not a number is stale.
    if not fast.age_seconds <= FAST_STALE_SECONDS:
        return Invalid.STALE_FAST_MARKET
    for book in (snapshot.up, snapshot.down):
        if book.problem is not BookProblem.NONE:
            return _BOOK_REASONS[book.problem]
        if not book.age_seconds <= BOOK_STALE_SECONDS:
            return Invalid.STALE_BOOK
        if not book.bids or not book.asks:
            return Invalid.ONE_SIDED_BOOK
    if position.outcome is not None and snapshot.market.fees.exponent != 1:
        return Invalid.UNKNOWN_FEE
    return ""


def _market_features(snapshot: Snapshot) -> tuple[float | None, ...]:
    fast = snapshot.fast
    up = snapshot.up
    mid = (fast.bid + fast.ask) / 2
    bid, bid_size = up.bids[0]
    ask, ask_size = up.asks[0]
    up_mid = (bid + ask) / (2 * MICROS)
    signed = fast.signed_flow_500ms_usd
    trades = fast.trades_10s
    sd = snapshot.up_mid_sd
    return (
        scaled_return(mid, fast.mid_60s_ago, RETURN_SCALE),
        scaled_return(mid, fast.mid_300s_ago, RETURN_SCALE),
        scaled_return(mid, fast.mid_600s_ago, RETURN_SCALE),
        balance(bid_size, ask_size),
        balance(depth(up.bids), depth(up.asks)),
        flow(fast.flow_buy_usd, fast.flow_sell_usd),
        None if signed is None else CVD_SCALE * signed / MICROS,
        SPREAD_SCALE * (ask - bid) / MICROS / max(MINIMUM_MID, up_mid),
        None if trades is None else trades / TRADE_WINDOW_SECONDS / INTENSITY_SCALE,
        fast.large_trade,
        None if sd is None else VOL_SCALE * sd,
        _expansion(fast.volume_1h_usd, fast.volume_24h_usd),
    )


def position_features(snapshot: Snapshot, position: Position) -> tuple[float, ...]:
    """Return slots 12 to 15, the same in every version: what is held, and the time left."""
    market = snapshot.market
    length_ns = max(1, market.closes_ns - market.opens_ns)
    left = (market.closes_ns - snapshot.now_ns) / length_ns
    time_remaining = max(0.0, min(left, 1.0))
    outcome = position.outcome
    if outcome is None:
        return (0.0, 0.0, 0.0, time_remaining)
    side = 1.0 if outcome is Outcome.UP else -1.0
    cost = position.cost_micros
    pnl = (exit_value_micros(snapshot, position) - cost) / cost if cost > 0 else 0.0
    return (1.0, side, PNL_SCALE * pnl, time_remaining)


def _regimes(snapshot: Snapshot) -> tuple[float | None, float | None]:
    fast = snapshot.fast
    sd = fast.minute_return_sd
    hour_ago = fast.mid_3600s_ago
    return (
        None if sd is None else float(sd * ROOT_MINUTES_AN_HOUR > VOL_REGIME_SD),
        None
        if hour_ago is None
        else float(abs((fast.bid + fast.ask) / 2 / hour_ago - 1.0) > TREND_REGIME_RETURN),
    )


def scaled_return(mid: float, before: float | None, scale: float) -> float | None:
    """Return ``scale`` x (mid / before - 1), ``None`` while its window is not filled."""
    return None if before is None else scale * (mid / before - 1.0)


def balance(bids: float, asks: float) -> float:
    """Return (bids - asks) / (bids + asks), 0 where there is neither."""
    total = bids + asks
    return (bids - asks) / total if total else 0.0


def depth(levels: BookLevels) -> int:
    """Return the shares of all levels shown."""
    return sum([shares for _, shares in levels])


def flow(buy: float | None, sell: float | None) -> float | None:
    """Return the taker flow's balance, ``None`` while it is cold."""
    return None if buy is None or sell is None else balance(buy, sell)


def _expansion(hour: float | None, day: float | None) -> float | None:
    if hour is None or day is None:
        return None
    return hour / (day / HOURS_A_DAY) - 1.0 if day else 0.0
