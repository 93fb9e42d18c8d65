"""Runs evaluations beside each other, one process each, and says how far they are.

Must not: evaluate anything itself.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final, NamedTuple

from helpers.commands.children import (
    deaf_to_interrupts,
    ended_with_the_owner,
    leave_with_the_owner,
)
from helpers.commands.contenders import Contender
from helpers.commands.evaluating import EvaluationSettings, evaluate_tape
from helpers.commands.progress_bar import ProgressBar
from helpers.evaluation.windows import Gathered, WindowResult
from helpers.settings import Settings

PROCESSES_MAXIMUM: Final = 64


class EvaluationLostError(Exception):
    """A process ended before it answered; the text says what to do."""


class Task(NamedTuple):
    """One tape, or one simulated world, and who takes part."""

    tape: Path | None
    seed: int
    """Of the world, where there is no tape."""
    rounds: int
    named: tuple[tuple[str, Contender], ...]
    settings: Settings
    options: EvaluationSettings


class Outcome(NamedTuple):
    """What all tasks came to, in the order of the tasks."""

    results: tuple[WindowResult, ...]
    late: int
    """Windows not seen from their opening, as one contender counts them."""
    unresolved: int


def run_task(task: Task) -> tuple[Gathered, ...]:
    """Run one task in this process; raises what the evaluation of a tape or a world raises."""
    if task.tape is not None:
        return evaluate_tape(task.tape, task.named, task.settings, task.options)
    from simulator.evaluation import evaluate_simulated

    return evaluate_simulated(task.seed, task.rounds, task.named, task.settings, task.options)


def run_tasks(tasks: Sequence[Task], processes: int) -> Outcome:
    """Run every task, at most ``processes`` at once; 1 runs them in this process.

    Raises what the first task that failed raised, the others are given up, and
    ``EvaluationLostError`` when a process ended before it answered.
    """
    if not 1 <= processes <= PROCESSES_MAXIMUM:
        raise ValueError(f"processes were {processes}, expected 1 to {PROCESSES_MAXIMUM}")
    done: list[tuple[int, tuple[Gathered, ...]]] = []
    with ProgressBar(len(tasks), "runs") as progress:
        for place, found in _completed(tasks, min(processes, len(tasks))):
            done.append((place, found))
            progress.show(len(done))
    done.sort(key=lambda item: item[0])
    gathered = [found for _, found in done]
    return Outcome(
        tuple(row for found in gathered for one in found for row in one.results),
        sum(found[0].late for found in gathered),
        sum(max(one.unresolved for one in found) for found in gathered),
    )


def default_processes() -> int:
    """Return how many processes this machine runs at once."""
    return min(os.cpu_count() or 1, PROCESSES_MAXIMUM)


def _completed(tasks: Sequence[Task], processes: int) -> Iterator[tuple[int, tuple[Gathered, ...]]]:
    if processes == 1:
        for place, task in enumerate(tasks):
            yield place, run_task(task)
        return
    try:
        yield from _in_processes(tasks, processes)
    except BrokenProcessPool as error:
        raise EvaluationLostError(
            "a process ended before it answered, killed or out of memory; try again with fewer "
            "--processes"
        ) from error


def _in_processes(
    tasks: Sequence[Task], processes: int
) -> Iterator[tuple[int, tuple[Gathered, ...]]]:
    # Spawned, not forked: a fork would take MLX's threads over in the middle of something.
    context = multiprocessing.get_context("spawn")
    pool_of = ProcessPoolExecutor(processes, mp_context=context, initializer=leave_with_the_owner)
    with pool_of as pool, ended_with_the_owner():
        with deaf_to_interrupts():
            futures: dict[Future[tuple[Gathered, ...]], int] = {
                pool.submit(run_task, task): place for place, task in enumerate(tasks)
            }
        for future in as_completed(futures):
            yield futures[future], future.result()
