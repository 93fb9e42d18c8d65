"""Mean reversion fades what the fast market does not explain."""

from __future__ import annotations

import pytest

from helpers.domain import Action, Decision, Outcome
from strategies.mean_revert import WINDOW_STEPS, MeanRevert
from strategies.per_market import MAXIMUM_MARKETS
from tests.policy_samples import book, fast, market, state

QUIET = fast(60_000.0, mid_5s_ago=60_000.0)


def _warm(strategy: MeanRevert, slug: str = "m", mid: float = 0.50) -> None:
    for step in range(WINDOW_STEPS):
        _decide(strategy, mid, step, slug=slug)


def _decide(
    strategy: MeanRevert,
    mid: float,
    step: int,
    *,
    slug: str = "m",
    move_bps: float = 0.0,
    held: Outcome | None = None,
    on_grid: bool = True,
) -> Decision:
    sample = state(
        of=market(slug),
        seconds=60 + step / 2,
        on_grid=on_grid,
        up=book(mid - 0.005, mid + 0.005),
        fast_view=fast(60_000.0 * (1 + move_bps / 1e4), mid_5s_ago=60_000.0),
        held=held,
    )
    return strategy.decide([sample])[0]


def test_fades_a_move_without_a_reason() -> None:
    """10 c up is sold, 10 c down is bought (I25)."""
    for mid, action in ((0.60, Action.SELL), (0.40, Action.BUY)):
        strategy = MeanRevert()
        _warm(strategy)
        decision = _decide(strategy, mid, WINDOW_STEPS)
        assert decision.action is action
        assert decision.value > 0
        assert sum(decision.probabilities) == pytest.approx(1.0)


def test_explained_move_is_left_alone() -> None:
    """The same move after 2 bp of the fast market is news, not noise; an unknown past as well."""
    strategy = MeanRevert()
    _warm(strategy)
    decision = _decide(strategy, 0.60, WINDOW_STEPS, move_bps=2.0)
    assert decision.action is Action.HOLD
    assert "fast market moved +2.00 bp" in decision.reason
    sample = state(of=market("m"), seconds=76, up=book(0.595, 0.605), fast_view=fast())
    assert "not known yet" in strategy.decide([sample])[0].reason


def test_small_move_does_not_pay() -> None:
    """3 c are 6 half-ticks but cost 4.5 c to trade."""
    strategy = MeanRevert()
    _warm(strategy)
    decision = _decide(strategy, 0.53, WINDOW_STEPS)
    assert decision.action is Action.HOLD
    assert "costs" in decision.reason


def test_holds_until_thirty_mids_are_known() -> None:
    """Only grid steps count, once each, and each market has its own."""
    strategy = MeanRevert()
    for _ in range(40):
        _decide(strategy, 0.50, 0)
        _decide(strategy, 0.50, 0, on_grid=False)
    assert _decide(strategy, 0.60, 1, on_grid=False).reason == "1 of 30 mids are known"
    _warm(strategy, "other")
    assert _decide(strategy, 0.60, 2, on_grid=False).reason == "1 of 30 mids are known"


def test_position_is_closed_at_the_mean() -> None:
    """A held Down closes when the mid is back, not before."""
    strategy = MeanRevert()
    _warm(strategy)
    step = WINDOW_STEPS
    assert _decide(strategy, 0.58, step, held=Outcome.DOWN).action is Action.HOLD
    assert _decide(strategy, 0.49, step + 1, held=Outcome.DOWN).action is Action.BUY
    assert _decide(strategy, 0.58, step + 2, held=Outcome.UP).action is Action.SELL


def test_markets_are_forgotten_and_bounded() -> None:
    """Memory is bounded; a rolled market starts anew."""
    strategy = MeanRevert()
    _warm(strategy)
    strategy.forget("m")
    assert _decide(strategy, 0.60, 99).reason == "1 of 30 mids are known"
    for number in range(MAXIMUM_MARKETS + 5):
        _decide(strategy, 0.5, 0, slug=str(number))
    assert len(strategy._markets) == MAXIMUM_MARKETS


def test_thresholds_must_be_positive() -> None:
    """A threshold of 0 would trade on nothing."""
    with pytest.raises(ValueError, match="above 0"):
        MeanRevert(entry_z=0.0)
