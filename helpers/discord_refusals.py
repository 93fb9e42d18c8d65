"""Refused entries, merged into one alert for five minutes. Pure.

A policy speaks twice a second for every market: told one by one, refusals would bury the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from helpers.discord_words import Alert, Meaning, lines, market_name
from helpers.domain import NS_PER_SECOND, AlertKind, AlertSeverity, Refused

MERGED_NS: Final = 300 * NS_PER_SECOND
RULES_MAXIMUM: Final = 64
"""The gate has fewer rules."""
MARKETS_MAXIMUM: Final = 64
RULES_SHOWN: Final = 8


class Refusals:
    """Those since the last alert."""

    def __init__(self) -> None:
        self._since_ns = 0
        self._total = 0
        self._rules: dict[str, int] = {}
        self._last: dict[str, Refused] = {}
        self._markets: set[str] = set()

    def add(self, at_ns: int, market: str, refused: Refused) -> None:
        """Count one under its first broken rule."""
        self._since_ns = self._since_ns or at_ns
        self._total += 1
        rule = refused.failures[0].rule
        if rule in self._rules or len(self._rules) < RULES_MAXIMUM:
            self._rules[rule] = self._rules.get(rule, 0) + 1
            self._last[rule] = refused
        if len(self._markets) < MARKETS_MAXIMUM:
            self._markets.add(market_name(market))

    def due(self, now_ns: int) -> Iterator[Alert]:
        """Yield the alert when the first of them is five minutes old."""
        if self._total and now_ns - self._since_ns >= MERGED_NS:
            yield self.take(now_ns)

    def rest(self, now_ns: int) -> Iterator[Alert]:
        """Yield the alert of what was not told yet, if there is anything."""
        if self._total:
            yield self.take(now_ns)

    def take(self, now_ns: int) -> Alert:
        """Return the alert and begin anew."""
        often = sorted(self._rules.items(), key=lambda item: -item[1])[:RULES_SHOWN]
        text = "\n".join(f"{rule}: {count}, {self._example(rule)}" for rule, count in often)
        minutes = max(1, round((now_ns - self._since_ns) / NS_PER_SECOND / 60))
        alert = Alert(
            AlertKind.REFUSED,
            AlertSeverity.INFO,
            Meaning.NEUTRAL,
            f"{self._total} entries refused in {minutes} min",
            f"{text}\n{lines(markets=', '.join(sorted(self._markets)))}",
            now_ns,
            count=self._total,
        )
        self.__init__()
        return alert

    def _example(self, rule: str) -> str:
        failure = self._last[rule].failures[0]
        return f"limit {_short(failure.limit)}, last found {_short(failure.found)}"


def _short(value: float | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
