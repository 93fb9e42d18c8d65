"""The CLOB's key endpoints: who may have, list and delete keys, and who is told of a ban."""

from __future__ import annotations

import httpx
import pytest

from helpers.clob.auth import l1_headers
from helpers.clob.eip712 import OrderSigner
from helpers.domain import NS_PER_SECOND
from simulator.accounts import API_KEYS_MAX
from tests.simulator.served import KEY, WALLET, Served, l2_headers, served

STRANGER = "0x" + "11" * 32
KEYS, BAN, ONE_KEY = "/auth/api-keys", "/auth/ban-status/closed-only", "/auth/api-key"


async def signed(
    world: Served,
    method: str,
    path: str,
    *,
    nonce: int = 0,
    changed: dict[str, str] | None = None,
) -> httpx.Response:
    """Send an L2 request of the test key, with some headers changed."""
    headers = l2_headers(world, method, path, nonce=nonce) | (changed or {})
    async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        return await http.request(method, path, headers=headers)


async def asked(
    world: Served, method: str, path: str, nonce: int, key: str = KEY
) -> httpx.Response:
    """Send an L1 request of a key for the credentials of a nonce."""
    signer = OrderSigner(key, WALLET, 3)
    headers = l1_headers(signer, world.time.now_ns() // NS_PER_SECOND, nonce)
    async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
        return await http.request(method, path, headers=headers)


async def test_every_key_of_the_account_is_listed_until_it_is_deleted() -> None:
    """Keys come in the order they were made, and only the one that signs is deleted."""
    async with served() as world:
        first, second = [
            (await asked(world, "POST", ONE_KEY, nonce)).json()["apiKey"] for nonce in (0, 1)
        ]
        assert (await signed(world, "GET", KEYS)).json() == {"apiKeys": [first, second]}
        assert (await signed(world, "DELETE", ONE_KEY, nonce=1)).json() == "OK"
        assert (await signed(world, "GET", KEYS)).json() == {"apiKeys": [first]}


async def test_a_stranger_does_not_see_the_keys_of_others() -> None:
    """Somebody else's new key lists itself alone."""
    async with served() as world:
        await signed(world, "GET", KEYS)
        made = (await asked(world, "POST", ONE_KEY, 0, STRANGER)).json()["apiKey"]
        stranger = OrderSigner(STRANGER, WALLET, 3).address
        account = world.exchange.accounts.by_signer(stranger)
        assert account is not None
        assert account.api_keys == [made]
        assert made not in (await signed(world, "GET", KEYS)).json()["apiKeys"]


@pytest.mark.parametrize(("method", "path"), [("GET", KEYS), ("GET", BAN), ("DELETE", ONE_KEY)])
@pytest.mark.parametrize(
    "changed",
    [
        {"POLY_API_KEY": "other"},
        {"POLY_PASSPHRASE": ""},
        {"POLY_SIGNATURE": "AAAA"},
        {"POLY_TIMESTAMP": "1"},
        {"POLY_ADDRESS": "0x" + "00" * 20},
    ],
)
async def test_who_does_not_prove_who_he_is_learns_and_changes_nothing(
    method: str, path: str, changed: dict[str, str]
) -> None:
    """The same 401 everywhere, and the key is still there."""
    async with served() as world:
        answer = await signed(world, method, path, changed=changed)
        assert (answer.status_code, answer.json()) == (
            401,
            {"error": "Unauthorized/Invalid api key"},
        )
        assert (await signed(world, "GET", KEYS)).status_code == 200


async def test_a_signature_is_good_for_its_own_request_only() -> None:
    """Headers made for listing keys delete none."""
    async with served() as world:
        headers = l2_headers(world, "GET", KEYS)
        async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
            assert (await http.delete(ONE_KEY, headers=headers)).status_code == 401
            assert (await http.get(KEYS, headers=headers)).status_code == 200


async def test_a_closed_only_account_is_told_so() -> None:
    """The ban is of the account, so every key of it is told."""
    async with served() as world:
        assert (await signed(world, "GET", BAN)).json() == {"closed_only": False}
        world.exchange.accounts.get("me").closed_only = True
        for nonce in (0, 1):
            assert (await signed(world, "GET", BAN, nonce=nonce)).json() == {"closed_only": True}


async def test_credentials_are_made_once_and_derived_after() -> None:
    """A key that exists is a 400 to create; deriving gives it again, and nothing before (A.5)."""
    async with served() as world:
        assert (await asked(world, "GET", "/auth/derive-api-key", 5)).status_code == 400
        made = await asked(world, "POST", ONE_KEY, 5)
        assert made.status_code == 200
        again = await asked(world, "POST", ONE_KEY, 5)
        assert (again.status_code, again.json()) == (400, {"error": "Could not create api key"})
        derived = await asked(world, "GET", "/auth/derive-api-key", 5)
        assert derived.json() == made.json()


async def test_keys_are_bounded() -> None:
    """An account has so many keys and no more."""
    async with served() as world:
        account = world.exchange.accounts.get("me")
        for nonce in range(API_KEYS_MAX):
            world.exchange.accounts.create_key(account, nonce)
        answer = await asked(world, "POST", ONE_KEY, API_KEYS_MAX)
        assert (answer.status_code, answer.json()) == (400, {"error": "Too many api keys"})
        assert len(account.api_keys) == API_KEYS_MAX
