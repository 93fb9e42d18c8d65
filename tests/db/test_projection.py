"""From journal rows to rows of tables, without a database."""

from __future__ import annotations

import msgspec
import pytest

from db.projection import Projection
from db.projection_tables import (
    CARRIED_FILLS,
    CARRIED_ORDERS,
    EVENT_COLUMNS,
    FILLS,
    MARKETS,
    ORDERS,
)
from db.records import KIND_OF_TYPE, Record
from helpers.domain import (
    FEATURE_NAMES,
    Body,
    Decision,
    FillStatus,
    Mode,
    Refused,
    RuleFailure,
    RunStarted,
    RunStopped,
)
from tests.journal_samples import EVERY_BODY, SLUG, STORY, at, fill, intent, records, refused


def projected(*bodies: Body, session: int = 7) -> Projection:
    """Return what bodies become, numbered from 1."""
    projection = Projection(session)
    for seq, body in enumerate(bodies, start=1):
        kind = KIND_OF_TYPE[type(body)]
        projection.add(Record(seq, at(seq), Mode.PAPER, SLUG, kind, body))
    return projection


@pytest.mark.parametrize("body", EVERY_BODY, ids=lambda body: KIND_OF_TYPE[type(body)])
def test_every_kind_has_a_place(body: Body) -> None:
    """No kind is left out, and every row fits its table's columns (I17)."""
    projection = projected(body)
    rows = [(table, row) for table, found in projection.events.items() for row in found]
    if not isinstance(body, RunStarted | RunStopped):
        assert rows
    for table, row in rows:
        assert len(row) == len(EVENT_COLUMNS[table]), table
        assert row[:2] == (7, 1)
    for table, things in projection.things.items():
        columns = {name for name, _ in table.columns}
        for key, words in things.items():
            assert len(key) == len(table.key)
            assert set(words) <= columns
    assert projection.session_words["heartbeat_ns"] == at(1)


def test_a_decision_keeps_everything_it_was_made_of() -> None:
    """What explains an entry is there: features, probabilities, best prices."""
    body = next(b for b in EVERY_BODY if isinstance(b, Decision))
    (row,) = projected(body).events["decisions"]
    told = dict(zip(EVENT_COLUMNS["decisions"], row, strict=True))
    assert told["action"] == "BUY"
    assert tuple(told[name] for name in FEATURE_NAMES) == body.features
    assert told["probability_buy"] == body.probabilities[1]
    assert told["forecast_up"] is None
    assert told["up_ask_micros"] == body.up_ask_micros


def test_a_refusal_by_several_rules_is_a_row_for_each() -> None:
    """The first one is the headline; a limit is a number or a word."""
    first = refused(5.0)
    body = msgspec.structs.replace(
        first, failures=(*first.failures, RuleFailure("mode", "paper", "an executor of real money"))
    )
    rows = projected(body).events["safety_events"]
    told = [dict(zip(EVENT_COLUMNS["safety_events"], row, strict=True)) for row in rows]
    assert [row["item"] for row in told] == [0, 1]
    assert (told[0]["limit_number"], told[0]["limit_text"]) == (0.03, None)
    assert (told[1]["limit_number"], told[1]["limit_text"]) == (None, "paper")


def test_a_refusal_without_a_rule_is_still_a_row() -> None:
    """Rows of each kind must equal the journal's."""
    body = Refused(intent(5.0), (), at(5.0))
    assert len(projected(body).events["safety_events"]) == 1


def test_a_story_becomes_two_orders_two_fills_and_a_market() -> None:
    """The latest word counts for a state, the first for when a trade was seen."""
    projection = Projection(1)
    for record in records(STORY):
        projection.add(record)
    entry = projection.things[ORDERS][intent(10.0).intent_id,]
    assert entry["state"] == "accepted"
    assert entry["approved_seq"] == 10
    assert len(projection.things[FILLS]) == 2
    assert projection.things[MARKETS][SLUG,]["strike"] == 66_100.5


def test_the_ladder_keeps_when_a_trade_was_first_seen() -> None:
    """MATCHED, then CONFIRMED: one trade at its latest rung."""
    first = fill(10.0, status=FillStatus.MATCHED, trade_id="t")
    later = msgspec.structs.replace(first, status=FillStatus.CONFIRMED, at_ns=at(12.0))
    projection = projected(first, later)
    (trade,) = projection.things[FILLS].values()
    assert trade["status"] == "CONFIRMED"
    assert (trade["first_ns"], trade["status_ns"]) == (at(10.0), at(12.0))
    assert len(projection.events["fill_events"]) == 2


def test_a_checkpoint_repeats_orders_and_trades_as_carried() -> None:
    """A database that never saw the earlier run still knows what they were."""
    projection = projected(*EVERY_BODY)
    assert all(words["carried"] for words in projection.things[CARRIED_ORDERS].values())
    assert all(words["carried"] for words in projection.things[CARRIED_FILLS].values())
    assert not any(words["carried"] for words in projection.things[FILLS].values())


def test_a_character_that_postgres_does_not_store_is_replaced() -> None:
    """A venue's text with a NUL must not cost the row, nor those after it."""
    (row,) = projected(refused(5.0, found="no\0good")).events["safety_events"]
    assert "no\ufffdgood" in row
