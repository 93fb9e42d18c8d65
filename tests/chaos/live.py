"""Many seeded chaos runs of the live executor: `uv run python -m tests.chaos.live --runs 10000`."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.chaos.live_check import ChaosError, Outcomes
from tests.chaos.live_run import run_one


def run_many(seeds: Iterable[int], processes: int) -> tuple[list[Outcomes], list[str]]:
    """Return what the runs came to and the texts of those that ended wrong."""
    good: list[Outcomes] = []
    bad: list[str] = []
    with ProcessPoolExecutor(processes) as pool:
        for done in as_completed([pool.submit(run_one, seed) for seed in seeds]):
            error = done.exception()
            if error is None:
                good.append(done.result())
            elif isinstance(error, ChaosError):
                bad.append(str(error))
            else:
                raise error
    return good, bad


def summary(good: list[Outcomes], bad: list[str]) -> str:
    """Return the figures of many runs as text."""
    faults: Counter[str] = Counter()
    for outcome in good:
        faults.update(outcome.faults)
    struck = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
    return (
        f"{len(good) + len(bad)} runs, {len(bad)} failed; {sum(o.orders for o in good)} orders "
        f"signed, {sum(o.fills for o in good)} fill rows, "
        f"{sum(o.restarts for o in good)} restarts, "
        f"{sum(o.claims_paid for o in good)} claim rows; faults: {struck}\n"
    )


def main(arguments: list[str]) -> int:
    """Run and print; return 1 when a run ended wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.live", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--verbose", action="store_true", help="in this process, with its trace")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.runs)
    if options.verbose:
        for seed in seeds:
            sys.stdout.write(f"{run_one(seed)}\n")
        return 0
    good, bad = run_many(seeds, options.processes)
    for text in sorted(bad):
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(summary(good, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
