"""What a control request must look like, before anything is asked of the worker. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from helpers.domain import Message, Mode, OperatorVerb

BODY_BYTES_MAXIMUM: Final = 4_096
LOOK_ONLY: Final = (
    "this page can only be looked at: set DASHBOARD_TOKEN (16 characters or more) and restart to "
    "halt, resume and flatten from here; the verbs of worker.py always work"
)


class ControlWish(Message, frozen=True, forbid_unknown_fields=True):
    """The body of a request."""

    verb: OperatorVerb
    reason: str = ""
    confirmation: str = ""


class ControlReply(Message, frozen=True):
    """What is answered."""

    ok: bool
    text: str


AskOperator = Callable[[OperatorVerb, str], Awaitable[ControlReply]]
"""Puts a request on the control log and waits for the worker's own answer."""


def read_wish(body: bytes, mode: Mode) -> ControlWish | str:
    """Return what is asked for, or what is wrong with it."""
    try:
        wish = msgspec.json.decode(body, type=ControlWish)
    except msgspec.DecodeError as error:
        return f"the request was not understood: {error}"
    if wish.confirmation != mode.value:
        return f"the confirmation was {wish.confirmation[:20]!r}, expected {mode.value}"
    if wish.verb is OperatorVerb.HALT and not wish.reason.strip():
        return "the reason was empty, expected why, for whoever resumes"
    return wish
