"""Who may ask for what: host names, origins, the token and its cookie. Pure.

A page on this machine's own address needs no token to be looked at; a name that was made to point
here (DNS rebinding) is refused. Anything else needs the token. Must not: compare a secret in a way
whose time tells anything, or put it into a cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from helpers.settings_rules import LOOPBACK

COOKIE: Final = "dashboard"
COOKIE_SECONDS: Final = 30 * 86_400
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
"""A name or address and a port, as browsers write them; anything else names no host."""
_COOKIE_PURPOSE: Final = b"state-fusion-worker dashboard session"


class Access:
    """The rules for one address and token."""

    def __init__(self, host: str, token: str | None, *, open_metrics: bool = False) -> None:
        """Take the address that is served on; one that is not loopback demands a token."""
        self.local = LOOPBACK.fullmatch(host) is not None
        if not self.local and not token:
            raise ValueError(f"host was {host} without a token, expected one")
        self._token = token.encode() if token else b""
        self.open_metrics = open_metrics

    @property
    def has_token(self) -> bool:
        """Return whether a token was set."""
        return bool(self._token)

    @property
    def cookie(self) -> str:
        """Return what a browser keeps after a login: it follows from the token, and not back."""
        return hmac.new(self._token, _COOKIE_PURPOSE, hashlib.sha256).hexdigest()

    def host_allowed(self, host_header: str) -> bool:
        """Return whether a request names a host that can be meant; with a token, any can."""
        found = _HOST.fullmatch(host_header)
        if found is None:
            return False
        return not self.local or LOOPBACK.fullmatch(found[1] or found[2]) is not None

    def is_token(self, given: str) -> bool:
        """Return whether this is the token; false where none was set."""
        return self.has_token and hmac.compare_digest(given.encode(), self._token)

    def bearer(self, authorization: str) -> bool:
        """Return whether an ``Authorization`` header carries the token."""
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.is_token(given.strip())

    def may_view(self, authorization: str, cookie: str) -> bool:
        """Return whether pages and data are shown to whoever asks."""
        if self.local or self.bearer(authorization):
            return True
        return hmac.compare_digest(cookie.encode(), self.cookie.encode())


def same_origin(origin: str | None, fetch_site: str | None, host_header: str) -> bool:
    """Return whether a request that changes something came from our own page, or from no page.

    Browsers send ``Origin`` with every POST; whoever sends none is no browser.
    """
    if fetch_site not in (None, "same-origin", "none"):
        return False
    return origin in (None, f"http://{host_header}", f"https://{host_header}")
