"""An evaluation as text for people: one line a strategy, then stretches of time, then notes."""

from __future__ import annotations

from helpers.evaluation.bootstrap import Interval
from helpers.evaluation.comparison import Comparison, Duel, Standing

NOTHING = "-"
HEADS = (
    *("strategy", "$/window", "95 % interval", "against the first", "sd", "total $", "fees $"),
    *("trades", "won", "windows traded"),
)
DUEL_HEADS = (
    *("shadow", "windows", "$/window", "95 % interval", "the strategy's", "difference"),
    "trades",
)
NUMBERS = frozenset(range(1, len(HEADS)))


def signed(amount: float | None) -> str:
    """Return dollars with their sign: +1.25."""
    return NOTHING if amount is None else f"{amount:+.2f}"


def interval_text(interval: Interval | None) -> str:
    """Return the ends of an interval: +0.10 .. +2.40."""
    if interval is None or interval.low is None or interval.high is None:
        return NOTHING
    return f"{interval.low:+.2f} .. {interval.high:+.2f}"


def difference_text(difference: Interval | None) -> str:
    """Return a difference with its interval: +1.20 (+0.10 .. +2.30)."""
    if difference is None:
        return NOTHING
    ends = interval_text(difference)
    return signed(difference.mean) if ends == NOTHING else f"{difference.mean:+.2f} ({ends})"


def standing_cells(standing: Standing) -> tuple[str, ...]:
    """Return one strategy's line, in the order of ``HEADS``."""
    won = f"{standing.wins / standing.trips:.0%}" if standing.trips else NOTHING
    return (
        standing.contender,
        signed(standing.pnl.mean),
        interval_text(standing.pnl),
        difference_text(standing.against_first),
        f"{standing.sd_dollars:.2f}",
        signed(standing.total_dollars),
        f"{standing.fees_dollars:.2f}",
        f"{standing.trips:,}",
        won,
        f"{standing.traded_windows:,}",
    )


def duel_cells(duel: Duel) -> tuple[str, ...]:
    """Return a challenger's line beside its champion, in the order of ``DUEL_HEADS``."""
    return (
        duel.challenger,
        f"{duel.windows:,}",
        signed(duel.challenger_pnl.mean),
        interval_text(duel.challenger_pnl),
        signed(duel.champion_pnl.mean),
        difference_text(duel.difference),
        f"{duel.challenger_trips:,}",
    )


def fold_heads(comparison: Comparison) -> tuple[str, ...]:
    """Return the heads of the table of folds."""
    folds = comparison.standings[0].folds
    return ("$/window in fold", *(f"{fold.number} (n={fold.pnl.count})" for fold in folds))


def fold_rows(comparison: Comparison) -> tuple[tuple[str, ...], ...]:
    """Return each strategy's mean in each fold, and the walk-forward choice as the last line."""
    rows = [
        (s.contender, *(signed(fold.pnl.mean) for fold in s.folds)) for s in comparison.standings
    ]
    if comparison.walk_forward:
        chosen = (f"{signed(c.pnl.mean)} {c.contender}" for c in comparison.walk_forward)
        rows.append(("walk-forward: best so far", NOTHING, *chosen))
    return tuple(rows)


def verdicts(comparison: Comparison) -> tuple[str, ...]:
    """Return what the intervals allow to be said, in sentences."""
    if comparison.standings[0].pnl.low is None:
        return ("Too few independent stretches of time for an interval: nothing can be concluded.",)
    earns = [s.contender for s in comparison.standings if s.pnl.above(0.0)]
    loses = [s.contender for s in comparison.standings if (s.pnl.high or 0.0) < 0.0]
    rest = [s.contender for s in comparison.standings if s.contender not in (*earns, *loses)]
    said = (
        ("earned money: the interval is above 0", earns),
        ("lost money: the interval is below 0", loses),
        ("cannot be told from 0", rest),
    )
    return tuple(f"{', '.join(names)}: {what}." for what, names in said if names)
