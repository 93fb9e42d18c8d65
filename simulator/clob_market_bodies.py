"""Bodies of the CLOB's answers about markets and prices (protocol reference B.2).

Finished text; ``None`` where the venue answers 404 because a side of the book is empty.
"""

from __future__ import annotations

from typing import Final

import msgspec

from helpers.domain import MICROS, NS_PER_SECOND, Outcome, Side
from simulator.market_state import MarketState
from simulator.pages import page_envelope, page_of
from simulator.polymarket_frames import OUTCOME_LABELS
from simulator.wire_text import iso_text, price_text

BASE_FEE_BPS: Final = 1000
"""Ceiling served as ``base_fee``; not the fee that is charged (reference B.2)."""


def clob_market(market: MarketState) -> str:
    """Return the body of GET /clob-markets/{condition}; ``nr`` is omitted when false (B.2)."""
    listing = market.listing
    return _encode(
        {
            "c": listing.condition_id,
            "t": [
                {"t": listing.token(outcome), "o": OUTCOME_LABELS[outcome]} for outcome in Outcome
            ],
            "mos": _number(listing.minimum_shares_micros),
            "mts": _number(market.tick_micros),
            "mbf": BASE_FEE_BPS,
            "tbf": BASE_FEE_BPS,
            "fd": {
                "r": listing.fee_rate_ppm / MICROS,
                "e": listing.fee_exponent,
                "to": listing.fee_taker_only,
            },
            "ao": not market.resolved,
            "itode": listing.taker_delay,
            "oas": iso_text(listing.created_ns),
            "gst": None,
            "rfqe": False,
            "ibce": False,
        }
    )


def market_by_token(market: MarketState) -> str:
    """Return the body of GET /markets-by-token/{token}."""
    listing = market.listing
    return _encode(
        {
            "condition_id": listing.condition_id,
            "primary_token_id": listing.up_token,
            "secondary_token_id": listing.down_token,
        }
    )


def market_body(market: MarketState) -> str:
    """Return the body of GET /markets/{condition}."""
    listing = market.listing
    return _encode(
        {
            **_simplified_row(market),
            "accepting_order_timestamp": iso_text(listing.created_ns),
            "description": "",
            "enable_order_book": not market.resolved,
            "end_date_iso": iso_text(listing.closes_ns),
            "fpmm": "",
            "game_start_time": iso_text(listing.opens_ns),
            "icon": "",
            "image": "",
            "is_50_50_outcome": False,
            "maker_base_fee": BASE_FEE_BPS,
            "market_slug": listing.slug,
            "minimum_order_size": _number(listing.minimum_shares_micros),
            "minimum_tick_size": _number(market.tick_micros),
            "neg_risk": False,
            "neg_risk_market_id": "",
            "neg_risk_request_id": "",
            "notifications_enabled": True,
            "question": listing.question,
            "question_id": listing.condition_id,
            "seconds_delay": 0,
            "tags": ["Crypto", "Up or Down"],
            "taker_base_fee": BASE_FEE_BPS,
        }
    )


def simplified_page(markets: tuple[MarketState, ...], cursor: str = "") -> str:
    """Return a page of GET /simplified-markets; raise ``ValueError`` for a malformed cursor."""
    shown, following = page_of(markets, cursor)
    return page_envelope([_simplified_row(market) for market in shown], following)


def tick_size(market: MarketState) -> str:
    """Return the body of GET /tick-size."""
    return _encode({"minimum_tick_size": _number(market.tick_micros)})


def neg_risk() -> str:
    """Return the body of GET /neg-risk; Up/Down markets are never neg-risk."""
    return '{"neg_risk":false}'


def fee_rate() -> str:
    """Return the body of GET /fee-rate: the ceiling."""
    return _encode({"base_fee": BASE_FEE_BPS})


def version() -> str:
    """Return the body of GET /version."""
    return '{"version":2}'


def server_time(now_ns: int) -> str:
    """Return the body of GET /time: whole seconds."""
    return str(now_ns // NS_PER_SECOND)


def midpoint(market: MarketState, outcome: Outcome) -> str | None:
    """Return the body of GET /midpoint, ``None`` (404) while a side is empty."""
    bid, ask = _touch(market, outcome)
    if bid is None or ask is None:
        return None
    return _encode({"mid": price_text((bid + ask) // 2)})


def price(market: MarketState, outcome: Outcome, side: Side) -> str | None:
    """Return the body of GET /price: BUY the best bid, SELL the best ask (reference B.2)."""
    bid, ask = _touch(market, outcome)
    found = bid if side is Side.BUY else ask
    return None if found is None else _encode({"price": price_text(found)})


def spread(market: MarketState, outcome: Outcome) -> str | None:
    """Return the body of GET /spread, ``None`` (404) while a side is empty."""
    bid, ask = _touch(market, outcome)
    return None if bid is None or ask is None else _encode({"spread": price_text(ask - bid)})


def last_trade_price(market: MarketState, outcome: Outcome) -> str:
    """Return the body of GET /last-trade-price."""
    return _encode({"price": price_text(market.last_price_micros(outcome)), "side": ""})


def _touch(market: MarketState, outcome: Outcome) -> tuple[int | None, int | None]:
    bid, ask = market.book.best_bid, market.book.best_ask
    if outcome is Outcome.UP:
        return bid, ask
    return (None if ask is None else MICROS - ask), (None if bid is None else MICROS - bid)


def _simplified_row(market: MarketState) -> dict[str, object]:
    listing = market.listing
    middle = market.middle_micros or MICROS // 2
    tokens: list[dict[str, object]] = []
    for outcome in Outcome:
        own = middle if outcome is Outcome.UP else MICROS - middle
        if market.resolved:
            own = MICROS if market.winner is outcome else 0
        tokens.append(
            {
                "outcome": OUTCOME_LABELS[outcome],
                "price": _number(own),
                "token_id": listing.token(outcome),
                "winner": market.winner is outcome,
            }
        )
    return {
        "accepting_orders": not market.resolved,
        "active": True,
        "archived": False,
        "closed": market.resolved,
        "condition_id": listing.condition_id,
        "rewards": {"max_spread": 4.5, "min_size": 50, "rates": None},
        "tokens": tokens,
    }


def _number(micros: int) -> int | float:
    return micros // MICROS if micros % MICROS == 0 else micros / MICROS


def _encode(body: object) -> str:
    return msgspec.json.encode(body).decode()
