"""Seeded runs of the whole worker, with every fault of DESIGN section 6, crashes and operators."""

from __future__ import annotations

import os
from collections.abc import Callable

from helpers.clock import system_seconds
from tests.chaos.worker import findings, run_until, summary
from tests.chaos.worker_plan import MINUTES
from tests.chaos.worker_run import play

MARKET_HOURS = 5.0
"""In the suite; ``.ci/run`` adds to it, and the README names the command for more."""
FIRST_SEED = 100
"""Its runs are live and on paper, are killed and stopped; other seeds are ``.ci/run``'s."""
KINDS_OF_FAULT = 10


def test_every_invariant_holds_after_runs_of_the_whole_worker_under_all_faults(
    record_property: Callable[[str, object], None],
) -> None:
    """Whatever goes wrong, DESIGN section 4 holds: orders, positions, restarts, halts, secrets."""
    began = system_seconds()
    runs = list(run_until(MARKET_HOURS, FIRST_SEED, MINUTES, os.cpu_count() or 1))
    figures = summary(runs, system_seconds() - began)
    record_property("figures", figures)
    assert not any(run.violations for run in runs), "\n".join(map(findings, runs))
    assert sum(run.market_hours for run in runs) >= MARKET_HOURS
    assert {run.live for run in runs} == {True, False}
    assert min(sum(run.entries for run in runs), sum(run.exits for run in runs)) > 50, "they trade"
    assert sum(run.killed for run in runs) >= 2, "they are killed"
    met = {kind for run in runs for kind in run.faults}
    assert len(met) >= KINDS_OF_FAULT, f"many kinds of fault are met, not only {sorted(met)}"


def test_a_seed_plays_the_same_run_again() -> None:
    """What a seed found once it finds again: every row, fill and fault."""
    first, _ = play(seed=FIRST_SEED, minutes=2.5)
    again, _ = play(seed=FIRST_SEED, minutes=2.5)
    assert first == again
    assert first.rows > 1_000
