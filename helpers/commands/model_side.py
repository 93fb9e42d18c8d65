"""What a running worker's model is: followed on the disk, and learned on where `TRAIN=true`.

Must not: decide when a model is exchanged (``change`` does, between two decisions).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.clock import Clock
from helpers.commands.composition import Flow
from helpers.commands.model_watch import ModelWatch
from helpers.domain import ModelChanged
from helpers.settings import Settings
from helpers.stages import Outlet
from strategies.base import LearnedStrategy, Strategy
from strategies.models import Model

if TYPE_CHECKING:
    from helpers.commands.online_learning import OnlineLearning

Change = Callable[[ModelChanged, Model | None], None]
"""Lets another model decide from now on, or none, and writes the row."""


class ModelSide:
    """The companion that owns the watch over the model's files, and the learner if there is one."""

    def __init__(self, settings: Settings, clock: Clock, poll_seconds: float) -> None:
        """Raises ``ModelError`` for a model that cannot be learned on; ``attach`` comes next."""
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._watch: ModelWatch | None = None
        self._strategy: LearnedStrategy | None = None
        self._change: Change | None = None
        self.learning: OnlineLearning | None = None
        if settings.train:
            # Not before it is needed: a baseline starts without MLX.
            from helpers.commands.online_learning import OnlineLearning

            self.learning = OnlineLearning(settings, clock)

    @property
    def strategy(self) -> Strategy | None:
        """Return the policy that learns, ``None`` where the settings' takes part as it is."""
        return None if self.learning is None else self.learning.strategy

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row."""
        return () if self.learning is None else self.learning.listeners

    def attach(self, flow: Flow, change: Change) -> None:
        """Take the flow that decides by the model; a baseline has no files to follow."""
        if not isinstance(strategy := flow.strategy, LearnedStrategy):
            return
        settings = self._settings
        places = settings.model_directory, settings.model_backup_directory
        self._strategy, self._change = strategy, change
        self._watch = ModelWatch(strategy, *places)
        if self.learning is not None:
            halts = flow.engine.halts
            self.learning.attach(flow.ledger, lambda: halts.reason, change, self._watch.expect)

    def adopt(self, changed: ModelChanged, model: Model) -> None:
        """Let a model decide from now on; one that was not learned here is what is learned on."""
        assert self._strategy is not None, "attach comes before the first change"
        self._strategy.adopt(model)
        if self.learning is not None and changed.change != "learned":
            self.learning.adopt(model)

    async def run(self) -> None:
        """Follow the files and learn, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch())
            if self.learning is not None:
                tasks.create_task(self.learning.run())

    async def watch(self) -> None:
        """Follow the model's files until cancelled."""
        # A task of its own: a slow disk under the models must keep no halt waiting.
        if self._watch is not None and self._change is not None:
            await self._watch.run(self._change, self._poll_seconds)

    def close(self) -> None:
        """Save what was learned; the run is over."""
        if self.learning is not None:
            self.learning.close()
