"""`worker.py markets`: the open windows of a book's latest run, from SQL.

Exit codes: see ``database_reading``. ``--json`` prints one document: ``book``, ``state``,
``at_ns`` and ``markets``, whose keys are the fields of ``db.queries_markets.MarketSeen``. Keys are
stable: some may be added, none goes.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from db.explain_text import clean
from db.queries import Connection
from db.queries_markets import MarketSeen, find_open_markets
from db.query_results import Book, SessionSeen
from helpers.clock import RealClock
from helpers.commands.database_reading import EXIT_ANSWERED, add_book_options, answer
from helpers.commands.terminal import aligned, write_out
from helpers.commands.verbs import verb_parser
from helpers.domain import NS_PER_SECOND, Message
from helpers.web.figures import NOTHING, duration, moment, price

HEADS: Final = ("market", "left", "Up bid", "Up ask", "strike", "fast", "action", "decided", "why")
NUMBERS: Final = frozenset({1, 2, 3, 4, 5, 7})


class MarketsDocument(Message, frozen=True):
    """What ``--json`` prints."""

    book: Book
    state: Literal["running", "silent", "stopped", "killed"]
    at_ns: int
    """The moment that is shown: now, or the last row's of a demo and of a run that has ended."""
    markets: tuple[MarketSeen, ...]


def main(arguments: list[str]) -> int:
    """Print the open markets; return the exit code."""
    parser = verb_parser("markets")
    add_book_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, stable keys")
    options = parser.parse_args(arguments)

    async def question(connection: Connection, latest: SessionSeen) -> int:
        now_ns = RealClock().now_ns()
        state = latest.state_at(now_ns)
        at_ns = latest.heartbeat_ns if latest.book.is_demo or state != "running" else now_ns
        found = await find_open_markets(connection, latest, at_ns)
        document = MarketsDocument(latest.book, state, at_ns, found)
        if options.json:
            text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        else:
            text = markets_text(document)
        write_out(text)
        return EXIT_ANSWERED

    return answer("markets", options, question)


def markets_text(document: MarketsDocument) -> str:
    """Return the open markets for people."""
    head = f"{document.book.label}  {document.state}, at {moment(document.at_ns)} UTC\n"
    if not document.markets:
        return f"{head}no window is open\n"
    rows = [_cells(one, document.at_ns) for one in document.markets]
    return head + aligned(HEADS, rows, NUMBERS)


def _cells(one: MarketSeen, at_ns: int) -> tuple[str, ...]:
    decided = one.decided_ns
    return (
        one.market,
        duration((one.closes_ns - at_ns) / NS_PER_SECOND),
        price(one.up_bid_micros),
        price(one.up_ask_micros),
        _number(one.strike),
        _number(one.fast_mid),
        one.action or NOTHING,
        duration((at_ns - decided) / NS_PER_SECOND) + " ago" if decided is not None else NOTHING,
        clean(f"not traded: {one.problems}" if one.problems else one.reason),
    )


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.8g}"
