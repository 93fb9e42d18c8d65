"""A page in headless Chromium that a test can wait for and act on, over the DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections import deque
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.browser.chromium import OPTIONS, find_chromium

START_SECONDS = 60
CALL_SECONDS = 30
POLL_SECONDS = 0.1
FRAME_BYTES_MAXIMUM = 1 << 25
PROBLEMS_MAXIMUM = 200
PROBLEMS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
HARMLESS = frozenset({"log", "info", "debug", "verbose"})


class Page:
    """One tab, and everything that its console said."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._calls = 0
        self.problems: deque[str] = deque(maxlen=PROBLEMS_MAXIMUM)
        """Errors, warnings and exceptions, violations of the policy among them."""
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Any:
        """Return a method's result."""
        self._calls += 1
        self._line.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._line.recv(timeout=CALL_SECONDS))
            if answer.get("id") == self._calls:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method not in PROBLEMS:
            return
        level = told.get("type") or told.get("entry", {}).get("level") or "exception"
        if level not in HARMLESS:
            self.problems.append(json.dumps(told)[:600])

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = START_SECONDS) -> Any:
        """Return an expression's value as soon as it is true; fail after a long while."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            value = self.run(script)
            if value:
                return value
            time.sleep(POLL_SECONDS)
        seen = self.run("document.body.innerText.slice(0, 2000)")
        raise AssertionError(f"never true: {script}\n{seen}\n{list(self.problems)}")

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window another size, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, address: str, *, width: int = 1440) -> None:
        """Go to an address with a window of this width."""
        self.resize(width)
        self.call("Page.navigate", url=address)

    def picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


@contextmanager
def open_browser(folder: Path) -> Generator[Page]:
    """Run a browser with a new profile and give its only tab."""
    profile = folder / "profile"
    process = subprocess.Popen(
        [
            find_chromium(),
            *OPTIONS,
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        line = connect(_address(profile), max_size=FRAME_BYTES_MAXIMUM, proxy=None)
        with closing(line):
            yield Page(line)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _address(profile: Path) -> str:
    """Wait for the port that the browser chose and return the address of its tab."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        try:
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                tabs = json.load(answer)
            return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        except (OSError, IndexError, StopIteration):
            time.sleep(POLL_SECONDS)
    raise AssertionError("the browser did not start")
