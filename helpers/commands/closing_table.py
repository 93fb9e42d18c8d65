"""What a run came to, as a table for people: trades, money, refusals, scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from helpers.commands.terminal import aligned
from helpers.domain import MICROS, Position, from_micros
from helpers.evaluation.comparison import Duel
from helpers.evaluation.text import DUEL_HEADS, duel_cells
from helpers.ledger_report import LedgerReport
from helpers.scorecard import Scorecard

WIDTH = 72


def closing_table(
    title: str, report: LedgerReport, positions: Iterable[Position], scorecard: Scorecard
) -> str:
    """Return the table as text."""
    lines = [title, "-" * WIDTH, *_money(report), *_by_side(report)]
    lines += _counts("markets resolved", scorecard.resolved.most_common())
    lines += _counts("positions settled", scorecard.settled.most_common())
    lines += _positions(positions)
    lines += _counts("decisions", scorecard.decisions.most_common())
    lines += _counts("refused by rule", scorecard.refusals.most_common())
    lines += _counts("not sized", scorecard.unsized.most_common())
    brier = scorecard.brier()
    if brier is not None:
        lines.append(
            f"{'Brier score':<22}policy {brier.policy:.4f}   quoted mid {brier.quoted:.4f}   "
            f"({brier.decisions} decisions in resolved markets; lower is better)"
        )
    return "\n".join(lines) + "\n"


def shadows_table(duels: Sequence[Duel], endings: Iterable[tuple[str, str]]) -> str:
    """Return each shadow beside the strategy that traded, on windows both saw whole."""
    text = ""
    if duels:
        rows = [duel_cells(duel) for duel in duels]
        text = "\n" + aligned(DUEL_HEADS, rows, frozenset(range(1, len(DUEL_HEADS))))
    return text + "".join(f"{'shadow ended':<22}{name}: {why}\n" for name, why in endings)


def dollars(micros: int) -> str:
    """Return micro-dollars as $1.23 or -$1.23."""
    return f"{'-' if micros < 0 else ''}${abs(micros) / MICROS:,.2f}"


def _money(report: LedgerReport) -> list[str]:
    rate = f" ({report.wins / report.trades:.0%})" if report.trades else ""
    return [
        f"{'round trips':<22}{report.trades}   won {report.wins}{rate}   lost {report.losses}",
        f"{'PnL after fees':<22}{dollars(report.realised_micros)}   "
        f"(before fees {dollars(report.gross_micros)}, fees {dollars(report.fees_micros)})",
        f"{'largest drawdown':<22}{dollars(report.maximum_drawdown_micros)}",
        f"{'cash at the end':<22}{dollars(report.cash_micros)}",
    ]


def _by_side(report: LedgerReport) -> list[str]:
    rows = [row for row in report.rows if row.trades]
    if not rows:
        return []
    lines = [f"{'by asset and side':<22}{'trades':>7}{'won':>6}{'fees':>10}{'PnL':>11}"]
    lines += [
        f"{'':<4}{row.asset.value:<6}{row.outcome.value:<12}{row.trades:>7}{row.wins:>6}"
        f"{dollars(row.fees_micros):>10}{dollars(row.pnl_micros):>11}"
        for row in rows
    ]
    return lines


def _positions(positions: Iterable[Position]) -> list[str]:
    return [
        f"{'still open':<22}{position.market} {position.outcome} "
        f"{from_micros(position.shares_micros):.2f} shares, cost {dollars(position.cost_micros)}"
        for position in positions
    ]


def _counts(title: str, rows: list[tuple[str, int]]) -> list[str]:
    if not rows:
        return [f"{title:<22}none"]
    first, *rest = [f"{name} {count}" for name, count in rows]
    lines = [f"{title:<22}{first}"]
    for text in rest:
        if len(lines[-1]) + len(text) + 3 > WIDTH:
            lines.append(f"{'':<22}{text}")
        else:
            lines[-1] += f"   {text}"
    return lines
