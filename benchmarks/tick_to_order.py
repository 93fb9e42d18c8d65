"""From a move of the fast market to order bytes at the HTTP client, while a learner works.

The whole live path on a real loop: frame parsed, board, features, both networks, size, gate,
journal row to disk, hash, signature. The learner is a process that takes gradient steps on the same
networks without a pause. What the venue answers is not measured: it finds no match for any order.

    uv run python -m benchmarks.tick_to_order
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import mlx.core as mx
import mlx.nn as nn
from msgspec.structs import replace

from benchmarks.signing import KEY
from db.journal import Journal
from helpers import logs
from helpers.board import Board
from helpers.clob.eip712 import DEPOSIT_WALLET, OrderSigner
from helpers.clob.messages import CancelReply, PostRejected, PostReply, SignedOrder
from helpers.clob.wallets import derive_wallets
from helpers.clob_executor import ClobExecutor
from helpers.clock import RealClock, pause_seconds, system_seconds
from helpers.commands.composition import Flow, Trading, build_flow
from helpers.commands.run import new_event_loop
from helpers.domain import (
    GRID_NS,
    MICROS,
    NS_PER_SECOND,
    Action,
    Decision,
    FastSourceChosen,
    Market,
    MarketOpened,
    MarketState,
    Mode,
    Source,
)
from helpers.execution import Executor
from helpers.feeds.ingest import Ingest
from helpers.ledger import Ledger
from helpers.live.orders import LiveOrders
from helpers.live.venue_mode import VenueMode
from helpers.order_rules import FAK_UNMATCHED_TEXT
from helpers.settings import load_settings
from helpers.stages import FeatureFunction, Outlet
from strategies.base import Strategy
from strategies.networks import Actor, Architecture
from tests.builders import a_market

TICKS: Final = 400
WARM_UP: Final = 40
PAUSE_SECONDS: Final = 0.02
P50_BUDGET_MS: Final = 2.0
P99_BUDGET_MS: Final = 5.0
LEARNER_NICENESS: Final = 10
"""A learner may take its time; an order may not."""
BATCH: Final = 64
STATES: Final = 5
FEATURES: Final = 18


class Gateway:
    """Notes when the bytes of an order arrive, and lets it meet nothing."""

    def __init__(self) -> None:
        self.arrived_seconds = 0.0
        self.came = asyncio.Event()

    async def post_order(self, signed: SignedOrder) -> PostReply:
        """Take an order."""
        assert signed.body, "an order has bytes"
        self.arrived_seconds = system_seconds()
        self.came.set()
        return PostReply(PostRejected(FAK_UNMATCHED_TEXT))

    async def cancel(self, order_ids: Sequence[str]) -> CancelReply:
        """Cancel nothing: no order of this run rests."""
        raise AssertionError(order_ids)


class Buying:
    """The learned policy's whole computation, whose answer is then always to buy."""

    def __init__(self, inner: Strategy) -> None:
        self._inner = inner
        self.name, self.model_id = inner.name, inner.model_id
        self.holds_to_resolution = inner.holds_to_resolution

    def decide(self, states: Sequence[MarketState]) -> Sequence[Decision]:
        """Decide, then want Up."""
        return [replace(decision, action=Action.BUY) for decision in self._inner.decide(states)]

    def forget(self, market: str) -> None:
        """Forget."""
        self._inner.forget(market)


def learn(stopping: Event, steps: Synchronized[int]) -> None:
    """Take gradient steps on an actor of the real size, in a process that gives way to others."""
    os.nice(LEARNER_NICENESS)
    actor = Actor(Architecture())
    states = mx.random.normal((BATCH, FEATURES))
    windows = mx.random.normal((BATCH, STATES * FEATURES))

    def loss(model: Actor) -> mx.array:
        return mx.mean(mx.square(model(states, windows)))

    step = nn.value_and_grad(actor, loss)
    while not stopping.is_set():
        _, gradients = step(actor)
        mx.eval(gradients)
        steps.value += 1


def quote(mid: float, number: int, at_ns: int) -> str:
    """Return a frame of the fast market."""
    stamp = at_ns // 1_000_000
    return json.dumps(
        {
            "stream": "btcusdt@bookTicker",
            "data": {
                "e": "bookTicker", "u": number, "s": "BTCUSDT", "b": f"{mid - 0.05:.2f}",
                "B": "5.1", "a": f"{mid + 0.05:.2f}", "A": "4.2", "T": stamp, "E": stamp,
            },
        }
    )  # fmt: skip


def book(market: Market, token: str, bid: int, at_ns: int) -> str:
    """Return a book of one token, bid in cents."""
    sides = {
        "bids": [{"price": f"{(bid - n) / 100:.2f}", "size": "300"} for n in range(5)],
        "asks": [{"price": f"{(bid + 1 + n) / 100:.2f}", "size": "300"} for n in range(5)],
    }
    head = {"market": market.condition_id, "asset_id": token, "hash": ""}
    stamp = {"timestamp": str(at_ns // 1_000_000), "event_type": "book"}
    return json.dumps({**head, **sides, **stamp})


class Bench:
    """The flow, and its ticks."""

    def __init__(
        self,
        folder: Path,
        listeners: tuple[Outlet, ...] = (),
        watched: Sequence[Callable[[FeatureFunction], FeatureFunction]] = (),
    ) -> None:
        self.clock = RealClock()
        self.gateway = Gateway()
        wallets = derive_wallets(OrderSigner(KEY, "0x" + "00" * 20, 0).address)
        signer = OrderSigner(KEY, wallets.deposit_beacon, DEPOSIT_WALLET)
        self.executor = ClobExecutor(
            signer, lambda: "key", self.gateway, LiveOrders(), VenueMode(posts_only=False),
            self.clock, lambda: self.clock.now_ns(),
        )  # fmt: skip
        settings = load_settings(
            _env_file=None, strategy="rl", order_rate_per_minute=600, journal_directory=folder
        )
        now_ns = self.clock.now_ns()
        self.journal = Journal.open_run(folder, Mode.LIVE, now_ns, background=True)
        trading = Trading(self._executor, Ledger(Mode.LIVE, 10_000 * MICROS), listeners)
        self.flow: Flow = build_flow(
            settings, Mode.LIVE, self.journal, allow_cold=True, trading=trading, watched=watched
        )
        self.flow.engine.strategy = Buying(self.flow.engine.strategy)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
        self.executor.attach(self.flow.outlets, lambda: self.flow.engine.advance(self.at_ns))
        self.market = a_market(
            opens_ns=now_ns - 10 * NS_PER_SECOND, closes_ns=now_ns + 7_200 * NS_PER_SECOND
        )
        self.ingest = Ingest()
        self.at_ns = now_ns
        self.mid = 60_000.0
        self._number = 0

    def _executor(self, _board: Board) -> Executor:
        return self.executor

    def frame(self, source: Source, raw: str) -> None:
        """Take one frame in, as a socket does."""
        for event in self.ingest.parse(source, raw, self.at_ns):
            self.flow.engine.on_event(event)

    async def tick(self) -> float:
        """Move the fast market by 2 basis points; return the milliseconds to order bytes."""
        self.at_ns += NS_PER_SECOND // 5
        for token, bid in ((self.market.up_token, 52), (self.market.down_token, 47)):
            self.frame(Source.POLYMARKET_MARKET, book(self.market, token, bid, self.at_ns))
        self.gateway.came.clear()
        self.mid *= 1.0002
        self._number += 1
        self.at_ns += 1_000_000
        raw = quote(self.mid, self._number, self.at_ns)
        began = system_seconds()
        self.frame(Source.BINANCE_PUBLIC, raw)
        async with asyncio.timeout(5.0):
            await self.gateway.came.wait()
        return (self.gateway.arrived_seconds - began) * 1000

    async def begin(self) -> None:
        """Open the market."""
        await asyncio.sleep(0)
        self.at_ns = self.clock.now_ns()  # answers carry the clock's time: ticks stay ahead of it
        self.flow.engine.on_event(
            FastSourceChosen(self.market.asset, Source.BINANCE_PUBLIC, self.at_ns)
        )
        self.flow.engine.on_event(MarketOpened(self.market, self.at_ns))
        self.frame(Source.BINANCE_PUBLIC, quote(self.mid, 0, self.at_ns))
        # A move within 20 ms after a grid step waits for them to pass: the first one must not.
        self.at_ns += NS_PER_SECOND - self.at_ns % GRID_NS + GRID_NS // 5
        self.flow.engine.advance(self.at_ns)

    async def run(self) -> list[float]:
        """Return the milliseconds of every tick."""
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.executor.run())
            await self.begin()
            found: list[float] = []
            for _ in range(WARM_UP + TICKS):
                await asyncio.sleep(PAUSE_SECONDS)
                found.append(await self.tick())
            running.cancel()
        return found[WARM_UP:]


def measured(*, learning: bool) -> tuple[list[float], int]:
    """Return the milliseconds of every tick, and the learner's steps meanwhile."""
    context = multiprocessing.get_context("spawn")
    stopping, steps = context.Event(), context.Value("q", 0)
    learner = context.Process(target=learn, args=(stopping, steps), daemon=True)
    with tempfile.TemporaryDirectory() as folder:
        if learning:
            learner.start()
            while not steps.value:
                pause_seconds(0.05)
        bench = Bench(Path(folder))
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(bench.run()), steps.value
        finally:
            stopping.set()
            if learning:
                learner.join()
            bench.journal.close()


def main() -> int:
    """Print the table; return 1 when a budget is missed with the learner running."""
    lines = logs.configure(clock=RealClock(), level="error", json_lines=True, directory=None)
    missed = False
    for learning in (False, True):
        found, steps = measured(learning=learning)
        found.sort()
        p50, p99 = statistics.median(found), found[int(0.99 * len(found))]
        what = f"learner running, {steps} steps" if learning else "no learner"
        sys.stdout.write(
            f"{what:<32} p50 {p50:.2f} ms (budget {P50_BUDGET_MS:g}), p99 {p99:.2f} ms "
            f"(budget {P99_BUDGET_MS:g}), worst {found[-1]:.2f} ms, {len(found)} orders\n"
        )
        missed = learning and (p50 > P50_BUDGET_MS or p99 > P99_BUDGET_MS)
    lines.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
