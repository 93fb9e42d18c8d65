"""Discord's webhook: takes messages, limits their rate, and can be gone or limited on demand.

Limits run on the venue's time, so that a simulated run is the same each time. Embeds are checked as
Discord checks them; a message with a file is read from its multipart form.
"""

from __future__ import annotations

from collections import Counter, deque
from email.parser import BytesParser
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request

from helpers.domain import NS_PER_SECOND, Message
from simulator.servers.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    HttpSurface,
    Reply,
    http_app,
    read_body,
)
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Surface
from simulator.servers.surroundings import Surroundings

WEBHOOK_ID: Final = "100000000000000001"
WEBHOOK_KEY: Final = "simulated-webhook"
PATH: Final = f"/api/webhooks/{WEBHOOK_ID}/{WEBHOOK_KEY}"
BUCKET_MESSAGES: Final = 5
BUCKET_SECONDS: Final = 2.0
"""A webhook takes five messages in two seconds, and says so in its headers."""
MINUTE_MESSAGES: Final = 30
MINUTE_SECONDS: Final = 60.0
"""It takes thirty in a minute, and says nothing of it before it refuses."""
MESSAGES_KEPT_MAX: Final = 10_000
CONTENT_CHARS_MAX: Final = 2_000
EMBEDS_MAX: Final = 10
TITLE_CHARS_MAX: Final = 256
DESCRIPTION_CHARS_MAX: Final = 4_096
EMBED_CHARS_MAX: Final = 6_000
"""Of all embeds of a message together."""
FILES_MAX: Final = 10
NO_CONTENT: Final = 204
OK: Final = 200
EMPTY_MESSAGE_CODE: Final = 50006
UNKNOWN_WEBHOOK_CODE: Final = 10015
INVALID_TOKEN_CODE: Final = 50027
INVALID_FORM_CODE: Final = 50035


class EmbedImage(Message, frozen=True):
    """Where an embed's picture is."""

    url: str = ""


class Embed(Message, frozen=True):
    """What is shown of an embed."""

    title: str = ""
    description: str = ""
    color: int = 0
    timestamp: str = ""
    image: EmbedImage = EmbedImage()


class AllowedMentions(Message, frozen=True):
    """Whom a message may ring."""

    parse: tuple[str, ...] = ("everyone", "roles", "users")


class Posted(Message, frozen=True):
    """What a client posts."""

    content: str = ""
    username: str = ""
    embeds: tuple[Embed, ...] = ()
    allowed_mentions: AllowedMentions = AllowedMentions()
    files: tuple[bytes, ...] = ()


class _UnreadableError(ValueError):
    """The form is not one."""


class DiscordWebhook:
    """One webhook and the messages it took."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self.messages: deque[Posted] = deque(maxlen=MESSAGES_KEPT_MAX)
        self.gone = False
        """Whether the webhook was deleted: 404 for ever."""
        self.away_status = 0
        """Answered to everything while Discord is away; 0 while it is not."""
        self.answers: Counter[int] = Counter()
        """How often each status was answered."""
        self._limited_times = 0
        self._limited_seconds = 0.0
        self._everywhere = False
        self._taken: deque[float] = deque()

    def limit_next(
        self, count: int, retry_after_seconds: float, *, everywhere: bool = False
    ) -> None:
        """Answer the coming messages with 429 whatever their rate."""
        self._limited_times, self._limited_seconds = count, retry_after_seconds
        self._everywhere = everywhere

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.DISCORD, self._surroundings)
        return http_app([http.route("POST", "/api/webhooks/{id}/{token}", self._post)])

    async def _post(self, request: Request) -> Reply:
        reply = self._answer(request, await read_body(request))
        self.answers[reply.status] += 1
        return reply

    def _answer(self, request: Request, body: bytes) -> Reply:
        if self.away_status:
            return Reply(self.away_status, "")
        if self.gone or request.path_params["id"] != WEBHOOK_ID:
            return _problem(NOT_FOUND, "Unknown Webhook", UNKNOWN_WEBHOOK_CODE)
        if request.path_params["token"] != WEBHOOK_KEY:
            return _problem(UNAUTHORIZED, "Invalid Webhook Token", INVALID_TOKEN_CODE)
        limited = self._limited()
        if limited is not None:
            return limited
        try:
            posted = _read(request.headers.get("Content-Type", ""), body)
        except UNREADABLE:
            return _problem(BAD_REQUEST, "Invalid Form Body", INVALID_FORM_CODE)
        if _too_much(posted):
            return _problem(BAD_REQUEST, "Invalid Form Body", INVALID_FORM_CODE)
        if not posted.content and not posted.embeds and not posted.files:
            return _problem(BAD_REQUEST, "Cannot send an empty message", EMPTY_MESSAGE_CODE)
        self._taken.append(self._now_seconds())
        self.messages.append(posted)
        if request.query_params.get("wait") == "true":
            message = {"id": str(len(self.messages)), "content": posted.content}
            return Reply(OK, msgspec.json.encode(message).decode(), self._headers())
        return Reply(NO_CONTENT, "", self._headers())

    def _now_seconds(self) -> float:
        return self._surroundings.now_ns() / NS_PER_SECOND

    def _limited(self) -> Reply | None:
        now = self._now_seconds()
        while self._taken and now - self._taken[0] >= MINUTE_SECONDS:
            self._taken.popleft()
        if self._limited_times > 0:
            self._limited_times -= 1
            return self._too_many(self._limited_seconds, everywhere=self._everywhere)
        bucket = self._bucket()
        if len(bucket) >= BUCKET_MESSAGES:
            return self._too_many(BUCKET_SECONDS - (now - bucket[0]))
        if len(self._taken) >= MINUTE_MESSAGES:
            return self._too_many(MINUTE_SECONDS - (now - self._taken[0]))
        return None

    def _bucket(self) -> list[float]:
        now = self._now_seconds()
        return [at for at in self._taken if now - at < BUCKET_SECONDS]

    def _too_many(self, seconds: float, *, everywhere: bool = False) -> Reply:
        body = {
            "message": "You are being rate limited.",
            "retry_after": round(seconds, 3),
            "global": everywhere,
        }
        wait = str(max(1, -(-int(seconds * 1000) // 1000)))
        scope = (("X-RateLimit-Global", "true"),) if everywhere else ()
        headers = (
            *self._headers(),
            ("Retry-After", wait),
            ("X-RateLimit-Scope", "global" if everywhere else "user"),
            *scope,
        )
        return Reply(TOO_MANY_REQUESTS, msgspec.json.encode(body).decode(), headers)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        bucket = self._bucket()
        left = BUCKET_SECONDS - (self._now_seconds() - bucket[0]) if bucket else 0.0
        return (
            ("X-RateLimit-Limit", str(BUCKET_MESSAGES)),
            ("X-RateLimit-Remaining", str(max(0, BUCKET_MESSAGES - len(bucket)))),
            ("X-RateLimit-Reset-After", f"{max(0.0, left):.3f}"),
            ("X-RateLimit-Bucket", "simulated"),
        )


def _read(content_type: str, body: bytes) -> Posted:
    if not content_type.startswith("multipart/form-data"):
        return msgspec.json.decode(body, type=Posted)
    form = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    posted, files = Posted(), list[bytes]()
    for part in form.get_payload() if form.is_multipart() else ():
        name = str(part.get_param("name", header="Content-Disposition"))  # pyright: ignore[reportAttributeAccessIssue]
        content = part.get_payload(decode=True)  # pyright: ignore[reportAttributeAccessIssue]
        if not isinstance(content, bytes):
            raise _UnreadableError(name)
        if name == "payload_json":
            posted = msgspec.json.decode(content, type=Posted)
        elif name.startswith("files["):
            files.append(content)
    return msgspec.structs.replace(posted, files=tuple(files))


def _too_much(posted: Posted) -> bool:
    words = [len(embed.title) + len(embed.description) for embed in posted.embeds]
    return (
        len(posted.content) > CONTENT_CHARS_MAX
        or len(posted.embeds) > EMBEDS_MAX
        or len(posted.files) > FILES_MAX
        or sum(words) > EMBED_CHARS_MAX
        or not all(words)
        or any(len(embed.title) > TITLE_CHARS_MAX for embed in posted.embeds)
        or any(len(embed.description) > DESCRIPTION_CHARS_MAX for embed in posted.embeds)
    )


def _problem(status: int, text: str, code: int) -> Reply:
    return Reply(status, msgspec.json.encode({"message": text, "code": code}).decode())
