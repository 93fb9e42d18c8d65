"""Invariants 3 and 4: positions change by trades and resolutions only; ledger equals venue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from helpers.domain import MICROS, Fill, FillStatus, LedgerConflict, OrderIntent, Side
from helpers.live.reconcile import CASH_DUST_MICROS
from simulator.wallet_check import check_wallet
from simulator.world_settings import WALLET
from tests.chaos.invariants.fold import Fold
from tests.chaos.worker_run import Evidence

FINE_TICK_MICROS: Final = 1_000


def positions_are_what_was_traded(run: Evidence, fold: Fold) -> Iterator[str]:
    """Hold the ledger's positions against the shares of the rows, to the micro-share."""
    ledger = run.lives[-1].worker._flow.ledger
    ours = {(p.market, p.outcome): p.shares_micros for p in ledger.positions() if p.outcome}
    rows = fold.books.legs()
    for leg in sorted({*ours, *rows}, key=str):
        if ours.get(leg, 0) != rows.get(leg, 0):
            yield f"{leg}: ledger {ours.get(leg, 0)}, rows {rows.get(leg, 0)}"
    for (slug, outcome), shares in rows.items():
        if shares < 0:
            yield f"{slug} {outcome}: {-shares} micro-shares more were sold than held"


def the_ledger_equals_the_venue(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Hold a live run's books against what the exchange itself holds, to the micro-share."""
    live = run.lives[-1].live
    if live is None:
        return
    exchange = run.served.world.exchange
    check = check_wallet(
        live.ledger.positions(),
        live.claims.owed(),
        live.ledger.cash_micros,
        exchange,
        WALLET,
        CASH_DUST_MICROS,
    )
    yield from check.differences
    yield from (f"{o.order_id} rests after the stop" for o in exchange.open_orders(WALLET))
    yield from (f"{order.order_id} is alive after the stop" for order in live.orders.alive())
    if live.last_reconciled is None or not live.last_reconciled.agrees:
        yield f"the last comparison was {live.last_reconciled}"


def every_trade_is_booked(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find trades the venue made with our orders that no row tells."""
    if not run.plan.live:
        return
    booked: dict[str, set[str]] = {}
    for trade_id, order_id in fold.books.trades:
        # What one order took of several is booked in parts, each at its own price.
        booked.setdefault(order_id, set()).add(trade_id.partition("/")[0])
    for order_id, trades in run.venue.traded.items():
        for trade_id in trades - booked.get(order_id, set()):
            yield f"trade {trade_id} of order {order_id} is in no journal"


def no_comparison_differed(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find confirmed differences: nobody but the worker trades with this wallet (I4, I18)."""
    for life, row in fold.reconciled:
        if not row.agrees:
            yield f"life {life}: {'; '.join(row.differences)}"


def no_row_contradicts_the_ledger(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find contradictions the ledger met; these venues never give it one."""
    for number, records in enumerate(run.records, 1):
        for record in records:
            if isinstance(record.body, LedgerConflict):
                yield f"life {number}, row {record.seq}: {record.body.detail}"


def failures_are_reversed_once(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find trades told as FAILED twice: each time the books would have been changed."""
    for (trade_id, _), times in fold.books.failures.items():
        if times > 1:
            yield f"trade {trade_id} failed {times} times"


def fills_keep_their_orders_limits(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find fills beyond the limit of their intent, without one, or with the wrong fee (I26)."""
    for fill in fold.books.trades.values():
        order = fold.books.orders.get(fill.intent_id)
        if order is None:
            if not fill.intent_id.endswith(("/merged", "/adopted")):
                yield f"trade {fill.trade_id} is of {fill.intent_id}, which was never approved"
        elif not _within(fill, order.intent):
            yield f"trade {fill.trade_id} was at {fill.price_micros}, beyond {order.intent}"
        elif (fill.fee_micros == 0) is not fill.maker:
            yield f"trade {fill.trade_id}: fee {fill.fee_micros}, maker {fill.maker}"


def paper_fills_are_at_prices_shown(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find paper trades at prices nobody showed: at the mid, or better than the best (I26)."""
    if run.plan.live:
        return
    for fill, best in run.journals.paper_prices.values():
        better = fill.price_micros < best if fill.side is Side.BUY else fill.price_micros > best
        if best and better:
            yield f"{fill.side} {fill.trade_id} at {fill.price_micros}, best shown was {best}"
        if fill.price_micros % FINE_TICK_MICROS:
            yield f"{fill.trade_id} at {fill.price_micros} is between two ticks"


def pay_outs_are_whole(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find settlements that pay neither nothing nor a dollar a share (I26)."""
    for settled in fold.settled:
        if settled.payout_micros not in (0, settled.shares_micros):
            yield f"{settled.market}: {settled.payout_micros} for {settled.shares_micros}"


def positions_have_owners(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find positions without their market's facts or without a deadline (I1, I15)."""
    ledger = run.lives[-1].worker._flow.ledger
    for position in ledger.positions():
        market = ledger.market(position.market)
        if market is None or not 0 < position.deadline_ns < market.closes_ns:
            yield f"{position.market} has no owner: {position.deadline_ns}, {market}"


def positions_are_looked_after(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find positions past their deadline or age that nobody tried to sell (I1)."""
    yield from fold.attention.neglected


def _within(fill: Fill, intent: OrderIntent) -> bool:
    if fill.outcome is not intent.outcome or fill.side is not intent.side:
        return False
    if fill.status is FillStatus.FAILED or not 0 < fill.price_micros < MICROS:
        return fill.status is FillStatus.FAILED
    if intent.side is Side.BUY:
        return fill.price_micros <= intent.price_limit_micros
    return fill.price_micros >= intent.price_limit_micros
