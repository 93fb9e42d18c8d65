"""What is said of a setting: its bounds, what was wrong with a value or with a name. Pure.

Must not: show a value, which may be a secret put under the wrong name.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from difflib import get_close_matches
from typing import Any, Final

from pydantic.fields import FieldInfo

OUR_WORDS: Final = (
    *("LIVE_", "PAPER_", "TRADE_", "TRIGGER_", "POLYMARKET_", "BINANCE_", "ENTRY_", "POSITION_"),
    *("BOOK_", "REENTRY_", "EXIT_", "RESUME_", "FLATTEN_", "MAKER_", "MAXIMUM_", "MINIMUM_"),
    *(
        "HEARTBEAT_",
        "LEARN_",
        "DISCORD_",
        "JOURNAL_",
        "TAPE_",
        "DATABASE_",
        "EMBEDDED_",
        "DASHBOARD_",
    ),
)
"""First words of our names that nobody else uses: whatever starts with one is probably a typo."""
NEAR_RATIO: Final = 0.85
"""From here on any other name is probably one of ours misspelt: DAILY_LOSS_LIMT is, LOGNAME not."""


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


def looks_like_ours(name: str, known: Set[str]) -> bool:
    """Return whether a name is one of ours, or one that is misspelt or cut short."""
    cut = "_" in name and any(one.startswith(f"{name}_") for one in known)
    return name.startswith(OUR_WORDS) or cut or bool(get_close_matches(name, known, 1, NEAR_RATIO))
