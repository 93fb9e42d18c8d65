"""L1 and L2 headers: valid ones pass, each changed part is a 401."""

from __future__ import annotations

import msgspec
import pytest

from helpers.domain import NS_PER_SECOND
from simulator import refusals
from simulator.accounts import Accounts
from simulator.authentication import L1Headers, L2Headers, l1_nonce, l2_account
from simulator.order_signing import l2_signature
from tests.shared import shared_file

NOW_SECONDS = 1_795_000_000
NOW_NS = NOW_SECONDS * NS_PER_SECOND
SIGNER = "0x" + "ab" * 20
BODY = b'{"orderID":"0x1"}'


def signed_in() -> tuple[Accounts, L2Headers]:
    accounts = Accounts()
    account = accounts.open("ann", signer=SIGNER)
    key = accounts.create_key(account, 0)
    signature = l2_signature(key.secret, str(NOW_SECONDS), "DELETE", "/order", BODY)
    return accounts, L2Headers(SIGNER, signature, str(NOW_SECONDS), key.api_key, key.passphrase)


def test_a_valid_l2_request_is_its_accounts():
    """The right key, passphrase, address, time and signature name the account."""
    accounts, headers = signed_in()
    found = l2_account(accounts, headers, "DELETE", "/order", BODY, NOW_NS, 60)
    assert found is accounts.get("ann")
    assert headers.passphrase not in repr(headers)


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "0x" + "cd" * 20},
        {"signature": "x"},
        {"timestamp": "1795000001"},
        {"timestamp": "soon"},
        {"api_key": "x"},
        {"passphrase": "x"},
    ],
)
def test_any_wrong_l2_header_is_unauthorized(changes: dict[str, str]):
    """Each header is checked (reference B.4: 401)."""
    accounts, headers = signed_in()
    wrong = msgspec.structs.replace(headers, **changes)
    found = l2_account(accounts, wrong, "DELETE", "/order", BODY, NOW_NS)
    assert found == refusals.INVALID_API_KEY


def test_another_request_or_a_late_one_is_unauthorized():
    """The signature covers method, path and body; the clock may be checked."""
    accounts, headers = signed_in()
    for method, path, body in (
        ("POST", "/order", BODY),
        ("DELETE", "/x", BODY),
        ("DELETE", "/order", b""),
    ):
        assert l2_account(accounts, headers, method, path, body, NOW_NS) == refusals.INVALID_API_KEY
    late_ns = NOW_NS + 61 * NS_PER_SECOND
    late = l2_account(accounts, headers, "DELETE", "/order", BODY, late_ns, 60)
    assert late == refusals.INVALID_API_KEY


def test_l1_headers_give_the_nonce_or_401():
    """The recorded L1 signature passes; a changed nonce, a word or no signature do not."""
    vector = msgspec.json.decode(
        shared_file("fixtures/polymarket/eip712_test_vectors.json").read_bytes()
    )["l1_auth"]
    headers = L1Headers(vector["address"], vector["signature"], str(vector["timestamp"]), "0")
    assert l1_nonce(headers, NOW_NS, 60) == 0
    for changes in ({"nonce": "1"}, {"nonce": ""}, {"nonce": "-1"}, {"signature": ""}):
        wrong = msgspec.structs.replace(headers, **changes)
        assert l1_nonce(wrong, NOW_NS) == refusals.INVALID_L1
