"""What the venue verifies: order hashes and signatures, L1 and L2 authentication, credentials.

Written from the protocol reference (A.5, J) apart from the live client's signing, so that each is
a test of the other. It never signs and never holds a private key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from coincurve import PublicKey

from helpers.clob.wallets import address_bytes, checksum_address, derive_wallets, keccak256
from helpers.domain import Message, Side

CHAIN_ID: Final = 137
EXCHANGE: Final = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE: Final = "0xe2222d279d744050d28e00520010520000310F59"
BYTES32_ZERO: Final = "0x" + "00" * 32
SIGNATURE_TYPES: Final = (0, 1, 2, 3)
"""EOA, proxy, Safe, deposit wallet (protocol reference H.1)."""
DEPOSIT_SIGNATURE_TYPE: Final = 3

_ORDER_TYPE: Final = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,"
    b"bytes32 builder)"
)
_WRAPPED_TYPE: Final = (
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,"
    b"address verifyingContract,bytes32 salt)" + _ORDER_TYPE
)
_DOMAIN_TYPE: Final = (
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_AUTH_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId)"
_AUTH_TYPE: Final = b"ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_AUTH_MESSAGE: Final = b"This message attests that I control the given wallet"
_ORDER_TYPE_HASH: Final = keccak256(_ORDER_TYPE)
_WRAPPED_TYPE_HASH: Final = keccak256(_WRAPPED_TYPE)
_INNER_SIGNATURE_BYTES: Final = 65
_WORD_BYTES: Final = 32
_ELECTRUM_V: Final = 27
"""Ethereum writes the recovery id plus 27."""


class SignedOrder(Message, frozen=True):
    """The signed part of POST /order, as sent (protocol reference B.3)."""

    salt: int
    maker: str
    signer: str
    token: str
    maker_amount_micros: int
    taker_amount_micros: int
    side: Side
    signature_type: int
    timestamp_ms: int
    signature: str
    expiration_seconds: int = 0
    metadata: str = BYTES32_ZERO
    builder: str = BYTES32_ZERO


class Credentials(Message, frozen=True):
    """API credentials of one signer."""

    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"Credentials(api_key={self.api_key!r}, secret=..., passphrase=...)"


def domain_separator(exchange: str = EXCHANGE, version: str = "2") -> bytes:
    """Return the EIP-712 domain separator of an exchange contract (reference J.1)."""
    return keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(b"Polymarket CTF Exchange")
        + keccak256(version.encode())
        + _uint(CHAIN_ID)
        + _uint(int.from_bytes(address_bytes(exchange), "big"))
    )


def contents_hash(order: SignedOrder) -> bytes:
    """Return the struct hash of an order; raise ``ValueError`` for a field out of its type."""
    return keccak256(
        _ORDER_TYPE_HASH
        + _uint(order.salt)
        + _address(order.maker)
        + _address(order.signer)
        + _uint(int(order.token))
        + _uint(order.maker_amount_micros)
        + _uint(order.taker_amount_micros)
        + _uint(0 if order.side is Side.BUY else 1)
        + _uint(order.signature_type)
        + _uint(order.timestamp_ms)
        + _bytes32(order.metadata)
        + _bytes32(order.builder)
    )


def order_hash(order: SignedOrder, exchange: str = EXCHANGE) -> str:
    """Return the order id: the EIP-712 hash of the order, for all types (reference J.3)."""
    return "0x" + _order_digest(order, exchange).hex()


def recover_order_signer(order: SignedOrder, exchange: str = EXCHANGE) -> str | None:
    """Return the address that signed an order, ``None`` when the signature is malformed.

    Type 3 is unwrapped as ERC-7739 describes it: inner signature, domain separator, contents hash,
    type string and its length must all be this order's (reference J.2).
    """
    raw = _hex_bytes(order.signature)
    if raw is None:
        return None
    if order.signature_type != DEPOSIT_SIGNATURE_TYPE:
        return recover_address(_order_digest(order, exchange), raw)
    separator = domain_separator(exchange)
    contents = contents_hash(order)
    tail = separator + contents + _ORDER_TYPE + len(_ORDER_TYPE).to_bytes(2, "big")
    if raw[_INNER_SIGNATURE_BYTES:] != tail:
        return None
    wrapped = keccak256(
        _WRAPPED_TYPE_HASH
        + contents
        + keccak256(b"DepositWallet")
        + keccak256(b"1")
        + _uint(CHAIN_ID)
        + _address(order.signer)
        + bytes(_WORD_BYTES)
    )
    digest = keccak256(b"\x19\x01" + separator + wrapped)
    return recover_address(digest, raw[:_INNER_SIGNATURE_BYTES])


def order_signature_is_valid(order: SignedOrder, owner: str, exchange: str = EXCHANGE) -> bool:
    """Return whether ``owner`` (the key's address) signed the order for a wallet that is its own.

    Which maker and signer each type needs: reference H.1.
    """
    if order.signature_type not in SIGNATURE_TYPES:
        return False
    recovered = recover_order_signer(order, exchange)
    if recovered is None or recovered.lower() != owner.lower():
        return False
    wallets = derive_wallets(owner)
    maker, signer = order.maker.lower(), order.signer.lower()
    if order.signature_type == DEPOSIT_SIGNATURE_TYPE:
        deposits = (wallets.deposit_beacon.lower(), wallets.deposit_uups.lower())
        return maker == signer and maker in deposits
    expected = (wallets.eoa, wallets.proxy, wallets.safe)[order.signature_type]
    return maker == expected.lower() and signer == wallets.eoa.lower()


def recover_address(digest: bytes, signature: bytes) -> str | None:
    """Return the address behind a 65-byte r, s, v signature, ``None`` when it is malformed."""
    if len(signature) != _INNER_SIGNATURE_BYTES:
        return None
    recovery_id = signature[-1] - _ELECTRUM_V
    if recovery_id not in (0, 1):
        return None
    try:
        key = PublicKey.from_signature_and_message(
            signature[:-1] + bytes([recovery_id]), digest, hasher=None
        )
    except ValueError:  # No curve point belongs to this r: not a signature at all.
        return None
    return checksum_address(keccak256(key.format(compressed=False)[1:])[12:])


def l1_auth_is_valid(address: str, signature: str, timestamp: str, nonce: int) -> bool:
    """Return whether ``address`` signed this ClobAuth message (reference A.5)."""
    raw = _hex_bytes(signature)
    if raw is None or nonce < 0:
        return False
    try:
        owner = _address(address)
    except ValueError:
        return False
    domain = keccak256(
        keccak256(_AUTH_DOMAIN_TYPE)
        + keccak256(b"ClobAuthDomain")
        + keccak256(b"1")
        + _uint(CHAIN_ID)
    )
    message = keccak256(
        keccak256(_AUTH_TYPE)
        + owner
        + keccak256(timestamp.encode())
        + _uint(nonce)
        + keccak256(_AUTH_MESSAGE)
    )
    recovered = recover_address(keccak256(b"\x19\x01" + domain + message), raw)
    return recovered is not None and recovered.lower() == address.lower()


def l2_signature(secret: str, timestamp: str, method: str, path: str, body: bytes = b"") -> str:
    """Return the L2 HMAC of a request (reference A.5); raise ``ValueError`` for a bad secret.

    The path is without its query string, the body exactly the bytes sent.
    """
    try:
        key = base64.urlsafe_b64decode(secret)
    except binascii.Error as error:
        raise ValueError("API secret was not url-safe base64") from error
    signed = f"{timestamp}{method}{path}".encode() + body
    return base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).decode()


def l2_auth_is_valid(
    secret: str, timestamp: str, method: str, path: str, body: bytes, signature: str
) -> bool:
    """Return whether an L2 signature belongs to this request."""
    expected = l2_signature(secret, timestamp, method, path, body)
    return hmac.compare_digest(expected.encode(), signature.encode())


def derive_credentials(address: str, nonce: int) -> Credentials:
    """Return the credentials of a signer and nonce: the same pair gives the same key (A.5)."""
    seed = hashlib.sha512(f"simulated credentials {address.lower()} {nonce}".encode()).digest()
    key = seed[:16].hex()
    return Credentials(
        api_key=f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}",
        secret=base64.urlsafe_b64encode(seed[16:48]).decode(),
        passphrase=hashlib.sha256(seed).hexdigest(),
    )


def _order_digest(order: SignedOrder, exchange: str) -> bytes:
    return keccak256(b"\x19\x01" + domain_separator(exchange) + contents_hash(order))


def _uint(value: int) -> bytes:
    try:
        return value.to_bytes(_WORD_BYTES, "big")
    except OverflowError as error:
        raise ValueError(f"integer was {value}, expected a uint256") from error


def _address(address: str) -> bytes:
    return address_bytes(address).rjust(_WORD_BYTES, b"\0")


def _bytes32(text: str) -> bytes:
    raw = _hex_bytes(text)
    if raw is None or len(raw) != _WORD_BYTES:
        raise ValueError(f"bytes32 was {text!r}, expected 0x and 64 hex digits")
    return raw


def _hex_bytes(text: str) -> bytes | None:
    if text[:2] not in ("0x", "0X"):
        return None
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return None
