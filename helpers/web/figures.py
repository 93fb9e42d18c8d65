"""Figures of a report that no table holds: the curve, drawdown, scores; and how each is written.

Pure. Must not: know HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from db.query_results import (
    CalibrationBin,
    EquityPoint,
    Performance,
    ReportRead,
    Totals,
)
from helpers.domain import MICROS, NS_PER_SECOND, Message

NOTHING: Final = "\N{EN DASH}"
"""What is shown where there is no number."""
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
UNITS_SHOWN: Final = 2


class Curve(Message, frozen=True):
    """Profit after fees from the beginning of a span on, and how far it was below its peak."""

    at_seconds: tuple[float, ...]
    total_micros: tuple[int, ...]
    """Open positions counted at what they would bring."""
    realised_micros: tuple[int, ...]
    drawdown_micros: tuple[int, ...]
    """0 or negative."""
    deepest_micros: int


class Brier(Message, frozen=True):
    """Mean squared error of the policy's probabilities and of the quoted mid, same moments."""

    samples: int
    policy: float
    quoted: float
    is_forecast: bool
    """Whether the policy gave forecasts; else its actions' probabilities stand for them."""


def curve_of(points: Sequence[EquityPoint], before: EquityPoint | None) -> Curve:
    """Return the curve of a span; ``before`` is the account just before it.

    A run that begins anew (realised is 0 again) goes on where the one before it ended.
    """
    start = 0 if before is None else before.realised_micros + before.unrealised_micros
    start_realised = 0 if before is None else before.realised_micros
    previous = before
    peak = 0
    totals: list[int] = []
    realised: list[int] = []
    drawdowns: list[int] = []
    for point in points:
        if previous is not None and _begins_anew(previous, point):
            start -= previous.realised_micros + previous.unrealised_micros
            start_realised -= previous.realised_micros
        peak = max(peak, point.highest_micros - start)
        totals.append(point.realised_micros + point.unrealised_micros - start)
        realised.append(point.realised_micros - start_realised)
        drawdowns.append(min(0, point.lowest_micros - start - peak))
        previous = point
    return Curve(
        tuple(point.at_ns / NS_PER_SECOND for point in points),
        tuple(totals),
        tuple(realised),
        tuple(drawdowns),
        min(drawdowns, default=0),
    )


def _begins_anew(previous: EquityPoint, point: EquityPoint) -> bool:
    changed = point.session != previous.session
    return changed and point.realised_micros == 0 and previous.realised_micros != 0


def brier_of(bins: Sequence[CalibrationBin]) -> Brier | None:
    """Return the scores over all bins, ``None`` where no market was resolved."""
    samples = sum(one.samples for one in bins)
    if not samples:
        return None
    return Brier(
        samples,
        sum(one.policy_error for one in bins) / samples,
        sum(one.quoted_error for one in bins) / samples,
        any(one.forecasts for one in bins),
    )


def profit_factor(totals: Totals) -> float | None:
    """Return what was won for each dollar lost."""
    return totals.won_micros / -totals.lost_micros if totals.lost_micros else None


def win_part(of: Performance | Totals) -> float | None:
    """Return which part of the trips gained."""
    return of.wins / of.trips if of.trips else None


def slippage_micros(read: ReportRead) -> float | None:
    """Return the average slippage a share over all kinds of orders of the book itself."""
    rows = [
        (row.slippage_micros, row.filled)
        for row in read.execution
        if row.book is read.scope.book and row.slippage_micros is not None and row.filled
    ]
    filled = sum(count for _, count in rows)
    return sum(slip * count for slip, count in rows) / filled if filled else None


# --- How it is written ----------------------------------------------------------------------


def dollars(micros: float, *, sign: bool = True) -> str:
    """Return an amount with its sign: +$1.25, -$0.40, $0.00."""
    cents = round(abs(micros) / (MICROS / 100))
    mark = "" if not cents else "-" if micros < 0 else "+" if sign else ""
    return f"{mark}${cents / 100:,.2f}"


def cents(micros: float | None, *, sign: bool = True) -> str:
    """Return an amount a share in cents: +0.35¢."""
    if micros is None:
        return NOTHING
    amount = micros / (MICROS / 100)
    return f"{amount:+.2f}\N{CENT SIGN}" if sign else f"{amount:.2f}\N{CENT SIGN}"


def percent(part: float | None) -> str:
    """Return a part of a whole: 54.2 %."""
    return NOTHING if part is None else f"{part * 100:.1f} %"


def decimal(value: float | None, digits: int = 2) -> str:
    """Return a plain number."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def milliseconds(value: float | None) -> str:
    """Return a time that an order took."""
    return NOTHING if value is None else f"{value:,.0f} ms"


def shares(micros: int) -> str:
    """Return a number of shares without zeros at its end."""
    return f"{micros / MICROS:,.2f}".rstrip("0").rstrip(".")


def price(micros: float | None) -> str:
    """Return a price of a share."""
    return NOTHING if micros is None else f"{micros / MICROS:.3f}"


def moment(at_ns: int) -> str:
    """Return a moment in UTC, to the second."""
    if not at_ns:
        return NOTHING
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, tz=UTC):%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units."""
    if seconds is None:
        return NOTHING
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        if left >= unit and len(parts) < UNITS_SHOWN:
            parts.append(f"{left // unit} {name}")
            left %= unit
        elif parts:
            break
    return " ".join(parts) or "0 s"
