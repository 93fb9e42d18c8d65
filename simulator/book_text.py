"""A token's book as JSON text, and the venue's hash over it (protocol reference C.2, C.6)."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from helpers.domain import Outcome, Side
from simulator.market_state import MarketState
from simulator.wire_text import micros_text, milliseconds_text, price_text

LEVEL_CACHE_ENTRIES: Final = 4_096
"""A book is sent whole after each trade, and most of its levels are as they were the last time.
Four times as many were found no more often; their table of 1.3 MB was made anew all the time."""


def levels_json(levels: tuple[tuple[int, int], ...]) -> str:
    """Return levels as the venue writes them, given best first: the best is last."""
    return f"[{','.join([_level_json(*level) for level in reversed(levels)])}]"


@lru_cache(maxsize=LEVEL_CACHE_ENTRIES)
def _level_json(price_micros: int, shares_micros: int) -> str:
    return f'{{"price":"{price_text(price_micros)}","size":"{micros_text(shares_micros)}"}}'


def last_price_text(market: MarketState, outcome: Outcome) -> str:
    """Return a token's last trade price, blank before the first trade."""
    last = market.last_price_micros(outcome)
    return price_text(last) if last else ""


def book_hash(market: MarketState, outcome: Outcome, timestamp: str, bids: str, asks: str) -> str:
    """Return the SHA-1 of a book over its compact JSON with an empty hash (reference C.6)."""
    text = _book_json(market, outcome, timestamp, "", bids, asks)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def rest_book(market: MarketState, outcome: Outcome) -> str:
    """Return the body of GET /book for one token, its hash included."""
    timestamp = milliseconds_text(market.last_change_ns)
    bids = levels_json(market.book.levels(outcome, Side.BUY))
    asks = levels_json(market.book.levels(outcome, Side.SELL))
    digest = book_hash(market, outcome, timestamp, bids, asks)
    return _book_json(market, outcome, timestamp, digest, bids, asks)


def _book_json(
    market: MarketState, outcome: Outcome, timestamp: str, digest: str, bids: str, asks: str
) -> str:
    listing = market.listing
    return (
        f'{{"market":"{listing.condition_id}","asset_id":"{listing.token(outcome)}",'
        f'"timestamp":"{timestamp}","hash":"{digest}","bids":{bids},"asks":{asks},'
        f'"min_order_size":"{micros_text(listing.minimum_shares_micros)}",'
        f'"tick_size":"{micros_text(market.tick_micros)}","neg_risk":false,'
        f'"last_trade_price":"{last_price_text(market, outcome)}"}}'
    )
