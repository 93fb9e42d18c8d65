"""`worker.py` without a verb: trade on the live venues, on paper unless live is armed.

One TaskGroup owns every task; the first that fails ends the run. SIGTERM and SIGINT stop it in
order: entries off, orders cancelled, journal and tape closed.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from db.control import ControlLog
from db.control_state import CauseHeld, fitting
from db.file_lease import FileLease
from db.journal import Journal, JournalError
from db.migrate import EXIT_REFUSED, behind
from db.postgres_lease import PostgresLease
from db.recovery import read_left_behind
from helpers.clob.eip712 import OrderSigner
from helpers.clock import Clock, RealClock
from helpers.commands.arming import NotArmedError, arm
from helpers.commands.composition import TradingSide
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.failures import leaves
from helpers.commands.first_model import provide_first_model
from helpers.commands.guards import Guards, WatchLimits
from helpers.commands.live_side import LiveSide
from helpers.commands.log_start import open_log
from helpers.commands.long_lived import set_aside
from helpers.commands.observers import observers_of
from helpers.commands.paper_side import PAPER_WALLET, PaperSide
from helpers.commands.projecting import Projecting
from helpers.commands.trading_worker import Worker
from helpers.commands.verbs import verb_parser
from helpers.domain import HoldCause, LedgerError, Mode
from helpers.feeds.probe import NoFastMarket
from helpers.feeds.retry import VenueRefused
from helpers.heap import keep_large_pieces_apart
from helpers.lease import (
    Lease,
    LeaseError,
    LeaseLostError,
    Leases,
    LeaseTakenError,
)
from helpers.logs import Tag, logger
from helpers.recorder import TapeError
from helpers.settings import EXIT_CONFIGURATION, Settings, SettingsError, load_settings
from helpers.venues import Venues
from strategies.base import ModelError

EXIT_UNREADABLE: Final = 66
EXIT_UNAVAILABLE: Final = 69
EXIT_INTERNAL: Final = 70
EXIT_LOCKED: Final = 75
CONTROL_WAIT_SECONDS: Final = 1.0
"""For another one that writes the control log, within what a stuck process has left to tell."""
ENDS: Final = {0: "stopped", EXIT_LOCKED: "lease lost"}
"""The last row's reason, by exit code; any other is a failure."""


def main(arguments: list[str]) -> int:
    """Run until stopped; see the README for exit codes."""
    parser = verb_parser("run")
    parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    warn_unknown_names()
    try:
        signer = arm(settings) if settings.live_enabled else None
    except NotArmedError as error:
        sys.stderr.write(f"worker.py: {error}.\nNothing was sent; unset LIVE_ENABLED for paper.\n")
        return EXIT_CONFIGURATION
    clock = RealClock()
    try:
        lines = open_log(settings, clock)
    except SettingsError as error:
        return report_settings_error(error)
    try:
        return run_worker(settings, clock, Venues(), random.Random(), signer)
    finally:
        lines.close()


def run_worker(
    settings: Settings,
    clock: Clock,
    venues: Venues,
    rng: random.Random,
    signer: OrderSigner | None,
) -> int:
    """Trade until stopped, on paper without a signer, and return the exit code."""

    def trade(journal: Journal, guards: Guards) -> int:
        left = read_left_behind(settings.journal_directory, mode, whose)
        side: TradingSide
        if signer is None:
            side = PaperSide(settings, clock, left if settings.paper_carry_over else None)
        else:
            side = LiveSide(settings, signer, clock, venues, rng, left)
        observers = observers_of(settings, mode, clock)
        worker = Worker(
            settings, clock, journal, venues, rng, side, guards=guards, observers=observers
        )
        return supervise(worker, worker.run(), new_event_loop)

    if why := _database_behind(settings):
        logger(Tag.HEALTH).error("database_behind", why=why)
        return EXIT_REFUSED
    mode = Mode.PAPER if signer is None else Mode.LIVE
    whose = PAPER_WALLET if signer is None else signer.wallet
    lease = lease_for(settings, mode, whose)
    try:
        provide_first_model(settings, clock.now_ns())
    except ModelError as error:
        return model_refused(error)
    return with_journal(settings, mode, clock.now_ns(), trade, lease=lease)


def _database_behind(settings: Settings) -> str:
    # The embedded server is brought up to date by who starts it.
    url = settings.database_direct_url or settings.database_url
    if url is None or settings.database == "off":
        return ""
    return asyncio.run(behind(url.get_secret_value()))


def lease_for(settings: Settings, mode: Mode, wallet: str) -> Lease:
    """Return the lease of a wallet: of this machine's folder, and of all with a database."""
    here = FileLease(settings.journal_directory, mode)
    url = settings.database_direct_url or settings.database_url
    if url is None:
        return here
    return Leases((here, PostgresLease(url.get_secret_value(), mode, wallet)))


def with_journal(
    settings: Settings,
    mode: Mode,
    started_ns: int,
    trade: Callable[[Journal, Guards], int],
    limits: WatchLimits | None = None,
    lease: Lease | None = None,
) -> int:
    """Trade as the one trader with the journal of a new run, and return the exit code.

    The lease, without one given that of the folder, is the first thing taken and the last given
    back.
    """
    log = logger(Tag.HEALTH)
    folder = settings.journal_directory
    lease = lease or FileLease(folder, mode)
    remember = partial(_hold_the_next_start, ControlLog(folder, mode))
    try:
        # Left last: the journal is closed and the lease given back before anybody waits for it.
        with (
            Projecting(settings) as projecting,
            Guards(settings, lease, remember, limits=limits) as guards,
            Journal.open_run(folder, mode, started_ns, background=True) as journal,
        ):
            guards.name_run(journal.run.name)
            projecting.start()
            return trade(journal, guards)
    except LeaseTakenError as error:
        logger(Tag.SAFETY).error("another_worker", why=str(error))
        return EXIT_LOCKED
    except ModelError as error:
        return model_refused(error)
    except (LeaseError, JournalError, TapeError, LedgerError) as error:
        log.error("journal_unusable", why=str(error))
        return EXIT_INTERNAL


def model_refused(error: ModelError) -> int:
    """Say that no model can be used, and return the exit code."""
    mend = "look at its path; uv run worker.py models rollback, if it is the one in use"
    logger(Tag.HEALTH).error("model_refused", why=str(error), mend=mend)
    return EXIT_UNREADABLE


def _hold_the_next_start(control: ControlLog, why: str) -> None:
    # Called by the watchdog of a process that is stuck: nobody looks at a clock of the loop then.
    held = CauseHeld(HoldCause.WATCHDOG, fitting(why), RealClock().now_ns())
    control.append(held, wait_seconds=CONTROL_WAIT_SECONDS)


def supervise(
    worker: Worker,
    running: Coroutine[object, object, None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> int:
    """Run a worker's tasks to their end on a new loop, close it, and return the exit code."""
    log = logger(Tag.HEALTH)
    keep_large_pieces_apart()
    try:
        with set_aside(), asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(running)
    except* (NoFastMarket, VenueRefused) as group:
        for error in leaves(group):
            log.error("venue_unavailable", why=str(error))
        code = EXIT_UNAVAILABLE
    except* LeaseLostError:  # told when it happened; the run was stopped in order
        code = EXIT_LOCKED
    except* Exception as group:  # the task boundary: whatever failed ends the run, told whole
        for error in leaves(group):
            log.error("task_failed", exc_info=error)
        code = EXIT_INTERNAL
    else:
        code = 0
    worker.close(ENDS.get(code, "failed"))
    return code


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop where there is one, else asyncio's own."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
