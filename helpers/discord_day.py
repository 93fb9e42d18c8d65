"""One UTC day for the daily summary: trades, profit, drawdown, what went wrong. Pure.

A day that began under another run is told from this run's start on, and says so; the profit is
the ledger's own, of the whole day.
"""

from __future__ import annotations

import datetime
from typing import Final

from helpers.discord_words import (
    Alert,
    EquityPoint,
    Meaning,
    dollars,
    lines,
    signed_dollars,
)
from helpers.domain import (
    NS_PER_SECOND,
    AlertKind,
    AlertSeverity,
    Equity,
    RoundTrip,
)

DAY_NS: Final = 86_400 * NS_PER_SECOND
CURVE_POINTS_MAXIMUM: Final = 2_000
"""Equity is told once a minute: a day has 1,440."""


def day_of(at_ns: int) -> int:
    """Return the UTC day of a moment, in days since the epoch."""
    return at_ns // DAY_NS


class Day:
    """The tally of one day, from when we began to look."""

    def __init__(self, since_ns: int, profit_micros: int = 0) -> None:
        """Begin; ``profit_micros`` is what the day had brought before."""
        self.number = day_of(since_ns)
        self.profit_micros = profit_micros
        self.entries = 0
        self.refused = 0
        self.halts = 0
        self.feed_gaps = 0
        self._since_ns = since_ns
        self._trades = 0
        self._wins = 0
        self._fees_micros = 0
        self._peak_micros: int | None = None
        self._drawdown_micros = 0
        self._curve: list[EquityPoint] = []

    def closed(self, trip: RoundTrip) -> None:
        """Count a position that was closed."""
        self._trades += 1
        self._wins += trip.pnl_micros > 0
        self._fees_micros += trip.fees_micros
        self.profit_micros += trip.pnl_micros

    def equity(self, at_ns: int, equity: Equity) -> None:
        """Take in the account at one moment."""
        profit = equity.realised_micros + equity.unrealised_micros
        peak = profit if self._peak_micros is None else max(self._peak_micros, profit)
        self._peak_micros = peak
        self._drawdown_micros = max(self._drawdown_micros, peak - profit)
        if len(self._curve) < CURVE_POINTS_MAXIMUM:
            self._curve.append(EquityPoint(at_ns, profit))

    def summary(self, cumulative_micros: int) -> Alert:
        """Return the day as an alert."""
        start_ns = self.number * DAY_NS
        date = datetime.datetime.fromtimestamp(start_ns // NS_PER_SECOND, datetime.UTC)
        since = ""
        if self._since_ns > start_ns:
            seconds = self._since_ns // NS_PER_SECOND
            since = f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%H:%M} UTC"
        hours = (start_ns + DAY_NS - self._since_ns) / NS_PER_SECOND / 3600
        rate = f" ({self._wins / self._trades:.0%} won)" if self._trades else ""
        good = self.profit_micros >= 0
        # A warning, so that no burst of infos displaces the one message of the day.
        return Alert(
            AlertKind.DAILY_SUMMARY,
            AlertSeverity.WARNING,
            Meaning.GOOD if good else Meaning.BAD,
            f"{date:%Y-%m-%d}: {signed_dollars(self.profit_micros)} after fees",
            lines(
                trades=f"{self._trades}{rate}",
                fees=dollars(self._fees_micros),
                cumulative=signed_dollars(cumulative_micros),
                drawdown=dollars(self._drawdown_micros),
                fills_of_entries=self.entries,
                refused=self.refused,
                halts=self.halts,
                feed_gaps=self.feed_gaps,
                uptime=f"{hours:.1f} h",
                counted_since=since,
            ),
            start_ns + DAY_NS,
            curve=tuple(self._curve),
        )
