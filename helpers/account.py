"""What the gate must know of the account: exposure, streaks, order rate, what holds entries.

Must not: decide anything, or hold a position or an order of its own; it reads their owners.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Accepted,
    Account,
    ExecutionEvent,
    Exposure,
    OrderIntent,
    Position,
    Rejected,
    TradingState,
)
from helpers.execution import Executor
from helpers.halts import Halts
from helpers.stages import BoardStage, LedgerStage

RATE_WINDOW_NS: Final = 60 * NS_PER_SECOND
EXITS_REMEMBERED_MAXIMUM: Final = 256
EXIT_WAIT_SECONDS: Final = 0.5
"""After an exit's first rejection twice this; doubles up to the maximum."""
EXIT_WAIT_MAXIMUM_SECONDS: Final = 8.0
DAY_NS: Final = 86_400 * NS_PER_SECOND


class AccountStanding:
    """Keeps the tallies of one run and answers for one market at one moment."""

    def __init__(
        self, ledger: LedgerStage, executor: Executor, board: BoardStage, halts: Halts
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._board = board
        self._halts = halts
        self._conflicted: set[str] = set()
        self._sent_ns: deque[int] = deque()
        self._exits: dict[str, str] = {}
        self._exit_retries: dict[str, tuple[int, int]] = {}
        self._reject_streak = 0
        self._day = 0
        self._forgiven_pnl_micros = 0
        self._forgiven_ns = 0

    def note_sent(self, intent: OrderIntent, now_ns: int) -> None:
        """Count an order towards the rate; remember an exit until its answer."""
        self._sent_ns.append(now_ns)
        if not intent.opens:
            self._exits[intent.intent_id] = intent.market
            while len(self._exits) > EXITS_REMEMBERED_MAXIMUM:
                del self._exits[next(iter(self._exits))]

    def note_answer(self, answer: ExecutionEvent) -> None:
        """Count a venue's answer towards the streak of rejections; a lost race is none.

        An exit that was rejected is not asked for again at once: the venue may not have seen the
        settlement yet (I2), and a storm of requests mends nothing.
        """
        if isinstance(answer, Accepted):
            self._reject_streak = 0
            slug = self._exits.pop(answer.intent_id, "")
            self._exit_retries.pop(slug, None)
        elif isinstance(answer, Rejected):
            slug = self._exits.pop(answer.intent_id, "")
            if answer.missed:
                return
            self._reject_streak += 1
            if slug:
                tries = self._exit_retries.get(slug, (0, 0))[0] + 1
                wait = min(EXIT_WAIT_MAXIMUM_SECONDS, EXIT_WAIT_SECONDS * 2.0 ** min(tries, 8))
                self._exit_retries[slug] = (tries, answer.at_ns + round(wait * NS_PER_SECOND))

    def conflict(self, slug: str) -> None:
        """Allow no entry in a market whose venue contradicts our books (I4)."""
        self._conflicted.add(slug)

    def market_gone(self, slug: str) -> None:
        """Forget a closed market's conflict unless something is still held there."""
        if not self._ledger.position(slug).shares_micros:
            self._conflicted.discard(slug)
            self._exit_retries.pop(slug, None)

    def account(self, slug: str, now_ns: int) -> Account:
        """Return the account as the gate judges an order in one market; "" for no order."""
        while self._sent_ns and self._sent_ns[0] <= now_ns - RATE_WINDOW_NS:
            self._sent_ns.popleft()
        self._roll_day(now_ns)
        ledger, executor = self._ledger, self._executor
        positions = ledger.positions()
        with_orders = executor.markets_with_orders()
        pending = {market: executor.pending_entry_micros(market) for market in with_orders}
        held = {p.market for p in positions if not self.is_residue(p)}
        # An entry in flight is not paid yet; what it will cost at most is spoken for.
        reserved = sum(m + self._fees_at_most(market, m) for market, m in pending.items())
        exposure = Exposure(
            open_positions=len(held | {market for market, micros in pending.items() if micros}),
            exposure_micros=sum(p.cost_micros for p in positions) + reserved,
            daily_pnl_micros=ledger.daily_pnl_micros(now_ns) - self._forgiven_pnl_micros,
            losing_streak=ledger.losing_streak(now_ns, self._forgiven_ns),
            reject_streak=self._reject_streak,
            cash_micros=ledger.cash_micros - reserved,
            market_position_micros=ledger.position(slug).shares_micros,
            market_order_open=slug in with_orders,
            market_unknown=slug in executor.markets_unknown() or slug in self._conflicted,
            last_exit_ns=ledger.last_exit_ns(slug),
            exit_retry_ns=self._exit_retries.get(slug, (0, 0))[1],
            unmarked_cost_micros=ledger.unmarked_cost_micros,
        )
        return Account(
            exposure=exposure,
            orders_last_minute=len(self._sent_ns),
            entries_stopped=self._entries_stopped(),
            mode=ledger.mode,
            real_money=executor.real_money,
        )

    def forgive(self, now_ns: int) -> None:
        """Count losses and rejections anew: an operator has seen them and resumed.

        A gain is not taken away: the limit is on what the day lost. At UTC midnight the day counts
        whole again, open positions with all they have lost since they were bought.
        """
        self._roll_day(now_ns)
        self._forgiven_pnl_micros = min(0, self._ledger.daily_pnl_micros(now_ns))
        self._forgiven_ns = now_ns
        self._reject_streak = 0

    def _roll_day(self, now_ns: int) -> None:
        day = now_ns // DAY_NS
        if day != self._day:
            self._day = day
            self._forgiven_pnl_micros = 0

    def _entries_stopped(self) -> str:
        # The state decides, not the text: a cause without a detail holds entries all the same.
        state = self._halts.state
        return "" if state is TradingState.ACTIVE else self._halts.reason or state.value

    def _fees_at_most(self, slug: str, notional_micros: int) -> int:
        # shares * rate * p * (1 - p) is below notional * rate whatever the price. A market whose
        # facts are gone could have any rate.
        market = self._ledger.market(slug) or self._board.market(slug)
        rate_ppm = market.fees.rate_ppm if market is not None else MICROS
        return -(-notional_micros * rate_ppm // MICROS)

    def is_residue(self, position: Position) -> bool:
        """Say whether a position is too small to be sold: it goes to resolution as it is (I7)."""
        market = self._board.market(position.market)
        return market is not None and position.shares_micros < market.minimum_shares_micros
