"""An evaluation as one HTML file that needs nothing else, drawn without a script.

Must not: compute anything but places on a page, or put text into it unescaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from helpers.domain import Message
from helpers.evaluation.comparison import Comparison, Standing
from helpers.evaluation.text import (
    HEADS,
    fold_heads,
    fold_rows,
    interval_text,
    signed,
    standing_cells,
    verdicts,
)
from helpers.web.figures import moment
from helpers.web.page import Tile, head, tiles_html, tone_of
from helpers.web.sections import card
from helpers.web.tables import Cell, table, words

ROW_HEIGHT: Final = 30
PLOT_WIDTH: Final = 1_000
LABEL_WIDTH: Final = 190
CURVE_HEIGHT: Final = 320
POINTS_MAXIMUM: Final = 500
"""Points drawn of a curve; more than pixels show nothing more."""
COLOURS: Final = ("#2f6fed", "#d0433f", "#12885a", "#b7791f", "#8b5cf6", "#0e9aa7", "#c2418d")
STYLE: Final = (
    "<style>svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:13px}"
    "svg .zero{stroke:var(--muted);stroke-dasharray:4 4}svg .whisker{stroke-width:3}"
    ".key{display:inline-block;margin-right:16px}</style>"
)


class _Scale(Message, frozen=True):
    """Dollars to places."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return round(self.begin + part * (self.end - self.begin), 1)


def render_evaluation(comparison: Comparison, now_ns: int) -> str:
    """Return the whole page; ``now_ns`` is when it is written."""
    standings = comparison.standings
    parts = (
        head(comparison.title),
        STYLE,
        f"<header><h1>{escape(comparison.title)}</h1><p>{comparison.windows:,} windows in "
        f"{comparison.clusters:,} independent stretches of time</p></header>",
        *(f'<p class="notice note">{escape(note)}</p>' for note in comparison.notes),
        tiles_html(tuple(_tile(standing) for standing in standings)),
        "<main>",
        card("Profit per window", _ABOUT, _forest(standings), "wide"),
        card("Profit, window by window", "Dollars added up.", _curves(standings), "wide"),
        card(
            "Side by side", " ".join(map(escape, verdicts(comparison))), _side(comparison), "wide"
        ),
        card("In order of time", _ABOUT_FOLDS, _folds(comparison), "wide"),
        "</main>",
        f"<footer>Written {moment(now_ns)} UTC. This file asks nothing of any network.</footer>",
        "</body></html>\n",
    )
    return "\n".join(part for part in parts if part)


_ABOUT: Final = (
    "Mean net dollars a window with its 95 % interval: fees paid, fills at executable prices, "
    "settlements at 0 or 1. Windows that ran at the same time are resampled together."
)
_ABOUT_FOLDS: Final = (
    "Mean net dollars a window in consecutive stretches. The last line chooses, before each one, "
    "the strategy that was best on all before it."
)


def _tile(standing: Standing) -> Tile:
    note = f"{interval_text(standing.pnl)}, {standing.trips:,} trades"
    value = f"{signed(standing.pnl.mean)} $"
    return Tile(standing.contender, value, note, tone_of(standing.pnl.mean))


def _forest(standings: Sequence[Standing]) -> str:
    ends = [end for s in standings for end in (s.pnl.mean, s.pnl.low, s.pnl.high)]
    scale = _scale([end for end in ends if end is not None], LABEL_WIDTH, PLOT_WIDTH - 20)
    height = ROW_HEIGHT * (len(standings) + 1)
    zero = scale.at(0.0)
    marks = [f'<line class=zero x1="{zero}" x2="{zero}" y1="0" y2="{height - ROW_HEIGHT}"/>']
    for row, standing in enumerate(standings):
        y = row * ROW_HEIGHT + ROW_HEIGHT // 2
        colour, pnl = _colour(row), standing.pnl
        marks.append(f'<text x="0" y="{y + 4}">{escape(standing.contender)}</text>')
        if pnl.low is not None and pnl.high is not None:
            marks.append(
                f'<line class=whisker stroke="{colour}" x1="{scale.at(pnl.low)}" '
                f'x2="{scale.at(pnl.high)}" y1="{y}" y2="{y}"/>'
            )
        marks.append(f'<circle cx="{scale.at(pnl.mean)}" cy="{y}" r="6" fill="{colour}"/>')
    marks += [
        f'<text x="{scale.at(value)}" y="{height - 8}" text-anchor="middle">{value:+.2f}</text>'
        for value in (scale.low, 0.0, scale.high)
    ]
    return _svg(height, marks, "Mean profit a window with its interval, by strategy")


def _curves(standings: Sequence[Standing]) -> str:
    count = len(standings[0].curve)
    step = max(1, -(-count // POINTS_MAXIMUM))
    places = [*range(0, count, step)]
    if places[-1] != count - 1:
        places.append(count - 1)
    y = _scale([s.curve[place] for s in standings for place in places], CURVE_HEIGHT - 10, 10)
    x = _Scale(low=-1.0, high=float(max(count - 1, 1)), begin=60.0, end=PLOT_WIDTH - 10.0)
    zero = y.at(0.0)
    marks = [f'<line class=zero x1="60" x2="{PLOT_WIDTH}" y1="{zero}" y2="{zero}"/>']
    for row, standing in enumerate(standings):
        points = [(x.at(-1.0), zero), *((x.at(p), y.at(standing.curve[p])) for p in places)]
        path = " ".join(f"{left},{top}" for left, top in points)
        marks.append(
            f'<polyline fill="none" stroke="{_colour(row)}" stroke-width="2" points="{path}"/>'
        )
    marks += [
        f'<text x="0" y="{y.at(value) + 4}">{value:+,.0f}</text>' for value in (y.low, 0.0, y.high)
    ]
    keys = "".join(
        f'<span class=key><b style="color:{_colour(row)}">&#9632;</b> '
        f"{escape(standing.contender)}</span>"
        for row, standing in enumerate(standings)
    )
    return _svg(CURVE_HEIGHT, marks, "Profit added up, by strategy") + f"<p>{keys}</p>"


def _side(comparison: Comparison) -> str:
    rows = [_cells(standing_cells(standing)) for standing in comparison.standings]
    return table(HEADS, rows, "Nothing was evaluated.")


def _folds(comparison: Comparison) -> str:
    rows = [_cells(row) for row in fold_rows(comparison)]
    return table(fold_heads(comparison), rows, "There is one stretch only.")


def _cells(row: Sequence[str]) -> tuple[Cell, ...]:
    first, *rest = row
    return (words(first), *(Cell(text) for text in rest))


def _scale(values: Sequence[float], begin: float, end: float) -> _Scale:
    low, high = min(0.0, *values), max(0.0, *values)
    if low == high:
        low, high = -1.0, 1.0
    return _Scale(low=low, high=high, begin=begin, end=end)


def _colour(row: int) -> str:
    return COLOURS[row % len(COLOURS)]


def _svg(height: int, marks: Sequence[str], label: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {PLOT_WIDTH} {height}">'
        f"{''.join(marks)}</svg>"
    )
