"""Plays a tape to several strategies at once, each with a flow of its own: what each then earned.

The flow is that of replay and paper (``build_flow``): board, features, gate, sizing, paper
executor, ledger. Frames are parsed once; nothing is shared but the events, which are immutable.
Must not: know of the simulator, or value anything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from helpers import logs
from helpers.board import Board
from helpers.clock import SimulatedClock
from helpers.commands.composition import Flow, Trading, build_flow, finish, paper_settings
from helpers.commands.contenders import Contender
from helpers.commands.outlets import NoJournal
from helpers.domain import (
    NS_PER_SECOND,
    FeedEvent,
    Message,
    Mode,
    OperatorRequest,
    OperatorVerb,
    Source,
    TradingState,
    to_micros,
)
from helpers.evaluation.windows import Gathered, WindowGatherer
from helpers.feeds.ingest import Ingest
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor
from helpers.settings import Settings
from helpers.stages import Outlet
from helpers.tape import TapeError, TapeFaults, read_tape
from strategies.base import Strategy

LIFTED: Final = {
    "daily_loss_limit": 1e6,
    "losing_streak_limit": 100,
    "reject_streak_limit": 100,
    "paper_cash": 1e7,
}
"""Limits of the account at their widest: a policy is measured, not when its owner would stop it."""
RESUME_INTERVAL_NS: Final = 60 * NS_PER_SECOND
"""How often a halt is lifted where account halts do not count."""


class EvaluationSettings(Message, frozen=True):
    """How a run is measured."""

    keep_halts: bool = False
    """Whether the daily loss, the losing streak and the like stop a strategy, as they would."""
    late_too: bool = False
    """Whether windows count that were not seen from their opening."""
    allow_cold: bool | None = None
    """Whether entries may come while windows are not filled; ``None``: as replay does."""


class Field:
    """Several flows on the same events: each as if it were alone."""

    def __init__(
        self,
        settings: Settings,
        run: str,
        named: Sequence[tuple[str, Contender]],
        build: Callable[[Contender, Settings], Strategy],
        options: EvaluationSettings,
        *,
        allow_cold: bool,
        listeners: Callable[[str], Sequence[Outlet]] = lambda _: (),
    ) -> None:
        """Build a flow for each contender; ``listeners`` gives those of its rows, by its name.

        Raises what a strategy's model raises when it cannot be loaded.
        """
        self._settings = settings
        self._lifts = not options.keep_halts
        self._next_resume_ns = 0
        self._resumes = 0
        self._gatherers: list[WindowGatherer] = []
        self.flows: list[Flow] = []
        self.last_ns = 0
        for name, contender in named:
            own = contender.settings(settings)
            if self._lifts:
                own = own.model_copy(update=LIFTED)
            gatherer = WindowGatherer(name, run)
            self._gatherers.append(gatherer)
            self.flows.append(
                build_flow(
                    own,
                    Mode.REPLAY,
                    NoJournal(),
                    allow_cold=allow_cold,
                    trading=paper_trading(own, Mode.REPLAY, (gatherer, *listeners(name))),
                    strategy=build(contender, own),
                    narrated=False,
                )
            )

    def on_event(self, event: FeedEvent) -> None:
        """Give one event to every flow."""
        self.last_ns = event.received_ns
        for flow in self.flows:
            flow.engine.on_event(event)
        if self._lifts and event.received_ns >= self._next_resume_ns:
            self._resume(event.received_ns)

    def advance(self, now_ns: int) -> None:
        """Let everything due up to a moment happen in every flow."""
        self.last_ns = max(self.last_ns, now_ns)
        for flow in self.flows:
            flow.engine.advance(now_ns)

    def finish(self, *, late_too: bool) -> tuple[Gathered, ...]:
        """Let what is in flight come to its end; return each flow's windows."""
        for flow in self.flows:
            finish(flow, self._settings, "end of the evaluation", self.last_ns)
        return tuple(gatherer.gathered(late_too=late_too) for gatherer in self._gatherers)

    def _resume(self, now_ns: int) -> None:
        self._next_resume_ns = now_ns + RESUME_INTERVAL_NS
        for flow in self.flows:
            if flow.engine.halts.state is TradingState.HALTED:
                self._resumes += 1
                request = f"evaluation-{self._resumes}"
                why = "account halts do not count here"
                flow.engine.on_event(OperatorRequest(request, OperatorVerb.RESUME, why, now_ns))


def paper_trading(settings: Settings, mode: Mode, listeners: tuple[Outlet, ...]) -> Trading:
    """Return paper books of their own for one flow, and who hears its rows."""

    def paper(board: Board) -> PaperExecutor:
        return PaperExecutor(board, paper_settings(settings))

    return Trading(
        paper,
        Ledger(mode, to_micros(settings.paper_cash)),
        listeners,
    )


def quiet_logs(clock: SimulatedClock) -> logs.Lines:
    """Let nothing below an error be logged while a run is evaluated."""
    return logs.configure(clock=clock, level="error", json_lines=False, directory=None)


class TapeRun:
    """A tape and the workers that it is played to, frame by frame."""

    def __init__(
        self,
        tape: Path,
        named: Sequence[tuple[str, Contender]],
        settings: Settings,
        options: EvaluationSettings,
        *,
        listeners: Callable[[str], Sequence[Outlet]] = lambda _: (),
        build: Callable[[Contender, Settings], Strategy] | None = None,
    ) -> None:
        """Open the tape and build the workers; ``build`` makes strategies in place of their names.

        Raises ``TapeError`` for a tape that cannot be read or is empty, ``ModelError`` for a model
        that does not verify.
        """
        frames = read_tape(tape, TapeFaults())
        first = next(frames, None)
        if first is None:
            raise TapeError(f"{tape} holds no frame")
        cold = first.source_text != Source.WORKER.value
        self._frames = itertools.chain((first,), frames)
        self.clock = SimulatedClock(first.received_ns)
        self._ingest = Ingest()
        self._late_too = options.late_too
        self.field = Field(
            settings,
            tape.name,
            named,
            build or (lambda contender, own: contender.build(own)),
            options,
            allow_cold=cold if options.allow_cold is None else options.allow_cold,
            listeners=listeners,
        )

    def step(self) -> bool:
        """Play the next frame; say whether there was one."""
        frame = next(self._frames, None)
        if frame is None:
            return False
        source = Ingest.source_of(frame.source_text)
        if source is not None:
            self.clock.advance_to(frame.received_ns)
            for event in self._ingest.parse(source, frame.raw, frame.received_ns):
                self.field.on_event(event)
        return True

    def finish(self) -> tuple[Gathered, ...]:
        """Let what is in flight come to its end; return each contender's windows."""
        return self.field.finish(late_too=self._late_too)


def evaluate_tape(
    tape: Path,
    named: Sequence[tuple[str, Contender]],
    settings: Settings,
    options: EvaluationSettings,
    listeners: Callable[[str], Sequence[Outlet]] = lambda _: (),
) -> tuple[Gathered, ...]:
    """Return what each contender earned in each window of a tape; raises as ``TapeRun``."""
    lines = quiet_logs(SimulatedClock())
    try:
        run = TapeRun(tape, named, settings, options, listeners=listeners)
        while run.step():
            pass
        return run.finish()
    finally:
        lines.close()
