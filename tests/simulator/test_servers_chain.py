"""The chain's node and the approvals: what is read, and what a stranger may send."""

from __future__ import annotations

import httpx
import msgspec

from simulator.servers.chain import ALLOWANCE_SELECTOR, BALANCES_SELECTOR, IS_APPROVED_SELECTOR
from tests.simulator.served import UP, WALLET, Served, served
from tests.simulator.venue import T0

WALLET_WORD = WALLET[2:].lower().rjust(64, "0")
NOBODY = "12" * 20


def word(value: int) -> str:
    """Return a number as 32 bytes of hex."""
    return f"{value:064x}"


async def post(world: Served, body: object) -> httpx.Response:
    """Send a JSON-RPC body."""
    async with httpx.AsyncClient() as client:
        return await client.post(
            world.venue.venues().polygon_rpc, content=msgspec.json.encode(body)
        )


def call(number: int, selector: bytes, words: str) -> dict[str, object]:
    """Return an ``eth_call``."""
    asked = {"to": "0x" + NOBODY, "data": "0x" + selector.hex() + words}
    return {"jsonrpc": "2.0", "id": number, "method": "eth_call", "params": [asked, "latest"]}


async def test_allowances_are_the_accounts() -> None:
    """One batch: dollars, tokens, and a wallet nobody has."""
    async with served() as world:
        account = world.exchange.accounts.get("me")
        account.collateral_allowance, account.conditional_allowance = 5, 0
        batch = [
            call(1, ALLOWANCE_SELECTOR, WALLET_WORD + word(0)),
            call(2, IS_APPROVED_SELECTOR, WALLET_WORD + word(0)),
            call(3, ALLOWANCE_SELECTOR, NOBODY.rjust(64, "0") + word(0)),
        ]
        replies = (await post(world, batch)).json()
        assert [int(reply["result"], 16) for reply in replies] == [5, 0, 0]


async def test_balances_are_those_on_the_chain() -> None:
    """Two owners, two tokens, one array back."""
    async with served() as world:
        world.exchange.accounts.deposit("me", UP, 7_000_000, T0)
        owners = word(2) + WALLET_WORD + NOBODY.rjust(64, "0")
        tokens = word(2) + word(int(UP)) * 2
        words = word(64) + word(64 + 96) + owners + tokens
        reply = (await post(world, call(1, BALANCES_SELECTOR, words))).json()
        assert reply["result"] == "0x" + word(32) + word(2) + word(7_000_000) + word(0)


async def test_time_is_the_venues() -> None:
    """The latest block is of now, on Polygon."""
    async with served() as world:
        block = {"id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        reply = (await post(world, block)).json()
        assert int(reply["result"]["timestamp"], 16) == T0 // 10**9
        chain = (await post(world, {"id": 2, "method": "eth_chainId"})).json()
        assert int(chain["result"], 16) == 137


async def test_what_means_nothing_is_said_and_survived() -> None:
    """Unknown methods and calls are errors of JSON-RPC, other bodies a 400."""
    async with served() as world:
        sent = (await post(world, {"id": 1, "method": "eth_sendRawTransaction"})).json()
        assert sent["error"]["code"] == -32_601
        for selector, words in (
            (b"\x01\x02\x03\x04", ""),
            (ALLOWANCE_SELECTOR, "12"),
            (BALANCES_SELECTOR, word(64) + word(2**255) + word(2**250)),
            (BALANCES_SELECTOR, ""),
        ):
            reply = await post(world, call(1, selector, words))
            assert reply.status_code == 200
        assert (await post(world, call(1, b"", "zz"))).json()["error"]["code"] == -32_000
        for body in ("text", 5, {"id": "x"}, [1]):
            assert (await post(world, body)).status_code == 400


async def test_approvals_of_a_stranger_are_missing() -> None:
    """An unknown wallet has approved nothing; what is no address is refused."""
    async with served() as world, httpx.AsyncClient() as client:
        address = f"{world.venue.venues().data_api_rest}/v2/approvals"
        rows = (await client.get(address, params={"user": "0x" + NOBODY})).json()["data"]
        assert {row["approved"] for row in rows["contracts"]} == {False}
        assert len(rows["contracts"]) == 17
        assert (await client.get(address, params={"user": "me"})).status_code == 400
