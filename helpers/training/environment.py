"""A learning policy at work: one run after another, and what it chose in them, batch by batch.

A run is a flow with its feed, simulated or from a tape; the flow is the one that trades, so an
action means the same here as live. Must not: learn, or know where events come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np

from helpers.training.collector import Books, Collector, Experience, Terms
from strategies.base import Strategy
from strategies.models import Model
from strategies.rl_mlx import RLStrategy

ENVIRONMENTS_MAXIMUM: Final = 64
"""Side by side in one training, a process each."""


class Run(Protocol):
    """A flow that trades until its feed ends."""

    @property
    def books(self) -> Books:
        """Return the flow's ledger."""
        ...

    def step(self) -> bool:
        """Let some time pass; say whether there is more to come."""
        ...


RunMaker: TypeAlias = Callable[[int, Strategy, Collector], Run]
"""Makes the run of a number, counted from 1: by which policy, and who hears the flow's rows."""


class TrainingEnvironment:
    """One policy that samples its actions, and the runs in which it trades on paper."""

    def __init__(
        self,
        model: Model,
        seed: Sequence[int],
        make_run: RunMaker,
        *,
        terms: Terms,
        learn_interval_seconds: float,
        runs_before: int = 0,
    ) -> None:
        """Begin the first run after ``runs_before``; ``seed`` fixes what is sampled.

        Raises what ``make_run`` raises.
        """
        self._make_run = make_run
        self._terms = terms
        self._learn_interval_seconds = learn_interval_seconds
        self._model = model
        self._random = np.random.default_rng(seed)
        self._runs = runs_before
        self._begin_run()

    def adopt(self, model: Model) -> None:
        """Choose by another model from the next decision point on."""
        self._model = model
        self._policy.adopt(model)

    def collect(self, transitions: int) -> Experience:
        """Trade until so many choices have their outcome; return them, some more at most.

        A trajectory goes on across calls; where a run ends, those that were not settled are cut.
        """
        found = Experience()
        count = 0
        while count + len(self._collector) < transitions:
            if not self._run.step():
                found += self._take()
                count = sum(len(one.transitions) for one in found.trajectories)
                self._begin_run()
        return found + self._take()

    def _begin_run(self) -> None:
        """Begin anew with empty memories: the markets of two runs may have the same names."""
        self._runs += 1
        self._collector = Collector(self._terms)
        self._policy = RLStrategy(
            self._model,
            self._random,
            learn_interval_seconds=self._learn_interval_seconds,
            recorder=self._collector.record,
        )
        self._run = self._make_run(self._runs, self._policy, self._collector)
        self._collector.attach(self._run.books)

    def _take(self) -> Experience:
        taken = self._collector.take()
        named = [one._replace(market=f"{self._runs}/{one.market}") for one in taken.trajectories]
        return taken._replace(trajectories=named)
