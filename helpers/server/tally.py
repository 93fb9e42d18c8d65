"""Counts what the rows of a run tell, in plain integers, and times the steps of orders.

An outlet: it is told every row on the loop, and costs a look-up and an addition. Must not: know
what shows its counts, read a clock beyond the duration of a step, or label anything by a market.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, Final

from helpers.clock import system_seconds
from helpers.domain import (
    NS_PER_SECOND,
    Accepted,
    AlertSent,
    Approved,
    Body,
    Decision,
    ExitAttempted,
    FeedGap,
    FeedRestored,
    Fill,
    FillStatus,
    HaltChanged,
    LedgerConflict,
    MarketSeen,
    OperatorAnswered,
    OrderSigned,
    Rejected,
    RoundTrip,
    ShadowWindow,
    Source,
    Unknown,
    keep_latest,
)

BOUNDS_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Upper ends of the buckets: a decision takes a millisecond, an order's way a tenth of a second."""
SAMPLES_KEPT: Final = 512
"""Latest samples that percentiles are taken of: minutes of decisions."""
MARKETS_REMEMBERED_MAXIMUM: Final = 256
ORDERS_REMEMBERED_MAXIMUM: Final = 256
STAGES: Final = ("feed_age", "decision", "sign", "submit", "ack")
"""``feed_age``: age of the fast market's quote when decided on. ``decision``: from the last
market's snapshot to the decision. ``sign``: from the gate's word to the signature; ``submit``:
from there to the venue's answer; ``ack``: from the gate's word to the venue's answer (on paper the
simulated way)."""


class Histogram:
    """Counts of durations by bucket, and the latest of them."""

    __slots__ = ("counts", "latest", "sum_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0
        self.latest: deque[float] = deque(maxlen=SAMPLES_KEPT)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds
        self.latest.append(seconds)

    @property
    def total(self) -> int:
        """Return how many were counted."""
        return sum(self.counts)

    def percentiles(self) -> tuple[float, float] | None:
        """Return p50 and p99 of the latest, in seconds; ``None`` without any."""
        if not self.latest:
            return None
        ordered = sorted(self.latest)
        last = len(ordered) - 1
        return ordered[last // 2], ordered[round(last * 0.99)]


class Tally:
    """What has happened so far, counted."""

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, str]] = Counter()
        """By asset and action."""
        self.approved: Counter[tuple[str, str]] = Counter()
        """By asset and purpose: entry or exit."""
        self.answers: Counter[str] = Counter()
        """accepted, rejected, missed, unknown."""
        self.fills: Counter[tuple[str, str]] = Counter()
        """By asset and settlement status."""
        self.fees_micros = 0
        self.trips: Counter[tuple[str, str]] = Counter()
        """By asset and result: won or lost."""
        self.exits: Counter[str] = Counter()
        """Forced exits attempted, by reason."""
        self.gaps: Counter[str] = Counter()
        self.lost: set[Source] = set()
        """Feeds that dropped and did not come back."""
        self.holds: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.conflicts = 0
        self.alerts: Counter[str] = Counter()
        self.shadow_windows: Counter[str] = Counter()
        self.stages: Mapping[str, Histogram] = MappingProxyType(
            {stage: Histogram() for stage in STAGES}
        )
        self._assets: dict[str, str] = {}
        self._approved_ns: dict[str, int] = {}
        self._signed_ns: dict[str, int] = {}
        self._seen_seconds = 0.0

    def seen(self, fast_age_seconds: float) -> None:
        """Note that a market was looked at just now, and how old its fast market's quote was."""
        self._seen_seconds = system_seconds()
        if isfinite(fast_age_seconds):
            self.stages["feed_age"].add(max(0.0, fast_age_seconds))

    def asset_of(self, slug: str) -> str:
        """Return a market's asset; ``other`` for a market of an earlier run."""
        return self._assets.get(slug, "other")

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Count one row."""
        count = _COUNTERS.get(type(body))
        if count is not None:
            count(self, at_ns, market, body)

    def commit(self) -> None:
        """Keep nothing: there is nothing to lose."""

    def _decision(self, _at_ns: int, market: str, body: Decision) -> None:
        self.decisions[self.asset_of(market), body.action.name.lower()] += 1
        if self._seen_seconds:
            self.stages["decision"].add(system_seconds() - self._seen_seconds)
            self._seen_seconds = 0.0  # the others of the batch came of the same forward

    def _approve(self, at_ns: int, market: str, body: Approved) -> None:
        intent = body.intent
        self.approved[self.asset_of(market), "entry" if intent.opens else "exit"] += 1
        keep_latest(self._approved_ns, intent.intent_id, at_ns, ORDERS_REMEMBERED_MAXIMUM)

    def _sign(self, at_ns: int, _market: str, body: OrderSigned) -> None:
        self._time("sign", self._approved_ns.get(body.intent_id), at_ns)
        keep_latest(self._signed_ns, body.intent_id, at_ns, ORDERS_REMEMBERED_MAXIMUM)

    def _answer(self, at_ns: int, _market: str, body: Accepted | Rejected | Unknown) -> None:
        if isinstance(body, Accepted):
            self.answers["accepted"] += 1
        elif isinstance(body, Unknown):
            self.answers["unknown"] += 1
        else:
            self.answers["missed" if body.missed else "rejected"] += 1
        approved_ns = self._approved_ns.pop(body.intent_id, None)
        signed_ns = self._signed_ns.pop(body.intent_id, None)
        if not isinstance(body, Unknown):
            self._time("submit", signed_ns, at_ns)
            self._time("ack", approved_ns, at_ns)

    def _time(self, stage: str, from_ns: int | None, to_ns: int) -> None:
        if from_ns is not None:
            self.stages[stage].add(max(0, to_ns - from_ns) / NS_PER_SECOND)

    def _fill(self, _at_ns: int, market: str, body: Fill) -> None:
        self.fills[self.asset_of(market), body.status.value.lower()] += 1
        if body.status is FillStatus.MATCHED:
            self.fees_micros += body.fee_micros

    def _trip(self, _at_ns: int, _market: str, body: RoundTrip) -> None:
        self.trips[body.asset.value, "won" if body.pnl_micros > 0 else "lost"] += 1

    def _market(self, _at_ns: int, _market: str, body: MarketSeen) -> None:
        keep_latest(self._assets, body.slug, body.asset.value, MARKETS_REMEMBERED_MAXIMUM)

    def _exit(self, _at_ns: int, _market: str, body: ExitAttempted) -> None:
        self.exits[body.reason.value] += 1

    def _gap(self, _at_ns: int, _market: str, body: FeedGap) -> None:
        self.gaps[body.source.value] += 1
        self.lost.add(body.source)

    def _restored(self, _at_ns: int, _market: str, body: FeedRestored) -> None:
        self.lost.discard(body.source)

    def _halt(self, _at_ns: int, _market: str, body: HaltChanged) -> None:
        if body.state == "held":
            self.holds[body.cause] += 1

    def _operator(self, _at_ns: int, _market: str, body: OperatorAnswered) -> None:
        self.requests[body.verb.value] += 1

    def _conflict(self, _at_ns: int, _market: str, _body: LedgerConflict) -> None:
        self.conflicts += 1

    def _alert(self, _at_ns: int, _market: str, body: AlertSent) -> None:
        self.alerts[body.outcome.value] += 1

    def _shadow(self, _at_ns: int, _market: str, body: ShadowWindow) -> None:
        self.shadow_windows[body.shadow] += 1


_COUNTERS: Final[Mapping[type, Callable[[Tally, int, str, Any], None]]] = MappingProxyType(
    {
        Decision: Tally._decision,
        Approved: Tally._approve,
        OrderSigned: Tally._sign,
        Accepted: Tally._answer,
        Rejected: Tally._answer,
        Unknown: Tally._answer,
        Fill: Tally._fill,
        RoundTrip: Tally._trip,
        MarketSeen: Tally._market,
        ExitAttempted: Tally._exit,
        FeedGap: Tally._gap,
        FeedRestored: Tally._restored,
        HaltChanged: Tally._halt,
        OperatorAnswered: Tally._operator,
        LedgerConflict: Tally._conflict,
        AlertSent: Tally._alert,
        ShadowWindow: Tally._shadow,
    }
)
