"""Sorts the answer to POST /order: taken, surely not taken, or nobody knows (reference B.4).

Pure. A 4xx and a 429 with the venue's own headers are rejections; time-outs, connection errors,
5xx, 425, a 429 of the front and a body that cannot be read leave the outcome unknown. Must not:
guess; unknown is reconciled by the order's id, never sent again (I20).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import msgspec

from helpers.clob.messages import (
    Condition,
    PostAccepted,
    PostRejected,
    PostReply,
    PostUnknown,
)
from helpers.domain import Message, to_micros

TOO_EARLY: Final = 425
SERVER_ERROR: Final = 500
TEXT_CHARACTERS: Final = 300
"""Of the venue's text kept in a reason."""
OWN_LIMIT_HEADERS: Final = "poly-ratelimit-"
"""Any of them is there when the venue's own limiter answers, which acts before the engine; each
comes on its own (reference B.6)."""
REMAINING_HEADER: Final = "poly-ratelimit-remaining"
RESET_HEADER: Final = "poly-ratelimit-reset"
RETRY_AFTER_HEADER: Final = "retry-after"
DUPLICATED_TEXT: Final = "Duplicated"
RETRY_SECONDS_MAXIMUM: Final = 3_600.0
RETRY_DIGITS_MAXIMUM: Final = 9
"""Of a ``Retry-After`` header that is a number; a longer one is as long as we ever wait."""

CONDITION_OF_TEXT: Final = (
    ("post-only mode", Condition.POST_ONLY),
    ("post_only_mode", Condition.POST_ONLY),
    ("cancel-only", Condition.CANCEL_ONLY),
    ("Trading is currently disabled", Condition.DISABLED),
    ("restricted in your region", Condition.RESTRICTED),
    ("address banned", Condition.BANNED),
    ("address in closed only mode", Condition.CLOSED_ONLY),
    ("order_version_mismatch", Condition.VERSION_MISMATCH),
    ("Invalid api key", Condition.BAD_CREDENTIALS),
    ("Invalid L1 Request headers", Condition.BAD_CREDENTIALS),
    ("signer address has to be the address of the API KEY", Condition.BAD_CREDENTIALS),
    ("owner has to be the owner of the API KEY", Condition.BAD_CREDENTIALS),
    ("maker address not allowed", Condition.BAD_CREDENTIALS),
)
"""Texts of reference B.4 that speak of the venue or the account, not of one order."""


class Answer(Message, frozen=True):
    """A finished HTTP answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class _OrderBody(msgspec.Struct, frozen=True, rename="camel"):
    success: bool
    error_msg: str = ""
    order_id: str = msgspec.field(name="orderID", default="")
    status: str = ""
    making_amount: str | float = ""
    taking_amount: str | float = ""
    trade_ids: list[str] | None = msgspec.field(name="tradeIDs", default=None)


class _ErrorBody(msgspec.Struct, frozen=True):
    error: str = ""
    error_msg: str = ""
    code: str = ""
    retry_after_seconds: float = 0.0


_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What a decoder raises for a hostile body: not JSON, no text, nested too deeply."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_order_decoder = msgspec.json.Decoder(_OrderBody)
_error_decoder = msgspec.json.Decoder(_ErrorBody)


def post_reply(answer: Answer, order_id: str, now_seconds: int) -> PostReply:
    """Return what an answer to POST /order means for the order of that id."""
    if answer.status == HTTPStatus.OK:
        outcome = _accepted(answer.body, order_id)
        said = outcome.reason if isinstance(outcome, PostRejected) else ""
        return PostReply(outcome, condition_of(answer, said))
    text = error_text(answer)
    condition = condition_of(answer, text)
    wait = retry_after_seconds(answer, now_seconds)
    reason = f"HTTP {answer.status}: {text}"
    unknown = (
        answer.status >= SERVER_ERROR
        or answer.status == TOO_EARLY
        or answer.status < HTTPStatus.BAD_REQUEST
        or (answer.status == HTTPStatus.TOO_MANY_REQUESTS and not _is_own_limit(answer))
        or DUPLICATED_TEXT in text
    )
    # A duplicate of what we send once means that the venue has it already.
    return PostReply(PostUnknown(reason) if unknown else PostRejected(text), condition, wait)


def condition_of(answer: Answer, text: str) -> Condition:
    """Return what an answer says of the venue or the account."""
    if answer.status == TOO_EARLY:
        return Condition.RESTARTING
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Condition.RATE_LIMITED
    for part, condition in CONDITION_OF_TEXT:
        if part in text:
            return condition
    if answer.status == HTTPStatus.FORBIDDEN:
        return Condition.FIREWALL
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Condition.BAD_CREDENTIALS
    return Condition.NONE


def error_text(answer: Answer) -> str:
    """Return the venue's words; the beginning of the body where it is not the venue's JSON."""
    try:
        body = _error_decoder.decode(answer.body)
    except _UNREADABLE:
        return answer.body[:TEXT_CHARACTERS].decode(errors="replace") or "(no body)"
    text = body.error or body.error_msg or "(no text)"
    return (f"{text} ({body.code})" if body.code else text)[:TEXT_CHARACTERS]


def retry_after_seconds(answer: Answer, now_seconds: int) -> float:
    """Return how long the venue wants to be left alone, 0 where it does not say.

    Read from ``Retry-After`` in both its forms, the body's ``retry_after_seconds`` (reference B.4)
    and, where no token remains, the moment of ``Poly-RateLimit-Reset`` (reference B.6).
    """
    found = [_wait_seconds(answer.headers.get(RETRY_AFTER_HEADER, ""), now_seconds)]
    try:
        found.append(_error_decoder.decode(answer.body).retry_after_seconds)
    except _UNREADABLE:
        # Not the venue's JSON: the headers are all there is.
        found.append(0.0)
    remaining = header_number(answer.headers.get(REMAINING_HEADER, ""))
    reset_seconds = header_number(answer.headers.get(RESET_HEADER, ""))
    if remaining is not None and remaining < 1 and reset_seconds is not None:
        found.append(reset_seconds - now_seconds)
    return min(RETRY_SECONDS_MAXIMUM, max(0.0, *found))


def header_number(text: str) -> float | None:
    """Return a header's decimal number, ``None`` for any other text; never raises."""
    return float(text) if _NUMBER.fullmatch(text) else None


def _accepted(raw: bytes, order_id: str) -> PostAccepted | PostRejected | PostUnknown:
    try:
        body = _order_decoder.decode(raw)
        making, taking = _micros(body.making_amount), _micros(body.taking_amount)
    except (*_UNREADABLE, ValueError, OverflowError) as error:
        return PostUnknown(f"answer could not be read: {error}")
    if not body.order_id and (body.error_msg or not body.success):
        if DUPLICATED_TEXT in body.error_msg:
            return PostUnknown(body.error_msg)
        return PostRejected(body.error_msg or "the venue answered success: false")
    if body.order_id.lower() != order_id:
        return PostUnknown(f"answer was for order {body.order_id!r}, expected {order_id}")
    if not body.success or body.error_msg:
        return PostUnknown(f"answer was both an order id and {body.error_msg!r}")
    if not body.status:
        return PostUnknown("answer had no status")
    return PostAccepted(order_id, body.status, making, taking, tuple(body.trade_ids or ()))


def _micros(amount: str | float) -> int | None:
    """Return micro-units; ``None`` where blank. Raises ``ValueError`` for what is no amount."""
    if amount == "":
        return None
    value = float(amount)
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"amount was {amount!r}, expected a number of 0 or more")
    return to_micros(value)


def _is_own_limit(answer: Answer) -> bool:
    return any(name.startswith(OWN_LIMIT_HEADERS) for name in answer.headers)


def _wait_seconds(retry_after: str, now_seconds: int) -> float:
    if retry_after.isascii() and retry_after.isdigit():
        # By length, as ``float`` of a garbled run of digits may be anything.
        readable = len(retry_after) <= RETRY_DIGITS_MAXIMUM
        return float(retry_after) if readable else RETRY_SECONDS_MAXIMUM
    seconds = header_number(retry_after)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime(retry_after)
        return until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now_seconds
    except (ValueError, OverflowError):
        return 0.0  # Said unreadably is not said; the condition alone makes callers wait.
