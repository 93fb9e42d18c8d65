"""Gamma's objects become facts, strikes and resolutions; unknown facts are problems."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import (
    Asset,
    FeedEvent,
    FeeSchedule,
    Market,
    MarketOpened,
    MarketResolved,
    Source,
    StrikeKnown,
    StrikeRung,
)
from helpers.feeds.gamma import GammaParser
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all
from tests.shared import shared_file

OPENS_NS = 1790616600_000_000_000
FEES = {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2}
MARKET: dict[str, Any] = {
    "slug": "btc-updown-15m-1790616600",
    "conditionId": "0xc",
    "clobTokenIds": '["11", "22"]',
    "outcomes": '["Up", "Down"]',
    "outcomePrices": '["0.5", "0.5"]',
    "eventStartTime": "2026-09-28T17:30:00Z",
    "endDate": "2026-09-28T17:45:00Z",
    "active": True,
    "closed": False,
    "acceptingOrders": True,
    "enableOrderBook": True,
    "orderMinSize": 5,
    "orderPriceMinTickSize": 0.01,
    "negRisk": False,
    "feesEnabled": True,
    "feeSchedule": FEES,
    "cryptoMarketConfig": {"id": "x", "twapEnabled": True, "twapLookbackSeconds": 60},
    "version": "v1",
    "question": "whatever",
}


def parse(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(GammaParser(), *frames)


def market_of(fields: dict[str, Any]) -> Market:
    events, skipped = parse(fields)
    assert isinstance(events[0], MarketOpened)
    assert skipped == {}
    return events[0].market


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in MARKET.items() if name not in names}


def test_facts() -> None:
    """A market object gives its facts, with nothing wrong with them."""
    assert market_of(MARKET) == Market(
        slug="btc-updown-15m-1790616600",
        condition_id="0xc",
        asset=Asset.BTC,
        opens_ns=OPENS_NS,
        closes_ns=OPENS_NS + 900_000_000_000,
        up_token="11",
        down_token="22",
        tick_micros=10_000,
        minimum_shares_micros=5_000_000,
        fees=FeeSchedule(70_000, 1, True),
        problems=(),
    )


@pytest.mark.parametrize("name", ["version", "cryptoMarketConfig", "eventStartTime", "endDate"])
def test_facts_that_may_be_absent(name: str) -> None:
    """Older objects lack some fields; times then come from the slug."""
    assert market_of(without(name)) == market_of(MARKET)


def test_tokens_are_found_by_label() -> None:
    """The tokens are in the order of the outcomes, whatever that is."""
    market = market_of({**MARKET, "outcomes": '["Down", "Up"]'})
    assert (market.up_token, market.down_token, market.problems) == ("22", "11", ())
    market = market_of({**MARKET, "outcomes": ["Up", "Down"], "clobTokenIds": ["11", "22"]})
    assert (market.up_token, market.down_token, market.problems) == ("11", "22", ())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"version": "v2"}, "version was v2, expected v1"),
        ({"negRisk": True}, "negRisk was true, expected false"),
        ({"closed": True}, "market is closed"),
        ({"active": False}, "market is not active"),
        ({"acceptingOrders": False}, "market does not accept orders"),
        ({"enableOrderBook": False}, "market has no order book"),
        ({"feesEnabled": False}, "feesEnabled was false, expected true"),
        ({"feeSchedule": None}, "fee schedule was absent"),
        ({"feeSchedule": None, "feesEnabled": None}, "fee schedule unknown"),
        ({"feeSchedule": {**FEES, "rate": 0.072}}, "fee schedule was rate 0.072"),
        ({"feeSchedule": {**FEES, "rate": "nan"}}, "fee schedule was rate nan"),
        ({"feeSchedule": {**FEES, "rate": "inf"}}, "fee schedule was rate inf"),
        ({"feeSchedule": {**FEES, "exponent": 2}}, "fee schedule was rate 0.07, exponent 2"),
        ({"feeSchedule": {**FEES, "exponent": 1.5}}, "fee schedule was rate 0.07, exponent 1.5"),
        ({"feeSchedule": {**FEES, "takerOnly": False}}, "fee schedule was rate 0.07, exponent 1"),
        ({"feeSchedule": {}}, "fee schedule was rate None"),
        ({"orderPriceMinTickSize": 0.02}, "tick size was 0.02"),
        ({"orderPriceMinTickSize": None}, "tick size was None"),
        ({"orderMinSize": None}, "minimum order size was None"),
        ({"outcomes": '["Yes", "No"]'}, 'outcomes were ["Yes", "No"]'),
        ({"outcomes": "x" * 500}, "outcomes were xxx"),
        ({"cryptoMarketConfig": {"twapEnabled": False}}, "settlement was twapEnabled False"),
        (
            {"cryptoMarketConfig": {"twapEnabled": True, "twapLookbackSeconds": 30}},
            "settlement was twapEnabled True over 30 s",
        ),
        (
            {"eventStartTime": "2026-09-28T17:31:00Z", "endDate": "2026-09-28T17:46:00Z"},
            "window start was",
        ),
        ({"endDate": "2026-09-28T17:50:00Z"}, "window was 1200000000000 ns long"),
    ],
)
def test_unknown_facts_are_problems(change: dict[str, Any], problem: str) -> None:
    """Whatever we do not know how to trade is named, and no entry passes it (invariant 12)."""
    events, _ = parse({**MARKET, **change})
    opened = events[0]
    assert isinstance(opened, MarketOpened)
    assert len(opened.market.problems) == 1
    assert opened.market.problems[0].startswith(problem)
    assert len(opened.market.problems[0]) < 200


@pytest.mark.parametrize("tick", [0.1, 0.01, 0.005, 0.0025, 0.001, 0.0001])
def test_ticks_of_the_venue(tick: float) -> None:
    """Every grid of reference B.5 is known."""
    market = market_of({**MARKET, "orderPriceMinTickSize": tick})
    assert market.tick_micros == round(tick * 1_000_000)
    assert market.problems == ()


def test_fee_schedule_is_told_as_it_is() -> None:
    """A schedule we do not trade under is still the market's."""
    market = market_of({**MARKET, "feeSchedule": {"exponent": 2, "rate": 0.25, "takerOnly": True}})
    assert market.fees == FeeSchedule(250_000, 2, True)


def test_hourly_market() -> None:
    """An hourly market settles on a Binance candle and takes its times from Gamma."""
    hourly = {
        **MARKET,
        "slug": "ethereum-up-or-down-september-28-2026-1pm-et",
        "eventStartTime": "2026-09-28T17:00:00Z",
        "endDate": "2026-09-28T18:00:00Z",
        "cryptoMarketConfig": {"twapEnabled": False},
    }
    market = market_of(hourly)
    assert (market.asset, market.window_seconds, market.problems) == (Asset.ETH, 3600.0, ())
    assert market_of({**hourly, "eventStartTime": None}) == market
    assert parse({**hourly, "eventStartTime": None, "endDate": None}) == (
        [],
        {"malformed:market endDate": 1},
    )


def test_strike_of_a_market_and_of_an_event() -> None:
    """The price to beat is in the event around the market, whichever way they are nested."""
    metadata = {"eventMetadata": {"priceToBeat": 75679.5}}
    strike = StrikeKnown(MARKET["slug"], 75679.5, StrikeRung.VENUE_METADATA, 5)
    inside, _ = parse({**MARKET, "events": [metadata]})
    around, _ = parse({**metadata, "markets": [MARKET]})
    page, _ = parse({"events": [{**metadata, "markets": [MARKET]}], "next_cursor": "x"})
    listed, _ = parse([{**metadata, "markets": [MARKET]}])
    assert inside[1:] == around[1:] == page[1:] == listed[1:] == [strike]


@pytest.mark.parametrize("price", [0, -1, "nan", "inf", None])
def test_no_strike_from_no_price(price: object) -> None:
    """A strike that is no price is not told."""
    events, _ = parse({**MARKET, "events": [{"eventMetadata": {"priceToBeat": price}}]})
    assert [type(event) for event in events] == [MarketOpened]


@pytest.mark.parametrize(
    ("prices", "winner"), [('["1", "0"]', "11"), ('["0", "1"]', "22"), (["1", "0"], "11")]
)
def test_resolution(prices: object, winner: str) -> None:
    """A closed market whose prices are exactly 1 and 0 is resolved."""
    events, skipped = parse(
        {
            **MARKET,
            "closed": True,
            "outcomePrices": prices,
            "closedTime": "2026-09-28 17:46:27+00",
            "umaResolutionStatus": "resolved",
            "events": [{"eventMetadata": {"priceToBeat": 1.5, "finalPrice": 2.5}}],
        }
    )
    assert events[-1] == MarketResolved("0xc", winner, 2.5, Source.GAMMA, 1790617587_000_000_000, 5)
    assert skipped == {}


def test_resolution_without_price_and_time() -> None:
    """What the object does not say is 0, not guessed."""
    events, skipped = parse(
        {**MARKET, "closed": True, "outcomePrices": '["0", "1"]'},
        {**MARKET, "closed": True, "outcomePrices": '["0", "1"]', "closedTime": "late"},
    )
    resolved = MarketResolved("0xc", "22", 0.0, Source.GAMMA, 0, 5)
    assert [event for event in events if isinstance(event, MarketResolved)] == [resolved, resolved]
    assert skipped == {"malformed:closedTime": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"outcomePrices": '["0.9995", "0.0005"]'},
        {"outcomePrices": '["0", "0"]'},
        {"outcomePrices": '["1", "1"]'},
        {"outcomePrices": '["0.5", "0.5"]'},
        {"outcomePrices": None},
        {"outcomePrices": "1,0"},
        {"outcomePrices": '["1", "0"]', "umaResolutionStatus": "disputed"},
    ],
)
def test_no_resolution_from_prices_that_are_not_clean(change: dict[str, Any]) -> None:
    """A closed market that is not clearly decided stays undecided."""
    events, skipped = parse({**MARKET, "closed": True, **change})
    assert [type(event) for event in events] == [MarketOpened]
    assert skipped == {"ignored:closed, not resolved": 1}


def test_open_market_with_clean_prices_is_not_resolved() -> None:
    """Prices of an open market are cached ones."""
    events, _ = parse({**MARKET, "outcomePrices": '["1", "0"]'})
    assert [type(event) for event in events] == [MarketOpened]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({**MARKET, "slug": "btc-updown-15m-1"}, "ignored:not an Up/Down window"),
        ({**MARKET, "slug": 7}, "ignored:not an Up/Down window"),
        (without("slug"), "ignored:not an Up/Down window"),
        (without("clobTokenIds"), "malformed:market"),
        ({**MARKET, "active": "perhaps"}, "malformed:market"),
        ({**MARKET, "clobTokenIds": '["11"]'}, "malformed:market clobTokenIds"),
        ({**MARKET, "clobTokenIds": '["11", "11"]'}, "malformed:market clobTokenIds"),
        ({**MARKET, "clobTokenIds": "11,22"}, "malformed:market clobTokenIds"),
        ({**MARKET, "conditionId": ""}, "malformed:market conditionId"),
        ({**MARKET, "endDate": "2026-09-28"}, "malformed:market endDate"),
        ({**MARKET, "eventStartTime": "soon"}, "malformed:market eventStartTime"),
        ({"id": 1}, "unknown:neither market nor event"),
        ([[[[[[MARKET]]]]]], "malformed:not a market"),
        ("7", "malformed:not a market"),
        ("{", "malformed:not JSON"),
    ],
)
def test_other_objects_are_counted(frame: object, reason: str) -> None:
    """What is no market of ours, or cannot be one, is counted and gives nothing."""
    assert parse(frame) == ([], {reason: 1})


def test_a_bad_market_keeps_its_siblings() -> None:
    """One malformed object of a list does not lose the others."""
    events, skipped = parse([without("conditionId"), {**MARKET, "clobTokenIds": ""}, MARKET])
    assert [type(event) for event in events] == [MarketOpened]
    assert skipped == {
        "malformed:market clobTokenIds": 1,
        "unknown:neither market nor event": 1,
    }


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no event and no exception."""
    assert parse(raw)[0] == []


@given(st.sampled_from(sorted(MARKET)), JSON_VALUES, JSON_VALUES)
@settings(max_examples=150, deadline=None)
def test_never_raises_on_wrong_fields(name: str, value: object, metadata: object) -> None:
    """Any field with any value is an event or a count."""
    events, skipped = parse({**MARKET, name: value, "events": [{"eventMetadata": metadata}]})
    assert events or skipped


@pytest.mark.parametrize(
    ("name", "slug", "problems"),
    [
        ("hugompt_microstructure_lab/gamma_market_updown.json", "hype-updown-5m-1782287400", ()),
        (
            "hugompt_microstructure_lab/gamma_event_crypto_updown.json",
            "hype-updown-5m-1782287400",
            (),
        ),
        (
            "nautilus_rust_test_data/gamma_market.json",
            "btc-updown-5m-1773307200",
            ("fee schedule was absent",),
        ),
    ],
)
def test_real_markets(name: str, slug: str, problems: tuple[str, ...]) -> None:
    """Objects of March and June 2026 are read; before fee schedules they are not tradable."""
    events, skipped = parse(shared_file(f"fixtures/polymarket/{name}").read_text())
    assert [
        (event.market.slug, event.market.window_seconds, event.market.problems)
        for event in events
        if isinstance(event, MarketOpened)
    ] == [(slug, 300.0, problems)]
    assert len(events) == 1
    assert skipped == {}


def test_real_market_of_february_2026() -> None:
    """An object inside another file's own wrapping."""
    path = shared_file("fixtures/polymarket/vinayak_backtest/active_btc15m_market_2026-02-07.json")
    file = json.loads(path.read_text())
    market = market_of(file["raw_market"])
    assert (market.up_token, market.down_token) == (file["yes_token_id"], file["no_token_id"])
    assert market.problems == ("fee schedule was absent",)


def test_real_fields_of_september_2026() -> None:
    """A partial object without tokens is no market; with tokens it is a resolved one."""
    path = shared_file("fixtures/polymarket/captured/gamma_updown_15m_2026-09-28_fields.json")
    fields = json.loads(path.read_text())
    assert parse(fields) == ([], {"malformed:market": 1})
    events, skipped = parse({**fields, "clobTokenIds": '["11", "22"]'})
    assert isinstance(events[0], MarketOpened)
    assert events[0].market.problems == ("market is closed",)
    assert [
        (event.winning_token, event.venue_ns)
        for event in events
        if isinstance(event, MarketResolved)
    ] == [("11", 1790617587_000_000_000)]
    assert skipped == {}


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("hugompt_microstructure_lab/gamma_markets.json", 2),
        ("nautilus_py_resources/http_responses/event.json", 3),
        ("nautilus_py_resources/http_responses/events_list.json", 3),
        ("nautilus_py_resources/http_responses/market_slug.json", 1),
        ("nautilus_py_resources/http_responses/markets_list.json", 3),
    ],
)
def test_real_markets_of_others(name: str, others: int) -> None:
    """Markets that are no Up/Down windows are not ours."""
    events, skipped = parse(shared_file(f"fixtures/polymarket/{name}").read_text())
    assert events == []
    assert skipped == {"ignored:not an Up/Down window": others}
