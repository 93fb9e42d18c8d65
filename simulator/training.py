"""What a policy can be trained in: worlds of the calibrated market, or tapes, run after run.

Each run is a feed with some flows on it, as an evaluation plays it to several strategies. Must not:
learn, or show the policy more than a worker sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from helpers.commands.composition import learning_terms
from helpers.commands.contenders import Contender
from helpers.commands.evaluating import EvaluationSettings, Field, TapeRun
from helpers.domain import FEATURE_VERSION
from helpers.ledger import Ledger
from helpers.settings import Settings
from helpers.stages import Outlet
from helpers.training.collector import Collector
from helpers.training.environment import Run, RunMaker, TrainingEnvironment
from simulator.evaluation import SimulatedRun
from simulator.world_settings import WorldSettings
from strategies.base import Strategy
from strategies.models import Model

ROUNDS: Final = 16
"""Windows of the longest length in one world, four hours of quarter hours: then comes another."""
WORLDS_AN_ENVIRONMENT: Final = 100_000
"""Seeds of worlds that belong to one environment."""
NAME: Final = "rl"


class Ground(NamedTuple):
    """Where is trained: on tapes, or in worlds where there are none."""

    settings: Settings
    feature_version: str = FEATURE_VERSION
    tapes: Sequence[Path] = ()
    world_settings: WorldSettings | None = None
    rounds: int = ROUNDS


class FieldRun(NamedTuple):
    """An evaluation of equal contenders as a training run."""

    played: SimulatedRun | TapeRun

    @property
    def field(self) -> Field:
        """Return what the events are given to."""
        return self.played.field

    @property
    def books(self) -> Sequence[Ledger]:
        """Return each flow's ledger."""
        return [flow.ledger for flow in self.field.flows]

    def step(self) -> bool:
        """Let some time pass; say whether there is more to come."""
        return self.played.step()


def make_environment(
    ground: Ground, seed: int, model: Model, runs_before: int = 0
) -> TrainingEnvironment:
    """Return an environment; the same seed and models give the same trajectories.

    One that goes on where another stopped begins after ``runs_before`` runs, with the next world.
    Raises as ``SimulatedRun`` and ``TapeRun``.
    """
    settings = ground.settings
    return TrainingEnvironment(
        model,
        (seed, runs_before),
        make_run_maker(ground, seed),
        terms=learning_terms(settings),
        learn_interval_seconds=settings.learn_interval_seconds,
        runs_before=runs_before,
    )


def make_run_maker(ground: Ground, seed: int) -> RunMaker:
    """Return what makes the runs of an environment, one number after the other."""
    return _on_tapes(ground, seed) if ground.tapes else _in_worlds(ground, seed)


def _in_worlds(ground: Ground, seed: int) -> RunMaker:
    def make_run(number: int, policies: Sequence[Strategy], hear: Sequence[Collector]) -> Run:
        run = SimulatedRun(
            seed * WORLDS_AN_ENVIRONMENT + number,
            ground.rounds,
            _named(ground, policies),
            ground.settings,
            EvaluationSettings(),
            world_settings=ground.world_settings,
            listeners=_listeners(hear),
            build=_build(policies),
        )
        run.begin()
        return FieldRun(run)

    return make_run


def _on_tapes(ground: Ground, seed: int) -> RunMaker:
    def make_run(number: int, policies: Sequence[Strategy], hear: Sequence[Collector]) -> Run:
        # Environments begin with different tapes, and each comes to all of them in turn.
        tape = ground.tapes[(seed + number) % len(ground.tapes)]
        return FieldRun(
            TapeRun(
                tape,
                _named(ground, policies),
                ground.settings,
                EvaluationSettings(),
                listeners=_listeners(hear),
                build=_build(policies),
            )
        )

    return make_run


def _named(ground: Ground, policies: Sequence[Strategy]) -> Sequence[tuple[str, Contender]]:
    """Return contenders that differ by their number alone, their name."""
    contender = Contender(NAME, ground.settings.execution_style)
    return [(str(number), contender) for number in range(len(policies))]


def _build(policies: Sequence[Strategy]) -> Callable[[Contender, Settings], Strategy]:
    """Return what gives each flow its policy; flows are built in the order of their names."""
    left = iter(policies)
    return lambda _contender, _settings: next(left)


def _listeners(hear: Sequence[Collector]) -> Callable[[str], Sequence[Outlet]]:
    return lambda name: (hear[int(name)],)
