"""`worker.py trades`: round trips, newest last, of one book.

Without ``--mode`` or ``--demo`` that of the latest run. Exit codes: see ``database_reading``.

``--json`` prints one document: ``book``, ``since_ns``, ``trips`` (oldest first) and ``totals``;
their keys are the fields of ``db.query_results``. Keys are stable: some may be added, none goes.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

import msgspec

from db.explain_text import clean
from db.queries import Connection, find_totals, find_trips, scope_of
from db.query_results import Book, SessionSeen, Totals, Trip
from helpers.commands.database_reading import EXIT_ANSWERED, EXIT_USAGE, add_book_options, answer
from helpers.commands.spans import EXPECTED, parse_moment_ns
from helpers.commands.terminal import aligned, write_out
from helpers.commands.verbs import verb_parser
from helpers.domain import Message
from helpers.web.figures import dollars, duration, moment, percent, price, shares, win_part

LAST_DEFAULT: Final = 50
LAST_LIMIT: Final = 100_000


class TradesDocument(Message, frozen=True):
    """What ``--json`` prints."""

    book: Book
    since_ns: int
    trips: tuple[Trip, ...]
    totals: Totals
    """Of all round trips since then, shown or not."""


def main(arguments: list[str]) -> int:
    """Print round trips; return the exit code."""
    parser = verb_parser("trades")
    add_book_options(parser)
    parser.add_argument("--since", metavar="WHEN",
                        help=f"{EXPECTED}; counted back from the last row")  # fmt: skip
    parser.add_argument("--last", metavar="N", type=_last, default=LAST_DEFAULT,
                        help="only the latest so many (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON document, stable keys")
    options = parser.parse_args(arguments)

    async def question(connection: Connection, latest: SessionSeen) -> int:
        since_ns = 0
        if options.since is not None:
            parsed = parse_moment_ns(options.since, latest.heartbeat_ns)
            if parsed is None:
                sys.stderr.write(
                    f"worker.py trades: --since was {options.since!r}, expected {EXPECTED}\n"
                )
                return EXIT_USAGE
            since_ns = parsed
        scope = scope_of(latest, since_ns)
        trips = tuple(reversed(await find_trips(connection, scope, options.last)))
        totals = await find_totals(connection, scope)
        document = TradesDocument(latest.book, since_ns, trips, totals)
        write_out(_json(document) if options.json else trades_text(document))
        return EXIT_ANSWERED

    return answer("trades", options, question)


def _json(document: TradesDocument) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def trades_text(document: TradesDocument) -> str:
    """Return the round trips for people."""
    totals = document.totals
    if not totals.trips:
        return f"{document.book.label}: no position was closed\n"
    heads = (
        *("closed (UTC)", "market", "side", "shares", "entry", "cost", "fees", "profit"),
        *("held", "how"),
    )
    rows = [
        (
            moment(trip.closed_ns),
            clean(trip.market),
            trip.outcome.value,
            shares(trip.shares_micros),
            price(trip.entry_price_micros),
            dollars(trip.cost_micros, sign=False),
            dollars(trip.fees_micros, sign=False),
            dollars(trip.pnl_micros),
            duration(trip.hold_seconds),
            trip.how,
        )
        for trip in document.trips
    ]
    hidden = totals.trips - len(rows)
    return (
        f"{document.book.label}\n"
        + aligned(heads, rows, numbers=frozenset({3, 4, 5, 6, 7, 8}))
        + (f"{hidden:,} earlier ones are not shown (--last N)\n" if hidden else "")
        + f"{totals.trips:,} trades, {percent(win_part(totals))} won: "
        f"{dollars(totals.pnl_micros)} after {dollars(totals.fees_micros, sign=False)} of fees\n"
    )


def _last(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LAST_LIMIT:
        raise argparse.ArgumentTypeError(f"was {text!r}, expected 1 to {LAST_LIMIT}")
    return int(text)
