"""Binance's REST answers for a client's warm-up: weights, limits, bans and blocks (binance 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.routing import Route

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Asset, Candle
from simulator.actions import FastQuote
from simulator.binance_frames import TICKS, depth_levels, klines_body
from simulator.servers.answers import BAD_REQUEST, HttpSurface, Reply, ok
from simulator.servers.client_text import is_count
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings

WEIGHT_LIMITS: Final = {"futures": 2400, "spot": 6000}
MINUTE_NS: Final = 60 * NS_PER_SECOND
BAN_NS: Final = 120 * NS_PER_SECOND
"""The shortest ban of an address that goes on after 429 (binance 4.3)."""
REQUESTS_AFTER_LIMIT_MAX: Final = 10
"""Refused requests in one minute before the address is banned."""
KLINES_MAX: Final = {"futures": 1500, "spot": 1000}
DEPTH_MAX: Final = 1000
TOO_MANY: Final = 429
BANNED: Final = 418
CandlesOf = Callable[[Asset], Sequence[Candle]]
QuoteOf = Callable[[Asset], FastQuote | None]


class BinanceRest:
    """One host's REST side; ``kind`` is ``futures`` or ``spot``."""

    def __init__(
        self, kind: str, surroundings: Surroundings, candles: CandlesOf, quote: QuoteOf
    ) -> None:
        self.refuse_with = 0
        """451 for a geoblock, 403 for the firewall, 0 to answer."""
        self.used_weight = 0
        self._kind = kind
        self._surroundings = surroundings
        self._candles = candles
        self._quote = quote
        self._minute = 0
        self._refused = 0
        self._banned_until_ns = 0

    def routes(self) -> list[Route]:
        """Return the endpoints a warm-up uses."""
        http = HttpSurface(Surface.BINANCE_REST, self._surroundings)
        base = "/fapi/v1" if self._kind == "futures" else "/api/v3"
        return [
            http.route("GET", f"{base}/time", self._time),
            http.route("GET", f"{base}/klines", self._klines),
            http.route("GET", f"{base}/depth", self._depth),
            http.route("GET", f"{base}/ticker/bookTicker", self._ticker),
        ]

    async def _time(self, _request: Request) -> Reply:
        now_ms = self._surroundings.now_ns() // NS_PER_MS
        return self._weighed(1) or self._ok(f'{{"serverTime":{now_ms}}}')

    async def _klines(self, request: Request) -> Reply:
        limit = _integer(request, "limit", 500)
        weight = 2 if self._kind == "spot" else _klines_weight(limit)
        if (refused := self._weighed(weight)) is not None:
            return refused
        if not 1 <= limit <= KLINES_MAX[self._kind]:
            return _error(-1130, "Data sent for parameter 'limit' is not valid.")
        asset = _asset(request)
        if asset is None:
            return _error(-1121, "Invalid symbol.")
        if request.query_params.get("interval") != "1m":
            return _error(-1120, "Invalid interval.")
        start_ns = _integer(request, "startTime", 0) * NS_PER_MS
        bars = [bar for bar in self._candles(asset) if bar.opens_ns >= start_ns]
        return self._ok(klines_body(bars[:limit] if start_ns else bars[-limit:]))

    async def _depth(self, request: Request) -> Reply:
        if (refused := self._weighed(5)) is not None:
            return refused
        asset = _asset(request)
        quote = None if asset is None else self._quote(asset)
        if asset is None or quote is None:
            return _error(-1121, "Invalid symbol.")
        limit = min(DEPTH_MAX, _integer(request, "limit", 500))
        bids, asks = depth_levels(quote, TICKS[asset], 8, limit)
        now_ms = self._surroundings.now_ns() // NS_PER_MS
        times = f'"E":{now_ms},"T":{now_ms},' if self._kind == "futures" else ""
        return self._ok(f'{{"lastUpdateId":{now_ms},{times}"bids":{bids},"asks":{asks}}}')

    async def _ticker(self, request: Request) -> Reply:
        if (refused := self._weighed(2)) is not None:
            return refused
        asset = _asset(request)
        quote = None if asset is None else self._quote(asset)
        if asset is None or quote is None:
            return _error(-1121, "Invalid symbol.")
        return self._ok(
            f'{{"symbol":"{asset}USDT","bidPrice":"{quote.bid}","bidQty":"{quote.bid_size}",'
            f'"askPrice":"{quote.ask}","askQty":"{quote.ask_size}",'
            f'"time":{self._surroundings.now_ns() // NS_PER_MS}}}'
        )

    def _weighed(self, weight: int) -> Reply | None:
        """Charge a request; return why it is refused, if it is."""
        if self.refuse_with:
            text = "Service unavailable from a restricted location according to 'b. Eligibility'"
            return Reply(self.refuse_with, f'{{"code":0,"msg":"{text}"}}')
        now_ns = self._surroundings.now_ns()
        if now_ns < self._banned_until_ns:
            # Every request during a ban prolongs it.
            self._banned_until_ns += BAN_NS
            return self._ban(now_ns)
        if now_ns // MINUTE_NS != self._minute:
            self._minute, self.used_weight, self._refused = now_ns // MINUTE_NS, 0, 0
        self.used_weight += weight
        if self.used_weight <= WEIGHT_LIMITS[self._kind]:
            return None
        self._refused += 1
        if self._refused > REQUESTS_AFTER_LIMIT_MAX:
            self._banned_until_ns = now_ns + BAN_NS
            return self._ban(now_ns)
        wait = 60 - now_ns % MINUTE_NS // NS_PER_SECOND
        body = '{"code":-1003,"msg":"Too many requests."}'
        return Reply(TOO_MANY, body, (("Retry-After", str(wait)),))

    def _ban(self, now_ns: int) -> Reply:
        until_ms = self._banned_until_ns // NS_PER_MS
        text = f"Way too many requests; IP banned until {until_ms}."
        wait = (self._banned_until_ns - now_ns) // NS_PER_SECOND
        return Reply(BANNED, f'{{"code":-1003,"msg":"{text}"}}', (("Retry-After", str(wait)),))

    def _ok(self, body: str) -> Reply:
        reply = ok(body)
        weight = (("X-MBX-USED-WEIGHT-1M", str(self.used_weight)),)
        return Reply(reply.status, reply.body, (*reply.headers, *weight))


def _klines_weight(limit: int) -> int:
    for most, weight in ((100, 1), (500, 2), (1000, 5)):
        if limit <= most:
            return weight
    return 10


def _asset(request: Request) -> Asset | None:
    symbol = request.query_params.get("symbol", "")
    name = symbol.removesuffix("USDT")
    return Asset(name) if symbol.endswith("USDT") and name in Asset.__members__ else None


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if is_count(text) else default


def _error(code: int, text: str) -> Reply:
    return Reply(BAD_REQUEST, f'{{"code":{code},"msg":"{text}"}}')
