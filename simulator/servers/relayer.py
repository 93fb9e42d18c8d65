"""The relayer: gasless batches of deposit wallets, signed, nonced and executed (H.4, H.5).

Redeems and merges are carried out on the exchange; approvals raise allowances; any other call
fails. A key is asked for and not checked against a list: the simulation gives none out.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request

from helpers.clob.wallets import address_bytes, derive_wallets
from helpers.domain import NS_PER_SECOND, Outcome
from simulator.accounts import UNLIMITED_ALLOWANCE, Account
from simulator.exchange import Exchange
from simulator.market_state import MarketState
from simulator.servers.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    HttpSurface,
    Reply,
    error,
    http_app,
    ok,
    read_body,
)
from simulator.servers.client_text import UNREADABLE, is_count
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings
from simulator.servers.wallet_batch import (
    CALLS_MAX,
    Approve,
    BatchFields,
    Meaning,
    Merge,
    Redeem,
    Reverted,
    SubmitRequest,
    batch_signer,
    meaning_of,
)

SUBMITS_PER_MINUTE_MAX: Final = 25
MINED_AFTER_NS: Final = 2 * NS_PER_SECOND
CONFIRMED_AFTER_NS: Final = 3 * NS_PER_SECOND
"""A redeem takes 5 to 30 s (reference H.5)."""
TRANSACTIONS_KEPT_MAX: Final = 10_000
NEW: Final = "STATE_NEW"
MINED: Final = "STATE_MINED"
CONFIRMED: Final = "STATE_CONFIRMED"
FAILED: Final = "STATE_FAILED"
NO_KEY: Final = error(UNAUTHORIZED, "invalid authorization")
INVALID_PAYLOAD: Final = error(BAD_REQUEST, "invalid payload")


class Transaction(Struct):
    """One submitted batch; only the relayer changes it."""

    transaction_id: str
    transaction_hash: str
    account: str
    meanings: tuple[Meaning, ...]
    state: str = NEW
    error: str = ""


class Relayer:
    """Owner of nonces and transactions."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings
        self._nonces: dict[str, int] = {}
        self._busy: dict[str, str] = {}
        self._transactions: dict[str, Transaction] = {}
        self._submits: deque[int] = deque(maxlen=SUBMITS_PER_MINUTE_MAX)
        self._created: set[str] = set()
        self._count = 0

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.RELAYER, self._surroundings)
        return http_app(
            [
                http.route("GET", "/deployed", self._deployed),
                http.route("GET", "/v1/account/transactions/params", self._params),
                http.route("GET", "/v1/account/transactions/{id}", self._transaction),
                http.route("POST", "/submit", self._submit),
            ]
        )

    async def _deployed(self, request: Request) -> Reply:
        address = request.query_params.get("address", "").lower()
        accounts = self._exchange.accounts
        wallets = {accounts.get(name).maker_address.lower() for name in accounts.names()}
        deployed = address in wallets or address in self._created
        return ok(msgspec.json.encode({"deployed": deployed}).decode())

    async def _params(self, request: Request) -> Reply:
        if not _has_key(request):
            return NO_KEY
        address = request.query_params.get("address", "")
        nonce = str(self._nonces.get(address.lower(), 0))
        return ok(msgspec.json.encode({"address": address, "nonce": nonce}).decode())

    async def _transaction(self, request: Request) -> Reply:
        found = self._transactions.get(request.path_params["id"])
        if found is None:
            return error(NOT_FOUND, "transaction not found")
        body = {
            "transaction_id": found.transaction_id,
            "transaction_hash": found.transaction_hash,
            "state": found.state,
            "error_msg": found.error or None,
        }
        return ok(msgspec.json.encode(body).decode())

    async def _submit(self, request: Request) -> Reply:
        body = await read_body(request)
        if not _has_key(request):
            return NO_KEY
        now_ns = self._surroundings.now_ns()
        minute_full = len(self._submits) == SUBMITS_PER_MINUTE_MAX
        if minute_full and now_ns - self._submits[0] < 60 * NS_PER_SECOND:
            return error(TOO_MANY_REQUESTS, "Too Many Requests")
        self._submits.append(now_ns)
        try:
            wanted = msgspec.json.decode(body, type=SubmitRequest)
            address_bytes(wanted.sender)
        except (*UNREADABLE, ValueError):  # Said without the field, as to any client.
            return INVALID_PAYLOAD
        if wanted.type == "WALLET-CREATE":
            self._created.add(derive_wallets(wanted.sender).deposit_beacon.lower())
            return self._start(wanted.sender.lower(), "", (), now_ns)
        if wanted.type != "WALLET" or wanted.depositWalletParams is None:
            return error(BAD_REQUEST, f"transaction type {wanted.type} is not supported")
        return self._submit_batch(wanted, wanted.depositWalletParams, now_ns)

    def _submit_batch(self, wanted: SubmitRequest, batch: BatchFields, now_ns: int) -> Reply:
        sender = wanted.sender.lower()
        account = self._exchange.accounts.by_signer(sender)
        if account is None or account.maker_address.lower() != batch.depositWallet.lower():
            return error(BAD_REQUEST, "deposit wallet does not belong to the signer")
        if not is_count(wanted.nonce) or not 0 < len(batch.calls) <= CALLS_MAX:
            return INVALID_PAYLOAD
        expected = self._nonces.get(sender, 0)
        if int(wanted.nonce) != expected:
            text = f"batch nonce {wanted.nonce} does not match on-chain nonce {expected}"
            return error(BAD_REQUEST, text)
        if sender in self._busy:
            return error(BAD_REQUEST, f"wallet busy: active action {self._busy[sender]}")
        try:
            signer = batch_signer(batch, expected, wanted.signature)
            meanings = tuple(meaning_of(call) for call in batch.calls)
        except ValueError:  # As above.
            return INVALID_PAYLOAD
        if signer is None or signer.lower() != sender:
            return error(BAD_REQUEST, "invalid signature")
        self._nonces[sender] = expected + 1
        return self._start(sender, account.name, meanings, now_ns)

    def _start(
        self, sender: str, account: str, meanings: tuple[Meaning, ...], now_ns: int
    ) -> Reply:
        self._count += 1
        digest = hashlib.sha256(f"relayed {now_ns} {self._count}".encode()).hexdigest()
        transaction_id = f"{digest[:8]}-{digest[8:12]}-4000-8000-{self._count:012x}"
        transaction = Transaction(transaction_id, f"0x{digest}", account, meanings)
        self._transactions[transaction_id] = transaction
        if len(self._transactions) > TRANSACTIONS_KEPT_MAX:
            del self._transactions[next(iter(self._transactions))]
        self._busy[sender] = transaction_id
        self._exchange.agenda.at(now_ns + MINED_AFTER_NS, partial(self._mine, transaction, sender))
        body = {
            "transactionID": transaction_id,
            "state": transaction.state,
            "transactionHash": transaction.transaction_hash,
        }
        return ok(msgspec.json.encode(body).decode())

    def _mine(self, transaction: Transaction, sender: str, now_ns: int) -> None:
        del self._busy[sender]
        reason = self._why_not(transaction)
        if reason:
            # A batch is one transaction: nothing of it happens when a call would revert.
            transaction.state, transaction.error = FAILED, reason
            return
        for meaning in transaction.meanings:
            self._carry_out(self._exchange.accounts.get(transaction.account), meaning, now_ns)
        transaction.state = MINED
        due_ns = now_ns + CONFIRMED_AFTER_NS
        self._exchange.agenda.at(due_ns, partial(self._confirm, transaction))

    def _why_not(self, transaction: Transaction) -> str:
        known = {m.listing.condition_id: m for m in self._exchange.markets()}
        redeemed: set[str] = set()
        merged: Counter[str] = Counter()
        for meaning in transaction.meanings:
            if isinstance(meaning, Reverted):
                return meaning.reason
            if isinstance(meaning, Redeem):
                market = known.get(meaning.condition_id)
                if market is None or not market.resolved:
                    return f"result for condition {meaning.condition_id} not received yet"
                redeemed.add(meaning.condition_id)
            elif isinstance(meaning, Merge):
                merged[meaning.condition_id] += meaning.micros
        for condition_id, micros in merged.items():
            market = known.get(condition_id)
            free = 0 if market is None else self._pairs(transaction.account, market)
            # A redeemed pair is gone before it could be merged.
            if market is None or condition_id in redeemed or free < micros:
                return f"merge of {micros} of {condition_id} was over the balance of {free}"
        return ""

    def _pairs(self, account: str, market: MarketState) -> int:
        owner = self._exchange.accounts.get(account)
        return min(owner.free_micros(market.listing.token(outcome)) for outcome in Outcome)

    def _carry_out(self, account: Account, meaning: Meaning, now_ns: int) -> None:
        if isinstance(meaning, Redeem):
            self._exchange.redeem(account.name, meaning.condition_id, now_ns)
        elif isinstance(meaning, Merge):
            self._exchange.merge(account.name, meaning.condition_id, meaning.micros, now_ns)
        elif isinstance(meaning, Approve) and meaning.collateral:
            account.collateral_allowance = UNLIMITED_ALLOWANCE
        else:
            account.conditional_allowance = UNLIMITED_ALLOWANCE

    def _confirm(self, transaction: Transaction, now_ns: int) -> None:  # noqa: ARG002
        transaction.state = CONFIRMED


def _has_key(request: Request) -> bool:
    headers = request.headers
    relayer = headers.get("RELAYER_API_KEY") and headers.get("RELAYER_API_KEY_ADDRESS")
    return bool(relayer or headers.get("POLY_BUILDER_API_KEY"))
