"""Who takes part in an evaluation: a strategy by name or a model's folder, and how it enters.

Must not: know the simulated world; the oracle, which does, is built by the simulator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from helpers.clock import monotonic_seconds
from helpers.domain import Message
from helpers.settings import Settings
from strategies.base import Strategy
from strategies.catalogue import STRATEGY_NAMES, build_strategy

Style = Literal["taker", "maker", "auto"]
STYLES: Final[tuple[Style, ...]] = ("taker", "maker", "auto")
HOLD: Final = "hold"
ORACLE: Final = "oracle"
"""Sees the fair value of a simulated market, so it exists in simulated evaluations alone."""
CONTENDERS_MAXIMUM: Final = 32
"""Each has a flow of its own in memory."""
EXPECTED: Final = (
    f"{', '.join(STRATEGY_NAMES)}, {HOLD}, {ORACLE} (simulated only) or a model folder"
)


class ContenderError(ValueError):
    """Somebody who cannot take part was named: what was found, what was expected."""


class Contender(Message, frozen=True):
    """One strategy with one way to enter."""

    strategy: str
    """A name, or the folder of a model."""
    style: Style

    @property
    def is_oracle(self) -> bool:
        """Return whether only a simulated world can build it."""
        return self.strategy == ORACLE

    def settings(self, settings: Settings) -> Settings:
        """Return the settings with this one's strategy and style."""
        update = {"execution_style": self.style}
        if self.strategy in STRATEGY_NAMES:
            update["strategy"] = self.strategy
        return settings.model_copy(update=update)

    def build(self, settings: Settings) -> Strategy:
        """Return a new policy.

        Raises ``ModelError`` for a model that does not verify and ``ContenderError`` for the
        oracle, whom only a simulated world can build.
        """
        if self.is_oracle:
            raise ContenderError(f"{ORACLE} needs a simulated market, found a tape or live feeds")
        if self.strategy == HOLD:
            from strategies.hold import Hold

            return Hold()
        known = self.strategy in STRATEGY_NAMES
        return build_strategy(
            self.strategy if known else "rl",
            model_directory=settings.model_directory if known else Path(self.strategy),
            seed=settings.random_seed,
            learn_interval_seconds=settings.learn_interval_seconds,
            monotonic_seconds=monotonic_seconds,
        )


def parse_strategies(text: str, *, simulated: bool) -> tuple[str, ...]:
    """Return the strategies of a comma-separated list, each once.

    Raises ``ContenderError`` for a name that is none, an empty list, or too many.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not 0 < len(names) <= CONTENDERS_MAXIMUM:
        raise ContenderError(f"strategies were {len(names)}, expected 1 to {CONTENDERS_MAXIMUM}")
    for name in names:
        if name == ORACLE and not simulated:
            raise ContenderError(f"{ORACLE} was named, but only a simulated market has one")
        known = name in (*STRATEGY_NAMES, HOLD, ORACLE)
        if not known and not Path(name).is_dir():
            raise ContenderError(f"strategy was {name!r}, expected {EXPECTED}")
    return names


def contenders_of(strategies: tuple[str, ...], styles: tuple[Style, ...]) -> tuple[Contender, ...]:
    """Return every strategy with every style; one that never enters has no use for two.

    Raises ``ContenderError`` for too many.
    """
    found = tuple(
        Contender(strategy, style)
        for strategy in strategies
        for style in (styles[:1] if strategy == HOLD else styles)
    )
    if len(found) > CONTENDERS_MAXIMUM:
        raise ContenderError(f"contenders were {len(found)}, expected {CONTENDERS_MAXIMUM} at most")
    return found


def label(contender: Contender, *, several_styles: bool) -> str:
    """Return what a contender is called in a table."""
    if not several_styles or contender.strategy == HOLD:
        return contender.strategy
    return f"{contender.strategy} ({contender.style})"
