"""Builds the flow from its stages: the same for replay, paper and live but for the executor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from helpers import supervisor
from helpers.board import Board
from helpers.clock import monotonic_seconds
from helpers.commands.outlets import Outlets, RowKeeper
from helpers.domain import (
    FEATURE_VERSION,
    NS_PER_MS,
    Decision,
    HoldCause,
    IntentReason,
    Mode,
    OrderIntent,
    Position,
    RunStarted,
    RunStopped,
    Snapshot,
    Unsized,
    to_micros,
)
from helpers.engine import Engine, Stages
from helpers.execution import Executor
from helpers.ledger import Ledger
from helpers.narrator import Describe, Narrator
from helpers.paper_executor import PaperExecutor, PaperSettings
from helpers.quoting import ExecutionStyle, keeps
from helpers.safety import Gate, GateLimits
from helpers.scorecard import Scorecard
from helpers.settings import Settings
from helpers.sizing import Limits, exit_intent, size
from helpers.stages import FeatureFunction, Outlet
from helpers.supervisor import SupervisorLimits
from helpers.training.terms import Terms
from strategies.base import Strategy, get_confidence_size
from strategies.catalogue import build_strategy
from strategies.feature_versions import feature_function, version_of

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE_ROOMS: Final = ("helpers", "strategies", "db")


class Flow(NamedTuple):
    """A built flow and the parts its owner talks to."""

    engine: Engine
    board: Board
    ledger: Ledger
    strategy: Strategy
    scorecard: Scorecard
    outlets: Outlets


class PolicySizing:
    """Sizing as the engine sees it: limits and confidence filled in."""

    def __init__(self, limits: Limits, supervision: SupervisorLimits) -> None:
        self._limits = limits
        self._supervisor = supervision

    def size(
        self, decision: Decision, snapshot: Snapshot, position: Position
    ) -> OrderIntent | Unsized | None:
        """Return the order a decision asks for, why there is none, or ``None`` for no wish."""
        confidence = get_confidence_size(min(1.0, decision.probabilities[decision.action]))
        return size(decision, snapshot, position, self._limits, confidence)

    def keeps(self, resting: OrderIntent, decision: Decision, snapshot: Snapshot) -> bool:
        """Return whether a resting entry still is what policy and book call for."""
        return keeps(resting, decision, snapshot)

    def due_exit(
        self, snapshot: Snapshot, position: Position, book_age_seconds: float
    ) -> IntentReason | None:
        """Return why a position must be closed now, whatever the policy wants."""
        return supervisor.due_exit(snapshot, position, self._supervisor, book_age_seconds)

    def exit(
        self, snapshot: Snapshot, position: Position, reason: IntentReason, attempt: int
    ) -> OrderIntent | Unsized:
        """Return the sale of an exit's attempt, counted from 1, or why there is none."""
        outcome = position.outcome
        tick = snapshot.book(outcome).tick_micros if outcome is not None else 0
        slippage = supervisor.exit_slippage_micros(
            attempt,
            tick or snapshot.market.tick_micros,
            self._supervisor,
            in_a_hurry=self.urgent(snapshot, reason),
        )
        return exit_intent(position, snapshot, reason, slippage)

    def urgent(self, snapshot: Snapshot, reason: IntentReason) -> bool:
        """Say whether an exit must not wait for a better price."""
        return supervisor.urgent(snapshot, reason)

    def book_state(self, age_seconds: float) -> Literal["fresh", "degraded", "critical"]:
        """Return what data of that age is good for."""
        return supervisor.book_state(age_seconds, self._supervisor)


class Trading(NamedTuple):
    """What differs between paper and live: who fills orders, whose books, who else listens."""

    executor: Callable[[Board], Executor]
    """Builds it on the flow's board: paper orders are filled from the books it shows."""
    ledger: Ledger
    listeners: tuple[Outlet, ...]


class TradingSide(Protocol):
    """Paper or live: what a worker runs beside the flow, and how it begins and ends."""

    @property
    def mode(self) -> Mode:
        """Return whose money it is."""
        ...

    def trading(self) -> Trading:
        """Return what the flow is built with."""
        ...

    def attach(self, flow: Flow, move_time: Callable[[int], None]) -> None:
        """Connect the flow; write what was taken over from the run before."""
        ...

    async def run(self) -> None:
        """Trade until cancelled."""
        ...

    async def stop(self) -> None:
        """Bring every order to its end, within a bounded time."""
        ...


def build_flow(
    settings: Settings,
    mode: Mode,
    journal: RowKeeper,
    *,
    allow_cold: bool,
    trading: Trading | None = None,
    keepers: Sequence[Outlet] = (),
    strategy: Strategy | None = None,
    narrated: bool = True,
    watched: Sequence[Callable[[FeatureFunction], FeatureFunction]] = (),
) -> Flow:
    """Build every stage and connect them; on paper money unless ``trading`` says otherwise.

    ``keepers`` hear of everything before the journal: what they keep is durable before its row.
    A ``strategy`` given takes the place of the settings'; without ``narrated`` no line is logged.
    ``watched`` put somebody between features and flow who sees them, and changes nothing.

    Raises what the strategy's model raises when it cannot be loaded.
    """
    strategy = strategy or build_strategy(
        settings.strategy,
        model_directory=settings.model_directory,
        seed=settings.random_seed,
        learn_interval_seconds=settings.learn_interval_seconds,
        monotonic_seconds=monotonic_seconds,
    )
    version = version_of(strategy)
    board = Board()

    def paper(books: Board) -> Executor:
        return PaperExecutor(books, paper_settings(settings))

    trading = trading or Trading(
        paper,
        Ledger(mode, to_micros(settings.paper_cash)),
        (),
    )
    scorecard = Scorecard()
    describe: Describe | None = getattr(strategy, "describe", None)
    narrators = (Narrator(mode, describe),) if narrated else ()
    outlets = Outlets(keepers, journal, (scorecard, *narrators, *trading.listeners))
    stages = Stages(
        board=board,
        features=reduce(lambda seen, watch: watch(seen), watched, feature_function(version)),
        strategy=strategy,
        sizing=PolicySizing(
            sizing_limits(settings, _holds(settings, strategy)), supervisor_limits(settings)
        ),
        gate=Gate(gate_limits(settings, mode, allow_cold=allow_cold, feature_version=version)),
        executor=trading.executor(board),
        ledger=trading.ledger,
        outlet=outlets,
    )
    engine = Engine(
        stages,
        settings.trigger_bps,
        resume_at_day_roll=settings.resume_at_day_roll or mode is Mode.REPLAY,
    )
    return Flow(engine, board, trading.ledger, strategy, scorecard, outlets)


def _holds(settings: Settings, strategy: Strategy) -> bool:
    wanted = settings.hold_to_resolution
    return wanted == "always" or (wanted == "auto" and strategy.holds_to_resolution)


def sizing_limits(settings: Settings, holds_to_resolution: bool) -> Limits:
    """Return what sizing is allowed."""
    return Limits(
        trade_size_micros=to_micros(settings.trade_size),
        style=ExecutionStyle(settings.execution_style),
        maker_lifetime_seconds=settings.maker_lifetime_seconds,
        position_timeout_seconds=settings.position_timeout_seconds,
        maximum_position_age_seconds=settings.maximum_position_age_seconds,
        slippage_ticks=settings.slippage_ticks,
        hold_to_resolution=holds_to_resolution,
    )


def learning_terms(settings: Settings) -> Terms:
    """Return what a policy that learns from a flow must know of how it trades."""
    return Terms(
        to_micros(settings.trade_size),
        settings.entry_stop_seconds,
        settings.reentry_cooldown_seconds,
    )


def supervisor_limits(settings: Settings) -> SupervisorLimits:
    """Return when positions are closed."""
    return SupervisorLimits(
        maximum_age_seconds=settings.maximum_position_age_seconds,
        book_age_degraded_seconds=settings.book_age_degraded_seconds,
        book_age_critical_seconds=settings.book_age_critical_seconds,
        take_profit=settings.take_profit,
        stop_loss=settings.stop_loss,
        slippage_ticks=settings.slippage_ticks,
        maximum_slippage_micros=to_micros(settings.exit_slippage),
    )


def gate_limits(
    settings: Settings, mode: Mode, *, allow_cold: bool, feature_version: str = FEATURE_VERSION
) -> GateLimits:
    """Return what the gate allows."""
    return GateLimits(
        mode=mode,
        entry_stop_seconds=settings.entry_stop_seconds,
        book_age_seconds=settings.book_age_degraded_seconds,
        fast_age_seconds=settings.fast_age_seconds,
        daily_loss_micros=to_micros(settings.daily_loss_limit),
        losing_streak=settings.losing_streak_limit,
        positions=settings.maximum_positions,
        exposure_micros=to_micros(settings.maximum_exposure),
        reject_streak=settings.reject_streak_limit,
        orders_per_minute=settings.order_rate_per_minute,
        clock_skew_seconds=settings.clock_skew_seconds,
        cooldown_seconds=settings.reentry_cooldown_seconds,
        spread_micros=to_micros(settings.maximum_spread),
        price_minimum_micros=to_micros(settings.minimum_price),
        price_maximum_micros=to_micros(settings.maximum_price),
        allow_cold=allow_cold,
        feature_version=feature_version,
    )


def paper_settings(settings: Settings) -> PaperSettings:
    """Return how paper orders travel."""
    return PaperSettings(
        latency_ms=settings.paper_latency_ms,
        taker_hold_ms=settings.paper_taker_hold_ms,
        settlement_ms=settings.paper_settlement_ms,
    )


def settle_span_ns(settings: Settings) -> int:
    """Return how long after the last event an order in flight can still be settled."""
    milliseconds = (
        settings.paper_latency_ms + settings.paper_taker_hold_ms + settings.paper_settlement_ms
    )
    return milliseconds * NS_PER_MS


def finish(flow: Flow, settings: Settings, reason: str, now_ns: int) -> None:
    """Cancel what rests, let what is in flight come to its end, and write the last row.

    Every order of a run has an end in its journal, whatever ended the run.
    """
    engine = flow.engine
    engine.halts.hold_entries(HoldCause.STOPPING, reason, now_ns)
    engine.executor.cancel_all(now_ns)
    end_ns = now_ns + settle_span_ns(settings)
    engine.settle_orders(end_ns)
    flow.outlets.write(end_ns, "", run_stopped(flow, reason))


def run_stopped(flow: Flow, reason: str) -> RunStopped:
    """Return what the run has come to."""
    report = flow.ledger.report()
    return RunStopped(
        reason=reason,
        trades=report.trades,
        pnl_micros=report.realised_micros,
        fees_micros=report.fees_micros,
        decisions=flow.scorecard.decisions.total(),
        refusals=flow.scorecard.refusals.total(),
    )


def run_started(settings: Settings, strategy: Strategy, run_id: str, tape: str) -> RunStarted:
    """Return the first row of a run."""
    return RunStarted(
        run_id=run_id,
        strategy=strategy.name,
        model_id=strategy.model_id,
        feature_version=version_of(strategy),
        settings_digest=settings_digest(settings),
        build_id=build_id(),
        tape=tape,
    )


def settings_digest(settings: Settings) -> str:
    """Return a short digest of every setting that can change a decision; no secret, no path."""
    values = settings.model_dump(mode="json", exclude=set(_NOT_DECIDING))
    text = "\n".join(f"{name}={values[name]}" for name in sorted(values))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def build_id() -> str:
    """Return a short digest of the source that runs: what is deployed, whatever git says (I1)."""
    digest = hashlib.sha256()
    for path in sorted(p for room in SOURCE_ROOMS for p in (ROOT / room).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


_NOT_DECIDING: Final = (
    "live_ack",
    "polymarket_private_key",
    "polymarket_relayer_key",
    "polymarket_api_key",
    "polymarket_api_secret",
    "polymarket_api_passphrase",
    "heartbeat_url",
    "discord_webhook_url",
    "dashboard_port",
    "dashboard_host",
    "dashboard_token",
    "dashboard_open_metrics",
    "database",
    "database_url",
    "database_direct_url",
    "embedded_postgres_directory",
    "database_detail_days",
    "record",
    "shadow",
    "model_directory",
    "model_backup_directory",
    "tape_directory",
    "journal_directory",
    "log_directory",
    "log_level",
    "log_format",
)
