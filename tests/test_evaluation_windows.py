"""What a window earned is the sum of its closed positions, and only whole windows count."""

from __future__ import annotations

from typing import Literal

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Action,
    Asset,
    Decision,
    MarketSeen,
    Outcome,
    ResolutionSeen,
    RoundTrip,
    Source,
)
from helpers.evaluation.windows import LATE_SECONDS, WindowGatherer
from tests.evaluation_samples import QUARTER_NS


def seen(slug: str, opens_ns: int) -> MarketSeen:
    return MarketSeen(slug, "0x1", Asset.ETH, opens_ns, opens_ns + QUARTER_NS, "1", "2", ())


def decided(slug: str, at_ns: int) -> Decision:
    return Decision(slug, at_ns, Action.HOLD, (1.0, 0.0, 0.0), 0.0, "m", "", (), (), 0, 0, 1.0, 1.0)


def trip(slug: str, pnl: float, how: Literal["sold", "settled"] = "sold") -> RoundTrip:
    micros = round(pnl * MICROS)
    back = 5 * MICROS + micros
    return RoundTrip(
        slug,
        Asset.ETH,
        Outcome.UP,
        MICROS,
        5 * MICROS,
        back,
        7,
        micros,
        1,
        2,
        how,
        1,
    )


def a_window(gatherer: WindowGatherer, slug: str, opens_ns: int, late_seconds: float = 0.0) -> None:
    """Let a market be seen and decided in."""
    gatherer.write(opens_ns, slug, seen(slug, opens_ns))
    at_ns = opens_ns + round(late_seconds * NS_PER_SECOND)
    gatherer.write(at_ns, slug, decided(slug, at_ns))


def test_a_window_is_the_sum_of_its_positions() -> None:
    """Sold and settled ones count alike; another market's do not."""
    gatherer = WindowGatherer("momentum", "tape")
    a_window(gatherer, "a", QUARTER_NS)
    a_window(gatherer, "b", QUARTER_NS)
    for row in (trip("a", 1.25), trip("a", -0.75, "settled"), trip("b", 9.0)):
        gatherer.write(5, row.market, row)
    gatherer.write(9, "a", ResolutionSeen(Outcome.UP, 1.0, Source.GAMMA))
    found = gatherer.gathered()
    (row,) = found.results
    assert (row.pnl_micros, row.trips, row.wins) == (500_000, 2, 1)
    assert (row.fees_micros, row.cost_micros) == (14, 10 * MICROS)
    assert (row.contender, row.window, row.dollars) == ("momentum", ("tape", "a"), 0.5)
    assert row.up_won
    assert (found.late, found.unresolved) == (0, 1)


def test_a_window_that_was_not_seen_whole_is_left_out_and_counted() -> None:
    """It counts when asked for; one nobody decided in never does."""
    gatherer = WindowGatherer("rl", "tape")
    a_window(gatherer, "late", QUARTER_NS, LATE_SECONDS + 1)
    a_window(gatherer, "whole", QUARTER_NS, LATE_SECONDS)
    gatherer.write(1, "unseen", seen("unseen", QUARTER_NS))
    for slug in ("late", "whole", "unseen"):
        gatherer.write(9, slug, ResolutionSeen(Outcome.DOWN, 1.0, Source.GAMMA))
    assert [row.market for row in gatherer.gathered().results] == ["whole"]
    assert gatherer.gathered().late == 1
    assert [r.market for r in gatherer.gathered(late_too=True).results] == ["late", "whole"]


def test_rows_of_no_window_are_nothing() -> None:
    """A row of the whole run, or of a market never seen, is passed over."""
    gatherer = WindowGatherer("rl", "tape")
    gatherer.write(1, "foreign", trip("foreign", 5.0))
    gatherer.commit()
    assert gatherer.gathered().results == ()


def test_of_too_many_windows_the_oldest_are_forgotten() -> None:
    """A worker that runs for a year keeps the latest."""
    gatherer = WindowGatherer("rl", "tape", maximum=2)
    for place, slug in enumerate(("a", "b", "a", "c")):
        a_window(gatherer, slug, QUARTER_NS * (place + 1))
    for slug in "abc":
        gatherer.write(9, slug, ResolutionSeen(Outcome.DOWN, 1.0, Source.GAMMA))
    assert {row.market for row in gatherer.gathered().results} == {"b", "c"}


def test_what_was_resolved_is_taken_once() -> None:
    """With what was paid out after the resolution was told; late windows are nobody's."""
    gatherer = WindowGatherer("rl", "tape")
    a_window(gatherer, "a", QUARTER_NS)
    a_window(gatherer, "late", QUARTER_NS, LATE_SECONDS + 1)
    assert gatherer.take_resolved() == ()
    for slug in ("a", "late", "unseen"):
        gatherer.write(9, slug, ResolutionSeen(Outcome.UP, 1.0, Source.GAMMA))
    gatherer.write(9, "a", trip("a", 2.0, "settled"))
    (row,) = gatherer.take_resolved()
    assert (row.market, row.dollars) == ("a", 2.0)
    assert gatherer.take_resolved() == ()
