"""`worker.py demo`: the worker against simulated venues on loopback; no account, no network.

The worker is the ordinary one with ordinary settings: it is given other addresses and another
clock, and sends real HTTP and WebSocket traffic. Same seed, same run. Money and prices are
invented; nothing here says what a strategy would earn.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from db.control import ControlLog
from db.control_state import CauseReleased
from db.journal import Journal
from helpers.clob.eip712 import DEPOSIT_WALLET, OrderSigner
from helpers.clob.wallets import derive_wallets
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.first_model import provide_first_model
from helpers.commands.guards import Guards, WatchLimits
from helpers.commands.live_side import LiveSide
from helpers.commands.log_start import open_log
from helpers.commands.observed_run import Observer
from helpers.commands.observers import observers_of
from helpers.commands.operator_control import POLL_SECONDS, resume_command
from helpers.commands.operator_verbs import standing_lines
from helpers.commands.run import model_refused, supervise, with_journal
from helpers.commands.trading_worker import Worker
from helpers.commands.verbs import typed_number, verb_parser
from helpers.domain import HoldCause, Mode
from helpers.live.reconcile import CASH_DUST_MICROS
from helpers.settings import Settings, SettingsError, load_settings, source_of
from helpers.watchdog import LIMIT_SECONDS, STOP_LIMIT_SECONDS
from simulator.demo_world import ServedWorld
from simulator.faults import Fault, FaultError, read_schedule, seeded_schedule
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.wallet_check import check_wallet
from simulator.windows import WINDOW_SECONDS
from simulator.world_settings import DEFAULT_START_NS, WALLET
from strategies.base import ModelError
from strategies.catalogue import STRATEGY_NAMES

DEFAULTS: Final[dict[str, Any]] = {
    "strategy": "fair_value",
    "assets": "BTC,ETH",
    "windows": "5m,15m",
}
"""What the demo trades unless a flag or the environment says otherwise."""
OF_THE_LAST_WALLET: Final = frozenset(
    {
        HoldCause.LOSS_LIMIT,
        HoldCause.LOSING_STREAK,
        HoldCause.REJECT_STREAK,
        HoldCause.MISMATCH,
        HoldCause.FEED_LOSS,
        HoldCause.RESTRICTED,
    }
)
"""Halts that end with a demo: the next one has a new world and new money."""
MINUTES_MAXIMUM: Final = 24 * 60.0
EXIT_USAGE: Final = 2
KEYS: Final = ("polymarket_api_key", "polymarket_api_secret", "polymarket_api_passphrase")
OTHER_SECRETS: Final = (
    "polymarket_private_key",
    "polymarket_relayer_key",
    "heartbeat_url",
    "discord_webhook_url",
)
"""Of the real worker: its wallet, and the monitor and the channel that must not take a demo for
it."""


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
    parser = verb_parser("demo")
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
    parser.add_argument("--live", action="store_true",
                        help="the live executor, with a throw-away key, signed orders and "
                        "real settlement at the simulated venue")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="log lines to the file only")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed was {options.seed}, expected 0 or more")
    return options


def _minutes(text: str) -> float:
    minutes = typed_number(text)
    if not 0 < minutes <= MINUTES_MAXIMUM:
        raise argparse.ArgumentTypeError(
            f"was {text}, expected a number above 0, at most {MINUTES_MAXIMUM:g}"
        )
    return minutes


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    speed = typed_number(text)
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
    signer = throw_away_signer(options.seed) if options.live else None
    served = ServedWorld(
        options.seed, clock, settings.assets, settings.window_seconds(), faults, signer
    )
    settings = with_demo_wallet(settings, served, signer, options.seed)
    lines = open_log(settings, clock, quiet=options.quiet)

    mode = Mode.LIVE if options.live else Mode.PAPER

    def trade(journal: Journal, guards: Guards) -> int:
        rng, live, venues = random.Random(options.seed), None, served.venues()
        if signer is not None:
            live = LiveSide(settings, signer, clock, venues, rng, None)
        log = ControlLog(settings.journal_directory, mode)
        _begin_a_new_world(log, clock.now_ns())
        worker = Worker(
            settings,
            clock,
            journal,
            venues,
            rng,
            live,
            guards=guards,
            operator_poll_seconds=POLL_SECONDS / slower(options.speed),
            observers=_observers(settings, mode, clock, options.speed),
        )
        _say_what_to_look_at(options, settings, log)
        code = supervise(worker, _play(served, worker, options.minutes * 60.0), lambda: loop)
        _tell_end(options, settings, worker, live, served)
        sys.stdout.write(f"{'journal':<22}{journal.run}\n")
        sys.stdout.write(f"{'explain it':<22}uv run worker.py why --journal {journal.run}\n")
        sys.stdout.write(f"{'report it':<22}uv run worker.py report\n")
        return code

    try:
        limits = watch_limits(loop, options.speed)
        if "rl" in (settings.strategy, *settings.shadow):
            provide_first_model(settings, clock.now_ns())
        return with_journal(settings, mode, clock.now_ns(), trade, limits)
    except ModelError as error:
        return model_refused(error)
    finally:
        _free_the_ports(loop, served)
        lines.close()


def _free_the_ports(loop: SimulatedLoop, served: ServedWorld) -> None:
    if not loop.is_closed():
        # The worker never ran: its venues still hold their ports.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(served.stop())


def _faults(options: argparse.Namespace) -> tuple[Fault, ...]:
    if options.faults == "random":
        return seeded_schedule(options.seed, options.minutes)
    return read_schedule(Path(options.faults)) if options.faults else ()


def watch_limits(loop: SimulatedLoop, speed: float) -> WatchLimits:
    """Return how long a demo may stand still in real time: slower than real, it may longer."""
    factor = slower(speed)
    return WatchLimits(
        LIMIT_SECONDS * factor, STOP_LIMIT_SECONDS * factor, lambda: loop.waits_for_threads
    )


def slower(speed: float) -> float:
    """Return how many real seconds a simulated one takes, where that is more than 1, else 1."""
    return 1.0 / min(1.0, speed) if speed else 1.0


def _observers(
    settings: Settings, mode: Mode, clock: LoopClock, speed: float
) -> tuple[Observer, ...]:
    return observers_of(settings, mode, clock, slower=slower(speed), told=_say_dashboard)


def _say_dashboard(address: str) -> None:
    sys.stdout.write(f"  dashboard  {address}\n")
    sys.stdout.flush()


def _settings(options: argparse.Namespace) -> Settings:
    chosen = {name: value for name, value in DEFAULTS.items() if source_of(name) == "default"}
    if options.strategy:
        chosen["strategy"] = options.strategy
    # Nobody's key goes to a simulated venue: the one of the world's own wallet does.
    keys = dict.fromkeys((*KEYS, *OTHER_SECRETS), None)
    return load_settings(live_enabled=False, **chosen, **keys)


def throw_away_signer(seed: int) -> OrderSigner:
    """Return the signer of the demo's wallet: a key anybody can make, so nobody may fund it."""
    key = throw_away_key(seed)
    address = OrderSigner(key, "0x" + "00" * 20, 0).address
    return OrderSigner(key, derive_wallets(address).deposit_beacon, DEPOSIT_WALLET)


def throw_away_key(seed: int) -> str:
    """Return the private key of a seed's demo wallet."""
    return hashlib.sha256(f"state-fusion-worker demo {seed}".encode()).hexdigest()


def with_demo_wallet(
    settings: Settings, served: ServedWorld, signer: OrderSigner | None, seed: int
) -> Settings:
    """Return settings that know the world's wallet: its API key, and with a signer its own key."""
    key = served.credentials()
    values = (key.api_key, key.secret, key.passphrase)
    update: dict[str, object] = {
        name: SecretStr(value) for name, value in zip(KEYS, values, strict=True)
    }
    update["discord_webhook_url"] = SecretStr(served.polymarket.urls().discord_webhook)
    # Never beside the journal of a real worker: a halt of one must not be the other's.
    folder = "demo-paper" if signer is None else "demo-live"
    update["journal_directory"] = settings.journal_directory / folder
    if signer is not None:
        update |= {
            "live_enabled": True,
            "live_ack": signer.wallet,
            "polymarket_wallet": signer.wallet,
            "polymarket_signature_type": signer.signature_type,
            "polymarket_private_key": SecretStr(throw_away_key(seed)),
            "polymarket_relayer_key": SecretStr("demo-relayer-key"),
            "polymarket_relayer_address": signer.address,
        }
    return settings.model_copy(update=update)


def _reconciliation(live: LiveSide, served: ServedWorld) -> str:
    ledger = live.ledger
    check = check_wallet(
        ledger.positions(),
        live.claims.owed(),
        ledger.cash_micros,
        served.world.exchange,
        WALLET,
        CASH_DUST_MICROS,
    )
    return f"{'reconciliation':<22}{check}\n"


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


def _tell_end(
    options: argparse.Namespace,
    settings: Settings,
    worker: Worker,
    live: LiveSide | None,
    served: ServedWorld,
) -> None:
    title = f"\nDEMO of {options.minutes:g} minutes with {settings.strategy}, seed {options.seed}"
    sys.stdout.write(worker.closing_table(title))
    if live is not None:
        sys.stdout.write(_reconciliation(live, served))
    discord = served.polymarket.discord.messages
    alerts = sum(len(message.embeds) for message in discord)
    told = f"{alerts} in {len(discord)} messages to the simulated Discord"
    sys.stdout.write(f"{'alerts':<22}{told}\n")
    for kind, count in served.schedule.counts.items():
        if count:
            sys.stdout.write(f"{'fault':<22}{kind.value}: {count}\n")


def _begin_a_new_world(log: ControlLog, now_ns: int) -> None:
    for held in log.read().standing:
        if held.cause in OF_THE_LAST_WALLET:
            log.append(CauseReleased(held.cause, now_ns, ""), wait_seconds=1.0)


def _say_what_to_look_at(
    options: argparse.Namespace, settings: Settings, control: ControlLog
) -> None:
    pace = f"{options.speed:g} times real time" if options.speed else "as fast as it goes"
    log = settings.log_directory / "worker.log"
    halts = standing_lines(control.read().at_a_start)
    sys.stdout.write(
        f"DEMO: {options.minutes:g} simulated minutes, {pace}, seed {options.seed}. Invented money "
        "and prices,\nreal HTTP and WebSocket traffic on 127.0.0.1. Ctrl-C ends it in order.\n"
        f"  strategy   {settings.strategy} on {', '.join(settings.assets)}, windows of "
        f"{' and '.join(settings.windows)}\n"
        f"  look at    tail -f {log} | grep -E '({'LIVE' if options.live else 'PAPER'}|LEDGER|"
        "SAFETY)'\n"
        f"  ask why    uv run worker.py why --journal {settings.journal_directory}\n"
        f'  halt it    uv run worker.py halt "why" --mode {control.mode} '
        f"--journal {settings.journal_directory}\n"
        + "".join(f"  HALTED     by {line}\n" for line in halts)
        + (f"  resume it  {resume_command(control)}\n" if halts else "")
    )
    sys.stdout.flush()
