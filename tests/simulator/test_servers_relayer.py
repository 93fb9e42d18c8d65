"""The relayer and the Data API: whose batches are taken, and what they do."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from coincurve import PrivateKey

from helpers.domain import Outcome
from simulator.servers.relayer import CONFIRMED_AFTER_NS, MINED_AFTER_NS
from simulator.servers.wallet_batch import (
    COLLATERAL_ADAPTERS,
    COLLATERAL_ADDRESS,
    MERGE_SELECTOR,
    BatchFields,
    CallFields,
    Merge,
    Redeem,
    Reverted,
    batch_digest,
    meaning_of,
)
from tests.simulator.served import CONDITION, KEY, SIGNER, UP, WALLET, Served, served

MINED_SECONDS = MINED_AFTER_NS / 1e9
CONFIRMED_SECONDS = CONFIRMED_AFTER_NS / 1e9
KEYS = {"RELAYER_API_KEY": "any", "RELAYER_API_KEY_ADDRESS": SIGNER}


def redeem_data(condition: str = CONDITION, sets: tuple[int, ...] = (1, 2)) -> str:
    """Return the call data of a redeem."""
    words = [
        int(COLLATERAL_ADDRESS, 16),
        0,
        int(condition, 16),
        128,
        len(sets),
        *sets,
    ]
    return "0x01b7037c" + "".join(f"{word:064x}" for word in words)


def redeem_call(condition: str = CONDITION) -> CallFields:
    """Return a redeem through the adapter."""
    return CallFields(COLLATERAL_ADAPTERS[0], "0", redeem_data(condition))


def merge_call(
    micros: int, condition: str = CONDITION, sets: tuple[int, ...] = (1, 2)
) -> CallFields:
    """Return a merge through the adapter."""
    words = [int(COLLATERAL_ADDRESS, 16), 0, int(condition, 16), 160, micros, len(sets), *sets]
    body = "".join(f"{word:064x}" for word in words)
    return CallFields(COLLATERAL_ADAPTERS[0], "0", "0x" + MERGE_SELECTOR.hex() + body)


def submission(
    *calls: CallFields, nonce: int = 0, key: str = KEY, wallet: str = WALLET
) -> dict[str, object]:
    """Return a signed body of POST /submit."""
    batch = BatchFields(wallet, "1795000600", calls)
    digest = batch_digest(batch, nonce)
    raw = PrivateKey(bytes.fromhex(key[2:])).sign_recoverable(digest, hasher=None)
    signature = "0x" + raw[:64].hex() + f"{raw[64] + 27:02x}"
    return {
        "type": "WALLET",
        "from": SIGNER,
        "to": "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07",
        "nonce": str(nonce),
        "signature": signature,
        "metadata": "",
        "depositWalletParams": msgspec.to_builtins(batch),
    }


async def submit(world: Served, body: object, **headers: str) -> httpx.Response:
    """Post a batch."""
    async with httpx.AsyncClient(base_url=world.venue.urls().relayer) as http:
        return await http.post("/submit", json=body, headers=KEYS | headers)


async def state_of(world: Served, answer: httpx.Response) -> dict[str, str]:
    """Return how a submitted batch stands."""
    async with httpx.AsyncClient(base_url=world.venue.urls().relayer) as http:
        path = f"/v1/account/transactions/{answer.json()['transactionID']}"
        return (await http.get(path)).json()


def win(world: Served) -> None:
    """Give the account 20 winning shares of a resolved market."""
    world.exchange.split("me", CONDITION, 20_000_000, world.time.now_ns())
    world.exchange.resolve(CONDITION, Outcome.UP, world.time.now_ns())
    world.advance()


async def test_redeem_pays_when_it_is_mined() -> None:
    """New, mined, confirmed; the money is there once and the nonce has moved on."""
    async with served() as world:
        win(world)
        answer = await submit(world, submission(redeem_call()))
        assert answer.json()["state"] == "STATE_NEW"
        assert world.exchange.accounts.get("me").holding("pUSD").total_micros == 980_000_000
        world.pass_seconds(MINED_SECONDS)
        assert (await state_of(world, answer))["state"] == "STATE_MINED"
        assert world.exchange.accounts.get("me").holding("pUSD").total_micros == 1_000_000_000
        world.pass_seconds(CONFIRMED_SECONDS)
        assert (await state_of(world, answer))["state"] == "STATE_CONFIRMED"
        stale = await submit(world, submission(redeem_call()))
        assert stale.json() == {"error": "batch nonce 0 does not match on-chain nonce 1"}


async def test_pairs_merge_into_dollars() -> None:
    """Up and Down together are worth a dollar at once, without a fee."""
    async with served() as world:
        world.exchange.split("me", CONDITION, 20_000_000, world.time.now_ns())
        await submit(world, submission(merge_call(15_000_000), merge_call(5_000_000)))
        world.pass_seconds(MINED_SECONDS)
        account = world.exchange.accounts.get("me")
        assert account.holding("pUSD").total_micros == 1_000_000_000
        assert account.holding(UP).total_micros == 0


@pytest.mark.parametrize(
    "calls",
    [
        (merge_call(15_000_000), merge_call(5_000_001)),
        (merge_call(1, "0x" + "cd" * 32),),
        (merge_call(1, sets=(1,)),),
        (redeem_call(), merge_call(1)),
    ],
)
async def test_merges_of_more_than_is_held_fail_whole(calls: tuple[CallFields, ...]) -> None:
    """Over all calls of a batch: what one took the next cannot have."""
    async with served() as world:
        win(world)
        answer = await submit(world, submission(*calls))
        world.pass_seconds(MINED_SECONDS)
        assert (await state_of(world, answer))["state"] == "STATE_FAILED"
        assert world.exchange.accounts.get("me").holding(UP).total_micros == 20_000_000


async def test_one_batch_at_a_time() -> None:
    """While a batch is on its way the wallet is busy."""
    async with served() as world:
        win(world)
        await submit(world, submission(redeem_call()))
        busy = await submit(world, submission(redeem_call(), nonce=1))
        assert busy.status_code == 400
        assert busy.json()["error"].startswith("wallet busy: active action")


async def test_redeem_before_the_resolution_fails_whole() -> None:
    """A batch with one impossible call does nothing, and says why."""
    async with served() as world:
        world.exchange.split("me", CONDITION, 20_000_000, world.time.now_ns())
        answer = await submit(world, submission(redeem_call()))
        world.pass_seconds(MINED_SECONDS)
        state = await state_of(world, answer)
        assert state["state"] == "STATE_FAILED"
        assert CONDITION in state["error_msg"]
        assert world.exchange.accounts.get("me").holding(UP).total_micros == 20_000_000


async def test_strangers_and_nonsense_are_refused() -> None:
    """No key, another signer, another wallet, another type, no calls, no JSON."""
    other = "0x" + "22" * 32
    async with served() as world:
        win(world)
        cases = {
            "invalid signature": submission(redeem_call(), key=other),
            "deposit wallet does not belong to the signer": submission(
                redeem_call(), wallet="0x" + "33" * 20
            ),
            "invalid payload": submission(),
            "transaction type SAFE is not supported": submission(redeem_call()) | {"type": "SAFE"},
        }
        for text, body in cases.items():
            answer = await submit(world, body)
            assert (answer.status_code, answer.json()) == (400, {"error": text})
        assert (await submit(world, [1])).json() == {"error": "invalid payload"}
        no_key = await submit(world, submission(redeem_call()), RELAYER_API_KEY="")
        assert no_key.status_code == 401
        world.pass_seconds(MINED_SECONDS)
        assert world.exchange.accounts.get("me").holding(UP).total_micros == 20_000_000


async def test_submits_are_limited_by_the_minute() -> None:
    """The 26th submit of a minute is a 429."""
    async with served() as world:
        answers = [(await submit(world, [1])).status_code for _ in range(26)]
        assert answers == [400] * 25 + [429]
        world.pass_seconds(60)
        assert (await submit(world, [1])).status_code == 400


async def test_deployed_and_params() -> None:
    """Known wallets are deployed; a new one is after its creation."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().relayer) as http:
        assert (await http.get(f"/deployed?address={WALLET}")).json() == {"deployed": True}
        assert (await http.get("/deployed?address=0x1")).json() == {"deployed": False}
        path = f"/v1/account/transactions/params?address={SIGNER}&type=WALLET"
        assert (await http.get(path)).status_code == 401
        assert (await http.get(path, headers=KEYS)).json()["nonce"] == "0"
        assert (await http.get("/v1/account/transactions/none")).status_code == 404


@pytest.mark.parametrize(
    ("target", "data", "reason"),
    [
        ("0x4D97DCd97eC945f40cF65F87097ACe5EA0476045", redeem_data(), "adapter"),
        (COLLATERAL_ADAPTERS[0], redeem_data()[:100], "cut short"),
        (COLLATERAL_ADAPTERS[0], redeem_data(sets=(1,)), "index sets"),
        (COLLATERAL_ADAPTERS[0], "0x01b7037c" + "11" * 224, "another collateral"),
        (COLLATERAL_ADAPTERS[0], "0xdeadbeef", "not simulated"),
    ],
)
def test_calls_without_meaning_revert(target: str, data: str, reason: str) -> None:
    """What the chain would not carry out says why."""
    meaning = meaning_of(CallFields(target, "0", data))
    assert isinstance(meaning, Reverted)
    assert reason in meaning.reason


def test_redeem_of_either_adapter() -> None:
    """Both deployments of the adapter redeem."""
    for target in COLLATERAL_ADAPTERS:
        assert meaning_of(CallFields(target, "0", redeem_data())) == Redeem(CONDITION)


def test_a_merge_says_how_much() -> None:
    """The amount stands before the partition."""
    assert meaning_of(merge_call(7)) == Merge(CONDITION, 7)


async def test_positions_of_a_wallet() -> None:
    """Both tokens of a resolved market are redeemable, one of them worthless."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().data_api) as http:
        win(world)
        rows = (await http.get(f"/v2/positions?user={WALLET}")).json()["data"]
        assert [(row["outcome"], row["current_price"]) for row in rows] == [("Up", 1), ("Down", 0)]
        assert all(row["redeemable"] for row in rows)
        other = f"/v2/positions?user={WALLET}&condition_id=0x1"
        assert (await http.get(other)).json()["data"] == []
        assert (await http.get("/v2/positions?user=0x" + "00" * 20)).json()["data"] == []
        assert (await http.get("/v2/positions?user=me")).status_code == 400
