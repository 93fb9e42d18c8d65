"""Alerts that wait to be sent: bounded, the least important dropped first. Pure.

Info gives way before warnings, each oldest first; critical alerts are never dropped: were the
queue full of them, the newest would be merged into one of its kind. What matters most is sent
first, oldest first. Every alert put in leaves once: taken and settled by the sender, or named in
what ``put`` returns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from helpers.discord_words import Alert
from helpers.domain import AlertOutcome, AlertSeverity

QUEUE_MAXIMUM: Final = 256
"""Alerts that wait, those being sent included."""
EMBEDS_MAXIMUM: Final = 10
CHARACTERS_MAXIMUM: Final = 5_900
"""Of all embeds of a message together. Discord takes 6000; the number of what was merged grows."""
MERGED_TEXT_MAXIMUM: Final = 1_500
MOST_IMPORTANT_FIRST: Final = (AlertSeverity.CRITICAL, AlertSeverity.WARNING, AlertSeverity.INFO)


class Waiting:
    """One alert on its way, with what happened to it so far."""

    def __init__(self, number: int, alert: Alert, characters: int) -> None:
        self.number = number
        self.alert = alert
        self.characters = characters
        self.tries = 0


class Ended(NamedTuple):
    """One alert that will not be sent by itself, and why."""

    number: int
    alert: Alert
    outcome: AlertOutcome
    detail: str
    merged_into: int = 0
    tries: int = 0


class AlertQueue:
    """The queue and the numbers of its alerts."""

    def __init__(self, characters: Callable[[Alert], int], maximum: int = QUEUE_MAXIMUM) -> None:
        """Take what counts an alert's characters as Discord does."""
        self._characters = characters
        self._maximum = maximum
        self._queues: dict[AlertSeverity, deque[Waiting]] = {
            severity: deque() for severity in MOST_IMPORTANT_FIRST
        }
        self._by_key: dict[str, Waiting] = {}
        self._taken = 0
        self._number = 0

    def __len__(self) -> int:
        """Return how many alerts wait or are being sent."""
        return self._taken + sum(len(queue) for queue in self._queues.values())

    def put(self, alert: Alert) -> Iterator[Ended]:
        """Put an alert in; yield what it displaced, which may be itself."""
        self._number += 1
        new = Waiting(self._number, alert, self._characters(alert))
        known = self._by_key.get(alert.merge_key) if alert.merge_key else None
        if known is not None and known.alert.severity is alert.severity:
            # The same again, with newer figures; its place in the queue is the older one's.
            yield self._merge(new, known, alert)
            return
        if len(self) >= self._maximum:
            victim = self._displaced_by(new)
            if victim is not None:
                yield Ended(
                    victim.number, victim.alert, AlertOutcome.DROPPED, "the queue was full",
                    tries=victim.tries,
                )  # fmt: skip
                if victim is new:
                    return
            elif (kin := self._newest_of_kind(alert)) is not None:
                text = kin.alert.text
                if len(text) < MERGED_TEXT_MAXIMUM:
                    text = f"{text}\nalso {alert.title}\n{alert.text}"[:MERGED_TEXT_MAXIMUM]
                yield self._merge(new, kin, replace(kin.alert, text=text))
                return
        self._queues[alert.severity].append(new)
        if alert.merge_key:
            self._by_key[alert.merge_key] = new

    def take(self, embeds_maximum: int = EMBEDS_MAXIMUM) -> tuple[Waiting, ...]:
        """Return the alerts of the next message; ``put_back`` or ``settle`` ends them.

        One with a picture goes alone: a message of ours has one.
        """
        batch: list[Waiting] = []
        characters = 0
        for severity in MOST_IMPORTANT_FIRST:
            queue = self._queues[severity]
            while queue and len(batch) < embeds_maximum:
                one = queue[0]
                if batch and (one.alert.picture or batch[0].alert.picture):
                    return self._take(batch)
                if batch and characters + one.characters > CHARACTERS_MAXIMUM:
                    return self._take(batch)
                characters += one.characters
                batch.append(queue.popleft())
        return self._take(batch)

    def put_back(self, batch: tuple[Waiting, ...]) -> None:
        """Let a message's alerts wait again, in their old places."""
        self._taken -= len(batch)
        for one in reversed(batch):
            self._queues[one.alert.severity].appendleft(one)
            if one.alert.merge_key:
                self._by_key.setdefault(one.alert.merge_key, one)

    def settle(self, batch: tuple[Waiting, ...]) -> None:
        """Forget a message's alerts."""
        self._taken -= len(batch)

    def drain(self) -> Iterator[Waiting]:
        """Yield everything that waits, most important first, and forget it."""
        self._by_key.clear()
        for queue in self._queues.values():
            while queue:
                yield queue.popleft()

    def _take(self, batch: list[Waiting]) -> tuple[Waiting, ...]:
        self._taken += len(batch)
        for one in batch:
            if self._by_key.get(one.alert.merge_key) is one:
                del self._by_key[one.alert.merge_key]
        return tuple(batch)

    def _displaced_by(self, new: Waiting) -> Waiting | None:
        """Return who must go for a new alert; ``None`` when only critical ones are left."""
        for severity in reversed(MOST_IMPORTANT_FIRST[1:]):
            queue = self._queues[severity]
            if queue:
                victim = queue.popleft()
                if self._by_key.get(victim.alert.merge_key) is victim:
                    del self._by_key[victim.alert.merge_key]
                return victim
            if severity is new.alert.severity:
                return new
        return None

    def _newest_of_kind(self, alert: Alert) -> Waiting | None:
        found = (
            one
            for one in reversed(self._queues[AlertSeverity.CRITICAL])
            if one.alert.kind is alert.kind
        )
        return next(found, None)

    def _merge(self, new: Waiting, into: Waiting, words: Alert) -> Ended:
        same = words.text == into.alert.text and words.title == into.alert.title
        into.alert = replace(words, count=into.alert.count + new.alert.count)
        if not same:
            into.characters = self._characters(into.alert)
        return Ended(new.number, new.alert, AlertOutcome.MERGED, "", into.number)
