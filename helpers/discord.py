"""Tells the owner on Discord: an outlet that only remembers rows, and a task that does the rest.

Trading never waits for it and cannot fail by it: ``write`` appends to a deque. The task reads the
rows, makes alerts, merges and sends them within Discord's limits, and writes one ``AlertSent`` for
each alert, whatever became of it. A failure of its own ends the alerts, with a line in the log,
and nothing else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import httpx
from msgspec.structs import replace

from helpers.clock import Clock, monotonic_seconds
from helpers.discord_alerts import READ, AlertReader
from helpers.discord_picture import draw
from helpers.discord_post import POST_SECONDS, post
from helpers.discord_queue import EMBEDS_MAXIMUM, QUEUE_MAXIMUM, AlertQueue, Ended, Waiting
from helpers.discord_wire import WebhookAnswer, characters, message
from helpers.discord_words import Alert
from helpers.domain import (
    AlertOutcome,
    AlertSent,
    Approved,
    Body,
    Equity,
    FeedGap,
    FeedRestored,
    Mode,
    Refused,
    RunStopped,
)
from helpers.feeds.http import new_client
from helpers.logs import Tag, logger

READ_SECONDS: Final = 0.25
"""Between two looks at the rows that were written."""
ROW_PAUSE_SECONDS: Final = 0.001
"""After each row: one takes a tenth of that to read, so that a burst leaves trading nine tenths."""
ORDER_SECONDS: Final = 0.005
"""After an approval no row is read for so long: the order is signed and handed over meanwhile (p99
4.4 ms). The gate limits orders to some a minute, so that rows are read soon."""
ROWS_MAXIMUM: Final = 8_192
"""Rows that wait to be read; beyond it the frequent kinds are left out. The others are few: orders
are limited to some a second by the gate, and what follows from them is."""
FREQUENT: Final = (Refused, Equity, FeedGap, FeedRestored)
_NOTHING: Final[tuple[Waiting, ...]] = ()
ENDED_FIRST: Final = "the run ended first"


class SenderLimits(NamedTuple):
    """How the sender behaves, in seconds; Discord's own limits are read from its answers."""

    gather_seconds: float = 0.25
    """From the first alert of a message to its post: what happens together is told together."""
    spacing_seconds: float = 2.0
    """Between two messages: a webhook takes some 30 a minute, and what comes meanwhile is merged
    into one message."""
    first_wait_seconds: float = 1.0
    """After a failed post; doubled by each further one, jittered by a quarter."""
    longest_wait_seconds: float = 60.0
    flush_seconds: float = 5.0
    """At the end of a run, for everything that waits."""
    post_seconds: float = POST_SECONDS
    queue: int = QUEUE_MAXIMUM


class DiscordAlerts:
    """The outlet, the task and its end."""

    def __init__(
        self,
        url: str,
        mode: Mode,
        clock: Clock,
        rng: random.Random,
        store: Callable[[AlertSent], None],
        *,
        limits: SenderLimits | None = None,
        client: Callable[[], httpx.AsyncClient] = new_client,
    ) -> None:
        """Take where to post, and who writes down what became of each alert."""
        self._url = url
        self._mode = mode
        self._clock = clock
        self._rng = rng
        self._store = store
        self._limits = limits or SenderLimits()
        self._client = client
        self._log = logger(Tag.HEALTH)
        self._rows: deque[tuple[int, str, Body]] = deque()
        self._reader = AlertReader()
        self._queue = AlertQueue(lambda alert: characters(mode, alert), self._limits.queue)
        self._sending = _NOTHING
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._flushed = asyncio.Event()
        self._end_of_run: tuple[RunStopped, bool] | None = None
        self._all_put = asyncio.Event()
        self._allowed_seconds = 0.0
        self._spaced_seconds = 0.0
        self._order_until_seconds = 0.0
        self._single = 0
        self._failures = 0
        self._gone = ""
        self._undrawn: deque[Alert] = deque()
        self._to_draw = asyncio.Event()
        self._no_picture = False
        self._dead = False
        self.outcomes: Counter[AlertOutcome] = Counter()
        self.rows_left_out = 0

    # --- The outlet: called while trading -----------------------------------------------------

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Remember a row; nothing is worked out here."""
        if type(body) is Approved:
            self._order_until_seconds = monotonic_seconds() + ORDER_SECONDS
        if type(body) not in READ or self._dead:
            return
        if len(self._rows) >= ROWS_MAXIMUM and isinstance(body, FREQUENT):
            self.rows_left_out += 1
            return
        self._rows.append((at_ns, market, body))

    def commit(self) -> None:
        """Do nothing: no alert is waited for."""

    # --- The task -----------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Send while the body runs; call ``finish`` in it to tell the end."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._run())
            try:
                yield
            finally:
                task.cancel()

    async def finish(self, stopped: RunStopped, *, failed: bool) -> None:
        """Tell the end of the run, and wait a bounded time until everything is delivered.

        Whatever is not by then is written down as failed.
        """
        if self._dead:
            return
        self._end_of_run = (stopped, failed)
        self._closing.set()
        try:
            async with asyncio.timeout(self._limits.flush_seconds):
                await self._flushed.wait()
        except TimeoutError:
            self._log.warning("discord_not_flushed", waiting=len(self._queue))
        self._dead = True
        # What is on its way may arrive all the same; it is written as it is known now.
        self._fail((*self._sending, *self._queue.drain()), ENDED_FIRST)

    async def _run(self) -> None:
        log = self._log
        try:
            async with asyncio.TaskGroup() as tasks, self._client() as client:
                tasks.create_task(self._read())
                tasks.create_task(self._draw())
                await self._send(client)
        except* Exception as group:  # the task boundary: alerts end, trading goes on
            self._dead = True
            self._flushed.set()
            for error in group.exceptions:
                log.error("discord_alerts_ended", exc_info=error)

    async def _read(self) -> None:
        while not self._closing.is_set():
            await self._read_rows()
            self._put(self._reader.advance(self._clock.now_ns()))
            await _set_within(self._closing, READ_SECONDS)
        await self._read_rows()
        assert self._end_of_run is not None, "finish says what to tell"
        stopped, failed = self._end_of_run
        now_ns = self._clock.now_ns()
        self._put(self._reader.close(now_ns))
        while self._undrawn:
            self._put((replace(self._undrawn.popleft(), curve=()),))
        self._all_put.set()
        self._put((self._reader.stopped(now_ns, stopped, failed=failed),))

    async def _read_rows(self) -> None:
        while self._rows:
            wait = self._order_until_seconds - monotonic_seconds()
            if wait > 0.0 and not self._closing.is_set():
                await asyncio.sleep(wait)
                continue
            self._put(self._reader.read(*self._rows.popleft()))
            # The loop's thread must let go of the interpreter, too: orders are signed in another.
            await asyncio.sleep(0.0 if self._closing.is_set() else ROW_PAUSE_SECONDS)

    def _put(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            if alert.curve:
                self._undrawn.append(alert)
                self._to_draw.set()
                continue
            for ended in self._queue.put(alert):
                self._end(ended)
            self._news.set()
        if self._gone:
            self._fail(self._queue.drain(), self._gone)
            if self._all_put.is_set():
                self._flushed.set()

    async def _draw(self) -> None:
        # Beside the sender: a picture may take a minute, and a halt must not wait for it.
        while True:
            await self._to_draw.wait()
            self._to_draw.clear()
            while self._undrawn:
                alert = self._undrawn[0]
                picture = await draw(alert.title, alert.curve)
                if picture.problem and not self._no_picture:
                    self._no_picture = True
                    self._log.warning("discord_summary_without_picture", why=picture.problem)
                if self._undrawn:  # the end of the run does not wait for it either
                    self._undrawn.popleft()
                    self._put((replace(alert, curve=(), picture=picture.png),))

    async def _send(self, client: httpx.AsyncClient) -> None:
        while True:
            await self._news.wait()
            await self._wait_for_turn()
            batch = self._queue.take(1 if self._single else EMBEDS_MAXIMUM)
            if not batch:
                self._news.clear()
                continue
            self._single = max(0, self._single - 1)
            self._sending = batch
            answer = await self._post(client, batch)
            self._sending = _NOTHING
            self._take_in(batch, answer)
            if self._all_put.is_set() and not len(self._queue):
                self._flushed.set()

    async def _wait_for_turn(self) -> None:
        await _set_within(self._closing, self._limits.gather_seconds)
        await asyncio.sleep(max(0.0, self._allowed_seconds - monotonic_seconds()))
        # At the end of a run there is no time for our own spacing, only for what Discord asks.
        await _set_within(self._closing, self._spaced_seconds - monotonic_seconds())
        if self._closing.is_set():
            await self._all_put.wait()  # the most important of all that is left goes first

    async def _post(self, client: httpx.AsyncClient, batch: tuple[Waiting, ...]) -> WebhookAnswer:
        png = batch[0].alert.picture
        for one in batch:
            one.tries += 1
        text = message(self._mode, [one.alert for one in batch], picture=bool(png))
        return await post(client, self._url, text, png, seconds=self._limits.post_seconds)

    # --- What an answer means -----------------------------------------------------------------

    def _take_in(self, batch: tuple[Waiting, ...], answer: WebhookAnswer) -> None:
        now = monotonic_seconds()
        self._spaced_seconds = now + self._limits.spacing_seconds
        self._allowed_seconds = now + answer.wait_seconds
        if answer.verdict == "stored":
            self._queue.settle(batch)
            self._answered()
            for one in batch:
                self._stored(one, answer.message_id)
        elif answer.verdict == "gone":
            self._queue.settle(batch)
            self._gone = answer.detail
            self._log.error("discord_gone", why=answer.detail, next="no alert is sent any more")
            self._fail((*batch, *self._queue.drain()), answer.detail)
        elif answer.verdict == "refused":
            self._refused(batch, answer)
        else:
            self._queue.put_back(batch)
            if answer.verdict == "unavailable":
                self._allowed_seconds = now + max(answer.wait_seconds, self._back_off())
            self._unanswered(answer)

    def _refused(self, batch: tuple[Waiting, ...], answer: WebhookAnswer) -> None:
        first = batch[0]
        if first.alert.picture:
            first.alert = replace(first.alert, picture=b"")  # again, without it
            self._queue.put_back(batch)
        elif len(batch) > 1:
            self._single = len(batch)  # one of them is to blame, the others must arrive
            self._queue.put_back(batch)
        else:
            self._queue.settle(batch)
            self._log.error("discord_refused", why=answer.detail, alert=first.alert.title)
            self._fail(batch, answer.detail)

    def _back_off(self) -> float:
        longest = self._limits.longest_wait_seconds
        wait = min(longest, self._limits.first_wait_seconds * 2.0 ** min(self._failures, 16))
        return wait * self._rng.uniform(0.75, 1.0)

    def _unanswered(self, answer: WebhookAnswer) -> None:
        if answer.verdict == "limited":
            self._log.info("discord_limited", why=answer.detail, wait_seconds=answer.wait_seconds)
            return
        self._failures += 1
        if self._failures == 1:
            self._log.warning("discord_unavailable", why=answer.detail)

    def _answered(self) -> None:
        if self._failures:
            self._log.info("discord_answered", after_failures=self._failures)
        self._failures = 0

    # --- Writing down -------------------------------------------------------------------------

    def _stored(self, one: Waiting, message_id: str) -> None:
        ended = Ended(one.number, one.alert, AlertOutcome.DELIVERED, "", tries=one.tries)
        self._end(ended, message_id)

    def _fail(self, those: Iterable[Waiting], why: str) -> None:
        for one in those:
            ended = Ended(one.number, one.alert, AlertOutcome.FAILED, why, tries=one.tries)
            self._end(ended)

    def _end(self, ended: Ended, message_id: str = "") -> None:
        alert = ended.alert
        self.outcomes[ended.outcome] += 1
        self._store(
            AlertSent(
                number=ended.number,
                kind=alert.kind,
                severity=alert.severity,
                title=alert.title,
                text=alert.text,
                outcome=ended.outcome,
                count=alert.count,
                made_ns=alert.at_ns,
                message_id=message_id,
                merged_into=ended.merged_into,
                tries=ended.tries,
                detail=ended.detail,
            )
        )


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
