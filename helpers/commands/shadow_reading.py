"""What shadows and the account itself earned, from SQL rows to results that can be compared.

Must not: ask a database, or compare anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from db.query_results import ShadowSeen
from helpers.commands.shadows import CHAMPION
from helpers.evaluation.comparison import Duel, duel
from helpers.evaluation.windows import WindowResult

_RUN = "sql"
"""Windows of one account are of one run, however often it was started."""


def shadow_results(rows: Sequence[ShadowSeen]) -> tuple[WindowResult, ...]:
    """Return every shadow's windows, and the account's own in the same ones (``CHAMPION``).

    The champion stands first.
    """
    theirs = {row.market: _champion(row) for row in rows}
    return (*theirs.values(), *(_shadow(row) for row in rows))


def shadow_duels(rows: Sequence[ShadowSeen]) -> tuple[Duel, ...]:
    """Return each shadow beside the account itself, in the order they came in."""
    results = shadow_results(rows)
    names = dict.fromkeys(row.shadow for row in rows)
    champion = [row for row in results if row.contender == CHAMPION]
    found = (duel([row for row in results if row.contender == name], champion) for name in names)
    return tuple(one for one in found if one is not None)


def _shadow(row: ShadowSeen) -> WindowResult:
    return WindowResult(
        contender=row.shadow,
        run=_RUN,
        market=row.market,
        asset=row.asset,
        opens_ns=row.opens_ns,
        closes_ns=row.closes_ns,
        pnl_micros=row.pnl_micros,
        fees_micros=row.fees_micros,
        cost_micros=row.cost_micros,
        trips=row.trips,
        wins=row.wins,
        up_won=row.up_won,
    )


def _champion(row: ShadowSeen) -> WindowResult:
    return WindowResult(
        contender=CHAMPION,
        run=_RUN,
        market=row.market,
        asset=row.asset,
        opens_ns=row.opens_ns,
        closes_ns=row.closes_ns,
        pnl_micros=row.champion_pnl_micros,
        fees_micros=row.champion_fees_micros,
        cost_micros=row.champion_cost_micros,
        trips=row.champion_trips,
        wins=row.champion_wins,
        up_won=row.up_won,
    )
