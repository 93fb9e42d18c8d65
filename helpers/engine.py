"""The flow: events in, decisions, verdicts and fills out; the same code live and replayed.

Time is that of the events: before anything at a moment is applied, everything due up to that
moment happens, in order of time. Must not: read a clock, do I/O, or know which executor it drives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from helpers.domain import (
    GRID_NS,
    NS_PER_MS,
    NS_PER_SECOND,
    Accepted,
    Account,
    Approved,
    Asset,
    Disconnected,
    Equity,
    ExecutionEvent,
    Exposure,
    FeedEvent,
    FeedGap,
    Fill,
    Market,
    MarketOpened,
    MarketResolved,
    MarketSeen,
    MarketState,
    Message,
    OrderIntent,
    Quote,
    Rejected,
    ResolutionSeen,
    Snapshot,
    Strike,
    StrikeSeen,
    Unsized,
    exit_value_micros,
)
from helpers.execution import Executor
from helpers.stages import (
    BoardStage,
    FeatureFunction,
    GateStage,
    LedgerStage,
    Outlet,
    SizingStage,
    StrategyStage,
)

TRIGGER_INTERVAL_NS: Final = 20 * NS_PER_MS
"""Moves of the fast market are answered at most this often (DESIGN section 5, cadence)."""
EQUITY_INTERVAL_NS: Final = 60 * NS_PER_SECOND
RATE_WINDOW_NS: Final = 60 * NS_PER_SECOND
RESOLVED_REMEMBERED_MAXIMUM: Final = 256
"""Resolutions are told by the channel and by polling, and written once."""
NO_FILL_TEXT: Final = "no orders found to match"
"""A FAK that met nothing is a clean miss, not a sign that our orders are wrong."""


class Stages(Message, frozen=True):
    """The stages an engine drives."""

    board: BoardStage
    features: FeatureFunction
    strategy: StrategyStage
    sizing: SizingStage
    gate: GateStage
    executor: Executor
    ledger: LedgerStage
    outlet: Outlet


class Engine:
    """Drives the stages; owns the schedule and nothing else."""

    def __init__(self, stages: Stages, trigger_bps: float) -> None:
        self.board = stages.board
        self.features = stages.features
        self.strategy = stages.strategy
        self.sizing = stages.sizing
        self.gate = stages.gate
        self.executor = stages.executor
        self.ledger = stages.ledger
        self.outlet = stages.outlet
        self.entries_stopped = ""
        """Why no entry is allowed; empty when they are."""
        self._trigger = trigger_bps * 1e-4
        self._next_grid_ns = 0
        self._open: tuple[Market, ...] = ()
        self._decided_mid: dict[Asset, float] = {}
        self._decided_ns: dict[Asset, int] = {}
        self._pending: dict[Asset, int] = {}
        self._strikes: dict[str, Strike] = {}
        self._resolved: deque[str] = deque(maxlen=RESOLVED_REMEMBERED_MAXIMUM)
        self._sent_ns: deque[int] = deque()
        self._reject_streak = 0
        self._reject_day = 0
        self._next_equity_ns = 0

    # --- The flow -----------------------------------------------------------------------------

    def on_event(self, event: FeedEvent) -> None:
        """Apply one thing a feed said, after everything that was due before it."""
        now_ns = event.received_ns
        self.advance(now_ns)
        if isinstance(event, Quote):
            self.board.apply(event)
            self._watch_fast_market(event.asset, now_ns)
            return
        if isinstance(event, MarketOpened):
            self._on_market(event)
        self.board.apply(event)
        if isinstance(event, MarketResolved):
            self._on_resolution(event)
        elif isinstance(event, Disconnected):
            self.outlet.write(now_ns, "", FeedGap(event.source, event.reason))
        for answer in self.executor.on_event(event):
            self._on_execution(answer)

    def advance(self, now_ns: int) -> None:
        """Do everything due up to ``now_ns``: executor, pending triggers, grid steps."""
        if not self._next_grid_ns:
            self._next_grid_ns = (now_ns // GRID_NS + 1) * GRID_NS
        while (due_ns := self._next_due_ns()) <= now_ns:
            for answer in self.executor.advance(due_ns):
                self._on_execution(answer)
            for asset in [a for a, at_ns in self._pending.items() if at_ns <= due_ns]:
                self._decide_asset(asset, due_ns)
            if self._next_grid_ns <= due_ns:
                self._next_grid_ns += GRID_NS
                self._grid_step(due_ns)

    def tick(self, now_ns: int, markets: Sequence[Market], on_grid: bool) -> None:
        """Decide in these markets: views, features, one batched forward, size, gate, send."""
        views = [self.board.snapshot(market.slug, now_ns, on_grid) for market in markets]
        positions = [self.ledger.position(view.market.slug) for view in views]
        states = [self.features(view, at) for view, at in zip(views, positions, strict=True)]
        for view in views:
            self._tell_strike(view)
        for state, decision in zip(states, self.strategy.decide(states), strict=True):
            self.outlet.write(now_ns, decision.market, decision)
            wish = self.sizing.size(decision, state.snapshot, state.position)
            if wish is not None:
                self._submit(wish, state, now_ns)
        for market in markets:
            self._decided_mid[market.asset] = self.board.fast_mid(market.asset)
            self._decided_ns[market.asset] = now_ns
            self._pending.pop(market.asset, None)

    def _submit(self, wish: OrderIntent | Unsized, state: MarketState, now_ns: int) -> None:
        if isinstance(wish, Unsized):
            self.outlet.write(now_ns, wish.market, wish)
            return
        verdict = self.gate.check(wish, state, self._account(wish.market, now_ns))
        self.outlet.write(now_ns, wish.market, verdict)
        if isinstance(verdict, Approved):
            self.outlet.commit()  # the intent survives a crash before its order leaves (I20)
            self._sent_ns.append(now_ns)
            self.executor.submit(verdict, state.snapshot.market)

    def _on_execution(self, answer: ExecutionEvent) -> None:
        if isinstance(answer, Fill):
            self.outlet.write(answer.at_ns, answer.market, answer)
            closed = self.ledger.apply(answer)
            if closed is not None:
                self.outlet.write(answer.at_ns, answer.market, closed)
            return
        if isinstance(answer, Accepted):
            self._reject_streak = 0
        elif isinstance(answer, Rejected) and NO_FILL_TEXT not in answer.reason:
            self._reject_streak += 1
        market = answer.intent_id.split("/", 1)[0]
        self.outlet.write(answer.at_ns, market, answer)

    def stop_entries(self, why: str) -> None:
        """Allow no further entry; exits go on. The first reason stays."""
        self.entries_stopped = self.entries_stopped or why

    # --- Schedule -----------------------------------------------------------------------------

    def next_due_ns(self) -> int:
        """Return when ``advance`` next has something to do."""
        return self._next_due_ns()

    def _next_due_ns(self) -> int:
        due_ns = self._next_grid_ns
        at_ns = self.executor.next_due_ns()
        if at_ns is not None and at_ns < due_ns:
            due_ns = at_ns
        for at_ns in self._pending.values():
            due_ns = min(due_ns, at_ns)
        return due_ns

    def _grid_step(self, now_ns: int) -> None:
        still_open = self.board.open_markets(now_ns)
        if still_open is not self._open:
            gone = {market.slug for market in self._open} - {market.slug for market in still_open}
            for slug in gone:
                self.strategy.forget(slug)
                self._strikes.pop(slug, None)
            self._open = still_open
        self.board.on_grid(now_ns)
        self._supervise(now_ns)
        if still_open:
            self.tick(now_ns, still_open, on_grid=True)
        if now_ns >= self._next_equity_ns:
            self._tell_equity(now_ns)

    def _watch_fast_market(self, asset: Asset, now_ns: int) -> None:
        decided = self._decided_mid.get(asset, 0.0)
        if not decided or asset in self._pending:
            return
        if abs(self.board.fast_mid(asset) - decided) >= decided * self._trigger:
            allowed_ns = self._decided_ns[asset] + TRIGGER_INTERVAL_NS
            if now_ns >= allowed_ns:
                self._decide_asset(asset, now_ns)
            else:
                self._pending[asset] = allowed_ns

    def _decide_asset(self, asset: Asset, now_ns: int) -> None:
        self._pending.pop(asset, None)
        markets = [m for m in self._open if m.asset is asset and m.closes_ns > now_ns]
        if markets:
            self.tick(now_ns, markets, on_grid=False)

    def _supervise(self, now_ns: int) -> None:
        """Mark every position at what it would bring, and close those whose time has come."""
        for position in self.ledger.positions():
            if self.board.market(position.market) is None:
                continue  # its market's facts are the ledger's; resolution will settle it
            view = self.board.snapshot(position.market, now_ns, on_grid=True)
            self.ledger.mark(position.market, exit_value_micros(view, position))
            if position.market in self.executor.markets_with_orders():
                continue
            wish = self.sizing.due_exit(view, position)
            if wish is not None:
                self._submit(wish, self.features(view, position), now_ns)

    # --- The account, and things to tell --------------------------------------------------------

    def _account(self, slug: str, now_ns: int) -> Account:
        while self._sent_ns and self._sent_ns[0] <= now_ns - RATE_WINDOW_NS:
            self._sent_ns.popleft()
        day = now_ns // (86_400 * NS_PER_SECOND)
        if day != self._reject_day:
            self._reject_day, self._reject_streak = day, 0
        positions = self.ledger.positions()
        with_orders = self.executor.markets_with_orders()
        pending = {market: self.executor.pending_entry_micros(market) for market in with_orders}
        held = {position.market for position in positions}
        exposure = Exposure(
            open_positions=len(held | {market for market, micros in pending.items() if micros}),
            exposure_micros=sum(p.cost_micros for p in positions) + sum(pending.values()),
            daily_pnl_micros=self.ledger.daily_pnl_micros(now_ns),
            losing_streak=self.ledger.losing_streak(now_ns),
            reject_streak=self._reject_streak,
            cash_micros=self.ledger.cash_micros - sum(pending.values()),
            market_position_micros=self.ledger.position(slug).shares_micros,
            market_order_open=slug in with_orders,
            market_unknown=slug in self.executor.markets_unknown(),
            last_exit_ns=self.ledger.last_exit_ns(slug),
        )
        return Account(exposure, len(self._sent_ns), self.entries_stopped)

    def _on_market(self, event: MarketOpened) -> None:
        market = event.market
        if self.board.market(market.slug) != market:
            self.ledger.remember_market(market)
            self.outlet.write(event.received_ns, market.slug, _seen(market))

    def _on_resolution(self, event: MarketResolved) -> None:
        market = self.board.market_by_condition(event.condition_id)
        if market is None:
            return  # the channel tells of every market of the venue, not only of ours (C.5)
        winner = market.outcome_of(event.winning_token)
        if market.slug not in self._resolved:
            self._resolved.append(market.slug)
            seen = ResolutionSeen(winner, event.final_price, event.source)
            self.outlet.write(event.received_ns, market.slug, seen)
        settled = self.ledger.settle(market, winner, event.received_ns)
        if settled is not None:
            self.outlet.write(event.received_ns, market.slug, settled)

    def _tell_strike(self, view: Snapshot) -> None:
        slug, strike = view.market.slug, view.strike
        if strike is not None and self._strikes.get(slug) is not strike:
            self._strikes[slug] = strike
            self.outlet.write(view.now_ns, slug, StrikeSeen(strike.price, strike.rung))

    def _tell_equity(self, now_ns: int) -> None:
        self._next_equity_ns = now_ns + EQUITY_INTERVAL_NS
        ledger = self.ledger
        equity = Equity(
            ledger.cash_micros,
            ledger.realised_micros,
            ledger.unrealised_micros,
            len(ledger.positions()),
        )
        self.outlet.write(now_ns, "", equity)


def _seen(market: Market) -> MarketSeen:
    return MarketSeen(
        market.slug,
        market.condition_id,
        market.asset,
        market.opens_ns,
        market.closes_ns,
        market.up_token,
        market.down_token,
        market.problems,
    )
