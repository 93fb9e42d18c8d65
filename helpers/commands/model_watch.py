"""Notices that the model's files changed, and tells what becomes of it; the run goes on meanwhile.

A look is a few stats on the loop. Files that have been still for three looks, and that nobody is
changing, are read, verified and tried in a thread; whoever owns the run then exchanges the weights
between two decisions. Anything that does not verify is refused once, and the running model stays.
Must not: change a file, or touch the strategy outside of the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from db.control_state import fitting
from helpers.domain import ModelChanged
from strategies.base import LearnedStrategy, ModelError
from strategies.model_backups import replaced_before
from strategies.model_files import FILES, ModelFiles, is_changing, read_files
from strategies.models import MODEL_ID_DIGITS, Model, ModelManifest, verify_model

STILL_LOOKS: Final = 3
"""Files somebody copies by hand come one after another; ours are held by a lock meanwhile."""
SAME_MODEL: Final = "the files of the running model were written again"

FileState = tuple[tuple[int, int, int] | int, ...]
"""Inode, bytes and moment of change of each file, or the number of the error of looking."""


Tell = Callable[[ModelChanged, Model | None], None]


class ModelWatch:
    """Follows the files of one strategy's model."""

    def __init__(self, strategy: LearnedStrategy, directory: Path, backups: Path) -> None:
        self._strategy = strategy
        self._directory = directory
        self._backups = backups
        self._paths = tuple(str(directory / name) for name in FILES)
        self._seen: FileState = ()
        self._judged: FileState = ()
        self._still = 0
        self._expected = ""

    def expect(self, model_id: str) -> None:
        """Tell nothing of this model's files, until others were there: the run saves its own."""
        self._expected = model_id

    async def run(self, tell: Tell, poll_seconds: float) -> None:
        """Look until cancelled; ``tell`` is called on the loop, with the model to adopt if any."""
        while True:
            if self.look():
                await self.judge_and_tell(tell)
            await asyncio.sleep(poll_seconds)

    def look(self) -> bool:
        """Look once; return whether there are files to judge that have come to rest."""
        state = self._state()
        if state != self._seen:
            self._seen, self._still = state, 0
        if state == self._judged:
            return False
        self._still += 1
        return self._still >= STILL_LOOKS and not is_changing(self._directory)

    async def judge_and_tell(self, tell: Tell) -> None:
        """Judge what was looked at last in a thread; tell, unless it changed meanwhile."""
        state, first = self._seen, not self._judged
        changed, model = await asyncio.to_thread(self.judge)
        if self._state() != state:
            return  # what was read may be half of a change: the next looks will tell
        self._judged = state
        if first and changed.change != "refused" and changed.model_id == changed.replaces:
            return  # a start that found what it runs
        if changed.change != "refused" and changed.offered == self._expected:
            return
        self._expected = ""
        tell(changed, model)

    def judge(self) -> tuple[ModelChanged, Model | None]:
        """Read, verify and try the files; return what came of it, and the model to adopt.

        Blocks, and may be called from a thread.
        """
        running, offered = self._strategy.manifest, ""
        try:
            files = read_files(self._directory)
            offered = files.manifest.model_id
            model = _usable(files, running)
            former = replaced_before(running, self._backups)
        except (ModelError, OSError) as error:
            offered = fitting(offered)[:MODEL_ID_DIGITS]
            same = running.model_id
            return ModelChanged("refused", same, same, offered, fitting(str(error))), None
        same = offered == running.model_id
        change = "rolled_back" if same or offered in former else "promoted"
        why = SAME_MODEL if same else fitting(files.manifest.note)
        return ModelChanged(change, offered, running.model_id, offered, why), model

    def _state(self) -> FileState:
        return tuple(map(_state_of, self._paths))


def _usable(files: ModelFiles, running: ModelManifest) -> Model:
    """Return the model of files that may decide in this run; raises ``ModelError``."""
    # Not before it is needed: a baseline starts without MLX.
    from strategies.smoke import try_model

    found, name = files.manifest, str(files.place)
    if found.feature_version != running.feature_version:
        raise ModelError(
            f"{name}: feature version was {found.feature_version!r}, expected "
            f"{running.feature_version!r}, which this run computes; restart the worker to use it"
        )
    model = verify_model(files.weights, files.statistics, found, name)
    try_model(model, name)
    return model


def _state_of(path: str) -> tuple[int, int, int] | int:
    try:
        found = os.stat(path)  # noqa: PTH116 - half the price of Path.stat, thirty a second
    except OSError as error:
        return error.errno or -1  # a state like any other: judging it says what is wrong
    return found.st_ino, found.st_size, found.st_mtime_ns
