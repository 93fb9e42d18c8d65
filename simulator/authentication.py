"""Who sent a request: the L1 and L2 headers of the CLOB against the accounts (reference A.5).

It verifies; it opens no account and reads no clock.
"""

from __future__ import annotations

import hmac
from typing import Final

from helpers.domain import NS_PER_SECOND, Message
from simulator import refusals
from simulator.accounts import Account, Accounts
from simulator.exchange_messages import Refusal
from simulator.order_signing import l1_auth_is_valid, l2_auth_is_valid

SKEW_UNCHECKED: Final = 0
"""The venue checks timestamps but says no limit; a simulation at another speed cannot."""


class L1Headers(Message, frozen=True):
    """POLY_ADDRESS, POLY_SIGNATURE, POLY_TIMESTAMP, POLY_NONCE; blank where absent."""

    address: str
    signature: str
    timestamp: str
    nonce: str


class L2Headers(Message, frozen=True):
    """POLY_ADDRESS, POLY_SIGNATURE, POLY_TIMESTAMP, POLY_API_KEY, POLY_PASSPHRASE."""

    address: str
    signature: str
    timestamp: str
    api_key: str
    passphrase: str

    def __repr__(self) -> str:
        return f"L2Headers(address={self.address!r}, api_key={self.api_key!r}, ...)"


def l1_nonce(
    headers: L1Headers, now_ns: int, skew_max_seconds: int = SKEW_UNCHECKED
) -> int | Refusal:
    """Return the nonce of a valid L1 request, whoever's it is, or the 401."""
    if not headers.nonce.isdecimal() or not _is_timely(headers.timestamp, now_ns, skew_max_seconds):
        return refusals.INVALID_L1
    nonce = int(headers.nonce)
    if not l1_auth_is_valid(headers.address, headers.signature, headers.timestamp, nonce):
        return refusals.INVALID_L1
    return nonce


def l2_account(
    accounts: Accounts,
    headers: L2Headers,
    method: str,
    path: str,
    body: bytes,
    now_ns: int,
    skew_max_seconds: int = SKEW_UNCHECKED,
) -> Account | Refusal:
    """Return whose L2 request this is, or the 401; the path is without its query string."""
    known = accounts.by_key(headers.api_key)
    if known is None or not _is_timely(headers.timestamp, now_ns, skew_max_seconds):
        return refusals.INVALID_API_KEY
    account, credentials = known
    same_passphrase = hmac.compare_digest(
        credentials.passphrase.encode(), headers.passphrase.encode()
    )
    if not same_passphrase or headers.address.lower() != account.signer.lower():
        return refusals.INVALID_API_KEY
    valid = l2_auth_is_valid(
        credentials.secret, headers.timestamp, method, path, body, headers.signature
    )
    return account if valid else refusals.INVALID_API_KEY


def _is_timely(timestamp: str, now_ns: int, skew_max_seconds: int) -> bool:
    if not timestamp.isdecimal():
        return False
    if skew_max_seconds == SKEW_UNCHECKED:
        return True
    return abs(int(timestamp) - now_ns // NS_PER_SECOND) <= skew_max_seconds
