"""Request authentication of the CLOB: L1 by the wallet's key, L2 by API credentials.

Must not: show a secret, in a repr or an error (invariant 11).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import Final

from helpers.clob.eip712 import OrderSigner
from helpers.domain import Message

_SECRET: Final = re.compile(r"[A-Za-z0-9_+/-]+={0,2}")
"""Both spellings of base64, as both official clients read both."""


class ApiCredentials(Message, frozen=True):
    """The API key of one signer."""

    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        """Return no secret."""
        return "ApiCredentials(...)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Return no field: the base class would hand all of them to a pretty printer."""
        return []


class RequestAuth:
    """Writes the five L2 headers of a request (reference A.5), once it has credentials."""

    __slots__ = ("_key", "_passphrase", "address", "api_key")

    def __init__(self, address: str) -> None:
        self.address = address
        self.api_key = ""
        self._key = b""
        self._passphrase = ""

    def __repr__(self) -> str:
        """Return whose requests these are; no secret."""
        return f"RequestAuth({self.address})"

    def log_in(self, credentials: ApiCredentials) -> None:
        """Use these credentials from now on; raise ``ValueError`` for a bad secret."""
        problem = "API secret was not url-safe base64"
        # Checked here, as the decoder skips what it does not know: half a secret, or none at all,
        # would sign requests.
        if _SECRET.fullmatch(credentials.secret) is None:
            raise ValueError(problem)
        try:
            key = base64.urlsafe_b64decode(credentials.secret)
        except binascii.Error:
            # From nothing: the library's text must not quote the secret.
            raise ValueError(problem) from None
        self._key = key
        self._passphrase = credentials.passphrase
        self.api_key = credentials.api_key

    def headers(
        self, timestamp_seconds: int, method: str, path: str, body: bytes = b""
    ) -> dict[str, str]:
        """Return the headers; the path is without its query, the body exactly the bytes sent."""
        signed = f"{timestamp_seconds}{method}{path}".encode() + body
        return {
            "POLY_ADDRESS": self.address,
            "POLY_API_KEY": self.api_key,
            "POLY_PASSPHRASE": self._passphrase,
            "POLY_TIMESTAMP": str(timestamp_seconds),
            "POLY_SIGNATURE": base64.urlsafe_b64encode(
                hmac.digest(self._key, signed, "sha256")
            ).decode(),
        }


def l1_headers(signer: OrderSigner, timestamp_seconds: int, nonce: int = 0) -> dict[str, str]:
    """Return the headers that create or derive API credentials (reference A.5)."""
    return {
        "POLY_ADDRESS": signer.address,
        "POLY_SIGNATURE": signer.sign_authentication(timestamp_seconds, nonce),
        "POLY_TIMESTAMP": str(timestamp_seconds),
        "POLY_NONCE": str(nonce),
    }
