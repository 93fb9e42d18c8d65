"""Watches every position on its own schedule, and closes those whose time has come, until flat.

Owner of the exits under way: one for each position, re-priced step by step, each attempt told. It
knows nothing of the policy, and no halt stops it. Must not: forget a position because something
about it could not be read; what cannot be sold waits for the resolution, and is said to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec.structs import replace

from helpers.account import AccountStanding
from helpers.domain import (
    NS_PER_SECOND,
    BookHealth,
    ExitAttempted,
    ExitEnded,
    HoldCause,
    IntentReason,
    Message,
    OperatorAnswered,
    OperatorVerb,
    OrderIntent,
    Outcome,
    Position,
    Snapshot,
    Unsized,
    exit_value_micros,
)
from helpers.execution import Executor
from helpers.halt_control import HaltControl
from helpers.stages import BoardStage, LedgerStage, Outlet, SizingStage

ATTEMPT_WAIT_SECONDS: Final = (0.5, 1.0, 1.0, 2.0, 2.0, 5.0)
"""After each attempt of an exit; the last one again and again. An order in flight is waited for."""
URGENT_WAIT_SECONDS: Final = 1.0
"""Longest wait of an urgent exit."""

Key = tuple[str, Outcome]
"""Market and outcome: after a failed settlement both legs of a market can be held at once."""
Submit = Callable[[OrderIntent | Unsized, Position, int], None]
"""Sizes are checked by the gate and sent, or told why not."""


class _Exit(Message, frozen=True):
    """An exit under way."""

    reason: IntentReason
    attempts: int = 0
    next_ns: int = 0


class PositionSupervisor:
    """Marks positions, judges the age of their data, and carries exits through."""

    def __init__(
        self,
        board: BoardStage,
        ledger: LedgerStage,
        executor: Executor,
        sizing: SizingStage,
        standing: AccountStanding,
        halts: HaltControl,
        outlet: Outlet,
        submit: Submit,
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._executor = executor
        self._sizing = sizing
        self._standing = standing
        self._halts = halts
        self._outlet = outlet
        self._submit = submit
        self._began_ns = 0
        self._exits: dict[Key, _Exit] = {}
        self._over: dict[Key, None] = {}
        """Exits that ended in waiting for the resolution: told once."""
        self._health: dict[Key, Literal["fresh", "degraded", "critical"]] = {}
        self._flattening = False
        self._flatten_request = ""
        self.ticks = 0
        """Rises with every look; the watchdog sees it."""

    # --- Asked by others --------------------------------------------------------------------------

    def owns(self, market: str) -> bool:
        """Say whether an exit is under way in a market: nobody else sells there (I22)."""
        return any(slug == market for slug, _ in self._exits)

    def flatten(self, request_id: str = "") -> None:
        """Close every position, and those that orders in flight may still bring.

        A request is answered once more when nothing is left that could be sold.
        """
        self._flattening = True
        self._flatten_request = request_id

    def stop_flattening(self) -> None:
        """Close no more positions than their own limits call for."""
        self._flattening = False
        self._flatten_request = ""

    @property
    def flat(self) -> bool:
        """Return whether nothing is left that could be sold, and no order may bring anything."""
        held = (p for p in self._ledger.positions() if p.outcome is not None)
        idle = not self._executor.markets_with_orders()
        return idle and all((p.market, p.outcome) in self._over for p in held)

    # --- The schedule -----------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Look at every position; to be called on every step of the grid."""
        self._began_ns = self._began_ns or now_ns
        held: set[Key] = set()
        for position in self._ledger.positions():
            if position.outcome is not None:
                held.add((position.market, position.outcome))
                self._look(position, position.outcome, now_ns)
        for key in [key for key in self._exits if key not in held]:
            self._end(key, 0, "sold", now_ns)
        for key in [key for key in (*self._health, *self._over) if key not in held]:
            self._health.pop(key, None)
            self._over.pop(key, None)
        if "critical" not in self._health.values():
            self._halts.release_entries(HoldCause.FEED_LOSS, now_ns)
        if self._flatten_request and self.flat:
            self._answer(now_ns)
        self.ticks += 1

    def _answer(self, now_ns: int) -> None:
        waiting = len(self._over)
        said = f"flat but for {waiting} that wait for their resolution" if waiting else "flat"
        request, self._flatten_request = self._flatten_request, ""
        answer = OperatorAnswered(request, OperatorVerb.FLATTEN, self._halts.state, said)
        self._outlet.write(now_ns, "", answer)

    def _look(self, position: Position, outcome: Outcome, now_ns: int) -> None:
        key = (position.market, outcome)
        facts = self._ledger.market(position.market)
        if facts is not None and now_ns >= facts.closes_ns:
            self._give_up(key, position, "the window closed", now_ns)
            return
        if self._board.market(position.market) is None:
            # Nothing is known of its book: not since the start, or not any more.
            self._judge_age(key, (now_ns - self._began_ns) / NS_PER_SECOND, now_ns)
            return
        if self._standing.is_residue(position):
            self._give_up(key, position, "too little left to sell", now_ns)
            return
        view = self._board.snapshot(position.market, now_ns, on_grid=True)
        self._ledger.mark(position.market, exit_value_micros(view, position))
        since_start = (now_ns - self._began_ns) / NS_PER_SECOND
        age_seconds = min(view.book(outcome).age_seconds, since_start)
        self._judge_age(key, age_seconds, now_ns)
        self._close_if_due(key, view, position, age_seconds)

    def _judge_age(self, key: Key, age_seconds: float, now_ns: int) -> None:
        """Tell when the data a position is valued by grows old, and when it is fresh again."""
        state = self._sizing.book_state(age_seconds)
        if state == self._health.get(key, "fresh"):
            return
        self._health[key] = state
        market, outcome = key
        self._outlet.write(now_ns, market, BookHealth(market, outcome, state, age_seconds))
        if state == "critical":
            detail = f"{market}: no data of the {outcome} book for {age_seconds:.0f} s"
            self._halts.hold_entries(HoldCause.FEED_LOSS, detail, now_ns)

    def _close_if_due(
        self, key: Key, view: Snapshot, position: Position, age_seconds: float
    ) -> None:
        known = self._exits.get(key)
        reason = self._sizing.due_exit(view, position, age_seconds)
        if self._flattening:
            reason = IntentReason.EXIT_OPERATOR
        if known is None and reason is None:
            return
        # An exit that has begun goes on until flat, whatever the price does meanwhile.
        exit_ = known or _Exit(reason or IntentReason.EXIT_OPERATOR)
        if known is not None and reason is IntentReason.EXIT_OPERATOR:
            exit_ = replace(known, reason=reason)
        self._exits[key] = exit_
        self._over.pop(key, None)
        if view.now_ns >= exit_.next_ns and not self._exit_in_flight(position.market):
            self._attempt(key, exit_, view, position)

    def _exit_in_flight(self, market: str) -> bool:
        # A resting entry does not count: it is taken away before the sale.
        executor = self._executor
        return market in executor.markets_with_orders() and not (
            executor.pending_entry_micros(market)
        )

    def _attempt(self, key: Key, exit_: _Exit, view: Snapshot, position: Position) -> None:
        attempt = exit_.attempts + 1
        position = self._as_the_venue_sees(view, position)
        wish = self._sizing.exit(view, position, exit_.reason, attempt)
        priced = isinstance(wish, OrderIntent)
        wait = ATTEMPT_WAIT_SECONDS[min(attempt, len(ATTEMPT_WAIT_SECONDS)) - 1]
        if self._sizing.urgent(view, exit_.reason):
            wait = min(wait, URGENT_WAIT_SECONDS)
        self._exits[key] = _Exit(
            exit_.reason,
            attempt if priced else exit_.attempts,
            view.now_ns + round(wait * NS_PER_SECOND),
        )
        if priced:
            best = view.book(wish.outcome).bids
            attempted = ExitAttempted(
                wish.market,
                wish.outcome,
                exit_.reason,
                attempt,
                wish.shares_micros,
                wish.price_limit_micros,
                max(0, best[0][0] - wish.price_limit_micros) if best else 0,
            )
            self._outlet.write(view.now_ns, wish.market, attempted)
        self._submit(wish, position, view.now_ns)

    def _as_the_venue_sees(self, view: Snapshot, position: Position) -> Position:
        # The books keep the rest: the comparison with the venue halts on it, nothing forgets it.
        outcome = position.outcome
        shown = self._executor.sellable_micros(view.market.token(outcome)) if outcome else None
        if shown is None or shown >= position.shares_settled_micros:
            return position
        unseen = position.shares_settled_micros - shown
        pending = position.shares_pending_micros + unseen
        return replace(position, shares_settled_micros=shown, shares_pending_micros=pending)

    def _give_up(self, key: Key, position: Position, why: str, now_ns: int) -> None:
        """Leave what cannot be sold to the resolution; told once where an exit was under way."""
        if key in self._exits:
            self._end(key, position.shares_micros, why, now_ns)
        self._over[key] = None

    def _end(self, key: Key, left_micros: int, why: str, now_ns: int) -> None:
        ended = self._exits.pop(key)
        market, outcome = key
        how: Literal["flat", "awaiting_resolution"] = (
            "awaiting_resolution" if left_micros else "flat"
        )
        row = ExitEnded(market, outcome, ended.reason, how, ended.attempts, left_micros, why)
        self._outlet.write(now_ns, market, row)
