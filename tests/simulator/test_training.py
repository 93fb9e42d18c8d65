"""A policy in simulated markets: what it gathers is its profit, and the same for the same seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from helpers.clock import SimulatedClock
from helpers.commands.composition import learning_terms
from helpers.commands.evaluating import quiet_logs
from helpers.domain import FUSION_VERSION, MICROS, NS_PER_SECOND
from helpers.settings import Settings
from helpers.training.collector import Books, Collector, Experience
from helpers.training.environment import ACTORS, Run, TrainingEnvironment
from helpers.training.keeping import fresh_model
from simulator.training import Ground, make_environment, make_run_maker
from simulator.training_processes import EnvironmentLostError, model_of, running_environments
from strategies.base import Strategy
from strategies.networks import network_parameters
from strategies.rollout import Trajectory

SETTINGS = Settings.model_validate({"windows": "5m", "assets": "BTC", "strategy": "rl"})
GROUND = Ground(SETTINGS, rounds=1)
MODEL = fresh_model(3, "phase5")
CAPITAL_MICROS = 10 * MICROS


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Write no line."""
    lines = quiet_logs(SimulatedClock())
    yield
    lines.close()


def steps(trajectories: Sequence[Trajectory]) -> list[tuple[str, int, int, float, float]]:
    """Return what was learned from, as values that can be compared."""
    return [
        (one.market, step.choice.at_ns, step.choice.action, step.reward, step.seconds)
        for one in trajectories
        for step in one.transitions
    ]


def test_rewards_sum_to_the_net_profit_of_the_ledger() -> None:
    """Over whole windows: fees, settlements and all, and nothing else."""
    ledgers: list[Sequence[Books]] = []
    make = make_run_maker(GROUND, 11)

    def make_run(number: int, policies: Sequence[Strategy], hear: Sequence[Collector]) -> Run:
        run = make(number, policies, hear)
        ledgers.append(run.books)
        return run

    environment = TrainingEnvironment(
        MODEL, (1,), make_run, terms=learning_terms(GROUND.settings), learn_interval_seconds=2.0
    )
    gathered = Experience()
    while len(ledgers) < 3:
        gathered += environment.collect(30)
    for number, actor in itertools.product((1, 2), range(ACTORS)):
        place = f"{number}/{actor}/"
        all_own = [one for one in gathered.trajectories if one.market.startswith(place)]
        settled = {one.market for one in all_own if one.terminal}
        own = [one for one in all_own if one.market in settled]
        books = ledgers[number - 1][actor]
        realised = sum(books.market_realised_micros(market[len(place) :]) for market in settled)
        assert realised != 0, "nothing was traded: the test says nothing"
        rewards = math.fsum(step.reward for one in own for step in one.transitions)
        assert rewards * CAPITAL_MICROS == pytest.approx(realised, abs=1e-3)
    assert gathered.trips >= gathered.wins
    assert gathered.trips > 0


def test_actors_see_the_same_and_draw_apart() -> None:
    """One feed, several ways through it, none of which moves another's prices."""
    environment = make_environment(GROUND, 5, MODEL)
    gathered = environment.collect(80).trajectories
    by_actor = [[o for o in gathered if o.market.split("/")[1] == str(n)] for n in range(ACTORS)]
    first = [own[0].transitions[0].choice for own in by_actor]
    assert len({choice.at_ns for choice in first}) == 1
    assert all(np.array_equal(choice.window, first[0].window) for choice in first)
    drawn = {tuple(action for _, _, action, _, _ in steps(own)[:10]) for own in by_actor}
    assert len(drawn) == ACTORS


def test_a_seed_fixes_what_is_gathered() -> None:
    """Two of one seed agree to the last bit; another seed, or later runs, do not."""
    one, same = (make_environment(GROUND, 5, MODEL) for _ in range(2))
    first = one.collect(60)
    assert steps(first.trajectories) == steps(same.collect(60).trajectories)
    for other in (make_environment(GROUND, 6, MODEL), make_environment(GROUND, 5, MODEL, 1)):
        assert steps(first.trajectories) != steps(other.collect(60).trajectories)


def test_what_is_recorded_is_what_acted() -> None:
    """Choices are of the adopted model from the next decision point on."""
    environment = make_environment(GROUND, 5, MODEL)
    before = environment.collect(20)
    until_ns = max(at_ns for _, at_ns, *_ in steps(before.trajectories))
    other = fresh_model(4, "phase5")
    weights = dict(network_parameters(other.networks))
    weights["actor.fc3.bias"] = np.array([0.0, 50.0, 0.0], dtype=np.float32)
    environment.adopt(model_of(weights, "phase5"))
    later = environment.collect(40)
    # Choices whose outcome was not known yet are of the model before.
    after = [one for one in steps(later.trajectories) if one[1] > until_ns + 5 * NS_PER_SECOND]
    assert len(after) > ACTORS
    assert {action for _, _, action, _, _ in after} == {1}


def test_environments_in_processes_gather_the_same() -> None:
    """One process of a seed brings what the same environment brings here."""
    weights = network_parameters(MODEL.networks)
    with running_environments(1, 5, GROUND) as environments:
        told = environments.collect(weights, 40)
    here = make_environment(GROUND, 500, MODEL).collect(40)
    assert steps(told.trajectories) == [
        (f"0/{market}", *rest) for market, *rest in steps(here.trajectories)
    ]


def test_a_failing_environment_is_told() -> None:
    """Whoever asked hears why, at once."""
    broken = GROUND._replace(settings=SETTINGS.model_copy(update={"windows": ("4h",)}))
    with (
        running_environments(1, 5, broken) as environments,
        pytest.raises(EnvironmentLostError, match="window lengths were"),
    ):
        environments.collect(network_parameters(MODEL.networks), 10)


def test_a_policy_of_other_features_is_given_them() -> None:
    """The flow computes what the model's manifest names."""
    ground = GROUND._replace(feature_version=FUSION_VERSION)
    gathered = make_environment(ground, 5, fresh_model(3, FUSION_VERSION)).collect(20)
    plain = make_environment(GROUND, 5, MODEL).collect(20)
    first, other = (one.trajectories[0].transitions[0].choice for one in (gathered, plain))
    assert first.at_ns == other.at_ns
    assert not np.array_equal(first.window, other.window)
