"""`worker.py status`: what the latest run of a book is and does, from SQL.

Without ``--mode`` or ``--demo`` the latest run of all. Exit codes: see ``database_reading``.

``--json`` prints one document: ``book``, ``state`` (``running``, ``silent``, ``stopped`` or
``killed``), ``heartbeat_age_seconds`` (``null`` for a demo, whose time is not ours),
``lag_seconds`` and ``status``, whose keys are the fields of ``db.query_results.StatusRead``. Keys
are stable: some may be added, none goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from db.control import ControlLog
from db.explain_text import clean
from db.journal_reading import last_moment_ns
from db.queries import Connection, find_shadow_windows, read_status, scope_of
from db.query_results import Book, HoldSeen, SessionSeen, StatusRead
from helpers.clock import RealClock, pause_seconds
from helpers.commands.database_reading import EXIT_ANSWERED, add_book_options, answer, folder_of
from helpers.commands.shadow_reading import shadow_duels
from helpers.commands.terminal import CLEAR, write_out
from helpers.commands.verbs import typed_number, verb_parser
from helpers.domain import MICROS, NS_PER_SECOND, Message, TradingState
from helpers.evaluation.comparison import Duel
from helpers.evaluation.text import difference_text, interval_text, signed
from helpers.settings import load_settings
from helpers.web.figures import dollars, duration, moment, percent, price, shares, win_part

RULES_SHOWN: Final = 6
WATCH_SECONDS: Final = 2.0
WATCH_SECONDS_MINIMUM: Final = 0.5
WATCH_SECONDS_MAXIMUM: Final = 3600.0


class StatusDocument(Message, frozen=True):
    """What ``--json`` prints."""

    book: Book
    state: Literal["running", "silent", "stopped", "killed"]
    heartbeat_age_seconds: float | None
    lag_seconds: float | None
    """How far the database is behind the journal; ``None`` where that is on another machine."""
    status: StatusRead
    shadows: tuple[Duel, ...]
    """Each shadow beside the account itself, over all its windows."""


def main(arguments: list[str]) -> int:
    """Print the status; return the exit code."""
    parser = verb_parser("status")
    add_book_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, stable keys")
    parser.add_argument("--watch", metavar="SECONDS", nargs="?", type=_seconds,
                        const=WATCH_SECONDS, default=0.0,
                        help="again and again, every so many seconds (default: "
                        "%(const)g), until ctrl-C")  # fmt: skip
    options = parser.parse_args(arguments)

    async def question(connection: Connection, latest: SessionSeen) -> int:
        now_ns = RealClock().now_ns()
        root = load_settings().journal_directory
        read = with_halts_on_disk(await read_status(connection, latest, now_ns), root)
        age = (now_ns - latest.heartbeat_ns) / NS_PER_SECOND
        document = StatusDocument(
            book=latest.book,
            state=latest.state_at(now_ns),
            heartbeat_age_seconds=None if latest.book.is_demo else age,
            lag_seconds=_lag_seconds(root, latest),
            status=read,
            shadows=shadow_duels(await find_shadow_windows(connection, scope_of(latest))),
        )
        if options.json:
            text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        else:
            text = "".join(f"{clean(line)}\n" for line in status_lines(document))
        write_out(text)
        return EXIT_ANSWERED

    if not options.watch:
        return answer("status", options, question)
    try:
        while True:
            if sys.stdout.isatty():
                sys.stdout.write(CLEAR)
            if (code := answer("status", options, question)) != EXIT_ANSWERED:
                return code
            pause_seconds(options.watch)
    except KeyboardInterrupt:
        return EXIT_ANSWERED


def _seconds(text: str) -> float:
    seconds = typed_number(text)
    if not WATCH_SECONDS_MINIMUM <= seconds <= WATCH_SECONDS_MAXIMUM:
        raise argparse.ArgumentTypeError(
            f"was {text}, expected {WATCH_SECONDS_MINIMUM:g} to {WATCH_SECONDS_MAXIMUM:g}"
        )
    return seconds


def with_halts_on_disk(read: StatusRead, root: Path) -> StatusRead:
    """Return a status with the halts that stand as the control log has them.

    That log is the truth: a halt that was asked for while no worker runs is in no journal yet, and
    a resume neither. Raises ``JournalError``.
    """
    book = read.session.book
    folder = folder_of(root, book)
    if not (folder / read.session.run).is_dir():
        return read  # of another machine, whose log is there
    standing = ControlLog(folder, book.mode).read().at_a_start
    held = [
        HoldSeen(one.cause, "held", one.at_ns, TradingState.HALTED, one.detail) for one in standing
    ]
    passing = [hold for hold in read.holds if not hold.cause.latched]
    return replace(read, holds=(*held, *passing))


def _lag_seconds(root: Path, latest: SessionSeen) -> float | None:
    run = folder_of(root, latest.book) / latest.run
    written_ns = last_moment_ns(run) if run.is_dir() else None
    if written_ns is None:
        return None
    return max(0.0, (written_ns - latest.heartbeat_ns) / NS_PER_SECOND)


def status_lines(document: StatusDocument) -> Iterator[str]:
    """Return the status for people."""
    read, session = document.status, document.status.session
    yield f"{document.book.label}  {session.state_text(document.state)}"
    yield _line("run", f"{session.run}, began {moment(session.started_ns)} UTC")
    yield _line("policy", f"{session.strategy} ({session.model_id}), build {session.build_id}")
    age = document.heartbeat_age_seconds
    told = "its own time" if age is None else f"{duration(age)} ago"
    yield _line("last row", f"{moment(session.heartbeat_ns)} UTC, {told}")
    yield from _hold_lines(document)
    yield from _position_lines(read)
    yield from _money_lines(read)
    orders = ", ".join(f"{one.orders:,} {one.state}" for one in read.orders_today)
    yield _line("orders", orders or "none today")
    rules = [f"{one.rule} {one.refusals:,}" for one in read.refusals_today if one.refusals]
    more = f", {len(rules) - RULES_SHOWN} more rules" if len(rules) > RULES_SHOWN else ""
    yield _line("refused", (", ".join(rules[:RULES_SHOWN]) or "nothing today") + more)
    yield from _shadow_lines(document)
    yield from _database_lines(document)


def _line(name: str, text: str) -> str:
    return f"{name:<10}{text}"


def _hold_lines(document: StatusDocument) -> Iterator[str]:
    read = document.status
    if not read.holds:
        runs = document.state == "running"
        yield _line("entries", "nothing holds them" if runs else "no halt stands")
    for hold in read.holds:
        detail = hold.detail.removeprefix(f"{hold.cause.value}: ")
        yield _line("HELD by", f"{hold.cause.value} since {moment(hold.at_ns)} UTC: {detail}")


def _position_lines(read: StatusRead) -> Iterator[str]:
    if not read.positions:
        yield _line("positions", "none")
    for held in read.positions:
        each = held.cost_micros * MICROS // held.shares_micros
        until = f", closed by {moment(held.deadline_ns)} UTC" if held.deadline_ns else ""
        yield _line(
            "position",
            f"{held.market} {held.outcome.value}: {shares(held.shares_micros)} shares at "
            f"{price(each)} with fees, since {moment(held.opened_ns)}{until}",
        )


def _money_lines(read: StatusRead) -> Iterator[str]:
    today, equity = read.today, read.equity
    yield _line(
        "today",
        f"{dollars(today.pnl_micros)} after {dollars(today.fees_micros, sign=False)} of fees, "
        f"{today.trips:,} trades, {percent(win_part(today))} won",
    )
    if equity is not None:
        yield _line(
            "account",
            f"{dollars(equity.cash_micros, sign=False)} cash, "
            f"{dollars(equity.realised_micros)} realised, "
            f"{dollars(equity.unrealised_micros)} in open positions, at {moment(equity.at_ns)} UTC",
        )


def _shadow_lines(document: StatusDocument) -> Iterator[str]:
    for duel in document.shadows:
        yield _line(
            "shadow",
            f"{duel.challenger}: {signed(duel.challenger_pnl.mean)} a window "
            f"({interval_text(duel.challenger_pnl)}), against the account's "
            f"{signed(duel.champion_pnl.mean)}: {difference_text(duel.difference)}, "
            f"{duel.windows:,} windows",
        )


def _database_lines(document: StatusDocument) -> Iterator[str]:
    session, lag = document.status.session, document.lag_seconds
    behind = "" if lag is None else f", {duration(lag)} behind the journal"
    yield _line("database", f"{session.seq:,} rows of this run{behind}")
    lost = session.rows_lost + session.rows_refused
    if lost:
        yield _line("database", f"{lost:,} rows of the journal are not in it")
    if session.damage:
        yield _line("database", f"the journal is damaged: {session.damage}")
    if session.other_accounts:
        yield _line("database", f"{session.other_accounts:,} other accounts of this book in it")
