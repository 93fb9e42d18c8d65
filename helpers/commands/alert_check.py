"""`worker.py doctor --alert`: one test message to Discord, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Final

from helpers.clock import Clock
from helpers.commands.checks import CheckRow, Problem, look_at
from helpers.discord_post import post
from helpers.discord_wire import WebhookAnswer, message
from helpers.discord_words import Alert, Meaning
from helpers.domain import AlertKind, AlertSeverity, Mode
from helpers.feeds.http import new_client
from helpers.settings import Settings

TRIES_MAXIMUM: Final = 3
WAIT_SECONDS_MAXIMUM: Final = 10.0
"""A limit that lasts longer is told, not waited for."""
FIXES: Final = {
    "gone": "make a new webhook in the channel's settings and set DISCORD_WEBHOOK_URL to it",
    "limited": "another program posts to this webhook: make one of the worker's own",
    "refused": "check that DISCORD_WEBHOOK_URL is a webhook's address, and nothing after it",
    "unavailable": "check the network, and Discord's status page",
}


async def alert_row(settings: Settings, clock: Clock) -> CheckRow:
    """Return whether a test message arrived; nothing is sent without a webhook."""

    async def look() -> str:
        if settings.discord_webhook_url is None:
            raise Problem(
                "DISCORD_WEBHOOK_URL is not set: nobody is told of anything",
                "make a webhook in the channel's settings, under Integrations, and set it",
            )
        mode = Mode.LIVE if settings.live_enabled else Mode.PAPER
        answer = await _sent(settings.discord_webhook_url.get_secret_value(), mode, clock)
        if answer.verdict != "stored":
            raise Problem(f"the test message was not taken: {answer.detail}", FIXES[answer.verdict])
        return f"a test message arrived (message {answer.message_id or 'without a number'})"

    return await look_at("alert", look)


async def _sent(url: str, mode: Mode, clock: Clock) -> WebhookAnswer:
    alert = Alert(
        AlertKind.TEST,
        AlertSeverity.INFO,
        Meaning.NEUTRAL,
        "test",
        "Sent by worker.py doctor --alert. Alerts of this worker arrive here.",
        clock.now_ns(),
    )
    text = message(mode, (alert,))
    async with new_client() as client:
        answer = await post(client, url, text)
        for _ in range(TRIES_MAXIMUM - 1):
            again = answer.verdict in ("limited", "unavailable")
            if not again or answer.wait_seconds > WAIT_SECONDS_MAXIMUM:
                break
            await asyncio.sleep(answer.wait_seconds)
            answer = await post(client, url, text)
    return answer
