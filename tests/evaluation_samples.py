"""Results of windows for tests of evaluations: made up, with numbers that are known."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.domain import MICROS, NS_PER_SECOND, Asset
from helpers.evaluation.windows import WindowResult

QUARTER_NS = 900 * NS_PER_SECOND


def a_result(
    contender: str,
    index: int,
    dollars: float,
    *,
    run: str = "tape",
    asset: Asset = Asset.BTC,
) -> WindowResult:
    """Return what somebody earned in the window of that number of an asset."""
    return WindowResult(
        contender=contender,
        run=run,
        market=f"{asset.lower()}-updown-15m-{index}",
        asset=asset,
        opens_ns=index * QUARTER_NS,
        closes_ns=(index + 1) * QUARTER_NS,
        pnl_micros=round(dollars * MICROS),
        fees_micros=MICROS // 10,
        cost_micros=10 * MICROS,
        trips=2,
        wins=1,
        up_won=True,
    )


def results(contender: str, dollars: Sequence[float], run: str = "tape") -> list[WindowResult]:
    """Return one result a window, in order of time."""
    return [a_result(contender, index, one, run=run) for index, one in enumerate(dollars)]
