"""Plain numbers of a run for its metrics, copied on the worker's loop. Reads, changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from helpers.commands.observed_run import ObservedRun
from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    MarketState,
    Outcome,
    from_micros,
)
from helpers.metrics import Distribution, Labelled, Readings
from helpers.server.tally import BOUNDS_SECONDS, Histogram, Tally
from helpers.server.view import AccountView, LearnerView, View


class ServerFacts(NamedTuple):
    """What the server knows of itself."""

    viewers: int
    viewers_dropped: int
    views: int
    lag: Histogram


def build_readings(
    run: ObservedRun,
    tally: Tally,
    view: View,
    open_states: Iterable[MarketState],
    server: ServerFacts,
    *,
    first_model: str,
) -> Readings:
    """Return what the metrics read, of one moment; ``first_model`` is the one it began with."""
    now_ns = view.at_ms * NS_PER_MS
    account, scorecard = view.account, run.flow.scorecard
    books, fast = _ages(open_states, now_ns)
    return Readings(
        build=view.build,
        mode=view.mode,
        strategy=view.strategy,
        model=first_model,  # a run that learns has many: each would be a series of its own
        started_seconds=view.started_at_ms / 1000,
        now_seconds=now_ns / NS_PER_SECOND,
        simulated=view.simulated,
        **_feeds(run, tally),
        book_ages=_by_name(books),
        fast_ages=_by_name(fast),
        grid_steps=run.flow.engine.grid_steps,
        last_grid_step_seconds=run.flow.engine.last_grid_step_ns / NS_PER_SECOND,
        markets=len(run.flow.board.open_markets(now_ns)),
        decisions=_by_name({name.lower(): n for name, n in scorecard.decisions.items()}),
        refusals=_by_name(scorecard.refusals),
        unsized=_by_name(scorecard.unsized),
        approved=tuple(tally.approved.items()),
        answers=_by_name(tally.answers),
        fills=tuple(tally.fills.items()),
        exits=_by_name(tally.exits),
        trips=tuple(tally.trips.items()),
        fees_dollars=from_micros(tally.fees_micros),
        positions=len(run.flow.ledger.positions()),
        position_costs=_costs(run),
        exposure_dollars=account.exposure,
        pnl=_pnl(account),
        cash_dollars=account.cash,
        equity_dollars=account.equity,
        drawdown_dollars=account.drawdown,
        entries_allowed=view.safety.entries_allowed,
        held=tuple(((hold.cause,), 1.0) for hold in view.safety.holds),
        holds=_by_name(tally.holds),
        requests=_by_name(tally.requests),
        conflicts=tally.conflicts,
        journal_rows=run.journal.seq,
        journal_unsynced=run.journal.seq - run.journal.synced_seq,
        alerts=_by_name(tally.alerts),
        shadow_windows=_by_name(tally.shadow_windows),
        **_learner(view.learner),
        stages=tuple(_distribution(stage, found) for stage, found in tally.stages.items()),
        lag=_distribution("", server.lag),
        viewers=server.viewers,
        viewers_dropped=server.viewers_dropped,
        views=server.views,
    )


def _feeds(run: ObservedRun, tally: Tally) -> Mapping[str, tuple[Labelled, ...]]:
    heard = {source: told for source, told in run.intake.arrivals.items() if told.frames}
    return {
        "frames": _by_name({source: told.frames for source, told in heard.items()}),
        "last_frames": _by_name({source: t.last_ns / NS_PER_SECOND for source, t in heard.items()}),
        "connected": _by_name({source: source not in tally.lost for source in heard}),
        "gaps": _by_name(tally.gaps),
        "skipped": _skipped(run),
    }


def _learner(learner: LearnerView | None) -> Mapping[str, tuple[Labelled, ...]]:
    if learner is None:
        return {"updates": (), "entropy_nats": (), "kl_nats": ()}
    found = {
        "updates": learner.updates,
        "entropy_nats": learner.entropy_nats,
        "kl_nats": learner.kl,
    }
    return {name: (((), float(n)),) if n is not None else () for name, n in found.items()}


def _pnl(account: AccountView) -> tuple[Labelled, ...]:
    return (
        (("realised",), account.realised),
        (("unrealised",), account.unrealised),
        (("day",), account.day_pnl),
    )


def _by_name(counts: Mapping[str, float]) -> tuple[Labelled, ...]:
    return tuple(((str(name),), float(number)) for name, number in counts.items())


def _ages(
    states: Iterable[MarketState], now_ns: int
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the oldest book and the fast market of each asset, in seconds."""
    books: dict[str, float] = {}
    fast: dict[str, float] = {}
    for state in states:
        snapshot, asset = state.snapshot, state.snapshot.market.asset.value
        passed = (now_ns - snapshot.now_ns) / NS_PER_SECOND
        oldest = max(snapshot.book(outcome).age_seconds for outcome in Outcome) + passed
        books[asset] = max(books.get(asset, 0.0), oldest)
        fast[asset] = max(fast.get(asset, 0.0), snapshot.fast.age_seconds + passed)
    return books, fast


def _skipped(run: ObservedRun) -> tuple[Labelled, ...]:
    counts: Counter[str] = Counter()
    for name, count in run.intake.skipped():
        counts[name.partition(" ")[0]] += count
    return _by_name(counts)


def _costs(run: ObservedRun) -> tuple[Labelled, ...]:
    costs: Counter[str] = Counter()
    ledger = run.flow.ledger
    for position in ledger.positions():
        market = ledger.market(position.market)
        if market is not None:
            costs[market.asset.value] += position.cost_micros
    return tuple(((asset,), micros / MICROS) for asset, micros in costs.items())


def _distribution(stage: str, found: Histogram) -> Distribution:
    return Distribution(stage, BOUNDS_SECONDS, tuple(found.counts), found.sum_seconds)
