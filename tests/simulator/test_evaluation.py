"""Strategies in the simulated world: whole windows, the same ones for all, and an honest oracle."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from helpers.commands.contenders import Contender
from helpers.commands.evaluating import EvaluationSettings
from helpers.domain import MICROS, NO_FORECAST, Action, Asset, BookProblem, Outcome, Position
from helpers.evaluation.windows import Gathered
from helpers.settings import Settings
from simulator.evaluation import ROUNDS_MAXIMUM, SimulatedRun, evaluate_simulated
from simulator.market_model import ModelSettings
from simulator.oracle import Oracle
from simulator.windows import window_start_ns
from simulator.world import World
from simulator.world_settings import DEFAULT_START_NS, WorldSettings
from tests.builders import SLUG, a_book, a_snapshot, a_state

WORLD = WorldSettings(model=ModelSettings(quotes_per_second=4.0))
NAMES = ("hold", "momentum", "oracle")


def settings(**more: object) -> Settings:
    chosen: dict[str, object] = {
        "assets": "BTC",
        "windows": "5m",
        "entry_stop_seconds": 60,
        "position_timeout_seconds": 30,
        **more,
    }
    return Settings.model_validate(chosen)


def play(seed: int = 5, **more: object) -> tuple[Gathered, ...]:
    named = [(name, Contender(name, "taker")) for name in NAMES]
    run = SimulatedRun(seed, 2, named, settings(**more), EvaluationSettings(), world_settings=WORLD)
    return run.play()


@pytest.fixture(scope="module")
def played() -> tuple[Gathered, ...]:
    """Give two rounds of five minutes."""
    return play()


def test_every_strategy_has_the_same_whole_windows(played: tuple[Gathered, ...]) -> None:
    """Two rounds of one asset are two windows, seen from their opening to their resolution."""
    windows = [[row.window for row in gathered.results] for gathered in played]
    assert len(windows[0]) == 2
    assert windows[0] == windows[1] == windows[2]
    assert all(gathered.late == gathered.unresolved == 0 for gathered in played)
    starts = [row.opens_ns for row in played[0].results]
    assert starts[0] == window_start_ns(DEFAULT_START_NS, 300)
    assert {row.run for row in played[0].results} == {"seed 5"}
    assert [row.contender for row in (g.results[0] for g in played)] == list(NAMES)


def test_holding_earns_nothing_and_others_trade(played: tuple[Gathered, ...]) -> None:
    """The zero is exact; the others paid fees."""
    hold, momentum, oracle = played
    assert all((row.pnl_micros, row.trips) == (0, 0) for row in hold.results)
    assert sum(row.trips for row in momentum.results) > 0
    assert sum(row.fees_micros for row in oracle.results) > 0


def test_a_strategy_earns_alone_what_it_earns_beside_others(
    played: tuple[Gathered, ...],
) -> None:
    """Nothing but the events is shared."""
    named = [("momentum", Contender("momentum", "taker"))]
    run = SimulatedRun(5, 2, named, settings(), EvaluationSettings(), world_settings=WORLD)
    assert run.play() == (played[1],)


def test_the_same_seed_is_the_same_evaluation(played: tuple[Gathered, ...]) -> None:
    """And another is another."""
    assert play() == played
    assert play(6) != played


@pytest.mark.parametrize(("rounds", "windows"), [(0, "5m"), (ROUNDS_MAXIMUM + 1, "5m"), (1, "4h")])
def test_what_cannot_be_simulated_is_refused(rounds: int, windows: str) -> None:
    """No round, a week of them, a length the model does not know."""
    named = [("hold", Contender("hold", "taker"))]
    with pytest.raises(ValueError, match="expected"):
        evaluate_simulated(1, rounds, named, settings(windows=windows), EvaluationSettings())


# --- The oracle -----------------------------------------------------------------------------------


def a_world(seed: int = 5) -> World:
    model = msgspec.structs.replace(
        WORLD.model, assets=(Asset.BTC,), window_seconds=(300,), warm_up_minutes=5
    )
    return World(seed, msgspec.structs.replace(WORLD, model=model))


def test_the_oracle_knows_no_price_to_come() -> None:
    """The chance at a moment is the same, whether the world has gone a little further or not."""
    early, ahead = a_world(), a_world()
    (market,) = early.model.open_markets
    for step in range(1, 400):
        now_ns = DEFAULT_START_NS + step * 250_000_000
        early.advance(now_ns)
        ahead.advance(now_ns + 250_000_000)
        chance = early.model.true_chance(market.slug, now_ns)
        assert chance == pytest.approx(ahead.model.true_chance(market.slug, now_ns), abs=1e-3)


def test_the_truth_scores_better_than_the_quotes() -> None:
    """Brier score against what won, over some windows: what is known beats what is quoted."""
    truth, quoted = 0.0, 0.0
    for seed in range(6):
        world = a_world(seed)
        told: list[tuple[str, float, float]] = []
        for step in range(1, 290):
            now_ns = DEFAULT_START_NS + step * 1_000_000_000
            world.advance(now_ns)
            for market in world.model.open_markets:
                middle = world.books.find(market.slug)
                if middle is None or middle.middle_micros is None:
                    continue
                chance = world.model.true_chance(market.slug, now_ns)
                told.append((market.slug, chance, middle.middle_micros / 1e6))
        (market,) = {slug for slug, _, _ in told}
        world.advance(DEFAULT_START_NS + 400_000_000_000)
        state = world.books.find(market)
        assert state is not None
        won = 1.0 if state.winner is Outcome.UP else 0.0
        truth += sum((chance - won) ** 2 for _, chance, _ in told) / len(told)
        quoted += sum((price - won) ** 2 for _, _, price in told) / len(told)
    assert truth < quoted


class Told:
    """A world in which the chance of Up is what it was told."""

    def __init__(self, chance: float | None) -> None:
        self._chance = chance

    def true_chance(self, slug: str, at_ns: int) -> float:
        if self._chance is None:
            raise KeyError(slug, at_ns)
        return self._chance


@pytest.mark.parametrize(
    ("chance", "held", "action"),
    [
        (0.64, None, Action.BUY),
        (0.61, None, Action.HOLD),
        (0.40, None, Action.SELL),
        (None, None, Action.HOLD),
        (0.60, Outcome.UP, Action.HOLD),
        (0.45, Outcome.UP, Action.SELL),
        (0.57, Outcome.DOWN, Action.BUY),
        (0.45, Outcome.DOWN, Action.HOLD),
    ],
)
def test_the_oracle_buys_what_is_cheap_and_sells_what_is_dear(
    chance: float | None, held: Outcome | None, action: Action
) -> None:
    """Up at 0.52 to 0.53, Down at 0.47 to 0.48, a fee of 1.75 c and its margins between."""
    held_shares = 10 * MICROS if held is not None else 0
    position = Position(SLUG, held, shares_settled_micros=held_shares, cost_micros=5 * MICROS)
    (decision,) = Oracle(Told(chance)).decide([a_state(a_snapshot(), position=position)])
    assert decision.action is action
    assert decision.forecast_up == (NO_FORECAST if chance is None else chance)


def test_the_oracle_sells_to_no_empty_book() -> None:
    """It holds to the end what nobody bids for."""
    empty = a_book(bids=(), problem=BookProblem.ONE_SIDED)
    position = Position(SLUG, Outcome.UP, shares_settled_micros=MICROS, cost_micros=MICROS)
    state = a_state(a_snapshot(up=empty), position=position)
    (decision,) = Oracle(Told(0.1)).decide([state])
    assert decision.action is Action.HOLD
    assert "no book" in decision.reason


def test_the_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation writes no journal and no log."""
    monkeypatch.chdir(tmp_path)
    play()
    assert list(tmp_path.iterdir()) == []
