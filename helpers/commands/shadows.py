"""Shadow strategies: they decide on what the worker sees, with paper books of their own.

Each is a whole flow behind a queue of the events that the engine has dealt with already: the same
events in the same order give the same snapshots, whenever it comes to them. It is given one event
at a time between other work of the loop, so an order never waits for more than that. Whatever goes
wrong in one ends that one. Must not: touch the engine, its ledger or its board.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from helpers.commands.composition import build_flow
from helpers.commands.contenders import Contender
from helpers.commands.evaluating import LIFTED, paper_trading
from helpers.commands.outlets import NoJournal
from helpers.domain import FeedEvent, Mode, OperatorRequest, ShadowWindow
from helpers.evaluation.comparison import Duel, duel
from helpers.evaluation.windows import WindowGatherer, WindowResult
from helpers.logs import Log, Tag, logger
from helpers.settings import Settings
from helpers.stages import Outlet

CHAMPION: Final = "champion"
"""The strategy that trades, in comparisons."""
QUEUE_MAXIMUM: Final = 50_000
"""Events a shadow may be behind: a minute of the busiest feeds. One that is further behind ends."""
WINDOWS_KEPT: Final = 10_000
"""Windows compared at the end of a run: four markets of quarter hours for a month."""

Tell = Callable[[str, ShadowWindow], None]
"""Writes a window down: its market, and what was earned."""
Pairings = tuple[tuple[Sequence[WindowResult], Sequence[WindowResult]], ...]
"""A shadow's whole windows, and those of the strategy that trades."""


class Shadow:
    """One strategy, its flow, and what it has not come to yet."""

    def __init__(self, name: str, settings: Settings, *, allow_cold: bool) -> None:
        """Build the flow; raises ``ModelError`` for a model that does not verify."""
        contender = Contender(name, settings.execution_style)
        # Account limits stop no shadow: nobody is there to look and resume it.
        own = contender.settings(settings).model_copy(update=LIFTED)
        self.name = name
        self.gatherer = WindowGatherer(name, "run", WINDOWS_KEPT)
        self._waiting: deque[FeedEvent | int] = deque()
        self._flow = build_flow(
            own,
            Mode.PAPER,
            NoJournal(),
            allow_cold=allow_cold,
            trading=paper_trading(own, Mode.PAPER, (self.gatherer,)),
            strategy=contender.build(own),
            narrated=False,
        )
        self.model_id = self._flow.strategy.model_id
        self.ended = ""
        """Why it was ended; empty while it takes part."""

    @property
    def waits(self) -> bool:
        """Return whether there is something it has not come to."""
        return bool(self._waiting)

    def hear(self, item: FeedEvent | int) -> None:
        """Take in an event, or a moment that has come, for later."""
        waiting = self._waiting
        if isinstance(item, int) and waiting and isinstance(waiting[-1], int):
            waiting[-1] = item  # only the latest moment matters
            return
        waiting.append(item)
        if len(waiting) > QUEUE_MAXIMUM:
            self.end(f"was more than {QUEUE_MAXIMUM} events behind")

    def step(self) -> tuple[WindowResult, ...]:
        """Deal with the next event; return the windows it resolved."""
        item = self._waiting.popleft()
        if isinstance(item, int):
            self._flow.engine.advance(item)
            # The books it doubts are asked for by the engine's own board.
            self._flow.board.drain_suspects()
            return ()
        self._flow.engine.on_event(item)
        return self.gatherer.take_resolved()

    def end(self, why: str) -> None:
        """Take part no more."""
        self.ended = why
        self._waiting.clear()


class Shadows:
    """All shadows of a run, and the strategy that trades as they see it."""

    def __init__(
        self,
        settings: Settings,
        tell: Tell,
        *,
        allow_cold: bool,
        build: Callable[..., Shadow] = Shadow,
    ) -> None:
        """Build them; raises ``ModelError`` for a model that does not verify."""
        self._log: Log = logger(Tag.HEALTH)
        self._tell = tell
        self._shadows = [build(name, settings, allow_cold=allow_cold) for name in settings.shadow]
        self._heard = asyncio.Event()
        self.champion = WindowGatherer(CHAMPION, "run", WINDOWS_KEPT)

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row of the strategy that trades."""
        return (self.champion,) if self._shadows else ()

    @property
    def alive(self) -> tuple[Shadow, ...]:
        """Return those that take part."""
        return tuple(shadow for shadow in self._shadows if not shadow.ended)

    def hear(self, item: FeedEvent | int) -> None:
        """Take in what the engine has dealt with: an event, or a moment that has come.

        What an operator asks for is for the strategy that trades alone.
        """
        if not self._shadows or isinstance(item, OperatorRequest):
            return
        for shadow in self._shadows:
            if not shadow.ended:
                shadow.hear(item)
                if shadow.ended:
                    self._say_ended(shadow, None)
        self._heard.set()

    async def run(self) -> None:
        """Let the shadows follow, one event at a time, until cancelled."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            for _ in self._steps():
                await asyncio.sleep(0)

    def catch_up(self) -> None:
        """Let the shadows deal with everything they have heard, now."""
        for _ in self._steps():
            pass

    def duels(self) -> tuple[Duel, ...]:
        """Return each shadow beside the strategy that trades, on the whole windows of both."""
        found = (duel(theirs, ours) for theirs, ours in self.pairings())
        return tuple(one for one in found if one is not None)

    def pairings(self) -> Pairings:
        """Return for each shadow its whole windows so far, and those of the one that trades."""
        ours = self.champion.gathered().results
        return tuple((shadow.gatherer.gathered().results, ours) for shadow in self._shadows)

    def endings(self) -> tuple[tuple[str, str], ...]:
        """Return name and reason of those that were ended."""
        return tuple((shadow.name, shadow.ended) for shadow in self._shadows if shadow.ended)

    def _steps(self) -> Iterator[None]:
        while waiting := [shadow for shadow in self.alive if shadow.waits]:
            for shadow in waiting:
                self._step(shadow)
                yield

    def _step(self, shadow: Shadow) -> None:
        if shadow.ended or not shadow.waits:
            return  # ended meanwhile, or somebody else let it catch up
        try:
            resolved = shadow.step()
        except Exception as error:  # noqa: BLE001  # the boundary of a shadow: no error passes it
            shadow.end(f"failed: {type(error).__name__}: {error}")
            self._say_ended(shadow, error)
            return
        for window in resolved:
            self._tell(window.market, _row(shadow, window))

    def _say_ended(self, shadow: Shadow, error: Exception | None) -> None:
        self._log.error("shadow_ended", shadow=shadow.name, why=shadow.ended, exc_info=error)


def _row(shadow: Shadow, window: WindowResult) -> ShadowWindow:
    return ShadowWindow(
        shadow=shadow.name,
        model_id=shadow.model_id,
        asset=window.asset,
        opens_ns=window.opens_ns,
        closes_ns=window.closes_ns,
        pnl_micros=window.pnl_micros,
        fees_micros=window.fees_micros,
        cost_micros=window.cost_micros,
        trips=window.trips,
        wins=window.wins,
        up_won=window.up_won,
    )
