"""Strategies side by side on the same windows: means, intervals, differences, walk-forward.

Must not: compare strategies on windows that not all of them saw.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from helpers.domain import Message
from helpers.evaluation.bootstrap import Interval, difference_interval, mean_interval
from helpers.evaluation.windows import WindowResult

FOLDS_MAXIMUM: Final = 100


class Fold(Message, frozen=True):
    """One strategy in one stretch of consecutive windows."""

    number: int
    """From 1, in order of time."""
    pnl: Interval


class Standing(Message, frozen=True):
    """What one strategy came to."""

    contender: str
    pnl: Interval
    """Net dollars per window."""
    against_first: Interval | None
    """Paired difference to the first strategy; ``None`` for itself."""
    total_dollars: float
    fees_dollars: float
    trips: int
    wins: int
    traded_windows: int
    sd_dollars: float
    """Standard deviation of a window's profit."""
    worst_dollars: float
    best_dollars: float
    folds: tuple[Fold, ...]
    curve: tuple[float, ...]
    """Cumulated dollars, window by window."""


class Choice(Message, frozen=True):
    """Walk-forward: who was best on every fold before, and what it then earned on this one."""

    fold: int
    contender: str
    pnl: Interval


class Duel(Message, frozen=True):
    """A challenger beside a champion, on the windows both saw whole; dollars per window."""

    challenger: str
    windows: int
    challenger_pnl: Interval
    champion_pnl: Interval
    difference: Interval
    """Challenger less champion, window by window."""
    challenger_trips: int
    champion_trips: int


class Comparison(Message, frozen=True):
    """Everything an evaluation has to tell."""

    title: str
    windows: int
    clusters: int
    begins_ns: tuple[int, ...]
    """Opening of each window, in the order of the curves."""
    standings: tuple[Standing, ...]
    walk_forward: tuple[Choice, ...]
    notes: tuple[str, ...]
    """What a reader must know: what was left out, and how it was measured."""


def paired(results: Sequence[WindowResult]) -> tuple[tuple[str, tuple[WindowResult, ...]], ...]:
    """Return each strategy's results on the windows all of them have, in one order.

    Strategies stand in the order they come in; windows by run, then by their opening.
    """
    by_contender: dict[str, dict[tuple[str, str], WindowResult]] = {}
    runs: dict[str, int] = {}
    for result in results:
        by_contender.setdefault(result.contender, {})[result.window] = result
        runs.setdefault(result.run, len(runs))
    if not by_contender:
        return ()
    first = next(iter(by_contender.values()))
    common = set(first).intersection(*by_contender.values())
    order = sorted(common, key=lambda key: (runs[key[0]], first[key].opens_ns, key[1]))
    return tuple((name, tuple(found[key] for key in order)) for name, found in by_contender.items())


def compare(
    title: str,
    results: Sequence[WindowResult],
    *,
    folds: int,
    seed: int,
    notes: Sequence[str] = (),
    ceilings: Collection[str] = (),
) -> Comparison:
    """Return the strategies side by side on the windows they have in common.

    ``folds`` is how many consecutive stretches the windows are split into, between clusters only,
    so that no moment is on both sides of a split. ``ceilings`` are contenders nobody could choose:
    walk-forward leaves them out. Raises ``ValueError`` when no window is common,
    or for a number of folds that is not 1 to ``FOLDS_MAXIMUM``.
    """
    if not 1 <= folds <= FOLDS_MAXIMUM:
        raise ValueError(f"folds were {folds}, expected 1 to {FOLDS_MAXIMUM}")
    pairs = paired(results)
    if not pairs or not pairs[0][1]:
        raise ValueError("no whole window was seen and resolved: nothing can be compared")
    reference = pairs[0][1]
    splits = _splits(reference, folds)
    standings = tuple(_standing(name, rows, reference, splits, seed) for name, rows in pairs)
    return Comparison(
        title=title,
        windows=len(reference),
        clusters=standings[0].pnl.clusters,
        begins_ns=tuple(row.opens_ns for row in reference),
        standings=standings,
        walk_forward=_walk_forward([s for s in standings if s.contender not in ceilings]),
        notes=tuple(notes),
    )


def duel(
    challenger: Sequence[WindowResult], champion: Sequence[WindowResult], seed: int = 0
) -> Duel | None:
    """Return a challenger beside the champion; ``None`` without a common window.

    Each must be of one name, and of the same runs.
    """
    pairs = paired([*champion, *challenger])
    if not challenger or not champion or not pairs[0][1]:
        return None
    (_, theirs), (name, ours) = pairs
    clusters = [row.cluster for row in theirs]
    ours_dollars, theirs_dollars = ([row.dollars for row in rows] for rows in (ours, theirs))
    return Duel(
        challenger=name,
        windows=len(ours),
        challenger_pnl=mean_interval(ours_dollars, clusters, seed),
        champion_pnl=mean_interval(theirs_dollars, clusters, seed),
        difference=difference_interval(ours_dollars, theirs_dollars, clusters, seed),
        challenger_trips=sum(row.trips for row in ours),
        champion_trips=sum(row.trips for row in theirs),
    )


def _splits(rows: Sequence[WindowResult], folds: int) -> tuple[tuple[int, int], ...]:
    starts = [i for i, row in enumerate(rows) if not i or row.cluster != rows[i - 1].cluster]
    parts = [part for part in np.array_split(np.array(starts), folds) if len(part)]
    ends = [*(int(part[0]) for part in parts[1:]), len(rows)]
    return tuple((int(part[0]), end) for part, end in zip(parts, ends, strict=True))


def _standing(
    name: str,
    rows: Sequence[WindowResult],
    reference: Sequence[WindowResult],
    splits: Sequence[tuple[int, int]],
    seed: int,
) -> Standing:
    dollars = [row.dollars for row in rows]
    clusters = [row.cluster for row in rows]
    is_first = rows is reference
    others = [row.dollars for row in reference]
    return Standing(
        contender=name,
        pnl=mean_interval(dollars, clusters, seed),
        against_first=None if is_first else difference_interval(dollars, others, clusters, seed),
        total_dollars=sum(dollars),
        fees_dollars=sum(row.fees_micros for row in rows) / 1e6,
        trips=sum(row.trips for row in rows),
        wins=sum(row.wins for row in rows),
        traded_windows=sum(row.trips > 0 for row in rows),
        sd_dollars=float(np.std(dollars)),
        worst_dollars=min(dollars),
        best_dollars=max(dollars),
        folds=tuple(
            Fold(number, mean_interval(dollars[begin:end], clusters[begin:end], seed))
            for number, (begin, end) in enumerate(splits, start=1)
        ),
        curve=tuple(np.cumsum(dollars).tolist()),
    )


def _walk_forward(standings: Sequence[Standing]) -> tuple[Choice, ...]:
    if len(standings) < 2:  # noqa: PLR2004  # one is no choice
        return ()
    choices: list[Choice] = []
    for index in range(1, len(standings[0].folds)):

        def past(standing: Standing, until: int = index) -> float:
            known = standing.folds[:until]
            return sum(f.pnl.mean * f.pnl.count for f in known) / sum(f.pnl.count for f in known)

        best = max(standings, key=past)
        choices.append(Choice(index + 1, best.contender, best.folds[index].pnl))
    return tuple(choices)
