"""The CLOB's answers that need no credentials (protocol reference B.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.routing import BaseRoute

from helpers.domain import Message, Outcome, Side
from simulator import clob_market_bodies as bodies
from simulator.book_text import rest_book
from simulator.exchange import Exchange
from simulator.market_state import MarketState
from simulator.pages import page_envelope, page_of
from simulator.servers.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    Handler,
    HttpSurface,
    Reply,
    error,
    ok,
    read_body,
)
from simulator.servers.client_text import UNREADABLE
from simulator.servers.surroundings import Surroundings

BATCH_TOKENS_MAX: Final = 500
"""Tokens of one POST /books and its like."""
NO_ORDERBOOK: Final = error(NOT_FOUND, "No orderbook exists for the requested token id")
NO_MARKET: Final = error(NOT_FOUND, "market not found")
INVALID_PAYLOAD: Final = error(BAD_REQUEST, "Invalid payload")

TokenBody = Callable[[MarketState, Outcome], str | None]


class TokenRow(Message, frozen=True):
    """One entry of a batch request."""

    token_id: str
    side: str = ""


class PublicClob:
    """Markets, books and prices."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings

    def routes(self, http: HttpSurface) -> list[BaseRoute]:
        """Return the routes of the public part."""
        return [
            http.route("GET", "/ok", self._fixed('"OK"')),
            http.route("GET", "/version", self._fixed(bodies.version())),
            http.route("GET", "/time", self._time),
            http.route("GET", "/markets", self._list(bodies.market_body)),
            http.route("GET", "/sampling-markets", self._list(bodies.market_body)),
            http.route("GET", "/simplified-markets", self._simplified),
            http.route("GET", "/sampling-simplified-markets", self._simplified),
            http.route("GET", "/markets/{condition_id}", self._market(bodies.market_body)),
            http.route("GET", "/clob-markets/{condition_id}", self._market(bodies.clob_market)),
            http.route("GET", "/markets-by-token/{token_id}", self._market_by_token),
            http.route("GET", "/book", self._token(rest_book)),
            http.route("GET", "/midpoint", self._token(bodies.midpoint)),
            http.route("GET", "/spread", self._token(bodies.spread)),
            http.route("GET", "/last-trade-price", self._token(bodies.last_trade_price)),
            http.route("GET", "/tick-size", self._token(lambda m, _o: bodies.tick_size(m))),
            http.route("GET", "/neg-risk", self._token(lambda _m, _o: bodies.neg_risk())),
            http.route("GET", "/fee-rate", self._token(lambda _m, _o: bodies.fee_rate())),
            http.route("GET", "/price", self._price),
            http.route("POST", "/books", self._books),
            http.route("POST", "/midpoints", self._by_token(bodies.midpoint, "mid")),
            http.route("POST", "/spreads", self._by_token(bodies.spread, "spread")),
            http.route("POST", "/prices", self._prices),
            http.route("POST", "/last-trades-prices", self._last_trades),
            http.route(
                "GET",
                "/fees/builder-fees/{code}",
                self._fixed('{"builder_maker_fee_rate_bps":0,"builder_taker_fee_rate_bps":0}'),
            ),
        ]

    def _fixed(self, body: str) -> Handler:
        async def answer(_request: Request) -> Reply:
            return ok(body)

        return answer

    async def _time(self, _request: Request) -> Reply:
        return ok(bodies.server_time(self._surroundings.now_ns()))

    def _list(self, row: Callable[[MarketState], str]) -> Handler:
        async def answer(request: Request) -> Reply:
            try:
                shown, following = page_of(
                    self._exchange.markets(), request.query_params.get("next_cursor", "")
                )
            except ValueError as problem:
                return error(BAD_REQUEST, str(problem))
            rows = [msgspec.Raw(row(market).encode()) for market in shown]
            return ok(page_envelope(rows, following))

        return answer

    async def _simplified(self, request: Request) -> Reply:
        try:
            cursor = request.query_params.get("next_cursor", "")
            return ok(bodies.simplified_page(self._exchange.markets(), cursor))
        except ValueError as problem:
            return error(BAD_REQUEST, str(problem))

    def _market(self, body: Callable[[MarketState], str]) -> Handler:
        async def answer(request: Request) -> Reply:
            try:
                market = self._exchange.market(request.path_params["condition_id"])
            except KeyError:
                return NO_MARKET
            return ok(body(market))

        return answer

    async def _market_by_token(self, request: Request) -> Reply:
        found = self._exchange.market_of_token(request.path_params["token_id"])
        return NO_MARKET if found is None else ok(bodies.market_by_token(found[0]))

    def _token(self, body: TokenBody) -> Handler:
        async def answer(request: Request) -> Reply:
            found = self._open(request.query_params.get("token_id", ""))
            text = None if found is None else body(*found)
            return NO_ORDERBOOK if text is None else ok(text)

        return answer

    async def _price(self, request: Request) -> Reply:
        side = _side(request.query_params.get("side", ""))
        if side is None:
            return error(BAD_REQUEST, "Invalid side")
        found = self._open(request.query_params.get("token_id", ""))
        text = None if found is None else bodies.price(*found, side)
        return NO_ORDERBOOK if text is None else ok(text)

    async def _books(self, request: Request) -> Reply:
        rows = await _token_rows(request)
        if rows is None:
            return INVALID_PAYLOAD
        found = (self._open(row.token_id) for row in rows)
        return ok(f"[{','.join(rest_book(*each) for each in found if each is not None)}]")

    def _by_token(self, body: TokenBody, key: str) -> Handler:
        async def answer(request: Request) -> Reply:
            rows = await _token_rows(request)
            if rows is None:
                return INVALID_PAYLOAD
            values: dict[str, str] = {}
            for row in rows:
                found = self._open(row.token_id)
                text = None if found is None else body(*found)
                if text is not None:
                    values[row.token_id] = msgspec.json.decode(text, type=dict[str, str])[key]
            return ok(msgspec.json.encode(values).decode())

        return answer

    async def _prices(self, request: Request) -> Reply:
        rows = await _token_rows(request)
        if rows is None:
            return INVALID_PAYLOAD
        values: dict[str, dict[str, str]] = {}
        for row in rows:
            found, side = self._open(row.token_id), _side(row.side)
            text = None if found is None or side is None else bodies.price(*found, side)
            if text is not None:
                price = msgspec.json.decode(text, type=dict[str, str])["price"]
                values.setdefault(row.token_id, {})[row.side] = price
        return ok(msgspec.json.encode(values).decode())

    async def _last_trades(self, request: Request) -> Reply:
        rows = await _token_rows(request)
        if rows is None:
            return INVALID_PAYLOAD
        values: list[dict[str, str]] = []
        for row in rows:
            found = self._open(row.token_id)
            if found is not None:
                body = bodies.last_trade_price(*found)
                last = msgspec.json.decode(body, type=dict[str, str])
                values.append({"token_id": row.token_id, **last})
        return ok(msgspec.json.encode(values).decode())

    def _open(self, token: str) -> tuple[MarketState, Outcome] | None:
        found = self._exchange.market_of_token(token)
        return None if found is None or found[0].resolved else found


async def _token_rows(request: Request) -> list[TokenRow] | None:
    try:
        rows = msgspec.json.decode(await read_body(request), type=list[TokenRow])
    except UNREADABLE:
        return None
    return rows if len(rows) <= BATCH_TOKENS_MAX else None


def _side(text: str) -> Side | None:
    return Side(text.upper()) if text.upper() in ("BUY", "SELL") else None
