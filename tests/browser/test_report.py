"""The report in a real browser: drawn, without an error, asking nothing of any network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from helpers.web.page import render_report
from tests.browser.chromium import find_chromium, look_at
from tests.db.serving import ROOT, open_folder
from tests.journal_samples import at
from tests.report_samples import hostile_read, sample_read

INK_MINIMUM = 5
"""Colours on a canvas that has axes, a grid and something drawn."""
CHARTS = 8


def test_every_chart_is_drawn_without_an_error(tmp_path: Path) -> None:
    """Eight canvases with something on each, at the width of a desk and of a phone."""
    page = render_report(sample_read(), at(4000))
    for width in (1280, 500):
        seen = look_at(page, tmp_path, width=width)
        assert (seen.errors, seen.violations, seen.requests) == ((), 0, 0)
        assert len(seen.drawn) == CHARTS
        assert min(seen.drawn.values()) >= INK_MINIMUM, seen.drawn
        assert seen.overflow == 0, width


def test_what_a_venue_wrote_does_not_run(tmp_path: Path) -> None:
    """A market's name is text in tables, in charts and in the data of the page."""
    text = "</script><script>window.alerts=1</script><img src=x onerror='window.alerts=2'>"
    seen = look_at(render_report(hostile_read(text), at(4000)), tmp_path)
    assert (seen.alerts, seen.errors, seen.requests) == (0, (), 0)
    assert len(seen.drawn) == CHARTS


def test_a_watcher_that_sees_nothing_would_be_no_test(tmp_path: Path) -> None:
    """An error, a request and an empty canvas are each seen."""
    broken = render_report(sample_read(), at(4000)).replace(
        "const places =", "document.body.append(new Image()).x; const places ="
    )
    seen = look_at(broken, tmp_path)
    assert seen.errors
    assert set(seen.drawn.values()) == {0}
    asking = render_report(sample_read(), at(4000)).replace(
        "const places =", 'new Image().src = "http://127.0.0.1:9/x.png"; const places ='
    )
    assert look_at(asking, tmp_path).violations == 1


def test_a_demo_and_then_its_report(tmp_path: Path) -> None:
    """A fresh clone: what the demo did is in the report, and nothing is unexplained."""
    find_chromium()
    with open_folder() as folder:
        environment = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ
        } | {
            "ASSETS": "BTC",
            "WINDOWS": "5m",
            "EMBEDDED_POSTGRES_DIRECTORY": str(folder / "postgres"),
        }

        def run(*arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, str(ROOT / "worker.py"), *arguments],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            return done.stdout

        run("demo", "--minutes", "7", "--speed", "max", "--seed", "7", "--quiet")
        told = run("report")
    assert "PAPER (demo):" in told
    assert "; 0 unexplained orders" in told
    seen = look_at((tmp_path / "backups" / "report.html").read_text(), tmp_path)
    assert (seen.errors, seen.violations, seen.requests, seen.overflow) == ((), 0, 0, 0)
    assert {"equity", "drawdown", "by-hour", "calibration"} <= set(seen.drawn)
    assert min(seen.drawn.values()) >= INK_MINIMUM, seen.drawn
