"""Cost of a PPO update against the plain eager loop, and what the event loop feels of it.

``uv run python -m benchmarks.ppo`` prints medians and ratios and exits 1 over budget. Both learn
from the same batch in the same minibatches, take turns, and end with the same parameters; the batch
holds what the packed forward said when it acted, one decision at a time.

Must not: trade, read files or the network.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from benchmarks.plain_ppo import PlainLearner, acted_batch
from helpers.clock import monotonic_seconds
from strategies.batch import Batch
from strategies.networks import (
    ActorCritic,
    Architecture,
    build_networks,
    network_parameters,
    orthogonal_parameters,
)
from strategies.ppo import Learner, minibatch_order
from strategies.ppo_settings import PpoSettings

BUDGET_RATIO: Final = 0.5
"""DESIGN section 7: an update within half the plain eager loop's time."""
BUDGET_LAG_MS: Final = 5.0
"""p99 of the event loop's lag while an update runs in a thread."""
PARAMETER_TOLERANCE: Final = 1e-4
RATIO_TOLERANCE: Final = 1e-6
SEED: Final = 7
ROUNDS: Final = 15
UPDATES_BESIDE_THE_LOOP: Final = 15
LOOP_SLEEP_SECONDS: Final = 0.001
SHAPE: Final = Architecture()
SETTINGS: Final = PpoSettings(target_kl=10.0)
"""The product's, but that no KL ends an update early: all 40 steps are measured."""


def _networks() -> ActorCritic:
    return build_networks(SHAPE, orthogonal_parameters(SHAPE, SEED))


def _same_parameters(batch: Batch) -> float:
    """Return how far the two loops' parameters are apart after an update, at most."""
    learner, plain = Learner(SHAPE, _networks(), SETTINGS, SEED), _networks()
    learner.update(batch)
    order = minibatch_order(len(batch.actions), SETTINGS, SEED, 1)
    PlainLearner(plain, SHAPE.features, SETTINGS).update(batch, order)
    found, expected = learner.parameters(), network_parameters(plain)
    return max(float(np.abs(found[name] - expected[name]).max()) for name in expected)


def _taken(run: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor milliseconds of a call."""
    started, used = monotonic_seconds(), time.process_time()
    run()
    return (monotonic_seconds() - started) * 1e3, (time.process_time() - used) * 1e3


def _update_ratio(batch: Batch) -> float:
    learner = Learner(SHAPE, _networks(), SETTINGS, SEED)
    plain = PlainLearner(_networks(), SHAPE.features, SETTINGS)
    order = minibatch_order(len(batch.actions), SETTINGS, SEED, 1)
    measured: dict[str, Callable[[], object]] = {
        "plain eager loop, a sync per minibatch": lambda: plain.update(batch, order),
        "learner": lambda: learner.update(batch),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for _ in range(ROUNDS + 1):
        for name, run in measured.items():
            taken[name].append(_taken(run))
    medians = [
        tuple(statistics.median(column) for column in zip(*times[1:], strict=True))
        for times in taken.values()
    ]
    for name, (wall, processor) in zip(measured, medians, strict=True):
        print(f"{name:<42} {wall:8.1f} ms {processor:8.1f} ms of processor")
    ratio = medians[1][0] / medians[0][0]
    print(f"{'processor time':<42} {medians[1][1] / medians[0][1]:8.2f} x")
    return ratio


async def _lags_ms(beside: Callable[[], None] | None) -> list[float]:
    """Return how late a loop that sleeps a millisecond wakes, while a thread works or none does."""
    lags: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            due = monotonic_seconds() + LOOP_SLEEP_SECONDS
            await asyncio.sleep(LOOP_SLEEP_SECONDS)
            lags.append((monotonic_seconds() - due) * 1e3)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        for _ in range(UPDATES_BESIDE_THE_LOOP):
            await (asyncio.sleep(0.2) if beside is None else asyncio.to_thread(beside))
        done.set()
    return lags


def _lag_p99_ms(batch: Batch) -> tuple[float, float]:
    """Return the loop's p99 lag without an update and beside one."""
    learner = Learner(SHAPE, _networks(), SETTINGS, SEED)

    def update() -> None:
        assert not learner.update(batch).problem

    update()
    found: list[float] = []
    for name, beside in (("idle", None), ("update in a thread", update)):
        lags = asyncio.run(_lags_ms(beside))
        p50, p99 = np.percentile(lags, [50, 99]).tolist()
        print(f"{'loop lag, ' + name:<42} p50 {p50:.2f}, p99 {p99:.2f}, most {max(lags):.2f} ms")
        found.append(p99)
    return found[0], found[1]


def main(arguments: Sequence[str]) -> int:
    """Print the rows and return 0 within all budgets, 1 over one; takes no arguments (else 2)."""
    if arguments:
        print(f"arguments were {list(arguments)}, expected none")
        return 2
    batch = acted_batch(_networks(), SHAPE, SETTINGS.batch_size, SEED)
    ratios = Learner(SHAPE, _networks(), SETTINGS, SEED).ratios(batch)
    ratio_error = float(np.abs(ratios - 1.0).max())
    idle_ms, beside_ms = _lag_p99_ms(batch)
    rows = (
        ("update / plain eager loop", _update_ratio(batch), BUDGET_RATIO, ".2f"),
        ("parameters apart after an update", _same_parameters(batch), PARAMETER_TOLERANCE, ".1e"),
        ("|ratio - 1| before the first step", ratio_error, RATIO_TOLERANCE, ".1e"),
        ("loop lag p99, ms", beside_ms, BUDGET_LAG_MS, ".2f"),
    )
    for name, found, budget, style in rows:
        verdict = "ok" if found <= budget else "over"
        print(f"{'budget: ' + name:<42} {found:8{style}} of {budget:{style}}  {verdict}")
    if idle_ms > BUDGET_LAG_MS:
        print("the loop was late without an update, too: this machine is too busy to judge its lag")
    return 0 if all(found <= budget for _, found, budget, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
