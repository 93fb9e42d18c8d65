"""A simulated Discord on a loop of simulated time, and alerts to send to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from helpers.discord import DiscordAlerts, SenderLimits
from helpers.discord_words import Alert, Meaning
from helpers.domain import (
    AlertKind,
    AlertOutcome,
    AlertSent,
    AlertSeverity,
    Mode,
    RunStopped,
)
from simulator.servers.discord import PATH, DiscordWebhook
from simulator.servers.serving import LoopbackServer
from simulator.servers.surroundings import Surroundings
from simulator.simulated_loop import LoopClock, SimulatedLoop
from tests.journal_samples import OPENS_NS

STOPPED = RunStopped("the test is over", 0, 0, 0, 0, 0)
_Result = TypeVar("_Result")


def alert(
    severity: AlertSeverity = AlertSeverity.INFO,
    title: str = "entered BTC 15m up",
    text: str = "shares: 9.4",
    merge_key: str = "",
    kind: AlertKind = AlertKind.ENTERED,
) -> Alert:
    """Return an alert."""
    return Alert(kind, severity, Meaning.NEUTRAL, title, text, OPENS_NS, merge_key)


class DiscordWorld:
    """The webhook, what was written down, and the time; inside ``simulated``."""

    def __init__(self, loop: SimulatedLoop, start_ns: int) -> None:
        self.clock = LoopClock(loop, start_ns)
        surroundings = Surroundings(self.clock.now_ns, lambda: None)
        self.webhook = DiscordWebhook(surroundings)
        self.server = LoopbackServer(self.webhook.app(), surroundings)
        self.url = f"http://{self.server.address}{PATH}"
        self.sent: list[AlertSent] = []

    def alerts(self, mode: Mode = Mode.PAPER, limits: SenderLimits | None = None) -> DiscordAlerts:
        """Return a sender to this webhook."""
        return DiscordAlerts(
            self.url, mode, self.clock, random.Random(1), self.sent.append, limits=limits
        )

    def count(self, outcome: AlertOutcome, severity: AlertSeverity | None = None) -> int:
        """Return how many alerts ended so."""
        return sum(
            one.outcome is outcome and (severity is None or one.severity is severity)
            for one in self.sent
        )

    @property
    def titles(self) -> list[str]:
        """Return the titles that Discord shows, in order."""
        return [embed.title for message in self.webhook.messages for embed in message.embeds]


def simulated(
    scenario: Callable[[DiscordWorld], Awaitable[_Result]], start_ns: int = OPENS_NS
) -> _Result:
    """Run a scenario with a served webhook; waiting takes no time."""
    loop = SimulatedLoop()
    world = DiscordWorld(loop, start_ns)

    async def play() -> _Result:
        await world.server.start()
        try:
            return await scenario(world)
        finally:
            await world.server.stop()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(play())
