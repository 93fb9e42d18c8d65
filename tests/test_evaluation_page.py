"""The page of an evaluation: one file, no script, no request, deaf to what names say."""

from __future__ import annotations

import re

from helpers.evaluation.comparison import compare
from helpers.web.evaluation_page import POINTS_MAXIMUM, render_evaluation
from tests.evaluation_samples import results
from tests.journal_samples import at

HOSTILE = "</svg><script>alert(1)</script><img src=x>"


def page_of(*names: str, windows: int = 12, note: str = "a note") -> str:
    rows = [
        row
        for place, name in enumerate(names)
        for row in results(name, [float(place) - 1.0 + (one % 3) for one in range(windows)])
    ]
    return render_evaluation(compare("A backtest", rows, folds=3, seed=0, notes=(note,)), at(0))


def test_everything_is_on_the_page() -> None:
    """Each strategy with its mean, its interval, its curve and its folds; the notes."""
    page = page_of("momentum", "oracle")
    assert page.count("<polyline") == page.count("class=whisker") == page.count("<circle") == 2
    for text in ("momentum", "oracle", "a note", "walk-forward", "+1.00", "12 windows"):
        assert text in page


def test_the_page_asks_nothing_of_anybody() -> None:
    """No script, no address, and a policy that forbids both."""
    page = page_of("momentum")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)


def test_a_name_is_text() -> None:
    """A model's folder, or a tape's name, may be anything."""
    page = page_of(HOSTILE, note=HOSTILE)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_a_long_curve_is_drawn_with_as_many_points_as_can_be_seen() -> None:
    """The last one is always among them; every place is on the picture."""
    page = page_of("a", windows=3 * POINTS_MAXIMUM + 1)
    (points,) = re.findall(r'points="([^"]+)"', page)
    places = [tuple(map(float, pair.split(","))) for pair in points.split(" ")]
    assert len(places) <= POINTS_MAXIMUM + 2
    assert places[-1][0] == 990.0
    assert all(0 <= x <= 1000 and 0 <= y <= 320 for x, y in places)


def test_nothing_earned_is_a_flat_line() -> None:
    """Zeros have a scale, too."""
    rows = results("hold", [0.0] * 6)
    page = render_evaluation(compare("t", rows, folds=1, seed=0), at(0))
    assert "+0.00" in page
    assert "nan" not in page
