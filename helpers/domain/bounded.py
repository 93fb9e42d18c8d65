"""What is remembered of the past has a bound: the oldest is forgotten first."""

from __future__ import annotations

from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def keep_latest(known: dict[_Key, _Value], key: _Key, value: _Value, maximum: int) -> None:
    """Put a value in, forgetting the key put in first where there are more than ``maximum``."""
    known[key] = value
    if len(known) > maximum:
        del known[next(iter(known))]
