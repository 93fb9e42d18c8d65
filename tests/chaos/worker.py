"""Seeded runs of the whole worker under all faults, until so many market-hours were traded.

A market-hour is one hour of simulated time in which one open market was watched by a running
worker: twelve markets for seven minutes are 1.4. Time in which no process ran does not count.

    uv run python -m tests.chaos.worker --market-hours 30       # from seed 0 on, on every core
    uv run python -m tests.chaos.worker --seed 17               # one seed again, here
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Final

from helpers.clock import system_seconds
from tests.chaos.worker_plan import MINUTES
from tests.chaos.worker_run import Played, play, unplayed

REPLAY: Final = "uv run python -m tests.chaos.worker --seed {} --minutes {:g}"


def run_seed(seed: int, minutes: float = MINUTES) -> Played:
    """Play a seed; one that could not be played to its end is a violation, too."""
    try:
        return play(seed, minutes)[0]
    except Exception:  # noqa: BLE001 - whatever ended a run is its finding, told whole
        return unplayed(seed, minutes, traceback.format_exc())


def run_until(
    market_hours: float, first_seed: int, minutes: float, processes: int
) -> Iterator[Played]:
    """Yield runs as they end, of one seed after the other, until they traded long enough."""
    seeds = itertools.count(first_seed)
    done, hours_each = 0.0, 0.0
    running: set[Future[Played]] = set()
    with ProcessPoolExecutor(processes) as pool:
        while True:
            while len(running) < processes and done + len(running) * hours_each < market_hours:
                running.add(pool.submit(run_seed, next(seeds), minutes))
            if not running:
                return
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                played = future.result()
                # One that broke off counts for something, or nothing would end.
                done += max(played.market_hours, minutes / 60.0)
                hours_each = max(hours_each, played.market_hours)
                yield played


def findings(played: Played) -> str:
    """Return what was wrong with a run, and how it is played again; empty when nothing was."""
    if not played.violations:
        return ""
    lines = [f"seed {played.seed}: {text}" for text in played.violations]
    return "\n".join([*lines, "again: " + REPLAY.format(played.seed, played.minutes), ""])


def summary(runs: Iterable[Played], seconds: float) -> str:
    """Return the figures of many runs as text."""
    all_ = list(runs)
    faults: Counter[str] = Counter()
    for played in all_:
        faults.update(played.faults)
    hours = sum(played.market_hours for played in all_)
    violations = sum(len(played.violations) for played in all_)
    struck = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
    return (
        f"{len(all_)} runs ({sum(p.live for p in all_)} live), {hours:.1f} market-hours in "
        f"{seconds:.1f} s ({hours / seconds:.3f} market-hours/s), {violations} violations; "
        f"{sum(p.rows for p in all_)} rows, {sum(p.entries for p in all_)} entries, "
        f"{sum(p.exits for p in all_)} exits, {sum(p.fills for p in all_)} fill rows, "
        f"{sum(p.lives for p in all_)} processes, {sum(p.killed for p in all_)} killed; "
        f"faults: {struck}\n"
    )


def main(arguments: list[str]) -> int:
    """Run and print; return 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.worker", description=__doc__)
    parser.add_argument(
        "--market-hours", type=float, help="at least; else one run, in this process"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of trading in each run")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    began = system_seconds()
    runs: Iterable[Played]
    if options.market_hours is None:
        runs = (run_seed(options.seed, options.minutes),)
    else:
        runs = run_until(options.market_hours, options.seed, options.minutes, options.processes)
    ended: list[Played] = []
    for played in runs:
        ended.append(played)
        sys.stdout.write(findings(played))  # at once: many hours may follow
        sys.stdout.flush()
    sys.stdout.write(summary(ended, system_seconds() - began))
    return 1 if any(played.violations for played in ended) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
