"""One asset's fast market: quote, mid history and trade windows, all on venue time.

Must not: read a clock, or mix two sources (their prices and units differ).
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Final

from helpers.board.anomalies import Anomalies
from helpers.board.clock_offset import ClockOffset
from helpers.board.mid_history import TOLERANCE_SECONDS, MidHistory
from helpers.board.minute_volumes import (
    DAY_MINUTES,
    HOUR_MINUTES,
    MINUTE_NS,
    SILENCE_NS,
    MinuteVolumes,
)
from helpers.board.windows import DecayedFlow, LargeTrade, TradeWindows
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Candle,
    Candles,
    FastView,
    PartialDepth,
    Quote,
    Source,
    Trade,
)

RESET_AFTER_NS: Final = 5 * NS_PER_SECOND
"""When every frame for 5 s was refused as older than the last one, the last one was the wrong one
(a frame from the future, ids that began anew): start over. Overlapping sockets never differ by
seconds, and until then the age of the quote keeps anybody from trading."""
HISTORY_NS: Final = 10 * NS_PER_SECOND
"""A trade this old on receipt is history, not a frame in flight."""
MAXIMUM_PRICE: Final = 1e12
"""Beyond a million million dollars it is a wrong unit, not a price (I28)."""
CANDLE_SECONDS: Final = 60
"""Interval of the bars that warm the history."""
MAXIMUM_NOTIONAL_MICROS: Final = 10**18
"""A trade of a million million dollars is a wrong unit, not a trade."""


class _Refusals:
    """Since when nothing but refused frames came."""

    __slots__ = ("_after_ns", "_since_ns")

    def __init__(self) -> None:
        self._after_ns = -1
        self._since_ns = 0

    def last_too_long(self, accepted_ns: int, received_ns: int) -> bool:
        """Note a refusal; ``accepted_ns`` is when the last accepted frame was received."""
        if accepted_ns != self._after_ns:
            self._after_ns = accepted_ns
            self._since_ns = received_ns
        return received_ns - self._since_ns > RESET_AFTER_NS


class FastMarket:
    """Windows of the one source that counts for an asset."""

    __slots__ = (
        "_anomalies",
        "_clock",
        "_fallback_id",
        "_flow",
        "_large",
        "_minute_cache",
        "_minute_key",
        "_next_minute_ns",
        "_next_second_ns",
        "_quote_refusals",
        "_trade_id",
        "_trade_ns",
        "_trade_received_ns",
        "_trade_refusals",
        "_trades",
        "_unstamped",
        "_update_id",
        "_volumes",
        "ask",
        "bid",
        "depth",
        "history",
        "received_ns",
        "source",
        "venue_ns",
    )

    def __init__(self, source: Source, clock: ClockOffset, seen: Anomalies) -> None:
        self.source = source
        self._clock = clock
        self._anomalies = seen
        self.history = MidHistory()
        self._volumes = MinuteVolumes()
        self.depth: PartialDepth | None = None
        self._minute_key: tuple[int, ...] = ()
        self._minute_cache: tuple[int | None, int | None, float | None] = (None, None, None)
        self._quote_refusals = _Refusals()
        self._trade_refusals = _Refusals()
        self._start()

    def _start(self) -> None:
        self.bid = self.ask = 0.0
        self.venue_ns = self.received_ns = 0
        self._update_id = 0
        self._next_second_ns = 0
        self._trade_id = 0
        self._trade_ns = 0
        self._trade_received_ns = 0
        self._unstamped = False
        """Whether quotes carry no venue time (spot): then trades must tell the clock's offset."""
        self._fallback_id = 0
        """Id of the last trade if it came over the fallback stream, 0 if not."""
        self._next_minute_ns = 0
        self._flow = DecayedFlow()
        self._trades = TradeWindows()
        self._large = LargeTrade()

    def quote(self, quote: Quote) -> None:
        """Take a quote of the source; duplicates, crossed and older ones are counted and dropped.

        A locked quote (bid equal to ask) is allowed: a last-price feed shows both sides alike.
        """
        bid = quote.bid
        ask = quote.ask
        # The comparison is false for NaN too.
        if not 0.0 < bid <= ask < MAXIMUM_PRICE:
            self._anomalies.add("fast_crossed" if bid > ask > 0.0 else "fast_not_a_price")
            return
        received_ns = quote.received_ns
        venue_ns = quote.venue_ns
        if not venue_ns:
            self._unstamped = True
            venue_ns = max(received_ns - self._clock.median_ns, self.venue_ns)
        update_id = quote.update_id
        if (
            (update_id <= self._update_id and update_id) or venue_ns < self.venue_ns
        ) and not self._starts_over(update_id, received_ns):
            return
        if venue_ns > self._next_second_ns:
            self._roll(venue_ns)
        self.bid = bid
        self.ask = ask
        self._update_id = update_id
        self.venue_ns = venue_ns
        self.received_ns = received_ns
        if quote.venue_ns:
            clock = self._clock
            clock.countdown -= 1
            if not clock.countdown:
                clock.add(received_ns, venue_ns)

    def _starts_over(self, update_id: int, received_ns: int) -> bool:
        if update_id and update_id == self._update_id:
            self._anomalies.add("duplicate_quote")
            return False
        if self._quote_refusals.last_too_long(self.received_ns, received_ns):
            self._anomalies.add("fast_started_over")
            self.history.clear()
            self._volumes = MinuteVolumes()
            self._start()
            return True
        stale_id = update_id and update_id < self._update_id
        self._anomalies.add("out_of_order" if stale_id else "clock_back")
        return False

    def _roll(self, venue_ns: int) -> None:
        # Whole seconds before this quote saw the quote before it; its own second may still see
        # another one, so it is written when a later quote comes.
        second = (venue_ns - 1) // NS_PER_SECOND
        if self.bid:
            stamp = self.venue_ns // NS_PER_SECOND
            self.history.advance(second, (self.bid + self.ask) / 2, stamp)
            if venue_ns - self.venue_ns > SILENCE_NS and self._volumes.minute:
                self._volumes.broke(venue_ns // MINUTE_NS)
        else:
            self.history.skip(second)
        self._next_second_ns = (second + 1) * NS_PER_SECOND

    def trade(self, trade: Trade) -> None:
        """Take a trade of the source (or of its fallback stream); duplicates are dropped."""
        trade_id = trade.trade_id
        venue_ns = trade.venue_ns or trade.received_ns - self._clock.median_ns
        if self._fallback_id:
            # The stream we wanted came after all; its ids are of another kind.
            self._trade_id = self._fallback_id = 0
        if ((trade_id <= self._trade_id and trade_id) or venue_ns < self._trade_ns) and (
            not self._trades_start_over(trade_id, trade.received_ns)
        ):
            return
        notional = trade.price * trade.quantity * 1e6
        if not 0.0 < notional < MAXIMUM_NOTIONAL_MICROS:
            self._anomalies.add("fast_not_a_trade")
            return
        micros = int(notional + 0.5)
        if self._unstamped:
            self._sample_clock(trade)
        self._trade_id = trade_id
        self._trade_ns = venue_ns
        self._trade_received_ns = trade.received_ns
        if venue_ns >= self._next_minute_ns:
            minute = venue_ns // MINUTE_NS
            self._volumes.roll(minute)
            self._next_minute_ns = (minute + 1) * MINUTE_NS
        self._volumes.running_micros += micros
        buys = trade.taker_buys
        self._flow.add(venue_ns, micros, buys)
        self._trades.add(venue_ns, micros if buys else -micros)
        self._large.add(venue_ns, micros)

    def _sample_clock(self, trade: Trade) -> None:
        # Past trades fetched over REST say nothing of the clock: old, or many at once.
        fresh = trade.received_ns - trade.venue_ns < HISTORY_NS
        if fresh and trade.received_ns != self._trade_received_ns:
            clock = self._clock
            clock.countdown -= 1
            if not clock.countdown:
                clock.add(trade.received_ns, trade.venue_ns)

    def fallback_trade(self, trade: Trade) -> None:
        """Take an aggregated trade, as long as no trade of the source itself has come."""
        if self._fallback_id == self._trade_id:
            self._fallback_id = 0
            self.trade(trade)
            self._fallback_id = self._trade_id

    def _trades_start_over(self, trade_id: int, received_ns: int) -> bool:
        if trade_id and trade_id == self._trade_id:
            self._anomalies.add("duplicate_trade")
            return False
        if self._trade_refusals.last_too_long(self._trade_received_ns, received_ns):
            self._anomalies.add("fast_started_over")
            self._flow, self._trades, self._large = DecayedFlow(), TradeWindows(), LargeTrade()
            self._volumes = MinuteVolumes()
            self._next_minute_ns = 0
            return True
        stale_id = trade_id and trade_id < self._trade_id
        self._anomalies.add("duplicate_trade" if stale_id else "clock_back")
        return False

    def partial_depth(self, depth: PartialDepth) -> None:
        """Keep the newest top of the book."""
        held = self.depth
        if (
            held is not None
            and 0 < depth.update_id <= held.update_id
            and (depth.received_ns - held.received_ns <= RESET_AFTER_NS)
        ):
            self._anomalies.add("out_of_order")
            return
        self.depth = depth

    def warm(self, candles: Candles) -> None:
        """Fill from one-minute bars what was not seen live; other intervals are counted."""
        bars = candles.candles
        if candles.interval_seconds != CANDLE_SECONDS:
            self._anomalies.add("candle_interval")
            return
        if not all(_is_sound(bar) for bar in bars):
            self._anomalies.add("candle_not_a_number")
            return
        until_ns = max(candles.received_ns - self._clock.median_ns, self.venue_ns)
        self.history.fill(bars, CANDLE_SECONDS, until_ns)
        self._volumes.fill(bars, until_ns)

    def venue_now_ns(self, now_ns: int) -> int:
        """Return the venue's time at ours; never before what it has already told."""
        return max(now_ns - self._clock.median_ns, self.venue_ns, self._trade_ns)

    def true_ns(self) -> int:
        """Return when, on our clock, the quote was true; 0 before the first."""
        return min(self.received_ns, self.venue_ns + self._clock.median_ns)

    def mid_at(self, second: int, live_only: bool = False) -> float | None:
        """Return the mid of a whole venue second; the last mid for seconds after the last quote."""
        if second <= self.history.second:
            return self.history.at(second, live_only)
        # Every second between the history's newest and the last quote's own has been written.
        if not self.bid or second - self.venue_ns // NS_PER_SECOND > TOLERANCE_SECONDS:
            return None
        return (self.bid + self.ask) / 2

    def view(self, now_ns: int) -> FastView:
        """Return everything as of ``now_ns`` on our clock; changes nothing."""
        venue_now_ns = self.venue_now_ns(now_ns)
        second = venue_now_ns // NS_PER_SECOND
        mid_at = self.mid_at
        flow = self._flow.read(venue_now_ns)
        hour_micros, day_micros, return_sd = self._minutes(venue_now_ns // MINUTE_NS)
        mid = (self.bid + self.ask) / 2
        return FastView(
            source=self.source,
            bid=self.bid,
            ask=self.ask,
            age_seconds=(now_ns - self.true_ns()) / NS_PER_SECOND if self.bid else float("inf"),
            mid_1s_ago=mid_at(second - 1),
            mid_5s_ago=mid_at(second - 5),
            mid_60s_ago=mid_at(second - 60),
            mid_300s_ago=mid_at(second - 300),
            mid_600s_ago=mid_at(second - 600),
            mid_3600s_ago=mid_at(second - 3600),
            flow_buy_usd=None if flow is None else flow[0],
            flow_sell_usd=None if flow is None else flow[1],
            signed_flow_500ms_usd=self._trades.signed_usd(venue_now_ns),
            trades_10s=self._trades.count(venue_now_ns),
            large_trade=self._large.read(venue_now_ns),
            volume_1h_usd=None if hour_micros is None else hour_micros / MICROS,
            volume_24h_usd=None if day_micros is None else day_micros / MICROS,
            minute_return_sd=return_sd,
            volatility_per_sqrt_second=self.history.volatility(second, mid) if mid else None,
        )

    def _minutes(self, minute: int) -> tuple[int | None, int | None, float | None]:
        """Return 1 h and 24 h volume and the one-minute sd; computed once a minute, not a read."""
        volumes = self._volumes
        history = self.history
        newest_close = self.mid_at(minute * 60)
        late = volumes.running_micros if volumes.minute < minute else 0
        close_key = int((newest_close or 0.0) * MICROS)
        key = (minute, volumes.minute, late, close_key, history.version, volumes.version)
        if key != self._minute_key:
            self._minute_key = key
            self._minute_cache = (
                volumes.total_micros(minute, HOUR_MINUTES),
                volumes.total_micros(minute, DAY_MINUTES),
                self._minute_return_sd(minute),
            )
        return self._minute_cache

    def _minute_return_sd(self, minute: int) -> float | None:
        first = minute - HOUR_MINUTES + 1
        previous = self.mid_at(first * 60)
        returns: list[float] = []
        for index in range(first + 1, minute + 1):
            close = self.mid_at(index * 60)
            if close is None or previous is None:
                return None
            returns.append(close / previous - 1.0)
            previous = close
        mean = sum(returns) / len(returns)
        variance = sum((value - mean) ** 2 for value in returns) / len(returns)
        return sqrt(variance) if isfinite(variance) else None


def _is_sound(bar: Candle) -> bool:
    return 0.0 < bar.close < MAXIMUM_PRICE and 0.0 <= bar.quote_volume < MAXIMUM_PRICE
