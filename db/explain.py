"""Turns journal rows into a report of what was decided, done and refused, and why.

Must not: read files or a clock, or print. Memory is bounded whatever the length of the journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from db.explain_market import AlikeDecisions, MarketStory, Unread, refusal_seen
from db.explain_position import Order
from db.explain_report import Count, Moment, RefusalSeen, Report, RunSeen
from db.records import Record
from helpers.domain import (
    Accepted,
    Approved,
    Body,
    Decision,
    FeedGap,
    Fill,
    HaltChanged,
    MarketSeen,
    Message,
    Mode,
    ModelChanged,
    OperatorAnswered,
    OrderIntent,
    OrderUpdate,
    Refused,
    Rejected,
    ResolutionSeen,
    RoundTrip,
    RunStarted,
    RunStopped,
    Settled,
    StrikeSeen,
    Unknown,
    Unsized,
)

MARKETS_LIMIT: Final = 1000
"""Markets kept, the latest: two and a half days of four assets at 15 minutes."""
ORDERS_LIMIT: Final = 4096
"""Orders that can still be answered; later answers to older ones are not shown."""
RUNS_LIMIT: Final = 100
"""Runs kept, the latest."""
LAST_DEFAULT: Final = 10
"""Entries, refusals and moments kept of each market unless asked for more."""


class Row(Message, frozen=True):
    """A row of a journal as the database has it, or the first one of several."""

    seq: int
    at_ns: int
    mode: Mode
    market: str
    body: Body | OrderIntent | RefusalSeen | AlikeDecisions | Unread | None
    """An intent stands for its approval, which nobody but the gate makes; ``None`` for what the
    report tells nothing of and only counts."""


class Explainer:
    """Takes rows in order, then gives the report.

    ``since_ns`` leaves earlier rows out of every count and list, except for positions that were
    still open then. ``market`` keeps one slug only, empty keeps all. ``last`` bounds the lists and
    is at least 1, else ``ValueError``.
    """

    def __init__(self, since_ns: int = 0, market: str = "", last: int = LAST_DEFAULT) -> None:
        if last < 1:
            raise ValueError(f"last was {last}, expected at least 1")
        self._since_ns = since_ns
        self._market = market
        self._last = last
        self._rows = 0
        self._last_seq = 0
        self._last_ns = 0
        self._runs: deque[RunSeen] = deque(maxlen=RUNS_LIMIT)
        self._markets: dict[str, MarketStory] = {}
        self._markets_dropped = 0
        self._left_out: dict[str, None] = {}
        self._orders: dict[str, Order] = {}
        self._moments: deque[Moment] = deque(maxlen=last)
        self._moments_total = 0

    def add(self, record: Record | Row) -> None:
        """Take the next row."""
        self._note_run(record)
        counted = record.at_ns >= self._since_ns
        body = record.body
        last_ns = record.at_ns
        if isinstance(body, AlikeDecisions | Unread):
            self._rows += body.count
            last_ns = body.last_ns
        else:
            self._rows += counted
        self._last_ns = max(self._last_ns, last_ns)
        if isinstance(body, HaltChanged | FeedGap | OperatorAnswered | ModelChanged):
            if counted:
                self._note_moment(record, body)
        elif record.market and self._market not in ("", record.market):
            if len(self._left_out) < MARKETS_LIMIT:
                self._left_out[record.market] = None
        elif record.market:
            story = self._story(record.market)
            story.last_ns = max(story.last_ns, last_ns)
            if isinstance(body, Decision):  # Nine rows in ten.
                story.decided(body)
            elif isinstance(body, AlikeDecisions):
                story.decided_alike(body)
            else:
                self._add_to_market(story, record)

    def report(
        self, unknown_kinds: Iterable[tuple[str, int]] = (), warnings: Iterable[str] = ()
    ) -> Report:
        """Return what was learned, with what the reader met on the way."""
        self._note_end()
        return Report(
            since_ns=self._since_ns,
            rows=self._rows,
            runs=tuple(run for run in self._runs if run.last_ns >= self._since_ns),
            markets=tuple(
                story.report()
                for story in self._markets.values()
                if story.last_ns >= self._since_ns
            ),
            markets_dropped=self._markets_dropped,
            markets_left_out=tuple(self._left_out),
            moments=tuple(self._moments),
            moments_total=self._moments_total,
            unknown_kinds=tuple(Count(name=name, count=count) for name, count in unknown_kinds),
            warnings=tuple(warnings),
        )

    def _note_run(self, record: Record | Row) -> None:
        body = record.body
        started = body if isinstance(body, RunStarted) else None
        # Numbers begin anew with every run; a run whose beginning was retired starts higher up.
        if not self._runs or started is not None or record.seq <= self._last_seq:
            self._note_end()
            run = RunSeen(
                mode=record.mode.value,
                first_seq=record.seq,
                first_ns=record.at_ns,
                last_ns=record.at_ns,
                started=started,
                stopped=None,
            )
            self._runs.append(run)
            self._last_ns = 0
        elif isinstance(body, RunStopped):
            self._runs[-1] = msgspec.structs.replace(self._runs[-1], stopped=body)
        self._last_seq = record.seq

    def _note_end(self) -> None:
        # Not with every row: a day's run has 700,000.
        if self._runs:
            self._runs[-1] = msgspec.structs.replace(self._runs[-1], last_ns=self._last_ns)

    def _note_moment(
        self,
        record: Record | Row,
        body: HaltChanged | FeedGap | OperatorAnswered | ModelChanged,
    ) -> None:
        self._moments_total += 1
        self._moments.append(
            Moment(
                at_ns=record.at_ns,
                market=record.market,
                halt=body if isinstance(body, HaltChanged) else None,
                gap=body if isinstance(body, FeedGap) else None,
                answer=body if isinstance(body, OperatorAnswered) else None,
                model=body if isinstance(body, ModelChanged) else None,
            )
        )

    def _story(self, slug: str) -> MarketStory:
        story = self._markets.get(slug)
        if story is None:
            if len(self._markets) >= MARKETS_LIMIT:
                del self._markets[next(iter(self._markets))]
                self._markets_dropped += 1
            story = self._markets[slug] = MarketStory(slug, self._since_ns, self._last)
        return story

    def _add_to_market(self, story: MarketStory, record: Record | Row) -> None:
        match record.body:
            case Approved(intent=intent, at_ns=at_ns):
                self._remember(intent.intent_id, story.approved(intent, at_ns))
            case OrderIntent() as intent:
                self._remember(intent.intent_id, story.approved(intent, record.at_ns))
            case Refused() | Unsized() as refusal:
                story.refused(refusal_seen(story.slug, refusal))
            case RefusalSeen() as refusal:
                story.refused(refusal)
            case Accepted() | Rejected() | Unknown() as answer:
                if (order := self._orders.get(answer.intent_id)) is not None:
                    story.answered(order, answer)
            case OrderUpdate() as update:
                if (order := self._orders.get(update.intent_id)) is not None:
                    order.state = update.state.value
            case Fill() as fill:
                story.filled(fill, self._orders.get(fill.intent_id))
            case Settled() as settled:
                story.settled(settled)
            case RoundTrip() as closed:
                story.closed(closed)
            case MarketSeen() as seen:
                story.seen = seen
            case StrikeSeen() as strike:
                story.strike = strike
            case ResolutionSeen() as resolution:
                story.resolution = resolution
            case _:
                pass  # Rows about the whole run that carry a market tell nothing about it.

    def _remember(self, intent_id: str, order: Order) -> None:
        if len(self._orders) >= ORDERS_LIMIT:
            del self._orders[next(iter(self._orders))]
        self._orders[intent_id] = order


def explain(
    records: Iterable[Record | Row], since_ns: int = 0, market: str = "", last: int = LAST_DEFAULT
) -> Report:
    """Return the report on some rows; see ``Explainer`` for the arguments."""
    explainer = Explainer(since_ns, market, last)
    for record in records:
        explainer.add(record)
    return explainer.report()
