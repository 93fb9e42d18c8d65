"""A real server on a free port of loopback, and what a worker would publish to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from helpers.clock import system_seconds
from helpers.domain import Mode, OperatorVerb
from helpers.metrics import Distribution, Readings
from helpers.server.access import Access
from helpers.server.app import Asset, Health, Site
from helpers.server.control import ControlReply
from helpers.server.health import Condition, Pulse
from helpers.server.hub import Hub, Published
from helpers.server.serving import Serving, listen
from helpers.server.tally import BOUNDS_SECONDS, STAGES

TOKEN = "a-token-of-the-tests"
ASSETS = {
    "index.html": Asset(b"<!doctype html><title>page</title>", "text/html; charset=utf-8"),
    "app.js": Asset(b"1;", "text/javascript; charset=utf-8"),
}


def distribution(stage: str = "") -> Distribution:
    counts = tuple(range(len(BOUNDS_SECONDS) + 1))
    return Distribution(stage, BOUNDS_SECONDS, counts, 12.5)


def readings(**given: Any) -> Readings:
    """Return readings with a sample of everything."""
    values: dict[str, Any] = {
        "build": "b1", "mode": "paper", "strategy": "rl", "model": "m1",
        "started_seconds": 1.0, "now_seconds": 2.0, "simulated": False,
        "last_grid_step_seconds": 1.5,
        "frames": ((("binance.public",), 3.0),), "connected": ((("binance.public",), 1.0),),
        "last_frames": ((("binance.public",), 1.0),), "gaps": ((("gamma",), 1.0),),
        "skipped": ((("gamma",), 2.0),), "book_ages": ((("BTC",), 0.5),),
        "fast_ages": ((("BTC",), 0.1),), "decisions": ((("hold",), 9.0),),
        "refusals": ((("spread",), 2.0),), "unsized": ((("minimum",), 1.0),),
        "approved": ((("BTC", "entry"), 1.0),), "answers": ((("accepted",), 1.0),),
        "fills": ((("BTC", "matched"), 1.0),), "exits": ((("exit_timeout",), 1.0),),
        "trips": ((("BTC", "won"), 1.0),), "position_costs": ((("BTC",), 5.0),),
        "pnl": ((("realised",), -1.5),), "held": ((("operator",), 1.0),),
        "holds": ((("operator",), 1.0),), "requests": ((("halt",), 1.0),),
        "alerts": ((("delivered",), 1.0),), "shadow_windows": ((("momentum",), 1.0),),
        "updates": (((), 3.0),), "entropy_nats": (((), 0.9),), "kl_nats": (((), 0.01),),
        "stages": tuple(distribution(stage) for stage in STAGES), "lag": distribution(),
        "entries_allowed": True,
    }  # fmt: skip
    numbers: dict[str, Any] = {name: 7 for name in Readings.__struct_fields__ if name not in values}
    return Readings(**{**numbers, **values, **given})


def published(seq: int = 1, **given: Any) -> Published:
    values: dict[str, Any] = {
        "seq": seq,
        "view": b'{"seq":%d}' % seq,
        "history": b'{"equity":[],"trades":[]}',
        "readings": readings(),
        "failing": (),
        "at_seconds": system_seconds(),
    }
    return Published(**{**values, **given})


class Running(NamedTuple):
    """A server that runs, and a client of it."""

    hub: Hub
    pulse: Pulse
    serving: Serving
    client: httpx.AsyncClient
    asked: list[tuple[OperatorVerb, str]]
    port: int


@asynccontextmanager
async def running(
    *,
    token: str = TOKEN,
    host: str = "127.0.0.1",
    open_metrics: bool = False,
    alive_seconds: float = 15.0,
    publish: Callable[[int], Published] | None = published,
) -> AsyncGenerator[Running]:
    """Serve on loopback as if ``host`` had been set, publishing whatever is wanted at once."""
    hub, pulse = Hub(), Pulse(alive_seconds)
    asked: list[tuple[OperatorVerb, str]] = []

    async def ask(verb: OperatorVerb, reason: str) -> ControlReply:
        asked.append((verb, reason))
        await asyncio.sleep(0)
        return ControlReply(True, f"the worker did {verb}")

    async def worker() -> None:
        seq = 0
        while publish is not None:
            await asyncio.sleep(0.005)
            if hub.wanted:
                seq += 1
                hub.publish(publish(seq))

    access = Access(host, token or None, open_metrics=open_metrics)
    site = Site(
        hub, access, Health(Mode.PAPER, pulse), ask, ASSETS, lambda client: serving.cut(client)
    )
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    serving = Serving(site.app(), listener)
    await serving.start()
    async with asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(worker())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield Running(hub, pulse, serving, client, asked, port)
        publishing.cancel()
        hub.close()
        await serving.stop()


NOT_READY = (Condition("feeds_stale", "btc: up book is 31.0 s old"), Condition("halted", "me"))
