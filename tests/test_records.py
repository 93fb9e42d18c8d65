"""Every kind of journal row reads back as it was written."""

from __future__ import annotations

import math
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import KIND_OF_TYPE, TYPE_OF_KIND, decode_body, encode_body
from helpers.domain import Body, Rejected, StrikeSeen
from tests.journal_samples import EVERY_BODY, decision, refused


def test_registry_is_one_to_one_and_names_every_body() -> None:
    """No body is left out, and no two share a name."""
    assert set(TYPE_OF_KIND.values()) == set(get_args(Body))
    assert {KIND_OF_TYPE[body]: body for body in KIND_OF_TYPE} == TYPE_OF_KIND


def test_samples_cover_every_kind() -> None:
    """The round trip below leaves no kind out (I17)."""
    assert {type(body) for body in EVERY_BODY} == set(KIND_OF_TYPE)


@pytest.mark.parametrize("body", EVERY_BODY, ids=lambda body: KIND_OF_TYPE[type(body)])
def test_every_kind_round_trips(body: Body) -> None:
    """A body reads back equal, whatever its kind (I17)."""
    kind = KIND_OF_TYPE[type(body)]
    assert decode_body(kind, encode_body(body)) == body


@given(st.text(), st.floats(allow_nan=False))
def test_any_text_and_any_float_round_trip(text: str, number: float) -> None:
    """A venue's words and a float without a JSON form both survive."""
    rejected = Rejected(intent_id="i", order_id="o", reason=text, at_ns=1)
    assert decode_body("rejected", encode_body(rejected)) == rejected
    refusal = refused(1.0, found=number)
    assert decode_body("refused", encode_body(refusal)) == refusal


def test_an_infinite_age_beside_text_that_looks_like_its_mark_round_trips() -> None:
    """Text from outside is never taken for a number."""
    first = refused(1.0, found=math.inf)
    second = refused(1.0, found='{"#float":"inf"} null')
    assert decode_body("refused", encode_body(first)) == first
    assert decode_body("refused", encode_body(second)) == second


def test_broken_text_costs_its_broken_characters_only() -> None:
    """Half a surrogate pair in a venue's answer does not lose the row."""
    broken = Rejected(intent_id="i", order_id="o", reason="no \ud800 é", at_ns=1)
    read = decode_body("rejected", encode_body(broken))
    assert read == Rejected(intent_id="i", order_id="o", reason="no ? é", at_ns=1)


def test_not_a_number_reads_back_as_not_a_number() -> None:
    """A NaN that reached a decision is kept for the post-mortem."""
    body = msgspec.structs.replace(decision(), value=math.nan)
    read = decode_body("decision", encode_body(body))
    assert math.isnan(getattr(read, "value", 0.0))


def test_unknown_kind_is_none_and_a_wrong_body_raises() -> None:
    """An unknown kind is survived; a known kind with a foreign body is damage."""
    assert decode_body("telepathy", b"{}") is None
    with pytest.raises(msgspec.ValidationError):
        decode_body("strike_seen", b'{"price":"high"}')


def test_new_keys_of_a_newer_version_are_ignored() -> None:
    """An older worker reads a newer journal."""
    text = b'{"price":1.5,"rung":"venue_twap","colour":"red"}'
    assert isinstance(decode_body("strike_seen", text), StrikeSeen)
