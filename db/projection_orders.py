"""From rows about orders to rows of tables: wishes, verdicts, answers, fills. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from db.projection_changes import Change, Event, Thing, Value, Words, plain
from db.projection_tables import FILLS, ORDERS
from db.records import Record
from helpers.domain import (
    Accepted,
    Approved,
    Body,
    Fill,
    OrderIntent,
    OrderSigned,
    OrderState,
    OrderUpdate,
    Refused,
    Rejected,
    RuleFailure,
    RuleValue,
    Unknown,
    Unsized,
)

ORIGINS: Final = {"merged": "merged", "adopted": "adopted"}
"""Order ids of trades that no order of ours made: pairs merged, shares found in the wallet."""


def intent_words(intent: OrderIntent) -> Words:
    """Return what an intent says of its order."""
    return (
        ("market", plain(intent.market)),
        ("token", plain(intent.token)),
        ("outcome", intent.outcome.value),
        ("side", intent.side.value),
        ("style", intent.style.value),
        ("opens", intent.opens),
        ("reason", intent.reason.value),
        ("price_limit_micros", intent.price_limit_micros),
        ("shares_micros", intent.shares_micros),
        ("deadline_ns", intent.deadline_ns),
        ("expires_ns", intent.expires_ns),
        ("created_ns", intent.created_ns),
    )


def signed_words(signed: OrderSigned) -> Words:
    """Return what a signature says of its order."""
    return (
        ("order_id", plain(signed.order_id)),
        ("signed_ns", signed.at_ns),
        ("order_type", plain(signed.order_type)),
        ("signed_shares_micros", signed.shares_micros),
        ("signed_limit_micros", signed.limit_micros),
    )


def fill_words(fill: Fill, *, carried: bool) -> Words:
    """Return what a rung of the ladder says of its trade."""
    return (
        ("intent_id", plain(fill.intent_id)),
        ("origin", ORIGINS.get(fill.order_id, "order")),
        ("market", plain(fill.market)),
        ("outcome", fill.outcome.value),
        ("side", fill.side.value),
        ("shares_micros", fill.shares_micros),
        ("price_micros", fill.price_micros),
        ("fee_micros", fill.fee_micros),
        ("maker", fill.maker),
        ("opens", fill.opens),
        ("status", fill.status.value),
        ("first_ns", fill.at_ns),
        ("status_ns", fill.at_ns),
        ("deadline_ns", fill.deadline_ns),
        ("carried", carried),
    )


def _order(
    record: Record,
    state: str,
    intent_id: str,
    words: Words,
    *,
    order_id: str | None = None,
    detail: str | None = None,
    missed: bool | None = None,
    left_micros: int | None = None,
) -> Iterator[Change]:
    market, intent_id = plain(record.market), plain(intent_id)
    order_id = None if order_id is None else plain(order_id)
    detail = None if detail is None else plain(detail)
    told = (record.at_ns, market, state, intent_id, order_id, detail, missed, left_micros)
    yield Event("order_events", told)
    said: Words = (
        ("state", state),
        ("market", market),
        ("order_id", order_id or None),
        ("detail", detail),
        ("missed", missed),
        ("remaining_shares_micros", left_micros),
        ("carried", False),
    )
    yield Thing(ORDERS, (intent_id,), said + words)


def _approved(session: int, record: Record, body: Approved) -> Iterator[Change]:
    verdict: Words = (
        ("approved_session", session),
        ("approved_seq", record.seq),
        ("approved_ns", body.at_ns),
    )
    intent = body.intent
    return _order(record, "approved", intent.intent_id, intent_words(intent) + verdict)


def _signed(_: int, record: Record, body: OrderSigned) -> Iterator[Change]:
    words = signed_words(body)
    return _order(record, "signed", body.intent_id, words, order_id=body.order_id)


def _accepted(_: int, record: Record, body: Accepted) -> Iterator[Change]:
    words = (("accepted_ns", body.at_ns),)
    return _order(record, "accepted", body.intent_id, words, order_id=body.order_id)


def _rejected(_: int, record: Record, body: Rejected) -> Iterator[Change]:
    return _order(
        record,
        "rejected",
        body.intent_id,
        (("rejected_ns", body.at_ns), ("ended_ns", body.at_ns)),
        order_id=body.order_id,
        detail=body.reason,
        missed=body.missed,
    )


def _unknown(_: int, record: Record, body: Unknown) -> Iterator[Change]:
    return _order(
        record,
        "unknown",
        body.intent_id,
        (("unknown_ns", body.at_ns),),
        order_id=body.order_id,
        detail=body.reason,
    )


def _update(_: int, record: Record, body: OrderUpdate) -> Iterator[Change]:
    ended = body.state is not OrderState.RESTING
    return _order(
        record,
        body.state.value,
        body.intent_id,
        (("ended_ns", body.at_ns if ended else None),),
        order_id=body.order_id,
        left_micros=body.remaining_shares_micros,
    )


def _fill(_: int, record: Record, body: Fill) -> Iterator[Change]:
    trade, order, market = plain(body.trade_id), plain(body.order_id), plain(body.market)
    yield Event("fill_events", (record.at_ns, market, trade, order, body.status.value))
    yield Thing(FILLS, (trade, order), fill_words(body, carried=False))


def _refused(_: int, record: Record, body: Refused) -> Iterator[Change]:
    wish = body.intent
    wished = (
        *(wish.outcome.value, wish.side.value, plain(wish.intent_id), wish.opens),
        *(wish.reason.value, wish.price_limit_micros, wish.shares_micros),
    )
    for item, failure in enumerate(body.failures or (RuleFailure("", "", ""),)):
        yield _safety_event(record, item, failure, wished)


def _unsized(_: int, record: Record, body: Unsized) -> Iterator[Change]:
    wished = (body.outcome.value, body.side.value, *(None,) * 5)
    yield _safety_event(record, 0, body.failure, wished)


def _safety_event(
    record: Record, item: int, failure: RuleFailure, wished: tuple[Value, ...]
) -> Event:
    told = (record.at_ns, plain(record.market), item, record.kind, plain(failure.rule))
    return Event(
        "safety_events",
        (*told, *_number_or_text(failure.limit), *_number_or_text(failure.found), *wished),
    )


def _number_or_text(value: RuleValue) -> tuple[float | None, str | None]:
    return (None, plain(value)) if isinstance(value, str) else (float(value), None)


ORDER_KINDS: Final[dict[type[Body], Callable[[int, Record, Any], Iterator[Change]]]] = {
    Approved: _approved,
    Refused: _refused,
    Unsized: _unsized,
    OrderSigned: _signed,
    Accepted: _accepted,
    Rejected: _rejected,
    Unknown: _unknown,
    OrderUpdate: _update,
    Fill: _fill,
}
