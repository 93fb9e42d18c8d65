"""Fade-spike bets against bursts of taker flow."""

from __future__ import annotations

import pytest

from helpers.domain import Action, Decision, Outcome
from strategies.fade_spike import FadeSpike
from tests.policy_samples import fast, state

BEFORE = 60_000.0


def _decide(
    *,
    flag: float | None = 1.0,
    flow_usd: float | None = 80_000.0,
    bps: float = 4.0,
    held: Outcome | None = None,
) -> Decision:
    view = fast(BEFORE * (1 + bps / 1e4), mid_1s_ago=BEFORE, large_trade=flag, flow_usd=flow_usd)
    return FadeSpike().decide([state(fast_view=view, held=held)])[0]


def test_fades_bursts_both_ways() -> None:
    """A burst of buying is sold, a burst of selling bought (I25)."""
    sold, bought = _decide(), _decide(flow_usd=-80_000.0, bps=-4.0)
    assert sold.action is Action.SELL
    assert bought.action is Action.BUY
    assert "acceleration +0.80" in sold.reason
    assert sum(sold.probabilities) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("flag", "flow_usd", "bps", "reason"),
    [
        (None, 80_000.0, 4.0, "too few trades"),
        (0.7, 80_000.0, 4.0, "no fresh spike"),
        (1.0, 20_000.0, 4.0, "no fresh spike"),
        (1.0, 80_000.0, -4.0, "nothing to fade"),
        (1.0, 80_000.0, 1.0, "costs"),
        (1.0, None, 4.0, "not known yet"),
    ],
)
def test_holds_without_a_spike_worth_fading(
    flag: float | None, flow_usd: float | None, bps: float, reason: str
) -> None:
    """Old, small, unmoved, unpaid and unknown spikes are left alone, with the reason."""
    decision = _decide(flag=flag, flow_usd=flow_usd, bps=bps)
    assert decision.action is Action.HOLD
    assert reason in decision.reason


def test_position_is_closed_when_the_spike_is_spent() -> None:
    """15 s after the trade the flag is 0.34 and the position is closed."""
    assert _decide(flag=0.343, held=Outcome.UP).action is Action.SELL
    assert _decide(flag=0.343, held=Outcome.DOWN).action is Action.BUY
    assert _decide(flag=0.49, held=Outcome.DOWN).action is Action.HOLD


def test_threshold_must_be_positive() -> None:
    """A threshold of 0 would fade everything."""
    with pytest.raises(ValueError, match="above 0"):
        FadeSpike(0.0)
