"""L1 and L2 headers against the published vectors; secrets that never show."""

from __future__ import annotations

import io
import json
import pprint

import pytest

from helpers.clob.auth import ApiCredentials, RequestAuth, l1_headers
from helpers.clob.eip712 import OrderSigner
from simulator.order_signing import l1_auth_is_valid, l2_auth_is_valid
from tests.shared import shared_file

KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
"""The second account of the well-known test mnemonic, which nobody may ever fund."""
EOA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SECONDS = 1_795_000_000


def logged_in(secret: str = SECRET) -> RequestAuth:
    auth = RequestAuth(EOA)
    auth.log_in(ApiCredentials("the-key", secret, "the-words"))
    return auth


def test_the_published_l1_headers() -> None:
    """Reference J.4, vector 9; the simulated venue takes it, and no other nonce."""
    headers = l1_headers(OrderSigner(KEY, EOA, 0), SECONDS)
    signature = (
        "0x50553c00ecbb24de5bed0beff00bd2a0c1d6b518a5b7aee75781b2a57ebcd0e4"
        "4f589f247a0564b4065bd9d9f3540961081141e2dff2e41c0e998bd82b39873c1c"
    )
    assert headers == {
        "POLY_ADDRESS": EOA,
        "POLY_SIGNATURE": signature,
        "POLY_TIMESTAMP": str(SECONDS),
        "POLY_NONCE": "0",
    }
    assert l1_auth_is_valid(EOA, signature, str(SECONDS), 0)
    assert not l1_auth_is_valid(EOA, signature, str(SECONDS), 1)


def test_l1_is_the_keys_own_address_for_any_wallet() -> None:
    """Reference H.1: POLY_ADDRESS is the signer also where a contract holds the money."""
    wallet = "0x4Fe2CC4925607a473264FA89e7138075695A5F8e"
    assert l1_headers(OrderSigner(KEY, wallet, 3), SECONDS, 7) == l1_headers(
        OrderSigner(KEY, EOA, 0), SECONDS, 7
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "signature"),
    [
        (
            "POST",
            "/v1/heartbeats",
            b'{"heartbeat_id":""}',
            "mJUuXjAS11bCxaD0Hhx180R3yTlLbzkVhH39lI8OPCM=",
        ),
        ("GET", "/data/orders", b"", "6AF9fcNee7BL_3xi4SXXYr3Pwyekz27b2AIgFg0GMkM="),
    ],
)
def test_the_published_l2_headers(method: str, path: str, body: bytes, signature: str) -> None:
    """Reference J.4, vector 10; the simulated venue takes it for these bytes alone."""
    assert logged_in().headers(SECONDS, method, path, body) == {
        "POLY_ADDRESS": EOA,
        "POLY_API_KEY": "the-key",
        "POLY_PASSPHRASE": "the-words",
        "POLY_TIMESTAMP": str(SECONDS),
        "POLY_SIGNATURE": signature,
    }
    assert l2_auth_is_valid(SECRET, str(SECONDS), method, path, body, signature)
    assert not l2_auth_is_valid(SECRET, str(SECONDS), method, path, body + b" ", signature)


def test_authentication_vectors() -> None:
    """Every L1 and L2 vector of the fixtures, a whole order's body among them."""
    vectors = json.loads(shared_file("fixtures/polymarket/eip712_test_vectors.json").read_text())
    first = vectors["l1_auth"]
    headers = l1_headers(OrderSigner(KEY, EOA, 0), first["timestamp"], first["nonce"])
    assert headers["POLY_SIGNATURE"] == first["signature"]
    for second in vectors["l2_hmac"]:
        body = (second["body"] or "").encode()
        if body.startswith(b"<"):
            whole = vectors["v2_poly1271_buy_limit"]["post_body"]
            body = json.dumps(whole, separators=(",", ":")).encode()
            assert len(body) == second["body_len"]
        auth = logged_in(second["secret"])
        found = auth.headers(second["timestamp"], second["method"], second["path"], body)
        assert found["POLY_SIGNATURE"] == second["signature"]


def test_both_spellings_of_base64_are_one_secret() -> None:
    """Both official clients read both, so a secret that works there works here."""
    ours = [logged_in(text).headers(SECONDS, "GET", "/a") for text in ("-_-_", "+/+/")]
    assert ours[0] == ours[1]


@pytest.mark.parametrize(
    "secret",
    ["", "****", "====", "AAEC AwQ=", SECRET + "\n", "AAECAwQFBgcIC", "\u00e9" * 4, "not*base64"],
)
def test_a_bad_secret_is_refused_without_being_quoted(secret: str) -> None:
    """The decoder alone skips what it does not know and would sign with half a secret."""
    auth = RequestAuth(EOA)
    with pytest.raises(ValueError, match="API secret was not url-safe base64") as caught:
        auth.log_in(ApiCredentials("k", secret, "p"))
    assert caught.value.__cause__ is None
    assert not secret or secret not in f"{caught.value.__context__!r}"
    assert auth.api_key == ""


def test_nothing_shows_a_secret() -> None:
    """Invariant 11: no text of signer, credentials or authentication holds one."""
    credentials = ApiCredentials("the-key", SECRET, "the-words")
    printed = io.StringIO()
    for shown in (OrderSigner(KEY, EOA, 3), credentials, logged_in()):
        printed.write(f"{shown} {shown!r} {[shown]} ")
        pprint.pprint(shown, stream=printed)
    printed.write(repr(credentials.__rich_repr__()))
    for secret in (KEY[2:], str(int(KEY, 16)), "the-key", "AAECAw", "the-words"):
        assert secret not in printed.getvalue()
