"""Gamma's market and event objects, JSON strings inside JSON included (protocol reference F.3).

It serves facts of the exchange; what the description of a market promises is not its business.
"""

from __future__ import annotations

from typing import Final

import msgspec

from helpers.domain import MICROS, NS_PER_SECOND, Message, Outcome
from simulator.exchange_messages import MarketListing
from simulator.market_state import MarketState
from simulator.polymarket_frames import OUTCOME_LABELS, fee_schedule
from simulator.wire_text import (
    closed_time_text,
    date_text,
    iso_micro_text,
    iso_text,
    micros_text,
    price_text,
)

TWAP_SECONDS: Final = 60
BASE_FEE_BPS: Final = 1000
TWAP_DURATIONS: Final = ("5m", "15m", "4h")
"""Windows that settle on the 60-second TWAP; others on an exchange's candle (reference E.4)."""


class ReferencePrices(Message, frozen=True):
    """Price to beat and final price of a window as decimal text, blank while unknown."""

    price_to_beat: str = ""
    final_price: str = ""


def market_body(market: MarketState, now_ns: int) -> str:
    """Return the body of GET /markets/slug/{slug}."""
    return _encode(_market(market, now_ns))


def markets_body(markets: tuple[MarketState, ...], now_ns: int) -> str:
    """Return the body of GET /markets: an array."""
    return _encode([_market(market, now_ns) for market in markets])


def event_body(market: MarketState, now_ns: int, prices: ReferencePrices | None = None) -> str:
    """Return the body of GET /events/slug/{slug}; Up/Down events have one market."""
    return _encode(_event(market, now_ns, prices))


def events_body(markets: tuple[MarketState, ...], now_ns: int) -> str:
    """Return the body of GET /events?slug=: an array."""
    return _encode([_event(market, now_ns, None) for market in markets])


def events_keyset_body(markets: tuple[MarketState, ...], now_ns: int, next_cursor: str) -> str:
    """Return the body of GET /events/keyset; no ``next_cursor`` on the last page."""
    body: dict[str, object] = {"events": [_event(market, now_ns, None) for market in markets]}
    if next_cursor:
        body["next_cursor"] = next_cursor
    return _encode(body)


def outcome_prices(market: MarketState) -> tuple[str, str]:
    """Return the two prices Gamma shows: the middle of the book, 1 and 0 once resolved."""
    if market.winner is not None:
        return ("1", "0") if market.winner is Outcome.UP else ("0", "1")
    middle = market.middle_micros or MICROS // 2
    return price_text(middle), price_text(MICROS - middle)


def _market(market: MarketState, now_ns: int) -> dict[str, object]:
    listing = market.listing
    bid, ask = market.book.best_bid or 0, market.book.best_ask or MICROS
    body: dict[str, object] = {
        "id": listing.market_id,
        "question": listing.question,
        "conditionId": listing.condition_id,
        "slug": listing.slug,
        "resolutionSource": listing.resolution_source,
        "endDate": iso_text(listing.closes_ns),
        "liquidity": "0",
        "startDate": iso_micro_text(listing.created_ns),
        "image": "",
        "icon": "",
        "description": "",
        "outcomes": _encode(list(OUTCOME_LABELS.values())),
        "outcomePrices": _encode(list(outcome_prices(market))),
        "volume": micros_text(market.volume_micros),
        "active": True,
        "closed": market.resolved,
        "marketMakerAddress": "",
        "createdAt": iso_micro_text(listing.created_ns),
        "updatedAt": iso_micro_text(now_ns),
        "new": False,
        "featured": False,
        "archived": False,
        "restricted": True,
        "groupItemThreshold": "0",
        "questionID": listing.condition_id,
        "enableOrderBook": True,
        "orderPriceMinTickSize": market.tick_micros / MICROS,
        "orderMinSize": listing.minimum_shares_micros // MICROS,
        "volumeNum": market.volume_micros / MICROS,
        "liquidityNum": 0,
        "endDateIso": date_text(listing.closes_ns),
        "startDateIso": date_text(listing.created_ns),
        "hasReviewedDates": True,
        "clobTokenIds": _encode([listing.up_token, listing.down_token]),
        "volumeClob": market.volume_micros / MICROS,
        "liquidityClob": 0,
        "comboStatus": "disabled",
        "makerBaseFee": BASE_FEE_BPS,
        "takerBaseFee": BASE_FEE_BPS,
        "acceptingOrders": not market.resolved,
        "negRisk": False,
        "ready": False,
        "funded": False,
        "acceptingOrdersTimestamp": iso_text(listing.created_ns),
        "cyom": False,
        "competitive": 1,
        "pagerDutyNotificationEnabled": False,
        "approved": True,
        "rewardsMinSize": 50,
        "rewardsMaxSpread": 4.5,
        "spread": (ask - bid) / MICROS,
        "lastTradePrice": market.last_up_price_micros / MICROS,
        "bestBid": bid / MICROS,
        "bestAsk": ask / MICROS,
        "automaticallyActive": True,
        "clearBookOnStart": False,
        "showGmpSeries": False,
        "showGmpOutcome": False,
        "manualActivation": False,
        "negRiskOther": False,
        "umaResolutionStatuses": "[]",
        "pendingDeployment": False,
        "deploying": False,
        "rfqEnabled": False,
        "eventStartTime": iso_text(listing.opens_ns),
        "holdingRewardsEnabled": False,
        "feesEnabled": True,
        "requiresTranslation": False,
        "makerRebatesFeeShareBps": 10000,
        "feeType": "crypto_fees_v2",
        "feeSchedule": fee_schedule(listing),
        "version": "v1",
    }
    if listing.duration in TWAP_DURATIONS:
        body["cryptoMarketConfig"] = _twap_config(listing)
    if market.resolved:
        body["closedTime"] = closed_time_text(market.resolved_ns)
        body["umaResolutionStatus"] = "resolved"
        body["automaticallyResolved"] = True
    return body


def _twap_config(listing: MarketListing) -> dict[str, object]:
    return {
        "id": f"{listing.asset}-{listing.duration}-twap-{TWAP_SECONDS}",
        "asset": listing.asset,
        "duration": listing.duration,
        "twapEnabled": True,
        "twapLookbackSeconds": TWAP_SECONDS,
    }


def _event(market: MarketState, now_ns: int, prices: ReferencePrices | None) -> dict[str, object]:
    listing = market.listing
    body: dict[str, object] = {
        "id": listing.event_id,
        "ticker": listing.slug,
        "slug": listing.slug,
        "title": listing.question,
        "description": "",
        "resolutionSource": listing.resolution_source,
        "startDate": iso_micro_text(listing.created_ns),
        "creationDate": iso_micro_text(listing.created_ns),
        "endDate": iso_text(listing.closes_ns),
        "image": "",
        "icon": "",
        "active": True,
        "closed": market.resolved,
        "archived": False,
        "new": False,
        "featured": False,
        "restricted": True,
        "createdAt": iso_micro_text(listing.created_ns),
        "updatedAt": iso_micro_text(now_ns),
        "enableOrderBook": True,
        "negRisk": False,
        "commentCount": 0,
        "markets": [_market(market, now_ns)],
        "series": [_series(listing)],
        "tags": [
            {"id": "102127", "label": "Up or Down", "slug": "up-or-down"},
            {"id": "21", "label": "Crypto", "slug": "crypto"},
        ],
        "cyom": False,
        "showAllOutcomes": True,
        "showMarketImages": True,
        "enableNegRisk": False,
        "automaticallyActive": True,
        "startTime": iso_text(listing.opens_ns),
        "seriesSlug": listing.series_slug,
        "negRiskAugmented": False,
        "pendingDeployment": False,
        "deploying": False,
        "requiresTranslation": False,
    }
    metadata = _metadata(prices)
    if metadata:
        body["eventMetadata"] = metadata
    if market.resolved:
        body["closedTime"] = iso_text(market.resolved_ns - market.resolved_ns % NS_PER_SECOND)
    return body


def _series(listing: MarketListing) -> dict[str, object]:
    return {
        "id": f"series-{listing.series_slug}",
        "ticker": listing.series_slug,
        "slug": listing.series_slug,
        "title": listing.series_slug,
        "seriesType": "single",
        "recurrence": "daily",
        "active": True,
        "closed": False,
        "archived": False,
    }


def _metadata(prices: ReferencePrices | None) -> dict[str, float]:
    if prices is None:
        return {}
    found: dict[str, float] = {}
    if prices.price_to_beat:
        found["priceToBeat"] = float(prices.price_to_beat)
    if prices.final_price:
        found["finalPrice"] = float(prices.final_price)
    return found


def _encode(body: object) -> str:
    return msgspec.json.encode(body).decode()
