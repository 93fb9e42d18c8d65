"""What the charts of a report show, as data that ``report.js`` draws with uPlot.

Must not: know HTML, or colours beyond their names (the page has a dark and a light set).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from db.query_results import HOLD_BINS, CalibrationBin, Performance, ReportRead
from helpers.domain import MICROS, Message
from helpers.web.figures import Curve

HOURS: Final = tuple(f"{hour:02d}" for hour in range(24))
YEAR_LENGTH: Final = len("2026-")
PRICE_BINS: Final = tuple(f"{cents:02d}" for cents in range(0, 100, 5))
PRICE_NAMES: Final = tuple(f"{int(cents) / 100:.2f}" for cents in PRICE_BINS)
HOLD_KEYS: Final = tuple(str(number) for number in range(len(HOLD_BINS)))


class Series(Message, frozen=True):
    """Numbers of one colour; ``None`` where there is none."""

    name: str
    colour: Literal["accent", "muted", "gain", "loss"]
    values: tuple[float | None, ...]
    is_area: bool = False


class Chart(Message, frozen=True):
    """One chart: lines over time, bars over names, or calibration."""

    id: str
    kind: Literal["time", "bars", "calibration"]
    unit: Literal["dollars", "count", "part"]
    x: tuple[float, ...]
    """Seconds since the epoch, places of bars, or probabilities."""
    names: tuple[str, ...]
    """Of the bars."""
    series: tuple[Series, ...]
    weights: tuple[int, ...] = ()
    """Samples of each point of calibration."""


def charts_of(read: ReportRead, curve: Curve) -> tuple[Chart, ...]:
    """Return the charts that have something to show."""
    drawn = [
        _equity(curve),
        _drawdown(curve),
        _profit("by-day", read.by_day if len(read.by_day) > 1 else (), YEAR_LENGTH),
        _profit("by-asset-side", read.by_asset_outcome),
        _profit("by-hour", _filled(read.by_hour, HOURS)),
        _won_and_lost("by-entry-price", _filled(read.by_entry_price, PRICE_BINS), PRICE_NAMES),
        _won_and_lost("by-hold", _filled(read.by_hold, HOLD_KEYS), HOLD_BINS),
        _calibration(read.calibration),
    ]
    return tuple(chart for chart in drawn if chart.x)


def _equity(curve: Curve) -> Chart:
    series = (
        Series("realised", "muted", _dollars(curve.realised_micros)),
        Series("with open positions", "accent", _dollars(curve.total_micros), is_area=True),
    )
    return Chart("equity", "time", "dollars", curve.at_seconds, (), series)


def _drawdown(curve: Curve) -> Chart:
    series = (Series("below the peak", "loss", _dollars(curve.drawdown_micros), is_area=True),)
    return Chart("drawdown", "time", "dollars", curve.at_seconds, (), series)


def _profit(name: str, rows: Sequence[Performance], cut: int = 0) -> Chart:
    profits = [row.pnl_micros / MICROS for row in rows]
    series = (
        Series("profit", "gain", tuple(one if one >= 0 else None for one in profits)),
        Series("loss", "loss", tuple(one if one < 0 else None for one in profits)),
    )
    keys = tuple(row.key[cut:] for row in rows)
    return Chart(name, "bars", "dollars", _places(keys), keys, series)


def _won_and_lost(name: str, rows: Sequence[Performance], names: Sequence[str]) -> Chart:
    # Those that lost stand on those that won: drawn as all, with the won ones over them.
    series = (
        Series("all trades", "loss", tuple(float(row.trips) for row in rows)),
        Series("won", "gain", tuple(float(row.wins) for row in rows)),
    )
    places = _places(names) if any(row.trips for row in rows) else ()
    return Chart(name, "bars", "count", places, tuple(names), series)


def _calibration(bins: Sequence[CalibrationBin]) -> Chart:
    told = sorted(bins, key=lambda one: one.probability)
    x = (0.0, *(one.probability for one in told), 1.0) if told else ()
    series = (
        Series("perfect", "muted", x),
        Series("Up won", "accent", (None, *(one.won / one.samples for one in told), None)),
    )
    weights = (0, *(one.samples for one in told), 0)
    return Chart("calibration", "calibration", "part", x, (), series, weights)


def _filled(rows: Sequence[Performance], keys: Sequence[str]) -> tuple[Performance, ...]:
    found = {row.key: row for row in rows}
    return tuple(found.get(key, Performance(key, 0, 0, 0, 0, 0)) for key in keys)


def _places(names: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(place) for place in range(len(names)))


def _dollars(micros: Sequence[int]) -> tuple[float, ...]:
    return tuple(amount / MICROS for amount in micros)
