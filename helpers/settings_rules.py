"""What settings must not say together; each on its own is in bounds already.

Must not: read the environment, or put a value into a text (it may be a secret).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from helpers.settings import Settings

LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.ASCII)
"""Addresses that only this machine reaches."""


def contradiction(settings: Settings) -> str:
    """Return the first contradiction, in words that say what to change; empty without one."""
    if settings.entry_stop_seconds <= settings.position_timeout_seconds:
        return (
            "ENTRY_STOP_SECONDS must be more than POSITION_TIMEOUT_SECONDS, or a position would be "
            "closed as soon as it was opened (I24)"
        )
    if settings.book_age_critical_seconds <= settings.book_age_degraded_seconds:
        return "BOOK_AGE_CRITICAL_SECONDS must be more than BOOK_AGE_DEGRADED_SECONDS"
    if settings.database_direct_url is not None and settings.database_url is None:
        return "DATABASE_DIRECT_URL needs DATABASE_URL: set both or none"
    credentials = (
        settings.polymarket_api_key,
        settings.polymarket_api_secret,
        settings.polymarket_api_passphrase,
    )
    if any(credentials) and not all(credentials):
        return (
            "POLYMARKET_API_KEY, POLYMARKET_API_SECRET and POLYMARKET_API_PASSPHRASE go together: "
            "set all three or none"
        )
    return _dashboard(settings) or _training(settings)


def _dashboard(settings: Settings) -> str:
    served_to_others = settings.dashboard_port and not LOOPBACK.fullmatch(settings.dashboard_host)
    if served_to_others and settings.dashboard_token is None:
        return (
            "DASHBOARD_HOST is not this machine's own address: set DASHBOARD_TOKEN, leave the host "
            "at 127.0.0.1, or DASHBOARD_PORT=0 for no dashboard"
        )
    return ""


def _training(settings: Settings) -> str:
    if not settings.train:
        return ""
    if settings.live_enabled:
        return (
            "TRAIN learns by trying things out, on paper only: set TRAIN=false to trade with real "
            "money, or LIVE_ENABLED=false to learn"
        )
    if settings.strategy != "rl":
        return "TRAIN needs STRATEGY=rl: no other policy learns"
    return ""
