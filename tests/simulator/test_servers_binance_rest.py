"""Binance's REST on loopback: depth, the best quote, and what is refused."""

from __future__ import annotations

import json

import httpx
import pytest

from helpers.domain import NS_PER_MS, Asset
from simulator.actions import FastQuote
from simulator.servers.answers import http_app
from simulator.servers.binance_rest import BinanceRest
from simulator.servers.surroundings import Surroundings

NOW_NS = 1_795_000_000_123 * NS_PER_MS
QUOTE = FastQuote(Asset.BTC, 83_000.1, 4.215, 83_000.2, 3.763)


class Host:
    """One host's REST side, called without a socket."""

    def __init__(self, kind: str) -> None:
        near = Surroundings(lambda: NOW_NS, lambda: None)
        self.rest = BinanceRest(kind, near, lambda _asset: (), {Asset.BTC: QUOTE}.get)
        transport = httpx.ASGITransport(http_app([*self.rest.routes()]))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://venue")
        self.base = "/fapi/v1" if kind == "futures" else "/api/v3"

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(self.base + path)


@pytest.fixture(params=["futures", "spot"])
def host(request: pytest.FixtureRequest) -> Host:
    return Host(str(request.param))


async def test_depth_begins_at_the_quote_and_leads_away_from_it(host: Host) -> None:
    """Bids fall, asks rise, by the symbol's tick; only futures tell the times (binance 4)."""
    answer = await host.get("/depth?symbol=BTCUSDT&limit=5")
    book = answer.json()
    bids = [float(price) for price, _ in book["bids"]]
    asks = [float(price) for price, _ in book["asks"]]
    assert bids == pytest.approx([83_000.1, 83_000.0, 82_999.9, 82_999.8, 82_999.7])
    assert asks == pytest.approx([83_000.2, 83_000.3, 83_000.4, 83_000.5, 83_000.6])
    assert (book["bids"][0][1], book["asks"][0][1]) == ("4.215", "3.763")
    assert ("E" in book) == (host.base == "/fapi/v1")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "5"


@pytest.mark.parametrize(
    ("limit", "levels"),
    [("", 500), ("5000", 1000), ("9" * 18, 1000), ("9" * 5_000, 500), ("-3", 500), ("many", 500)],
)
async def test_depth_is_bounded(host: Host, limit: str, levels: int) -> None:
    """A limit that is none is the default, whatever its length; more than 1,000 are not given."""
    book = (await host.get(f"/depth?symbol=BTCUSDT&limit={limit}")).json()
    assert (len(book["bids"]), len(book["asks"])) == (levels, levels)


async def test_the_best_quote_is_told_as_text(host: Host) -> None:
    """Prices and sizes are strings, as on the wire."""
    answer = await host.get("/ticker/bookTicker?symbol=BTCUSDT")
    assert answer.json() == {
        "symbol": "BTCUSDT",
        "bidPrice": "83000.1",
        "bidQty": "4.215",
        "askPrice": "83000.2",
        "askQty": "3.763",
        "time": NOW_NS // NS_PER_MS,
    }
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "2"


@pytest.mark.parametrize("path", ["/depth", "/ticker/bookTicker"])
@pytest.mark.parametrize("symbol", ["", "DOGEUSDT", "BTC", "btcusdt", "ETHUSDT"])
async def test_symbols_without_a_quote_are_invalid(host: Host, path: str, symbol: str) -> None:
    """Unknown, misspelt, or known and not quoted yet: error -1121."""
    answer = await host.get(f"{path}?symbol={symbol}")
    assert answer.status_code == 400
    assert answer.json()["code"] == -1121


@pytest.mark.parametrize("path", ["/depth", "/ticker/bookTicker", "/time"])
async def test_no_path_answers_beyond_the_weight_or_from_a_block(host: Host, path: str) -> None:
    """The limit and a geoblock hold for every endpoint."""
    host.rest.used_weight = 6_000
    await host.get("/time")  # The minute begins: the counter starts anew.
    host.rest.used_weight = 6_000
    limited = await host.get(f"{path}?symbol=BTCUSDT")
    assert (limited.status_code, json.loads(limited.content)["code"]) == (429, -1003)
    host.rest.refuse_with = 451
    assert (await host.get(f"{path}?symbol=BTCUSDT")).status_code == 451
