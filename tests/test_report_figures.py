"""The curve of a report, its scores, and how numbers are written."""

from __future__ import annotations

from msgspec.structs import replace

from db.query_results import Book
from helpers.domain import MICROS
from helpers.web.figures import (
    NOTHING,
    brier_of,
    cents,
    curve_of,
    decimal,
    dollars,
    duration,
    percent,
    profit_factor,
    shares,
    slippage_micros,
    win_part,
)
from tests.report_samples import execution, performance, point, sample_read


def test_a_curve_tells_profit_and_how_far_it_fell() -> None:
    """Open positions count at what they would bring; the peak is that of the span."""
    curve = curve_of([point(0, 0.0), point(1, 4.0, 1.0), point(2, 1.0, -3.0)], None)
    assert curve.total_micros == (0, 5 * MICROS, -2 * MICROS)
    assert curve.realised_micros == (0, 4 * MICROS, MICROS)
    assert curve.drawdown_micros == (0, 0, -7 * MICROS)
    assert curve.deepest_micros == -7 * MICROS


def test_a_curve_begins_at_nothing_in_the_middle_of_a_life() -> None:
    """A report on a day is about that day."""
    curve = curve_of([point(1, 104.0), point(2, 103.0)], point(0, 100.0, 2.0))
    assert curve.total_micros == (2 * MICROS, MICROS)
    assert curve.realised_micros == (4 * MICROS, 3 * MICROS)


def test_a_loss_at_the_very_beginning_is_a_drawdown() -> None:
    """The peak is not below where the span began."""
    assert curve_of([point(0, -3.0)], None).deepest_micros == -3 * MICROS


def test_a_run_that_begins_anew_goes_on_where_the_one_before_ended() -> None:
    """Without carry-over the money is new, and the curve must not jump by what was lost."""
    points = [point(0, -5.0, session=3), point(1, 0.0, session=4), point(2, 1.0, session=4)]
    assert curve_of(points, None).total_micros == (-5 * MICROS, -5 * MICROS, -4 * MICROS)


def test_a_run_that_goes_on_is_one_curve() -> None:
    """With carry-over what was realised is realised."""
    points = [point(0, -5.0, session=3), point(1, -5.0, session=4)]
    assert curve_of(points, None).total_micros == (-5 * MICROS, -5 * MICROS)


def test_an_interval_of_many_minutes_keeps_its_extremes() -> None:
    """A fall between two points that are drawn is still a fall."""
    wide = replace(point(1, 1.0), lowest_micros=-MICROS, highest_micros=3 * MICROS)
    curve = curve_of([point(0, 0.0), wide], None)
    assert curve.deepest_micros == -4 * MICROS


def test_nothing_gives_an_empty_curve() -> None:
    """A report can be asked for before the first minute is over."""
    curve = curve_of([], None)
    assert (curve.at_seconds, curve.deepest_micros) == ((), 0)


def test_scores_weigh_each_sample_alike() -> None:
    """Not each bin."""
    brier = brier_of(sample_read().calibration)
    assert brier is not None
    assert (brier.samples, brier.policy, brier.quoted) == (100, 0.185, 0.2)
    assert brier_of(()) is None


def test_slippage_is_of_the_book_itself() -> None:
    """Live's is not mixed into paper's; kinds of orders count by what was filled."""
    read = sample_read()
    assert slippage_micros(read) == 3_000.0
    other = replace(execution(Book.PAPER, 9_000.0), filled=24)
    assert slippage_micros(replace(read, execution=(*read.execution, other))) == 7_500.0
    assert slippage_micros(replace(read, execution=())) is None


def test_what_cannot_be_divided_is_not_a_number() -> None:
    """No trade, nothing lost: a dash, not an error."""
    totals = replace(sample_read().totals, trips=0, wins=0, lost_micros=0)
    assert (win_part(totals), profit_factor(totals)) == (None, None)
    assert (percent(None), decimal(None), cents(None), duration(None)) == (NOTHING,) * 4
    assert win_part(performance("x", trips=4, wins=3)) == 0.75


def test_amounts_carry_their_sign() -> None:
    """What rounds to nothing is neither won nor lost."""
    assert [dollars(m) for m in (1_250_000, -400_000, 4_999, -4_999, 1_234_567_890_000)] == [
        *("+$1.25", "-$0.40", "$0.00", "$0.00", "+$1,234,567.89"),
    ]
    assert dollars(1_250_000, sign=False) == "$1.25"
    assert (cents(3_500), cents(17_500, sign=False)) == ("+0.35¢", "1.75¢")
    assert (shares(9_400_000), shares(1_200_000_000)) == ("9.4", "1,200")


def test_lengths_of_time_are_told_in_two_units() -> None:
    """The units that follow each other; a gap ends it."""
    told = [duration(s) for s in (0, 59.4, 60, 61, 3600, 3661, 90_000, 86_461)]
    assert told == ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 d 1 h", "1 d"]
