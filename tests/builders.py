"""Small builders of domain messages for tests: sound by default, one field changed at a time."""

from __future__ import annotations

from typing import Any

import msgspec

from helpers.domain import (
    FEATURE_NAMES,
    MICROS,
    NS_PER_SECOND,
    Account,
    Asset,
    BookLevels,
    BookProblem,
    BookView,
    Exposure,
    FastView,
    FeeSchedule,
    IntentReason,
    Market,
    MarketState,
    Mode,
    OrderIntent,
    OrderStyle,
    Outcome,
    Position,
    Side,
    Snapshot,
    Source,
    Strike,
    StrikeRung,
)

OPENS_NS = 1_790_000_100 * NS_PER_SECOND
CLOSES_NS = OPENS_NS + 900 * NS_PER_SECOND
FEES = FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True)
SLUG = "btc-updown-15m-1790000100"
UP_TOKEN = "1" * 77
DOWN_TOKEN = "2" * 77


def a_market(**changes: Any) -> Market:
    """Return a 15 m BTC market."""
    market = Market(
        slug=SLUG,
        condition_id="0xc0ffee",
        asset=Asset.BTC,
        opens_ns=OPENS_NS,
        closes_ns=CLOSES_NS,
        up_token=UP_TOKEN,
        down_token=DOWN_TOKEN,
        tick_micros=10_000,
        minimum_shares_micros=5 * MICROS,
        fees=FEES,
    )
    return msgspec.structs.replace(market, **changes)


def levels(*pairs: tuple[float, float]) -> BookLevels:
    """Return (price, shares) pairs in micro-units."""
    return tuple((round(price * MICROS), round(shares * MICROS)) for price, shares in pairs)


def a_book(bid: float = 0.52, ask: float = 0.53, shares: float = 200, **changes: Any) -> BookView:
    """Return a two-sided book of five levels a side, one cent apart."""
    book = BookView(
        bids=levels(*((bid - 0.01 * i, shares) for i in range(5) if bid - 0.01 * i > 0.005)),
        asks=levels(*((ask + 0.01 * i, shares) for i in range(5) if ask + 0.01 * i < 0.995)),
        tick_micros=10_000,
        age_seconds=0.2,
        problem=BookProblem.NONE,
    )
    return msgspec.structs.replace(book, **changes)


def a_fast_view(mid: float = 83_000.0, **changes: Any) -> FastView:
    """Return a warm, flat fast market."""
    view = FastView(
        source=Source.BINANCE_PUBLIC,
        bid=mid - 0.05,
        ask=mid + 0.05,
        age_seconds=0.1,
        mid_1s_ago=mid,
        mid_5s_ago=mid,
        mid_60s_ago=mid,
        mid_300s_ago=mid,
        mid_600s_ago=mid,
        mid_3600s_ago=mid,
        flow_buy_usd=1000.0,
        flow_sell_usd=1000.0,
        signed_flow_500ms_usd=0.0,
        trades_10s=50,
        large_trade=0.0,
        volume_1h_usd=1e9,
        volume_24h_usd=24e9,
        minute_return_sd=0.0004,
        volatility_per_sqrt_second=5e-5,
    )
    return msgspec.structs.replace(view, **changes)


def a_snapshot(seconds_to_close: float = 600, **changes: Any) -> Snapshot:
    """Return a sound market some time before its close."""
    snapshot = Snapshot(
        market=a_market(),
        now_ns=CLOSES_NS - round(seconds_to_close * NS_PER_SECOND),
        on_grid=True,
        up=a_book(),
        down=a_book(0.47, 0.48),
        fast=a_fast_view(),
        up_mid_sd=0.005,
        strike=Strike(83_000.0, StrikeRung.PREVIOUS_FINAL),
        reference_price=83_000.0,
        clock_skew_seconds=0.0,
    )
    return msgspec.structs.replace(snapshot, **changes)


def a_state(snapshot: Snapshot | None = None, **changes: Any) -> MarketState:
    """Return a valid, warm state."""
    view = snapshot or a_snapshot()
    state = MarketState(
        features=(0.0,) * len(FEATURE_NAMES),
        invalid="",
        cold=(),
        snapshot=view,
        position=Position(market=view.market.slug),
    )
    return msgspec.structs.replace(state, **changes)


def an_intent(snapshot: Snapshot | None = None, **changes: Any) -> OrderIntent:
    """Return an entry: buy 10 Up shares at up to 0.54."""
    view = snapshot or a_snapshot()
    intent = OrderIntent(
        intent_id=f"{view.market.slug}/{view.now_ns}/up/BUY",
        market=view.market.slug,
        token=view.market.up_token,
        outcome=Outcome.UP,
        side=Side.BUY,
        price_limit_micros=540_000,
        shares_micros=10 * MICROS,
        style=OrderStyle.TAKER,
        opens=True,
        reason=IntentReason.ENTRY_SIGNAL,
        created_ns=view.now_ns,
        expires_ns=0,
        deadline_ns=view.market.closes_ns - 120 * NS_PER_SECOND,
    )
    return msgspec.structs.replace(intent, **changes)


def an_account(stopped: str = "", orders_last_minute: int = 0, **changes: Any) -> Account:
    """Return a flat account with 1,000 dollars."""
    exposure = Exposure(
        open_positions=0,
        exposure_micros=0,
        daily_pnl_micros=0,
        losing_streak=0,
        reject_streak=0,
        cash_micros=1000 * MICROS,
        market_position_micros=0,
        market_order_open=False,
        market_unknown=False,
        last_exit_ns=0,
    )
    return Account(
        exposure=msgspec.structs.replace(exposure, **changes),
        orders_last_minute=orders_last_minute,
        entries_stopped=stopped,
        mode=Mode.PAPER,
        real_money=False,
    )
