"""One seeded run of the whole live side against the simulated exchange, with faults and crashes.

Real HTTP and WebSocket servers on simulated time; the flow (board, features, policy, gate, ledger,
executor) is the worker's own. Only the market data is fed by hand (``live_venue``). What is drawn
from the seed is in ``live_plan``; what the run must end with is asserted by ``live_check``.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import tempfile
from pathlib import Path

from db.journal import Journal
from db.recovery import read_left_behind
from helpers import logs
from helpers.clob.eip712 import DEPOSIT_WALLET, OrderSigner
from helpers.clob.wallets import derive_wallets
from helpers.commands.composition import Flow, build_flow, run_started
from helpers.commands.live_side import LiveSide
from helpers.domain import (
    NS_PER_SECOND,
    Connected,
    FastSourceChosen,
    HoldCause,
    Market,
    MarketOpened,
    Mode,
    Outcome,
    Source,
)
from simulator.faults import FaultSchedule
from simulator.simulated_loop import LoopClock, SimulatedLoop
from tests.chaos.live_check import ChaosError, Outcomes, check
from tests.chaos.live_plan import (
    CALM_SECONDS,
    CLAIM_SECONDS,
    HAND_SECONDS,
    REST_SECONDS,
    START_NS,
    TRADING_SECONDS,
    drawn_faults,
    settings_of,
)
from tests.chaos.live_venue import LiveVenue, resolution


class LiveRun:
    """The venue, and one worker after the other."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.rng = random.Random(f"chaos/{seed}")
        self.folder = folder
        self.loop = SimulatedLoop()
        self.clock = LoopClock(self.loop, START_NS)
        key = hashlib.sha256(f"chaos {seed}".encode()).hexdigest()
        own = derive_wallets(OrderSigner(key, "0x" + "00" * 20, 0).address)
        kind = self.rng.choice((0, 1, 2, DEPOSIT_WALLET))
        wallet = (own.eoa, own.proxy, own.safe, own.deposit_beacon)[kind]
        self.signer = OrderSigner(key, wallet, kind)
        self.schedule = FaultSchedule(drawn_faults(self.rng), seed, START_NS, self.clock.now_ns)
        lag_ns = self.rng.choice((0, 2, 10)) * NS_PER_SECOND
        self.settings = settings_of(self.rng, seed, folder, key, self.signer)
        self.venue = LiveVenue(seed, self.rng, self.clock, self.schedule, self.signer, lag_ns)
        self.venue.on_step = self._feed
        self.venue.on_resolved = self._tell_resolution
        self.flow: Flow | None = None
        self.live: LiveSide | None = None
        self.restarts = 0

    # --- What the flow sees ---------------------------------------------------------------------

    def _feed(self, now_ns: int) -> None:
        flow = self.flow
        if flow is None:
            return
        for market in self.venue.markets:
            for event in self.venue.news(market, now_ns):
                flow.engine.on_event(event)
        flow.engine.advance(now_ns)

    def _tell_resolution(self, market: Market, winner: Outcome, now_ns: int) -> None:
        if self.flow is not None:
            self.flow.engine.on_event(resolution(market, winner, now_ns))

    # --- Workers --------------------------------------------------------------------------------

    async def work(self, seconds: float, *, crash: bool) -> None:
        """Run one worker for a while, and stop it in order or kill it."""
        now_ns = self.clock.now_ns()
        with Journal.open_run(self.folder, Mode.LIVE, now_ns, background=True) as journal:
            left = read_left_behind(self.folder, Mode.LIVE, self.signer.wallet)
            live = self.live = LiveSide(
                self.settings,
                self.signer,
                self.clock,
                self.venue.servers.venues(),
                random.Random(f"salts/{self.seed}/{self.restarts}"),
                left,
                self.venue.redeem,
                self.venue.merge,
            )
            flow = build_flow(
                self.settings, Mode.LIVE, journal, allow_cold=True, trading=live.trading()
            )
            self._begin(flow, live, now_ns)
            running = self.loop.create_task(live.run())
            ended = self.loop.create_task(asyncio.sleep(seconds))
            await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            if crash:
                journal._buffer.clear()  # what a killed process had not handed over
                self.flow = None
            else:
                await self._rest(flow, live)
                await live.stop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self.flow = None

    async def _rest(self, flow: Flow, live: LiveSide) -> None:
        """Decide nothing more, and let what is on its way arrive: the end must be exact."""
        flow.engine.halts.hold_entries(HoldCause.STOPPING, "the run is over", self.clock.now_ns())
        self.flow = None
        await asyncio.sleep(REST_SECONDS)
        until = self.loop.time() + CLAIM_SECONDS
        while live.claims.owed() and self.loop.time() < until:
            await asyncio.sleep(1.0)

    def _begin(self, flow: Flow, live: LiveSide, now_ns: int) -> None:
        engine = flow.engine
        started = run_started(self.settings, flow.strategy, f"chaos-{self.seed}", "")
        flow.outlets.write(now_ns, "", started)
        live.attach(flow, engine.advance)
        for source in (Source.BINANCE_PUBLIC, Source.POLYMARKET_MARKET):
            engine.on_event(Connected(source, now_ns))
        for market in self.venue.markets:
            engine.on_event(FastSourceChosen(market.asset, Source.BINANCE_PUBLIC, now_ns))
            engine.on_event(MarketOpened(market, now_ns))
            state = self.venue.exchange.market(market.condition_id)
            if state.winner is not None:
                engine.on_event(resolution(market, state.winner, now_ns))
        self.flow = flow

    async def play(self) -> None:
        """Trade through the faults, crash or not, then calm down and stop."""
        await self.venue.servers.start()
        driving = self.loop.create_task(self.venue.drive())
        try:
            left = TRADING_SECONDS
            while left > 5 and self.rng.random() < 0.6:
                seconds = self.rng.uniform(0.5, left)
                await self.work(seconds, crash=self.rng.random() < 0.7)
                self.restarts += 1
                left -= seconds
                if self.venue.meddle():
                    await asyncio.sleep(HAND_SECONDS)
            await self.work(left + CALM_SECONDS, crash=False)
        finally:
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)
            await self.venue.servers.stop()


def run_one(seed: int) -> Outcomes:
    """Play one seed and assert how it ended; raises ``ChaosError``."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    clock_lines = None
    try:
        run = LiveRun(seed, folder)
        clock_lines = logs.configure(
            clock=run.clock, level="error", json_lines=True, directory=folder, quiet=True
        )
        with asyncio.Runner(loop_factory=lambda: run.loop) as runner:
            runner.run(run.play())
        return check(run)
    except Exception as error:
        raise ChaosError(
            f"seed {seed}: {type(error).__name__}: {error}\n"
            f"again: uv run python -m tests.chaos.live --seed {seed} --runs 1 --verbose"
        ) from error
    finally:
        if clock_lines is not None:
            clock_lines.close()
        shutil.rmtree(folder)
