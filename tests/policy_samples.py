"""Small made-up markets and states for the tests of policies."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Asset,
    BookProblem,
    BookView,
    FastView,
    FeeSchedule,
    Market,
    MarketState,
    Outcome,
    Position,
    Snapshot,
    Source,
    Strike,
)

START_NS = 1_780_000_000 * NS_PER_SECOND


def market(
    slug: str = "btc-updown-5m-1", window_seconds: float = 300.0, exponent: int = 1
) -> Market:
    return Market(
        slug=slug,
        condition_id="0xabc",
        asset=Asset.BTC,
        opens_ns=START_NS,
        closes_ns=START_NS + round(window_seconds * NS_PER_SECOND),
        up_token="1",
        down_token="2",
        tick_micros=10_000,
        minimum_shares_micros=5 * MICROS,
        fees=FeeSchedule(rate_ppm=70_000, exponent=exponent, taker_only=True),
    )


def book(bid: float, ask: float, problem: BookProblem = BookProblem.NONE) -> BookView:
    def level(price: float) -> tuple[tuple[int, int], ...]:
        return ((round(price * MICROS), 100 * MICROS),)

    return BookView(
        bids=level(bid), asks=level(ask), tick_micros=10_000, age_seconds=0.1, problem=problem
    )


def fast(
    mid: float = 60_000.0,
    *,
    mid_1s_ago: float | None = None,
    mid_5s_ago: float | None = None,
    large_trade: float | None = None,
    flow_usd: float | None = None,
    volatility: float | None = None,
) -> FastView:
    return FastView(
        source=Source.BINANCE_PUBLIC,
        bid=mid,
        ask=mid,
        age_seconds=0.1,
        mid_1s_ago=mid_1s_ago,
        mid_5s_ago=mid_5s_ago,
        mid_60s_ago=None,
        mid_300s_ago=None,
        mid_600s_ago=None,
        mid_3600s_ago=None,
        flow_buy_usd=None,
        flow_sell_usd=None,
        signed_flow_500ms_usd=flow_usd,
        trades_10s=None,
        large_trade=large_trade,
        volume_1h_usd=None,
        volume_24h_usd=None,
        minute_return_sd=None,
        volatility_per_sqrt_second=volatility,
    )


def state(
    *,
    features: Sequence[float] = (0.0,) * 18,
    of: Market | None = None,
    seconds: float = 60.0,
    on_grid: bool = True,
    up: BookView | None = None,
    down: BookView | None = None,
    fast_view: FastView | None = None,
    strike: Strike | None = None,
    reference_price: float = 0.0,
    held: Outcome | None = None,
    invalid: str = "",
    version: str = "phase5",
) -> MarketState:
    """Return a state ``seconds`` into its window: 0.50/0.51 books unless told otherwise."""
    of = of or market()
    up = up or book(0.50, 0.51)
    if down is None:
        bid, ask = 1 - up.asks[0][0] / MICROS, 1 - up.bids[0][0] / MICROS
        down = book(bid, ask)
    snapshot = Snapshot(
        market=of,
        now_ns=START_NS + round(seconds * NS_PER_SECOND),
        on_grid=on_grid,
        up=up,
        down=down,
        fast=fast_view or fast(),
        up_mid_sd=None,
        strike=strike,
        reference_price=reference_price,
        clock_skew_seconds=0.0,
    )
    position = Position(market=of.slug)
    if held is not None:
        position = Position(
            market=of.slug, outcome=held, shares_settled_micros=10 * MICROS, cost_micros=5 * MICROS
        )
    return MarketState(
        features=tuple(features),
        invalid=invalid,
        cold=(),
        snapshot=snapshot,
        position=position,
        version=version,
    )
