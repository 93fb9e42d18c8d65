"""Seeded runs of the live executor with every fault of DESIGN section 6, crashes included."""

from __future__ import annotations

import os

from tests.chaos.live import run_many

RUNS = 200
"""In the suite; `.ci/run` makes 1,000, and the README names the command for more."""


def test_live_runs_end_with_ledger_equal_to_venue_whatever_goes_wrong() -> None:
    """No order without an intent, none sent twice, no position without an owner (DESIGN 4)."""
    good, bad = run_many(range(RUNS), os.cpu_count() or 1)
    assert not bad, "\n".join(bad)
    assert len(good) == RUNS
    assert sum(outcome.orders for outcome in good) > 10 * RUNS, "the runs trade"
    assert sum(outcome.restarts for outcome in good) > RUNS / 2, "the runs crash"
    met = {kind for outcome in good for kind in outcome.faults}
    assert len(met) >= 15, f"every kind of fault is met, not only {sorted(met)}"
