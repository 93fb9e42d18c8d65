"""What feeds tell the board."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from helpers.domain.halts import OperatorRequest
from helpers.domain.market import Market
from helpers.domain.words import Asset, Message, Side, Source, StrikeRung

Size = Annotated[float, Meta(ge=0.0, le=1e12)]
OutcomePrice = Annotated[float, Meta(gt=0.0, lt=1.0)]
BestPrice = Annotated[float, Meta(ge=0.0, le=1.0)]
"""A best price as the venue says it: 0 (or 1 for an ask) stands for an empty side."""
AssetPrice = Annotated[float, Meta(gt=0.0, le=1e12)]


class Level(Message, frozen=True):
    """One price level of an outcome's book, decoded straight from the wire."""

    price: OutcomePrice
    size: Size


class BookSnapshot(Message, frozen=True):
    """A whole outcome book; replaces what was known (reference C.2). Order is not guaranteed."""

    condition_id: str
    token: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    tick_micros: int
    """Tick of this token, 0 where the frame does not say."""
    venue_ns: int
    received_ns: int


class LevelChange(Message, frozen=True):
    """One level's new absolute size; 0 removes it. ``best_*`` are after the change, 0 if unsaid."""

    token: str = field(name="asset_id")
    price: OutcomePrice
    size: Size
    side: Side
    best_bid: BestPrice = 0.0
    best_ask: BestPrice = 0.0


class BookChange(Message, frozen=True):
    """Changed levels of one market, usually both tokens' mirrored ones (reference C.3)."""

    condition_id: str
    changes: tuple[LevelChange, ...]
    venue_ns: int
    received_ns: int


class BestPrices(Message, frozen=True):
    """The venue's own best bid and ask of a token: an integrity check, not a source (C.5)."""

    condition_id: str
    token: str
    bid: float
    ask: float
    venue_ns: int
    received_ns: int


class OutcomeTrade(Message, frozen=True):
    """A trade on an outcome token; ``taker_side`` is the aggressor's (C.5)."""

    condition_id: str
    token: str
    price: float
    size: float
    taker_side: Side
    venue_ns: int
    received_ns: int


class TickSize(Message, frozen=True):
    """A token's grid changed; the book must be snapshotted anew (C.4)."""

    condition_id: str
    token: str
    tick_micros: int
    venue_ns: int
    received_ns: int


class Quote(Message, frozen=True):
    """Best bid and ask of a fast market."""

    source: Source
    asset: Asset
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    update_id: int
    """Order-book update id, strictly increasing per source and asset; 0 where there is none."""
    venue_ns: int
    received_ns: int


class Trade(Message, frozen=True):
    """A trade on a fast market, sizes in the base asset (contracts already converted)."""

    source: Source
    asset: Asset
    trade_id: int
    """Increasing per source and asset; 0 where the venue has no numeric id."""
    price: float
    quantity: float
    taker_buys: bool
    venue_ns: int
    received_ns: int


PriceSize = tuple[AssetPrice, Size]


class PartialDepth(Message, frozen=True):
    """The fast market's top levels, best first; replaces what was known."""

    source: Source
    asset: Asset
    update_id: int
    bids: tuple[PriceSize, ...]
    asks: tuple[PriceSize, ...]
    venue_ns: int
    received_ns: int


class DepthSnapshot(Message, frozen=True):
    """A fast market's REST depth, the starting point of a sequenced book."""

    source: Source
    asset: Asset
    last_update_id: int
    bids: tuple[PriceSize, ...]
    asks: tuple[PriceSize, ...]
    venue_ns: int
    received_ns: int


class DepthChange(Message, frozen=True):
    """A sequenced diff: continuous when ``previous_update_id`` is the last one applied."""

    source: Source
    asset: Asset
    first_update_id: int
    last_update_id: int
    previous_update_id: int
    """USD-M's ``pu``; ``first_update_id - 1`` on spot, which sends none."""
    bids: tuple[PriceSize, ...]
    asks: tuple[PriceSize, ...]
    venue_ns: int
    received_ns: int


class MarkPrice(Message, frozen=True):
    """Mark and index price, sent once a second whatever happens: the liveness probe."""

    source: Source
    asset: Asset
    mark: float
    index: float
    venue_ns: int
    received_ns: int


class Candle(Message, frozen=True):
    """One closed or running bar."""

    opens_ns: int
    close: float
    quote_volume: float


class Candles(Message, frozen=True):
    """Warm-up history, oldest first; the last bar may still be running."""

    source: Source
    asset: Asset
    interval_seconds: int
    candles: tuple[Candle, ...]
    received_ns: int


class ReferencePrice(Message, frozen=True):
    """The settlement source's price: Chainlink spot or its 60 s TWAP (reference E)."""

    asset: Asset
    kind: Literal["spot", "twap60"]
    provider: str
    price: float
    venue_ns: int
    received_ns: int


class MarketOpened(Message, frozen=True):
    """A market's facts became known, or known anew."""

    market: Market
    received_ns: int


class StrikeKnown(Message, frozen=True):
    """The price to beat of a window, with the rung of the ladder it came from."""

    slug: str
    price: float
    rung: StrikeRung
    received_ns: int


class MarketResolved(Message, frozen=True):
    """A window was decided. ``final_price`` is 0 where the message does not say."""

    condition_id: str
    winning_token: str
    final_price: float
    source: Source
    venue_ns: int
    received_ns: int


class Connected(Message, frozen=True):
    """A socket is open and subscribed; its books must be snapshotted anew."""

    source: Source
    received_ns: int


class Disconnected(Message, frozen=True):
    """A socket went away; what it fed is no longer to be believed once it has aged."""

    source: Source
    reason: str
    received_ns: int


class FastSourceChosen(Message, frozen=True):
    """The probe settled on this fast market for an asset; others are ignored."""

    asset: Asset
    source: Source
    received_ns: int


FeedEvent = (
    BookSnapshot
    | BookChange
    | BestPrices
    | OutcomeTrade
    | TickSize
    | Quote
    | Trade
    | PartialDepth
    | DepthSnapshot
    | DepthChange
    | MarkPrice
    | Candles
    | ReferencePrice
    | MarketOpened
    | StrikeKnown
    | MarketResolved
    | Connected
    | Disconnected
    | FastSourceChosen
    | OperatorRequest
)
