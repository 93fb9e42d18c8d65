"""Who speaks to the CLOB: L1 and L2 headers of requests, and the key endpoints (A.5)."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import BaseRoute

from helpers.clob.wallets import derive_wallets
from simulator import refusals
from simulator.accounts import Account
from simulator.authentication import L1Headers, L2Headers, l1_nonce, l2_account
from simulator.clob_bodies import credentials_body, error_answer
from simulator.exchange import Exchange
from simulator.exchange_messages import Refusal
from simulator.servers.answers import (
    BAD_REQUEST,
    HttpSurface,
    Reply,
    error,
    ok,
    read_body,
    reply_of,
)
from simulator.servers.client_text import is_count
from simulator.servers.surroundings import Surroundings

ACCOUNTS_MAX: Final = 1_000
"""Accounts of one simulated venue; strangers who ask for keys open one each."""
DEPOSIT_WALLET: Final = 3
"""Signature type of every account made since May 2026 (reference H.1)."""
KEY_EXISTS: Final = error(BAD_REQUEST, "Could not create api key")
KEYS_EXHAUSTED: Final = error(BAD_REQUEST, "Too many api keys")


class ClobAuth:
    """Verifies requests and gives out credentials."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings

    def routes(self, http: HttpSurface) -> list[BaseRoute]:
        """Return the routes of keys."""
        return [
            http.route("POST", "/auth/api-key", self._create),
            http.route("GET", "/auth/derive-api-key", self._derive),
            http.route("GET", "/auth/api-keys", self._keys),
            http.route("DELETE", "/auth/api-key", self._delete),
            http.route("GET", "/auth/ban-status/closed-only", self._closed_only),
        ]

    def account(self, request: Request, body: bytes = b"") -> Account | Reply:
        """Return whose L2 request this is, or the 401."""
        found = l2_account(
            self._exchange.accounts,
            _l2_headers(request.headers),
            request.method,
            request.url.path,
            body,
            self._surroundings.now_ns(),
        )
        return reply_of(error_answer(found)) if isinstance(found, Refusal) else found

    async def _create(self, request: Request) -> Reply:
        # The account of a key that exists derives it instead: clients fall back on the 400 (A.4).
        headers = _l1_headers(request.headers)
        nonce = l1_nonce(headers, self._surroundings.now_ns())
        if isinstance(nonce, Refusal):
            return reply_of(error_answer(nonce))
        account = self._open(headers.address)
        if account is None or self._exchange.accounts.known_key(account, nonce) is not None:
            return KEY_EXISTS
        try:
            return ok(credentials_body(self._exchange.accounts.create_key(account, nonce)))
        except ValueError:  # This account has as many keys as it may.
            return KEYS_EXHAUSTED

    async def _derive(self, request: Request) -> Reply:
        headers = _l1_headers(request.headers)
        nonce = l1_nonce(headers, self._surroundings.now_ns())
        if isinstance(nonce, Refusal):
            return reply_of(error_answer(nonce))
        accounts = self._exchange.accounts
        account = accounts.by_signer(headers.address)
        credentials = None if account is None else accounts.known_key(account, nonce)
        if credentials is None:
            return reply_of(error_answer(refusals.NO_API_KEY_YET))
        return ok(credentials_body(credentials))

    async def _keys(self, request: Request) -> Reply:
        account = self.account(request)
        if isinstance(account, Reply):
            return account
        return ok(msgspec.json.encode({"apiKeys": account.api_keys}).decode())

    async def _delete(self, request: Request) -> Reply:
        account = self.account(request, await read_body(request))
        if isinstance(account, Reply):
            return account
        self._exchange.accounts.delete_key(request.headers["POLY_API_KEY"])
        return ok('"OK"')

    async def _closed_only(self, request: Request) -> Reply:
        account = self.account(request)
        if isinstance(account, Reply):
            return account
        return ok(msgspec.json.encode({"closed_only": account.closed_only}).decode())

    def _open(self, signer: str) -> Account | None:
        accounts = self._exchange.accounts
        known = accounts.by_signer(signer)
        if known is not None:
            return known
        if len(accounts.names()) >= ACCOUNTS_MAX:
            return None
        wallet = derive_wallets(signer).deposit_beacon
        return accounts.open(
            signer.lower(), signer=signer, maker_address=wallet, signature_type=DEPOSIT_WALLET
        )


def _l1_headers(headers: Headers) -> L1Headers:
    nonce = headers.get("POLY_NONCE", "")
    return L1Headers(
        headers.get("POLY_ADDRESS", ""),
        headers.get("POLY_SIGNATURE", ""),
        headers.get("POLY_TIMESTAMP", ""),
        nonce if is_count(nonce) else "",
    )


def _l2_headers(headers: Headers) -> L2Headers:
    return L2Headers(
        headers.get("POLY_ADDRESS", ""),
        headers.get("POLY_SIGNATURE", ""),
        headers.get("POLY_TIMESTAMP", ""),
        headers.get("POLY_API_KEY", ""),
        headers.get("POLY_PASSPHRASE", ""),
    )
