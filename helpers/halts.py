"""The halt state machine: which causes hold entries, and who ends each.

A cause is held for as long as its condition lasts. A latched one (``HoldCause.latched``) stands
beyond that, until an operator resumes; and an operator's word does not end a condition that still
lasts. Must not: stop an exit, read a clock, or remember anything on a disk.
"""

from __future__ import annotations

from helpers.domain import HoldCause, Message, TradingState


class _Hold(Message, frozen=True):
    detail: str
    lasting: bool
    """Whether its condition still holds."""
    latched: bool
    """Whether an operator must look first."""


class Halts:
    """Owner of what holds entries in one run."""

    def __init__(self) -> None:
        self._holds: dict[HoldCause, _Hold] = {}

    @property
    def state(self) -> TradingState:
        """Return what the worker may do now."""
        if any(hold.latched for hold in self._holds.values()):
            return TradingState.HALTED
        return TradingState.REDUCING if self._holds else TradingState.ACTIVE

    @property
    def reason(self) -> str:
        """Return why no entry is allowed, the oldest first; empty when entries are."""
        return "; ".join(hold.detail for hold in self._holds.values())

    def standing(self) -> tuple[tuple[HoldCause, str], ...]:
        """Return every cause with its first detail, the oldest first."""
        return tuple((cause, hold.detail) for cause, hold in self._holds.items())

    def hold(self, cause: HoldCause, detail: str, *, lasting: bool = True) -> bool:
        """Allow no entry because of a cause; return whether it did not hold them before.

        ``lasting`` says that the cause's owner will tell when its condition is over, with
        ``release``. A condition that begins anew latches anew.
        """
        known = self._holds.get(cause)
        if known is None:
            self._holds[cause] = _Hold(detail, lasting, cause.latched)
            return True
        latched = known.latched or (cause.latched and not (known.lasting and lasting))
        self._holds[cause] = _Hold(known.detail, known.lasting or lasting, latched)
        return False

    def release(self, cause: HoldCause) -> str | None:
        """Note that a cause's condition is over; return its detail if it holds no longer."""
        known = self._holds.get(cause)
        if known is None:
            return None
        if known.latched:
            self._holds[cause] = _Hold(known.detail, lasting=False, latched=True)
            return None
        return self._holds.pop(cause).detail

    def resume(self) -> tuple[tuple[HoldCause, str], ...]:
        """Unlatch every cause; return those that hold no longer: their condition is over."""
        ended: list[tuple[HoldCause, str]] = []
        for cause, hold in tuple(self._holds.items()):
            if not hold.latched:
                continue
            if hold.lasting:
                self._holds[cause] = _Hold(hold.detail, lasting=True, latched=False)
            else:
                ended.append((cause, self._holds.pop(cause).detail))
        return tuple(ended)

    def unlatch(self, cause: HoldCause) -> str | None:
        """End one latched cause that needs nobody any more; return its detail if it stood."""
        known = self._holds.get(cause)
        return self._holds.pop(cause).detail if known is not None else None
