"""What the account child makes of the official client's answers, in this process."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from helpers.clob.account import AccountIdentity, AccountReply, AccountRequest, Operation
from helpers.clob.account_child import NO_RELAYER_KEY, answer
from helpers.domain import Outcome
from helpers.venues import Venues
from simulator.exchange_messages import COLLATERAL
from simulator.servers.fault_seam import Answer, Close, Fate
from tests.simulator.served import CONDITION, DOWN, KEY, SIGNER, UP, WALLET, Served, served

OTHER_KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
"""The third account of the well-known test mnemonic."""
SHARES = 20_000_000


class Breaks:
    """Spoils every answer of one kind, after it was earned."""

    def __init__(self, kind: str, fate: Answer | Close) -> None:
        self.kind, self.fate = kind, fate
        self.spoiled = 0

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        if kind != self.kind:
            return payload
        self.spoiled += 1
        return self.fate

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        return None


async def run(
    world: Served,
    operation: Operation,
    condition_id: str = CONDITION,
    *,
    wait: bool = False,
    key: str = KEY,
    relayer_key: str = "any",
    relayer_address: str = SIGNER,
    venues: Venues | None = None,
) -> AccountReply:
    """Carry out one request beside the served venue."""
    where = venues or world.venue.venues()
    who = AccountIdentity(key, WALLET, relayer_key, relayer_address, where)
    return await asyncio.to_thread(answer, AccountRequest(who, operation, condition_id, wait))


def won(world: Served) -> None:
    """Give the wallet shares of both outcomes and let Up win."""
    world.exchange.split("me", CONDITION, SHARES, world.time.now_ns())
    world.exchange.resolve(CONDITION, Outcome.UP, world.time.now_ns())
    world.advance()


def held(world: Served, asset: str) -> int:
    """Return what the wallet holds on the chain."""
    return world.exchange.accounts.get("me").holding(asset).total_micros


async def test_both_outcomes_merge_into_dollars() -> None:
    """As many pairs as are held; what is left over stays, and nothing is left to merge."""
    async with served() as world:
        before = held(world, COLLATERAL)
        world.exchange.split("me", CONDITION, SHARES, world.time.now_ns())
        accounts = world.exchange.accounts
        accounts.deposit("me", UP, 1_000_000, world.time.now_ns())
        done = await run(world, "merge")
        assert (done.state, done.detail) == ("done", "merge submitted")
        world.pass_seconds(10)
        assert held(world, COLLATERAL) == before
        assert (held(world, UP), held(world, DOWN)) == (1_000_000, 0)
        again = await run(world, "merge")
        assert again.state == "refused"
        assert "no complementary positions" in again.detail


async def test_a_wrong_key_is_refused() -> None:
    """Another owner's key moves nothing, and the reason names no key."""
    async with served() as world:
        won(world)
        refused = await run(world, "redeem", key=OTHER_KEY)
        assert refused.state == "refused", refused
        assert "does not belong to the signer" in refused.detail
        assert OTHER_KEY[2:] not in refused.detail
        assert held(world, UP) == SHARES


async def test_a_key_that_is_none_is_refused() -> None:
    """Before anything is sent."""
    async with served() as world:
        refused = await run(world, "credentials", key="0x" + "zz" * 32)
        assert refused.state == "refused"
        assert "zz" * 32 not in refused.detail


@pytest.mark.parametrize("fate", [Answer(502, "bad gateway"), Answer(425, "{}"), Close()])
async def test_a_lost_answer_to_a_submission_is_unknown(fate: Answer | Close) -> None:
    """I20: an error after the deed is not a refusal; the pay-out comes."""
    faults = Breaks("relayer:POST /submit", fate)
    async with served(faults=faults) as world:
        won(world)
        before = held(world, COLLATERAL)
        unknown = await run(world, "redeem")
        assert (unknown.state, faults.spoiled) == ("unknown", 1)
        world.pass_seconds(10)
        assert held(world, COLLATERAL) == before + SHARES


async def test_a_submission_that_cannot_be_watched_is_unknown() -> None:
    """A refused look at a transaction says nothing of the transaction; its id is kept."""
    faults = Breaks("relayer:GET /v1/account/transactions/{id}", Answer(404, "{}"))
    async with served(faults=faults) as world:
        won(world)
        unknown = await run(world, "redeem", wait=True)
        assert unknown.state == "unknown"
        assert unknown.transaction_id
        assert unknown.transaction_id in unknown.detail
        world.exchange.accounts.get("me").collateral_allowance = 0
        world.pass_seconds(10)
        assert (await run(world, "approve")).state == "unknown", "it waits inside"


async def test_a_redemption_that_the_chain_reverts_is_refused() -> None:
    """Waited for, and found failed: nothing was paid."""
    body = (
        '{"transaction_id":"1","transaction_hash":"0x12","state":"STATE_FAILED","error_msg":"no"}'
    )
    faults = Breaks("relayer:GET /v1/account/transactions/{id}", Answer(200, body))
    async with served(faults=faults) as world:
        won(world)
        refused = await run(world, "redeem", wait=True)
        assert (refused.state, refused.detail.split(":")[0]) == (
            "refused",
            "TransactionFailedError",
        )
        assert refused.transaction_id


async def test_an_open_market_is_not_redeemed() -> None:
    """The client finds no closed market of that condition, and says so."""
    async with served() as world:
        refused = await run(world, "redeem", "0x" + "cd" * 32)
        assert refused.state == "refused", refused


async def test_without_a_relayer_key_the_setting_is_named() -> None:
    """A wallet of types 1 to 3 cannot act by itself; a wrong address is refused as well."""
    async with served() as world:
        assert await run(world, "redeem", relayer_key="") == AccountReply("refused", NO_RELAYER_KEY)
        wrong = await run(world, "redeem", relayer_address="0x12")
        assert (wrong.state, "relayer address" in wrong.detail) == ("refused", True)
        assert (await run(world, "credentials", relayer_key="")).state == "done"


async def test_a_refused_relayer_key_is_a_refusal_to_approve() -> None:
    """401 can only have come before the deed."""
    faults = Breaks("relayer:GET /v1/account/transactions/params", Answer(401, "{}"))
    async with served(faults=faults) as world:
        world.exchange.accounts.get("me").conditional_allowance = 0
        assert (await run(world, "approve")).state == "refused"


async def test_a_chain_that_is_away_leaves_it_unknown() -> None:
    """Approvals are read off the chain before they are set."""
    async with served() as world:
        nowhere = replace(world.venue.venues(), polygon_rpc="http://127.0.0.1:9")
        unknown = await run(world, "approve", venues=nowhere)
        assert (unknown.state, "TransportError" in unknown.detail) == ("unknown", True)


async def test_missing_approvals_are_named() -> None:
    """Dollars and tokens apart, with the contract's name."""
    async with served() as world:
        world.exchange.accounts.get("me").conditional_allowance = 0
        state = await run(world, "approvals", key="", relayer_key="")
        assert (state.state, state.detail) == ("done", "10 missing")
        first = (
            "conditional tokens for standard exchange 0xE111180000d2663C0091e4f400237545B87B996B"
        )
        assert state.values[0] == first
        world.exchange.accounts.get("me").conditional_allowance = 1
        assert (await run(world, "approvals")).values == ()
