"""Who watches a run: the dashboard, or nobody. Nothing of a server is imported for nobody."""

from __future__ import annotations

from collections.abc import Callable

from helpers.clock import Clock
from helpers.commands.observed_run import Observer
from helpers.domain import Mode
from helpers.settings import Settings


def observers_of(
    settings: Settings,
    mode: Mode,
    clock: Clock,
    *,
    slower: float | None = None,
    told: Callable[[str], None] | None = None,
) -> tuple[Observer, ...]:
    """Return the observers that the settings ask for; arguments as ``Dashboard``'s."""
    if not settings.dashboard_port:
        return ()
    from helpers.commands.dashboard import Dashboard

    return (Dashboard(settings, mode, clock, slower=slower, told=told),)
