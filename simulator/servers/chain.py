"""A node of the chain over JSON-RPC: what a client reads of its wallet; it takes no transactions.

Time, allowances and balances are the exchange's. Wallets that pay their own gas are not simulated.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from starlette.applications import Starlette
from starlette.requests import Request

from helpers.clob.wallets import keccak256
from helpers.domain import NS_PER_SECOND, Message
from simulator.accounts import Account
from simulator.exchange import Exchange
from simulator.order_signing import CHAIN_ID
from simulator.servers.answers import (
    BAD_REQUEST,
    HttpSurface,
    Reply,
    error,
    http_app,
    ok,
    read_body,
)
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings

ALLOWANCE_SELECTOR: Final = keccak256(b"allowance(address,address)")[:4]
IS_APPROVED_SELECTOR: Final = keccak256(b"isApprovedForAll(address,address)")[:4]
BALANCES_SELECTOR: Final = keccak256(b"balanceOfBatch(address[],uint256[])")[:4]
BALANCES_MAX: Final = 64
CALLS_MAX: Final = 100
"""Calls of one batch."""
METHOD_NOT_FOUND: Final = -32_601
REVERTED: Final = -32_000
_WORD: Final = 32


class Call(Message, frozen=True):
    """What ``eth_call`` asks."""

    to: str = ""
    data: str = ""


class RpcRequest(Message, frozen=True):
    """One call of JSON-RPC."""

    id: int
    method: str
    params: tuple[msgspec.Raw, ...] = ()


class RpcError(Message, frozen=True):
    """Why a call was not answered."""

    code: int
    message: str


class RpcReply(Message, frozen=True, omit_defaults=True):
    """The answer to one call."""

    id: int
    jsonrpc: str
    result: str | dict[str, str] | UnsetType = UNSET
    error: RpcError | UnsetType = UNSET


class Chain:
    """Answers reads off the exchange's accounts."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.CHAIN, self._surroundings)
        return http_app([http.route("POST", "/", self._rpc)])

    async def _rpc(self, request: Request) -> Reply:
        body = await read_body(request)
        try:
            calls = msgspec.json.decode(body, type=RpcRequest | tuple[RpcRequest, ...])
            if isinstance(calls, RpcRequest):
                return ok(msgspec.json.encode(self._answer(calls)).decode())
            replies = [self._answer(call) for call in calls[:CALLS_MAX]]
        except UNREADABLE:  # Said without the field, as to any client.
            return error(BAD_REQUEST, "invalid request")
        return ok(msgspec.json.encode(replies).decode())

    def _answer(self, call: RpcRequest) -> RpcReply:
        if call.method == "eth_chainId":
            return RpcReply(call.id, "2.0", hex(CHAIN_ID))
        if call.method == "eth_getBlockByNumber":
            seconds = self._surroundings.now_ns() // NS_PER_SECOND
            return RpcReply(call.id, "2.0", {"timestamp": hex(seconds)})
        if call.method == "eth_call" and call.params:
            asked = msgspec.json.decode(call.params[0], type=Call)
            result = self._call(asked)
            if result is not None:
                return RpcReply(call.id, "2.0", f"0x{result.hex()}")
            reverted = RpcError(REVERTED, "execution reverted")
            return RpcReply(call.id, "2.0", error=reverted)
        unknown = RpcError(METHOD_NOT_FOUND, f"the method {call.method} does not exist")
        return RpcReply(call.id, "2.0", error=unknown)

    def _call(self, asked: Call) -> bytes | None:
        try:
            arguments = bytes.fromhex(asked.data.removeprefix("0x"))
        except ValueError:  # No contract understands it.
            return None
        selector, words = arguments[:4], arguments[4:]
        if selector == BALANCES_SELECTOR:
            return self._balances(words)
        if selector not in (ALLOWANCE_SELECTOR, IS_APPROVED_SELECTOR) or len(words) < _WORD:
            return None
        account = self._wallet(words[:_WORD])
        if selector == ALLOWANCE_SELECTOR:
            return _word(account.collateral_allowance if account is not None else 0)
        return _word(int(account is not None and account.conditional_allowance > 0))

    def _balances(self, words: bytes) -> bytes | None:
        owners, tokens = _array(words, 0), _array(words, 1)
        if owners is None or tokens is None or len(owners) != len(tokens):
            return None
        held = [
            _held(self._wallet(owner), str(int.from_bytes(token, "big")))
            for owner, token in zip(owners, tokens, strict=True)
        ]
        return b"".join(map(_word, (_WORD, len(held), *held)))

    def _wallet(self, word: bytes) -> Account | None:
        return self._exchange.accounts.by_wallet("0x" + word[-20:].hex())


def _held(account: Account | None, token: str) -> int:
    holding = account.holdings.get(token) if account is not None else None
    return max(0, holding.total_micros) if holding is not None else 0


def _array(words: bytes, position: int) -> tuple[bytes, ...] | None:
    start = int.from_bytes(words[position * _WORD : (position + 1) * _WORD], "big")
    count = int.from_bytes(words[start : start + _WORD], "big")
    found = words[start + _WORD : start + _WORD * (1 + min(count, BALANCES_MAX))]
    if count > BALANCES_MAX or len(found) != count * _WORD:
        return None
    return tuple(found[at : at + _WORD] for at in range(0, len(found), _WORD))


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")
