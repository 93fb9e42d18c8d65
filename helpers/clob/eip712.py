"""Order ids and signatures of the CLOB, all four signature types, with everything precomputed.

On the path from decision to order: a hash and a signature cost well under 0.1 ms together
(``benchmarks.signing``). Proven against the vendor's vectors and both official clients. Must not:
show a key, in a repr, an error or an attribute (invariant 11).
"""

from __future__ import annotations

import re
from typing import Final

from coincurve import PrivateKey, PublicKey

from helpers.clob.messages import HashedOrder, OrderTerms, SignedOrder
from helpers.clob.wallets import address_bytes, checksum_address, keccak256
from helpers.domain import Side

CHAIN_ID: Final = 137
EXCHANGE: Final = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE: Final = "0xe2222d279d744050d28e00520010520000310F59"
SIGNATURE_TYPES: Final = (0, 1, 2, 3)
"""EOA, proxy, Safe, deposit wallet (reference H.1)."""
DEPOSIT_WALLET: Final = 3

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
_ZERO_WORD: Final = bytes(32)
_ZERO_TEXT: Final = "0x" + _ZERO_WORD.hex()
_KEY_DIGITS: Final = re.compile(r"[0-9a-fA-F]{64}")
_SALT_LIMIT: Final = 2**53
"""The body carries a salt as a JSON number (reference B.3): a larger one is read as another."""
_INNER_BYTES: Final = 65
_ELECTRUM_V: Final = 27
"""Ethereum writes the recovery id plus 27."""


class OrderSigner:
    """Signs orders of one wallet with one key."""

    __slots__ = (
        "_auth_separator",
        "_body_head",
        "_body_type",
        "_identity",
        "_key",
        "_separators",
        "_tails",
        "_type_word",
        "_wrapped_tail",
        "address",
        "signature_type",
        "wallet",
    )

    def __init__(self, private_key: str, wallet: str, signature_type: int) -> None:
        """Raise ``ValueError`` for a malformed key, wallet or type; the key is never quoted."""
        self._key = _private_key(private_key)
        if signature_type not in SIGNATURE_TYPES:
            raise ValueError(f"signature type was {signature_type}, expected 0, 1, 2 or 3")
        self.address = checksum_address(keccak256(self._key.public_key.format(False)[1:])[12:])
        self.wallet = checksum_address(address_bytes(wallet))
        self.signature_type = signature_type
        signer = self.wallet if signature_type == DEPOSIT_WALLET else self.address
        self._identity = _address_word(self.wallet) + _address_word(signer)
        self._type_word = _word(signature_type)
        self._separators = (_separator(EXCHANGE), _separator(NEG_RISK_EXCHANGE))
        self._wrapped_tail = (
            keccak256(b"DepositWallet")
            + keccak256(b"1")
            + _word(CHAIN_ID)
            + _address_word(self.wallet)
            + _ZERO_WORD
        )
        type_tail = _ORDER_TYPE + len(_ORDER_TYPE).to_bytes(2, "big")
        self._tails = type_tail.hex()
        self._auth_separator = keccak256(
            keccak256(_AUTH_DOMAIN_TYPE)
            + keccak256(b"ClobAuthDomain")
            + keccak256(b"1")
            + _word(CHAIN_ID)
        )
        self._body_head = f'"maker":"{self.wallet}","signer":"{signer}","tokenId":"'
        self._body_type = f'"signatureType":{signature_type},"timestamp":"'

    def __repr__(self) -> str:
        """Return who signs for which wallet; never the key."""
        return f"OrderSigner({self.address} for {self.wallet}, type {self.signature_type})"

    def hash(self, terms: OrderTerms) -> HashedOrder:
        """Return an order's id and what is to be signed of it (reference J.1, J.2, J.3).

        Raises ``ValueError`` for a token that is not written in plain digits or a salt of more than
        53 bits, as the venue would read another order than the one hashed; ``OverflowError`` for a
        number that is no uint256.
        """
        token = terms.token
        if not (token.isascii() and token.isdigit()):
            raise ValueError(f"token was {token!r}, expected decimal digits")
        if terms.salt >= _SALT_LIMIT:
            raise ValueError(f"salt was {terms.salt}, expected less than 2**53")
        contents = keccak256(
            _ORDER_TYPE_HASH
            + terms.salt.to_bytes(32, "big")
            + self._identity
            + int(token).to_bytes(32, "big")
            + terms.maker_micros.to_bytes(32, "big")
            + terms.taker_micros.to_bytes(32, "big")
            + (_SELL_WORD if terms.side is Side.SELL else _ZERO_WORD)
            + self._type_word
            + terms.timestamp_ms.to_bytes(32, "big")
            + _ZERO_WORD
            + _ZERO_WORD
        )
        separator = self._separators[terms.neg_risk]
        digest = keccak256(b"\x19\x01" + separator + contents)
        order_id = "0x" + digest.hex()
        if self.signature_type == DEPOSIT_WALLET:
            wrapped = keccak256(_WRAPPED_TYPE_HASH + contents + self._wrapped_tail)
            digest = keccak256(b"\x19\x01" + separator + wrapped)
        return HashedOrder(terms, order_id, digest, contents)

    def signature(self, hashed: HashedOrder) -> str:
        """Return the signature of an order, 0x and hex digits, as the venue wants it."""
        plain = self._sign(hashed.digest)
        if self.signature_type != DEPOSIT_WALLET:
            return "0x" + plain
        separator = self._separators[hashed.terms.neg_risk].hex()
        return f"0x{plain}{separator}{hashed.contents_hash.hex()}{self._tails}"

    def verifies(self, hashed: HashedOrder, signature: str) -> bool:
        """Return whether a signature of ours recovers to our address."""
        raw = bytes.fromhex(signature[2:])[:_INNER_BYTES]
        recoverable = raw[:-1] + bytes((raw[-1] - _ELECTRUM_V,))
        found = PublicKey.from_signature_and_message(recoverable, hashed.digest, hasher=None)
        address = checksum_address(keccak256(found.format(compressed=False)[1:])[12:])
        return address == self.address

    def sign(self, hashed: HashedOrder, owner_api_key: str) -> SignedOrder:
        """Return the order ready to be sent: the exact bytes of POST /order (reference B.3)."""
        terms = hashed.terms
        post_only = "true" if terms.post_only else "false"
        body = (
            f'{{"order":{{"salt":{terms.salt},{self._body_head}{terms.token}",'
            f'"makerAmount":"{terms.maker_micros}","takerAmount":"{terms.taker_micros}",'
            f'"side":"{terms.side.value}","expiration":"{terms.expiration_seconds}",'
            f'{self._body_type}{terms.timestamp_ms}","metadata":"{_ZERO_TEXT}",'
            f'"builder":"{_ZERO_TEXT}","signature":"{self.signature(hashed)}"}},'
            f'"owner":"{owner_api_key}","orderType":"{terms.order_type.value}",'
            f'"deferExec":false,"postOnly":{post_only}}}'
        )
        return SignedOrder(hashed.order_id, body.encode())

    def sign_authentication(self, timestamp_seconds: int, nonce: int) -> str:
        """Return the signature of the ClobAuth message (reference A.5)."""
        message = keccak256(
            keccak256(_AUTH_TYPE)
            + _address_word(self.address)
            + keccak256(str(timestamp_seconds).encode())
            + _word(nonce)
            + keccak256(_AUTH_MESSAGE)
        )
        return "0x" + self._sign(keccak256(b"\x19\x01" + self._auth_separator + message))

    def _sign(self, digest: bytes) -> str:
        raw = self._key.sign_recoverable(digest, hasher=None)
        return (raw[:-1] + bytes((raw[-1] + _ELECTRUM_V,))).hex()


def _private_key(text: str) -> PrivateKey:
    digits = text.removeprefix("0x").removeprefix("0X")
    # Checked here, as bytes.fromhex skips spaces and a short key is padded to another key.
    if _KEY_DIGITS.fullmatch(digits) is None:
        raise ValueError(f"private key had {len(digits)} characters, expected 64 hex digits")
    try:
        return PrivateKey(bytes.fromhex(digits))
    except ValueError:
        # From nothing: the library's own text may quote what it was given.
        raise ValueError("private key was no valid key, expected 64 hex digits") from None


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address_word(address: str) -> bytes:
    return address_bytes(address).rjust(32, b"\0")


def _separator(exchange: str) -> bytes:
    return keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(b"Polymarket CTF Exchange")
        + keccak256(b"2")
        + _word(CHAIN_ID)
        + _address_word(exchange)
    )


_SELL_WORD: Final = _word(1)
_ORDER_TYPE_HASH: Final = keccak256(_ORDER_TYPE)
_WRAPPED_TYPE_HASH: Final = keccak256(_WRAPPED_TYPE)
