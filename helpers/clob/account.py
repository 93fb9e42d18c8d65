"""Account operations by the vendor's official client, in a child process: rare, on-chain, theirs.

The client is never in the worker's memory (64 MB and a second of import), and what it is told goes
through a pipe: no secret in an argument, in the environment or in a text that is shown (invariant
11). Blocking: call it in a thread. Must not: decide when to redeem, or count anything as paid.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

import msgspec

from helpers.domain import Message
from helpers.venues import Venues

TIMEOUT_SECONDS: Final = 120.0
"""Longest operation: import, log-in, one submission; approvals wait for the chain (2 s a block).

It bounds the official client's own patience too (ten tries at a busy wallet, 100 polls of 2 s)."""
OUTPUT_CHARACTERS: Final = 400
"""Of the child's words kept in a reason."""
ROOT: Final = Path(__file__).resolve().parents[2]
CHILD: Final = "helpers.clob.account_child"

Operation = Literal["credentials", "approvals", "approve", "redeem", "merge"]


class AccountIdentity(Message, frozen=True):
    """Who acts for which wallet, and where."""

    private_key: str
    wallet: str
    relayer_key: str
    relayer_address: str
    venues: Venues

    def __repr__(self) -> str:
        """Return the wallet only."""
        return f"AccountIdentity({self.wallet})"

    def secrets(self) -> tuple[str, ...]:
        """Return what must never be shown."""
        key = self.private_key
        found = (key, key.removeprefix("0x"), self.relayer_key)
        return tuple(secret for secret in found if secret)


class AccountRequest(Message, frozen=True):
    """One operation, as the child reads it."""

    identity: AccountIdentity
    operation: Operation
    condition_id: str = ""
    """What to redeem or merge."""
    wait: bool = False
    """Whether redeem and merge wait until the chain has carried it out; approve always does."""


class AccountReply(Message, frozen=True):
    """What the child says: done, refused by somebody, or nobody knows."""

    state: Literal["done", "refused", "unknown"]
    detail: str
    transaction_id: str = ""
    values: tuple[str, ...] = ()
    """Credentials (key, secret, passphrase), or the approvals that are missing."""

    def __repr__(self) -> str:
        """Return no value: they may be credentials."""
        return f"AccountReply({self.state}, {self.detail!r})"


class AccountDone(Message, frozen=True):
    """Submitted; what the venue shows later tells whether it happened."""

    transaction_id: str
    detail: str
    values: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return no value: they may be credentials."""
        return f"AccountDone({self.transaction_id!r}, {self.detail!r})"


class AccountRefused(Message, frozen=True):
    """Surely not done."""

    reason: str


class AccountUnknown(Message, frozen=True):
    """Nobody knows whether it was done."""

    reason: str


AccountOutcome = AccountDone | AccountRefused | AccountUnknown


def run_account_operation(
    request: AccountRequest, timeout_seconds: float = TIMEOUT_SECONDS, child: str = CHILD
) -> AccountOutcome:
    """Run one operation in a child process and return what came of it; blocks.

    Never raises for anything the child, the venue or the network does. A child that is still at
    work after ``timeout_seconds`` is killed: the outcome is unknown, as it may have submitted.
    ``child`` is the module that answers.
    """
    secrets = request.identity.secrets()
    try:
        finished = subprocess.run(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", child],
            input=msgspec.json.encode(request),
            capture_output=True,
            timeout=timeout_seconds,
            cwd=ROOT,
            env={},  # nothing of ours: the request says everything
            check=False,
        )
    except subprocess.TimeoutExpired:
        return AccountUnknown(f"no answer within {timeout_seconds:g} s")
    except OSError as error:
        return AccountRefused(f"the child process did not start: {error}")
    try:
        reply = msgspec.json.decode(finished.stdout, type=AccountReply)
    except (msgspec.MsgspecError, UnicodeError):
        words = redacted(finished.stderr.decode(errors="replace"), secrets)[-OUTPUT_CHARACTERS:]
        return AccountUnknown(f"the child ended with {finished.returncode}: {words.strip()}")
    detail = redacted(reply.detail, secrets)
    if reply.state == "done":
        return AccountDone(reply.transaction_id, detail, reply.values)
    return AccountRefused(detail) if reply.state == "refused" else AccountUnknown(detail)


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text without its secrets, however their letters are written."""
    for secret in secrets:
        text = re.sub(re.escape(secret), "[redacted]", text, flags=re.IGNORECASE)
    return text
