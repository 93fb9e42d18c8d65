"""The report is one file: complete, closed to every network, and deaf to what venues write."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import msgspec
from msgspec.structs import replace

from db.query_results import UnexplainedOrder
from helpers.web.charts import charts_of
from helpers.web.figures import curve_of
from helpers.web.page import VENDOR, embedded_json, render_report
from tests.journal_samples import at
from tests.report_samples import hostile_read, sample_read

NOW_NS = at(4000)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028'\"&<!--"
HOSTILE_TAG = re.compile(r"<script>alert|<img|<!--")
ALL_CHARTS = {
    *("equity", "drawdown", "by-day", "by-hour", "by-asset-side", "by-entry-price", "by-hold"),
    "calibration",
}


class Tags(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def data_of(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id=data>(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_everything_is_in_the_page() -> None:
    """Nothing is fetched: no element that could, and a policy that forbids it."""
    tags = Tags(render_report(sample_read(), NOW_NS)).tags
    assert not [tag for tag, _ in tags if tag in ("link", "img", "iframe", "base", "object")]
    assert not [a for _, a in tags if {"src", "href", "srcset", "action"} & set(a)]
    (policy,) = [a["content"] for _, a in tags if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "url(" not in "".join(path.read_text() for path in VENDOR.parents[1].glob("*.css"))


def test_each_chart_has_its_place() -> None:
    """What is drawn and where it is drawn are told by different modules."""
    page = render_report(sample_read(), NOW_NS)
    places = {a["data-chart"] for _, a in Tags(page).tags if "data-chart" in a}
    assert places == {chart["id"] for chart in data_of(page)} == ALL_CHARTS


def test_an_empty_report_says_what_is_missing() -> None:
    """Asked for before anything happened it is a page without charts."""
    read = sample_read()
    empty = replace(
        read,
        totals=replace(read.totals, trips=0, wins=0, lost_micros=0, hold_seconds_median=None),
        **dict.fromkeys(
            (
                *("sessions", "equity", "by_day", "by_asset", "by_outcome", "by_asset_outcome"),
                *("by_hour", "by_entry_price", "by_hold", "execution", "refusals"),
                *("calibration", "drift", "holds", "trips"),
            ),
            (),
        ),
    )
    page = render_report(empty, NOW_NS)
    assert {chart["id"] for chart in data_of(page)} == {"by-hour"}
    assert page.count("Nothing to draw yet.") == 6
    assert "No order was sent in this span." in page


def test_what_a_venue_wrote_stays_text() -> None:
    """Names, reasons and details come from outside; none of it becomes a tag or ends the data."""
    page = render_report(hostile_read(HOSTILE), NOW_NS)
    assert not HOSTILE_TAG.search(page)
    scripts = [tag for tag, _ in Tags(page).tags if tag == "script"]
    assert len(scripts) == 3
    (chart,) = [chart for chart in data_of(page) if chart["id"] == "by-asset-side"]
    assert HOSTILE in str(chart["names"]) or HOSTILE in msgspec.convert(chart["names"], list[str])


def test_data_in_a_script_has_no_character_that_could_end_it() -> None:
    """Also those that end a line in old engines."""
    read = hostile_read(HOSTILE)
    text = embedded_json(charts_of(read, curve_of(read.equity, None)))
    assert not set(text) & set("<>&\u2028\u2029")


def test_unexplained_orders_are_green_or_red() -> None:
    """Must be empty; if it is not, nobody can pass over it."""
    read = sample_read()
    page = render_report(read, NOW_NS)
    assert '<div class="tile good"><h2>unexplained orders</h2><strong>0</strong>' in page
    assert '<section class="card good"><h2>Unexplained orders</h2>' in page
    strange = UnexplainedOrder("i1", "0x1", "no_verdict", None, "btc")
    page = render_report(replace(read, unexplained=(strange,)), NOW_NS)
    assert '<div class="tile bad"><h2>unexplained orders</h2><strong>1</strong>' in page
    assert '<section class="card bad"><h2>Unexplained orders</h2>' in page
    assert "1 orders are not explained" in page


def test_rows_that_are_missing_are_told() -> None:
    """A report of less than the journal says so at its top."""
    read = sample_read()
    torn = replace(
        read.latest, rows_lost=2, rows_refused=1, rows_retired=5, damage="line 7: checksum"
    )
    page = render_report(replace(read, sessions=(torn,)), NOW_NS)
    assert "3 rows of the journal are not in the database." in page
    assert "line 7: checksum" in page
    assert "5 decisions and refusals of these runs grew too old" in page


def test_numbers_stand_to_the_right_in_the_colour_of_their_sign() -> None:
    """Dollars carry their sign; tables are read down a column."""
    page = render_report(sample_read(), NOW_NS)
    assert '<td class="n gain">+$4.26</td>' in page
    assert '<td class="n loss">-$2.00</td>' in page
    assert '<td class="n loss">-3.00¢</td>' in page  # drift: live minus paper


def test_the_vendored_library_carries_its_licence() -> None:
    """MIT asks for the notice with every copy."""
    assert "The MIT License (MIT)" in (VENDOR / "LICENSE").read_text()
    assert "v1.6.32" in (VENDOR / "uPlot.iife.min.js").read_text()[:80]
    assert "</script" not in (VENDOR / "uPlot.iife.min.js").read_text().lower()
    assert "Leon Sorokin" in render_report(sample_read(), NOW_NS)
