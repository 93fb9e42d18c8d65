"""The scorecard counts, and scores forecasts against resolutions."""

from __future__ import annotations

import msgspec
import pytest

from helpers.domain import (
    NO_FORECAST,
    Action,
    Decision,
    Outcome,
    Refused,
    ResolutionSeen,
    RuleFailure,
    Settled,
    Source,
)
from helpers.scorecard import Scorecard
from strategies.base import decision_from
from tests.builders import SLUG, a_state, an_intent

UP = ResolutionSeen(Outcome.UP, 83_001.0, Source.GAMMA)
DOWN = ResolutionSeen(Outcome.DOWN, 82_999.0, Source.GAMMA)


def a_decision(forecast: float, action: Action = Action.HOLD) -> Decision:
    return decision_from(a_state(), action, (1.0, 0.0, 0.0), 0.0, "m", "", forecast)


def test_brier_is_the_mean_squared_error_of_policy_and_quote() -> None:
    """H17: the running sums agree with the plain formula, over markets that went both ways."""
    card, forecasts = Scorecard(), (0.9, 0.6, 0.2)
    for forecast in forecasts:
        card.write(0, SLUG, a_decision(forecast))
        card.write(0, "other", a_decision(forecast))
    card.write(0, SLUG, UP)
    card.write(0, "other", DOWN)
    row = card.brier()
    assert row is not None
    plain = [(p - 1) ** 2 for p in forecasts] + [p**2 for p in forecasts]
    assert row.decisions == 6
    assert row.policy == pytest.approx(sum(plain) / 6)
    assert row.quoted == pytest.approx((0.475**2 + 0.525**2) / 2)


def test_a_market_is_scored_once_and_only_when_it_resolved() -> None:
    """No outcome, no score; a second telling changes nothing; no view, no score."""
    card = Scorecard()
    card.write(0, SLUG, a_decision(0.7))
    card.write(0, SLUG, a_decision(NO_FORECAST))
    assert card.brier() is None
    card.write(0, SLUG, UP)
    card.write(0, SLUG, DOWN)
    row = card.brier()
    assert row is not None
    assert (row.decisions, row.policy) == (1, pytest.approx(0.09))


def test_decisions_refusals_and_settlements_are_counted() -> None:
    """Refusals count under their headline rule."""
    card = Scorecard()
    card.write(0, SLUG, a_decision(0.7, Action.BUY))
    failures = (RuleFailure("spread", 0.05, 0.07), RuleFailure("depth", 10.0, 3.0))
    card.write(0, SLUG, Refused(an_intent(), failures, 0))
    won = Settled(SLUG, Outcome.UP, True, 1, 1, 1, 0)
    card.write(0, SLUG, won)
    card.write(0, SLUG, msgspec.structs.replace(won, won=False))
    assert dict(card.decisions) == {"BUY": 1}
    assert dict(card.refusals) == {"spread": 1}
    assert dict(card.settled) == {"at 1": 1, "at 0": 1}
