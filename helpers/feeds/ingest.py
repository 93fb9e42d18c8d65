"""One door for every frame, live or from a tape: source and raw text in, events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from helpers.domain import BookSnapshot, FeedEvent, Source
from helpers.feeds.binance import BinanceParser, BinanceSpotParser
from helpers.feeds.binance_rest import BinanceRestParser
from helpers.feeds.coinbase import CoinbaseParser
from helpers.feeds.gamma import GammaParser
from helpers.feeds.okx import OkxParser
from helpers.feeds.polymarket_market import PolymarketMarketParser
from helpers.feeds.reference_price import ReferencePriceParser
from helpers.feeds.rest_lines import encode_rest, read_rest_line
from helpers.feeds.skipped import Skipped
from helpers.feeds.worker_lines import WorkerEvent, WorkerLineParser, encode_worker_event

__all__ = ["Ingest", "WorkerEvent", "encode_rest", "encode_worker_event"]

_ALIASES: Final[Mapping[str, Source]] = {
    **{source.value: source for source in Source},
    "coinbase": Source.COINBASE,
    "polymarket_rtds_chainlink": Source.POLYMARKET_REFERENCE,
}
"""``src`` texts of tapes; the last two are of recordings older than the names in ``Source``."""


class _Parser(Protocol):
    @property
    def skipped(self) -> Skipped: ...

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]: ...


class ClobRestParser:
    """Turns recorded answers of GET /book into snapshots; the rest is in ``skipped``."""

    def __init__(self) -> None:
        self._books = PolymarketMarketParser()
        self.skipped = self._books.skipped

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the book of one recorded answer; never raises.

        A body that is another token's book than was asked for is refused.
        """
        line = read_rest_line(raw)
        if line is None:
            self.skipped.count("malformed:line")
            return ()
        path = line.path.partition("?")[0]
        if path != "/book":
            self.skipped.count(f"unknown:path {path}")
            return ()
        books: list[FeedEvent] = []
        for event in self._books.parse(bytes(line.body), received_ns):
            if isinstance(event, BookSnapshot) and event.token == line.symbol:
                books.append(event)
            else:
                self.skipped.count("malformed:not the book asked for")
        return books


class UserFrameParser:
    """Counts frames of the user channel: they are the executor's, and no market events."""

    def __init__(self) -> None:
        self.skipped = Skipped()

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:  # noqa: ARG002
        """Return nothing."""
        self.skipped.count("ignored:user frame")
        return ()


class Ingest:
    """Every parser of the worker, one per source."""

    def __init__(self) -> None:
        self._binance = {
            Source.BINANCE_PUBLIC: BinanceParser(Source.BINANCE_PUBLIC),
            Source.BINANCE_MARKET: BinanceParser(Source.BINANCE_MARKET),
            Source.BINANCE_SPOT: BinanceSpotParser(),
        }
        self._parsers: Mapping[Source, _Parser] = {
            **self._binance,
            Source.BINANCE_REST: BinanceRestParser(),
            Source.COINBASE: CoinbaseParser(),
            Source.OKX: OkxParser(),
            Source.POLYMARKET_MARKET: PolymarketMarketParser(),
            Source.POLYMARKET_USER: UserFrameParser(),
            Source.POLYMARKET_REFERENCE: ReferencePriceParser(),
            Source.GAMMA: GammaParser(),
            Source.CLOB_REST: ClobRestParser(),
            Source.WORKER: WorkerLineParser(),
        }
        self._parse = {source: parser.parse for source, parser in self._parsers.items()}

    @staticmethod
    def source_of(src_text: str) -> Source | None:
        """Return the source a tape's ``src`` names, or ``None`` for one we do not know."""
        return _ALIASES.get(src_text)

    def parse(self, source: Source, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of one frame of a source; never raises."""
        return self._parse[source](raw, received_ns)

    def parser_of(self, source: Source) -> Callable[[bytes | str, int], Sequence[FeedEvent]]:
        """Return ``parse`` of one source, for a reader that has one: it saves a call a frame."""
        return self._parse[source]

    def skipped_rows(self) -> tuple[tuple[str, int], ...]:
        """Return (source and name, count) of everything that became no event."""
        return tuple(
            (f"{source} {name}", count)
            for source, parser in self._parsers.items()
            for name, count in parser.skipped.rows()
        )

    def server_shutdowns(self, source: Source) -> int:
        """Return how often a Binance source announced its end; 0 for sources that never do.

        A reader that sees it grow opens its replacement at once (reference 1.5).
        """
        parser = self._binance.get(source)
        return 0 if parser is None else parser.server_shutdowns
