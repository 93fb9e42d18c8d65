"""Invariant 1 against whatever happens: no sequence of events makes a wrong ``Approved``.

The real flow with its paper venue is driven through hostile sequences; an independent model
(``tests/safety_model.py``) judges every verdict at the moment it is given.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import logs
from helpers.clock import SimulatedClock
from helpers.domain import HoldCause, OperatorVerb, Outcome, Source
from helpers.settings import Settings
from tests.safety_actors import PROFILES, SHAPES
from tests.safety_world import PASSING, World

EXAMPLES: Final = 60
"""In the suite. A night's worth is 5,000: nothing else has to change."""

market = st.integers(0, 2)
token = st.integers(0, 5)
sizes = st.sampled_from((0.5, 0.75, 1.0))
few_seconds = st.integers(1, 25)
cause = st.sampled_from((*PASSING, HoldCause.MISMATCH, HoldCause.WATCHDOG))


def step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(name), st.tuples(*arguments))


STEPS = st.one_of(
    step("beat", st.integers(1, 20)),
    step("beat", st.integers(1, 20)),
    step("change_mind", st.integers(1, 40), sizes),
    step("change_mind", st.integers(1, 6), sizes),
    step("change_mind", st.integers(1, 6), sizes),
    step("move", market, st.integers(-6, 6)),
    step("move", market, st.integers(-30, 30)),
    step("gap", st.integers(1, 70)),
    step("silence", token, st.integers(5, 40)),
    step("quote_silence", market, few_seconds),
    step("shape", token, st.sampled_from(SHAPES)),
    step("shape", token, st.sampled_from(("wide", "thin"))),
    step("tick_size", token, st.integers(0, 10)),
    step("grid_war", market, st.integers(2, 8)),
    step("mismatch", token, st.integers(0, 10)),
    step("late_change", token, st.integers(1, 25)),
    step("late_quote", market, st.integers(1, 25)),
    step("venue_clock", st.integers(0, 700)),
    step(
        "operator", st.sampled_from((OperatorVerb.HALT, OperatorVerb.RESUME, OperatorVerb.RESUME))
    ),
    step("hold", cause),
    step("release", cause),
    step("release", cause),
    step("disconnect", st.sampled_from((Source.BINANCE_PUBLIC, Source.POLYMARKET_MARKET))),
    step("problem", market),
    step("new_tokens", market),
    step("resolve", market, st.sampled_from(Outcome)),
    step("sold", token, st.integers(1, 400)),
)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        lines = logs.configure(clock=SimulatedClock(), json_lines=True, directory=None, quiet=True)
        yield
        lines.close()


def play(script: list[tuple[str, tuple[Any, ...]]], **beginning: Any) -> World:
    """Run one sequence, each step followed by two seconds of feeds; the model judges meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), **beginning)
        world.beat(32)
        for name, arguments in script:
            action: Callable[..., None] = getattr(world, name)
            action(*arguments)
            world.beat(4)
        world.journal.close()
    return world


SCRIPTS = st.lists(STEPS, min_size=10, max_size=40)
BEGINNINGS = st.fixed_dictionaries(
    {
        "style": st.sampled_from(("taker", "maker")),
        "profile": st.sampled_from(sorted(PROFILES)),
        "warm": st.sampled_from((*(True,) * 7, False)),
        "skew_seconds": st.sampled_from((*(0.0,) * 8, 1.2, -1.2, 3.0, -3.0)),
        "midnight_in": st.sampled_from((40, 90, 40_000)),
    }
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(script=SCRIPTS, beginning=BEGINNINGS)
def test_no_sequence_of_events_makes_a_wrong_approval(
    script: list[tuple[str, tuple[Any, ...]]], beginning: dict[str, Any]
) -> None:
    """I1, I14 to I24, I30: halted, stale, cold, late, over a limit or unknown, nothing enters."""
    play(script, **beginning)
