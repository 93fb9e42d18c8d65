"""Opens a file in headless Chromium and returns what a script in it found out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from helpers.domain import Message

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 90
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--hide-scrollbars"),
)
WATCH = """<script>
window.seen = {errors: [], violations: 0};
addEventListener("error", (event) => seen.errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => seen.errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", () => { seen.violations += 1; });
for (const name of ["error", "warn"]) {
  console[name] = (...words) => seen.errors.push(words.join(" "));
}
</script>"""
LOOK = """<script>
setTimeout(() => {
  const inked = (canvas) => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Set();
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3]) colours.add(data[at] + "," + data[at + 1] + "," + data[at + 2]);
    }
    return colours.size;
  };
  seen.drawn = {};
  for (const place of document.querySelectorAll("[data-chart]")) {
    const canvas = place.querySelector("canvas");
    seen.drawn[place.dataset.chart] = canvas ? inked(canvas) : 0;
  }
  seen.requests = performance.getEntriesByType("resource").length;
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.alerts = window.alerts || 0;
  document.body.insertAdjacentHTML("beforeend", "<pre id=seen></pre>");
  document.getElementById("seen").textContent = JSON.stringify(seen);
}, 300);
</script>"""


class PageSeen(Message, frozen=True):
    """What a browser saw."""

    errors: tuple[str, ...]
    drawn: dict[str, int]
    """Colours on each chart's canvas."""
    requests: int
    violations: int
    overflow: int
    """Pixels that the page is wider than its window."""
    alerts: int


def find_chromium() -> str:
    """Return the browser, or skip the test with the reason."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed: .ci/run installs one where it may")
    return found


def look_at(page: str, folder: Path, *, width: int = 1280) -> PageSeen:
    """Open a page in a new profile and return what happened in it."""
    file = folder / "page.html"
    watched = page.replace("<head>", f"<head>{WATCH}", 1).replace("</body>", f"{LOOK}</body>", 1)
    file.write_text(watched, encoding="utf-8")
    done = subprocess.run(
        [
            find_chromium(),
            *(*OPTIONS, f"--window-size={width},1000"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000"),
            *("--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    seen = json.loads(unescape(found[1]))
    return PageSeen(
        errors=tuple(seen["errors"]),
        drawn=seen["drawn"],
        requests=seen["requests"],
        violations=seen["violations"],
        overflow=seen["overflow"],
        alerts=seen["alerts"],
    )
