"""The CLOB over HTTP, without a vendor's client: what is refused, and how."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from helpers.domain import NS_PER_SECOND, Outcome
from simulator.exchange_messages import COLLATERAL, Phase
from simulator.servers.answers import BODY_BYTES_MAX
from tests.simulator.served import (
    CONDITION,
    DOWN,
    SIGNER,
    UP,
    Served,
    l2_headers,
    rest,
    served,
)

ORDER = {
    "order": {
        "salt": 1,
        "maker": SIGNER,
        "signer": SIGNER,
        "tokenId": UP,
        "makerAmount": "4000000",
        "takerAmount": "10000000",
        "side": "BUY",
        "expiration": "0",
        "signatureType": 0,
        "timestamp": "1795000000123",
        "metadata": "0x" + "00" * 32,
        "builder": "0x" + "00" * 32,
        "signature": "0x" + "11" * 65,
    },
    "owner": "",
    "orderType": "GTC",
}


async def send(
    world: Served,
    method: str,
    path: str,
    body: bytes = b"",
    changed: dict[str, str] | None = None,
) -> httpx.Response:
    """Send an L2 request to the CLOB, with some headers changed."""
    headers = l2_headers(world, method, path.partition("?")[0], body) | (changed or {})
    async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        return await http.request(method, path, content=body, headers=headers)


@pytest.mark.parametrize(
    ("path", "status", "found"),
    [
        ("/nothing", 404, {"error": "not found"}),
        ("/book?token_id=9", 404, {"error": "No orderbook exists for the requested token id"}),
        ("/clob-markets/0x00", 404, {"error": "market not found"}),
        ("/price?token_id=1&side=HOLD", 400, {"error": "Invalid side"}),
        ("/version", 200, {"version": 2}),
        (f"/fee-rate?token_id={UP}", 200, {"base_fee": 1000}),
        (f"/last-trade-price?token_id={UP}", 200, {"price": "0", "side": ""}),
    ],
)
async def test_public_answers(path: str, status: int, found: object) -> None:
    """Public paths answer with the venue's status and text."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (status, found)


async def test_unknown_method_and_oversized_body() -> None:
    """A wrong method is 405, a body over a mebibyte 413; both are JSON."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        assert (await http.put("/order")).status_code == 405
        large = await http.post("/books", content=b" " * (BODY_BYTES_MAX + 1))
        assert large.status_code == 413
        assert "error" in large.json()


async def test_market_lists_are_paged() -> None:
    """Lists come in the envelope, and a cursor that is none is refused."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        page = (await http.get("/markets")).json()
        assert [row["condition_id"] for row in page["data"]] == [CONDITION]
        assert page["next_cursor"] == "LTE="
        assert (await http.get("/markets?next_cursor=LTE=")).json()["data"] == []
        assert (await http.get("/simplified-markets?next_cursor=x")).status_code == 400


async def test_book_is_gone_after_resolution() -> None:
    """Resolved markets have no book but still a market."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        world.exchange.resolve(CONDITION, Outcome.UP, world.time.now_ns())
        assert (await http.get(f"/book?token_id={UP}")).status_code == 404
        books = await http.post("/books", json=[{"token_id": UP}, {"token_id": DOWN}])
        assert books.json() == []
        tokens = (await http.get(f"/markets/{CONDITION}")).json()["tokens"]
        assert [token["winner"] for token in tokens] == [True, False]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'{"token_id":"1"}', b"\xff", pytest.param(b"[" * 100_000, id="deep")],
)
async def test_malformed_batches(body: bytes) -> None:
    """A batch that cannot be read is a 400."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        answer = await http.post("/books", content=body)
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid payload"})


@pytest.mark.parametrize(
    "changed",
    [
        {"POLY_API_KEY": "other"},
        {"POLY_PASSPHRASE": "other"},
        {"POLY_SIGNATURE": "AAAA"},
        {"POLY_TIMESTAMP": "1"},
        {"POLY_TIMESTAMP": "soon"},
        {"POLY_ADDRESS": "0x" + "00" * 20},
    ],
)
async def test_wrong_l2_headers(changed: dict[str, str]) -> None:
    """Any wrong header is the same 401."""
    async with served() as world:
        answer = await send(world, "GET", "/data/orders", changed=changed)
        assert answer.status_code == 401
        assert answer.json() == {"error": "Unauthorized/Invalid api key"}


async def test_wrong_l1_headers() -> None:
    """Nobody gets a key without a signature."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        headers = {"POLY_ADDRESS": SIGNER, "POLY_NONCE": "0", "POLY_TIMESTAMP": "1"}
        for signature in ("", "0x00", "0x" + "11" * 65):
            answer = await http.post(
                "/auth/api-key", headers=headers | {"POLY_SIGNATURE": signature}
            )
            assert answer.status_code == 401
            assert answer.json() == {"error": "Invalid L1 Request headers"}
        assert (await http.get("/auth/derive-api-key")).status_code == 401
        long = headers | {"POLY_NONCE": "9" * 5_000, "POLY_SIGNATURE": "0x" + "11" * 65}
        assert (await http.post("/auth/api-key", headers=long)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"{}",
        b'{"order":{}}',
        pytest.param(b'{"x":' + b"[" * 100_000, id="deep"),
        msgspec.json.encode(ORDER | {"orderType": "IOC"}),
        msgspec.json.encode(ORDER | {"order": ORDER["order"] | {"makerAmount": "1e6"}}),  # type: ignore[operator]
        msgspec.json.encode(ORDER | {"order": ORDER["order"] | {"tokenId": "9" * 200}}),  # type: ignore[operator]
        msgspec.json.encode(ORDER | {"order": ORDER["order"] | {"salt": "one"}}),  # type: ignore[operator]
    ],
)
async def test_malformed_orders(body: bytes) -> None:
    """An order that cannot be read is refused and rests nowhere."""
    async with served() as world:
        answer = await send(world, "POST", "/order", body)
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid order payload"})
        assert world.exchange.open_orders("me") == ()


async def test_batch_limits() -> None:
    """An empty batch and sixteen orders are refused."""
    async with served() as world:
        assert (await send(world, "POST", "/orders", b"[]")).status_code == 400
        body = msgspec.json.encode([ORDER] * 16)
        answer = await send(world, "POST", "/orders", body)
        assert answer.json() == {"error": "Too many orders in payload: 16, max allowed: 15"}


async def test_unsigned_order_of_somebody_else() -> None:
    """An order under another owner, or with a wrong signature, is refused by name."""
    async with served() as world:
        answer = await send(world, "POST", "/order", msgspec.json.encode(ORDER))
        assert answer.json()["error"] == "the order owner has to be the owner of the API KEY"
        key = l2_headers(world, "GET", "/")["POLY_API_KEY"]
        answer = await send(world, "POST", "/order", msgspec.json.encode(ORDER | {"owner": key}))
        assert answer.json()["error"] == "invalid signature"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"orderID":5}'])
async def test_malformed_cancels(body: bytes) -> None:
    """A cancel that cannot be read is refused, and only to whoever proved who they are."""
    async with served() as world:
        rest(world)
        assert (await send(world, "DELETE", "/order", body)).status_code == 400
        assert (
            await send(world, "DELETE", "/order", body, {"POLY_API_KEY": "x"})
        ).status_code == 401
        assert len(world.exchange.open_orders("me")) == 1


async def test_cancel_all_answers_and_costs_each_order() -> None:
    """Everything is cancelled; the bucket pays one and one for each order."""
    async with served() as world:
        ids = [rest(world, price) for price in (0.40, 0.41)]
        answer = await send(world, "DELETE", "/cancel-all")
        assert answer.json() == {"canceled": ids, "not_canceled": {}}
        assert answer.headers["Poly-RateLimit-Remaining"] == "117"
        assert answer.headers["Poly-RateLimit-Tier"] == "Standard"


async def test_cancels_run_out_and_come_back_with_time() -> None:
    """The bucket empties at its burst and fills with venue time."""
    async with served() as world:
        body = msgspec.json.encode([f"0x{n}" for n in range(120)])
        assert (await send(world, "DELETE", "/orders", body)).status_code == 200
        limited = await send(world, "DELETE", "/orders", body)
        assert limited.status_code == 429
        assert limited.json() == {"error": "Too Many Requests"}
        assert limited.headers["Retry-After"] == "2"
        world.pass_seconds(2)
        assert (await send(world, "DELETE", "/orders", body)).status_code == 200


async def test_phases_and_region() -> None:
    """A restarting engine says 425 with a wait; a blocked region is 403 for orders only."""
    async with served() as world:
        order_id = rest(world)
        world.exchange.set_phase(Phase.RESTARTING, world.time.now_ns())
        answer = await send(world, "DELETE", "/cancel-all")
        assert (answer.status_code, answer.headers["Retry-After"]) == (425, "1")
        world.exchange.set_phase(Phase.NORMAL, world.time.now_ns())
        world.venue.trading.region_restricted = True
        answer = await send(world, "POST", "/order", msgspec.json.encode(ORDER))
        assert answer.status_code == 403
        body = msgspec.json.encode({"orderID": order_id})
        assert (await send(world, "DELETE", "/order", body)).json()["canceled"] == [order_id]


async def test_balances_are_of_the_right_wallet() -> None:
    """Another signature type is another, empty wallet; an unknown asset type is refused."""
    async with served() as world:
        path = "/balance-allowance?asset_type=COLLATERAL&signature_type="
        assert (await send(world, "GET", path + "3")).json()["balance"] == "1000000000"
        assert (await send(world, "GET", path + "0")).json()["balance"] == "0"
        assert (await send(world, "GET", path + "9")).status_code == 400
        missing = await send(world, "GET", "/balance-allowance?asset_type=CONDITIONAL")
        assert missing.status_code == 400


async def test_cached_balance_is_refreshed_on_demand() -> None:
    """With a lag a deposit is seen only after an update."""
    async with served() as world:
        accounts = world.exchange.accounts
        accounts.cache_lag_ns = 60 * NS_PER_SECOND
        accounts.deposit("me", COLLATERAL, 5_000_000, world.time.now_ns())
        path = "/balance-allowance?asset_type=COLLATERAL&signature_type=3"
        assert (await send(world, "GET", path)).json()["balance"] == "1000000000"
        update = path.replace("allowance?", "allowance/update?")
        assert (await send(world, "GET", update)).status_code == 200
        assert (await send(world, "GET", path)).json()["balance"] == "1005000000"


async def test_lists_are_filtered_and_bad_times_refused() -> None:
    """Orders can be asked for by id and token; a time that is none is a 400."""
    async with served() as world:
        order_id = rest(world)
        for query, count in ((f"id={order_id}", 1), ("id=0x1", 0), (f"asset_id={DOWN}", 0)):
            page = (await send(world, "GET", f"/data/orders?{query}")).json()
            assert (query, page["count"]) == (query, count)
        assert (await send(world, "GET", "/data/trades?after=soon")).status_code == 400
        assert (await send(world, "GET", "/data/trades?after=1")).json()["data"] == []
        assert (await send(world, "GET", "/notifications")).json() == []


async def test_deleted_key_is_worth_nothing() -> None:
    """A key that was deleted authenticates no more."""
    async with served() as world:
        headers = l2_headers(world, "DELETE", "/auth/api-key")
        async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
            assert (await http.delete("/auth/api-key", headers=headers)).json() == "OK"
            assert (await http.delete("/auth/api-key", headers=headers)).status_code == 401
