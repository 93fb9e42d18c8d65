"""Discord's webhook protocol: an alert as an embed, a message as bytes, an answer as a verdict.

Pure. What a venue said is shown as text and never as Markdown or a mention: nobody but us may make
a link, or ring a phone, in the owner's channel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, Literal, TypeVar

import msgspec

from helpers.discord_words import Alert, Meaning
from helpers.domain import AlertKind, Message, Mode
from helpers.logs import utc

TITLE_MAXIMUM: Final = 256
DESCRIPTION_MAXIMUM: Final = 2_000
"""Discord takes 4096 characters; two long alerts must fit into one message of 6000."""
PICTURE_NAME: Final = "profit.png"
WAIT_SECONDS_MINIMUM: Final = 0.5
"""After a 429, whatever it says: too many of them ban an address."""
WAIT_SECONDS_MAXIMUM: Final = 3_600.0
WAIT_SECONDS_UNSAID: Final = 30.0
"""After a 429 that does not say how long."""
FORBIDDEN_SECONDS: Final = 600.0
"""After a 403: a firewall in front of Discord says it, and takes it back."""
DETAIL_MAXIMUM: Final = 200

COLOURS: Final[Mapping[tuple[Mode, Meaning], int]] = MappingProxyType(
    {
        (Mode.PAPER, Meaning.NEUTRAL): 0x95A5A6,
        (Mode.PAPER, Meaning.GOOD): 0x8AA693,
        (Mode.PAPER, Meaning.BAD): 0xA68A8A,
        (Mode.PAPER, Meaning.WARNING): 0xA69D8A,
        (Mode.PAPER, Meaning.CRITICAL): 0x546E7A,
        (Mode.LIVE, Meaning.NEUTRAL): 0xE74C3C,
        (Mode.LIVE, Meaning.GOOD): 0x2ECC71,
        (Mode.LIVE, Meaning.BAD): 0xC0392B,
        (Mode.LIVE, Meaning.WARNING): 0xE67E22,
        (Mode.LIVE, Meaning.CRITICAL): 0xFF0000,
    }
)
"""Paper is grey, tinted by what it means; live is red, but for profit and warnings."""

_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@])")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u2029]")


class WebhookAnswer(Message, frozen=True):
    """What became of one message."""

    verdict: Literal["stored", "limited", "unavailable", "refused", "gone"]
    detail: str = ""
    message_id: str = ""
    wait_seconds: float = 0.0
    """Before the next message, as Discord asks."""
    everywhere: bool = False
    """Whether a limit is of the whole address, not of this webhook."""


class _Stored(Message, frozen=True):
    id: str = ""


class _Limited(Message, frozen=True):
    retry_after: float = 0.0
    everywhere: bool = msgspec.field(default=False, name="global")


class _Problem(Message, frozen=True):
    message: str = ""
    code: int = 0


def embed(mode: Mode, alert: Alert, *, picture: bool = False) -> dict[str, object]:
    """Return an alert as Discord shows it: mode in the title, mode and meaning in the colour."""
    again = f" (×{alert.count})" if alert.count > 1 and alert.kind is not AlertKind.REFUSED else ""
    urgent = "❗ " if alert.meaning is Meaning.CRITICAL else ""
    title = _fitting(f"{mode.value.upper()} · {urgent}{alert.title}", TITLE_MAXIMUM - len(again))
    shown: dict[str, object] = {
        "title": title + again,
        "description": _fitting(alert.text, DESCRIPTION_MAXIMUM),
        "color": COLOURS[mode, alert.meaning],
        "timestamp": utc(alert.at_ns),
    }
    if picture:
        shown["image"] = {"url": f"attachment://{PICTURE_NAME}"}
    return shown


def characters(mode: Mode, alert: Alert) -> int:
    """Return how much of a message's 6000 characters an alert takes, in UTF-16 units."""
    shown = embed(mode, alert)
    return sum(_units(str(shown[part])) for part in ("title", "description"))


def message(mode: Mode, alerts: Sequence[Alert], *, picture: bool = False) -> bytes:
    """Return a message as JSON; a picture goes with it as ``files[0]``."""
    body: dict[str, object] = {
        "embeds": [embed(mode, alert, picture=picture) for alert in alerts],
        "allowed_mentions": {"parse": []},
    }
    if picture:
        body["attachments"] = [{"id": 0, "filename": PICTURE_NAME}]
    return msgspec.json.encode(body)


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
    """Return what an answer means; header names in lower case, as HTTP clients give them."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        return WebhookAnswer("gone", _explained(status, body))
    if status == HTTPStatus.FORBIDDEN:
        detail = _explained(status, body)
        return WebhookAnswer("unavailable", detail, wait_seconds=FORBIDDEN_SECONDS)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _limited(headers, body)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        spent = headers.get("x-ratelimit-remaining", "").strip() == "0"
        wait = _seconds(headers.get("x-ratelimit-reset-after", "")) if spent else 0.0
        return WebhookAnswer("stored", "", _decoded(body, _Stored).id, wait)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return WebhookAnswer("unavailable", f"HTTP {status}")
    return WebhookAnswer("refused", _explained(status, body))


def _limited(headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
    said = _decoded(body, _Limited)
    wait = said.retry_after if math.isfinite(said.retry_after) and said.retry_after > 0 else 0.0
    wait = wait or _seconds(headers.get("retry-after", "")) or WAIT_SECONDS_UNSAID
    wait = min(max(wait, WAIT_SECONDS_MINIMUM), WAIT_SECONDS_MAXIMUM)
    everywhere = said.everywhere or headers.get("x-ratelimit-global", "").lower() == "true"
    detail = f"HTTP 429{', everywhere' if everywhere else ''}"
    return WebhookAnswer("limited", detail, wait_seconds=wait, everywhere=everywhere)


_Body = TypeVar("_Body", _Stored, _Limited, _Problem)


def _decoded(body: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return kind()


def _explained(status: int, body: bytes) -> str:
    problem = _decoded(body, _Problem)
    said = f": {problem.message[:DETAIL_MAXIMUM]} ({problem.code})" if problem.message else ""
    return f"HTTP {status}{said}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), WAIT_SECONDS_MAXIMUM) if math.isfinite(seconds) else 0.0


def _fitting(text: str, maximum: int) -> str:
    """Return text that shows as it is, in at most so many UTF-16 units."""
    plain = _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())
    shown = _MARKDOWN.sub(r"\\\1", plain)
    if _units(shown) <= maximum:
        return shown
    shown, left = "", maximum - 1
    for character in plain:
        escaped = _MARKDOWN.sub(r"\\\1", character)
        left -= _units(escaped)
        if left < 0:
            break
        shown += escaped
    return shown + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
