"""Strategies side by side: the same windows, splits in time, and choices made on the past alone."""

from __future__ import annotations

import pytest

from helpers.domain import Asset
from helpers.evaluation.comparison import FOLDS_MAXIMUM, compare, paired
from helpers.evaluation.text import (
    fold_rows,
    interval_text,
    signed,
    standing_cells,
    verdicts,
)
from tests.evaluation_samples import a_result, results

UP = [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]


def test_only_windows_that_all_have_seen_are_compared() -> None:
    """A window one of them lacks is nobody's."""
    rows = [*results("a", UP), *results("b", UP[:7])]
    assert [(name, len(found)) for name, found in paired(rows)] == [("a", 7), ("b", 7)]
    assert compare("t", rows, folds=1, seed=0).windows == 7
    assert paired([]) == ()


def test_sums_and_means_are_those_of_the_windows() -> None:
    """What a table shows follows from what was earned."""
    rows = [*results("a", UP), *results("b", [-one for one in UP])]
    first, second = compare("t", rows, folds=2, seed=0).standings
    assert (first.pnl.mean, first.total_dollars, first.trips, first.wins) == (1.5, 18.0, 24, 12)
    assert first.against_first is None
    assert second.against_first is not None
    assert second.against_first.mean == -3.0
    assert (second.worst_dollars, second.best_dollars) == (-2.0, -1.0)
    assert first.curve[-1] == pytest.approx(18.0)
    assert first.fees_dollars == pytest.approx(1.2)
    assert [fold.pnl.count for fold in first.folds] == [6, 6]
    assert first.sd_dollars == pytest.approx(0.5)


def test_a_split_never_goes_through_a_moment() -> None:
    """Two assets of one time stand on one side; runs keep their order."""
    rows = [
        a_result("a", index, 1.0, asset=asset)
        for index in range(5)
        for asset in (Asset.BTC, Asset.ETH)
    ]
    (standing,) = compare("t", rows, folds=2, seed=0).standings
    assert [fold.pnl.count for fold in standing.folds] == [6, 4]
    assert [fold.pnl.clusters for fold in standing.folds] == [3, 2]
    two = [*results("a", [1.0, 2.0], "late"), *results("a", [3.0], "early")]
    ((_, ordered),) = paired(two)
    assert [row.run for row in ordered] == ["late", "late", "early"]


def test_walk_forward_chooses_on_the_past_alone() -> None:
    """The best so far is taken into the next stretch, whatever it does there."""
    rows = [*results("a", [5.0, 5.0, -1.0, -1.0, 0.0, 0.0]), *results("b", [0.0] * 4 + [7.0] * 2)]
    found = compare("t", rows, folds=3, seed=0)
    assert [(c.fold, c.contender, c.pnl.mean) for c in found.walk_forward] == [
        (2, "a", -1.0),
        (3, "a", 0.0),
    ]
    assert fold_rows(found)[-1] == ("walk-forward: best so far", "-", "-1.00 a", "+0.00 a")
    assert compare("t", results("a", UP), folds=3, seed=0).walk_forward == ()
    without = compare("t", rows, folds=3, seed=0, ceilings=("a",))
    assert without.walk_forward == ()
    third = [*rows, *results("c", [-9.0] * 6)]
    found = compare("t", third, folds=3, seed=0, ceilings=("a",))
    assert [choice.contender for choice in found.walk_forward] == ["b", "b"]


def test_more_folds_than_moments_are_as_many_as_there_are() -> None:
    """Nothing is split that is one."""
    (standing,) = compare("t", results("a", UP[:3]), folds=9, seed=0).standings
    assert [fold.number for fold in standing.folds] == [1, 2, 3]


def test_what_is_said_follows_from_the_intervals() -> None:
    """Above, below, or not to be told from 0; and nothing where there are too few."""
    noise = [10.0, -10.0] * 6
    rows = [*results("good", UP), *results("bad", [-x for x in UP]), *results("none", noise)]
    said = verdicts(compare("t", rows, folds=1, seed=0))
    assert said == (
        "good: earned money: the interval is above 0.",
        "bad: lost money: the interval is below 0.",
        "none: cannot be told from 0.",
    )
    (few,) = verdicts(compare("t", results("a", UP[:3]), folds=1, seed=0))
    assert "nothing can be concluded" in few


def test_a_line_of_the_table() -> None:
    """Numbers as people read them, and a dash where there is none."""
    rows = [*results("a", UP), *results("b", UP)]
    first, second = compare("t", rows, folds=1, seed=0).standings
    cells = standing_cells(first)
    assert cells[:2] == ("a", "+1.50")
    assert cells[3] == "-"
    assert cells[4:] == ("0.50", "+18.00", "1.20", "24", "50%", "12")
    assert standing_cells(second)[3] == "+0.00 (+0.00 .. +0.00)"
    assert interval_text(None) == signed(None) == "-"


@pytest.mark.parametrize("folds", [0, FOLDS_MAXIMUM + 1])
def test_folds_have_bounds(folds: int) -> None:
    """Neither none nor more than anybody reads."""
    with pytest.raises(ValueError, match="folds"):
        compare("t", results("a", UP), folds=folds, seed=0)


def test_nothing_in_common_is_nothing_to_compare() -> None:
    """It is said rather than shown as zero."""
    with pytest.raises(ValueError, match="no whole window"):
        compare("t", [], folds=1, seed=0)
    with pytest.raises(ValueError, match="no whole window"):
        compare("t", [a_result("a", 1, 0.0), a_result("b", 2, 0.0)], folds=1, seed=0)
