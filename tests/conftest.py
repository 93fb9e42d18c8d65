"""What holds for all tests: none starts a database or a dashboard unless it asks for one.

What a test measured is shown at the end, whichever process it ran in: it records it as the property
``figures``.
"""

from __future__ import annotations

import os

import pytest

os.environ["DATABASE"] = "off"
os.environ["DASHBOARD_PORT"] = "0"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write what tests have measured."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "figures" and report.when == "call":
                    terminalreporter.write_line(str(value).rstrip())
