"""Embeds as Discord wants them, and what its answers mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.discord_queue import CHARACTERS_MAXIMUM
from helpers.discord_wire import (
    COLOURS,
    DESCRIPTION_MAXIMUM,
    TITLE_MAXIMUM,
    WAIT_SECONDS_MAXIMUM,
    WebhookAnswer,
    characters,
    embed,
    message,
    read_answer,
)
from helpers.discord_words import Meaning
from helpers.domain import AlertKind, Mode
from tests.discord_world import alert


def test_the_mode_is_in_the_title_and_in_the_colour() -> None:
    """Paper is grey, live is red, and nobody takes one for the other (I4)."""
    paper, live = embed(Mode.PAPER, alert()), embed(Mode.LIVE, alert())
    assert (paper["title"], live["title"]) == (
        "PAPER · entered BTC 15m up",
        "LIVE · entered BTC 15m up",
    )
    assert len(set(COLOURS.values())) == len(COLOURS) == 2 * len(Meaning)
    for (mode, _), colour in COLOURS.items():
        red, green, blue = colour >> 16, colour >> 8 & 255, colour & 255
        grey = max(red, green, blue) - min(red, green, blue) < 0x30
        assert grey == (mode is Mode.PAPER), hex(colour)


def test_nobody_is_rung_and_a_picture_is_named() -> None:
    """Mentions are off in every message."""
    plain = json.loads(message(Mode.PAPER, (alert(), alert())))
    assert plain["allowed_mentions"] == {"parse": []}
    assert len(plain["embeds"]) == 2
    pictured = json.loads(message(Mode.PAPER, (alert(),), picture=True))
    assert (
        pictured["embeds"][0]["image"]["url"]
        == "attachment://" + (pictured["attachments"][0]["filename"])
    )


def test_what_a_venue_says_is_text() -> None:
    """No link, no mention, no bold by somebody else's words."""
    shown = str(
        embed(Mode.LIVE, alert(text="[win](http://x) <@1> **now**\x1b\nnext"))["description"]
    )
    assert shown == "\\[win\\]\\(http://x\\) \\<\\@1\\> \\*\\*now\\*\\* \nnext"


def test_a_merged_alert_says_how_often() -> None:
    """Refusals say it in their own words."""
    twice = replace(alert(title="t" * 300), count=37)
    assert str(embed(Mode.PAPER, twice)["title"]).endswith("… (×37)")
    assert "×" not in str(embed(Mode.PAPER, replace(twice, kind=AlertKind.REFUSED))["title"])


@given(st.text(max_size=600), st.text(max_size=5_000), st.integers(1, 10**6))
def test_no_text_breaks_discords_limits(title: str, text: str, count: int) -> None:
    """Titles, descriptions and two of the longest together fit, counted in UTF-16 units."""
    one = replace(alert(title=title, text=text), count=count)
    shown = embed(Mode.PAPER, one)
    sizes = [len(str(shown[part]).encode("utf-16-le")) // 2 for part in ("title", "description")]
    assert sizes[0] <= TITLE_MAXIMUM
    assert sizes[1] <= DESCRIPTION_MAXIMUM
    assert characters(Mode.PAPER, one) == sum(sizes) <= CHARACTERS_MAXIMUM // 2
    json.loads(message(Mode.PAPER, (one,)))


LIMITED = b'{"message":"You are being rate limited.","retry_after":1.5,"global":true}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, b'{"id":"77"}', WebhookAnswer("stored", message_id="77")),
        (204, {}, b"", WebhookAnswer("stored")),
        (
            200,
            {"x-ratelimit-remaining": "1", "x-ratelimit-reset-after": "2"},
            b"<",
            WebhookAnswer("stored"),
        ),
        (
            200,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.25"},
            b"{}",
            WebhookAnswer("stored", wait_seconds=1.25),
        ),
        (
            200,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "nan"},
            b"",
            WebhookAnswer("stored"),
        ),
        (
            429,
            {"retry-after": "9"},
            LIMITED,
            WebhookAnswer("limited", "HTTP 429, everywhere", "", 1.5, everywhere=True),
        ),
        (429, {"retry-after": "7"}, b"<html>", WebhookAnswer("limited", "HTTP 429", "", 7.0)),
        (429, {}, b'{"retry_after":-4}', WebhookAnswer("limited", "HTTP 429", "", 30.0)),
        (429, {}, b'{"retry_after":0.001}', WebhookAnswer("limited", "HTTP 429", "", 0.5)),
        (
            429,
            {"x-ratelimit-global": "true"},
            b'{"retry_after":1e300}',
            WebhookAnswer(
                "limited", "HTTP 429, everywhere", "", WAIT_SECONDS_MAXIMUM, everywhere=True
            ),
        ),
        (
            404,
            {},
            b'{"message":"Unknown Webhook","code":10015}',
            WebhookAnswer("gone", "HTTP 404: Unknown Webhook (10015)"),
        ),
        (401, {}, b"", WebhookAnswer("gone", "HTTP 401")),
        (403, {}, b"error 1015", WebhookAnswer("unavailable", "HTTP 403", "", 600.0)),
        (400, {}, b"[" * 100_000, WebhookAnswer("refused", "HTTP 400")),
        (502, {}, b"", WebhookAnswer("unavailable", "HTTP 502")),
        (302, {}, b"", WebhookAnswer("refused", "HTTP 302")),
    ],
)
def test_what_an_answer_means(
    status: int, headers: dict[str, str], body: bytes, expected: WebhookAnswer
) -> None:
    """Waits are Discord's, within bounds; nonsense is no reason to hurry or to wait for ever."""
    assert read_answer(status, headers, body) == expected
