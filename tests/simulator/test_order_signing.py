"""Signatures, hashes and credentials against vectors made with the vendor's own clients."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from coincurve import PrivateKey

from helpers.clob.wallets import checksum_address, derive_wallets, keccak256
from helpers.domain import Side
from simulator.order_signing import (
    EXCHANGE,
    SignedOrder,
    contents_hash,
    derive_credentials,
    domain_separator,
    l1_auth_is_valid,
    l2_auth_is_valid,
    l2_signature,
    order_hash,
    order_signature_is_valid,
    recover_address,
    recover_order_signer,
)
from tests.shared import shared_file

KEY = PrivateKey(bytes([7] * 32))
OWNER = checksum_address(keccak256(KEY.public_key.format(compressed=False)[1:])[12:])


def vectors() -> dict[str, Any]:
    path = shared_file("fixtures/polymarket/eip712_test_vectors.json")
    return msgspec.json.decode(path.read_bytes())


def order_of(body: dict[str, Any]) -> SignedOrder:
    order = body["order"]
    return SignedOrder(
        salt=order["salt"],
        maker=order["maker"],
        signer=order["signer"],
        token=order["tokenId"],
        maker_amount_micros=int(order["makerAmount"]),
        taker_amount_micros=int(order["takerAmount"]),
        side=Side(order["side"]),
        signature_type=order["signatureType"],
        timestamp_ms=int(order["timestamp"]),
        signature=order["signature"],
        metadata=order["metadata"],
        builder=order["builder"],
    )


def signed(digest: bytes) -> bytes:
    raw = KEY.sign_recoverable(digest, hasher=None)
    return raw[:-1] + bytes([raw[-1] + 27])


def synthetic(signature_type: int = 0) -> SignedOrder:
    wallets = derive_wallets(OWNER)
    maker = (wallets.eoa, wallets.proxy, wallets.safe, wallets.deposit_beacon)[signature_type]
    signer = maker if signature_type == 3 else OWNER
    unsigned = SignedOrder(
        1, maker, signer, "42", 1_000_000, 2_000_000, Side.BUY, signature_type, 5, "0x"
    )
    digest = keccak256(b"\x19\x01" + domain_separator() + contents_hash(unsigned))
    return msgspec.structs.replace(unsigned, signature="0x" + signed(digest).hex())


def test_every_v2_order_vector_reproduces_and_recovers():
    """Order ids and signers of all V2 vectors are the vendor's, bit for bit."""
    loaded = vectors()
    eoa = loaded["wallets"]["eoa"]
    names = [name for name in loaded if name.startswith("v2_")]
    assert len(names) == 7
    for name in names:
        vector = loaded[name]
        exchange = vector["inputs"]["exchange"]
        order = order_of(vector["post_body"])
        assert order_hash(order, exchange) == vector["order_hash"], name
        assert "0x" + domain_separator(exchange).hex() == vector["app_domain_separator"], name
        assert recover_order_signer(order, exchange) == eoa, name
        assert order_signature_is_valid(order, eoa, exchange), name


def test_wallet_vectors_reproduce():
    """All four derived wallets of the test key are the vendor's."""
    wallets = vectors()["wallets"]
    derived = derive_wallets(wallets["eoa"])
    assert derived.eoa == wallets["eoa"]
    assert derived.proxy == wallets["poly_proxy"]
    assert derived.safe == wallets["gnosis_safe"]
    assert derived.deposit_beacon == wallets["deposit_wallet_beacon"]
    assert derived.deposit_uups == wallets["deposit_wallet_uups_legacy"]


def test_l1_vector_verifies_and_any_change_fails():
    """The ClobAuth vector verifies; another nonce, time or address does not."""
    vector = vectors()["l1_auth"]
    address, signature = vector["address"], vector["signature"]
    assert l1_auth_is_valid(address, signature, str(vector["timestamp"]), 0)
    assert not l1_auth_is_valid(address, signature, str(vector["timestamp"]), 1)
    assert not l1_auth_is_valid(address, signature, "1795000001", 0)
    assert not l1_auth_is_valid(OWNER, signature, str(vector["timestamp"]), 0)


def test_l2_vectors_reproduce():
    """HMAC vectors reproduce, the order body included."""
    loaded = vectors()
    body = msgspec.json.encode(loaded["v2_poly1271_buy_limit"]["post_body"])
    for vector in loaded["l2_hmac"]:
        text = vector["body"] or ""
        raw = body if text.startswith("<") else text.encode()
        signature = l2_signature(
            vector["secret"], str(vector["timestamp"]), vector["method"], vector["path"], raw
        )
        assert signature == vector["signature"]


@pytest.mark.parametrize("signature_type", [0, 1, 2])
def test_plain_signatures_of_own_wallets_verify(signature_type: int):
    """Types 0 to 2 verify for the signer's own wallet and for nobody else."""
    order = synthetic(signature_type)
    assert order_signature_is_valid(order, OWNER)
    assert not order_signature_is_valid(order, "0x" + "11" * 20)
    foreign = msgspec.structs.replace(order, taker_amount_micros=3)
    assert not order_signature_is_valid(foreign, OWNER)


def test_wrong_wallet_or_type_is_refused():
    """A valid signature over a foreign maker or an unknown type is not accepted (I5)."""
    order = synthetic(0)
    assert not order_signature_is_valid(msgspec.structs.replace(order, signature_type=9), OWNER)
    assert not order_signature_is_valid(msgspec.structs.replace(order, signature_type=3), OWNER)


@pytest.mark.parametrize("signature", ["", "0x", "0xzz", "0x" + "00" * 65, "0x" + "ff" * 64 + "1b"])
def test_malformed_signatures_recover_nobody(signature: str):
    """Malformed signatures are answered with ``None``, never an exception."""
    order = msgspec.structs.replace(synthetic(0), signature=signature)
    assert recover_order_signer(order, EXCHANGE) is None


def test_recovery_id_outside_27_28_is_refused():
    """Only v 27 and 28 are Ethereum signatures."""
    raw = signed(bytes(32))
    assert recover_address(bytes(32), raw) == OWNER
    assert recover_address(bytes(32), raw[:-1] + b"\x00") is None


def test_fields_out_of_type_raise():
    """A field that does not fit its EIP-712 type is an error that names it."""
    order = synthetic(0)
    with pytest.raises(ValueError, match="uint256"):
        order_hash(msgspec.structs.replace(order, salt=-1))
    with pytest.raises(ValueError, match="address was"):
        order_hash(msgspec.structs.replace(order, maker="0x12"))
    with pytest.raises(ValueError, match="bytes32 was"):
        order_hash(msgspec.structs.replace(order, metadata="0x12"))


def test_l1_refuses_malformed_input():
    """Malformed L1 headers are refused, not raised."""
    assert not l1_auth_is_valid("0x12", "0x" + "00" * 65, "1", 0)
    assert not l1_auth_is_valid(OWNER, "nonsense", "1", 0)
    assert not l1_auth_is_valid(OWNER, "0x00", "1", -1)


def test_credentials_are_deterministic_and_usable():
    """The same signer and nonce give the same key; its secret signs requests; no secret in repr."""
    first = derive_credentials(OWNER, 0)
    assert first == derive_credentials(OWNER.lower(), 0)
    assert first != derive_credentials(OWNER, 1)
    signature = l2_signature(first.secret, "1", "GET", "/data/orders")
    assert l2_auth_is_valid(first.secret, "1", "GET", "/data/orders", b"", signature)
    assert not l2_auth_is_valid(first.secret, "2", "GET", "/data/orders", b"", signature)
    assert first.secret not in repr(first)
    assert first.passphrase not in repr(first)
    with pytest.raises(ValueError, match="base64"):
        l2_signature("a", "1", "GET", "/")
