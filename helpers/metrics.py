"""Every metric of the worker, in Prometheus's text format: names, help, labels, and what they read.

Rows are counted elsewhere, in plain integers; here they become metrics, only when somebody asks.
``METRICS`` is the whole list: the registry, the documentation and the tests come from it. Labels
are of fixed sets: assets, sources, rules, causes, never a market. Must not: run on the decision
path, or keep anything global.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple, cast

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from helpers.domain import Message

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "worker_"

Labelled = tuple[tuple[str, ...], float]
"""Label values in their order, and a number."""


class Distribution(Message, frozen=True):
    """Durations by bucket."""

    stage: str
    bounds_seconds: tuple[float, ...]
    counts: tuple[int, ...]
    """One more than bounds: the last counts what is above them all."""
    sum_seconds: float


class Readings(Message, frozen=True):
    """Plain numbers of a run at one moment, copied for whoever asks.

    Dollars and seconds are floats; rows are labels and number, in the order of the metric's labels.
    """

    build: str
    mode: str
    strategy: str
    model: str
    started_seconds: float
    now_seconds: float
    simulated: bool
    frames: tuple[Labelled, ...]
    last_frames: tuple[Labelled, ...]
    connected: tuple[Labelled, ...]
    gaps: tuple[Labelled, ...]
    skipped: tuple[Labelled, ...]
    book_ages: tuple[Labelled, ...]
    fast_ages: tuple[Labelled, ...]
    grid_steps: int
    last_grid_step_seconds: float
    markets: int
    decisions: tuple[Labelled, ...]
    refusals: tuple[Labelled, ...]
    unsized: tuple[Labelled, ...]
    approved: tuple[Labelled, ...]
    answers: tuple[Labelled, ...]
    fills: tuple[Labelled, ...]
    exits: tuple[Labelled, ...]
    trips: tuple[Labelled, ...]
    fees_dollars: float
    positions: int
    position_costs: tuple[Labelled, ...]
    exposure_dollars: float
    pnl: tuple[Labelled, ...]
    cash_dollars: float
    equity_dollars: float
    drawdown_dollars: float
    entries_allowed: bool
    held: tuple[Labelled, ...]
    holds: tuple[Labelled, ...]
    requests: tuple[Labelled, ...]
    conflicts: int
    journal_rows: int
    journal_unsynced: int
    alerts: tuple[Labelled, ...]
    shadow_windows: tuple[Labelled, ...]
    updates: tuple[Labelled, ...]
    entropy_nats: tuple[Labelled, ...]
    kl_nats: tuple[Labelled, ...]
    stages: tuple[Distribution, ...]
    lag: Distribution
    viewers: int
    viewers_dropped: int
    views: int


class MetricSpec(NamedTuple):
    """One metric: what it is called, what it says, and where it is read."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    read: Callable[[Readings], Iterable[Labelled] | Iterable[Distribution]]


def _one(read: Callable[[Readings], float]) -> Callable[[Readings], Iterable[Labelled]]:
    return lambda readings: (((), float(read(readings))),)


def _counter(
    name: str, text: str, labels: str, read: Callable[[Readings], Iterable[Labelled]]
) -> MetricSpec:
    return MetricSpec(f"{PREFIX}{name}_total", "counter", text, tuple(labels.split()), read)


def _gauge(
    name: str, text: str, labels: str, read: Callable[[Readings], Iterable[Labelled]]
) -> MetricSpec:
    return MetricSpec(f"{PREFIX}{name}", "gauge", text, tuple(labels.split()), read)


def _histogram(
    name: str, text: str, labels: str, read: Callable[[Readings], Iterable[Distribution]]
) -> MetricSpec:
    return MetricSpec(f"{PREFIX}{name}", "histogram", text, tuple(labels.split()), read)


METRICS: Final[tuple[MetricSpec, ...]] = (
    _gauge("build_info", "What runs, and the model it began with; always 1.",
           "build mode strategy model",
           lambda r: (((r.build, r.mode, r.strategy, r.model), 1.0),)),
    _gauge("start_timestamp_seconds", "When the run began.", "", _one(lambda r: r.started_seconds)),
    _gauge("clock_timestamp_seconds", "The worker's time; simulated in a demo.", "",
           _one(lambda r: r.now_seconds)),
    _gauge("simulated_time", "Whether time and venues are simulated: 1 or 0.", "",
           _one(lambda r: r.simulated)),
    _counter("feed_frames", "Frames received, keep-alives not counted.", "source",
             lambda r: r.frames),
    _gauge("feed_last_frame_timestamp_seconds", "When the last frame came.", "source",
           lambda r: r.last_frames),
    _gauge("feed_connected", "Whether it is there: 0 from a drop until it speaks again.", "source",
           lambda r: r.connected),
    _counter("feed_gaps", "Drops, silences and lost sequences.", "source", lambda r: r.gaps),
    _counter("feed_frames_skipped", "Frames that became no event: unknown, malformed, ignored.",
             "source", lambda r: r.skipped),
    _gauge("book_age_seconds", "Age of the venue's data in the older of an asset's books.",
           "asset", lambda r: r.book_ages),
    _gauge("fast_market_age_seconds", "Age of the fast market's last quote.", "asset",
           lambda r: r.fast_ages),
    _counter("grid_steps", "Half-second steps of the decision grid.", "",
             _one(lambda r: r.grid_steps)),
    _gauge("last_grid_step_timestamp_seconds", "When the last grid step was done; 0 before it.", "",
           _one(lambda r: r.last_grid_step_seconds)),
    _gauge("open_markets", "Markets that are decided on.", "", _one(lambda r: r.markets)),
    _counter("decisions", "Decisions of the policy.", "action", lambda r: r.decisions),
    _counter("refusals", "Orders the gate refused, by the headline rule.", "rule",
             lambda r: r.refusals),
    _counter("unsized", "Wishes that became no order, by rule.", "rule", lambda r: r.unsized),
    _counter("orders_approved", "Orders the gate let through: entry or exit.", "asset purpose",
             lambda r: r.approved),
    _counter("order_answers", "Answers to orders: accepted, rejected, missed (a lost race) or "
             "unknown.", "answer", lambda r: r.answers),
    _counter("fills", "Steps of our trades on the settlement ladder.", "asset status",
             lambda r: r.fills),
    _counter("forced_exits", "Exits the supervisor attempted.", "reason", lambda r: r.exits),
    _counter("round_trips", "Positions closed: won or lost.", "asset result", lambda r: r.trips),
    _counter("fees_dollars", "Fees of the trades of this run.", "", _one(lambda r: r.fees_dollars)),
    _gauge("positions", "Open positions.", "", _one(lambda r: r.positions)),
    _gauge("position_cost_dollars", "What open positions cost, fees included.", "asset",
           lambda r: r.position_costs),
    _gauge("exposure_dollars", "Cost of positions and notional of entries on their way.", "",
           _one(lambda r: r.exposure_dollars)),
    _gauge("pnl_dollars", "Profit after fees: realised, unrealised, or of the UTC day (both).",
           "kind", lambda r: r.pnl),
    _gauge("cash_dollars", "Cash in the books.", "", _one(lambda r: r.cash_dollars)),
    _gauge("equity_dollars", "Cash and open positions at what they would bring.", "",
           _one(lambda r: r.equity_dollars)),
    _gauge("drawdown_dollars", "Largest fall of realised equity in this run.", "",
           _one(lambda r: r.drawdown_dollars)),
    _gauge("entries_allowed", "Whether entries are allowed: 0 while anything holds them.", "",
           _one(lambda r: r.entries_allowed)),
    _gauge("entries_held", "Causes that hold entries, 1 each.", "cause", lambda r: r.held),
    _counter("entry_holds", "Times a cause began to hold entries.", "cause", lambda r: r.holds),
    _counter("operator_requests", "Answers to halt, resume and flatten.", "verb",
             lambda r: r.requests),
    _counter("ledger_conflicts", "Facts of the venue that contradict our books.", "",
             _one(lambda r: r.conflicts)),
    _counter("journal_rows", "Rows of this run's journal.", "", _one(lambda r: r.journal_rows)),
    _gauge("journal_unsynced_rows", "Rows that a power loss would take.", "",
           _one(lambda r: r.journal_unsynced)),
    _counter("alerts", "Alerts by what became of them.", "outcome", lambda r: r.alerts),
    _counter("shadow_windows", "Windows a shadow strategy finished.", "shadow",
             lambda r: r.shadow_windows),
    _counter("learner_updates", "Updates of a policy that learns (TRAIN).", "",
             lambda r: r.updates),
    _gauge("policy_entropy_nats", "Of a policy that learns, after its last update; ln 3 at most.",
           "", lambda r: r.entropy_nats),
    _gauge("learner_kl_nats", "How far the last update moved the policy.", "",
           lambda r: r.kl_nats),
    _histogram("stage_seconds", "How long the steps from quote to answer take; feed_age is the "
               "quote's age.", "stage", lambda r: r.stages),
    _histogram("event_loop_lag_seconds", "How late the event loop came to its work.", "",
               lambda r: (r.lag,)),
    _gauge("dashboard_viewers", "People who follow the dashboard.", "", _one(lambda r: r.viewers)),
    _counter("dashboard_viewers_dropped", "Viewers dropped because they did not keep up.", "",
             _one(lambda r: r.viewers_dropped)),
    _counter("dashboard_views", "Views made for the dashboard and this page.", "",
             _one(lambda r: r.views)),
)  # fmt: skip


class ReadingsCollector(Collector):
    """Turns readings into metrics."""

    def __init__(self) -> None:
        self.readings: Readings | None = None

    def describe(self) -> Iterator[Metric]:
        """Yield every metric without a sample: a registry wants to know their names."""
        for spec in METRICS:
            yield _empty(spec)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with what it read; nothing before the first readings."""
        if self.readings is not None:
            for spec in METRICS:
                yield family(spec, self.readings)


class Exposition:
    """The page a scraper reads, from a registry of its own."""

    def __init__(self) -> None:
        self._collector = ReadingsCollector()
        self.registry = CollectorRegistry()
        self.registry.register(self._collector)
        ProcessCollector(registry=self.registry)

    async def text(self, readings: Readings) -> bytes:
        """Return the page; between two metrics the loop does other work.

        All of it at once would keep the loop busy for milliseconds, and a thread the interpreter.
        """
        self._collector.readings = readings
        parts: list[bytes] = []
        for made in self.registry.collect():
            parts.append(generate_latest(cast("CollectorRegistry", _OneFamily(made))))
            await asyncio.sleep(0)
        return b"".join(parts)


def _empty(spec: MetricSpec) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    return _FAMILIES[spec.kind](spec.name, spec.help, labels=spec.labels)


def family(spec: MetricSpec, readings: Readings) -> Metric:
    """Return one metric with its samples."""
    made = _empty(spec)
    for row in spec.read(readings):
        if isinstance(made, HistogramMetricFamily):
            assert isinstance(row, Distribution), "a histogram is read as buckets"
            labels = (row.stage,) if spec.labels else ()
            made.add_metric(labels, list(_cumulated(row)), row.sum_seconds)
        else:
            assert not isinstance(row, Distribution), "only a histogram has buckets"
            made.add_metric(row[0], row[1])
    return made


def _cumulated(row: Distribution) -> Iterator[tuple[str, float]]:
    below = 0
    for bound, count in zip((*row.bounds_seconds, math.inf), row.counts, strict=True):
        below += count
        yield floatToGoString(bound), below


class _OneFamily:
    """What ``generate_latest`` asks of a registry, for a single metric."""

    def __init__(self, made: Metric) -> None:
        self._made = made

    def collect(self) -> tuple[Metric, ...]:
        """Return the metric."""
        return (self._made,)


def documentation() -> str:
    """Return the table of every metric, as the documentation has it."""
    rows = ["| metric | type | labels | what it says |", "|---|---|---|---|"]
    for spec in METRICS:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        rows.append(f"| `{spec.name}` | {spec.kind} | {labels} | {spec.help} |")
    return "\n".join(rows)


_FAMILIES: Final = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
