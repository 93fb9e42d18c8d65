"""Every socket and poll of the live venues, supervised together; frames go to one sink."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Protocol

from helpers.clock import Clock
from helpers.domain import Connected, Disconnected, FastSourceChosen, Market, Source
from helpers.feeds.book_refetch import BookRefetcher
from helpers.feeds.http import VenueHttp, new_client
from helpers.feeds.ingest import WorkerEvent
from helpers.feeds.market_channel import MarketChannel, market_endpoint
from helpers.feeds.probe import FastMarketProbe, ProbeResult
from helpers.feeds.problems import FeedProblem
from helpers.feeds.reference_channel import Credentials, reference_feed
from helpers.feeds.retry import VenueRefused
from helpers.feeds.socket import SocketReader
from helpers.feeds.streams import fast_feeds
from helpers.feeds.subscription import Frames
from helpers.feeds.venue_time import measure_skew
from helpers.feeds.warm_up import WarmUp
from helpers.feeds.windows import Series
from helpers.logs import Log, Tag, logger
from helpers.markets import MarketDirectory
from helpers.settings import Settings
from helpers.venues import Venues


class FeedSink(Protocol):
    """Who takes what the feeds bring."""

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        """Take a raw frame."""
        ...

    def on_worker_event(self, event: WorkerEvent) -> None:
        """Take an event that no venue sent."""
        ...


class LiveFeeds:
    """Builds and runs the feeds of a set of assets and windows."""

    def __init__(
        self,
        settings: Settings,
        sink: FeedSink,
        held_markets: Callable[[], Iterable[Market]],
        *,
        venues: Venues,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._assets = settings.assets
        self._sink = sink
        self._venues = venues
        self._clock = clock
        self._rng = rng
        self._log: Log = logger(Tag.FEED)
        self._frames: Frames = sink.on_frame
        self._client = new_client()
        self._http = VenueHttp(self._client, clock)
        self._probe = FastMarketProbe(venues, clock)
        self._channel = MarketChannel(
            market_endpoint(venues),
            clock=clock,
            frames=self._frames,
            on_link=self._on_link,
            rng=rng,
        )
        self.books = BookRefetcher(
            self._http, venues, clock=clock, frames=self._frames, on_problem=self._on_problem
        )
        series = [Series(a, w) for a in settings.assets for w in settings.window_seconds()]
        self.directory = MarketDirectory(
            series,
            self._http,
            venues,
            clock=clock,
            frames=self._frames,
            on_problem=self._on_problem,
            set_tokens=self._channel.set_tokens,
            held_markets=held_markets,
            rng=rng,
        )
        self._reference = self._reference_reader(settings)

    async def run(self) -> None:
        """Feed the sink until cancelled.

        Raises ``NoFastMarket`` when no fast market can be reached and ``VenueRefused`` when
        Polymarket refuses this address: a block is obeyed, never routed around (I11).
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_fast_market())
                tasks.create_task(self._channel.run())
                tasks.create_task(self.directory.run())
                tasks.create_task(self.books.run())
                if self._reference is not None:
                    tasks.create_task(self._reference.run())
        finally:
            await self._client.aclose()

    async def _follow_fast_market(self) -> None:
        while True:
            chosen = await self._probe.choose_fast_source(self._assets)
            self._tell_probe(chosen)
            for asset in self._assets:
                now_ns = self._clock.now_ns()
                self._sink.on_worker_event(FastSourceChosen(asset, chosen.source, now_ns))
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._warm_up(chosen))
                    for feed in fast_feeds(chosen.source, self._assets, self._venues):
                        reader = SocketReader(
                            feed.endpoint,
                            feed.subscription,
                            clock=self._clock,
                            frames=self._frames,
                            on_link=self._on_link,
                            rng=self._rng,
                        )
                        tasks.create_task(reader.run())
            except* VenueRefused as refusals:
                refused = refusals.exceptions[0]
                assert isinstance(refused, VenueRefused), "the readers raise them bare"
                self._log.error("venue_refused", source=chosen.source.value, why=str(refused))
                self._probe.note_refusal(chosen.source, refused)

    async def _warm_up(self, chosen: ProbeResult) -> None:
        warm_up = WarmUp(
            self._http, self._venues, clock=self._clock, frames=self._frames, rng=self._rng
        )
        for row in await warm_up.fetch(chosen.source, self._assets):
            self._log.info("warm_up", asset=row.asset.value, minutes=row.bars, outcome=row.outcome)
        for row in await measure_skew(self._http, self._venues, chosen.source):
            write = self._log.warning if row.problem else self._log.info
            write(
                "venue_clock",
                venue=row.host,
                skew_seconds=round(row.skew_seconds, 3),
                problem=row.problem or "none",
            )

    def _reference_reader(self, settings: Settings) -> SocketReader | None:
        key, secret = settings.polymarket_api_key, settings.polymarket_api_secret
        passphrase = settings.polymarket_api_passphrase
        if key is None or secret is None or passphrase is None:
            self._log.info(
                "reference_stream_off",
                why="no POLYMARKET_API_KEY: strikes come from the previous window or a proxy",
            )
            return None
        credentials = Credentials(
            key.get_secret_value(), secret.get_secret_value(), passphrase.get_secret_value()
        )
        feed = reference_feed(self._assets, self._venues, credentials)
        return SocketReader(
            feed.endpoint,
            feed.subscription,
            clock=self._clock,
            frames=self._frames,
            on_link=self._on_link,
            rng=self._rng,
        )

    def _on_link(self, event: Connected | Disconnected) -> None:
        if isinstance(event, Connected):
            self._log.info("connected", source=event.source.value)
        self._sink.on_worker_event(event)

    def _on_problem(self, problem: FeedProblem) -> None:
        self._log.warning(
            "feed_problem",
            source=problem.source.value,
            subject=problem.subject,
            what=problem.what,
        )

    def _tell_probe(self, chosen: ProbeResult) -> None:
        for attempt in chosen.attempts:
            self._log.info(
                "fast_market_probe",
                source=attempt.source.value,
                works=attempt.works,
                outcome=attempt.outcome,
            )
