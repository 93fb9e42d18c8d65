"""The cards of a report below its figures: what stands where, and in which words.

Must not: put text into the page unescaped; what is said about a card is our own.
"""

from __future__ import annotations

from html import escape

from db.query_results import ReportRead
from helpers.web.figures import Brier
from helpers.web.tables import (
    calibration_table,
    drift_table,
    execution_table,
    holds_table,
    performance_table,
    refusals_table,
    sessions_table,
    trips_table,
    unexplained_table,
)


def sections_of(
    read: ReportRead, drawn: set[str], brier: Brier | None, now_ns: int
) -> tuple[str, ...]:
    """Return the cards in their order; ``drawn`` are the charts that have something to show."""
    return (
        *_profit_cards(read, drawn),
        card(
            "Calibration",
            _calibration_words(brier),
            _chart("calibration", drawn, "square") + calibration_table(read.calibration),
        ),
        _stack(*_safety_cards(read)),
        *_order_cards(read),
        card("Runs", "", sessions_table(read.sessions, now_ns), "wide"),
        card("Trades", f"The latest {len(read.trips):,}.", trips_table(read.trips), "wide"),
    )


def _profit_cards(read: ReportRead, drawn: set[str]) -> tuple[str, ...]:
    sides = (read.by_asset, read.by_outcome, read.by_asset_outcome)
    days = "by-day" in drawn
    return (
        card(
            "Equity",
            "Profit after fees since the beginning of the span: <i class=accent></i> with open "
            "positions at what they would bring, <i class=muted></i> realised.",
            _chart("equity", drawn, "tall")
            + "<h3>Drawdown</h3>"
            + _chart("drawdown", drawn, "low"),
            "wide",
        ),
        card("By day", "UTC, of the close.", _chart("by-day", drawn)) if days else "",
        card("By hour", "UTC, of the entry.", _chart("by-hour", drawn), "" if days else "wide"),
        card("By asset and side", "", _chart("by-asset-side", drawn) + performance_table(sides)),
        _stack(
            card(
                "Entry price",
                "Trades by the price paid for a share, fees aside: <i class=gain></i> won, "
                "<i class=loss></i> lost.",
                _chart("by-entry-price", drawn),
            ),
            card(
                "Time held",
                "Trades by their length: <i class=gain></i> won, <i class=loss></i> lost.",
                _chart("by-hold", drawn),
            ),
        ),
    )


def _safety_cards(read: ReportRead) -> tuple[str, ...]:
    return (
        card(
            "Refusals by rule",
            "Wishes that became no order. A wish may break several rules; the first one leads.",
            refusals_table(read.refusals),
        ),
        card(
            "Unexplained orders",
            "Of all time, not only of this span. Must be empty.",
            unexplained_table(read.unexplained),
            "bad" if read.unexplained else "good",
        ),
        card("Halts", "What held entries, newest first.", holds_table(read.holds)),
    )


def _order_cards(read: ReportRead) -> tuple[str, ...]:
    return (
        card(
            "Execution: slippage and fees",
            "Slippage is what was paid beyond the best price of the decision, in cents a share; "
            "positive is worse.",
            execution_table(read.execution),
            "wide",
        ),
        card(
            "Paper against live",
            "The same asset and side in both books; drift is live minus paper.",
            drift_table(read.drift),
            "wide",
        ),
    )


def _chart(name: str, drawn: set[str], height: str = "") -> str:
    if name not in drawn:
        return "<p class=empty>Nothing to draw yet.</p>"
    return f'<div class="chart {height}" data-chart="{name}"></div>'


def _calibration_words(brier: Brier | None) -> str:
    if brier is None:
        return "Probabilities of Up against what won."
    actions = "The probabilities of the policy's actions, Up against Down,"
    source = "The policy's forecasts" if brier.is_forecast else actions
    return (
        f"{source} against what won, one sample of each market in 30 s. Brier score "
        f"{brier.policy:.4f}, of the quoted mid {brier.quoted:.4f}, over {brier.samples:,} "
        "samples; lower is better. Samples of one market are not independent: look at the markets."
    )


def card(title: str, about: str, content: str, classes: str = "") -> str:
    """Return a card; ``about`` is our own words, with marks for colours."""
    lead = f"<p class=about>{about}</p>" if about else ""
    return f'<section class="card {classes}"><h2>{escape(title)}</h2>{lead}{content}</section>'


def _stack(*cards: str) -> str:
    return f"<div class=stack>{''.join(cards)}</div>"
