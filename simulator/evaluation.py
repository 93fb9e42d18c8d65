"""Strategies against the calibrated market, in process: what each earned in every whole window.

One world, several workers: paper orders never reach the simulated exchange, so all of them see the
same frames, each as if alone. The run begins as its first windows open and ends when the last of
them are resolved. Must not: let a strategy other than the oracle see the world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from helpers.clock import SimulatedClock
from helpers.commands.contenders import Contender
from helpers.commands.evaluating import EvaluationSettings, Field, quiet_logs
from helpers.domain import NS_PER_SECOND, Connected, FastSourceChosen, Source
from helpers.evaluation.windows import Gathered
from helpers.feeds.ingest import Ingest, encode_worker_event
from helpers.settings import Settings
from helpers.stages import Outlet
from simulator.delivery import Delivery
from simulator.fast_price import PriceSource
from simulator.in_process import CONNECTED, STEP_NS, WARM_UP_MINUTES
from simulator.oracle import Oracle
from simulator.windows import WINDOW_SECONDS, window_start_ns
from simulator.wire_transport import WireTransport
from simulator.world import World
from simulator.world_settings import RESOLUTION_SECONDS, Latencies, WorldSettings
from strategies.base import Strategy

RESOLUTION_WAIT_SECONDS: Final = 5.0
"""Beyond the slowest resolution: the frames that tell of it are on their way."""
ROUNDS_MAXIMUM: Final = 96
"""Windows of one length, one after the other, in one world: a day of quarter hours."""


class SimulatedRun:
    """A world, the workers in it, and the frames on their way to them."""

    def __init__(
        self,
        seed: int,
        rounds: int,
        named: Sequence[tuple[str, Contender]],
        settings: Settings,
        options: EvaluationSettings,
        *,
        world_settings: WorldSettings | None = None,
        latencies: Latencies | None = None,
        source: PriceSource | None = None,
        listeners: Callable[[str], Sequence[Outlet]] = lambda _: (),
        build: Callable[[Contender, Settings], Strategy] | None = None,
    ) -> None:
        """Build both sides; ``rounds`` is how many of the longest window follow each other.

        ``build`` makes the strategies in place of their names.

        Raises ``ValueError`` for rounds or a window length that cannot be simulated, and what a
        strategy's model raises when it cannot be loaded.
        """
        if not 1 <= rounds <= ROUNDS_MAXIMUM:
            raise ValueError(f"rounds were {rounds}, expected 1 to {ROUNDS_MAXIMUM}")
        lengths = settings.window_seconds()
        if not set(lengths) <= set(WINDOW_SECONDS):
            raise ValueError(f"window lengths were {lengths}, expected among {WINDOW_SECONDS}")
        base = world_settings or WorldSettings()
        longest = max(lengths)
        warm_up = max(base.model.warm_up_minutes, WARM_UP_MINUTES)
        model = msgspec.structs.replace(
            base.model, assets=settings.assets, window_seconds=lengths, warm_up_minutes=warm_up
        )
        start_ns = window_start_ns(base.start_ns, longest)
        self.world = World(
            seed, msgspec.structs.replace(base, model=model, start_ns=start_ns), source
        )
        self.ends_ns = start_ns + rounds * longest * NS_PER_SECOND
        slowest = max(RESOLUTION_SECONDS[length][1] for length in lengths)
        self._last_ns = self.ends_ns + round((slowest + RESOLUTION_WAIT_SECONDS) * NS_PER_SECOND)
        self._options = options
        self.field = Field(
            settings,
            f"seed {seed}",
            named,
            build or self._build,
            options,
            allow_cold=bool(options.allow_cold),
            listeners=listeners,
        )
        self._assets = settings.assets
        self._parse = Ingest().parse
        self._delivery = Delivery(latencies or Latencies(), self._deliver)
        self._transport = WireTransport(self.world, self._delivery.send)

    def play(self) -> tuple[Gathered, ...]:
        """Run to the end; return the windows that closed within the rounds, by contender."""
        self.begin()
        while self.step():
            pass
        found = self.field.finish(late_too=self._options.late_too)
        return tuple(self._whole(gathered) for gathered in found)

    def step(self) -> bool:
        """Let the world and then the workers come to the next step; say whether there are more."""
        step_ns = min(self.world.now_ns + STEP_NS, self._last_ns)
        self.world.advance(step_ns)
        self._delivery.deliver_until(step_ns)
        self.field.advance(step_ns)
        # Every board has seen the same frames, so every board doubts the same books.
        doubted = {t for flow in self.field.flows for t in flow.board.drain_suspects()}
        for token in sorted(doubted):
            self._transport.refetch(token, step_ns)
        return step_ns < self._last_ns

    def _whole(self, gathered: Gathered) -> Gathered:
        kept = tuple(row for row in gathered.results if row.closes_ns <= self.ends_ns)
        return msgspec.structs.replace(gathered, results=kept, unresolved=0)

    def _build(self, contender: Contender, settings: Settings) -> Strategy:
        if contender.is_oracle:
            return Oracle(self.world.model)
        return contender.build(settings)

    def begin(self) -> None:
        """Connect, choose the fast market and send its history."""
        now_ns = self.world.now_ns
        for source in CONNECTED:
            self._tell(Connected(source, now_ns))
        for asset in self._assets:
            self._tell(FastSourceChosen(asset, Source.BINANCE_PUBLIC, now_ns))
        for frame in self._transport.history():
            self._deliver(frame.source, frame.text, now_ns)

    def _tell(self, event: Connected | FastSourceChosen) -> None:
        self._deliver(Source.WORKER, encode_worker_event(event), event.received_ns)

    def _deliver(self, source: Source, text: str, received_ns: int) -> None:
        for event in self._parse(source, text, received_ns):
            self.field.on_event(event)


def evaluate_simulated(
    seed: int,
    rounds: int,
    named: Sequence[tuple[str, Contender]],
    settings: Settings,
    options: EvaluationSettings,
) -> tuple[Gathered, ...]:
    """Return what each contender earned in each window of a seed's world.

    Raises as ``SimulatedRun``.
    """
    lines = quiet_logs(SimulatedClock())
    try:
        return SimulatedRun(seed, rounds, named, settings, options).play()
    finally:
        lines.close()
