"""Tables of a report as HTML.

Every text is escaped where it becomes a cell, whoever wrote it: names of markets, details of halts
and reasons come from venues. Must not: compute anything but shares of a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from db.query_results import (
    CalibrationBin,
    Drift,
    Execution,
    HoldSeen,
    Performance,
    Refusals,
    SessionSeen,
    Trip,
    UnexplainedOrder,
)
from helpers.domain import MICROS, Message
from helpers.web.figures import (
    cents,
    decimal,
    dollars,
    duration,
    milliseconds,
    moment,
    percent,
    price,
    shares,
    win_part,
)

EMPTY: Final = "<p class=empty>{}</p>"


class Cell(Message, frozen=True):
    """One cell: its text, and how it stands."""

    text: str
    is_number: bool = True
    tone: str = ""
    """``gain``, ``loss``, ``long`` for words that may break, or nothing."""
    bar: float = -1.0
    """Length of a bar behind the text, 0 to 1; negative for none."""


def words(text: str) -> Cell:
    """Return a cell of words."""
    return Cell(text, is_number=False)


def money(micros: int) -> Cell:
    """Return an amount in the colour of its sign."""
    return Cell(dollars(micros), tone="gain" if micros > 0 else "loss" if micros < 0 else "")


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], empty: str) -> str:
    """Return a table; its first heads are of words as long as the cells below are."""
    lines = [tuple(row) for row in rows]
    if not lines:
        return EMPTY.format(escape(empty))
    numbers = [cell.is_number for cell in lines[0]]
    head = "".join(
        f"<th{' class=n' if number else ''}>{escape(text)}</th>"
        for text, number in zip(heads, numbers, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, line))}</tr>" for line in lines)
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=scroll>{whole}</div>"


def _cell(cell: Cell) -> str:
    classes = " ".join(name for name in ("n" if cell.is_number else "", cell.tone) if name)
    attribute = f' class="{classes}"' if classes else ""
    if cell.bar < 0:
        return f"<td{attribute}>{escape(cell.text)}</td>"
    bar = f'<span class=bar style="width:{cell.bar * 100:.1f}%"></span>'
    return f"<td{attribute}><span class=barred>{bar}</span>{escape(cell.text)}</td>"


def performance_table(groups: Sequence[Sequence[Performance]]) -> str:
    """Return trips that have something in common, group after group."""
    rows = [
        (
            words(row.key),
            Cell(f"{row.trips:,}"),
            Cell(percent(win_part(row))),
            money(row.pnl_micros),
            Cell(dollars(row.fees_micros, sign=False)),
            Cell(percent(row.pnl_micros / row.cost_micros if row.cost_micros else None)),
        )
        for group in groups
        for row in group
    ]
    heads = ("", "trades", "won", "profit", "fees", "of cost")
    return table(heads, rows, "No position was closed in this span.")


def execution_table(rows: Sequence[Execution]) -> str:
    """Return how orders were filled, the book itself first and then its counterpart."""
    cells = [
        (
            words(row.book.label),
            words("entries" if row.opens else "exits"),
            words(row.style.value),
            Cell(f"{row.orders:,}"),
            Cell(percent(row.filled / row.orders)),
            Cell(percent(row.filled_part)),
            Cell(f"{row.rejected:,}"),
            Cell(f"{row.unknown:,}"),
            Cell(cents(row.slippage_micros)),
            Cell(cents(row.fee_micros_a_share, sign=False)),
            Cell(dollars(row.fees_micros, sign=False)),
            Cell(milliseconds(row.answer_milliseconds_p50)),
            Cell(milliseconds(row.answer_milliseconds_p99)),
            Cell(milliseconds(row.fill_milliseconds_p50)),
            Cell(milliseconds(row.fill_milliseconds_p99)),
        )
        for row in rows
    ]
    heads = (
        *("book", "", "style", "orders", "filled", "of shares", "rejected", "unknown"),
        *("slippage", "fee a share", "fees", "answer p50", "p99", "fill p50", "p99"),
    )
    return table(heads, cells, "No order was sent in this span.")


def refusals_table(rows: Sequence[Refusals]) -> str:
    """Return what each rule refused, with a bar for its part of all."""
    most = max((row.refusals for row in rows), default=0) or 1
    cells = [
        (
            words(row.rule),
            words("not sized" if row.kind == "unsized" else "refused"),
            Cell(f"{row.refusals:,}", bar=row.refusals / most),
            Cell(f"{row.times_broken:,}"),
            Cell(f"{row.markets:,}"),
        )
        for row in rows
    ]
    heads = ("rule", "", "first broken", "broken at all", "markets")
    return table(heads, cells, "Nothing was refused in this span.")


def calibration_table(bins: Sequence[CalibrationBin]) -> str:
    """Return each bin with its counts and both scores."""
    cells = [
        (
            words(f"{one.bin / 10:.1f} to {(one.bin + 1) / 10:.1f}"),
            Cell(f"{one.samples:,}"),
            Cell(f"{one.markets:,}"),
            Cell(percent(one.probability)),
            Cell(percent(one.quoted)),
            Cell(percent(one.won / one.samples)),
            Cell(decimal(one.policy_error / one.samples, 4)),
            Cell(decimal(one.quoted_error / one.samples, 4)),
        )
        for one in bins
    ]
    heads = ("told", "samples", "markets", "average", "quoted", "Up won", "Brier", "of the mid")
    return table(heads, cells, "No market with a decision was resolved in this span.")


def drift_table(rows: Sequence[Drift]) -> str:
    """Return paper and live side by side, with what live is worse or better by."""
    cells = [
        (
            words(f"{row.asset} {row.outcome}"),
            Cell(f"{row.paper_trips:,} / {row.live_trips:,}"),
            Cell(cents(row.paper_pnl_micros_a_share)),
            Cell(cents(row.live_pnl_micros_a_share)),
            _difference(row.live_pnl_micros_a_share, row.paper_pnl_micros_a_share),
            Cell(cents(row.paper_slippage_micros)),
            Cell(cents(row.live_slippage_micros)),
            Cell(price(row.paper_entry_price_micros)),
            Cell(price(row.live_entry_price_micros)),
            Cell(percent(row.paper_filled_part)),
            Cell(percent(row.live_filled_part)),
        )
        for row in rows
    ]
    heads = (
        *("", "trades paper / live", "profit a share, paper", "live", "drift"),
        *("slippage, paper", "live", "entry price, paper", "live", "filled, paper", "live"),
    )
    return table(heads, cells, "Only one of the two books traded in this span.")


def _difference(live: float | None, paper: float | None) -> Cell:
    if live is None or paper is None:
        return Cell(cents(None))
    drift = live - paper
    return Cell(cents(drift), tone="gain" if drift > 0 else "loss" if drift < 0 else "")


def unexplained_table(rows: Sequence[UnexplainedOrder]) -> str:
    """Return orders that nothing explains."""
    cells = [
        (words(row.problem), words(row.market), words(row.intent_id), words(row.order_id))
        for row in rows
    ]
    return table(
        ("problem", "market", "intent", "order"),
        cells,
        "None: every order has its decision and its verdict, every fill its order.",
    )


def holds_table(rows: Sequence[HoldSeen]) -> str:
    """Return when entries were held and released, newest first."""
    cells = [
        (
            words(moment(row.at_ns)),
            words(row.cause.value),
            words(row.change),
            words(row.trading.value),
            Cell(row.detail, is_number=False, tone="long"),
        )
        for row in rows
    ]
    heads = ("at (UTC)", "cause", "", "then", "detail")
    return table(heads, cells, "Entries were never held in this span.")


def sessions_table(rows: Sequence[SessionSeen], now_ns: int) -> str:
    """Return the runs, newest first."""
    cells = [
        (
            words(row.run),
            words(moment(row.started_ns)),
            words(moment(row.heartbeat_ns)),
            words(row.state_text(row.state_at(now_ns))),
            words(f"{row.strategy} ({row.model_id})"),
            words(row.build_id),
            Cell(f"{row.seq:,}"),
        )
        for row in reversed(rows)
    ]
    heads = ("run", "started (UTC)", "last row (UTC)", "state", "policy", "build", "rows")
    return table(heads, cells, "No run has rows in this span.")


def trips_table(rows: Sequence[Trip]) -> str:
    """Return round trips, newest first."""
    cells = [
        (
            words(moment(row.closed_ns)),
            words(row.market),
            words(row.outcome.value),
            Cell(shares(row.shares_micros)),
            Cell(price(row.entry_price_micros)),
            Cell(dollars(row.cost_micros, sign=False)),
            Cell(dollars(row.proceeds_micros, sign=False)),
            Cell(dollars(row.fees_micros, sign=False)),
            money(row.pnl_micros),
            Cell(duration(row.hold_seconds)),
            words(row.how if row.how == "sold" else _paid(row)),
        )
        for row in rows
    ]
    heads = (
        *("closed (UTC)", "market", "side", "shares", "entry", "cost", "proceeds", "fees"),
        *("profit", "held", ""),
    )
    return table(heads, cells, "No position was closed in this span.")


def _paid(trip: Trip) -> str:
    # What was sold before the resolution counts among the proceeds, so they tell no more than this.
    return "paid out" if trip.proceeds_micros >= MICROS // 100 else "worthless"
