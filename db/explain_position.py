"""Orders and the positions they make, followed to their end, and how a report shows them.

Must not: read files or a clock. A position's result is what its fills and payout add up to, unless
the ledger's own closing row says it.
"""

from __future__ import annotations

from typing import Final

from db.explain_report import DecisionSeen, EntrySeen, FeatureSeen, FillSeen, OrderSeen
from helpers.domain import (
    FEATURE_NAMES,
    MICROS,
    Decision,
    Fill,
    FillStatus,
    OrderIntent,
    RoundTrip,
    Settled,
    Side,
    StrikeSeen,
    Submission,
)

TOP_FEATURES: Final = 5
"""Features shown of a decision; the rest are in the journal."""
DUST_MICROS: Final = 10_000
"""A hundredth of a share, the venue's rounding: a position this small is gone."""


class Order:
    """An approved order and what is known of it so far."""

    def __init__(
        self,
        intent: OrderIntent,
        at_ns: int,
        decision: Decision | None,
        strike: StrikeSeen | None,
        position: Round,
    ) -> None:
        self.intent = intent
        self.at_ns = at_ns
        self.decision = decision
        self.strike = strike
        """As it was known then; a better one may have come since."""
        self.position = position
        self.submission: Submission | None = None
        self.state = ""
        self.fills: dict[str, Fill] = {}

    @property
    def outcome_of_sending(self) -> str:
        """Return ``accepted``, ``rejected``, ``unknown``, or ``unanswered``."""
        return "unanswered" if self.submission is None else type(self.submission).__name__.lower()


class Round:
    """A position from its first order until it is flat or paid out."""

    def __init__(self) -> None:
        self.fills: dict[str, Fill] = {}
        self.entries: list[Order] = []
        self.exits: list[Order] = []
        self.settled: Settled | None = None
        self.closed: RoundTrip | None = None

    @property
    def counting(self) -> list[Fill]:
        """Return the fills that count: a failed settlement never happened (invariant 3)."""
        return [fill for fill in self.fills.values() if fill.status is not FillStatus.FAILED]

    @property
    def shares_micros(self) -> int:
        """Return the shares still held."""
        return sum(
            fill.shares_micros if fill.side is Side.BUY else -fill.shares_micros
            for fill in self.counting
        )

    @property
    def ended(self) -> str:
        """Return how it ended, in the words of ``EntrySeen.ended``."""
        if self.settled is not None:
            return "settled_won" if self.settled.won else "settled_lost"
        if self.closed is not None:
            return "sold"
        if not self.counting:
            return "not_filled"
        return "sold" if self.shares_micros <= DUST_MICROS else "open"

    @property
    def ended_ns(self) -> int:
        """Return when it ended, 0 while open or never filled."""
        if self.settled is not None:
            return self.settled.at_ns
        if self.closed is not None:
            return self.closed.closed_ns
        return max(fill.at_ns for fill in self.counting) if self.ended == "sold" else 0

    @property
    def fees_micros(self) -> int:
        """Return all fees."""
        return sum(fill.fee_micros for fill in self.counting)

    @property
    def pnl_micros(self) -> int:
        """Return the result after fees, 0 while open."""
        if self.closed is not None:
            return self.closed.pnl_micros
        if not self.ended_ns:
            return 0
        paid_out = 0
        if self.settled is not None:
            paid_out = self.settled.payout_micros
            if not any(fill.side is Side.BUY for fill in self.counting):
                # Bought before this journal begins: only the ledger knew the cost.
                paid_out -= self.settled.cost_micros
        return paid_out + sum(_cash_micros(fill) for fill in self.counting)


def entries_of(position: Round) -> list[EntrySeen]:
    """Return the entries of a position, each with the exits and the end of the whole."""
    exits = tuple(_order(order) for order in position.exits)
    return [
        EntrySeen(
            order=_order(order),
            exits=exits,
            ended=position.ended,
            ended_ns=position.ended_ns,
            pnl_micros=position.pnl_micros,
            fees_micros=position.fees_micros,
        )
        for order in position.entries
    ]


def _order(order: Order) -> OrderSeen:
    wish = order.intent
    return OrderSeen(
        at_ns=order.at_ns,
        intent_id=wish.intent_id,
        outcome=wish.outcome.value,
        side=wish.side.value,
        style=wish.style.value,
        reason=wish.reason.value,
        price_limit_micros=wish.price_limit_micros,
        shares_micros=wish.shares_micros,
        submission=order.outcome_of_sending,
        submission_detail=getattr(order.submission, "reason", ""),
        state=order.state,
        fills=tuple(_fill(fill) for fill in order.fills.values()),
        decision=None if order.decision is None else _decision(order.decision),
        strike=order.strike,
    )


def _fill(fill: Fill) -> FillSeen:
    return FillSeen(
        at_ns=fill.at_ns,
        shares_micros=fill.shares_micros,
        price_micros=fill.price_micros,
        fee_micros=fill.fee_micros,
        status=fill.status.value,
        maker=fill.maker,
    )


def _decision(decision: Decision) -> DecisionSeen:
    by_size = sorted(
        zip(FEATURE_NAMES, decision.features, strict=False), key=lambda named: -abs(named[1])
    )
    hold, buy, sell = decision.probabilities
    return DecisionSeen(
        at_ns=decision.at_ns,
        action=decision.action.name,
        probability_hold=hold,
        probability_buy=buy,
        probability_sell=sell,
        value=decision.value,
        model_id=decision.model_id,
        reason=decision.reason,
        top_features=tuple(
            FeatureSeen(name=name, value=value) for name, value in by_size[:TOP_FEATURES] if value
        ),
        cold_features=tuple(
            FEATURE_NAMES[index] for index in decision.cold if index < len(FEATURE_NAMES)
        ),
        up_bid_micros=decision.up_bid_micros,
        up_ask_micros=decision.up_ask_micros,
        fast_mid=decision.fast_mid,
        seconds_to_close=decision.seconds_to_close,
    )


def _cash_micros(fill: Fill) -> int:
    notional = fill.shares_micros * fill.price_micros // MICROS
    return (-notional if fill.side is Side.BUY else notional) - fill.fee_micros
