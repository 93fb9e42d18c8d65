"""`doctor --alert`: every way a test message can end, and what mends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from helpers.clock import monotonic_seconds
from helpers.commands.alert_check import alert_row
from helpers.commands.checks import CheckRow
from helpers.settings import Settings, load_settings
from tests.discord_world import DiscordWorld, simulated


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def looked(
    arrange: Callable[[DiscordWorld], None], *, told: bool = True
) -> tuple[CheckRow, DiscordWorld, float]:
    """Return the row, the world it was looked at in, and how long that took."""

    async def scenario(world: DiscordWorld) -> tuple[CheckRow, DiscordWorld, float]:
        arrange(world)
        url = SecretStr(world.url) if told else None
        settings = load_settings(_env_file=None, discord_webhook_url=url)
        began = monotonic_seconds()
        return await alert_row(settings, world.clock), world, monotonic_seconds() - began

    return simulated(scenario)


def test_a_message_that_arrives_is_ok() -> None:
    """Mode in the title, nobody rung."""
    row, world, _ = looked(lambda _: None)
    assert (row.name, row.state, row.found) == ("alert", "ok", "a test message arrived (message 1)")
    assert world.titles == ["PAPER · test"]


def test_without_a_webhook_it_says_how_to_make_one() -> None:
    """Nothing is sent."""
    row, world, _ = looked(lambda _: None, told=False)
    assert (row.state, world.titles) == ("failed", [])
    assert "DISCORD_WEBHOOK_URL is not set" in row.found
    assert row.fix.startswith("make a webhook")


def test_a_short_limit_is_waited_for_and_a_long_one_told() -> None:
    """Ten seconds are for a person to wait, an hour is not."""
    row, _, seconds = looked(lambda world: world.webhook.limit_next(1, 4.0))
    assert (row.state, round(seconds)) == ("ok", 4)
    row, world, seconds = looked(lambda world: world.webhook.limit_next(9, 60.0))
    assert (row.state, round(seconds), world.titles) == ("failed", 0, [])
    assert "HTTP 429" in row.found


def _gone(world: DiscordWorld) -> None:
    world.webhook.gone = True


def _away(world: DiscordWorld) -> None:
    world.webhook.away_status = 503


@pytest.mark.parametrize(
    ("arrange", "found", "fix"),
    [
        (_gone, "HTTP 404: Unknown Webhook (10015)", "make a new webhook"),
        (_away, "HTTP 503", "check the network"),
    ],
)
def test_each_failure_has_its_fix(
    arrange: Callable[[DiscordWorld], None], found: str, fix: str
) -> None:
    """And none of them shows the address (U14)."""
    row, world, _ = looked(arrange)
    assert row.found == f"the test message was not taken: {found}"
    assert row.fix.startswith(fix)
    assert world.url not in repr(row)
