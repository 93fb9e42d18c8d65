"""Cost of one decision for four markets against one plain forward, measured in the same run.

``uv run python -m benchmarks.decision`` prints medians and ratios and exits 1 over budget. Floor
and candidates take turns, so that a busy machine slows all of them alike.

Must not: trade, read files or the network.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Final

import mlx.core as mx
import numpy as np

from helpers.clock import monotonic_seconds
from helpers.domain import (
    GRID_NS,
    MICROS,
    NS_PER_SECOND,
    Asset,
    BookLevels,
    BookProblem,
    BookView,
    FastView,
    FeeSchedule,
    Market,
    Outcome,
    Position,
    Snapshot,
    Source,
    Strike,
    StrikeRung,
)
from strategies.features import features
from strategies.features_fusion import fusion_features
from strategies.networks import FloatArray
from strategies.packed import PackedForward
from strategies.registry import Model, initial_model
from strategies.rl_mlx import RLStrategy

BUDGET_RATIO: Final = 1.0
"""DESIGN section 7: four markets decided within one plain single-market forward."""
MARKETS: Final = 4
ROUNDS: Final = 600
WARM_UP_ROUNDS: Final = 60
START_NS: Final = 1_780_000_000 * NS_PER_SECOND
MICROSECONDS: Final = 1e6

Measured = Callable[[int], object]


def _market(number: int) -> Market:
    return Market(
        slug=f"asset{number}-updown-15m-1",
        condition_id=f"0x{number}",
        asset=tuple(Asset)[number],
        opens_ns=START_NS,
        closes_ns=START_NS + 900 * NS_PER_SECOND,
        up_token=f"{number}1",
        down_token=f"{number}2",
        tick_micros=10_000,
        minimum_shares_micros=5 * MICROS,
        fees=FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True),
    )


def _levels(best_cents: int, step_cents: int) -> BookLevels:
    return tuple(
        ((best_cents + level * step_cents) * 10_000, (100 + 37 * level) * MICROS)
        for level in range(5)
    )


def _snapshot(market: Market, step: int) -> Snapshot:
    """Return a snapshot with every window filled: the most expensive kind of features."""
    mid = 60_000.0 + 3.0 * (step % 17)
    bid = 45 + step % 7
    return Snapshot(
        market=market,
        now_ns=START_NS + step * GRID_NS,
        on_grid=True,
        up=BookView(_levels(bid, -1), _levels(bid + 1, 1), 10_000, 0.1, BookProblem.NONE),
        down=BookView(_levels(99 - bid, -1), _levels(100 - bid, 1), 10_000, 0.1, BookProblem.NONE),
        fast=FastView(
            source=Source.BINANCE_PUBLIC,
            bid=mid - 0.05,
            ask=mid + 0.05,
            age_seconds=0.05,
            mid_1s_ago=mid - 1.0,
            mid_5s_ago=mid - 4.0,
            mid_60s_ago=mid + 9.0,
            mid_300s_ago=mid - 30.0,
            mid_600s_ago=mid + 40.0,
            mid_3600s_ago=mid - 200.0,
            flow_buy_usd=4.1e6,
            flow_sell_usd=3.7e6,
            signed_flow_500ms_usd=1.2e4,
            trades_10s=61,
            large_trade=0.343,
            volume_1h_usd=4e8,
            volume_24h_usd=9e9,
            minute_return_sd=4e-4,
            volatility_per_sqrt_second=6e-5,
        ),
        up_mid_sd=0.013,
        strike=Strike(59_990.0, StrikeRung.VENUE_TWAP),
        reference_price=mid,
        clock_skew_seconds=0.01,
    )


def _position(market: Market, number: int) -> Position:
    """Return a position in every second market: its PnL is part of the features' cost."""
    if number % 2:
        return Position(market.slug)
    return Position(market.slug, Outcome.UP, 10 * MICROS, 0, 5 * MICROS, START_NS, START_NS)


def _plain_forward(model: Model, window: FloatArray) -> Measured:
    """Return the floor: both nets as plain modules, one after the other, for one market."""
    current = np.ascontiguousarray(window[:, -18:])

    def run(_: int) -> object:
        windows, currents = mx.array(window), mx.array(current)
        probabilities = mx.softmax(model.networks.actor(currents, windows), axis=-1)
        values = model.networks.critic(currents, windows)
        mx.eval(probabilities, values)
        return probabilities.tolist(), values.tolist()

    return run


def _measured(model: Model) -> dict[str, Measured]:
    windows = np.random.default_rng(1).uniform(-1, 1, (MARKETS, 90)).astype(np.float32)
    packed = PackedForward(model.manifest.architecture, model.networks)
    markets = [_market(number) for number in range(MARKETS)]
    positions = [_position(market, number) for number, market in enumerate(markets)]
    steps = [
        [_snapshot(market, step) for market in markets] for step in range(ROUNDS + WARM_UP_ROUNDS)
    ]
    # The dearest step is measured, one where every market's choice is due.
    step_seconds = GRID_NS / NS_PER_SECOND
    strategy = RLStrategy(model, learn_interval_seconds=step_seconds)
    whole = RLStrategy(model, learn_interval_seconds=step_seconds)
    states = [
        [features(view, position) for view, position in zip(views, positions, strict=True)]
        for views in steps
    ]

    def only_features(step: int) -> object:
        return [features(view, position) for view, position in zip(steps[step], positions)]  # noqa: B905

    def only_fusion(step: int) -> object:
        return [fusion_features(view, at) for view, at in zip(steps[step], positions)]  # noqa: B905

    def decide(step: int) -> object:
        return strategy.decide(states[step])

    def features_and_decide(step: int) -> object:
        views = zip(steps[step], positions)  # noqa: B905
        return whole.decide([features(view, position) for view, position in views])

    return {
        "plain forward, net by net, 1 market": _plain_forward(model, windows[:1]),
        "packed forward, 1 market": lambda _: packed(windows[:1]),
        f"packed forward, {MARKETS} markets": lambda _: packed(windows),
        f"features, {MARKETS} markets": only_features,
        f"features fusion, {MARKETS} markets": only_fusion,
        f"decide on states, {MARKETS} markets": decide,
        f"one decision, {MARKETS} markets": features_and_decide,
    }


def _medians(measured: dict[str, Measured]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in measured}
    for step in range(ROUNDS + WARM_UP_ROUNDS):
        for name, run in measured.items():
            started = monotonic_seconds()
            run(step)
            taken[name].append(monotonic_seconds() - started)
    return {name: statistics.median(times[WARM_UP_ROUNDS:]) for name, times in taken.items()}


def main(arguments: Sequence[str]) -> int:
    """Print the rows and return 0 within budget, 1 over it; takes no arguments (else 2)."""
    if arguments:
        print(f"arguments were {list(arguments)}, expected none")
        return 2
    medians = _medians(_measured(initial_model(1, "2026-11-25")))
    names = list(medians)
    floor = medians[names[0]]
    for name in names:
        print(f"{name:<40} {medians[name] * MICROSECONDS:8.1f} us {medians[name] / floor:6.2f} x")
    ratio = medians[names[-1]] / floor
    verdict = "ok" if ratio <= BUDGET_RATIO else "over"
    print(f"{'budget: ' + names[-1]:<40} {ratio:8.2f} x of {BUDGET_RATIO:.2f}  {verdict}")
    return 0 if ratio <= BUDGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
