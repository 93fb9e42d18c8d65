"""What a checkpoint repeats of earlier runs, for a database that has not seen them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from db.projection_changes import Change, Thing, Words, plain
from db.projection_orders import fill_words, intent_words, signed_words
from db.projection_tables import CARRIED_FILLS, CARRIED_MARKETS, CARRIED_ORDERS
from helpers.domain import CarriedOrder, Checkpoint, Market


def carried(checkpoint: Checkpoint) -> Iterator[Change]:
    """Yield markets, trades and orders of a checkpoint; they only fill gaps."""
    for account in checkpoint.accounts:
        decided: Words = ()
        if account.winner is not None:
            decided = (("winner", account.winner.value), ("resolved_ns", account.resolved_ns))
        yield _market(account.market, decided)
        for fill in account.fills:
            key = (plain(fill.trade_id), plain(fill.order_id))
            yield Thing(CARRIED_FILLS, key, fill_words(fill, carried=True))
    for order in checkpoint.orders:
        yield _market(order.market, ())
        yield _order(order)


def _order(order: CarriedOrder) -> Thing:
    said: Words = (("state", "carried"), ("carried", True))
    words = intent_words(order.intent) + signed_words(order.signed) + said
    return Thing(CARRIED_ORDERS, (plain(order.intent.intent_id),), words)


def _market(market: Market, decided: Words) -> Thing:
    facts: Words = (
        ("condition_id", plain(market.condition_id)),
        ("asset", market.asset.value),
        ("opens_ns", market.opens_ns),
        ("closes_ns", market.closes_ns),
        ("up_token", plain(market.up_token)),
        ("down_token", plain(market.down_token)),
        ("problems", plain("; ".join(market.problems))),
        ("tick_micros", market.tick_micros),
        ("minimum_shares_micros", market.minimum_shares_micros),
        ("fee_rate_ppm", market.fees.rate_ppm),
        ("fee_exponent", market.fees.exponent),
        ("fee_taker_only", market.fees.taker_only),
    )
    return Thing(CARRIED_MARKETS, (plain(market.slug),), facts + decided)
