"""Account operations in a child process: what the parent makes of it, and that nothing leaks."""

from __future__ import annotations

import ast
import asyncio
import io
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from helpers.clob.account import (
    AccountDone,
    AccountIdentity,
    AccountOutcome,
    AccountRefused,
    AccountReply,
    AccountRequest,
    AccountUnknown,
    Operation,
    redacted,
    run_account_operation,
)
from helpers.commands.approve import approve
from helpers.domain import Outcome
from helpers.settings import Settings, load_settings
from helpers.venues import Venues
from simulator.accounts import UNLIMITED_ALLOWANCE, Account
from simulator.exchange_messages import COLLATERAL
from tests.simulator.served import CONDITION, KEY, SIGNER, UP, WALLET, Running, Served, served
from tests.simulator.venue import T0

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("helpers", "strategies", "db", "simulator")
MISBEHAVING = "tests.misbehaving_child"
RELAYER_KEY = "relayer-key-c41f"
SPEED = 10.0


def identity(venues: Venues) -> AccountIdentity:
    """Return the test wallet's identity."""
    return AccountIdentity(KEY, WALLET, RELAYER_KEY, SIGNER, venues)


def misbehave(how: str, timeout_seconds: float = 20.0) -> AccountOutcome:
    """Run the child that misbehaves."""
    request = AccountRequest(identity(Venues()), "redeem", how)
    return run_account_operation(request, timeout_seconds, MISBEHAVING)


def nothing_leaks(text: str) -> bool:
    """Return whether a text holds none of the secrets, in any spelling."""
    low = text.lower()
    return KEY.removeprefix("0x").lower() not in low and RELAYER_KEY not in low


async def run(world: Served, operation: Operation, condition_id: str = "") -> AccountOutcome:
    """Run one operation of the official client in its child, against the served venue."""
    request = AccountRequest(identity(world.venue.venues()), operation, condition_id)
    return await asyncio.to_thread(run_account_operation, request)


@asynccontextmanager
async def unapproved_wallet() -> AsyncGenerator[tuple[Served, Account]]:
    """Serve the venue on running time, as approvals are waited for; nothing is approved yet."""
    async with served(Running(T0, SPEED)) as world:
        account = world.exchange.accounts.get("me")
        account.collateral_allowance = account.conditional_allowance = 0
        yield world, account


def live_settings(**changes: object) -> Settings:
    """Return settings of the test wallet."""
    values: dict[str, object] = {
        "polymarket_private_key": SecretStr(KEY),
        "polymarket_wallet": WALLET,
        "polymarket_relayer_key": SecretStr(RELAYER_KEY),
        "polymarket_relayer_address": SIGNER,
    }
    return load_settings(_env_file=None, **(values | changes))


# --- The process ----------------------------------------------------------------------------------


def test_only_the_child_imports_the_official_client() -> None:
    """The worker never carries it: no module of ours imports it, and none imports the child."""
    importers: set[str] = set()
    for path in (*ROOT.glob("*.py"), *(p for r in ROOMS for p in (ROOT / r).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            if any(n.startswith(("polymarket.", "helpers.clob.account_child")) for n in names):
                importers.add(path.relative_to(ROOT).as_posix())
            assert "polymarket" not in names, path
    assert importers == {"helpers/clob/account_child.py"}


def test_no_secret_is_in_arguments_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 11: the child's command line and environment hold nothing of ours."""
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    done = misbehave("mirror")
    assert isinstance(done, AccountDone)
    assert done.detail.startswith("argv ['")
    assert MISBEHAVING in done.detail
    assert done.detail.endswith("key [redacted]"), "what it says of the key is cut out"
    assert "POLYMARKET" not in done.detail
    assert nothing_leaks(done.detail + "".join(done.values))


def test_what_a_dying_child_says_is_told_without_secrets() -> None:
    """Its last words are kept, the key in no spelling."""
    spilled = misbehave("spill")
    assert isinstance(spilled, AccountUnknown)
    assert "ended with 3: bad key [redacted] [redacted] relayer [redacted]" in spilled.reason
    failed = misbehave("fail")
    assert isinstance(failed, AccountUnknown)
    assert "ended with 1" in failed.reason
    assert nothing_leaks(failed.reason)


def test_half_an_answer_is_unknown() -> None:
    """A reply that cannot be read says nothing of what was done (I20)."""
    assert isinstance(misbehave("half"), AccountUnknown)


def test_a_child_that_takes_too_long_is_killed_and_unknown() -> None:
    """It may have submitted: nobody knows."""
    outcome = misbehave("stall", timeout_seconds=0.5)
    assert outcome == AccountUnknown("no answer within 0.5 s")


def test_a_child_that_cannot_start_did_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no deed."""
    monkeypatch.setattr(sys, "executable", str(ROOT / "no" / "python"))
    assert isinstance(misbehave("mirror"), AccountRefused)


def test_no_message_prints_a_secret() -> None:
    """I35: neither request nor reply shows what it carries."""
    request = AccountRequest(identity(Venues()), "credentials")
    reply = AccountReply("done", "credentials", values=(KEY, RELAYER_KEY))
    done = AccountDone("", "credentials", (KEY, RELAYER_KEY))
    assert nothing_leaks(f"{request!r} {request} {reply!r} {reply} {done!r} {done}")
    assert redacted("nothing secret", ()) == "nothing secret"


# --- The official client in it, against the served venue ------------------------------------------


async def test_credentials_are_those_of_the_venue() -> None:
    """The key the venue knows the signer by comes back whole."""
    async with served() as world:
        done = await run(world, "credentials")
        accounts = world.exchange.accounts
        key = accounts.create_key(accounts.get("me"), 0)
        assert isinstance(done, AccountDone), done
        assert done.values == (key.api_key, key.secret, key.passphrase)
        assert key.secret not in f"{done} {done.detail}"


async def test_a_won_position_is_redeemed_once() -> None:
    """Submitted without waiting; what the venue holds later shows it; a repeat pays nothing."""
    async with served() as world:
        now_ns = world.time.now_ns()
        world.exchange.split("me", CONDITION, 20_000_000, now_ns)
        world.exchange.resolve(CONDITION, Outcome.UP, now_ns)
        world.advance()
        account = world.exchange.accounts.get("me")
        before = account.holding(COLLATERAL).total_micros
        for _ in range(2):
            done = await run(world, "redeem", CONDITION)
            assert isinstance(done, AccountDone), done
            assert (bool(done.transaction_id), done.detail) == (True, "redemption submitted")
            world.pass_seconds(10)
            assert account.holding(COLLATERAL).total_micros - before == 20_000_000
        assert account.holding(UP).total_micros == 0


# --- worker.py approve ----------------------------------------------------------------------------


async def test_missing_approvals_are_shown_asked_for_and_set() -> None:
    """The whole verb: 17 are missing, the wallet's characters are typed, none is missing."""
    async with unapproved_wallet() as (world, account):
        out = io.StringIO()
        typed = io.StringIO(f"{WALLET[-4:].upper()}\n")
        code = await asyncio.to_thread(approve, live_settings(), world.venue.venues(), typed, out)
        text = out.getvalue()
        assert code == 0, text
        assert account.collateral_allowance == account.conditional_allowance == UNLIMITED_ALLOWANCE
    assert f"wallet    {WALLET}, a deposit wallet\napprovals 17 missing\n" in text
    assert "collateral for standard exchange 0xE111180000d2663C0091e4f400237545B87B996B" in text
    assert text.endswith("done      approvals are set\napprovals none missing\n")
    assert nothing_leaks(text)


async def test_nothing_is_approved_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    """Other characters, or none: exit code 2, and nothing was set."""
    async with unapproved_wallet() as (world, account):
        out = io.StringIO()
        code = await asyncio.to_thread(
            approve, live_settings(), world.venue.venues(), io.StringIO("yes\n"), out
        )
        assert code == 2
        assert out.getvalue().endswith("Nothing was approved.\n")
        assert account.collateral_allowance == 0


def test_settings_that_are_missing_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """78, before any process is started."""
    for changes, name in (
        ({"polymarket_private_key": None}, "POLYMARKET_PRIVATE_KEY"),
        ({"polymarket_relayer_key": None}, "POLYMARKET_RELAYER_KEY"),
        ({"polymarket_relayer_address": ""}, "POLYMARKET_RELAYER_ADDRESS"),
        ({"polymarket_signature_type": 2}, "POLYMARKET_SIGNATURE_TYPE"),
    ):
        settings = live_settings(**changes)
        assert approve(settings, Venues(), io.StringIO(), io.StringIO()) == 78
        told = capsys.readouterr().err
        assert name in told
        assert nothing_leaks(told)


def test_a_venue_that_is_away_is_69(capsys: pytest.CaptureFixture[str]) -> None:
    """Could not read is said, and nothing is asked."""
    nowhere = Venues(data_api_rest="http://127.0.0.1:9")
    out = io.StringIO()
    assert approve(live_settings(), nowhere, io.StringIO(), out) == 69
    assert "could not read the approvals (unknown): TransportError" in capsys.readouterr().err
    assert "type" not in out.getvalue()
