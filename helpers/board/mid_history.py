"""One hour of a fast market's mids, one a second of venue time; reads no clock.

The value of a whole second is the last mid at or before it. A read changes nothing: seconds that
nothing has come after yet are taken from the last mid.
"""

from __future__ import annotations

from array import array
from math import log, sqrt
from typing import Final

from helpers.domain import NS_PER_SECOND, Candle

HISTORY_SECONDS: Final = 3_600
RING_SECONDS: Final = HISTORY_SECONDS + 1
"""The 1 h return needs the second 3,600 before the current one."""
TOLERANCE_SECONDS: Final = 15
"""A second filled from an older mid than this is cold. Quotes come every 1 to 2 s in the slowest
recording; 15 s is a quarter of the shortest return, beyond which "60 s ago" would be a lie."""
VOLATILITY_SECONDS: Final = 300
VOLATILITY_WARM_SECONDS: Final = 60
RETURN_UNITS: Final = 10**12
"""Log returns are summed as integers of 1e-12, so a rolling sum of squares never drifts."""


class MidHistory:
    """Ring of whole-second mids with a rolling sum of squared one-second returns."""

    __slots__ = (
        "_candle",
        "_mids",
        "_return_count",
        "_squares",
        "_stamps",
        "_sum",
        "second",
        "version",
    )

    def __init__(self) -> None:
        self._mids = array("d", bytes(8 * RING_SECONDS))
        self._stamps = array("q", bytes(8 * RING_SECONDS))
        """Venue second of the mid behind each value, 0 where there is none."""
        self._candle = bytearray(RING_SECONDS)
        """1 where the value is a bar's close."""
        self._squares: list[int] = [0] * VOLATILITY_SECONDS
        self._sum = 0
        self._return_count = 0
        self.second = 0
        """Newest whole second written; 0 when empty."""
        self.version = 0
        """Grows whenever something other than time passing changed the past."""

    def clear(self) -> None:
        """Forget everything."""
        version = self.version
        self.__init__()
        self.version = version + 1

    def skip(self, to_second: int) -> None:
        """Leave the seconds up to ``to_second`` unknown."""
        if to_second - self.second >= RING_SECONDS:
            self.clear()
        else:
            for second in range(self.second + 1, to_second + 1):
                self._stamps[second % RING_SECONDS] = 0
        self.second = max(self.second, to_second)

    def advance(self, to_second: int, mid: float, stamp_second: int) -> None:
        """Fill the seconds up to ``to_second`` with the mid that held since ``stamp_second``."""
        if to_second - self.second >= RING_SECONDS:
            self.clear()
            self.second = to_second
            return
        mids, stamps, candle = self._mids, self._stamps, self._candle
        for second in range(self.second + 1, to_second + 1):
            slot = second % RING_SECONDS
            if second - stamp_second > TOLERANCE_SECONDS:
                self._forget_returns()
            else:
                self._push_return(second, self.at(second - 1, live_only=True), mid)
            mids[slot] = mid
            stamps[slot] = stamp_second
            candle[slot] = 0
            self.second = second

    def _forget_returns(self) -> None:
        if self._return_count:
            self._squares = [0] * VOLATILITY_SECONDS
            self._sum = 0
            self._return_count = 0

    def _push_return(self, second: int, previous: float | None, mid: float) -> None:
        if previous is None:
            self._forget_returns()
            return
        slot = second % VOLATILITY_SECONDS
        square = 0 if previous == mid else int(log(mid / previous) * RETURN_UNITS) ** 2
        self._sum += square - self._squares[slot]
        self._squares[slot] = square
        if self._return_count < VOLATILITY_SECONDS:
            self._return_count += 1

    def fill(self, candles: tuple[Candle, ...], interval_seconds: int, until_ns: int) -> None:
        """Fill empty seconds with closed bars' closes, each for one interval after its end.

        ``until_ns`` is the venue's present: a bar that ends later is still running and skipped.
        """
        until = until_ns // NS_PER_SECOND
        if not self.second:
            self.second = until
        newest = self.second
        for candle in candles:
            end = candle.opens_ns // NS_PER_SECOND + interval_seconds
            if end > until or candle.close <= 0.0:
                continue
            start = max(end, newest - HISTORY_SECONDS)
            for second in range(start, min(end + interval_seconds, newest + 1)):
                slot = second % RING_SECONDS
                if not self._stamps[slot]:
                    self._mids[slot] = candle.close
                    self._stamps[slot] = second
                    self._candle[slot] = 1
        self.version += 1

    def at(self, second: int, live_only: bool = False) -> float | None:
        """Return the mid of a written whole second; ``None`` when unknown, too old or a bar's."""
        newest = self.second
        if second > newest or second <= newest - RING_SECONDS:
            return None
        slot = second % RING_SECONDS
        stamp = self._stamps[slot]
        if not stamp or second - stamp > TOLERANCE_SECONDS or (live_only and self._candle[slot]):
            return None
        return self._mids[slot]

    def volatility(self, second: int, mid: float) -> float | None:
        """Return the rms of one-second log returns over the 300 s up to ``second``.

        ``mid`` is the last mid, which holds in the seconds not written yet. Cold until 60 returns
        in a row were seen; a silence beyond the tolerance breaks the row.
        """
        newest = self.second
        ahead = second - newest
        if not 0 <= ahead <= TOLERANCE_SECONDS:
            return None
        total = self._sum
        count = self._return_count
        if ahead:
            previous = self.at(newest, live_only=True)
            if previous is None:
                return None
            for later in range(newest + 1, second + 1):
                total -= self._squares[later % VOLATILITY_SECONDS]
            count = min(VOLATILITY_SECONDS, count + ahead)
            if previous != mid:
                total += int(log(mid / previous) * RETURN_UNITS) ** 2
        if count < VOLATILITY_WARM_SECONDS:
            return None
        return sqrt(total / count) / RETURN_UNITS
