"""Training environments beside each other, a process each: all trade by the same weights.

What they gather depends on seeds and weights alone, not on how fast a process is: every one brings
its share before anything is learned. Must not: learn.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple, Protocol

from helpers.clock import SimulatedClock
from helpers.commands.children import deaf_to_interrupts
from helpers.commands.evaluating import quiet_logs
from helpers.logs import Tag, logger
from helpers.training.collector import Experience
from helpers.training.environment import ENVIRONMENTS_MAXIMUM, TrainingEnvironment
from simulator.training import Ground, make_environment
from strategies.models import FRESH_STATISTICS, Model, build_model
from strategies.networks import Architecture, FloatArray, build_networks

ENVIRONMENTS_A_SEED: Final = 100
"""Seeds of environments that belong to one seed of a training."""
STOP_SECONDS: Final = 5.0

Weights = Mapping[str, FloatArray]


class _Pipe(Protocol):
    """One end of a pipe between two processes."""

    def send(self, obj: object, /) -> None: ...

    def recv(self) -> Any: ...

    def close(self) -> None: ...


class EnvironmentLostError(Exception):
    """A process of an environment ended before it was asked to; the text says what it said."""


class _Asked(NamedTuple):
    """What a process is asked: trade by these weights until so many outcomes are known."""

    weights: Weights
    transitions: int


class Environments:
    """The processes; ``collect`` asks all of them at once."""

    def __init__(self, pipes: Sequence[_Pipe]) -> None:
        self._pipes = pipes

    def collect(self, weights: Weights, transitions: int) -> Experience:
        """Return at least so many transitions, in the order of the environments.

        Raises ``EnvironmentLostError`` when a process is gone.
        """
        share = -(-transitions // len(self._pipes))
        found = Experience()
        try:
            for pipe in self._pipes:
                pipe.send(_Asked(weights, share))
            for number, pipe in enumerate(self._pipes):
                answer: Experience | str = pipe.recv()
                if isinstance(answer, str):
                    raise EnvironmentLostError(f"environment {number} failed: {answer}")
                # Markets of two environments may have the same name, and are not the same.
                named = [
                    one._replace(market=f"{number}/{one.market}") for one in answer.trajectories
                ]
                found += answer._replace(trajectories=named)
        except (EOFError, OSError) as error:
            raise EnvironmentLostError(f"a process of an environment is gone: {error!r}") from error
        return found


@contextmanager
def running_environments(
    count: int, seed: int, ground: Ground, runs_before: int = 0
) -> Generator[Environments]:
    """Yield that many environments of a seed; their processes end with the body.

    A training that goes on passes ``runs_before``, so that it does not see the same worlds again.

    Raises ``ValueError`` for a count out of bounds.
    """
    if not 1 <= count <= ENVIRONMENTS_MAXIMUM:
        raise ValueError(f"environments were {count}, expected 1 to {ENVIRONMENTS_MAXIMUM}")
    # Spawned, not forked: a fork would take MLX's threads over in the middle of something.
    context = multiprocessing.get_context("spawn")
    pipes: list[_Pipe] = []
    processes: list[BaseProcess] = []
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            own_seed = seed * ENVIRONMENTS_A_SEED + number
            process = context.Process(
                target=_serve, args=(theirs, own_seed, ground, runs_before), daemon=True
            )
            with deaf_to_interrupts():
                process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield Environments(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


def _serve(pipe: _Pipe, seed: int, ground: Ground, runs_before: int) -> None:
    """Answer until the other end is closed."""
    quiet_logs(SimulatedClock())
    environment: TrainingEnvironment | None = None
    while True:
        try:
            asked: _Asked = pipe.recv()
        except (EOFError, OSError):
            return  # nobody asks any more
        model = model_of(asked.weights, ground.feature_version)
        try:
            if environment is None:
                environment = make_environment(ground, seed, model, runs_before)
            else:
                environment.adopt(model)
            answer: Experience | str = environment.collect(asked.transitions)
        except Exception as error:  # noqa: BLE001  # a process boundary: told to who asked
            logger(Tag.RL).error("environment_failed", exc_info=error)
            answer = f"{type(error).__name__}: {error}"
        try:
            pipe.send(answer)
        except OSError:
            return  # nobody waits for it any more


def model_of(weights: Weights, feature_version: str) -> Model:
    """Return a model of bare weights, for as long as one batch."""
    shape = Architecture()
    return build_model(
        build_networks(shape, weights),
        shape,
        FRESH_STATISTICS,
        created="",
        trained_steps=0,
        note="being trained",
        feature_version=feature_version,
    )
