"""The Data API's positions and approvals of a wallet (protocol reference B.1, H.3, H.5)."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request

from helpers.clob.wallets import address_bytes
from helpers.domain import MICROS, FillStatus, Outcome, Side
from simulator.accounts import Account
from simulator.exchange import Exchange
from simulator.exchange_messages import TradeChanged
from simulator.market_state import MarketState
from simulator.order_signing import CHAIN_ID
from simulator.polymarket_frames import OUTCOME_LABELS
from simulator.servers.answers import BAD_REQUEST, HttpSurface, Reply, error, http_app, ok
from simulator.servers.approvals import approval_rows
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings
from simulator.wire_text import date_text

PAGE_MAX: Final = 1_000


class DataApi:
    """Reads positions off the exchange's accounts."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.DATA_API, self._surroundings)
        return http_app(
            [
                http.route("GET", "/v2/positions", self._positions),
                http.route("GET", "/v2/approvals", self._approvals),
            ]
        )

    async def _positions(self, request: Request) -> Reply:
        user = request.query_params.get("user", "")
        try:
            address_bytes(user)
        except ValueError:  # Said as the venue says it.
            return error(BAD_REQUEST, "invalid user")
        wanted = {
            condition_id
            for listed in request.query_params.getlist("condition_id")
            for condition_id in listed.split(",")
        }
        account = self._of_wallet(user)
        rows: list[dict[str, object]] = []
        for market in self._exchange.markets() if account is not None else ():
            if account is None or (wanted and market.listing.condition_id not in wanted):
                continue
            rows += self._rows(account, market)
        pagination = {"has_more": False, "next_cursor": None}
        body = {"data": rows[:PAGE_MAX], "pagination": pagination}
        return ok(msgspec.json.encode(body).decode())

    async def _approvals(self, request: Request) -> Reply:
        user = request.query_params.get("user", "")
        try:
            address_bytes(user)
        except ValueError:  # As above.
            return error(BAD_REQUEST, "invalid user")
        rows = approval_rows(self._of_wallet(user))
        body = {"data": {"address": user, "chain_id": CHAIN_ID, "contracts": rows}}
        return ok(msgspec.json.encode(body).decode())

    def _of_wallet(self, wallet: str) -> Account | None:
        return self._exchange.accounts.by_wallet(wallet)

    def _rows(self, account: Account, market: MarketState) -> list[dict[str, object]]:
        held = {outcome: _held(account, market, outcome) for outcome in Outcome}
        trades = [
            trade
            for trade in self._exchange.trades(account.name)
            if trade.facts.condition_id == market.listing.condition_id
            and trade.status is not FillStatus.FAILED
        ]
        return [
            _row(account, market, outcome, held, trades) for outcome in Outcome if held[outcome]
        ]


def _held(account: Account, market: MarketState, outcome: Outcome) -> int:
    holding = account.holdings.get(market.listing.token(outcome))
    return max(0, holding.total_micros) if holding else 0


def _row(
    account: Account,
    market: MarketState,
    outcome: Outcome,
    held: dict[Outcome, int],
    trades: list[TradeChanged],
) -> dict[str, object]:
    listing, shares = market.listing, held[outcome]
    other = Outcome.DOWN if outcome is Outcome.UP else Outcome.UP
    bought, paid, fees = _bought(account.name, listing.token(outcome), trades)
    average = paid / bought if bought else 0.0
    price = _price(market, outcome)
    size = shares / MICROS
    cost, value = average * size, price * size
    return {
        "proxy_wallet": account.maker_address,
        "token_id": listing.token(outcome),
        "opposite_token_id": listing.token(other),
        "condition_id": listing.condition_id,
        "current_size": size,
        "total_size": bought / MICROS,
        "avg_price": round(average, 6),
        "entry_cost_usdc": round(cost, 6),
        "entry_fees_usdc": fees / MICROS,
        "total_cost_usdc": paid / MICROS,
        "current_price": price,
        "current_value": round(value, 6),
        "realized_pnl": 0.0,
        "unrealized_pnl": round(value - cost, 6),
        "total_pnl": round(value - cost, 6),
        "percent_pnl": round(100 * (value - cost) / cost, 4) if cost else 0.0,
        "percent_realized_pnl": 0.0,
        "status": "REDEEMABLE" if market.resolved else "OPEN",
        "redeemable": market.resolved,
        "mergeable": not market.resolved and held[other] > 0,
        "negative_risk": False,
        "archived": False,
        "verified": True,
        "title": listing.question,
        "slug": listing.slug,
        "event_slug": listing.slug,
        "event_id": listing.event_id,
        "outcome": OUTCOME_LABELS[outcome],
        "opposite_outcome": OUTCOME_LABELS[other],
        "outcome_index": list(Outcome).index(outcome),
        "end_date": date_text(listing.closes_ns),
    }


def _price(market: MarketState, outcome: Outcome) -> float:
    if market.winner is not None:
        return 1.0 if market.winner is outcome else 0.0
    middle = market.middle_micros or MICROS // 2
    return (middle if outcome is Outcome.UP else MICROS - middle) / MICROS


def _bought(account: str, token: str, trades: list[TradeChanged]) -> tuple[int, int, int]:
    """Return shares bought of a token, dollars paid for them and taker fees, in micros."""
    shares = paid = fees = 0
    for trade in trades:
        facts = trade.facts
        if facts.taker == account and facts.token == token and facts.side is Side.BUY:
            shares += facts.shares_micros
            paid += facts.cost_micros
            fees += facts.fee_micros
        for leg in facts.makers:
            if leg.account == account and leg.token == token and leg.side is Side.BUY:
                shares += leg.shares_micros
                paid += leg.shares_micros * leg.price_micros // MICROS
    return shares, paid, fees
