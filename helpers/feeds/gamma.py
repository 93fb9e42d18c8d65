"""Gamma's objects to market facts, strikes and resolutions; asks nobody and trades on nothing.

Shapes: reference F.2, F.3, E.5, E.6. Prices in these objects are cached and stale: none is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from helpers.domain import FeedEvent, MarketOpened, MarketResolved, Source, StrikeKnown, StrikeRung
from helpers.feeds.gamma_facts import (
    MarketFields,
    MetadataFields,
    read_market,
    read_strings,
    read_tokens,
)
from helpers.feeds.skipped import Skipped
from helpers.feeds.slugs import parse_slug
from helpers.feeds.wire import as_list, as_object, as_text, iso_ns, read_as, read_json

_DEEPEST: Final = 4
"""Nesting we follow: page, events, event, markets."""
_LARGEST_PRICE: Final = 1e12
_RESOLVED: Final = "resolved"


class GammaParser:
    """Turns market objects into events; what it cannot use is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of a market, an event with markets, or a list of either.

        A market gives ``MarketOpened``, its strike where the object has one, and ``MarketResolved``
        when it is closed and its outcome prices are exactly 1 and 0. Never raises.
        """
        events: list[FeedEvent] = []
        found = read_json(raw)
        if found is None:
            self.skipped.count("malformed:not JSON")
        else:
            self._walk(found, None, received_ns, events, _DEEPEST)
        return events

    def _walk(
        self,
        value: object,
        metadata: MetadataFields | None,
        received_ns: int,
        events: list[FeedEvent],
        depth: int,
    ) -> None:
        items = as_list(value)
        fields = as_object(value)
        if depth == 0 or (items is None and fields is None):
            self.skipped.count("malformed:not a market")
            return
        if fields is not None:
            if "conditionId" in fields:
                events.extend(self._market(fields, metadata, received_ns))
                return
            items = as_list(fields.get("markets"))
            if items is not None:
                metadata = read_as(fields.get("eventMetadata"), MetadataFields)
            else:
                items = as_list(fields.get("events"))
        if items is None:
            self.skipped.count("unknown:neither market nor event")
            return
        for item in items:
            self._walk(item, metadata, received_ns, events, depth - 1)

    def _market(
        self, fields: Mapping[str, object], metadata: MetadataFields | None, received_ns: int
    ) -> Sequence[FeedEvent]:
        named = parse_slug(as_text(fields.get("slug")))
        if named is None:
            self.skipped.count("ignored:not an Up/Down window")
            return ()
        market_fields = read_as(fields, MarketFields)
        if market_fields is None:
            self.skipped.count("malformed:market")
            return ()
        try:
            market = read_market(market_fields, named)
        except ValueError as problem:
            self.skipped.count(f"malformed:market {problem}")
            return ()
        events: list[FeedEvent] = [MarketOpened(market, received_ns)]
        metadata = metadata or _own_metadata(market_fields)
        strike = _price(metadata.price_to_beat) if metadata is not None else 0.0
        if strike:
            events.append(StrikeKnown(market.slug, strike, StrikeRung.VENUE_METADATA, received_ns))
        if market_fields.closed:
            events.extend(self._resolution(market_fields, metadata, received_ns))
        return events

    def _resolution(
        self, fields: MarketFields, metadata: MetadataFields | None, received_ns: int
    ) -> Sequence[FeedEvent]:
        tokens = read_tokens(fields)
        prices = read_strings(fields.outcome_prices)
        match prices:
            case ("1", "0"):
                winner = 0
            case ("0", "1"):
                winner = 1
            case _:
                # Never guessed from prices that are nearly there (invariant 12).
                self.skipped.count("ignored:closed, not resolved")
                return ()
        if tokens is None or (fields.uma_resolution_status or _RESOLVED) != _RESOLVED:
            self.skipped.count("ignored:closed, not resolved")
            return ()
        return (
            MarketResolved(
                fields.condition_id,
                tokens[winner],
                _price(metadata.final_price) if metadata is not None else 0.0,
                Source.GAMMA,
                self._closed_ns(fields.closed_time),
                received_ns,
            ),
        )

    def _closed_ns(self, closed_time: str | None) -> int:
        if not closed_time:
            return 0
        try:
            return iso_ns(closed_time)
        except ValueError:
            self.skipped.count("malformed:closedTime")
            return 0


def _own_metadata(fields: MarketFields) -> MetadataFields | None:
    return fields.events[0].event_metadata if fields.events else None


def _price(value: float | None) -> float:
    return value if value is not None and 0.0 < value <= _LARGEST_PRICE else 0.0
