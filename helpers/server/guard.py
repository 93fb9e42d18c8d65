"""What every request passes first and every answer carries: hosts, origins, token, headers."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpers.server.access import COOKIE, Access, same_origin

SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with none, browsers call our own page "null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OPEN_TO_ALL: Final = "/livez"
"""For a platform's checks: it says nothing but that steps are done."""
BY_THEIR_OWN_RULES: Final = frozenset({"/login", "/control"})
"""They ask for the token themselves."""
LOGIN_FORM: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>worker: token</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>This worker asks for its token</h1>
<form method="post" action="/login">
<label for="token">DASHBOARD_TOKEN</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Show the dashboard</button>
</form></main></body></html>
"""


class Guarded:
    """The application behind its guard."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            return  # there is no socket and no lifespan to serve

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._refusal(scope)
        await (self._app if answer is None else answer)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        path, headers = str(scope["path"]), Headers(scope=scope)
        if path == OPEN_TO_ALL:
            return None
        host = headers.get("host", "")
        if not self._access.host_allowed(host):
            return PlainTextResponse("this host name is not served\n", 421)
        if scope["method"] not in ("GET", "HEAD") and not same_origin(
            headers.get("origin"), headers.get("sec-fetch-site"), host
        ):
            return PlainTextResponse("the request came from another page\n", 403)
        if path in BY_THEIR_OWN_RULES or (path == "/metrics" and self._access.open_metrics):
            return None
        if self._access.may_view(headers.get("authorization", ""), _cookie(headers)):
            return None
        return _ask_for_token(path)


def _ask_for_token(path: str) -> Response:
    challenge = {"www-authenticate": "Bearer"}
    if path == "/":
        return HTMLResponse(LOGIN_FORM, 401, headers=challenge)
    return PlainTextResponse("the token was wrong or missing\n", 401, headers=challenge)


def _cookie(headers: Headers) -> str:
    # Not ``http.cookies``: before Python 3.11.10 it takes seconds for 30 KB of backslashes
    # (CVE-2024-7592), and ours is plain hexadecimal.
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
