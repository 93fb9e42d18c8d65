"""The order heartbeat: cancel everything of a key's owner that stops calling (reference I).

It decides when; cancelling is its owner's business. There is no disarm: expiry removes the
registration, a later heartbeat arms it again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from simulator.agenda import Agenda
from simulator.exchange_messages import HeartbeatAccepted, HeartbeatMismatch


class DeadMan:
    """Owner of heartbeat registrations, one an account."""

    def __init__(
        self, agenda: Agenda, deadline_ns: int, expired: Callable[[str, int], None]
    ) -> None:
        self._agenda = agenda
        self._deadline_ns = deadline_ns
        self._expired = expired
        self._expected: dict[str, str] = {}
        self._count = 0

    def beat(
        self, account: str, heartbeat_id: str, now_ns: int
    ) -> HeartbeatAccepted | HeartbeatMismatch:
        """Accept the expected id and put the deadline off, or refuse and leave it."""
        expected = self._expected.get(account, "")
        if heartbeat_id != expected:
            return HeartbeatMismatch(expected)
        self._count += 1
        fresh = f"{now_ns & 0xFFFFFFFF:08x}-0000-4000-9000-{self._count:012x}"
        self._expected[account] = fresh
        self._agenda.at(now_ns + self._deadline_ns, partial(self._check, account, fresh))
        return HeartbeatAccepted(fresh)

    def armed(self, account: str) -> bool:
        """Return whether an account's orders depend on its heartbeat."""
        return account in self._expected

    def _check(self, account: str, heartbeat_id: str, now_ns: int) -> None:
        if self._expected.get(account) == heartbeat_id:
            del self._expected[account]
            self._expired(account, now_ns)
