"""Everything that holds or releases entries, said aloud: each change is a row, each operator heard.

Must not: stop an exit. What is latched is remembered by whoever listens to the rows.
"""

from __future__ import annotations

from helpers.account import AccountStanding
from helpers.domain import (
    HaltChanged,
    HoldCause,
    OperatorAnswered,
    OperatorRequest,
    OperatorVerb,
    TradingState,
)
from helpers.halts import Halts
from helpers.stages import Outlet


class HaltControl:
    """The one door to the halt state machine of a run."""

    def __init__(self, halts: Halts, standing: AccountStanding, outlet: Outlet) -> None:
        self._halts = halts
        self._standing = standing
        self._outlet = outlet

    @property
    def state(self) -> TradingState:
        """Return what the worker may do now."""
        return self._halts.state

    @property
    def reason(self) -> str:
        """Return why no entry is allowed; empty when entries are."""
        return self._halts.reason

    def standing(self) -> tuple[tuple[HoldCause, str], ...]:
        """Return every cause that holds entries, with its detail."""
        return self._halts.standing()

    def hold_entries(
        self,
        cause: HoldCause,
        detail: str,
        now_ns: int,
        *,
        lasting: bool = True,
        request_id: str = "",
    ) -> None:
        """Allow no entry until the cause is released; exits go on. Its first detail stays."""
        if self._halts.hold(cause, detail, lasting=lasting):
            self._tell("held", cause, detail, now_ns, request_id)

    def release_entries(self, cause: HoldCause, now_ns: int) -> None:
        """Let a cause hold entries no longer; one that an operator must look at stays."""
        detail = self._halts.release(cause)
        if detail is not None:
            self._tell("released", cause, detail, now_ns)

    def unlatch(self, cause: HoldCause, now_ns: int) -> None:
        """End a latched cause that needs nobody any more: its day is over."""
        detail = self._halts.unlatch(cause)
        if detail is not None:
            self._tell("released", cause, detail, now_ns)

    def on_operator(self, request: OperatorRequest) -> None:
        """Do what an operator asked, and answer with the request's id (I30)."""
        now_ns = request.received_ns
        if request.verb is OperatorVerb.RESUME:
            self._standing.forgive(now_ns)
            for cause, detail in self._halts.resume():
                self._tell("released", cause, detail, now_ns, request.request_id)
        else:
            detail = f"operator: {request.reason}" if request.reason else "operator"
            self.hold_entries(
                HoldCause.OPERATOR, detail, now_ns, lasting=False, request_id=request.request_id
            )
        state, reason = self._halts.state, self._halts.reason
        done = request.verb is not OperatorVerb.FLATTEN
        answer = OperatorAnswered(request.request_id, request.verb, state, reason, done=done)
        self._outlet.write(now_ns, "", answer)
        self._outlet.commit()

    def _tell(
        self, state: str, cause: HoldCause, detail: str, now_ns: int, request_id: str = ""
    ) -> None:
        changed = HaltChanged(state, cause, detail, self._halts.state, request_id)
        self._outlet.write(now_ns, "", changed)
