"""The story of one market, put together row by row: decisions, orders, positions, refusals.

Must not: read files or a clock.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from typing import Final

import msgspec

from db.explain_position import Order, Round, entries_of
from db.explain_report import (
    Count,
    MarketReport,
    RefusalSeen,
)
from helpers.domain import (
    Action,
    Decision,
    Fill,
    MarketSeen,
    Message,
    OrderIntent,
    Refused,
    ResolutionSeen,
    RoundTrip,
    RuleFailure,
    RuleValue,
    Settled,
    Side,
    StrikeSeen,
    Submission,
    Unsized,
)

REASONS_LIMIT: Final = 64
"""Distinct reasons, rules and complaints counted of one market; the rest count as others."""
ROUNDS_BEYOND: Final = 16
"""Positions kept beyond those shown, so that a late settlement still finds its own."""
NOT_FINITE: Final = {"inf": "infinite", "-inf": "-infinite", "nan": "not a number"}
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.]*\w)")


class AlikeDecisions(Message, frozen=True):
    """Decisions of one market that are counted alike, none of which an order was made of."""

    action: Action
    reason: str
    invalid: bool
    """The state could not be decided on."""
    count: int
    last_ns: int


class Unread(Message, frozen=True):
    """Rows of one market that are only counted: another market's, or too early."""

    count: int
    """Since the moment asked for."""
    last_ns: int


class MarketStory:
    """Everything about one market; keeps the last ``last`` positions and refusals.

    Nothing before ``since_ns`` is counted, but a position that was open then is still told.
    """

    def __init__(self, slug: str, since_ns: int, last: int) -> None:
        self.slug = slug
        self.seen: MarketSeen | None = None
        self.strike: StrikeSeen | None = None
        self.resolution: ResolutionSeen | None = None
        self.last_ns = 0
        self._since_ns = since_ns
        self._last = last
        self._actions: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._invalid: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._entries_total = 0
        self._refusals: deque[RefusalSeen] = deque(maxlen=last)
        self._refusals_merged = 0
        self._may_merge = False
        self._decision: Decision | None = None
        self._rounds: list[Round] = []
        self._forgotten: list[int] = [0, 0, 0]
        self._fills_without_order = 0

    def decided(self, decision: Decision) -> None:
        """Take a decision."""
        self._decision = decision
        if decision.at_ns >= self._since_ns:
            # A state that could not be seen is all zeros and says why; a valid one knows the time.
            held = decision.action is Action.HOLD and decision.reason
            invalid = bool(held) and not any(decision.features)
            self._count_decisions(decision.action, decision.reason, invalid, 1)

    def decided_alike(self, decisions: AlikeDecisions) -> None:
        """Take decisions, all since the moment asked for, that need no more than to be counted."""
        self._count_decisions(
            decisions.action, decisions.reason, decisions.invalid, decisions.count
        )

    def _count_decisions(self, action: Action, reason: str, invalid: bool, count: int) -> None:
        self._actions["INVALID" if invalid else action.name] += count
        if reason:
            counter = self._invalid if invalid else self._reasons
            _count(counter, without_numbers(reason), count)

    def approved(self, intent: OrderIntent, at_ns: int) -> Order:
        """Take an intent that was approved and return the order it becomes."""
        opens = intent.opens
        position = self._round_for(opens=opens)
        order = Order(intent, at_ns, self._decision, self.strike, position)
        (position.entries if opens else position.exits).append(order)
        self._may_merge = False
        if at_ns >= self._since_ns:
            self._entries_total += opens
            self._sent[order.outcome_of_sending] += 1
        return order

    def answered(self, order: Order, answer: Submission) -> None:
        """Take what the venue said to an order; an unknown one may be answered again."""
        counted = order.at_ns >= self._since_ns
        self._sent[order.outcome_of_sending] -= counted
        order.submission = answer
        self._sent[order.outcome_of_sending] += counted

    def filled(self, fill: Fill, order: Order | None) -> None:
        """Take a fill, or a later rung of one already known."""
        if order is not None:
            matched = order.fills.get(fill.trade_id)
            if matched is not None:
                # A later rung of the ladder: the trade itself happened when it was matched.
                fill = msgspec.structs.replace(fill, at_ns=min(matched.at_ns, fill.at_ns))
            order.fills[fill.trade_id] = fill
            order.position.fills[fill.trade_id] = fill
            return
        known = [position for position in self._rounds if fill.trade_id in position.fills]
        self._fills_without_order += not known
        position = known[0] if known else self._round_for(opens=fill.opens)
        position.fills[fill.trade_id] = fill

    def settled(self, settled: Settled) -> None:
        """Take a payout; it ends the position it pays."""
        self._round_for(opens=False).settled = settled

    def closed(self, closed: RoundTrip) -> None:
        """Take the ledger's own word on a finished position."""
        self._round_for(opens=False).closed = closed

    def refused(self, row: RefusalSeen) -> None:
        """Take one refusal, merged with the one before when it is the same again."""
        if row.last_ns < self._since_ns:
            return
        _count(self._rules, row.rule)
        before = self._refusals[-1] if self._may_merge else None
        if before is not None and _same_refusal(before, row):
            self._refusals[-1] = msgspec.structs.replace(
                row,
                first_ns=before.first_ns,
                found_first=before.found_first,
                count=before.count + 1,
            )
            return
        self._may_merge = True
        self._refusals_merged += 1
        self._refusals.append(row)

    def report(self) -> MarketReport:
        """Return what is known by now."""
        told = [position for position in self._rounds if self._is_told(position)]
        ended = [position for position in told if position.ended_ns]
        entries = [entry for position in told for entry in entries_of(position)]
        seen = self.seen
        return MarketReport(
            slug=self.slug,
            opens_ns=0 if seen is None else seen.opens_ns,
            closes_ns=0 if seen is None else seen.closes_ns,
            problems=() if seen is None else seen.problems,
            strike=self.strike,
            resolution=self.resolution,
            decisions=self._actions.total(),
            actions=_counts(self._actions),
            reasons=_counts(self._reasons),
            invalid=_counts(self._invalid),
            refusals_by_rule=_counts(self._rules),
            orders=_counts(self._sent),
            entries_total=max(self._entries_total, len(entries)),
            entries=tuple(entries[-self._last :]),
            refusals=tuple(self._refusals),
            refusals_merged_total=self._refusals_merged,
            positions_closed=self._forgotten[0] + len(ended),
            pnl_micros=self._forgotten[1] + sum(position.pnl_micros for position in ended),
            fees_micros=self._forgotten[2] + sum(position.fees_micros for position in told),
            fills_without_order=self._fills_without_order,
        )

    def _is_told(self, position: Round) -> bool:
        if position.ended == "open" or position.ended_ns >= max(self._since_ns, 1):
            return True
        return any(order.at_ns >= self._since_ns for order in position.entries)

    def _round_for(self, *, opens: bool) -> Round:
        # An entry begins a position unless it adds to one; everything else is about the last one.
        current = self._rounds[-1] if self._rounds else None
        if current is not None and (not opens or current.ended == "open"):
            return current
        self._rounds.append(position := Round())
        if len(self._rounds) > self._last + ROUNDS_BEYOND:
            oldest = self._rounds.pop(0)
            if oldest.ended_ns >= max(self._since_ns, 1):
                self._forgotten[0] += 1
                self._forgotten[1] += oldest.pnl_micros
                self._forgotten[2] += oldest.fees_micros
        return position


def without_numbers(reason: str) -> str:
    """Return a reason with its free-standing numbers replaced by ``#``, so that it can be counted.

    Digits inside a word stay: ``returns_1m`` is a name.
    """
    return _NUMBER.sub("#", reason)


def _count(counter: Counter[str], name: str, count: int = 1) -> None:
    if name not in counter and len(counter) >= REASONS_LIMIT:
        name = "(others)"
    counter[name] += count


def _counts(counter: Counter[str]) -> tuple[Count, ...]:
    return tuple(Count(name=name, count=count) for name, count in counter.most_common() if count)


def refusal_seen(market: str, refusal: Refused | Unsized) -> RefusalSeen:
    """Return a refusal as it is told, before it is merged with others."""
    if isinstance(refusal, Refused):
        wish, stage, opens = refusal.intent, "gate", refusal.intent.opens
        first, also = refusal.failures[0], tuple(f.rule for f in refusal.failures[1:])
    else:
        wish, stage, opens = refusal, "sizing", refusal.side is Side.BUY
        first, also = refusal.failure, ()
    assert isinstance(first, RuleFailure)
    return RefusalSeen(
        market=market,
        stage=stage,
        rule=first.rule,
        opens=opens,
        outcome=wish.outcome.value,
        side=wish.side.value,
        first_ns=refusal.at_ns,
        last_ns=refusal.at_ns,
        count=1,
        limit=sayable(first.limit),
        found_first=sayable(first.found),
        found=sayable(first.found),
        also=also,
    )


def sayable(found: RuleValue) -> RuleValue:
    """Return what a rule found as JSON can say it.

    That has no infinity, and an age is infinite when there was no message at all.
    """
    return found if isinstance(found, str) or math.isfinite(found) else NOT_FINITE[str(found)]


def _same_refusal(one: RefusalSeen, other: RefusalSeen) -> bool:
    return (one.stage, one.rule, one.opens) == (other.stage, other.rule, other.opens)
