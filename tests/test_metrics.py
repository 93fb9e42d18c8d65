"""Every metric: parsed by Prometheus's own parser, named by its conventions, bounded."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from helpers.domain import Asset, HoldCause, Source
from helpers.metrics import CONTENT_TYPE, METRICS, PREFIX, Exposition, MetricSpec, ReadingsCollector
from helpers.server.tally import BOUNDS_SECONDS, STAGES
from tests.server.site import readings, running

LABELS = {
    "build", "mode", "strategy", "model",  # of one series
    "source", "asset", "action", "rule", "purpose", "answer", "status", "reason", "result", "kind",
    "cause", "verb", "outcome", "shadow", "stage",
}  # fmt: skip
"""Each a fixed set, or one value a run: nothing that grows with time."""
NOT_BASE_UNITS = re.compile(r"_(ms|milliseconds|micros|ns|minutes|hours|cents|kb|mb|percent)(_|$)")


async def parsed() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return every sample of a page by name and labels, read by the official parser."""
    text = (await Exposition().text(readings())).decode()
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def test_the_official_parser_reads_every_metric() -> None:
    """Each declared metric is on the page, and nothing else of ours."""
    text = (await Exposition().text(readings())).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name for name in families if name.startswith(PREFIX)}
    # The parser knows a counter by its name without the suffix.
    assert ours == {spec.name.removesuffix("_total") for spec in METRICS}
    for spec in METRICS:
        family = families[spec.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.kind, spec.help)
        assert family.samples, spec.name


async def test_numbers_arrive_as_they_were_read() -> None:
    """Counters, gauges with labels, and buckets that add up."""
    found = await parsed()
    assert found["worker_feed_frames_total"][("source", "binance.public"),] == 3.0
    assert found["worker_pnl_dollars"][("kind", "realised"),] == -1.5
    assert found["worker_entries_allowed"][()] == 1.0
    buckets = found["worker_event_loop_lag_seconds_bucket"]
    counts = [buckets[("le", str(bound)),] for bound in BOUNDS_SECONDS]
    assert counts == [sum(range(n + 1)) for n in range(len(BOUNDS_SECONDS))]
    total = sum(range(len(BOUNDS_SECONDS) + 1))
    assert buckets[("le", "+Inf"),] == total
    assert found["worker_event_loop_lag_seconds_count"][()] == total
    assert found["worker_event_loop_lag_seconds_sum"][()] == 12.5
    assert len(found["worker_stage_seconds_count"]) == len(STAGES)


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_names_follow_the_conventions(spec: MetricSpec) -> None:
    """As promtool's check: one prefix, base units, ``_total`` on counters only, a help text."""
    assert re.fullmatch(rf"{PREFIX}[a-z][a-z0-9_]*[a-z0-9]", spec.name)
    assert spec.name.endswith("_total") == (spec.kind == "counter")
    assert not NOT_BASE_UNITS.search(spec.name)
    assert not re.search(r"(_count|_sum|_bucket|_gauge|_counter|_histogram)$", spec.name)
    if spec.kind == "histogram":
        assert spec.name.endswith("_seconds")
    assert spec.help.endswith(".")
    assert spec.help[0].isupper()
    assert set(spec.labels) <= LABELS
    assert not {"slug", "market", "token", "order_id", "run"} & set(spec.labels)


def test_names_are_unique_and_series_are_few() -> None:
    """The most there can be, if every label takes every value, stays small."""
    assert len({spec.name for spec in METRICS}) == len(METRICS)
    assert len(Source) * len(Asset) * len(HoldCause) < 5_000


async def test_a_registry_holds_them_before_anything_was_read() -> None:
    """It knows their names, so that none can be registered twice; there is no sample yet."""
    exposition = Exposition()
    ours = [m for m in exposition.registry.collect() if m.name.startswith(PREFIX)]
    assert ours == []
    with pytest.raises(ValueError, match="Duplicated"):
        exposition.registry.register(ReadingsCollector())


async def test_the_page_is_made_once_a_second() -> None:
    """A second scraper costs nothing."""
    async with running() as server:
        first, second = [await server.client.get("/metrics") for _ in range(2)]
        assert first.headers["content-type"] == CONTENT_TYPE
        assert list(text_string_to_metric_families(first.text))
        assert second.status_code == 200
