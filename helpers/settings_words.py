"""What is said of a setting: its bounds, and what was wrong with a value. Pure.

Must not: show a value, which may be a secret put under the wrong name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo


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
