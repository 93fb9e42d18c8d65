"""A day of quote volume by the minute, and what one hour of minute closes says; reads no clock."""

from __future__ import annotations

from array import array
from typing import Final

from helpers.domain import NS_PER_SECOND, Candle

MINUTE_NS: Final = 60 * NS_PER_SECOND
HOUR_MINUTES: Final = 60
DAY_MINUTES: Final = 1_440
RING_MINUTES: Final = DAY_MINUTES + 2
"""A day of complete minutes, the running one, and one to spare for a late read."""
SILENCE_NS: Final = 60 * NS_PER_SECOND
"""A fast market silent for a minute has lost trades: volumes before it are no longer whole."""


class MinuteVolumes:
    """Quote volume of complete minutes, in micro-dollars; live trades win over candles."""

    __slots__ = ("_known_from", "_live_from", "_ring", "minute", "running_micros", "version")

    def __init__(self) -> None:
        self._ring = array("q", bytes(8 * RING_MINUTES))
        self.minute = 0
        """Minute of the newest trade; 0 before the first."""
        self.running_micros = 0
        """Volume of that minute so far; the owner of the hot path adds to it."""
        self._live_from = 0
        """First minute that was observed from its start."""
        self._known_from = 0
        self.version = 0

    def roll(self, minute: int) -> None:
        """Begin a later minute."""
        if not self.minute:
            self._live_from = self._known_from = minute + 1
        else:
            ring = self._ring
            ring[self.minute % RING_MINUTES] = self.running_micros
            for empty in range(max(self.minute, minute - RING_MINUTES) + 1, minute):
                ring[empty % RING_MINUTES] = 0
        self.minute = minute
        self.running_micros = 0

    def broke(self, minute: int) -> None:
        """Note that trades were lost up to this minute; only later ones are whole again."""
        self._live_from = self._known_from = minute + 1
        self.version += 1

    def fill(self, candles: tuple[Candle, ...], until_ns: int) -> None:
        """Fill minutes that were not wholly observed live from one-minute bars."""
        if not candles:
            return
        if not self.minute:
            self.minute = until_ns // MINUTE_NS
            self._live_from = self.minute + 1
        for candle in candles:
            minute = candle.opens_ns // MINUTE_NS
            micros = int(candle.quote_volume * 1e6 + 0.5)
            if not self.minute - RING_MINUTES < minute <= self.minute or minute >= self._live_from:
                continue
            if minute == self.minute:
                self.running_micros = max(self.running_micros, micros)
            else:
                self._ring[minute % RING_MINUTES] = max(self._ring[minute % RING_MINUTES], micros)
        first = candles[0].opens_ns // MINUTE_NS
        last = candles[-1].opens_ns // MINUTE_NS
        if last >= self._live_from - 1:
            self._known_from = min(self._known_from or first, first)
        self.version += 1

    def total_micros(self, minute: int, minutes: int) -> int | None:
        """Return the volume of the ``minutes`` complete minutes before ``minute``; cold unknown."""
        first = minute - minutes
        if not self._known_from or first < self._known_from:
            return None
        newest = self.minute
        ring = self._ring
        total = sum(
            ring[index % RING_MINUTES]
            for index in range(max(first, newest - RING_MINUTES + 1), min(minute, newest))
        )
        return total + (self.running_micros if newest < minute else 0)
