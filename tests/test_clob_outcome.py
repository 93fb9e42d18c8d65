"""What an answer to POST /order means, branch by branch of the ambiguity policy."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.clob.messages import Condition, PostAccepted, PostRejected, PostReply, PostUnknown
from helpers.clob.outcome import (
    RETRY_SECONDS_MAXIMUM,
    TEXT_CHARACTERS,
    Answer,
    post_reply,
    retry_after_seconds,
)

ORDER_ID = "0x" + "1a" * 32
NOW_SECONDS = 1_795_000_000
OWN = {
    "poly-ratelimit-tier": "Standard",
    "poly-ratelimit-remaining": "0",
    "poly-ratelimit-reset": str(NOW_SECONDS + 2),
}


def taken(**changed: object) -> bytes:
    """Return the body of an accepted order, with some fields changed."""
    body = {
        "success": True,
        "errorMsg": "",
        "orderID": ORDER_ID,
        "status": "live",
        "makingAmount": "",
        "takingAmount": "",
        "tradeIDs": [],
        "transactionsHashes": [],
    }
    return msgspec.json.encode(body | changed)


def meaning(status: int, body: bytes, headers: dict[str, str] | None = None) -> PostReply:
    """Return what an answer means for our order."""
    return post_reply(Answer(status, headers or {}, body), ORDER_ID, NOW_SECONDS)


def refused(text: str) -> bytes:
    """Return the venue's error body."""
    return msgspec.json.encode({"error": text})


def test_accepted_with_blank_amounts() -> None:
    """A resting order is accepted; blank amounts are unknown, not zero (I18)."""
    assert meaning(200, taken()) == PostReply(PostAccepted(ORDER_ID, "live", None, None, ()))


def test_accepted_with_amounts() -> None:
    """A match says what was paid and taken, and in which trades (I7)."""
    body = taken(status="matched", makingAmount="4.84", takingAmount="5.149", tradeIDs=["t"])
    expected = PostAccepted(ORDER_ID, "matched", 4_840_000, 5_149_000, ("t",))
    assert meaning(200, body).outcome == expected


@pytest.mark.parametrize("status", ["matched", "delayed", "unmatched", "something new"])
def test_every_status_is_kept(status: str) -> None:
    """A status is the caller's to judge, ``unmatched`` and unheard-of ones too (B.3)."""
    outcome = meaning(200, taken(status=status, makingAmount="0", takingAmount=0)).outcome
    assert outcome == PostAccepted(ORDER_ID, status, 0, 0, ())


def test_the_id_may_come_in_upper_case_and_without_trades() -> None:
    """Hex digits have two spellings; an absent list of trades is an empty one."""
    body = taken(orderID="0x" + "1A" * 32, tradeIDs=None)
    assert meaning(200, body).outcome == PostAccepted(ORDER_ID, "live", None, None, ())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (taken(success=False, orderID="", errorMsg="no"), "no"),
        (taken(success=True, orderID="", errorMsg="no"), "no"),
        (taken(success=False, orderID=""), "the venue answered success: false"),
    ],
)
def test_rejected_with_200(body: bytes, reason: str) -> None:
    """No id and a reason, or no success, is a rejection with that text."""
    assert meaning(200, body).outcome == PostRejected(reason)


def test_a_rejection_with_200_tells_the_condition() -> None:
    """What the text says of the account counts whatever the status code was."""
    text = "'0xab' address in closed only mode"
    reply = meaning(200, taken(success=False, orderID="", errorMsg=text))
    assert reply == PostReply(PostRejected(text), Condition.CLOSED_ONLY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b"{}",
        b"\xff\xfe",
        taken()[:-20],
        taken(orderID="0x" + "2b" * 32),
        taken(orderID=""),
        taken(orderID=None),
        taken(status=""),
        taken(success="true"),
        taken(success=False, errorMsg=""),
        taken(errorMsg="it is both"),
        taken(makingAmount="five"),
        taken(makingAmount="-1"),
        taken(takingAmount="nan"),
        taken(takingAmount="inf"),
        taken(takingAmount="1e305"),
        taken(tradeIDs=[1]),
        taken(success=False, orderID="", errorMsg=f"order {ORDER_ID} is invalid. Duplicated."),
        pytest.param(b'{"success":true,"x":' + b"[" * 100_000, id="deep"),
    ],
)
def test_unreadable_or_contradictory_200_is_unknown(body: bytes) -> None:
    """Malformed, incomplete, of another order, or both yes and no: nobody knows (I20)."""
    outcome = meaning(200, body).outcome
    assert isinstance(outcome, PostUnknown)
    assert outcome.reason


@pytest.mark.parametrize(
    ("status", "text", "condition"),
    [
        (400, "not enough balance / allowance", Condition.NONE),
        (400, "no orders found to match with FAK order.", Condition.NONE),
        (400, "invalid post-only order: order crosses book", Condition.NONE),
        (400, "order_version_mismatch", Condition.VERSION_MISMATCH),
        (400, "'0xab' address banned", Condition.BANNED),
        (400, "'0xab' address in closed only mode", Condition.CLOSED_ONLY),
        (
            400,
            "the order signer address has to be the address of the API KEY",
            Condition.BAD_CREDENTIALS,
        ),
        (
            400,
            "the order owner has to be the owner of the API KEY",
            Condition.BAD_CREDENTIALS,
        ),
        (401, "Unauthorized/Invalid api key", Condition.BAD_CREDENTIALS),
        (401, "something", Condition.BAD_CREDENTIALS),
        (403, "Trading restricted in your region", Condition.RESTRICTED),
        (403, "error code: 1010", Condition.FIREWALL),
        (404, "not found", Condition.NONE),
    ],
)
def test_4xx_is_a_rejection(status: int, text: str, condition: Condition) -> None:
    """Any 4xx but 425 and the front's 429 is definite, with the venue's words (B.4)."""
    assert meaning(status, refused(text)) == PostReply(PostRejected(text), condition)


def test_duplicated_is_unknown() -> None:
    """Who sends once and hears ``Duplicated`` knows that the venue has it."""
    reply = meaning(400, refused(f"order {ORDER_ID} is invalid. Duplicated."))
    assert isinstance(reply.outcome, PostUnknown)


@pytest.mark.parametrize(
    ("status", "body", "condition", "wait_seconds"),
    [
        (500, refused("order timed out"), Condition.NONE, 0),
        (502, b"<html>bad gateway</html>", Condition.NONE, 0),
        (599, b"", Condition.NONE, 0),
        (425, refused("engine restarting"), Condition.RESTARTING, 0),
        (
            503,
            b'{"error":"post-only mode: only post-only orders and cancels are allowed",'
            b'"code":"post_only_mode","retry_after_seconds":90}',
            Condition.POST_ONLY,
            90,
        ),
        (
            503,
            refused("Trading is currently cancel-only. New orders are not accepted."),
            Condition.CANCEL_ONLY,
            0,
        ),
        (503, refused("Trading is currently disabled. Check"), Condition.DISABLED, 0),
        (429, refused("Too Many Requests"), Condition.RATE_LIMITED, 0),
        (204, b"", Condition.NONE, 0),
        (302, b"", Condition.NONE, 0),
    ],
)
def test_unknown_statuses(
    status: int, body: bytes, condition: Condition, wait_seconds: float
) -> None:
    """5xx with the 503 modes, 425, a header-less 429 and what is no answer are unknown (B.4)."""
    reply = meaning(status, body)
    assert isinstance(reply.outcome, PostUnknown)
    assert str(status) in reply.outcome.reason
    assert (reply.condition, reply.retry_after_seconds) == (condition, wait_seconds)


@pytest.mark.parametrize("name", list(OWN))
def test_429_of_the_venues_own_limiter_is_a_rejection(name: str) -> None:
    """Any one of its headers tells that the limiter, not the front, answered (B.4, B.6)."""
    reply = meaning(429, refused("Too Many Requests"), {name: OWN[name]})
    assert isinstance(reply.outcome, PostRejected)
    assert reply.condition is Condition.RATE_LIMITED


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b"", 0),
        ({"retry-after": "7"}, b"", 7),
        ({"retry-after": "1.5"}, b"", 1.5),
        ({"retry-after": "Wed, 18 Nov 2026 11:06:50 GMT"}, b"", 10),
        ({"retry-after": "Wed, 18 Nov 2026 11:06:30 GMT"}, b"", 0),
        ({"retry-after": "Wed, 18 Nov 2026 11:06:50"}, b"", 10),
        ({"retry-after": "soon"}, b"", 0),
        ({"retry-after": "\xb2"}, b"", 0),
        ({"retry-after": "-5"}, b"", 0),
        ({"retry-after": "9" * 400}, b"", RETRY_SECONDS_MAXIMUM),
        ({}, b'{"retry_after_seconds":90}', 90),
        ({}, b'{"retry_after_seconds":-90}', 0),
        ({"retry-after": "7"}, b'{"retry_after_seconds":90}', 90),
        (OWN, b"", 2),
        (OWN | {"poly-ratelimit-remaining": "-3.5"}, b"", 2),
        (OWN | {"poly-ratelimit-remaining": "5"}, b"", 0),
        (OWN | {"retry-after": "3"}, b"", 3),
    ],
)
def test_retry_after(headers: dict[str, str], body: bytes, seconds: float) -> None:
    """The longest of header, body and reset counts, bounded; what is unreadable is no wait."""
    assert retry_after_seconds(Answer(429, headers, body), NOW_SECONDS) == seconds


def test_words_of_another_make() -> None:
    """A body that is not the venue's JSON is quoted at its beginning; none is said to be none."""
    assert meaning(400, b"x" * 1_000).outcome == PostRejected("x" * TEXT_CHARACTERS)
    assert meaning(400, b"").outcome == PostRejected("(no body)")
    assert meaning(400, b"{}").outcome == PostRejected("(no text)")
    assert isinstance(meaning(400, b'{"x":' + b"[" * 100_000).outcome, PostRejected)


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=60) | st.sampled_from([taken(), refused("no")]),
    headers=st.dictionaries(
        st.sampled_from([*OWN, "retry-after"]),
        st.text(st.characters(max_codepoint=255), max_size=6),
    ),
)
def test_every_answer_is_sorted(status: int, body: bytes, headers: dict[str, str]) -> None:
    """No answer raises, only a 200 is accepted, no 5xx is definite, and waits are bounded."""
    reply = meaning(status, body, headers)
    assert status == 200 or not isinstance(reply.outcome, PostAccepted)
    if status >= 500 or status == 425:
        assert isinstance(reply.outcome, PostUnknown)
    assert 0 <= reply.retry_after_seconds <= RETRY_SECONDS_MAXIMUM
