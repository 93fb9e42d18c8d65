"""Days of the whole worker on simulated time: what grows, leaks or goes missing.

    uv run python -m benchmarks.soak                # 2 days at full rates, 30 on a thinned feed;
                                                    # on two cores some three hours
    uv run python -m benchmarks.soak --days-full 0.5 --days-thin 0

The ordinary worker trades at the simulated venues over real sockets (``soak_run``), each phase in
a process of its own, so that the memory of one hides nothing of the other. Needs Linux, which says
how much memory a process has, and a few gigabytes for the embedded Postgres.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.soak_census import can_be_read
from benchmarks.soak_report import PhaseReport, bars_of, text_of
from benchmarks.soak_run import (
    ASSETS,
    THIN_ASSETS,
    Phase,
    full_phase,
    run_phase,
    thin_phase,
)
from helpers.commands.children import ended_with_the_owner, leave_with_the_owner
from helpers.domain import Asset
from strategies.catalogue import STRATEGY_NAMES

DAYS_MAXIMUM: Final = 366.0
EXIT_UNAVAILABLE: Final = 69


def main(arguments: list[str]) -> int:
    """Run and print; return 1 when a bar is not met, 69 where memory cannot be read."""
    options = _parse(arguments)
    if not can_be_read():
        sys.stderr.write("benchmarks.soak: this system has no /proc/self/statm; use Linux\n")
        return EXIT_UNAVAILABLE
    asked = (
        (full_phase, options.days_full, options.assets_full),
        (thin_phase, options.days_thin, options.assets_thin),
    )
    phases = [make(days, assets) for make, days, assets in asked if days]
    reports: list[PhaseReport] = []
    for phase in phases:
        report = _run(phase, options.seed, options.strategy)
        reports.append(report)
        if not options.json:
            sys.stdout.write(text_of(report))
            sys.stdout.flush()
    if options.json:
        rows = [{"report": report, "bars": bars_of(report)} for report in reports]
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    met = [bar.met for report in reports for bar in bars_of(report)]
    return 1 if False in met else 0


def _run(phase: Phase, seed: int, strategy: str) -> PhaseReport:
    # Read by the embedded server, which does not run as root: others may pass through.
    with tempfile.TemporaryDirectory(prefix="worker-soak-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        context = multiprocessing.get_context("spawn")
        pool_of = ProcessPoolExecutor(1, mp_context=context, initializer=leave_with_the_owner)
        with ended_with_the_owner(), pool_of as pool:
            return pool.submit(run_phase, phase, seed, folder, strategy).result()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--days-full", type=_days, default=2.0, metavar="DAYS",
                        help="simulated days at the demo's rates (default 2); 0: none")  # fmt: skip
    parser.add_argument("--days-thin", type=_days, default=30.0, metavar="DAYS",
                        help="simulated days with an update a second of each stream and a "
                        "decision every five (default 30); 0: none")  # fmt: skip
    parser.add_argument("--assets-full", type=_assets, default=ASSETS, metavar="LIST",
                        help=f"traded assets, comma separated (default {ASSETS})")  # fmt: skip
    parser.add_argument("--assets-thin", type=_assets, default=THIN_ASSETS, metavar="LIST",
                        help=f"of the thinned feed (default {THIN_ASSETS}: with all four "
                        "a month takes more than four hours)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--strategy", choices=STRATEGY_NAMES, default="rl")
    parser.add_argument("--json", action="store_true", help="everything that was seen, as JSON")
    return parser.parse_args(arguments)


def _assets(text: str) -> str:
    if not set(text.split(",")) <= set(Asset):
        raise argparse.ArgumentTypeError(f"were {text!r}, expected some of {', '.join(Asset)}")
    return text


def _days(text: str) -> float:
    days = float(text)
    if not 0.0 <= days <= DAYS_MAXIMUM or math.isnan(days):
        raise argparse.ArgumentTypeError(f"was {text}, expected 0 to {DAYS_MAXIMUM:g}")
    return days


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
