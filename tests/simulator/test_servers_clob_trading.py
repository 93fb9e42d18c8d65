"""Batches of signed orders and what a cancel says when it cannot be done."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import pytest

from helpers.clob.eip712 import OrderSigner
from helpers.clob.messages import OrderTerms, OrderType, SignedOrder
from helpers.domain import NS_PER_MS, Outcome, Side
from simulator.servers.clob_trading import CANCEL_IDS_MAX
from tests.simulator.served import (
    CONDITION,
    DEPOSIT,
    DOWN,
    KEY,
    UP,
    WALLET,
    ByHand,
    Served,
    l2_headers,
    rest,
    served,
)

SIGNER = OrderSigner(KEY, WALLET, DEPOSIT)
NOT_CANCELED = "already canceled or matched"


async def send(world: Served, method: str, path: str, body: bytes = b"") -> httpx.Response:
    """Send an L2 request to the CLOB."""
    headers = l2_headers(world, method, path, body)
    async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        return await http.request(method, path, content=body, headers=headers)


def buy(
    world: Served,
    salt: int,
    cents: int,
    shares: int = 10,
    order_type: OrderType = OrderType.GTC,
) -> SignedOrder:
    """Return a signed buy of Up, as the worker signs it."""
    terms = OrderTerms(
        token=UP,
        side=Side.BUY,
        maker_micros=cents * 10_000 * shares,
        taker_micros=shares * 1_000_000,
        salt=salt,
        timestamp_ms=world.time.now_ns() // NS_PER_MS,
        order_type=order_type,
    )
    key = l2_headers(world, "GET", "/")["POLY_API_KEY"]
    return SIGNER.sign(SIGNER.hash(terms), key)


def batch(*orders: SignedOrder) -> bytes:
    """Return the body of POST /orders."""
    return b"[" + b",".join(order.body for order in orders) + b"]"


async def test_each_leg_of_a_batch_has_its_own_answer() -> None:
    """What rests, what is refused and what was sent twice; ``success`` says nothing (B.3)."""
    async with served() as world:
        good, other, dear = buy(world, 1, 40), buy(world, 2, 41), buy(world, 3, 45, 9_000)
        answer = await send(world, "POST", "/orders", batch(good, dear, other, good))
        assert answer.status_code == 200
        first, second, third, fourth = answer.json()
        assert (first["success"], first["orderID"], first["status"]) == (
            True,
            good.order_id,
            "live",
        )
        assert (second["success"], second["orderID"]) == (True, "")
        assert "not enough balance" in second["errorMsg"]
        assert (third["success"], third["orderID"]) == (True, other.order_id)
        assert (fourth["success"], fourth["orderID"]) == (True, "")
        assert "Duplicated" in fourth["errorMsg"]
        resting = [order.order_id for order in world.exchange.open_orders("me")]
        assert resting == [good.order_id, other.order_id]
        assert answer.headers["Poly-RateLimit-Tier"] == "Standard"


async def test_a_batch_costs_its_orders() -> None:
    """Three orders take three from the bucket of orders, a refused leg included."""
    async with served() as world:
        one = await send(world, "POST", "/orders", batch(buy(world, 1, 40)))
        legs = [buy(world, salt, 40) for salt in (2, 3)]
        three = await send(world, "POST", "/orders", batch(*legs, legs[0]))
        spent = [int(answer.headers["Poly-RateLimit-Remaining"]) for answer in (one, three)]
        assert spent[0] - spent[1] == 3


async def test_held_legs_are_answered_together_after_the_hold() -> None:
    """A marketable leg waits out the taker hold; the resting one does not take its place."""
    async with served(ByHand()) as world:
        takes = buy(world, 1, 51, 20, OrderType.FAK)
        also = buy(world, 2, 51, 30, OrderType.FAK)
        rests = buy(world, 3, 40)
        sending = asyncio.create_task(send(world, "POST", "/orders", batch(takes, rests, also)))
        while not world.exchange.open_orders("me"):
            await asyncio.sleep(0.001)
        held = await send(world, "DELETE", "/order", body_of(takes.order_id))
        assert held.json() == {
            "canceled": [],
            "not_canceled": {takes.order_id: "order match delayed due to market conditions"},
        }
        assert not sending.done()
        world.pass_seconds(0.2)
        first, second, third = (await sending).json()
        assert [first["status"], second["status"], third["status"]] == [
            "matched",
            "live",
            "matched",
        ]
        assert [first["takingAmount"], third["takingAmount"]] == ["20", "30"]


async def test_a_restricted_region_sends_no_batch_and_still_cancels() -> None:
    """403 for every leg at once; cancels are for everybody."""
    async with served() as world:
        order_id = rest(world)
        world.venue.trading.region_restricted = True
        answer = await send(world, "POST", "/orders", batch(buy(world, 1, 40)))
        assert (answer.status_code, answer.json()) == (
            403,
            {"error": "Trading restricted in your region"},
        )
        answer = await send(world, "DELETE", "/orders", msgspec.json.encode([order_id]))
        assert answer.json()["canceled"] == [order_id]


@pytest.mark.parametrize("body", [b"", b"{}", b"[{}]", b"[1]", b'[{"order":{},"owner":"x"}]'])
async def test_a_malformed_leg_refuses_the_batch(body: bytes) -> None:
    """Nothing of it rests."""
    async with served() as world:
        good = buy(world, 1, 40)
        for sent in (body, b"[" + good.body + b"," + body[1:] if body[:1] == b"[" else body):
            answer = await send(world, "POST", "/orders", sent)
            assert (answer.status_code, answer.json()) == (400, {"error": "Invalid order payload"})
        assert world.exchange.open_orders("me") == ()


def body_of(order_id: str) -> bytes:
    """Return the body of DELETE /order."""
    return msgspec.json.encode({"orderID": order_id})


async def test_what_cannot_be_cancelled_has_its_reason() -> None:
    """Unknown, already cancelled and somebody else's orders say so; the rest are cancelled."""
    async with served() as world:
        mine, gone = rest(world, 0.40), rest(world, 0.41)
        assert (await send(world, "DELETE", "/order", body_of(gone))).json()["canceled"] == [gone]
        theirs = world.house(Outcome.UP, Side.BUY, 0.30, 10)
        wanted = [gone, "0x1", mine, theirs]
        answer = await send(world, "DELETE", "/orders", msgspec.json.encode(wanted))
        assert answer.status_code == 200
        assert answer.json() == {
            "canceled": [mine],
            "not_canceled": dict.fromkeys((gone, "0x1", theirs), NOT_CANCELED),
        }
        assert theirs in [order.order_id for order in world.exchange.house_orders(CONDITION)]


async def test_a_market_or_a_token_is_cancelled_alone() -> None:
    """Another market and another token keep their orders; an order that matched is not touched."""
    async with served() as world:
        first, second = rest(world, 0.40), rest(world, 0.41)
        path = "/cancel-market-orders"
        for wanted in ({"market": "0x" + "cd" * 32}, {"asset_id": DOWN}):
            answer = await send(world, "DELETE", path, msgspec.json.encode(wanted))
            assert answer.json() == {"canceled": [], "not_canceled": {}}
        answer = await send(world, "DELETE", path, msgspec.json.encode({"asset_id": UP}))
        assert answer.json() == {"canceled": [first, second], "not_canceled": {}}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"market":5}'])
async def test_malformed_cancels_of_markets_cancel_nothing(body: bytes) -> None:
    """What cannot be read must not mean everything."""
    async with served() as world:
        rest(world)
        answer = await send(world, "DELETE", "/cancel-market-orders", body)
        assert answer.status_code == 400
        assert len(world.exchange.open_orders("me")) == 1


async def test_a_cancel_of_too_many_is_refused() -> None:
    """More ids than the venue takes are a malformed request."""
    async with served() as world:
        order_id = rest(world)
        body = msgspec.json.encode([order_id] + ["0x1"] * CANCEL_IDS_MAX)
        assert (await send(world, "DELETE", "/orders", body)).status_code == 400
        assert len(world.exchange.open_orders("me")) == 1
