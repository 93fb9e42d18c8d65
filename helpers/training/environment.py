"""A learning policy at work: one run after another, and what it chose in them, batch by batch.

A run is a flow with its feed, simulated or from a tape; the flow is the one that trades, so an
action means the same here as live. Must not: learn, or know where events come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np

from helpers.training.collector import Books, Collector, Experience
from helpers.training.terms import Terms
from strategies.base import Strategy
from strategies.models import Model
from strategies.rl_mlx import RLStrategy

ENVIRONMENTS_MAXIMUM: Final = 64
"""Side by side in one training, a process each."""
ACTORS: Final = 4
"""Flows on the same feed: four learn from twice as much in the same time as one, because what a
feed costs, simulated venues above all, is paid once. They draw their actions apart, so that what
they did differently in the same moment is told from what the market did to them all."""


class Run(Protocol):
    """Flows on one feed that trade until it ends."""

    @property
    def books(self) -> Sequence[Books]:
        """Return each flow's ledger."""
        ...

    def step(self) -> bool:
        """Let some time pass; say whether there is more to come."""
        ...


RunMaker: TypeAlias = Callable[[int, Sequence[Strategy], Sequence[Collector]], Run]
"""Makes the run of a number, counted from 1: each flow's policy, and who hears its rows."""


class TrainingEnvironment:
    """One policy, actors that sample their actions by it, and the runs they trade in on paper."""

    def __init__(
        self,
        model: Model,
        seed: Sequence[int],
        make_run: RunMaker,
        *,
        terms: Terms,
        learn_interval_seconds: float,
        runs_before: int = 0,
        actors: int = ACTORS,
    ) -> None:
        """Begin the first run after ``runs_before``; ``seed`` fixes what is sampled.

        Raises what ``make_run`` raises.
        """
        self._make_run = make_run
        self._terms = terms
        self._learn_interval_seconds = learn_interval_seconds
        self._model = model
        self._randoms = np.random.default_rng(seed).spawn(actors)
        self._runs = runs_before
        self._begin_run()

    def adopt(self, model: Model) -> None:
        """Choose by another model from the next decision point on."""
        self._model = model
        for policy in self._policies:
            policy.adopt(model)

    def collect(self, transitions: int) -> Experience:
        """Trade until so many choices have their outcome; return them, some more at most.

        A trajectory goes on across calls; where a run ends, those that were not settled are cut.
        """
        found = Experience()
        count = 0
        while count + sum(map(len, self._collectors)) < transitions:
            if not self._run.step():
                found += self._take()
                count = sum(len(one.transitions) for one in found.trajectories)
                self._begin_run()
        return found + self._take()

    def _begin_run(self) -> None:
        """Begin anew with empty memories: the markets of two runs may have the same names."""
        self._runs += 1
        self._collectors = [Collector(self._terms) for _ in self._randoms]
        self._policies = [
            RLStrategy(
                self._model,
                random,
                learn_interval_seconds=self._learn_interval_seconds,
                recorder=collector.record,
            )
            for random, collector in zip(self._randoms, self._collectors, strict=True)
        ]
        self._run = self._make_run(self._runs, self._policies, self._collectors)
        for collector, books in zip(self._collectors, self._run.books, strict=True):
            collector.attach(books)

    def _take(self) -> Experience:
        found = Experience()
        for actor, collector in enumerate(self._collectors):
            taken = collector.take()
            place = f"{self._runs}/{actor}"
            named = [one._replace(market=f"{place}/{one.market}") for one in taken.trajectories]
            found += taken._replace(trajectories=named)
        return found
