"""The windows and the 18 features again, slowly: every number from the whole list of events.

Shares no code with what it checks.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from helpers.domain import BookChange, BookSnapshot, FeedEvent, Position, Quote, Side, Trade

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


@dataclass
class PlainMarket:
    """Accepted events of one market whose every frame takes ``latency_ns`` to arrive."""

    up_token: str
    down_token: str
    opens_ns: int
    closes_ns: int
    latency_ns: int
    quotes: list[Quote] = field(default_factory=list[Quote])
    trades: list[Trade] = field(default_factory=list[Trade])
    stamps: list[int] = field(default_factory=list[int])
    bids: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    asks: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    grid: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def apply(self, event: FeedEvent) -> None:
        """Keep an event unless it must be refused."""
        if isinstance(event, Quote):
            last = self.quotes[-1] if self.quotes else None
            older = last and (event.update_id <= last.update_id or event.venue_ns < last.venue_ns)
            if not older and event.bid <= event.ask:
                self.quotes.append(event)
                self.stamps.append(event.venue_ns)
        elif isinstance(event, Trade):
            last_trade = self.trades[-1] if self.trades else None
            # The first quote claims the asset for its source; trades before count for nothing.
            newer = not last_trade or event.trade_id > last_trade.trade_id
            if self.quotes and newer:
                self.trades.append(event)
        elif isinstance(event, BookSnapshot):
            self.bids[event.token] = {round(x.price * 1e6): round(x.size * 1e6) for x in event.bids}
            self.asks[event.token] = {round(x.price * 1e6): round(x.size * 1e6) for x in event.asks}
        elif isinstance(event, BookChange):
            for change in event.changes:
                side = (self.bids if change.side is Side.BUY else self.asks)[change.token]
                side[round(change.price * 1e6)] = round(change.size * 1e6)

    def book(self, token: str) -> tuple[dict[int, int], dict[int, int]]:
        """Return bids and asks, price to size in micros."""
        return (
            {price: size for price, size in self.bids[token].items() if size},
            {price: size for price, size in self.asks[token].items() if size},
        )

    def on_grid(self, now_ns: int) -> None:
        """Sample the Up mid where the book has one."""
        bids, asks = self.book(self.up_token)
        if bids and asks and max(bids) < min(asks):
            self.grid.append((now_ns, (max(bids) + min(asks)) / 2e6))

    def mid_at(self, second: int) -> float | None:
        """Return the last mid at or before a whole second, unless older than 15 s."""
        count = bisect.bisect_right(self.stamps, second * SECOND)
        if not count or second - self.stamps[count - 1] // SECOND > 15:
            return None
        return (self.quotes[count - 1].bid + self.quotes[count - 1].ask) / 2

    def volatility(self, now: int) -> float | None:
        """Return the rms of the unbroken one-second log returns, 300 at most, 60 at least."""
        squares: list[float] = []
        second = now // SECOND
        later = self.mid_at(second)
        while len(squares) < 300 and later is not None:
            second -= 1
            earlier = self.mid_at(second)
            if earlier is None:
                break
            squares.append(math.log(later / earlier) ** 2)
            later = earlier
        return math.sqrt(sum(squares) / len(squares)) if len(squares) >= 60 else None

    def flow(self, now: int) -> tuple[float, float] | None:
        """Return decayed buys and sells."""
        first = None
        for index, trade in enumerate(self.trades):
            before = self.trades[index - 1].venue_ns if index else -math.inf
            if trade.venue_ns - before > 395 * SECOND:
                first = trade.venue_ns
        if first is None or now - first < 395 * SECOND:
            return None
        sums = [0.0, 0.0]
        for trade in self.trades:
            weight = 0.5 ** ((now - trade.venue_ns) / (395 * SECOND))
            sums[0 if trade.taker_buys else 1] += trade.price * trade.quantity * weight
        return sums[0], sums[1]

    def recent(self, now: int, milliseconds: int) -> list[Trade] | None:
        """Return the trades of a window in whole milliseconds."""
        now_ms = now // 1_000_000
        if not self.trades or now_ms - self.trades[0].venue_ns // 1_000_000 < milliseconds:
            return None
        return [
            trade
            for trade in self.trades
            if now_ms - milliseconds < trade.venue_ns // 1_000_000 <= now_ms
        ]

    def large(self, now: int) -> float | None:
        """Return the large-trade flag."""
        if len(self.trades) < 100:
            return None
        notionals = [round(trade.price * trade.quantity * 1e6) for trade in self.trades]
        flagged = [
            self.trades[index].venue_ns
            for index in range(100, len(notionals))
            if notionals[index] > 3 * statistics.median(notionals[index - 100 : index])
        ]
        return 0.7 ** ((now - flagged[-1]) // (5 * SECOND)) if flagged else 0.0

    def volume(self, now: int, minutes: int) -> float | None:
        """Return the volume of the complete minutes before the current one, if all were seen."""
        if not self.trades:
            return None
        known = self.trades[0].venue_ns // MINUTE + 1
        for before, after in itertools.pairwise(self.quotes):
            if after.venue_ns - before.venue_ns > MINUTE:
                known = max(known, after.venue_ns // MINUTE + 1)
        minute = now // MINUTE
        if minute - minutes < known:
            return None
        return sum(
            trade.price * trade.quantity
            for trade in self.trades
            if minute - minutes <= trade.venue_ns // MINUTE < minute
        )

    def minute_sd(self, now: int) -> float | None:
        """Return the population sd of 59 one-minute returns."""
        minute = now // MINUTE
        closes = [self.mid_at((minute - index) * 60) for index in range(59, -1, -1)]
        known = [close for close in closes if close is not None]
        if len(known) < 60:
            return None
        return statistics.pstdev(
            later / earlier - 1 for earlier, later in itertools.pairwise(known)
        )

    def grid_sd(self, now_ns: int) -> float | None:
        """Return the sd of the last 30 grid mids, with no gap over 15 s among them."""
        recent: list[float] = []
        after = now_ns
        for at, mid in reversed(self.grid):
            if after - at > 15 * SECOND or len(recent) == 30:
                break
            recent.append(mid)
            after = at
        return statistics.pstdev(recent) if len(recent) == 30 else None

    def features(self, now_ns: int, position: Position, fee_rate: float) -> list[float | None]:
        """Return the 18 features, ``None`` where cold, each clamped."""
        now = now_ns - self.latency_ns
        quote = self.quotes[-1]
        mid = (quote.bid + quote.ask) / 2
        bids, asks = self.book(self.up_token)
        best_bids = sorted(bids, reverse=True)[:5]
        best_asks = sorted(asks)[:5]
        up_mid = (best_bids[0] + best_asks[0]) / 2e6
        flow = self.flow(now)
        recent = self.recent(now, 500)
        counted = self.recent(now, 10_000)
        sd = self.grid_sd(now_ns)
        hour, day = self.volume(now, 60), self.volume(now, 1440)
        minute_sd = self.minute_sd(now)
        trend = self._return(mid, now, 3600)
        left = (self.closes_ns - now_ns) / (self.closes_ns - self.opens_ns)
        raw: list[float | None] = [
            *(
                None if moved is None else 50 * moved
                for moved in (self._return(mid, now, seconds) for seconds in (60, 300, 600))
            ),
            balance(bids[best_bids[0]], asks[best_asks[0]]),
            balance(sum(bids[p] for p in best_bids), sum(asks[p] for p in best_asks)),
            None if flow is None else balance(*flow),
            None
            if recent is None
            else 10 * sum(t.price * t.quantity * (1 if t.taker_buys else -1) for t in recent) / 1e6,
            20 * (best_asks[0] - best_bids[0]) / 1e6 / max(0.01, up_mid),
            None if counted is None else len(counted) / 10 / 10,
            self.large(now),
            None if sd is None else 20 * sd,
            None if hour is None or day is None else hour / (day / 24) - 1,
            *self.position_features(position, fee_rate),
            max(0.0, min(1.0, left)),
            None if minute_sd is None else float(minute_sd * math.sqrt(60) > 0.01),
            None if trend is None else float(abs(trend) > 0.005),
        ]
        return [None if value is None else max(-1.0, min(1.0, value)) for value in raw]

    def _return(self, mid: float, now: int, seconds: int) -> float | None:
        before = self.mid_at(now // SECOND - seconds)
        return None if before is None else mid / before - 1

    def position_features(self, position: Position, fee_rate: float) -> tuple[float, float, float]:
        """Return has_position, position_side and position_pnl."""
        if position.outcome is None:
            return 0.0, 0.0, 0.0
        held_up = position.outcome.value == "up"
        bids, _ = self.book(self.up_token if held_up else self.down_token)
        left = position.shares_settled_micros + position.shares_pending_micros
        value = 0
        for price in sorted(bids, reverse=True)[:5]:
            # Exactly, and whole micro-dollars a level: what is in the middle is not for a float.
            sold = min(left, round(bids[price]))
            share = Fraction(price, 10**6)
            fee = Fraction(sold, 10**6) * Fraction(str(fee_rate)) * share * (1 - share)
            value += math.floor(sold * share) - math.floor(fee * 10**5 + Fraction(1, 2)) * 10
            left -= sold
        cost = position.cost_micros
        return 1.0, 1.0 if held_up else -1.0, 5 * (value - cost) / cost


def balance(plus: float, minus: float) -> float:
    """Return (plus - minus) / sum, 0 for nothing."""
    return (plus - minus) / (plus + minus) if plus + minus else 0.0


def close_to(found: Sequence[float | None], expected: Sequence[float | None]) -> bool:
    """Return whether two rows agree, cold where cold."""
    return len(found) == len(expected) and all(
        a is b is None
        or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-6))
        for a, b in zip(found, expected, strict=True)
    )


def differing(
    found: Sequence[float | None], expected: Sequence[float | None]
) -> list[tuple[int, float | None, float | None]]:
    """Return index, found and expected where two rows differ."""
    rows = zip(found, expected, strict=True)
    return [(i, a, b) for i, (a, b) in enumerate(rows) if not close_to([a], [b])]
