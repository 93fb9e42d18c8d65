"""The vendor's synchronous client, in a thread, against the simulated venue.

Its host is a constructor argument; nothing of the client is changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from py_clob_client_v2 import (
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    ClobClient,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderPayload,
    OrderType,
    PartialCreateOrderOptions,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.clob_types import OrderBookSummary, OrderMarketCancelParams, OrderSummary
from py_clob_client_v2.exceptions import PolyApiException

from helpers.domain import Outcome, Side
from tests.simulator.served import (
    CONDITION,
    DEPOSIT,
    DOWN,
    KEY,
    UP,
    WALLET_OF_TYPE,
    Running,
    Served,
    served,
)

SPEED = 20.0
TICK = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False, version=2)
Client = Any
"""The package has no types, and what can be inferred of it is partly wrong."""
Json = Any
"""The client hands out parsed JSON as it is."""


def allowance(asset_type: Json, token: str = "") -> BalanceAllowanceParams:
    """Return the question about a balance; the package's asset types are plain strings."""
    return BalanceAllowanceParams(asset_type, token or None)


async def use(script: Callable[[Client, Served], None], signature_type: int = DEPOSIT) -> None:
    """Serve the venue and run a script of the client in a thread."""
    running = Running(time.time_ns(), SPEED)
    async with served(running, signature_type=signature_type) as world:

        def play() -> None:
            client = ClobClient(
                world.venue.urls().clob,
                137,
                key=KEY,
                signature_type=signature_type,
                funder=WALLET_OF_TYPE[signature_type],
            )
            client.set_api_creds(client.create_or_derive_api_key())
            script(client, world)

        await asyncio.to_thread(play)


async def test_credentials_book_and_fees() -> None:
    """Credentials derive to the same key; books, prices and fees are read."""

    def script(client: Client, _world: Served) -> None:
        assert client.derive_api_key().api_key == client.creds.api_key
        assert client.get_api_keys() == {"apiKeys": [client.creds.api_key]}
        assert client.get_closed_only_mode() == {"closed_only": False}
        assert client.get_ok() == "OK"
        assert client.get_version() == 2
        assert abs(client.get_server_time() - time.time()) < 60
        book = client.get_order_book(UP)
        assert (book["bids"][-1]["price"], book["asks"][-1]["price"]) == ("0.49", "0.51")
        books = client.get_order_books([BookParams(UP), BookParams(DOWN)])
        assert [each["asset_id"] for each in books] == [UP, DOWN]
        assert client.get_tick_size(UP) == "0.01"
        assert client.get_neg_risk(UP) is False
        assert client.get_fee_rate_bps(UP) == 1000
        assert client.get_fee_exponent(UP) == 1
        assert client.get_clob_market_info(CONDITION)["fd"]["r"] == 0.07
        assert client.get_midpoint(UP) == {"mid": "0.5"}
        assert client.get_price(UP, "BUY") == {"price": "0.49"}
        assert client.get_prices([BookParams(UP, "SELL")]) == {UP: {"SELL": "0.51"}}
        assert client.get_market(CONDITION)["condition_id"] == CONDITION

    await use(script)


async def test_book_hash_is_the_clients_own() -> None:
    """The client's hash over our book is the hash we sent."""

    def script(client: Client, _world: Served) -> None:
        raw: Json = client.get_order_book(UP)
        summary = OrderBookSummary(
            market=raw["market"],
            asset_id=raw["asset_id"],
            timestamp=raw["timestamp"],
            bids=[OrderSummary(**level) for level in raw["bids"]],
            asks=[OrderSummary(**level) for level in raw["asks"]],
            min_order_size=raw["min_order_size"],
            neg_risk=raw["neg_risk"],
            tick_size=raw["tick_size"],
            last_trade_price=raw["last_trade_price"],
            hash="",
        )
        assert client.get_order_book_hash(summary) == raw["hash"]

    await use(script)


async def test_orders_rest_are_read_and_cancelled() -> None:
    """Single and batch placement, reads, and the four ways to cancel."""

    def script(client: Client, world: Served) -> None:
        first = client.create_and_post_order(OrderArgs(UP, 0.40, 10, "BUY"), TICK)
        assert (first["success"], first["status"]) == (True, "live")
        assert client.get_order(first["orderID"])["original_size"] == "10"
        legs = [
            PostOrdersV2Args(client.create_order(OrderArgs(DOWN, price, 10, "BUY"), TICK))
            for price in (0.30, 0.31, 0.32)
        ]
        batch = client.post_orders(legs)
        assert [leg["status"] for leg in batch] == ["live"] * 3
        assert len(client.get_open_orders()) == 4
        assert len(client.get_open_orders(OpenOrderParams(asset_id=DOWN))) == 3
        ids = [leg["orderID"] for leg in batch]
        assert client.cancel_order(OrderPayload(ids[0]))["canceled"] == [ids[0]]
        assert client.cancel_orders(ids[:2]) == {
            "canceled": [ids[1]],
            "not_canceled": {ids[0]: "already canceled or matched"},
        }
        by_token = client.cancel_market_orders(OrderMarketCancelParams(asset_id=DOWN))
        assert by_token["canceled"] == [ids[2]]
        assert client.cancel_all()["canceled"] == [first["orderID"]]
        with pytest.raises(PolyApiException) as gone:
            client.get_order(first["orderID"])
        assert gone.value.status_code == 404

    await use(script)


async def test_fill_partial_fill_and_settlement() -> None:
    """A taker's fill is waited for until its hash is known; a maker is filled in part."""

    def script(client: Client, world: Served) -> None:
        taken = client.create_and_post_market_order(
            MarketOrderArgs(UP, 25.5, "BUY", 0.51), TICK, OrderType.FAK
        )
        assert (taken["makingAmount"], taken["takingAmount"]) == ("25.5", "50")
        assert taken["transactionsHashes"][0].startswith("0x")
        trade: Json = client.get_trades(TradeParams(id=taken["tradeIDs"][0]))[0]
        assert (trade["trader_side"], trade["size"]) == ("TAKER", "50")
        made = client.create_and_post_order(OrderArgs(UP, 0.50, 20, "BUY"), TICK)
        asyncio.run_coroutine_threadsafe(sell(world), world.loop).result(5)
        order: Json = client.get_order(made["orderID"])
        assert (order["size_matched"], order["status"]) == ("5", "LIVE")
        balance: Json = client.get_balance_allowance(allowance(AssetType.CONDITIONAL, UP))
        assert balance["balance"] == "50000000"
        assert client.update_balance_allowance(allowance(AssetType.COLLATERAL)) == ""

    async def sell(world: Served) -> None:
        world.house(Outcome.UP, Side.SELL, 0.50, 5)

    await use(script)


async def test_refusals_and_heartbeats() -> None:
    """Refusals raise with the venue's status and text; heartbeats chain."""

    def script(client: Client, _world: Served) -> None:
        with pytest.raises(PolyApiException) as poor:
            client.create_and_post_order(OrderArgs(UP, 0.40, 9_000, "BUY"), TICK)
        assert poor.value.status_code == 400
        assert poor.value.error_msg == {"error": "not enough balance / allowance"}
        with pytest.raises(PolyApiException) as killed:
            client.create_and_post_market_order(
                MarketOrderArgs(UP, 10, "BUY", 0.45), TICK, OrderType.FAK
            )
        assert "no orders found to match with FAK order" in str(killed.value.error_msg)
        order = client.create_order(OrderArgs(UP, 0.40, 10, "BUY"), TICK)
        client.post_order(order)
        with pytest.raises(PolyApiException, match="Duplicated"):
            client.post_order(order)
        beat: Json = client.post_heartbeat()
        client.post_heartbeat(beat["heartbeat_id"])
        with pytest.raises(PolyApiException) as stale:
            client.post_heartbeat(beat["heartbeat_id"])
        assert "Invalid Heartbeat ID" in str(stale.value.error_msg)

    await use(script)


@pytest.mark.parametrize("signature_type", [0, 1, 2])
async def test_the_older_wallets_sign_too(signature_type: int) -> None:
    """Plain, proxy and Safe signatures are recovered; another type's order is refused."""

    def script(client: Client, world: Served) -> None:
        order = client.create_order(OrderArgs(UP, 0.40, 10, "BUY"), TICK)
        assert client.post_order(order)["status"] == "live"
        other = ClobClient(
            world.venue.urls().clob,
            137,
            key=KEY,
            creds=client.creds,
            signature_type=DEPOSIT,
            funder=WALLET_OF_TYPE[DEPOSIT],
        )
        with pytest.raises(PolyApiException, match="not enough balance"):
            other.create_and_post_order(OrderArgs(UP, 0.40, 10, "BUY"), TICK)

    await use(script, signature_type)
