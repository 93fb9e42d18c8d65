"""The flow: events in, decisions, verdicts and fills out; the same code live and replayed.

Time is that of the events: before anything at a moment is applied, everything due up to that
moment happens, in order of time. Must not: read a clock, do I/O, or know which executor it drives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from helpers.account import DAY_NS, AccountStanding
from helpers.domain import (
    GRID_NS,
    NS_PER_MS,
    NS_PER_SECOND,
    Approved,
    Asset,
    Equity,
    ExecutionEvent,
    FeedEvent,
    Fill,
    HoldCause,
    LedgerConflict,
    LedgerError,
    Market,
    MarketOpened,
    MarketResolved,
    MarketSeen,
    MarketState,
    Message,
    OperatorRequest,
    OperatorVerb,
    OrderIntent,
    Position,
    Quote,
    ResolutionSeen,
    Snapshot,
    Strike,
    StrikeSeen,
    Unsized,
)
from helpers.execution import Executor
from helpers.feed_gaps import LINKS, FeedGaps
from helpers.halt_control import HaltControl
from helpers.halts import Halts
from helpers.position_supervisor import PositionSupervisor
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
RESOLVED_REMEMBERED_MAXIMUM: Final = 256
"""Resolutions are told by the channel and by polling, and written once."""


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

    def __init__(
        self, stages: Stages, trigger_bps: float, *, resume_at_day_roll: bool = False
    ) -> None:
        self.board = stages.board
        self.features = stages.features
        self.strategy = stages.strategy
        self.sizing = stages.sizing
        self.gate = stages.gate
        self.executor = stages.executor
        self.ledger = stages.ledger
        self.outlet = stages.outlet
        self._trigger = trigger_bps * 1e-4
        self._next_grid_ns = 0
        self._due_ns = 0
        """No frame before this moment has anything to wait for; kept by whoever plans something."""
        self._open: tuple[Market, ...] = ()
        self._decided_mid: dict[Asset, float] = {}
        self._decided_ns: dict[Asset, int] = {}
        self._pending: dict[Asset, int] = {}
        self._strikes: dict[str, Strike] = {}
        self._resolved: deque[str] = deque(maxlen=RESOLVED_REMEMBERED_MAXIMUM)
        halts = Halts()
        self._standing = AccountStanding(stages.ledger, stages.executor, stages.board, halts)
        self.halts = HaltControl(halts, self._standing, stages.outlet)
        halts.hold(HoldCause.SUPERVISOR, "the position supervisor has not ticked yet")
        self.supervisor = PositionSupervisor(
            stages.board,
            stages.ledger,
            stages.executor,
            stages.sizing,
            self._standing,
            self.halts,
            stages.outlet,
            self._submit_exit,
        )
        self._gaps = FeedGaps()
        self._day = 0
        self._resume_at_day_roll = resume_at_day_roll
        self._next_equity_ns = 0
        self.grid_steps = self.last_grid_step_ns = 0
        """How many were done, which the watchdog sees rise, and when the last was."""

    # --- The flow -----------------------------------------------------------------------------

    def on_event(self, event: FeedEvent) -> None:
        """Apply one thing a feed said, after everything that was due before it."""
        now_ns = event.received_ns
        if now_ns >= self._due_ns:
            self.advance(now_ns)
        if isinstance(event, Quote):
            self.board.apply(event)
            self._watch_fast_market(event.asset, now_ns)
            return
        rare = type(event) in _RARE
        if rare:
            if isinstance(event, OperatorRequest):
                self._on_operator(event)
                return
            if isinstance(event, MarketOpened):
                self._on_market(event)
        self.board.apply(event)
        if rare:
            self._on_rare(event)
        answers = self.executor.on_event(event)
        if answers:
            for answer in answers:
                self._on_execution(answer)
            self._due_ns = self._next_due_ns()

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
        self._due_ns = due_ns

    def settle_orders(self, now_ns: int) -> None:
        """Let orders in flight come to their end, deciding nothing more: the end of a run."""
        while (due_ns := self.executor.next_due_ns()) is not None and due_ns <= now_ns:
            for answer in self.executor.advance(due_ns):
                self._on_execution(answer)

    def tick(self, now_ns: int, markets: Sequence[Market], on_grid: bool) -> None:
        """Decide in these markets: views, features, one batched forward, size, gate, send."""
        views = [self.board.snapshot(market.slug, now_ns, on_grid) for market in markets]
        positions = [self.ledger.position(view.market.slug) for view in views]
        states = [self.features(view, at) for view, at in zip(views, positions, strict=True)]
        for view in views:
            self._tell_strike(view)
        for state, decision in zip(states, self.strategy.decide(states), strict=True):
            self.outlet.write(now_ns, decision.market, decision)
            resting = self.executor.resting_entry(decision.market)
            if resting is not None and (
                self.halts.reason or not self.sizing.keeps(resting, decision, state.snapshot)
            ):
                self.executor.cancel_market(decision.market, now_ns)
            if self.supervisor.owns(decision.market):
                continue  # an exit is under way, and nobody else sells there (I22)
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
        verdict = self.gate.check(wish, state, self._standing.account(wish.market, now_ns))
        self.outlet.write(now_ns, wish.market, verdict)
        if not wish.opens and self.executor.pending_entry_micros(wish.market):
            # A resting entry would keep the exit waiting: it goes first, the exit comes next step.
            self.executor.cancel_market(wish.market, now_ns)
        if isinstance(verdict, Approved):
            self.outlet.commit()  # the intent survives a crash before its order leaves (I20)
            self._standing.note_sent(verdict.intent, now_ns)
            self.executor.submit(verdict, state.snapshot.market)

    def _on_execution(self, answer: ExecutionEvent) -> None:
        if isinstance(answer, Fill):
            self.outlet.write(answer.at_ns, answer.market, answer)
            self._book(answer)
            return
        self._standing.note_answer(answer)
        market = answer.intent_id.split("/", 1)[0]
        self.outlet.write(answer.at_ns, market, answer)

    def _book(self, fill: Fill) -> None:
        try:
            closed = self.ledger.apply(fill)
        except LedgerError as error:
            self._conflict(fill.market, fill.at_ns, error)
            return
        if closed is not None:
            self.outlet.write(fill.at_ns, fill.market, closed)
        late = self.ledger.late_settlement(fill.market, fill.at_ns)
        if late is not None:
            self.outlet.write(fill.at_ns, fill.market, late)

    def _conflict(self, slug: str, at_ns: int, error: LedgerError) -> None:
        """Stop entries in a market whose venue contradicts our books, and say so (I4)."""
        self._standing.conflict(slug)
        self.outlet.write(at_ns, slug, LedgerConflict(str(error)))

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
                self._standing.market_gone(slug)
            self._open = still_open
        self.board.on_grid(now_ns)
        self._supervise(now_ns)
        if still_open:
            self.tick(now_ns, still_open, on_grid=True)
        if now_ns >= self._next_equity_ns:
            self._tell_equity(now_ns)
        self.grid_steps += 1
        self.last_grid_step_ns = now_ns

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
            self._due_ns = self._next_due_ns()

    def _decide_asset(self, asset: Asset, now_ns: int) -> None:
        self._pending.pop(asset, None)
        markets = [m for m in self._open if m.asset is asset and m.closes_ns > now_ns]
        if markets:
            self.tick(now_ns, markets, on_grid=False)

    def _supervise(self, now_ns: int) -> None:
        """Look after the positions, whatever the policy does; from then on entries may come."""
        self.supervisor.tick(now_ns)
        self.halts.release_entries(HoldCause.SUPERVISOR, now_ns)
        account = self._standing.account("", now_ns)
        for cause, detail in self.gate.breaches(account):
            self.halts.hold_entries(cause, detail, now_ns, lasting=False)
        day = now_ns // DAY_NS
        if day != self._day:
            self._day, began = day, self._day
            if began and self._resume_at_day_roll:
                self.halts.unlatch(HoldCause.LOSS_LIMIT, now_ns)

    def _submit_exit(self, wish: OrderIntent | Unsized, position: Position, now_ns: int) -> None:
        view = self.board.snapshot(wish.market, now_ns, on_grid=True)
        self._submit(wish, self.features(view, position), now_ns)

    def _on_operator(self, request: OperatorRequest) -> None:
        self.halts.on_operator(request)
        if request.verb is OperatorVerb.RESUME:
            self.supervisor.stop_flattening()
            return
        self.executor.cancel_all(request.received_ns)
        if request.verb is OperatorVerb.FLATTEN:
            self.supervisor.flatten(request.request_id)

    # --- Things to tell --------------------------------------------------------

    def _on_market(self, event: MarketOpened) -> None:
        market = event.market
        if self.board.market(market.slug) == market:
            return
        self.outlet.write(event.received_ns, market.slug, _seen(market))
        try:
            self.ledger.remember_market(market)
        except LedgerError as error:
            self._conflict(market.slug, event.received_ns, error)

    def _on_rare(self, event: FeedEvent) -> None:
        if isinstance(event, MarketResolved):
            self._on_resolution(event)
        elif isinstance(event, LINKS) and (row := self._gaps.row_of(event)) is not None:
            self.outlet.write(event.received_ns, "", row)

    def _market_of(self, condition_id: str) -> Market | None:
        known = self.board.market_by_condition(condition_id)
        if known is not None:
            return known
        # The board keeps so many markets only; what we hold keeps its own facts (I15).
        held = (self.ledger.market(position.market) for position in self.ledger.positions())
        return next((m for m in held if m is not None and m.condition_id == condition_id), None)

    def _on_resolution(self, event: MarketResolved) -> None:
        market = self._market_of(event.condition_id)
        if market is None:
            return  # the channel tells of every market of the venue, not only of ours (C.5)
        try:
            winner = market.outcome_of(event.winning_token)
        except KeyError:
            foreign = LedgerError(
                f"the winner was token {event.winning_token}, none of this market"
            )
            self._conflict(market.slug, event.received_ns, foreign)
            return
        if market.slug not in self._resolved:
            self._resolved.append(market.slug)
            seen = ResolutionSeen(winner, event.final_price, event.source)
            self.outlet.write(event.received_ns, market.slug, seen)
        try:
            while settled := self.ledger.settle(market, winner, event.received_ns):
                self.outlet.write(event.received_ns, market.slug, settled)
                closed = self.ledger.last_trip(market.slug, settled.outcome)
                if closed is not None:
                    self.outlet.write(event.received_ns, market.slug, closed)
        except LedgerError as error:
            self._conflict(market.slug, event.received_ns, error)

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
        market.tick_micros,
        market.minimum_shares_micros,
        market.fees.rate_ppm,
        market.fees.exponent,
        market.fees.taker_only,
    )


_RARE: Final = frozenset({MarketOpened, MarketResolved, OperatorRequest, *LINKS})
"""Kinds the flow itself looks at, beside quotes; asked of every frame, so by a look-up."""
