"""A report as one HTML file that needs nothing else: styles, scripts and data are in it.

A policy in the page forbids every request, so that a report which is mailed or kept for years shows
the same and tells nobody that it was opened. Must not: put text into the page unescaped.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

import msgspec

from db.query_results import ReportRead
from helpers.domain import NS_PER_SECOND, Message
from helpers.web.charts import Chart, charts_of
from helpers.web.figures import (
    NOTHING,
    Brier,
    Curve,
    brier_of,
    cents,
    curve_of,
    decimal,
    dollars,
    duration,
    moment,
    percent,
    profit_factor,
    slippage_micros,
    win_part,
)
from helpers.web.sections import sections_of

FOLDER: Final = Path(__file__).resolve().parent
VENDOR: Final = FOLDER / "vendor" / "uplot"
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
DEMO_NOTICE: Final = "A demo: invented money and prices. It does not tell what a policy would earn."


class Tile(Message, frozen=True):
    """One figure at the top."""

    name: str
    value: str
    note: str
    tone: str = ""


def render_report(read: ReportRead, now_ns: int) -> str:
    """Return the whole page; ``now_ns`` is when it is written."""
    curve = curve_of(read.equity, read.equity_before)
    brier = brier_of(read.calibration)
    charts = charts_of(read, curve)
    drawn = {chart.id for chart in charts}
    title = f"{read.scope.book.label} report"
    parts = (
        head(title),
        _header(read, now_ns),
        _notices(read),
        tiles_html(tiles_of(read, curve, brier)),
        "<main>",
        *sections_of(read, drawn, brier, now_ns),
        "</main>",
        _footer(now_ns),
        f'<script type="application/json" id=data>{embedded_json(charts)}</script>',
        f"<script>{(VENDOR / 'uPlot.iife.min.js').read_text()}</script>",
        f"<script>{(FOLDER / 'report.js').read_text()}</script>",
        "</body></html>\n",
    )
    return "\n".join(part for part in parts if part)


def embedded_json(charts: tuple[Chart, ...]) -> str:
    """Return data that may stand in a script element, whatever texts are in it."""
    text = msgspec.json.encode(charts).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def tiles_of(read: ReportRead, curve: Curve, brier: Brier | None) -> tuple[Tile, ...]:
    """Return the figures at the top."""
    totals = read.totals
    average = totals.pnl_micros / totals.trips if totals.trips else 0.0
    unexplained = len(read.unexplained)
    tiles = [
        Tile(
            "profit after fees",
            dollars(totals.pnl_micros),
            f"{dollars(totals.fees_micros, sign=False)} of fees paid",
            tone_of(totals.pnl_micros),
        ),
        Tile(
            "trades",
            f"{totals.trips:,}",
            f"{percent(win_part(totals))} won, held {duration(totals.hold_seconds_median)}",
        ),
        Tile(
            "deepest drawdown",
            dollars(curve.deepest_micros),
            "open positions included",
            "loss" if curve.deepest_micros else "",
        ),
        Tile(
            "average trade",
            dollars(average),
            f"best {dollars(totals.best_micros)}, worst {dollars(totals.worst_micros)}",
            tone_of(average),
        ),
        Tile("profit factor", decimal(profit_factor(totals)), "won for each dollar lost"),
        Tile("slippage", cents(slippage_micros(read)), "a share, to the best price decided on"),
        _brier_tile(brier),
        Tile(
            "unexplained orders",
            f"{unexplained:,}",
            f"of {totals.orders:,} in this span" if not unexplained else "see below",
            "bad" if unexplained else "good",
        ),
    ]
    return tuple(tiles)


def _brier_tile(brier: Brier | None) -> Tile:
    if brier is None:
        return Tile("Brier score", NOTHING, "no market was resolved")
    beats = brier.policy < brier.quoted
    tone = "gain" if beats else "loss"
    note = f"{'better' if beats else 'not better'} than the mid's {brier.quoted:.4f}"
    return Tile("Brier score", f"{brier.policy:.4f}", note, tone)


def tone_of(amount: float) -> str:
    """Return the colour of an amount: ``gain``, ``loss`` or none."""
    return "gain" if amount > 0 else "loss" if amount < 0 else ""


def head(title: str) -> str:
    """Return the beginning of a page: its policy, title and styles."""
    styles = (VENDOR / "uPlot.min.css").read_text() + (FOLDER / "report.css").read_text()
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="dark light">'
        f"<title>{escape(title)}</title><style>{styles}</style></head><body>"
    )


def _header(read: ReportRead, now_ns: int) -> str:
    book, latest = read.scope.book, read.latest
    first_ns = max(read.scope.since_ns, min((s.started_ns for s in read.sessions), default=0))
    last_ns = min(read.scope.until_ns, max((s.heartbeat_ns for s in read.sessions), default=0))
    length = duration((last_ns - first_ns) / NS_PER_SECOND) if last_ns > first_ns else NOTHING
    runs = len(read.sessions)
    facts = (
        f"{moment(first_ns)} to {moment(last_ns)} UTC ({length})",
        f"{runs:,} run{'' if runs == 1 else 's'}",
        f"{latest.strategy} ({latest.model_id})",
        f"latest run {latest.state_at(now_ns)}",
    )
    return (
        f'<header><h1><span class="badge {book.mode.value}">{escape(book.label)}</span> Report</h1>'
        f"<p>{' &middot; '.join(map(escape, facts))}</p></header>"
    )


def _notices(read: ReportRead) -> str:
    latest = read.latest
    lost = sum(session.rows_lost + session.rows_refused for session in read.sessions)
    retired = sum(session.rows_retired for session in read.sessions)
    notices = [
        (read.scope.book.is_demo, "note", DEMO_NOTICE),
        (
            latest.other_accounts > 0,
            "note",
            f"Accounts of this book that are not shown: {latest.other_accounts:,}. Each demo "
            "begins one of its own, and so does each folder of journals.",
        ),
        (
            bool(read.unexplained),
            "bad",
            f"{len(read.unexplained):,} orders are not explained: look at them first.",
        ),
        (
            retired > 0,
            "note",
            f"{retired:,} decisions and refusals of these runs grew too old for the database "
            "(DATABASE_DETAIL_DAYS): refusals and calibration are of the others.",
        ),
        (lost > 0, "bad", f"{lost:,} rows of the journal are not in the database."),
        *(
            (bool(session.damage), "bad", f"The journal of {session.run}: {session.damage}")
            for session in read.sessions
        ),
    ]
    return "".join(
        f'<p class="notice {tone}">{escape(text)}</p>' for shown, tone, text in notices if shown
    )


def tiles_html(tiles: tuple[Tile, ...]) -> str:
    """Return the row of figures at the top of a page."""
    return "<section class=tiles>" + "".join(
        f'<div class="tile {tile.tone}"><h2>{escape(tile.name)}</h2>'
        f"<strong>{escape(tile.value)}</strong><span>{escape(tile.note)}</span></div>"
        for tile in tiles
    ) + "</section>"  # fmt: skip


def _footer(now_ns: int) -> str:
    return (
        f"<footer>Written {moment(now_ns)} UTC from the journal in SQL. This file asks nothing of "
        "any network. Charts: uPlot 1.6.32, MIT licence, &copy; 2022 Leon Sorokin.</footer>"
    )
