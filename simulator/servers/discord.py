"""Discord's webhook: takes messages, limits their rate, and can be gone or limited on demand.

Limits run on wall time, as Discord knows nothing of simulated time.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request

from helpers.clock import monotonic_seconds
from helpers.domain import Message
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
"""A webhook takes five messages in two seconds."""
MESSAGES_KEPT_MAX: Final = 10_000
CONTENT_CHARS_MAX: Final = 2_000
EMBEDS_MAX: Final = 10
NO_CONTENT: Final = 204
OK: Final = 200
EMPTY_MESSAGE_CODE: Final = 50006
UNKNOWN_WEBHOOK_CODE: Final = 10015
INVALID_TOKEN_CODE: Final = 50027
INVALID_FORM_CODE: Final = 50035


class Posted(Message, frozen=True):
    """What a client posts; embeds are kept as they came."""

    content: str = ""
    username: str = ""
    embeds: tuple[msgspec.Raw, ...] = ()


class DiscordWebhook:
    """One webhook and the messages it took."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self.messages: deque[Posted] = deque(maxlen=MESSAGES_KEPT_MAX)
        self.gone = False
        """Whether the webhook was deleted: 404 for ever."""
        self._limited_times = 0
        self._limited_seconds = 0.0
        self._taken: deque[float] = deque()

    def limit_next(self, count: int, retry_after_seconds: float) -> None:
        """Answer the coming messages with 429 whatever their rate."""
        self._limited_times, self._limited_seconds = count, retry_after_seconds

    def app(self) -> Starlette:
        """Return the application of this surface."""
        http = HttpSurface(Surface.DISCORD, self._surroundings)
        return http_app([http.route("POST", "/api/webhooks/{id}/{token}", self._post)])

    async def _post(self, request: Request) -> Reply:
        body = await read_body(request)
        if self.gone or request.path_params["id"] != WEBHOOK_ID:
            return _problem(NOT_FOUND, "Unknown Webhook", UNKNOWN_WEBHOOK_CODE)
        if request.path_params["token"] != WEBHOOK_KEY:
            return _problem(UNAUTHORIZED, "Invalid Webhook Token", INVALID_TOKEN_CODE)
        limited = self._limited()
        if limited is not None:
            return limited
        try:
            posted = msgspec.json.decode(body, type=Posted)
        except UNREADABLE:
            return _problem(BAD_REQUEST, "Invalid Form Body", INVALID_FORM_CODE)
        if len(posted.content) > CONTENT_CHARS_MAX or len(posted.embeds) > EMBEDS_MAX:
            return _problem(BAD_REQUEST, "Invalid Form Body", INVALID_FORM_CODE)
        if not posted.content and not posted.embeds:
            return _problem(BAD_REQUEST, "Cannot send an empty message", EMPTY_MESSAGE_CODE)
        self._taken.append(monotonic_seconds())
        self.messages.append(posted)
        if request.query_params.get("wait") == "true":
            message = {"id": str(len(self.messages)), "content": posted.content}
            return Reply(OK, msgspec.json.encode(message).decode(), self._headers())
        return Reply(NO_CONTENT, "", self._headers())

    def _limited(self) -> Reply | None:
        now = monotonic_seconds()
        while self._taken and now - self._taken[0] >= BUCKET_SECONDS:
            self._taken.popleft()
        if self._limited_times > 0:
            self._limited_times -= 1
            return self._too_many(self._limited_seconds)
        if len(self._taken) < BUCKET_MESSAGES:
            return None
        return self._too_many(BUCKET_SECONDS - (now - self._taken[0]))

    def _too_many(self, seconds: float) -> Reply:
        body = {
            "message": "You are being rate limited.",
            "retry_after": round(seconds, 3),
            "global": False,
        }
        wait = str(max(1, -(-int(seconds * 1000) // 1000)))
        headers = (*self._headers(), ("Retry-After", wait), ("X-RateLimit-Scope", "user"))
        return Reply(TOO_MANY_REQUESTS, msgspec.json.encode(body).decode(), headers)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        left = BUCKET_SECONDS - (monotonic_seconds() - self._taken[0]) if self._taken else 0.0
        return (
            ("X-RateLimit-Limit", str(BUCKET_MESSAGES)),
            ("X-RateLimit-Remaining", str(max(0, BUCKET_MESSAGES - len(self._taken)))),
            ("X-RateLimit-Reset-After", f"{max(0.0, left):.3f}"),
            ("X-RateLimit-Bucket", "simulated"),
        )


def _problem(status: int, text: str, code: int) -> Reply:
    return Reply(status, msgspec.json.encode({"message": text, "code": code}).decode())
