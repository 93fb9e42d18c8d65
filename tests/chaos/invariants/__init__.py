"""What must hold after every run of the whole worker: DESIGN section 4, each a named function.

Each invariant takes the evidence and the folded journals and yields what it found wrong. The order
of the list is that of the design.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from db.control_state import CauseReleased
from helpers.domain import NS_PER_SECOND, MarketSeen, Mode
from tests.chaos.invariants import books, entries, orders, told
from tests.chaos.invariants.fold import Fold, fold_of
from tests.chaos.worker_run import Evidence, Played

SHOWN_MAXIMUM: Final = 3
"""Findings shown of one invariant; the rest are counted."""
Invariant = Callable[[Evidence, Fold], Iterator[str]]

INVARIANTS: Final[tuple[tuple[int, Invariant], ...]] = (
    (1, orders.every_order_was_approved_and_written),
    (1, entries.no_entry_while_held),
    (1, entries.no_entry_before_the_books_agree),
    (1, entries.no_entry_near_the_close),
    (1, entries.no_entry_beside_an_unknown),
    (1, entries.no_second_position_in_a_market),
    (1, entries.no_entry_over_a_limit),
    (1, entries.no_entry_right_after_an_exit),
    (1, entries.exits_pass_every_entry_rule),
    (2, orders.rows_were_durable_before_the_order_left),
    (2, orders.nothing_is_sent_twice),
    (2, orders.what_was_rejected_never_traded),
    (2, orders.one_order_of_a_market_at_a_time),
    (2, orders.rows_are_in_order),
    (3, books.positions_are_what_was_traded),
    (3, books.failures_are_reversed_once),
    (3, books.fills_keep_their_orders_limits),
    (3, books.paper_fills_are_at_prices_shown),
    (3, books.pay_outs_are_whole),
    (3, books.no_row_contradicts_the_ledger),
    (3, books.positions_have_owners),
    (3, books.positions_are_looked_after),
    (4, books.the_ledger_equals_the_venue),
    (4, books.every_trade_is_booked),
    (4, books.no_comparison_differed),
    (5, orders.every_row_says_its_mode),
    (6, told.everything_is_explained),
    (7, entries.no_entry_after_an_operators_halt),
    (7, entries.halts_are_answered),
    (7, entries.a_cut_flatten_is_gone_on_with),
    (8, entries.no_entry_on_old_data),
    (9, told.nothing_grows),
    (9, told.no_task_is_left),
    (11, told.no_secret_is_written),
    (12, told.unknown_kinds_are_counted),
)
"""Number in DESIGN section 4, and the check."""


def violations_of(run: Evidence, fold: Fold) -> tuple[str, ...]:
    """Return every invariant that does not hold, by name, with what was found."""
    found: list[str] = []
    for number, invariant in INVARIANTS:
        texts = list(invariant(run, fold))
        shown = [f"{number} {invariant.__name__}: {text}" for text in texts[:SHOWN_MAXIMUM]]
        if len(texts) > SHOWN_MAXIMUM:
            shown.append(f"{number} {invariant.__name__}: and {len(texts) - SHOWN_MAXIMUM} more")
        found += shown
    return tuple(found)


def played(run: Evidence) -> Played:
    """Judge a run, and return what it came to."""
    mode = Mode.LIVE if run.plan.live else Mode.PAPER
    released = tuple(entry for entry in run.entries if isinstance(entry, CauseReleased))
    fold = fold_of(run.settings, mode, run.records, released)
    struck = {kind.value: n for kind, n in run.served.schedule.counts.items() if n}
    fills = sum(record.kind == "fill" for records in run.records for record in records)
    return Played(
        seed=run.plan.seed,
        minutes=run.plan.minutes,
        market_hours=_market_hours(run),
        rows=sum(map(len, run.records)),
        entries=sum(1 for _ in fold.entries()),
        exits=sum(not seen.intent.opens for seen in fold.approved),
        fills=fills,
        lives=len(run.lives),
        killed=sum(life.killed for life in run.lives),
        live=run.plan.live,
        faults=Counter(struck),
        violations=violations_of(run, fold),
    )


def _market_hours(run: Evidence) -> float:
    """Return the time that open markets were traded in: by a process that knew them."""
    seconds = 0.0
    for life, records in zip(run.lives, run.records, strict=True):
        seen: dict[str, tuple[int, MarketSeen]] = {}
        for record in records:
            if isinstance(record.body, MarketSeen):
                seen.setdefault(record.body.slug, (record.at_ns, record.body))
        for at_ns, market in seen.values():
            begins_ns = max(at_ns, market.opens_ns)
            ends_ns = min(life.ended_ns, market.closes_ns)
            seconds += max(0, ends_ns - begins_ns) / NS_PER_SECOND
    return seconds / 3_600.0


__all__ = ["INVARIANTS", "played", "violations_of"]
