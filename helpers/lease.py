"""Who may trade: one worker per wallet and place, by a lease that can be lost (I31).

Only the words; where a lease is kept is another's matter (a lock on a file, a database's lock).
Must not: decide what a worker does that loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from helpers.domain import Message


class LeaseHolder(Message, frozen=True):
    """Who holds a lease, for people."""

    pid: int
    host: str
    since: str
    """UTC."""
    run: str = ""
    """Name of the run; empty until it has one."""

    def __str__(self) -> str:
        """Say who it is in one phrase."""
        run = f", run {self.run}" if self.run else ""
        return f"process {self.pid} on {self.host} since {self.since}{run}"


class LeaseError(Exception):
    """A lease cannot be had, or not any more."""


class LeaseTakenError(LeaseError):
    """Another worker holds the lease: stop that one, or trade somewhere else."""


class LeaseUnavailableError(LeaseError):
    """Whoever keeps the lease cannot be asked now, so nobody knows who may trade."""


class LeaseLostError(LeaseError):
    """The lease was lost while trading, and another worker has it now."""


class Lease(Protocol):
    """The right to trade, held by one worker at a time."""

    def acquire(self, holder: LeaseHolder) -> None:
        """Take it, or raise ``LeaseTakenError`` that says who has it.

        Raises ``LeaseUnavailableError`` where nobody can be asked now, ``LeaseError`` where no
        lease can be had.
        """
        ...

    def retake(self, holder: LeaseHolder) -> None:
        """Take it again after it was lost; raises as ``acquire``. May wait for some seconds."""
        ...

    def sign(self, holder: LeaseHolder) -> None:
        """Say anew who holds it: more is known of the run now."""
        ...

    def loss(self) -> str:
        """Return why it is not held any more, empty while it is.

        Once lost it stays lost until it is retaken. Asked twice a second on the event loop: must
        not wait.
        """
        ...

    def release(self) -> None:
        """Give it back; does nothing when it is not held."""
        ...


class Leases:
    """Several leases that are held together or not at all; a ``Lease``."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        """Take the leases, in the order they are acquired."""
        self._leases = leases

    def acquire(self, holder: LeaseHolder) -> None:
        """Take all, or none and raise what the first one that was refused raised.

        One that is unavailable costs none of the others: they keep their own traders out.
        """
        self._take(self._leases, _acquire, holder)

    def retake(self, holder: LeaseHolder) -> None:
        """Take those again that were lost; raises as ``acquire``."""
        self._take([lease for lease in self._leases if lease.loss()], _retake, holder)

    def _take(
        self,
        leases: Sequence[Lease],
        take: Callable[[Lease, LeaseHolder], None],
        holder: LeaseHolder,
    ) -> None:
        unavailable: LeaseUnavailableError | None = None
        for lease in leases:
            try:
                take(lease, holder)
            except LeaseUnavailableError as error:
                unavailable = unavailable or error
            except LeaseError:
                self.release()
                raise
        if unavailable is not None:
            raise unavailable

    def sign(self, holder: LeaseHolder) -> None:
        """Say anew who holds them."""
        for lease in self._leases:
            lease.sign(holder)

    def loss(self) -> str:
        """Return why one is not held any more, empty while all are."""
        return next((why for lease in self._leases if (why := lease.loss())), "")

    def release(self) -> None:
        """Give all back, the last one taken first; does nothing for one that is not held."""
        for lease in reversed(self._leases):
            lease.release()


def _acquire(lease: Lease, holder: LeaseHolder) -> None:
    lease.acquire(holder)


def _retake(lease: Lease, holder: LeaseHolder) -> None:
    lease.retake(holder)
