"""Rebuilds our orders and claims from an earlier run's rows; pure, and the same after any end.

A crash and a clean stop are taken over alike. Must not: read files, or believe that an order was
sent or was not; one without an end is of unknown outcome until the venue was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from helpers.domain import (
    Approved,
    Body,
    CarriedOrder,
    Checkpoint,
    ClaimChanged,
    Fill,
    Market,
    MergeAsked,
    OrderIntent,
    OrderSigned,
    OrderState,
    OrderUpdate,
    Rejected,
    Settled,
)
from helpers.live.claims import Claims
from helpers.live.merger import PendingMerges
from helpers.live.order import Stage
from helpers.live.orders import LiveOrders

EMPTY: Final = Checkpoint("", 0, 0, 0, 0, (), (), ())
"""Before the first run."""
Row = tuple[str, int, Body]
"""Slug, moment, body."""


def restored_orders(
    checkpoint: Checkpoint,
    rows: Iterable[Row],
    market_of: Callable[[str], Market | None],
    now_ns: int,
) -> LiveOrders:
    """Return our orders as an earlier run left them; those without an end are unknown."""
    carried = {order.signed.order_id: order for order in checkpoint.orders}
    intents: dict[str, OrderIntent] = {}
    ended: set[str] = set()
    fills = [fill for account in checkpoint.accounts for fill in account.fills]
    for _, _, body in rows:
        if isinstance(body, Approved):
            intents[body.intent.intent_id] = body.intent
        elif isinstance(body, OrderSigned) and body.intent_id in intents:
            intent = intents[body.intent_id]
            market = market_of(intent.market)
            assert market is not None, "a market is told before anything is wanted in it"
            carried[body.order_id] = CarriedOrder(
                market, intent, body, Stage.SENDING.value, 0, matched_known=True
            )
        elif isinstance(body, Rejected) or (
            isinstance(body, OrderUpdate) and body.state is not OrderState.RESTING
        ):
            ended.add(body.order_id)
        elif isinstance(body, Fill):
            fills.append(body)
    orders = LiveOrders()
    for order_id, order in carried.items():
        done = replace(order, stage=Stage.DONE.value) if order_id in ended else order
        orders.take_over(done, now_ns)
    for fill in fills:
        orders.booked(fill)
    return orders


def restored_claims(
    checkpoint: Checkpoint,
    rows: Iterable[Row],
    settled: Iterable[Settled],
    market_of: Callable[[str], Market | None],
    now_ns: int,
) -> Claims:
    """Return what the venue still owed when an earlier run ended.

    ``settled`` is what booking the rows again paid out: a crash between a resolution's row and its
    claim's must not lose the claim. What was written of a claim then says how far it had come.
    """
    claims = Claims()
    claims.take_over(checkpoint.claims, now_ns)
    for paid in settled:
        market = market_of(paid.market)
        assert market is not None, "what was settled is of a market the ledger remembers"
        claims.add(paid, market, now_ns)
    for _, _, body in rows:
        if isinstance(body, ClaimChanged):
            claims.on_row(body.claim, now_ns)
    return claims


def restored_merges(checkpoint: Checkpoint, rows: Iterable[Row]) -> PendingMerges:
    """Return the merges that were asked for and not seen when an earlier run ended."""
    pending = PendingMerges()
    pending.take_over(checkpoint.merges)
    pending.take_over(body for _, _, body in rows if isinstance(body, MergeAsked))
    return pending
