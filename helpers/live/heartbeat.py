"""Keeps the venue's dead-man switch from firing while orders of ours rest (reference I).

One heartbeat at a time: the id of each answer is needed for the next. Nothing rests: nothing is
sent, and a deadline that then passes cancels nothing. Must not: give up; a heartbeat that fails is
sent again at once, for the switch only ever cancels, which is the safe side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from helpers.clob.messages import HeartbeatReply, RequestFailedError
from helpers.logs import Log

INTERVAL_SECONDS: Final = 5.0
"""The venue waits 10 s and a little for the next one (reference I)."""
LOOK_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 1.0


class HeartbeatGateway(Protocol):
    """Where heartbeats are sent."""

    async def heartbeat(self, heartbeat_id: str) -> HeartbeatReply:
        """Send one; raises ``RequestFailedError``."""
        ...


class Heartbeat:
    """Sends heartbeats while ``anything_rests``."""

    def __init__(
        self, gateway: HeartbeatGateway, anything_rests: Callable[[], bool], log: Log
    ) -> None:
        self._gateway = gateway
        self._anything_rests = anything_rests
        self._log = log
        self._id = ""
        self.accepted = 0
        self.failed = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            if not self._anything_rests():
                await asyncio.sleep(LOOK_SECONDS)
                continue
            await asyncio.sleep(INTERVAL_SECONDS if await self._beat() else RETRY_SECONDS)

    async def _beat(self) -> bool:
        try:
            reply = await self._gateway.heartbeat(self._id)
            if not reply.accepted:
                # A stale id is answered with the expected one, and did not refresh the deadline.
                reply = await self._gateway.heartbeat(reply.heartbeat_id)
        except RequestFailedError as failed:
            self.failed += 1
            self._log.warning("heartbeat_failed", why=failed.reason)
            return False
        self._id = reply.heartbeat_id
        if reply.accepted:
            self.accepted += 1
        return reply.accepted
