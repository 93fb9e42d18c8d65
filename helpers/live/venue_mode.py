"""What the venue's answers say of the venue itself, and for how long entries wait because of it.

Pure. Must not: send anything; a block is obeyed, never routed around (I11).
"""

from __future__ import annotations

from typing import Final

from helpers.clob.messages import Condition
from helpers.domain import NS_PER_SECOND

POST_ONLY_AFTER_RESTART_SECONDS: Final = 120.0
"""After a restart of the engine only post-only orders are taken for two minutes (reference B.4)."""
LEAST_SECONDS: Final = {
    Condition.RESTARTING: 5.0,
    Condition.RATE_LIMITED: 2.0,
    Condition.POST_ONLY: 30.0,
    Condition.CANCEL_ONLY: 30.0,
    Condition.DISABLED: 60.0,
    Condition.FIREWALL: 300.0,
}
"""Where the venue names no time, or a shorter one."""
REFUSALS: Final = frozenset(
    {
        Condition.RESTRICTED,
        Condition.CLOSED_ONLY,
        Condition.BANNED,
        Condition.VERSION_MISMATCH,
        Condition.BAD_CREDENTIALS,
    }
)
"""What no waiting mends: a person must look, and resume; the venue is then asked again."""
WORDS: Final = {
    Condition.RESTARTING: "the venue's engine restarts",
    Condition.RATE_LIMITED: "the venue asked for fewer requests",
    Condition.POST_ONLY: "the venue takes post-only orders only",
    Condition.CANCEL_ONLY: "the venue takes cancellations only",
    Condition.DISABLED: "trading is disabled at the venue",
    Condition.RESTRICTED: "the venue does not serve this region",
    Condition.FIREWALL: "the venue's firewall turns us away",
    Condition.CLOSED_ONLY: "the account may only close positions",
    Condition.BANNED: "the account is banned",
    Condition.VERSION_MISMATCH: "the venue wants another version of orders",
    Condition.BAD_CREDENTIALS: "the venue refused our credentials",
}


class VenueMode:
    """Remembers what the venue said last; ``posts_only`` when our entries rest and take nothing."""

    def __init__(self, *, posts_only: bool) -> None:
        self._posts_only = posts_only
        self._until_ns: dict[Condition, int] = {}
        self._refusals: dict[Condition, None] = {}

    def note(self, condition: Condition, retry_after_seconds: float, now_ns: int) -> None:
        """Take in the condition of one answer."""
        if condition is Condition.NONE:
            return
        if condition in REFUSALS:
            self._refusals[condition] = None
            return
        if condition is Condition.POST_ONLY and self._posts_only:
            return
        seconds = max(LEAST_SECONDS[condition], retry_after_seconds)
        if condition is Condition.RESTARTING and not self._posts_only:
            seconds += POST_ONLY_AFTER_RESTART_SECONDS
        until_ns = now_ns + round(seconds * NS_PER_SECOND)
        self._until_ns[condition] = max(until_ns, self._until_ns.get(condition, 0))

    def take_refusals(self) -> str:
        """Return what the venue refuses for good, empty when nothing, and forget it."""
        words = "; ".join(WORDS[condition] for condition in self._refusals)
        self._refusals.clear()
        return words

    def reason(self, now_ns: int) -> str:
        """Return why entries wait now, empty when they need not."""
        self._until_ns = {
            condition: until_ns
            for condition, until_ns in self._until_ns.items()
            if until_ns > now_ns
        }
        return "; ".join(WORDS[condition] for condition in self._until_ns)
