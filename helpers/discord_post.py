"""One message to a Discord webhook: one POST, one verdict, never an exception of the network's.

Must not: retry, wait, or let the address be seen. Whoever knows it can write to the channel, and
the errors of an HTTP client quote it (I35).
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from helpers.discord_wire import PICTURE_NAME, WebhookAnswer, read_answer

POST_SECONDS: Final = 15.0
"""Bound of one post, from the look-up of the name to the answer's last byte."""
ANSWER_BYTES_MAXIMUM: Final = 256 << 10
"""A stored message comes back whole: ten embeds and their words twice."""
BOUNDARY: Final = "state-fusion-worker-7d1c0f"


async def post(
    client: httpx.AsyncClient,
    url: str,
    message: bytes,
    picture: bytes = b"",
    *,
    seconds: float = POST_SECONDS,
) -> WebhookAnswer:
    """Post once and return what became of it; after a time-out nobody knows, and it says so."""
    if picture:
        content = _multipart(message, picture)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
    else:
        content, kind = message, "application/json"
    try:
        address = httpx.URL(url).copy_merge_params({"wait": "true"})
        async with asyncio.timeout(seconds):
            async with client.stream(
                "POST", address, content=content, headers={"Content-Type": kind}
            ) as answer:
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAXIMUM:
                        break
                return read_answer(answer.status_code, answer.headers, bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as failed:
        return WebhookAnswer("unavailable", type(failed).__name__)  # its text holds the address


def _multipart(message: bytes, picture: bytes) -> bytes:
    # By hand: a library's boundary is random, and a simulated run must be the same each time.
    json_part = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="payload_json"\r\n'
        "Content-Type: application/json\r\n\r\n"
    )
    picture_part = (
        f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="files[0]"; '
        f'filename="{PICTURE_NAME}"\r\nContent-Type: image/png\r\n\r\n'
    )
    end = f"\r\n--{BOUNDARY}--\r\n"
    return json_part.encode() + message + picture_part.encode() + picture + end.encode()
