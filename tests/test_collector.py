"""What is gathered: choices that were choices, and the profit they made, to the micro-dollar."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.domain import NS_PER_SECOND, Asset, Outcome, ResolutionSeen, RoundTrip, Source
from helpers.training.collector import Collector
from helpers.training.terms import Terms
from strategies.rollout import Choice, Transition
from tests.policy_samples import START_NS, market, state

MARKET = market(window_seconds=900)
TERMS = Terms(capital_micros=10_000_000, entry_stop_seconds=180, cooldown_seconds=30)
WINDOW = np.zeros(90, dtype=np.float32)


class Books:
    """What a ledger would say was realised."""

    def __init__(self) -> None:
        self.realised_micros = 0

    def market_realised_micros(self, slug: str) -> int:
        assert slug == MARKET.slug
        return self.realised_micros


class Gathering:
    """A collector, its books, and one market that is decided on."""

    def __init__(self) -> None:
        self.books = Books()
        self.held = ""
        self.collector = Collector(TERMS)
        self.collector.attach(self.books, lambda: self.held)

    def choose(self, seconds: float, held: Outcome | None = None) -> None:
        """Choose so long after the opening, with or without a position."""
        shown = state(of=MARKET, seconds=seconds, held=held)
        at_ns = shown.snapshot.now_ns
        self.collector.record(shown, Choice(MARKET.slug, at_ns, WINDOW, 1, -1.1, 0.0))

    def settle(self, seconds: float) -> tuple[Transition, ...]:
        """Resolve the market; return everything that was gathered of it."""
        at_ns = START_NS + round(seconds * NS_PER_SECOND)
        seen = ResolutionSeen(Outcome.UP, 0.0, Source.POLYMARKET_MARKET)
        self.collector.write(at_ns, MARKET.slug, seen)
        (one,) = self.collector.take().trajectories
        assert one.terminal
        assert one.bootstrap == 0.0
        return tuple(one.transitions)


@pytest.fixture
def gathering() -> Gathering:
    return Gathering()


def spans(transitions: tuple[Transition, ...]) -> list[float]:
    return [step.seconds for step in transitions]


def test_each_choice_lasts_until_the_next(gathering: Gathering) -> None:
    for seconds in (100, 105, 107):
        gathering.choose(seconds)
    assert spans(gathering.settle(902)) == [5, 2, 795]


def test_where_the_gate_lets_nobody_in_nothing_is_chosen(gathering: Gathering) -> None:
    """In the last three minutes, flat: the choice before them is the market's last."""
    gathering.choose(700)
    for seconds in (720, 725, 890):
        gathering.choose(seconds)
    assert spans(gathering.settle(902)) == [202]


def test_a_position_is_decided_on_to_the_end(gathering: Gathering) -> None:
    """Its exit is a choice wherever it is."""
    gathering.choose(700, Outcome.UP)
    gathering.choose(730, Outcome.UP)
    gathering.choose(760)
    assert spans(gathering.settle(902)) == [30, 172]


def test_the_cool_down_is_part_of_the_exit(gathering: Gathering) -> None:
    """What follows from an exit is that nothing can be done for half a minute."""
    gathering.choose(100, Outcome.UP)
    gathering.choose(105, Outcome.UP)
    trip = RoundTrip(
        MARKET.slug, Asset.BTC, Outcome.UP, 10, 5, 6, 0, 1, START_NS, START_NS, "sold", 500_000
    )
    gathering.collector.write(START_NS + 106 * NS_PER_SECOND, MARKET.slug, trip)
    for seconds in (110, 115, 135, 136, 141):
        gathering.choose(seconds)
    assert spans(gathering.settle(902)) == [5, 31, 5, 761]
    assert gathering.collector.take().trips == 0


def test_held_entries_are_waited_for(gathering: Gathering) -> None:
    gathering.choose(100)
    gathering.held = "a losing streak"
    gathering.choose(105)
    gathering.choose(110, Outcome.UP)
    gathering.held = ""
    gathering.choose(120)
    assert spans(gathering.settle(902)) == [10, 10, 782]


def test_rewards_are_the_change_of_equity(gathering: Gathering) -> None:
    """Over the capital; their sum is what was realised, whatever was left out in between."""
    gathering.choose(100)
    gathering.choose(105, Outcome.UP)
    gathering.books.realised_micros = -250_000
    gathering.choose(115)
    gathering.choose(800)
    gathering.books.realised_micros = 750_000
    rewards = [step.reward for step in gathering.settle(902)]
    assert sum(rewards) == pytest.approx(0.075)
    assert rewards[1] == pytest.approx(-0.025 - rewards[0])


def test_a_capital_must_be_money() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Collector(Terms(capital_micros=0))
