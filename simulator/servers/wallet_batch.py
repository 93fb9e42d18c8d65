"""Batches of calls a deposit wallet signs for the relayer: hash, signer, meaning (H.4, H.5)."""

from __future__ import annotations

from typing import Final

import msgspec

from helpers.clob.wallets import address_bytes, keccak256
from helpers.domain import Message
from simulator.order_signing import CHAIN_ID, recover_address

COLLATERAL_ADAPTERS: Final = (
    "0xAdA100Db00Ca00073811820692005400218FcE1f",
    "0xADa100874d00e3331D00F2007a9c336a65009718",
)
"""CtfCollateralAdapter, now and before."""
COLLATERAL_ADDRESS: Final = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
REDEEM_SELECTOR: Final = bytes.fromhex("01b7037c")
MERGE_SELECTOR: Final = keccak256(b"mergePositions(address,bytes32,bytes32,uint256[],uint256)")[:4]
APPROVE_SELECTOR: Final = keccak256(b"approve(address,uint256)")[:4]
APPROVE_ALL_SELECTOR: Final = keccak256(b"setApprovalForAll(address,bool)")[:4]
CALLS_MAX: Final = 64
_WORD: Final = 32
_REDEEM_WORDS_MIN: Final = 3
_MERGE_WORDS_MIN: Final = 5
_INDEX_SETS: Final = (1, 2)

_CALL_TYPE: Final = b"Call(address target,uint256 value,bytes data)"
_BATCH_TYPE: Final = (
    b"Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + _CALL_TYPE
)
_DOMAIN_TYPE: Final = (
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


class CallFields(Message, frozen=True):
    """One call, as sent: numbers are decimal text, data is hex."""

    target: str
    value: str
    data: str


class BatchFields(Message, frozen=True):
    """``depositWalletParams`` of POST /submit."""

    depositWallet: str  # noqa: N815 - the wire's name
    deadline: str
    calls: tuple[CallFields, ...]


class SubmitRequest(Message, frozen=True):
    """The body of POST /submit for a deposit wallet."""

    type: str
    sender: str = msgspec.field(name="from")
    to: str = ""
    nonce: str = "0"
    signature: str = ""
    metadata: str = ""
    depositWalletParams: BatchFields | None = None  # noqa: N815 - the wire's name


class Redeem(Message, frozen=True):
    """Turn a market's tokens into dollars."""

    condition_id: str


class Merge(Message, frozen=True):
    """Turn as many shares of both of a market's tokens into dollars."""

    condition_id: str
    micros: int


class Approve(Message, frozen=True):
    """Allow a contract to move dollars (``collateral``) or tokens."""

    collateral: bool


class Reverted(Message, frozen=True):
    """A call that the chain would not carry out, and why."""

    reason: str


Meaning = Redeem | Merge | Approve | Reverted


def batch_digest(batch: BatchFields, nonce: int) -> bytes:
    """Return what a wallet's owner signs (reference H.4).

    Raises ``ValueError`` for an address, number or data that is none.
    """
    domain = keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(b"DepositWallet")
        + keccak256(b"1")
        + _uint(CHAIN_ID)
        + _address(batch.depositWallet)
    )
    message = keccak256(
        keccak256(_BATCH_TYPE)
        + _address(batch.depositWallet)
        + _uint(nonce)
        + _uint(int(batch.deadline))
        + keccak256(b"".join(_call_hash(call) for call in batch.calls))
    )
    return keccak256(b"\x19\x01" + domain + message)


def batch_signer(batch: BatchFields, nonce: int, signature: str) -> str | None:
    """Return who signed a batch, ``None`` for a malformed signature.

    Raises ``ValueError`` for an address, number or data that is none.
    """
    return recover_address(batch_digest(batch, nonce), _hex(signature))


def meaning_of(call: CallFields) -> Meaning:
    """Return what a call does; one the simulation has no contract for is reverted."""
    data = _hex(call.data)
    selector, words = data[:4], data[4:]
    if selector == REDEEM_SELECTOR:
        return _redeem(call.target, words)
    if selector == MERGE_SELECTOR:
        return _merge(call.target, words)
    if selector in (APPROVE_SELECTOR, APPROVE_ALL_SELECTOR):
        return Approve(selector == APPROVE_SELECTOR)
    return Reverted(f"call {selector.hex()} of {call.target} is not simulated")


def _redeem(target: str, words: bytes) -> Meaning:
    problem = _problem("redeem", target, words, _REDEEM_WORDS_MIN)
    if problem is not None:
        return problem
    if _array(words, 4) != _INDEX_SETS:
        return Reverted("redeem index sets were others, expected 1 and 2")
    return Redeem(_condition(words))


def _merge(target: str, words: bytes) -> Meaning:
    problem = _problem("merge", target, words, _MERGE_WORDS_MIN)
    if problem is not None:
        return problem
    if _array(words, 5) != _INDEX_SETS:
        return Reverted("merge partition was another, expected 1 and 2")
    return Merge(_condition(words), _numbers(words[4 * _WORD : 5 * _WORD])[0])


def _problem(verb: str, target: str, words: bytes, words_min: int) -> Reverted | None:
    if target.lower() not in {adapter.lower() for adapter in COLLATERAL_ADAPTERS}:
        # Sent straight to ConditionalTokens it would pay 0 without an error (reference H.5).
        return Reverted(f"{verb} was sent to {target}, expected the collateral adapter")
    if len(words) < words_min * _WORD:
        return Reverted(f"{verb} arguments were cut short")
    if words[_WORD - 20 : _WORD] != address_bytes(COLLATERAL_ADDRESS):
        return Reverted(f"{verb} named another collateral, expected pUSD")
    return None


def _condition(words: bytes) -> str:
    return "0x" + words[2 * _WORD : 3 * _WORD].hex()


def _array(words: bytes, at_word: int) -> tuple[int, ...]:
    count, *values = _numbers(words[at_word * _WORD :]) or (0,)
    return tuple(values[:count])


def _numbers(words: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(words[start : start + _WORD], "big") for start in range(0, len(words), _WORD)
    )


def _call_hash(call: CallFields) -> bytes:
    return keccak256(
        keccak256(_CALL_TYPE)
        + _address(call.target)
        + _uint(int(call.value))
        + keccak256(_hex(call.data))
    )


def _uint(value: int) -> bytes:
    try:
        return value.to_bytes(_WORD, "big")
    except OverflowError as error:
        raise ValueError(f"integer was {value}, expected a uint256") from error


def _address(address: str) -> bytes:
    return address_bytes(address).rjust(_WORD, b"\0")


def _hex(text: str) -> bytes:
    if text[:2] != "0x":
        raise ValueError(f"hex was {text[:100]!r}, expected 0x first")
    return bytes.fromhex(text[2:])
