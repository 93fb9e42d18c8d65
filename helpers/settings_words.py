"""What is said of settings: bounds, what was wrong with a value, which contradict. Pure.

Must not: show a value, which may be a secret put under the wrong name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from helpers.settings import Settings

LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.ASCII)
"""Addresses that only this machine reaches."""


def bounds_of(field: FieldInfo) -> str:
    """Return the allowed range of a setting in words; empty where there is none."""
    low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
    return f"{_plain(low)} to {_plain(high)}" if low is not None and high is not None else ""


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def problem_line(detail: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Return one of pydantic's findings in a line: the variable, what is wrong, what is allowed."""
    location = detail["loc"]
    message = str(detail["msg"]).removeprefix("Value error, ")
    if not location:
        return message
    name = str(location[0])
    field = fields.get(name)
    # The value itself is never shown: it may be a secret put under the wrong name.
    allowed = bounds_of(field) if field else ""
    fix = f"; set it to {allowed}" if allowed else ""
    hint = f" ({field.description})" if field and field.description else ""
    return f"{name.upper()}: {message[0].lower()}{message[1:]}{fix}{hint}"


def contradiction(settings: Settings) -> str:
    """Return which settings cannot stand together, and what to do; empty when all can."""
    if settings.entry_stop_seconds <= settings.position_timeout_seconds:
        return (
            "ENTRY_STOP_SECONDS must be more than POSITION_TIMEOUT_SECONDS, or a position "
            "would be closed as soon as it was opened (I24)"
        )
    if settings.book_age_critical_seconds <= settings.book_age_degraded_seconds:
        return "BOOK_AGE_CRITICAL_SECONDS must be more than BOOK_AGE_DEGRADED_SECONDS"
    if settings.database_direct_url is not None and settings.database_url is None:
        return "DATABASE_DIRECT_URL needs DATABASE_URL: set both or none"
    served = settings.dashboard_port and not LOOPBACK.fullmatch(settings.dashboard_host)
    if served and settings.dashboard_token is None:
        return (
            "DASHBOARD_HOST is not this machine's own address: set DASHBOARD_TOKEN, leave the "
            "host at 127.0.0.1, or DASHBOARD_PORT=0 for no dashboard"
        )
    credentials = (
        settings.polymarket_api_key,
        settings.polymarket_api_secret,
        settings.polymarket_api_passphrase,
    )
    if any(credentials) and not all(credentials):
        return (
            "POLYMARKET_API_KEY, POLYMARKET_API_SECRET and POLYMARKET_API_PASSPHRASE go "
            "together: set all three or none"
        )
    return ""
