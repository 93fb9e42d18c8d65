"""What of a run is shown to whoever watches it, and the page's view of it. Reads, changes nothing.

Called on the worker's loop, between two things that it does: what is read fits together.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from db.journal import Journal
from helpers.commands.composition import Flow
from helpers.commands.intake import Intake
from helpers.commands.model_side import ModelSide
from helpers.commands.shadows import Shadows
from helpers.domain import (
    FEATURE_NAMES_OF,
    MICROS,
    NO_FORECAST,
    NS_PER_SECOND,
    BookProblem,
    BookView,
    Decision,
    HoldCause,
    MarketState,
    Mode,
    Position,
    Snapshot,
    TradingState,
    exit_value_micros,
    from_micros,
)
from helpers.evaluation.comparison import Duel
from helpers.narrator import Describe
from helpers.server.memory import Memory
from helpers.server.tally import Tally
from helpers.server.view import (
    AccountLimits,
    AccountView,
    CountView,
    FeedView,
    Hold,
    LagView,
    LatencyView,
    LearnerView,
    MarketView,
    PositionView,
    ProbabilitiesView,
    QuoteView,
    Safety,
    ShadowView,
    View,
    known,
    milliseconds,
)
from helpers.settings import WINDOW_SECONDS, Settings
from helpers.stages import FeatureFunction, Outlet
from strategies.base import LearnedStrategy, Strategy

STATES: Final = {
    TradingState.ACTIVE: "trading",
    TradingState.REDUCING: "held",
    TradingState.HALTED: "halted",
}


class ObservedRun(NamedTuple):
    """The owners that are read."""

    settings: Settings
    mode: Mode
    flow: Flow
    journal: Journal
    intake: Intake
    shadows: Shadows
    models: ModelSide


class Observer(Protocol):
    """Who watches a run and shows it: a companion that sees what the policy sees, too."""

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row."""
        ...

    def watched(self, features: FeatureFunction) -> FeatureFunction:
        """Return the same function, whose results are remembered."""
        ...

    def attach(self, run: ObservedRun) -> None:
        """Take the owners that are read."""
        ...

    async def run(self) -> None:
        """Show the run until cancelled."""
        ...


def equity_micros(flow: Flow) -> int:
    """Return cash, open positions at cost, and what they gained or lost since, as far as known."""
    ledger = flow.ledger
    return ledger.cash_micros + _open_cost_micros(flow) + ledger.unrealised_micros


def exposure_micros(flow: Flow) -> int:
    """Return the cost of positions and the notional of entries on their way."""
    executor = flow.engine.executor
    pending = sum(executor.pending_entry_micros(m) for m in executor.markets_with_orders())
    return _open_cost_micros(flow) + pending


def build_view(
    run: ObservedRun,
    tally: Tally,
    memory: Memory,
    duels: tuple[Duel, ...],
    *,
    lag: LagView,
    seq: int,
    now_ns: int,
    simulated: bool,
) -> View:
    """Return everything the page shows."""
    flow, started = run.flow, memory.started
    memory.forget_closed(now_ns, {position.market for position in flow.ledger.positions()})
    version = started.feature_version if started is not None else ""
    refused = sorted(flow.scorecard.refusals.items(), key=lambda item: (-item[1], item[0]))
    return View(
        seq=seq,
        at_ms=milliseconds(now_ns),
        mode=run.mode.value,
        run=started.run_id if started is not None else "",
        build=started.build_id if started is not None else "",
        strategy=flow.strategy.name,
        model_id=flow.strategy.model_id,
        feature_version=version,
        feature_names=FEATURE_NAMES_OF.get(version, ()),
        started_at_ms=milliseconds(memory.started_ns),
        simulated=simulated,
        safety=_safety(flow, memory),
        account=_account(run, now_ns),
        markets=tuple(_market(flow, memory, state, now_ns) for state in memory.states.values()),
        refusals=tuple(CountView(rule, count) for rule, count in refused),
        feeds=_feeds(run.intake, tally, now_ns),
        latency=tuple(_latency(tally, stage) for stage in tally.stages),
        loop_lag_ms=lag,
        learner=_learner(run.models, memory),
        shadows=_shadows(run, duels),
        trades_seq=memory.trades_seq,
        equity_seq=memory.equity_seq,
    )


def _open_cost_micros(flow: Flow) -> int:
    return sum(position.cost_micros for position in flow.ledger.positions())


def _safety(flow: Flow, memory: Memory) -> Safety:
    halts = flow.engine.halts
    standing = halts.standing()
    since = memory.held_since_ns
    holds = tuple(
        Hold(
            cause.value,
            why.removeprefix(f"{cause}: "),
            milliseconds(since[cause]) if cause in since else None,
        )
        for cause, why in standing
    )
    stopping = any(cause is HoldCause.STOPPING for cause, _ in standing)
    return Safety(
        "stopping" if stopping else STATES[halts.state],
        holds,
        halts.state is TradingState.ACTIVE,
    )


def _account(run: ObservedRun, now_ns: int) -> AccountView:
    ledger, settings = run.flow.ledger, run.settings
    report = ledger.report()
    return AccountView(
        equity=equity_micros(run.flow) / MICROS,
        cash=from_micros(ledger.cash_micros),
        realised=from_micros(ledger.realised_micros),
        unrealised=from_micros(ledger.unrealised_micros),
        unmarked_cost=from_micros(ledger.unmarked_cost_micros),
        fees=from_micros(report.fees_paid_micros),
        drawdown=from_micros(report.maximum_drawdown_micros),
        exposure=exposure_micros(run.flow) / MICROS,
        day_pnl=from_micros(ledger.daily_pnl_micros(now_ns)),
        trades=report.trades,
        wins=report.wins,
        losing_streak=ledger.losing_streak(now_ns),
        limits=AccountLimits(
            daily_loss=settings.daily_loss_limit,
            losing_streak=settings.losing_streak_limit,
            positions=settings.maximum_positions,
            exposure=settings.maximum_exposure,
            trade_size=settings.trade_size,
        ),
    )


def _market(flow: Flow, memory: Memory, state: MarketState, now_ns: int) -> MarketView:
    snapshot = state.snapshot
    market, fast, strike = snapshot.market, snapshot.fast, snapshot.strike
    passed = (now_ns - snapshot.now_ns) / NS_PER_SECOND
    decision = memory.decisions.get(market.slug)
    names = FEATURE_NAMES_OF[state.version]
    describe: Describe | None = getattr(flow.strategy, "describe", None)
    note = describe(market.slug) if describe is not None else None
    return MarketView(
        slug=market.slug,
        asset=market.asset.value,
        window=_window_name(market.window_seconds),
        opens_ms=milliseconds(market.opens_ns),
        closes_ms=milliseconds(market.closes_ns),
        fast_price=fast.mid or None,
        fast_source=fast.source.value if fast.source is not None else None,
        fast_age_seconds=known(fast.age_seconds + passed),
        strike=strike.price if strike is not None else None,
        strike_rung=strike.rung.value if strike is not None else None,
        reference_price=snapshot.reference_price or None,
        up=_quote(snapshot.up, passed),
        down=_quote(snapshot.down, passed),
        probabilities=_probabilities(decision),
        value=_value(flow.strategy, state, decision),
        forecast_up=_forecast(decision),
        features=() if state.invalid else state.features,
        cold=tuple(names[index] for index in state.cold),
        invalid=state.invalid,
        history_depth=note.history_depth if note is not None else None,
        position=_position(snapshot, flow.ledger.position(market.slug)),
        decision=memory.decision(market.slug),
    )


def _window_name(seconds: float) -> str:
    return next((name for name, length in WINDOW_SECONDS.items() if length == seconds), "")


def _quote(book: BookView, passed_seconds: float) -> QuoteView:
    return QuoteView(
        bid=from_micros(book.bids[0][0]) if book.bids else None,
        ask=from_micros(book.asks[0][0]) if book.asks else None,
        age_seconds=known(book.age_seconds + passed_seconds),
        problem=book.problem.value,
    )


def _probabilities(decision: Decision | None) -> ProbabilitiesView | None:
    return ProbabilitiesView(*decision.probabilities) if decision is not None else None


def _value(strategy: Strategy, state: MarketState, decision: Decision | None) -> float | None:
    # A baseline has no critic, and of an invalid state none was asked: both say 0.
    asked = isinstance(strategy, LearnedStrategy) and not state.invalid
    return known(decision.value) if decision is not None and asked else None


def _forecast(decision: Decision | None) -> float | None:
    if decision is None or decision.forecast_up == NO_FORECAST:
        return None
    return known(decision.forecast_up)


def _position(snapshot: Snapshot, position: Position) -> PositionView | None:
    if position.outcome is None:
        return None
    # A book that cannot be believed says nothing of what its shares are worth.
    sound = snapshot.book(position.outcome).problem is BookProblem.NONE
    worth = exit_value_micros(snapshot, position) if sound else None
    return PositionView(
        outcome=position.outcome.value,
        shares=from_micros(position.shares_micros),
        shares_pending=from_micros(position.shares_pending_micros),
        cost=from_micros(position.cost_micros),
        worth_now=from_micros(worth) if worth is not None else None,
        pnl=from_micros(worth - position.cost_micros) if worth is not None else None,
        opened_ms=milliseconds(position.opened_ns),
        deadline_ms=milliseconds(position.deadline_ns) if position.deadline_ns else None,
    )


def _feeds(intake: Intake, tally: Tally, now_ns: int) -> tuple[FeedView, ...]:
    return tuple(
        FeedView(
            source=source.value,
            connected=source not in tally.lost,
            age_seconds=max(0, now_ns - arrived.last_ns) / NS_PER_SECOND,
            messages=arrived.frames,
        )
        for source, arrived in intake.arrivals.items()
        if arrived.frames
    )


def _latency(tally: Tally, stage: str) -> LatencyView:
    histogram = tally.stages[stage]
    found = histogram.percentiles()
    p50, p99 = (None, None) if found is None else (1000 * found[0], 1000 * found[1])
    return LatencyView(stage, p50, p99, histogram.total)


def _learner(models: ModelSide, memory: Memory) -> LearnerView | None:
    learned = models.learning.latest if models.learning is not None else None
    if learned is None:
        return None
    report = learned.report
    kept = not report.problem  # of an update that was refused nothing was measured
    return LearnerView(
        updates=learned.progress.updates,
        entropy_nats=known(report.entropy_nats) if kept else None,
        kl=known(report.kl) if kept else None,
        policy_loss=known(report.policy_loss) if kept else None,
        value_loss=known(report.value_loss) if kept else None,
        clip_fraction=known(report.clip_fraction) if kept else None,
        explained_variance=known(report.explained_variance) if kept else None,
        buffer_win_rate=known(report.win_rate),
        trade_win_rate=learned.wins / learned.trips if learned.trips else None,
        problem=report.problem,
        at_ms=milliseconds(memory.learned_ns) if memory.learned_ns else None,
    )


def _shadows(run: ObservedRun, duels: tuple[Duel, ...]) -> tuple[ShadowView, ...]:
    endings = dict(run.shadows.endings())
    by_name = {duel.challenger: duel for duel in duels}
    return tuple(
        _shadow(name, by_name.get(name), endings.get(name, "")) for name in run.settings.shadow
    )


def _shadow(name: str, duel: Duel | None, ended: str) -> ShadowView:
    if duel is None:
        return ShadowView(name, 0, None, None, None, None, None, None, ended)
    own, difference = duel.challenger_pnl, duel.difference
    return ShadowView(
        name=name,
        windows=duel.windows,
        mean=own.mean,
        low=own.low,
        high=own.high,
        difference_mean=difference.mean,
        difference_low=difference.low,
        difference_high=difference.high,
        ended=ended,
    )
