"""From journal rows to rows of tables; pure, and without a memory of earlier rows.

What a thing is now (an order, a fill, a market) is merged in the database, so that a projection can
stop after any row and go on from there. Must not: talk to a database, or read a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from db.projection_carried import carried
from db.projection_changes import Change, Event, SessionWord, Thing, Value, plain
from db.projection_orders import ORDER_KINDS
from db.projection_tables import MARKETS, STATE_TABLES, StateTable
from db.records import Record
from helpers.domain import (
    FEATURE_NAMES,
    NO_FORECAST,
    Action,
    AlertSent,
    Body,
    BookHealth,
    CashAdjusted,
    Checkpoint,
    ClaimChanged,
    Decision,
    Equity,
    ExitAttempted,
    ExitEnded,
    FeedGap,
    FeedRestored,
    HaltChanged,
    LedgerConflict,
    MarketSeen,
    MergeAsked,
    ModelChanged,
    OperatorAnswered,
    Reconciled,
    ResolutionSeen,
    RoundTrip,
    RunStarted,
    RunStopped,
    Settled,
    ShadowWindow,
    StrikeSeen,
)

Row = tuple[Any, ...]
FEATURE_COUNT: Final = len(FEATURE_NAMES)
_ACTION_NAMES: Final = {action: action.name for action in Action}


class Projection:
    """The rows of one piece of one journal, by table."""

    def __init__(self, session: int) -> None:
        """Take the number that the session has in the database."""
        self._session = session
        self.events: dict[str, list[Row]] = {}
        self.things: dict[StateTable, dict[tuple[str, ...], dict[str, Value]]] = {
            table: {} for table in STATE_TABLES
        }
        self.session_words: dict[str, Value] = {}
        self._decisions = self.events.setdefault("decisions", [])

    def add(self, record: Record) -> None:
        """Take the next row; raises ``ValueError``, and takes nothing, where none has a place."""
        body = record.body
        if type(body) is Decision:  # nine rows in ten
            self._decisions.append(_decision(self._session, record, body))
        else:
            changes = tuple(_changes(self._session, record))
            for change in changes:
                self._apply(change, record)
        self.session_words["heartbeat_ns"] = record.at_ns

    def _apply(self, change: Change, record: Record) -> None:
        if isinstance(change, Event):
            row = (self._session, record.seq, *change.values)
            self.events.setdefault(change.table, []).append(row)
        elif isinstance(change, SessionWord):
            self.session_words |= dict(change.values)
        else:
            known = self.things[change.table].setdefault(change.key, {})
            first = change.table.first
            for name, value in change.values:
                if value is not None and not (name in first and name in known):
                    known[name] = value


def _changes(session: int, record: Record) -> Iterator[Change]:
    make = _KINDS.get(type(record.body))
    if make is None:
        raise ValueError(f"no table takes rows of kind {record.kind}")
    return make(session, record, record.body)


def _decision(session: int, record: Record, body: Decision) -> Row:
    forecast = body.forecast_up
    if len(body.features) != FEATURE_COUNT:
        raise ValueError(f"{len(body.features)} features, expected {FEATURE_COUNT}")
    return (
        session,
        record.seq,
        record.at_ns,
        record.market,
        _ACTION_NAMES[body.action],
        *body.probabilities,
        body.value,
        None if forecast == NO_FORECAST else forecast,
        body.model_id,
        plain(body.reason),
        *body.features,
        body.cold,
        body.up_bid_micros,
        body.up_ask_micros,
        body.fast_mid,
        body.seconds_to_close,
    )


# --- The session ---------------------------------------------------------------------------------


def _started(_: int, record: Record, body: RunStarted) -> Iterator[Change]:
    yield SessionWord((
        ("strategy", body.strategy),
        ("model_id", body.model_id),
        ("feature_version", body.feature_version),
        ("settings_digest", body.settings_digest),
        ("build_id", body.build_id),
        ("tape", body.tape),
        ("started_seq", record.seq),
        ("started_ns", record.at_ns),
    ))  # fmt: skip


def _stopped(_: int, record: Record, body: RunStopped) -> Iterator[Change]:
    yield SessionWord((
        ("stopped_seq", record.seq),
        ("stopped_ns", record.at_ns),
        ("stop_reason", plain(body.reason)),
        ("trades", body.trades),
        ("pnl_micros", body.pnl_micros),
        ("fees_micros", body.fees_micros),
        ("decisions", body.decisions),
        ("refusals", body.refusals),
    ))  # fmt: skip


# --- Markets -------------------------------------------------------------------------------------


def _market_seen(_: int, record: Record, body: MarketSeen) -> Iterator[Change]:
    problems = plain("; ".join(body.problems))
    none = (None,) * 5
    yield Event("market_events", (record.at_ns, plain(body.slug), record.kind, *none, problems))
    yield Thing(MARKETS, (plain(body.slug),), (
        ("condition_id", plain(body.condition_id)),
        ("asset", body.asset.value),
        ("opens_ns", body.opens_ns),
        ("closes_ns", body.closes_ns),
        ("up_token", plain(body.up_token)),
        ("down_token", plain(body.down_token)),
        ("problems", problems),
        ("tick_micros", body.tick_micros),
        ("minimum_shares_micros", body.minimum_shares_micros),
        ("fee_rate_ppm", body.fee_rate_ppm),
        ("fee_exponent", body.fee_exponent),
        ("fee_taker_only", body.fee_taker_only),
    ))  # fmt: skip


def _strike_seen(_: int, record: Record, body: StrikeSeen) -> Iterator[Change]:
    strike = (("strike", body.price), ("strike_rung", body.rung.value))
    market = plain(record.market)
    told = (record.at_ns, market, record.kind, body.price, body.rung.value)
    yield Event("market_events", (*told, *(None,) * 4))
    yield Thing(MARKETS, (market,), strike)


def _resolution_seen(_: int, record: Record, body: ResolutionSeen) -> Iterator[Change]:
    market = plain(record.market)
    found = (body.outcome.value, body.final_price, body.source.value)
    yield Event("market_events", (record.at_ns, market, record.kind, None, None, *found, None))
    yield Thing(MARKETS, (market,), (
        ("winner", body.outcome.value),
        ("final_price", body.final_price),
        ("resolution_source", body.source.value),
        ("resolved_ns", record.at_ns),
    ))  # fmt: skip


# --- Positions, money ----------------------------------------------------------------------------


def _closed(_: int, __: Record, body: RoundTrip) -> Iterator[Change]:
    yield Event("positions", (
        plain(body.market), body.asset.value, body.outcome.value,
        body.shares_micros, body.cost_micros, body.proceeds_micros, body.fees_micros,
        body.pnl_micros, body.entry_price_micros, body.opened_ns, body.closed_ns, body.how,
    ))  # fmt: skip


def _settled(_: int, record: Record, body: Settled) -> Iterator[Change]:
    yield Event("settlements", (
        record.at_ns, plain(body.market), body.outcome.value, body.won,
        body.shares_micros, body.payout_micros, body.cost_micros,
    ))  # fmt: skip


def _shadow_window(_: int, record: Record, body: ShadowWindow) -> Iterator[Change]:
    yield Event("shadow_windows", (
        record.at_ns, plain(record.market), plain(body.shadow), plain(body.model_id),
        body.asset.value, body.opens_ns, body.closes_ns, body.pnl_micros, body.fees_micros,
        body.cost_micros, body.trips, body.wins, body.up_won,
    ))  # fmt: skip


def _claim_changed(_: int, record: Record, body: ClaimChanged) -> Iterator[Change]:
    claim = body.claim
    yield Event("redemptions", (
        record.at_ns, plain(claim.market), record.kind, claim.shares_micros,
        claim.state, body.attempt, plain(claim.transaction_id), plain(body.detail),
    ))  # fmt: skip


def _merge_asked(_: int, record: Record, body: MergeAsked) -> Iterator[Change]:
    told = (record.at_ns, plain(body.market), record.kind, body.pairs_micros)
    yield Event("redemptions", (*told, None, None, None, None))


def _equity(_: int, record: Record, body: Equity) -> Iterator[Change]:
    yield Event("equity", (
        record.at_ns, body.cash_micros, body.realised_micros,
        body.unrealised_micros, body.open_positions,
    ))  # fmt: skip


def _checkpoint(_: int, record: Record, body: Checkpoint) -> Iterator[Change]:
    yield Event("checkpoints", (
        record.at_ns, plain(body.wallet), body.cash_micros, body.realised_micros,
        body.realised_today_micros, body.day,
        [plain(account.market.slug) for account in body.accounts],
        len(body.orders), len(body.claims), len(body.merges),
    ))  # fmt: skip
    yield from carried(body)


def _cash_adjusted(_: int, record: Record, body: CashAdjusted) -> Iterator[Change]:
    yield Event("cash_adjustments", (record.at_ns, body.before_micros, body.after_micros))


def _reconciled(_: int, record: Record, body: Reconciled) -> Iterator[Change]:
    yield Event("reconciliations", (
        record.at_ns, body.agrees, plain("\n".join(body.differences)), body.tokens,
        body.shares_micros, body.cash_micros, body.venue_cash_micros,
        body.open_orders, body.unknown_orders,
    ))  # fmt: skip


# --- Exits, health, halts, alerts ----------------------------------------------------------------


def _exit_attempted(_: int, record: Record, body: ExitAttempted) -> Iterator[Change]:
    yield Event("exits", (
        record.at_ns, plain(body.market), record.kind, body.outcome.value, body.reason.value,
        body.attempt, body.shares_micros, body.price_limit_micros, body.slippage_micros,
        None, None,
    ))  # fmt: skip


def _exit_ended(_: int, record: Record, body: ExitEnded) -> Iterator[Change]:
    yield Event("exits", (
        record.at_ns, plain(body.market), record.kind, body.outcome.value, body.reason.value,
        body.attempts, body.shares_left_micros, None, None, body.how, plain(body.detail),
    ))  # fmt: skip


def _health(
    record: Record,
    *,
    outcome: str | None = None,
    source: str | None = None,
    state: str | None = None,
    seconds: float | None = None,
    detail: str = "",
) -> Iterator[Change]:
    told = (record.at_ns, plain(record.market), record.kind)
    yield Event("health_events", (*told, outcome, source, state, seconds, plain(detail)))


def _ledger_conflict(_: int, record: Record, body: LedgerConflict) -> Iterator[Change]:
    return _health(record, detail=body.detail)


def _book_health(_: int, record: Record, body: BookHealth) -> Iterator[Change]:
    return _health(record, outcome=body.outcome.value, state=body.state, seconds=body.age_seconds)


def _feed_gap(_: int, record: Record, body: FeedGap) -> Iterator[Change]:
    return _health(record, source=body.source.value, detail=body.reason)


def _feed_restored(_: int, record: Record, body: FeedRestored) -> Iterator[Change]:
    return _health(record, source=body.source.value, seconds=body.gap_seconds)


def _halt_changed(_: int, record: Record, body: HaltChanged) -> Iterator[Change]:
    yield Event("halts", (
        record.at_ns, body.state, body.cause, body.trading.value,
        plain(body.detail), plain(body.request_id),
    ))  # fmt: skip


def _operator_answered(_: int, record: Record, body: OperatorAnswered) -> Iterator[Change]:
    yield Event("operator_answers", (
        record.at_ns, plain(body.request_id), body.verb.value, body.trading.value,
        body.done, plain(body.detail),
    ))  # fmt: skip


def _model_changed(_: int, record: Record, body: ModelChanged) -> Iterator[Change]:
    yield Event("model_promotions", (
        record.at_ns, body.change, plain(body.model_id), plain(body.replaces),
        plain(body.offered), plain(body.why),
    ))  # fmt: skip


def _alert(_: int, record: Record, body: AlertSent) -> Iterator[Change]:
    yield Event("alerts", (
        record.at_ns, plain(record.market), body.number, body.kind.value, body.severity.value,
        body.outcome.value, plain(body.title), plain(body.text), body.count, body.made_ns,
        plain(body.message_id), body.merged_into, body.tries, plain(body.detail),
    ))  # fmt: skip


_Maker = Callable[[int, Record, Any], Iterator[Change]]
_KINDS: Final[dict[type[Body], _Maker]] = {
    RunStarted: _started,
    RunStopped: _stopped,
    MarketSeen: _market_seen,
    StrikeSeen: _strike_seen,
    ResolutionSeen: _resolution_seen,
    **ORDER_KINDS,
    RoundTrip: _closed,
    Settled: _settled,
    ShadowWindow: _shadow_window,
    ClaimChanged: _claim_changed,
    MergeAsked: _merge_asked,
    Equity: _equity,
    Checkpoint: _checkpoint,
    CashAdjusted: _cash_adjusted,
    Reconciled: _reconciled,
    ExitAttempted: _exit_attempted,
    ExitEnded: _exit_ended,
    LedgerConflict: _ledger_conflict,
    BookHealth: _book_health,
    FeedGap: _feed_gap,
    FeedRestored: _feed_restored,
    HaltChanged: _halt_changed,
    OperatorAnswered: _operator_answered,
    ModelChanged: _model_changed,
    AlertSent: _alert,
}
