"""The CLOB's batches and simplified lists agree with its single answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from helpers.domain import Outcome, Side
from simulator.servers.clob_public import BATCH_TOKENS_MAX
from tests.simulator.served import CONDITION, DOWN, UP, Served, served

UNKNOWN = "9"
BOTH = [{"token_id": UP}, {"token_id": UNKNOWN}, {"token_id": DOWN}]


class Asked:
    """A served market and a client of its CLOB."""

    def __init__(self, world: Served, http: httpx.AsyncClient) -> None:
        self.world = world
        self.http = http

    async def get(self, path: str) -> object:
        """Return a 200 answer's body."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, rows: object) -> object:
        """Return a 200 answer's body."""
        answer = await self.http.post(path, json=rows)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture
async def clob() -> AsyncIterator[Asked]:
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        yield Asked(world, http)


async def test_books_are_the_single_books_in_the_order_asked(clob: Asked) -> None:
    """An unknown token is left out; the others come as GET /book gives them, hash and all."""
    single = [await clob.get(f"/book?token_id={token}") for token in (DOWN, UP)]
    asked = [{"token_id": DOWN}, {"token_id": UNKNOWN}, {"token_id": UP}]
    assert await clob.post("/books", asked) == single


async def test_prices_are_told_by_token_and_side(clob: Asked) -> None:
    """BUY is the best bid, SELL the best ask, and Down mirrors Up (reference B.2)."""
    rows = [
        {"token_id": UP, "side": "BUY"},
        {"token_id": UP, "side": "SELL"},
        {"token_id": DOWN, "side": "SELL"},
        {"token_id": DOWN, "side": "HOLD"},
        {"token_id": UNKNOWN, "side": "BUY"},
        {"token_id": DOWN},
    ]
    assert await clob.post("/prices", rows) == {
        UP: {"BUY": "0.49", "SELL": "0.51"},
        DOWN: {"SELL": "0.51"},
    }


@pytest.mark.parametrize(
    ("path", "single", "key"),
    [("/midpoints", "/midpoint", "mid"), ("/spreads", "/spread", "spread")],
)
async def test_middles_and_spreads_are_the_single_ones(
    clob: Asked, path: str, single: str, key: str
) -> None:
    """One value a token that has both sides."""
    clob.world.house(Outcome.UP, Side.BUY, 0.50, 10)
    found = await clob.post(path, BOTH)
    expected: dict[str, object] = {}
    for token in (UP, DOWN):
        body = await clob.get(f"{single}?token_id={token}")
        assert isinstance(body, dict)
        expected[token] = body[key]
    assert found == expected
    assert expected[UP] == {"mid": "0.505", "spread": "0.01"}[key]


async def test_a_side_that_is_empty_has_no_middle(clob: Asked) -> None:
    """A token without bids is 404 alone and left out of a batch; its other side has a price."""
    clob.world.exchange.cancel_house(
        CONDITION, f"house-{Outcome.UP.name}-{Side.BUY.value}-0.49-100", clob.world.time.now_ns()
    )
    for path in ("/midpoints", "/spreads"):
        assert await clob.post(path, BOTH) == {}
        assert (await clob.http.get(f"{path[:-1]}?token_id={UP}")).status_code == 404
    rows = [{"token_id": UP, "side": side} for side in ("BUY", "SELL")]
    assert await clob.post("/prices", rows) == {UP: {"SELL": "0.51"}}


async def test_last_trades_follow_a_trade(clob: Asked) -> None:
    """Before any trade 0, after one its price on either token; unknown tokens are left out."""
    assert await clob.post("/last-trades-prices", BOTH) == [
        {"token_id": UP, "price": "0", "side": ""},
        {"token_id": DOWN, "price": "0", "side": ""},
    ]
    clob.world.house(Outcome.UP, Side.BUY, 0.51, 10)
    found = await clob.post("/last-trades-prices", BOTH)
    single = [await clob.get(f"/last-trade-price?token_id={token}") for token in (UP, DOWN)]
    assert [single[0], single[1]] == [{"price": "0.51", "side": ""}, {"price": "0.49", "side": ""}]
    assert found == [
        {"token_id": UP, "price": "0.51", "side": ""},
        {"token_id": DOWN, "price": "0.49", "side": ""},
    ]


@pytest.mark.parametrize(
    "path", ["/books", "/prices", "/midpoints", "/spreads", "/last-trades-prices"]
)
async def test_batches_are_bounded_and_need_tokens(clob: Asked, path: str) -> None:
    """More than 500 tokens, or rows without one, are the same 400; no rows are no answer."""
    most = [{"token_id": UNKNOWN}] * BATCH_TOKENS_MAX
    assert await clob.post(path, most) in ([], {})
    assert await clob.post(path, []) in ([], {})
    for rows in ([*most, {"token_id": UP}], [{"token": UP}], {"token_id": UP}):
        answer = await clob.http.post(path, json=rows)
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid payload"})


@pytest.mark.parametrize("path", ["/simplified-markets", "/sampling-simplified-markets"])
async def test_simplified_markets_tell_tokens_prices_and_the_winner(clob: Asked, path: str) -> None:
    """A row is the whole market's without its texts; after the resolution the winner is 1."""
    page = await clob.get(path)
    whole = await clob.get(f"/markets/{CONDITION}")
    assert isinstance(page, dict)
    assert isinstance(whole, dict)
    (row,) = page["data"]
    assert row.items() <= whole.items()
    assert [(token["token_id"], token["price"]) for token in row["tokens"]] == [
        (UP, 0.5),
        (DOWN, 0.5),
    ]
    assert (row["accepting_orders"], row["closed"]) == (True, False)
    clob.world.exchange.resolve(CONDITION, Outcome.DOWN, clob.world.time.now_ns())
    page = await clob.get(path)
    assert isinstance(page, dict)
    (row,) = page["data"]
    assert [(token["winner"], token["price"]) for token in row["tokens"]] == [(False, 0), (True, 1)]
    assert (row["accepting_orders"], row["closed"]) == (False, True)
