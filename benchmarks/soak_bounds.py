"""The bounds that the worker's containers promise, by class and attribute; what is left must rest.

A ``deque`` or a queue with a length of its own is held to that without being named here. Whatever
has no bound by name must not be longer in the second half of a run than in the first. Must not:
name what a paper run does not have, or the list could rot (a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from benchmarks.soak_census import Container
from db.control_state import ANSWERS_REMEMBERED_MAXIMUM
from db.journal import BUFFER_BYTES, MARKET_CACHE_LIMIT
from db.journal_sync import WAITERS_LIMIT
from helpers.account import EXITS_REMEMBERED_MAXIMUM
from helpers.board.books import FINEST_TICK_MICROS
from helpers.board.market_list import MAXIMUM_MARKETS
from helpers.board.strikes import MAXIMUM_REMEMBERED
from helpers.board.windows import MAXIMUM_BUCKETS
from helpers.commands.operator_control import UNSAVED_MAXIMUM
from helpers.discord import ROWS_MAXIMUM
from helpers.discord_alerts import (
    CLAIMS_REMEMBERED_MAXIMUM,
    ENTRIES_REMEMBERED_MAXIMUM,
    TRADES_REMEMBERED_MAXIMUM,
)
from helpers.discord_day import CURVE_POINTS_MAXIMUM
from helpers.discord_lasting import STATES_MAXIMUM
from helpers.discord_queue import QUEUE_MAXIMUM
from helpers.discord_refusals import MARKETS_MAXIMUM, RULES_MAXIMUM
from helpers.discord_words import EquityPoint
from helpers.domain import MICROS
from helpers.feeds.book_refetch import TOKENS_REMEMBERED
from helpers.ledger import CLOSED_MARKETS_REMEMBERED
from helpers.ledger_report import DAYS_KEPT, ROUND_TRIPS_KEPT
from helpers.markets import WINDOWS_MAXIMUM
from helpers.narrator import KEYS_REMEMBERED_MAXIMUM
from helpers.paper_executor import INTENTS_REMEMBERED, OPEN_ORDERS_MAXIMUM, TICKS_REMEMBERED
from helpers.paper_liquidity import LEVELS_REMEMBERED
from helpers.scorecard import MARKETS_REMEMBERED_MAXIMUM as SCORED_MARKETS_MAXIMUM
from simulator.fair_value import LAG_WEIGHTS
from simulator.fast_price import BLOCK_STEPS

GROWTH_RATIO: Final = 1.25
GROWTH_ITEMS: Final = 64
"""What has no bound of its own may be so much longer later: markets come and go, and bursts."""
MARGIN_BYTES: Final = 16 * 1024
"""A row is added before the buffer is looked at."""
POSITIONS_AT_ONCE: Final = 4
"""Of the settings' default; markets in which something is held are beside those remembered."""

BOUNDS: Final[Mapping[str, int]] = {
    "AccountStanding._exits": EXITS_REMEMBERED_MAXIMUM,
    "AlertQueue._by_key": QUEUE_MAXIMUM,
    "AlertReader._claims": CLAIMS_REMEMBERED_MAXIMUM,
    "AlertReader._entries": ENTRIES_REMEMBERED_MAXIMUM,
    "AlertReader._fills": TRADES_REMEMBERED_MAXIMUM,
    "BookRefetcher._asked_seconds": TOKENS_REMEMBERED,
    "ControlState._answers": ANSWERS_REMEMBERED_MAXIMUM,
    "Day._curve": CURVE_POINTS_MAXIMUM,
    "Day._curve[]": len(EquityPoint._fields),
    "DiscordAlerts._rows": ROWS_MAXIMUM,
    "Journal._buffer": BUFFER_BYTES + MARGIN_BYTES,
    "Journal._markets": MARKET_CACHE_LIMIT,
    "Lasting._told": STATES_MAXIMUM,
    "Lasting._waiting": STATES_MAXIMUM,
    "Ledger._accounts": CLOSED_MARKETS_REMEMBERED + POSITIONS_AT_ONCE,
    "MarketDirectory._entries": WINDOWS_MAXIMUM,
    "MarketList.by_condition": MAXIMUM_MARKETS,
    "MarketList.by_slug": MAXIMUM_MARKETS,
    "OperatorControl._unsaved": UNSAVED_MAXIMUM,
    # Shared by all books of a tick.
    "OutcomeBook.grid": MICROS // FINEST_TICK_MICROS - 1,
    "PaperExecutor._flights": OPEN_ORDERS_MAXIMUM,
    "PaperExecutor._intents": INTENTS_REMEMBERED,
    "PaperExecutor._ticks": TICKS_REMEMBERED,
    "RealisedTotals._days": DAYS_KEPT,
    "RealisedTotals._history": ROUND_TRIPS_KEPT,
    "Refusals._markets": MARKETS_MAXIMUM,
    "Refusals._rules": RULES_MAXIMUM,
    "RestingOrders._orders": OPEN_ORDERS_MAXIMUM,
    "Scorecard._open": SCORED_MARKETS_MAXIMUM,
    # Steps of one minute, and those after its end to which the last of them is seen late.
    "SeenPrice.change_steps": BLOCK_STEPS + len(LAG_WEIGHTS) - 1,
    "Strikes._finals": MAXIMUM_REMEMBERED,
    "Strikes._twaps": MAXIMUM_REMEMBERED,
    "Strikes._waiting": MAXIMUM_REMEMBERED,
    "Syncer._waiters": WAITERS_LIMIT,
    "TakenLiquidity._taken": LEVELS_REMEMBERED,
    "TradeWindows._counts": MAXIMUM_BUCKETS,
    "TradeWindows._milliseconds": MAXIMUM_BUCKETS,
    "TradeWindows._signed": MAXIMUM_BUCKETS,
    "_Repeats._last": KEYS_REMEMBERED_MAXIMUM,
}


OF_ONE_SECOND: Final = frozenset({"MarketModel._events", "MarketModel._events[]"})
"""Built anew for every simulated second, and as long as that was busy: nothing stays in it."""


class Peaks(NamedTuple):
    """The most that containers of one name held in each half of a run."""

    early_longest: int = 0
    early_total: int = 0
    late_longest: int = 0
    late_total: int = 0
    bound: int | None = None
    """What the container itself enforces."""

    def with_seen(self, found: Container, *, late: bool) -> Peaks:
        """Return them with another look."""
        bound = found.bound if found.bound is not None else self.bound
        longest, total = found.longest, found.total
        if late:
            most = max(self.late_longest, longest), max(self.late_total, total)
            return self._replace(late_longest=most[0], late_total=most[1], bound=bound)
        most = max(self.early_longest, longest), max(self.early_total, total)
        return self._replace(early_longest=most[0], early_total=most[1], bound=bound)


class Judged(NamedTuple):
    """What was found wrong with containers, and how many were looked at."""

    bounded: int
    over: tuple[str, ...]
    """Longer than their bound."""
    fullest: str
    """The one that came nearest to its bound."""
    growing: tuple[str, ...]
    """Without a bound by name, and longer in the second half of the run."""


def judge(peaks: Mapping[str, Peaks]) -> Judged:
    """Hold every container to its bound, and those without one to rest."""
    over: list[str] = []
    growing: list[tuple[int, str]] = []
    fullest, bounded = (0.0, "none"), 0
    for name, peak in peaks.items():
        bound = BOUNDS.get(name, peak.bound)
        if bound is not None:
            bounded += 1
            longest = max(peak.early_longest, peak.late_longest)
            fullest = max(fullest, (longest / bound, f"{name} {longest:,} of {bound:,}"))
            if longest > bound:
                over.append(f"{name}: {longest:,} of at most {bound:,}")
        elif name in OF_ONE_SECOND:
            continue
        elif peak.late_total > peak.early_total * GROWTH_RATIO + GROWTH_ITEMS:
            text = f"{name}: {peak.early_total:,} then {peak.late_total:,}"
            growing.append((peak.late_total - peak.early_total, text))
    growing.sort(reverse=True)
    return Judged(bounded, tuple(over), fullest[1], tuple(text for _, text in growing))
