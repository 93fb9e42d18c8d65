"""The vendor's asynchronous client against the simulated venue: its parsing is the test.

Its environment object is built by the factory the package itself uses, with loopback addresses; it
offers no public way to another host. Nothing of the client is changed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from polymarket import AsyncSecureClient, RelayerApiKey
from polymarket.environments import PRODUCTION, Environment, _create_environment
from polymarket.errors import OrderHeartbeatMismatchError, RateLimitError, RequestRejectedError
from polymarket.models.clob import AcceptedOrder, OrderResponse
from polymarket.rate_limit import RateLimitUpdate
from polymarket.streams import CryptoPriceSpec, CryptoTwapPriceSpec, MarketSpec, UserSpec

from helpers.domain import NS_PER_SECOND, Asset, Outcome, Side
from tests.simulator.served import CONDITION, DOWN, KEY, SIGNER, UP, WALLET, Running, Served, served

SPEED = 20.0
Event = Any
"""The package types each channel apart; these tests read them by their attributes."""


def environment(world: Served) -> Environment:
    """Return the client's environment with every host on loopback."""
    urls = world.venue.urls()
    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=urls.clob,
        clob_market_ws_url=urls.market_socket,
        clob_user_ws_url=urls.user_socket,
        realtime_ws_url=urls.reference_socket,
        relayer_url=urls.relayer,
        gamma_url=urls.gamma,
        data_url=urls.data_api,
        relayer_poll_frequency_ms=20,
    )
    return _create_environment(name="loopback", config=config)


@asynccontextmanager
async def trader() -> AsyncGenerator[tuple[AsyncSecureClient, Served, list[RateLimitUpdate]]]:
    """Serve the venue and log the vendor's client in with the test key."""
    async with served(Running(time.time_ns(), SPEED)) as world:
        updates: list[RateLimitUpdate] = []
        client = await AsyncSecureClient.create(
            private_key=KEY,
            environment=environment(world),
            api_key=RelayerApiKey(key="any", address=SIGNER),
            on_rate_limit_update=updates.append,
        )
        try:
            yield client, world, updates
        finally:
            await client.close()


async def test_credentials_are_created_and_derived_again() -> None:
    """A second start gets the same key, and the wallet is the deposit wallet."""
    async with trader() as (client, world, _):
        assert str(client.wallet) == WALLET
        again = await AsyncSecureClient.create(private_key=KEY, environment=environment(world))
        assert again.credentials.key == client.credentials.key
        assert await client.fetch_api_keys() == (client.credentials.key,)
        assert await client.get_closed_only_mode() is False
        await again.close()


async def test_book_prices_and_market_are_read() -> None:
    """The public reads parse."""
    async with trader() as (client, _, _):
        book = await client.get_order_book(asset_id=UP)
        assert (book.bids[-1].price, book.asks[-1].price) == (Decimal("0.49"), Decimal("0.51"))
        assert await client.get_midpoint(asset_id=UP) == Decimal("0.5")
        assert await client.get_spread(asset_id=UP) == Decimal("0.02")
        books = await client.get_order_books(asset_ids=[UP, DOWN])
        assert len(books) == 2
        market = await client.get_market(slug="btc-updown-15m-1795000500")
        assert str(market.condition_id) == CONDITION


async def test_order_rests_fills_and_settles() -> None:
    """A partly filled order rests, its rest is cancelled, and the fill is confirmed."""
    async with trader() as (client, world, updates):
        placed = taken(
            await client.place_limit_order(asset_id=UP, price="0.51", size=150, side="BUY")
        )
        assert (placed.status, placed.making_amount) == ("matched", Decimal(51))
        assert (await client.get_order(order_id=placed.order_id)).size_matched == Decimal(100)
        first = await client.list_open_orders(asset_id=UP).first_page()
        assert [order.id for order in first.items] == [placed.order_id]
        canceled = await client.cancel_order(order_id=placed.order_id)
        assert canceled.canceled == (placed.order_id,)
        await client.wait_for_order_fill_settlement(placed, timeout_s=5)
        trades = (await client.list_account_trades(asset_id=UP).first_page()).items
        assert [trade.size for trade in trades] == [Decimal(100)]
        balance = await client.get_balance_allowance(asset_type="CONDITIONAL", asset_id=UP)
        assert balance.balance == 100_000_000
        assert {update.tier for update in updates} == {"Standard"}
        assert world.exchange.open_orders("me") == ()


async def test_market_orders_buy_and_sell() -> None:
    """FAK and FOK market orders in dollars and in shares."""
    async with trader() as (client, _, _):
        bought = taken(
            await client.place_market_order(asset_id=UP, side="BUY", amount=10, max_price="0.51")
        )
        assert bought.status == "matched"
        await client.wait_for_order_fill_settlement(bought, timeout_s=5)
        sold = taken(
            await client.place_market_order(
                asset_id=UP, side="SELL", shares=10, min_price="0.49", order_type="FOK"
            )
        )
        assert sold.taking_amount == Decimal("4.9")


async def test_refusals_are_what_the_client_expects() -> None:
    """Refusals arrive as the client's own errors, and a batch tells each leg's fate."""
    async with trader() as (client, world, _):
        with pytest.raises(RequestRejectedError, match="not enough balance"):
            await client.post_order(
                await client.create_limit_order(asset_id=UP, price="0.40", size=9_000, side="BUY")
            )
        with pytest.raises(RequestRejectedError, match="crosses book"):
            await client.post_order(
                await client.create_limit_order(
                    asset_id=UP, price="0.51", size=10, side="BUY", post_only=True
                )
            )
        legs = [
            await client.create_limit_order(asset_id=UP, price="0.40", size=size, side="BUY")
            for size in (10, 9_000)
        ]
        first, bad = await client.post_orders(legs)
        good = taken(first)
        assert bad.ok is False
        world.venue.trading.order_limits.refuse_next(1)
        with pytest.raises(RateLimitError) as limited:
            await client.post_order(legs[0])
        assert limited.value.retry_after is not None
        assert (await client.cancel_all()).canceled == (good.order_id,)


async def test_orders_with_an_end_expire() -> None:
    """A GTD order rests until its time, and is not read after that."""
    async with trader() as (client, world, _):
        order = await client.create_limit_order(
            asset_id=UP, price="0.40", size=10, side="BUY", expiration=int(time.time()) + 400
        )
        placed = taken(await client.post_order(order))
        assert (await client.get_order(order_id=placed.order_id)).order_type == "GTD"
        world.exchange.advance(world.time.now_ns() + 400 * NS_PER_SECOND)
        with pytest.raises(RequestRejectedError) as gone:
            await client.get_order(order_id=placed.order_id)
        assert gone.value.status == 404


async def test_heartbeat_chain() -> None:
    """Each heartbeat carries the id of the last; a stale one says which was expected."""
    async with trader() as (client, _, _):
        first = await client.send_order_heartbeat()
        second = await client.send_order_heartbeat(heartbeat_id=first.heartbeat_id)
        with pytest.raises(OrderHeartbeatMismatchError) as stale:
            await client.send_order_heartbeat(heartbeat_id=first.heartbeat_id)
        assert stale.value.heartbeat_id == second.heartbeat_id


async def test_market_channel_is_read() -> None:
    """Books first, then changes, a trade, the tick, and the resolution of the market."""
    async with trader() as (client, world, _):
        spec = MarketSpec(asset_ids=[UP, DOWN], custom_feature_enabled=True)
        handle = await client.subscribe(spec)
        events = aiter(handle)
        books = [await next_event(events) for _ in range(2)]
        assert [event.type for event in books] == ["book", "book"]
        world.house(Outcome.UP, Side.BUY, 0.5, 20)
        changed = await next_event(events)
        assert {change.price for change in changed.payload.price_changes} == {Decimal("0.5")}
        assert (await next_event(events)).type == "best_bid_ask"
        world.exchange.resolve(CONDITION, Outcome.UP, world.time.now_ns())
        world.advance()
        seen = await until(events, "market_resolved")
        assert seen.payload.winning_outcome == "Up"
        await handle.close()


async def test_user_channel_tells_orders_and_trades() -> None:
    """Placement, fill as a maker, cancellation, and the ladder of the trade."""
    async with trader() as (client, world, _):
        handle = await client.subscribe(UserSpec(markets=[CONDITION]))
        events = aiter(handle)
        placed = taken(
            await client.place_limit_order(asset_id=UP, price="0.50", size=20, side="BUY")
        )
        assert (await next_event(events)).payload.id == placed.order_id
        world.house(Outcome.UP, Side.SELL, 0.5, 5)
        seen: list[str] = []
        while "CONFIRMED" not in seen:
            event = await next_event(events)
            seen.append(
                event.payload.status if event.type == "trade" else event.payload.order_event_type
            )
        assert seen == ["UPDATE", "MATCHED", "MINED", "CONFIRMED"]
        await client.cancel_market_orders(market=CONDITION)
        assert (await next_event(events)).payload.order_event_type == "CANCELLATION"
        await handle.close()


async def test_reference_prices_come_as_snapshot_and_updates() -> None:
    """Two minutes of history first, then each price as it is published."""
    async with trader() as (client, world, _):
        at_ns = world.time.now_ns()
        world.venue.publish_reference(Asset.BTC, 64_000.5, 63_999.25, at_ns)
        handle = await client.subscribe(
            [CryptoTwapPriceSpec(symbols=["btcusd"]), CryptoPriceSpec(symbols=["btcusd"])]
        )
        events = aiter(handle)
        snapshots = [await next_event(events) for _ in range(2)]
        assert {str(each.payload.data[0].value) for each in snapshots} == {
            "63999.250000000000000000",
            "64000.500000000000000000",
        }
        world.venue.publish_reference(Asset.BTC, None, 64_010.0, world.time.now_ns())
        assert (await next_event(events)).payload.value == Decimal(64010)
        await handle.close()


async def test_winnings_are_found_and_redeemed() -> None:
    """After the resolution the position is redeemable, and the relayer pays it out."""
    async with trader() as (client, world, _):
        bought = taken(
            await client.place_market_order(asset_id=UP, side="BUY", amount=10.2, max_price="0.51")
        )
        await client.wait_for_order_fill_settlement(bought, timeout_s=5)
        world.exchange.resolve(CONDITION, Outcome.UP, world.time.now_ns())
        world.advance()
        positions = (await client.list_positions(user=WALLET).first_page()).items
        assert [(each.redeemable, each.current_size) for each in positions] == [(True, Decimal(20))]
        before = (await client.get_balance_allowance(asset_type="COLLATERAL")).balance
        handle = await client.redeem_positions(condition_id=CONDITION)
        assert (await handle.wait()).transaction_hash.startswith("0x")
        after = (await client.get_balance_allowance(asset_type="COLLATERAL")).balance
        assert after - before == 20_000_000
        assert (await client.list_positions(user=WALLET).first_page()).items == ()
        again = await client.redeem_positions(condition_id=CONDITION)
        await again.wait()
        assert (await client.get_balance_allowance(asset_type="COLLATERAL")).balance == after


def taken(order: OrderResponse) -> AcceptedOrder:
    """Return an answer that must be an acceptance."""
    assert isinstance(order, AcceptedOrder), order
    return order


async def next_event(events: AsyncIterator[Event]) -> Event:
    """Return the next event, which must come within five seconds."""
    return await asyncio.wait_for(anext(events), 5)


async def until(events: AsyncIterator[Event], kind: str) -> Event:
    """Return the next event of a kind."""
    while True:
        event = await next_event(events)
        if event.type == kind:
            return event
