"""Halt, resume and flatten from the dashboard: the very control log of the verbs, and its answer.

The worker that answers is in this process, and hears of it as of any verb. Must not: touch the
engine, or say that something was done before the worker said so (I30).
"""

from __future__ import annotations

import asyncio
import random

from db.control import ControlLog
from db.explain_text import clean
from helpers.clock import RealClock
from helpers.commands.operator_verbs import Asked, ask
from helpers.domain import OperatorVerb
from helpers.server.control import AskOperator, ControlReply


def asking(log: ControlLog, rng: random.Random) -> AskOperator:
    """Return what puts a request on a log, in a thread, and waits for the worker's answer."""

    async def ask_worker(verb: OperatorVerb, reason: str) -> ControlReply:
        why = f"dashboard: {reason.strip()}" if reason.strip() else "dashboard"
        (asked,) = await asyncio.to_thread(ask, [log], verb, why, RealClock(), rng)
        return reply_of(asked)

    return ask_worker


def reply_of(asked: Asked) -> ControlReply:
    """Return what came of a request, in a sentence."""
    answer, request_id = asked.answer, asked.request.request_id
    if asked.failure:
        return ControlReply(False, f"{clean(asked.failure)}, id {request_id}")
    if answer is None:
        return ControlReply(
            False,
            f"written down, and not answered within {asked.waited_seconds:.0f} s, id {request_id}; "
            "the worker obeys it as soon as it looks, and so does the next start",
        )
    why = f": {clean(answer.detail)}" if answer.detail else ""
    more = "" if answer.done else "; positions are being closed"
    took = f"acknowledged in {asked.waited_seconds * 1000:.0f} ms, id {request_id}"
    return ControlReply(True, f"{took}; the worker is {answer.trading}{why}{more}")
