"""`worker.py demo`: the worker against simulated venues on loopback; no account, no network.

The worker is the ordinary one with ordinary settings: it is given other addresses and another
clock, and sends real HTTP and WebSocket traffic. Same seed, same run. Money and prices are
invented; nothing here says what a strategy would earn.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from db.journal import Journal
from helpers import logs
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.paper_worker import Worker
from helpers.commands.run import supervise, with_journal
from helpers.settings import Settings, SettingsError, load_settings, source_of
from simulator.demo_world import ServedWorld
from simulator.faults import Fault, FaultError, read_schedule, seeded_schedule
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.windows import WINDOW_SECONDS
from simulator.world_settings import DEFAULT_START_NS
from strategies.catalogue import STRATEGY_NAMES

DEFAULTS: Final[dict[str, Any]] = {
    "strategy": "fair_value",
    "assets": "BTC,ETH",
    "windows": "5m,15m",
}
"""What the demo trades unless a flag or the environment says otherwise."""
MINUTES_MAXIMUM: Final = 24 * 60.0
EXIT_USAGE: Final = 2
KEYS: Final = ("polymarket_api_key", "polymarket_api_secret", "polymarket_api_passphrase")


def main(arguments: list[str]) -> int:
    """Run the demo; return 0, or as ``run``."""
    try:
        return _demo(_parse(arguments))
    except SettingsError as error:
        return report_settings_error(error)
    except FaultError as error:
        sys.stderr.write(f"worker.py demo: {error}\n")
        return EXIT_USAGE


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="worker.py demo", description=__doc__)
    parser.add_argument("--minutes", type=_minutes, default=20.0,
                        help="simulated minutes (default 20)")  # fmt: skip
    parser.add_argument("--speed", type=_speed, default=20.0, metavar="N|max",
                        help="times real time (default 20); max does not wait")  # fmt: skip
    parser.add_argument("--seed", type=int, default=7, help="same seed, same run (default 7)")
    parser.add_argument("--strategy", choices=STRATEGY_NAMES,
                        help="default: STRATEGY, else fair_value")  # fmt: skip
    parser.add_argument("--faults", default="", metavar="FILE|random",
                        help="what goes wrong and when: a TOML schedule, or one drawn "
                        "from the seed")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="log lines to the file only")
    return parser.parse_args(arguments)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes <= MINUTES_MAXIMUM:
        raise argparse.ArgumentTypeError(
            f"was {text}, expected a number above 0, at most {MINUTES_MAXIMUM:g}"
        )
    return minutes


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    speed = float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"was {text}, expected a number above 0 or max")
    return speed


def _demo(options: argparse.Namespace) -> int:
    settings = _settings(options)
    warn_unknown_names()
    if not set(settings.window_seconds()) <= set(WINDOW_SECONDS):
        sys.stderr.write(f"worker.py demo: WINDOWS were {settings.windows}; 4h is not simulated\n")
        return EXIT_USAGE
    faults = _faults(options)
    loop = SimulatedLoop(options.speed)
    clock = LoopClock(loop, DEFAULT_START_NS)
    served = ServedWorld(options.seed, clock, settings.assets, settings.window_seconds(), faults)
    settings = _with_key(settings, served)
    lines = logs.configure(
        clock=clock,
        level=settings.log_level,
        json_lines=logs.wants_json(settings.log_format),
        directory=settings.log_directory,
        secrets=settings.secrets(),
        quiet=options.quiet,
    )

    def trade(journal: Journal) -> int:
        worker = Worker(settings, clock, journal, served.venues(), random.Random(options.seed))
        _say_what_to_look_at(options, settings)
        code = supervise(worker, _play(served, worker, options.minutes * 60.0), lambda: loop)
        title = (
            f"\nDEMO of {options.minutes:g} minutes with {settings.strategy}, seed {options.seed}"
        )
        sys.stdout.write(worker.closing_table(title))
        for kind, count in served.schedule.counts.items():
            if count:
                sys.stdout.write(f"{'fault':<22}{kind.value}: {count}\n")
        sys.stdout.write(f"{'journal':<22}{journal.run}\n")
        sys.stdout.write(f"{'explain it':<22}uv run worker.py why --journal {journal.run}\n")
        return code

    try:
        return with_journal(settings, clock.now_ns(), trade)
    finally:
        if not loop.is_closed():
            # The worker never ran: its venues still hold their ports.
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(served.stop())
        lines.close()


def _faults(options: argparse.Namespace) -> tuple[Fault, ...]:
    if options.faults == "random":
        return seeded_schedule(options.seed, options.minutes)
    return read_schedule(Path(options.faults)) if options.faults else ()


def _settings(options: argparse.Namespace) -> Settings:
    chosen = {name: value for name, value in DEFAULTS.items() if source_of(name) == "default"}
    if options.strategy:
        chosen["strategy"] = options.strategy
    # Nobody's key goes to a simulated venue: the one of the world's own wallet does.
    keys = dict.fromkeys(KEYS, None)
    return load_settings(live_enabled=False, **chosen, **keys)


def _with_key(settings: Settings, served: ServedWorld) -> Settings:
    key = served.credentials()
    values = (key.api_key, key.secret, key.passphrase)
    secrets = {name: SecretStr(value) for name, value in zip(KEYS, values, strict=True)}
    return settings.model_copy(update=secrets)


async def _play(served: ServedWorld, worker: Worker, seconds: float) -> None:
    await served.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(served.drive()), tasks.create_task(_end(worker, seconds))]
            await worker.run()
            for task in beside:
                task.cancel()
    finally:
        await served.stop()


async def _end(worker: Worker, seconds: float) -> None:
    await asyncio.sleep(seconds)
    worker.stop("the demo is over")


def _say_what_to_look_at(options: argparse.Namespace, settings: Settings) -> None:
    pace = f"{options.speed:g} times real time" if options.speed else "as fast as it goes"
    log = settings.log_directory / "worker.log"
    sys.stdout.write(
        f"DEMO: {options.minutes:g} simulated minutes, {pace}, seed {options.seed}. Invented money "
        "and prices,\nreal HTTP and WebSocket traffic on 127.0.0.1. Ctrl-C ends it in order.\n"
        f"  strategy   {settings.strategy} on {', '.join(settings.assets)}, windows of "
        f"{' and '.join(settings.windows)}\n"
        f"  look at    tail -f {log} | grep -E '(PAPER|LEDGER|SAFETY)'\n"
        "  ask why    uv run worker.py why\n"
    )
    sys.stdout.flush()
