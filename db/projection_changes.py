"""What one journal row changes in the database, and text as Postgres takes it."""

from __future__ import annotations

from typing import Any

from db.projection_tables import StateTable
from helpers.domain import Message

Value = str | int | float | bool | None
Words = tuple[tuple[str, Value], ...]
"""Columns and their values; ``None`` says nothing."""


class Event(Message, frozen=True):
    """A row of an event table, after session and number."""

    table: str
    values: tuple[Any, ...]


class Thing(Message, frozen=True):
    """A word about a thing with a row of its own."""

    table: StateTable
    key: tuple[str, ...]
    values: Words


class SessionWord(Message, frozen=True):
    """A word about the run itself."""

    values: Words


Change = Event | Thing | SessionWord


def plain(text: str) -> str:
    """Return a text without the one character that Postgres does not store."""
    return text.replace("\0", "\ufffd") if "\0" in text else text
