"""`TRAIN=true`: the policy learns from what the worker trades on paper, while it trades.

It samples its actions, as PPO must; every 256 choices whose outcome is known make one update, in a
thread, and the better weights decide from the next grid step on. What was learned is saved with its
optimizer now and then and at the end, the model before it kept as any that is replaced. A model
that an operator promotes or rolls back to is what is learned from next. Never with real money
(``helpers.settings_rules``). Must not: hold the flow up, or end it.
"""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Callable
from typing import Final

import numpy as np

from helpers.clock import Clock, monotonic_seconds
from helpers.commands.composition import learning_terms
from helpers.domain import NS_PER_SECOND, ModelChanged
from helpers.logs import Tag, logger
from helpers.settings import Settings
from helpers.stages import Outlet
from helpers.training.collector import Books, Collector, Experience
from helpers.training.keeping import REWARD, UPDATES
from helpers.training.telling import log_update
from helpers.training.trainer import Learned, Progress, Trainer, TrainingError
from strategies.base import ModelError
from strategies.model_files import read_files
from strategies.models import FRESH_STATISTICS, Model, ModelManifest, build_model
from strategies.ppo_settings import PpoSettings
from strategies.registry import load, load_optimizer, save
from strategies.rl_mlx import RLStrategy, choose_device
from strategies.smoke import try_model

POLL_SECONDS: Final = 1.0
"""Between two looks whether there is enough to learn from."""
SAVE_UPDATES: Final = 20
"""Updates between two saves: an hour or so of four markets, and as much is lost by a crash."""
ACTING: Final = "parameters."
NOTE: Final = "learned on paper by a worker with TRAIN=true"
DATA: Final = "paper trading"

Change = Callable[[ModelChanged, Model], None]
"""Lets another model decide, between two decisions, and writes the row."""
Expect = Callable[[str], None]
"""Told the id of the model that is about to be saved: no news to whoever watches the files."""


class OnlineLearning:
    """A companion of a paper flow: owner of its policy, its rollouts and its learner."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Load the model in use and its optimizer, if it has one; ``attach`` comes next.

        Raises ``ModelError`` for files that do not verify, or another network's optimizer.
        """
        self._settings = settings
        self._clock = clock
        self._change: Change | None = None
        self._expect: Expect | None = None
        self._learner_lock = threading.Lock()
        self._log = logger(Tag.RL)
        self._collector = Collector(learning_terms(settings))
        model = load(settings.model_directory)
        try_model(model, str(settings.model_directory))
        self._begin(model)
        state = load_optimizer(settings.model_directory)
        if state is not None:
            # Where the training stood that made it is not what acts here: the model is its mean.
            own = {name: value for name, value in state.items() if not name.startswith(ACTING)}
            self._trainer.restore(own)
        self.strategy = RLStrategy(
            model,
            np.random.default_rng(settings.random_seed),
            choose_device(model, monotonic_seconds),
            settings.learn_interval_seconds,
            self._collector.record,
        )
        self._unsaved_updates = 0
        self.latest: Learned | None = None
        """The last update, for who shows it."""

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row."""
        return (self._collector,)

    def attach(
        self, books: Books, entries_held: Callable[[], str], change: Change, expect: Expect
    ) -> None:
        """Take the flow's ledger, which says what choices were worth, and who exchanges models."""
        self._collector.attach(books, entries_held)
        self._change, self._expect = change, expect

    def adopt(self, model: Model) -> None:
        """Go on from a model somebody else put in place; what its predecessor did is forgotten."""
        self._collector.take()
        self._begin(model)
        self._unsaved_updates = 0

    async def run(self) -> None:
        """Learn whenever there is enough, until cancelled or until nothing is learned any more."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if len(self._collector) < self._trainer.settings.batch_size:
                continue
            try:
                await self._update(self._collector.take())
            except TrainingError as error:
                self._end(str(error), None)
                return
            except Exception as error:  # noqa: BLE001  # the boundary of learning: trading goes on
                self._end(f"failed: {type(error).__name__}: {error}", error)
                return
            if self._unsaved_updates >= SAVE_UPDATES:
                await self._save()

    def close(self) -> None:
        """Save what was learned since the last time; at the end of a run, which may wait."""
        if not self._unsaved_updates:
            return
        try:
            self._write(self._trainer)
        except (OSError, ModelError) as error:
            self._log.error("model_not_saved", why=str(error), updates_lost=self._unsaved_updates)

    def _end(self, why: str, error: Exception | None) -> None:
        """Learn no more: the last model that was kept decides on, by its likeliest action."""
        self._log.error("learning_ended", why=why, model=self.strategy.model_id, exc_info=error)
        self.strategy.choose_greedily()

    async def _update(self, experience: Experience) -> None:
        trainer, began = self._trainer, monotonic_seconds()
        learned, model = await asyncio.to_thread(self._learn, trainer, experience)
        if trainer is not self._trainer:
            return  # somebody put another model in place meanwhile: this one's child is not wanted
        self.latest = learned
        log_update(self._log, learned, monotonic_seconds() - began)
        if model is None:
            return
        self._unsaved_updates += 1
        report, own = learned.report, model.manifest.model_id
        why = (
            f"update {learned.progress.updates}: entropy {report.entropy_nats:.3f} nats, KL "
            f"{report.kl:.4f}, explained variance {report.explained_variance:.2f}"
        )
        assert self._change is not None, "attach comes before the run"
        self._change(ModelChanged("learned", own, self.strategy.model_id, own, why), model)

    def _learn(self, trainer: Trainer, experience: Experience) -> tuple[Learned, Model | None]:
        """Make one update, in a thread; return the model it made, if it was kept."""
        with self._learner_lock:
            learned = trainer.learn(experience)
            return learned, None if learned.report.problem else self._model(trainer)

    async def _save(self) -> None:
        try:
            model_id = await asyncio.to_thread(self._write, self._trainer)
        except (OSError, ModelError) as error:
            self._log.error("model_not_saved", why=str(error), next="tried again after an update")
            return
        self._log.info("model_saved", model=model_id, updates=self._unsaved_updates)
        self._unsaved_updates = 0

    def _write(self, trainer: Trainer) -> str:
        """Save a model with its optimizer and return its id; blocks, and may be in a thread.

        Raises ``ModelError`` where another model lies than this run knows of: an operator's, which
        is about to be noticed.
        """
        settings = self._settings
        # A run that was cancelled in an update waits here for its end, a fifth of a second.
        with self._learner_lock:
            model, optimizer = self._model(trainer), trainer.state()
        found = read_files(settings.model_directory).manifest.model_id
        if found != self._on_disk:
            raise ModelError(
                f"{settings.model_directory} holds {found}, expected {self._on_disk}: somebody has "
                "put it there, and it is not overwritten"
            )
        assert self._expect is not None, "attach comes before the run"
        self._expect(model.manifest.model_id)
        places = settings.model_directory, settings.model_backup_directory
        self._on_disk = save(model, *places, self._clock.now_ns(), optimizer).model_id
        return self._on_disk

    def _begin(self, model: Model) -> None:
        """Learn from here on from this model, with a fresh optimizer."""
        self._parent: ModelManifest = model.manifest
        self._on_disk = model.manifest.model_id
        if not model.manifest.optimizer_sha256:
            # Nobody went on learning from it here: its rewards may be in other units (Phase 5).
            model = model._replace(statistics=FRESH_STATISTICS)
        progress = Progress(steps=model.manifest.trained_steps)
        self._trainer = Trainer(model, PpoSettings(), self._settings.random_seed, progress)

    def _model(self, trainer: Trainer) -> Model:
        progress, parent = trainer.progress, self._parent
        moment = datetime.datetime.fromtimestamp(self._clock.now_ns() / NS_PER_SECOND, datetime.UTC)
        return build_model(
            trainer.networks(),
            trainer.shape,
            trainer.statistics(),
            created=moment.date().isoformat(),
            trained_steps=progress.steps,
            note=NOTE,
            parent=parent.model_id,
            data=DATA,
            seed=self._settings.random_seed,
            metrics={UPDATES: progress.updates, REWARD: progress.reward},
            feature_version=parent.feature_version,
        )
