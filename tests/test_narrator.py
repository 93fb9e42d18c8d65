"""Log lines of what happens: tagged, and merged where they repeat."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from msgspec.structs import replace

from db.records import TYPE_OF_KIND
from helpers.clock import SimulatedClock
from helpers.domain import (
    NS_PER_SECOND,
    Action,
    Approved,
    Decision,
    Mode,
    ModelChanged,
    Refused,
    RuleFailure,
    Side,
)
from helpers.logs import configure
from helpers.narrator import Narrator
from strategies.base import decision_from
from tests.builders import SLUG, a_state, an_intent
from tests.journal_samples import EVERY_BODY


class Note:
    """A history note."""

    history_depth = 5
    encoder_norm = 3.25


@pytest.fixture
def stream() -> io.StringIO:
    made = io.StringIO()
    configure(clock=SimulatedClock(), json_lines=True, directory=None, stream=made)
    return made


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def a_decision(action: Action = Action.HOLD) -> Decision:
    return decision_from(a_state(), action, (0.2, 0.5, 0.3), 0.1, "m", "why")


def refused(rule: str) -> Refused:
    return Refused(an_intent(), (RuleFailure(rule, 0.05, 0.07), RuleFailure("depth", 1.0, 0.0)), 0)


def test_an_unchanged_decision_is_told_at_an_interval(stream: io.StringIO) -> None:
    """The same answer twice a second is one line in 30 s; a new action is told at once."""
    narrator = Narrator(Mode.PAPER, lambda _market: Note())
    for second in range(40):
        narrator.write(second * NS_PER_SECOND, SLUG, a_decision())
    narrator.write(40 * NS_PER_SECOND, SLUG, a_decision(Action.BUY))
    told = [line for line in lines(stream) if line["tag"] == "RL"]
    assert [line["action"] for line in told] == ["HOLD", "HOLD", "BUY"]
    assert told[0]["entropy"] == pytest.approx(1.03, abs=0.001)
    temporal = [line for line in lines(stream) if line["tag"] == "TEMPORAL"]
    assert temporal[0]["depth"] == 5
    assert temporal[0]["norm"] == 3.25


def test_refusals_of_one_rule_are_merged(stream: io.StringIO) -> None:
    """A rule that goes on refusing is told with the number of lines merged."""
    narrator = Narrator(Mode.PAPER)
    for second in range(31):
        narrator.write(second * NS_PER_SECOND, SLUG, refused("spread"))
    narrator.write(31 * NS_PER_SECOND, SLUG, refused("book_age"))
    told = lines(stream)
    assert [(line["rule"], line.get("merged")) for line in told] == [
        ("spread", None),
        ("spread", 29),
        ("book_age", None),
    ]
    assert all(line["tag"] == "SAFETY" and line["also"] == "depth" for line in told)


@pytest.mark.parametrize(("mode", "tag"), [(Mode.PAPER, "PAPER"), (Mode.LIVE, "LIVE")])
def test_fills_carry_whose_money_it_was(stream: io.StringIO, mode: Mode, tag: str) -> None:
    """PAPER and LIVE are never mixed up (I4)."""
    narrator = Narrator(mode)
    fills = [body for body in EVERY_BODY if type(body).__name__ == "Fill"]
    for fill in fills:
        narrator.write(1, SLUG, fill)
    assert {line["tag"] for line in lines(stream)} <= {tag}


def test_an_ordered_exit_is_a_safety_line(stream: io.StringIO) -> None:
    """Entries are ORDER lines, exits SAFETY lines."""
    narrator = Narrator(Mode.PAPER)
    narrator.write(1, SLUG, Approved(an_intent(), 1))
    narrator.write(2, SLUG, Approved(an_intent(side=Side.SELL, opens=False), 2))
    assert [(line["tag"], line["event"]) for line in lines(stream)] == [
        ("ORDER", "order_approved"),
        ("SAFETY", "exit_ordered"),
    ]


def test_every_kind_of_record_can_be_told(stream: io.StringIO) -> None:
    """No record kind makes the narrator fail (I17)."""
    narrator = Narrator(Mode.REPLAY)
    told = {type(body) for body in EVERY_BODY}
    assert told == set(TYPE_OF_KIND.values())
    for body in EVERY_BODY:
        narrator.write(1, SLUG, body)
    assert lines(stream)


def test_a_change_of_the_model_is_an_rl_line_and_the_next_decision_names_it(
    stream: io.StringIO,
) -> None:
    """Unchanged or not: whoever reads on knows by which model it was decided."""
    narrator = Narrator(Mode.PAPER)
    narrator.write(1, SLUG, a_decision())
    narrator.write(2, "", ModelChanged("rolled_back", "old", "m", "old", "the first one"))
    narrator.write(3, SLUG, replace(a_decision(), model_id="old"))
    told = [(line["tag"], line["event"], line["model"]) for line in lines(stream)]
    assert told == [
        ("RL", "decision", "m"),
        ("RL", "model_rolled_back", "old"),
        ("RL", "decision", "old"),
    ]


def test_a_refused_model_is_a_safety_line(stream: io.StringIO) -> None:
    """It says what runs on, and decisions go on being merged."""
    narrator = Narrator(Mode.PAPER)
    narrator.write(1, SLUG, a_decision())
    narrator.write(2, "", ModelChanged("refused", "m", "m", "other", "a NaN"))
    narrator.write(3, SLUG, a_decision())
    _, line = lines(stream)
    assert (line["tag"], line["event"], line["level"]) == ("SAFETY", "model_refused", "error")
    assert (line["running"], line["offered"], line["why"]) == ("m", "other", "a NaN")
