"""Gamma over HTTP: markets and events by slug, and the lists (protocol reference F.2)."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request

from simulator import gamma_bodies
from simulator.exchange import Exchange
from simulator.gamma_bodies import ReferencePrices
from simulator.market_state import MarketState
from simulator.servers.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    HttpSurface,
    Reply,
    error,
    http_app,
    ok,
)
from simulator.servers.client_text import instant_ns, is_count
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings

PAGE_MAX: Final = 100
"""Keyset pages are clamped to this."""
PAGE_DEFAULT: Final = 20
OFFSET_MAX: Final = 2_000
UNPROCESSABLE: Final = 422
TAGS: Final = ("up-or-down", "crypto")
STRIKES_KEPT_MAX: Final = 256


class Gamma:
    """The discovery surface."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings
        self._prices: dict[str, ReferencePrices] = {}

    def publish_prices(self, condition_id: str, prices: ReferencePrices) -> None:
        """Show a window's price to beat or final price in ``eventMetadata`` from now on (E.5)."""
        if condition_id not in self._prices and len(self._prices) >= STRIKES_KEPT_MAX:
            del self._prices[next(iter(self._prices))]
        self._prices[condition_id] = prices

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.GAMMA, self._surroundings)
        return http_app(
            [
                http.route("GET", "/events/keyset", self._events_keyset),
                http.route("GET", "/markets/keyset", self._markets_keyset),
                http.route("GET", "/events/slug/{slug}", self._event_by_slug),
                http.route("GET", "/markets/slug/{slug}", self._market_by_slug),
                http.route("GET", "/events", self._events),
                http.route("GET", "/markets", self._markets),
            ]
        )

    def _find(self, slug: str) -> MarketState | None:
        return next((m for m in self._exchange.markets() if m.listing.slug == slug), None)

    async def _event_by_slug(self, request: Request) -> Reply:
        market = self._find(request.path_params["slug"])
        if market is None:
            return error(NOT_FOUND, "not found")
        prices = self._prices.get(market.listing.condition_id)
        return ok(gamma_bodies.event_body(market, self._surroundings.now_ns(), prices))

    async def _market_by_slug(self, request: Request) -> Reply:
        market = self._find(request.path_params["slug"])
        if market is None:
            return error(NOT_FOUND, "not found")
        return ok(gamma_bodies.market_body(market, self._surroundings.now_ns()))

    async def _events(self, request: Request) -> Reply:
        page = self._offset_page(request.query_params, closed_default=None)
        if isinstance(page, Reply):
            return page
        return ok(gamma_bodies.events_body(page, self._surroundings.now_ns()))

    async def _markets(self, request: Request) -> Reply:
        page = self._offset_page(request.query_params, closed_default=False)
        if isinstance(page, Reply):
            return page
        return ok(gamma_bodies.markets_body(page, self._surroundings.now_ns()))

    async def _events_keyset(self, request: Request) -> Reply:
        page = self._keyset_page(request.query_params, closed_default=None)
        if isinstance(page, Reply):
            return page
        markets, following = page
        now_ns = self._surroundings.now_ns()
        return ok(gamma_bodies.events_keyset_body(markets, now_ns, following))

    async def _markets_keyset(self, request: Request) -> Reply:
        page = self._keyset_page(request.query_params, closed_default=False)
        if isinstance(page, Reply):
            return page
        markets, following = page
        rows = gamma_bodies.markets_body(markets, self._surroundings.now_ns())
        body: dict[str, object] = {"markets": msgspec.Raw(rows.encode())}
        if following:
            body["next_cursor"] = following
        return ok(msgspec.json.encode(body).decode())

    def _offset_page(
        self, query: QueryParams, *, closed_default: bool | None
    ) -> tuple[MarketState, ...] | Reply:
        try:
            found = _chosen(self._exchange.markets(), query, closed_default=closed_default)
            limit, offset = _count(query, "limit", PAGE_DEFAULT), _count(query, "offset", 0)
        except ValueError as problem:
            return error(BAD_REQUEST, str(problem))
        if offset > OFFSET_MAX:
            return error(UNPROCESSABLE, "offset too large")
        return found[offset : offset + min(limit, PAGE_MAX)]

    def _keyset_page(
        self, query: QueryParams, *, closed_default: bool | None
    ) -> tuple[tuple[MarketState, ...], str] | Reply:
        try:
            found = _chosen(self._exchange.markets(), query, closed_default=closed_default)
            limit = min(_count(query, "limit", PAGE_DEFAULT), PAGE_MAX)
        except ValueError as problem:
            return error(BAD_REQUEST, str(problem))
        after = query.get("after_cursor", "")
        if after:
            ids = [market.listing.condition_id for market in found]
            if after not in ids:
                return error(BAD_REQUEST, "invalid cursor")
            found = found[ids.index(after) + 1 :]
        shown = found[:limit]
        more = len(found) > limit and shown
        return shown, shown[-1].listing.condition_id if more else ""


def _chosen(
    markets: tuple[MarketState, ...], query: QueryParams, *, closed_default: bool | None
) -> tuple[MarketState, ...]:
    """Return the markets a query names; raise ``ValueError`` for a malformed parameter."""
    closed = _flag(query, "closed", closed_default)
    slugs, conditions = query.getlist("slug"), query.getlist("condition_ids")
    tokens, tag, ids = query.getlist("clob_token_ids"), query.get("tag_slug"), query.getlist("id")
    earliest = instant_ns(query["end_date_min"]) if "end_date_min" in query else None
    latest = instant_ns(query["end_date_max"]) if "end_date_max" in query else None
    if tag is not None and tag not in TAGS:
        return ()
    return tuple(
        market
        for market in markets
        if (closed is None or market.resolved is closed)
        and (not slugs or market.listing.slug in slugs)
        and (not ids or market.listing.market_id in ids)
        and (not conditions or market.listing.condition_id in conditions)
        and (not tokens or {market.listing.up_token, market.listing.down_token} & {*tokens})
        and (earliest is None or market.listing.closes_ns >= earliest)
        and (latest is None or market.listing.closes_ns <= latest)
    )


def _flag(query: QueryParams, name: str, default: bool | None) -> bool | None:
    text = query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{name} was {text!r}, expected true or false")
    return text.lower() == "true"


def _count(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not is_count(text):
        raise ValueError(f"{name} was {text!r}, expected a whole number")
    return int(text)
