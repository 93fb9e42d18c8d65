"""What an account may read of itself at the CLOB: orders, trades, balances (B.2, H.3)."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import BaseRoute

from helpers.domain import NS_PER_SECOND
from simulator.accounts import Account
from simulator.clob_bodies import balance_allowance, order_body, orders_page, trades_page
from simulator.exchange import Exchange
from simulator.exchange_messages import COLLATERAL, OrderView, TradeChanged
from simulator.polymarket_frames import UserFrames
from simulator.servers.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    HttpSurface,
    Reply,
    error,
    ok,
)
from simulator.servers.client_text import is_count
from simulator.servers.clob_auth import ClobAuth

NO_ORDER: Final = error(NOT_FOUND, "order not found")
INVALID_ASSET: Final = error(BAD_REQUEST, "Invalid asset type")
INVALID_TYPE: Final = error(BAD_REQUEST, "Invalid signature type")


class AccountReads:
    """Reads of one's own orders, trades and balances."""

    def __init__(self, exchange: Exchange, auth: ClobAuth) -> None:
        self._exchange = exchange
        self._auth = auth
        self._frames = UserFrames(exchange.accounts)

    def routes(self, http: HttpSurface) -> list[BaseRoute]:
        """Return the routes of an account's reads."""
        return [
            http.route("GET", "/data/order/{order_id}", self._order),
            http.route("GET", "/data/orders", self._orders),
            http.route("GET", "/data/trades", self._trades),
            http.route("GET", "/balance-allowance", self._balance),
            http.route("GET", "/balance-allowance/update", self._update),
            http.route("GET", "/notifications", self._notifications),
            http.route("GET", "/order-scoring", self._scoring),
        ]

    async def _order(self, request: Request) -> Reply:
        account = self._auth.account(request)
        if isinstance(account, Reply):
            return account
        order = self._exchange.order(account.name, request.path_params["order_id"])
        return NO_ORDER if order is None else ok(order_body(order, self._frames))

    async def _orders(self, request: Request) -> Reply:
        account = self._auth.account(request)
        if isinstance(account, Reply):
            return account
        query = request.query_params
        orders = self._exchange.open_orders(account.name)
        found = tuple(order for order in orders if _order_is_wanted(order, query))
        try:
            return ok(orders_page(found, self._frames, query.get("next_cursor", "")))
        except ValueError as problem:
            return error(BAD_REQUEST, str(problem))

    async def _trades(self, request: Request) -> Reply:
        account = self._auth.account(request)
        if isinstance(account, Reply):
            return account
        query = request.query_params
        try:
            after, before = _seconds(query, "after"), _seconds(query, "before")
            found = tuple(
                trade
                for trade in self._exchange.trades(account.name)
                if _trade_is_wanted(trade, query)
                and (after is None or trade.facts.matched_ns // NS_PER_SECOND >= after)
                and (before is None or trade.facts.matched_ns // NS_PER_SECOND <= before)
                and self._is_of_wallet(trade, query.get("maker_address", ""))
            )
            return ok(trades_page(found, self._frames, query.get("next_cursor", "")))
        except ValueError as problem:
            return error(BAD_REQUEST, str(problem))

    async def _balance(self, request: Request) -> Reply:
        asked = self._asked(request)
        if isinstance(asked, Reply):
            return asked
        return ok(balance_allowance(*asked))

    async def _update(self, request: Request) -> Reply:
        asked = self._asked(request)
        if isinstance(asked, Reply):
            return asked
        account, asset, signature_type = asked
        if signature_type == account.signature_type:
            self._exchange.accounts.update(account.name, asset)
        return ok('""')

    async def _notifications(self, request: Request) -> Reply:
        account = self._auth.account(request)
        return account if isinstance(account, Reply) else ok("[]")

    async def _scoring(self, request: Request) -> Reply:
        account = self._auth.account(request)  # No liquidity rewards are simulated.
        return account if isinstance(account, Reply) else ok('{"scoring":false}')

    def _asked(self, request: Request) -> tuple[Account, str, int] | Reply:
        account = self._auth.account(request)
        if isinstance(account, Reply):
            return account
        query = request.query_params
        kind, token = query.get("asset_type", ""), query.get("token_id", "")
        if kind not in ("COLLATERAL", "CONDITIONAL") or (kind == "CONDITIONAL" and not token):
            return INVALID_ASSET
        type_text = query.get("signature_type", "0")
        if type_text not in ("0", "1", "2", "3"):
            return INVALID_TYPE
        return account, COLLATERAL if kind == "COLLATERAL" else token, int(type_text)

    def _is_of_wallet(self, trade: TradeChanged, wallet: str) -> bool:
        if not wallet:
            return True
        parties = (trade.facts.taker, *(leg.account for leg in trade.facts.makers))
        return any(self._frames.address(name).lower() == wallet.lower() for name in parties)


def _order_is_wanted(order: OrderView, query: QueryParams) -> bool:
    return (
        query.get("id", "") in ("", order.order_id)
        and query.get("market", "") in ("", order.condition_id)
        and query.get("asset_id", "") in ("", order.token)
    )


def _trade_is_wanted(trade: TradeChanged, query: QueryParams) -> bool:
    facts = trade.facts
    tokens = {facts.token, *(leg.token for leg in facts.makers)}
    asset = query.get("asset_id", "")
    return (
        query.get("id", "") in ("", facts.trade_id)
        and query.get("market", "") in ("", facts.condition_id)
        and (not asset or asset in tokens)
    )


def _seconds(query: QueryParams, name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not is_count(text):
        raise ValueError(f"{name} was {text!r}, expected whole seconds")
    return int(text)
