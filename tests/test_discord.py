"""The sender against a simulated Discord: limits, outage, a webhook that is gone, bursts (U13)."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Iterator

import httpx
import pytest

from helpers import logs
from helpers.clock import SimulatedClock, monotonic_seconds
from helpers.discord import ROWS_MAXIMUM, DiscordAlerts, SenderLimits
from helpers.domain import (
    AlertKind,
    AlertOutcome,
    AlertSent,
    AlertSeverity,
    Body,
    BookHealth,
    Decision,
    Equity,
    LedgerConflict,
    Mode,
    Outcome,
    RunStopped,
    Unknown,
)
from tests.discord_world import STOPPED, DiscordWorld, simulated
from tests.journal_samples import EVERY_BODY, RUN_STARTED, SLUG, at, fill, refused

DELIVERED, MERGED = AlertOutcome.DELIVERED, AlertOutcome.MERGED
DROPPED, FAILED = AlertOutcome.DROPPED, AlertOutcome.FAILED
INFO, WARNING, CRITICAL = AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    made = io.StringIO()
    clock = SimulatedClock()
    lines = logs.configure(clock=clock, json_lines=True, directory=None, stream=made)
    yield made
    lines.close()


def events(stream: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


def burst(alerts: DiscordAlerts, infos: int, warnings: int, criticals: int, start: int = 0) -> None:
    """Write rows that are that many alerts, mixed."""
    rows: list[Body] = [fill(float(start + n), trade_id=f"t{start + n}") for n in range(infos)]
    rows += [BookHealth(f"m-{start + n}", Outcome.UP, "degraded", 31.0) for n in range(warnings)]
    rows += [Unknown("i", f"0x{start + n}", "timeout", 1) for n in range(criticals)]
    random.Random(3).shuffle(rows)
    for body in rows:
        alerts.write(at(0), SLUG if not isinstance(body, BookHealth) else body.market, body)


async def settled(world: DiscordWorld, count: int, seconds: float = 600.0) -> float:
    """Wait until so many alerts have ended; return how long it took, in simulated seconds."""
    began = monotonic_seconds()
    async with asyncio.timeout(seconds):
        while len(world.sent) < count:
            await asyncio.sleep(0.05)
    return monotonic_seconds() - began


def test_a_row_becomes_a_message_and_its_end_a_row(stream: io.StringIO) -> None:
    """Delivered: stored by Discord, with its number; mode in the title."""

    async def scenario(world: DiscordWorld) -> None:
        alerts = world.alerts(Mode.LIVE)
        async with alerts.running():
            alerts.write(at(0), "", RUN_STARTED)
            await settled(world, 1)
            await alerts.finish(STOPPED, failed=False)
        assert world.titles == ["LIVE · started", "LIVE · stopped: the test is over"]
        started = world.sent[0]
        assert isinstance(started, AlertSent)
        assert (started.number, started.kind, started.outcome) == (1, AlertKind.STARTED, DELIVERED)
        assert (started.message_id, started.tries, started.made_ns) == ("1", 1, at(0))
        assert [m.allowed_mentions.parse for m in world.webhook.messages] == [(), ()]
        assert alerts.outcomes == {DELIVERED: 2}

    simulated(scenario)
    assert not stream.getvalue()


def test_a_burst_of_500_is_merged_and_the_least_important_dropped(stream: io.StringIO) -> None:
    """All 30 critical and 100 warnings arrive, and the newest 136 of 370 infos.

    The queue holds 256, and ten are on their way before the rest is read.

    Most important first, ten a message, two seconds apart, and Discord never had to refuse one.
    """

    async def scenario(world: DiscordWorld) -> None:
        alerts = world.alerts()
        async with alerts.running():
            burst(alerts, 370, 100, 30)
            seconds = await settled(world, 500)
            await alerts.finish(STOPPED, failed=False)
        assert world.count(DELIVERED, CRITICAL) == 30
        assert world.count(DELIVERED, WARNING) == 100 + 1
        assert world.count(DELIVERED, INFO) == 136
        assert world.count(DROPPED) == world.count(DROPPED, INFO) == 234
        assert world.count(FAILED) == world.count(MERGED) == 0
        assert [len(m.embeds) for m in world.webhook.messages] == [10] * 26 + [6, 1]
        assert all("❗" in title for title in world.titles[:30])
        assert 50 <= seconds < 56
        assert set(world.webhook.answers) == {200}

    simulated(scenario)


def test_limits_are_obeyed_as_discord_tells_them(stream: io.StringIO) -> None:
    """A 429 is waited out, then tried again; everywhere or here. Without a spacing of our own the
    headers alone keep us within the bucket, and the hidden limit of a minute is a 429 like others.
    """

    async def scenario(world: DiscordWorld) -> None:
        world.webhook.limit_next(2, 7.5, everywhere=True)
        alerts = world.alerts(limits=SenderLimits(spacing_seconds=0.0, queue=1_000))
        async with alerts.running():
            alerts.write(at(0), "", RUN_STARTED)
            first = await settled(world, 1)
            assert 15 <= first < 15.5
            assert world.sent[0].tries == 3
            burst(alerts, 0, 395, 0)
            rest = await settled(world, 396)
            assert 60 <= rest < 75
            await alerts.finish(STOPPED, failed=False)
        assert world.count(DELIVERED) == 397
        # The headers keep us within the bucket; the limit of a minute is told by refusals.
        assert world.webhook.answers == {429: 2 + 2, 200: 42}

    simulated(scenario)
    limited = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in limited] == ["discord_limited"] * 4
    assert limited[0]["why"] == "HTTP 429, everywhere"


def test_an_outage_of_an_hour_loses_nothing_critical(stream: io.StringIO) -> None:
    """Tried again with growing pauses, told once, caught up on return: what mattered most is there,
    memory stayed bounded, and something critical overtook what had waited.
    """

    async def scenario(world: DiscordWorld) -> None:
        world.webhook.away_status = 503
        alerts = world.alerts()
        async with alerts.running():
            burst(alerts, 200, 60, 20)
            await asyncio.sleep(1_800)
            burst(alerts, 200, 0, 20, start=1_000)
            await asyncio.sleep(1_800)
            assert world.count(DELIVERED) == 0
            tries = world.webhook.answers[503]
            assert 60 <= tries <= 90
            world.webhook.away_status = 0
            await settled(world, 500)
            await alerts.finish(STOPPED, failed=False)
        assert world.count(DELIVERED, CRITICAL) == 40
        assert world.count(DELIVERED, WARNING) == 60 + 1
        assert world.count(DELIVERED) + world.count(DROPPED) == 501
        assert world.count(DROPPED, INFO) == 244
        assert all("❗" in title for title in world.titles[:40])

    simulated(scenario)
    assert events(stream) == ["discord_unavailable", "discord_answered"]


def test_a_cut_connection_is_an_outage_that_names_no_address(stream: io.StringIO) -> None:
    """U14: whoever has the address can write to the channel, and an HTTP error quotes it."""

    async def scenario(world: DiscordWorld) -> None:
        await world.server.stop()
        alerts = world.alerts()
        async with alerts.running():
            alerts.write(at(0), "", RUN_STARTED)
            await asyncio.sleep(30)
            began = monotonic_seconds()
            await alerts.finish(STOPPED, failed=False)
            assert monotonic_seconds() - began == pytest.approx(5.0, abs=0.1)
        assert [one.outcome for one in world.sent] == [FAILED] * 2
        assert {one.detail for one in world.sent} == {"the run ended first"}
        told = stream.getvalue() + repr(world.sent) + repr(vars(alerts)["_log"])
        assert world.url not in told
        assert "simulated-webhook" not in told

    simulated(scenario)
    assert events(stream) == ["discord_unavailable", "discord_not_flushed"]


@pytest.mark.parametrize("how", ["gone", "unauthorised"])
def test_a_webhook_that_is_gone_is_left_alone(how: str, stream: io.StringIO) -> None:
    """One request, one line; what is told from then on is written down as failed. Trading hears
    nothing of it.
    """

    async def scenario(world: DiscordWorld) -> None:
        world.webhook.gone = how == "gone"
        if how == "unauthorised":
            world.url += "x"
        alerts = world.alerts()
        async with alerts.running():
            burst(alerts, 20, 5, 5)
            await settled(world, 30)
            burst(alerts, 3, 0, 0, start=100)
            await settled(world, 33)
            await asyncio.sleep(100)
            await alerts.finish(STOPPED, failed=True)
        assert world.count(FAILED) == len(world.sent) == 34
        assert world.sent[0].detail.startswith("HTTP 404" if how == "gone" else "HTTP 401")
        assert world.webhook.answers.total() == 1

    simulated(scenario)
    assert events(stream) == ["discord_gone"]


def test_one_refused_embed_does_not_take_the_others_with_it(stream: io.StringIO) -> None:
    """A message that Discord will not take is sent again, one alert at a time."""

    async def scenario(world: DiscordWorld) -> None:
        refusing = _Refusing("0x2")
        alerts = DiscordAlerts(
            world.url, Mode.PAPER, world.clock, random.Random(1), world.sent.append,
            client=lambda: httpx.AsyncClient(transport=refusing),
        )  # fmt: skip
        async with alerts.running():
            burst(alerts, 0, 0, 4)
            await settled(world, 4)
            await alerts.finish(STOPPED, failed=False)
        assert world.count(DELIVERED) == 4
        assert [one.detail for one in world.sent if one.outcome is FAILED] == ["HTTP 400"]

    simulated(scenario)
    assert events(stream) == ["discord_refused"]


class _Refusing(httpx.AsyncBaseTransport):
    """Answers 400 to whatever holds a word."""

    def __init__(self, word: str) -> None:
        self._word = word.encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        return httpx.Response(400 if self._word in body else 200, content=b"{}")


def test_the_end_waits_five_seconds_at_most_and_for_what_matters_first(
    stream: io.StringIO,
) -> None:
    """A limit that lasts longer than the flush: failed, and written down, and the run ends."""

    async def scenario(world: DiscordWorld) -> None:
        alerts = world.alerts()
        async with alerts.running():
            alerts.write(at(0), "", RUN_STARTED)
            await settled(world, 1)
            burst(alerts, 35, 0, 0)
            began = monotonic_seconds()
            await alerts.finish(STOPPED, failed=True)
            # Our own spacing is for people; Discord's limits allow four more messages at once.
            assert monotonic_seconds() - began < 1.0
            assert world.titles[1].startswith("PAPER · ❗ stopped")
            assert world.count(DELIVERED) == 37
        second = world.alerts()
        world.webhook.limit_next(1, 30.0)
        async with second.running():
            began = monotonic_seconds()
            await second.finish(STOPPED, failed=False)
            assert monotonic_seconds() - began == pytest.approx(5.0, abs=0.1)
        assert world.count(FAILED) == 1

    simulated(scenario)


def test_what_was_not_told_yet_is_told_at_the_end(stream: io.StringIO) -> None:
    """Refusals wait five minutes for company, and the end does not."""

    async def scenario(world: DiscordWorld) -> None:
        alerts = world.alerts()
        async with alerts.running():
            for n in range(7):
                alerts.write(at(n / 10), SLUG, refused(n / 10))
            await alerts.finish(STOPPED, failed=False)
        assert world.titles[1] == "PAPER · 7 entries refused in 1 min"
        assert [one.count for one in world.sent] == [1, 7]

    simulated(scenario)


def test_an_error_of_ours_ends_the_alerts_and_nothing_else(stream: io.StringIO) -> None:
    """What goes wrong here is told in the log, and the body goes on."""

    def full(_: AlertSent) -> None:
        raise OSError("disk full")

    async def scenario(world: DiscordWorld) -> None:
        alerts = DiscordAlerts(world.url, Mode.PAPER, world.clock, random.Random(1), full)
        went_on = False
        async with alerts.running():
            alerts.write(at(0), "", RUN_STARTED)
            await asyncio.sleep(10)
            went_on = True
            alerts.write(at(1), "", RUN_STARTED)
            await alerts.finish(STOPPED, failed=False)
        assert went_on

    simulated(scenario)
    assert events(stream) == ["discord_alerts_ended"]


def test_rows_are_remembered_and_nothing_more() -> None:
    """Trading only appends: what is of no interest is not kept, frequent kinds have a bound."""
    alerts = DiscordAlerts(
        "http://127.0.0.1:9/x", Mode.PAPER, SimulatedClock(), random.Random(1), _never
    )
    alerts.write(at(0), SLUG, next(body for body in EVERY_BODY if isinstance(body, Decision)))
    for n in range(ROWS_MAXIMUM + 5):
        alerts.write(at(n), "", Equity(0, 0, 0, 0))
    alerts.write(at(0), "", LedgerConflict("what matters is kept beyond it"))
    alerts.commit()
    assert alerts.rows_left_out == 5


def _never(_: AlertSent) -> None:
    raise AssertionError("nothing is sent before it runs")


def test_an_own_row_is_no_news() -> None:
    """An alert's end is a row, and must not become an alert."""
    sent = next(body for body in EVERY_BODY if isinstance(body, AlertSent))

    async def scenario(world: DiscordWorld) -> None:
        alerts = world.alerts()
        async with alerts.running():
            alerts.write(at(0), "", sent)
            await asyncio.sleep(5)
            assert not world.sent
            await alerts.finish(RunStopped("over", 0, 0, 0, 0, 0), failed=False)

    simulated(scenario)


def test_the_day_comes_with_its_picture(stream: io.StringIO) -> None:
    """Drawn by a child process, attached, and alone in its message; without the library the text
    alone, and one line.
    """
    pytest.importorskip("matplotlib", reason="the pictures group is not installed")

    async def scenario(world: DiscordWorld) -> None:
        alerts = world.alerts()
        async with alerts.running():
            for minute in range(30):
                alerts.write(at(2.0 * minute - 60), "", Equity(0, minute * 10_000, 0, 0))
            await settled(world, 1, 90)
            await alerts.finish(STOPPED, failed=False)
        summary = world.webhook.messages[0]
        assert summary.embeds[0].image.url == "attachment://profit.png"
        assert summary.files[0].startswith(b"\x89PNG\r\n")

    simulated(scenario, at(-60))  # the sample market opens at midnight
    assert not stream.getvalue()
