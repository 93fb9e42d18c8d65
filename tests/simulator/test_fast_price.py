"""The perpetuals' price path."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.domain import NS_PER_SECOND, Asset
from simulator.fast_price import (
    BLOCK_NS,
    BLOCK_STEPS,
    STEP_NS,
    FastPriceProcess,
    TapeEndedError,
    TapePrices,
    next_step,
    price_steps,
)


def minutes(process: FastPriceProcess, count: int) -> np.typing.NDArray[np.float64]:
    """Return the joined path of some minutes."""
    blocks = [process.next_block(minute * BLOCK_NS) for minute in range(count)]
    return np.concatenate([block.log_mid for block in blocks], axis=1)


def test_the_path_is_the_seeds() -> None:
    """Equal seeds give the same path bit for bit."""
    assets = (Asset.BTC, Asset.ETH)
    first, again = (minutes(FastPriceProcess(5, assets), 3) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, minutes(FastPriceProcess(6, assets), 3))


def test_another_asset_changes_no_path() -> None:
    """Bitcoin's path is the same alone and beside others."""
    alone = minutes(FastPriceProcess(5, (Asset.BTC,)), 3)
    beside = minutes(FastPriceProcess(5, (Asset.SOL, Asset.BTC)), 3)
    assert np.array_equal(alone[0], beside[1])


def test_assets_move_together() -> None:
    """Five-minute returns of Bitcoin and Ether are clearly correlated, not equal."""
    path = minutes(FastPriceProcess(5, (Asset.BTC, Asset.ETH)), 600)[:, :: 5 * BLOCK_STEPS]
    returns = np.diff(path)
    correlation = np.corrcoef(returns[0], returns[1]).ravel()[1]
    assert 0.5 < correlation < 0.97


def test_volatility_clusters_and_tails_are_fat() -> None:
    """Absolute minute returns are autocorrelated; their kurtosis is far above a normal's 3."""
    returns = np.diff(minutes(FastPriceProcess(5, (Asset.BTC,)), 1_000)[0, ::BLOCK_STEPS])
    size = np.abs(returns)
    assert np.corrcoef(size[1:], size[:-1]).ravel()[1] > 0.1
    assert np.mean(returns**4) / np.mean(returns**2) ** 2 > 5.0


def test_the_mid_rests_between_moves() -> None:
    """In most 50 ms steps nothing moves; listed steps are those where it does."""
    block = FastPriceProcess(5, (Asset.BTC,)).next_block(0)
    steps = price_steps(block, 0)
    moved = np.flatnonzero(np.diff(block.log_mid[0])) + 1
    assert steps == moved.tolist()
    assert 0 < len(steps) < BLOCK_STEPS // 4
    assert next_step(steps, -1) == steps[0]
    assert next_step(steps, steps[0]) == steps[1]
    assert next_step(steps, BLOCK_STEPS) == BLOCK_STEPS


def test_a_tape_is_held_between_its_prices() -> None:
    """The grid shows the last price at or before each step, the first one before any."""
    tape = ((10 * NS_PER_SECOND, 100.0), (20 * NS_PER_SECOND, 200.0))
    block = TapePrices((tape,)).next_block(0)
    seconds = np.exp(block.log_mid[0, :: NS_PER_SECOND // STEP_NS])
    assert seconds[:20] == pytest.approx(np.full(20, 100.0))
    assert seconds[20:] == pytest.approx(np.full(40, 200.0))
    assert (block.slow_volatility > 0).all()


def test_a_bad_or_ended_tape_is_refused() -> None:
    """Empty, negative and unordered tapes raise, and so does time after the end."""
    with pytest.raises(ValueError, match="empty"):
        TapePrices(((),))
    with pytest.raises(ValueError, match="price of 0"):
        TapePrices((((1, 0.0),),))
    with pytest.raises(ValueError, match="backwards"):
        TapePrices((((2, 1.0), (1, 1.0)),))
    with pytest.raises(TapeEndedError):
        TapePrices((((1, 1.0),),)).next_block(BLOCK_NS)
