"""Turns rows of the journal into alerts. Pure: rows and moments in, alerts out.

One method a kind of row, named in ``_READERS``: a new kind of row needs a method and a line there.
What a start finds, repeats or passes by itself is kept back (``discord_safety``), refusals are
merged (``discord_refusals``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from helpers.discord_day import DAY_NS, Day, day_of
from helpers.discord_refusals import Refusals
from helpers.discord_safety import SAFETY_READ, SafetyAlerts, halts
from helpers.discord_words import Alert, Meaning, dollars, lines, market_name, signed_dollars
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    AlertKind,
    AlertSeverity,
    Body,
    CashAdjusted,
    Checkpoint,
    ClaimChanged,
    Equity,
    FeedGap,
    Fill,
    FillStatus,
    HaltChanged,
    ModelChanged,
    Refused,
    RoundTrip,
    RunStarted,
    RunStopped,
    from_micros,
    keep_latest,
)

TRADES_REMEMBERED_MAXIMUM: Final = 1_024
"""Latest trades, to tell of each once: the venue repeats one on every rung, within minutes."""
ENTRIES_REMEMBERED_MAXIMUM: Final = 256
CLAIMS_REMEMBERED_MAXIMUM: Final = 256
PROFIT_STEPS: Final = tuple(
    factor * 10**power * MICROS for power in range(1, 6) for factor in (1, 2, 5)
)
"""Cumulative profits that are milestones: 10, 20, 50, 100 dollars and so on."""
TRADE_STEPS: Final = (10, 100, 1_000, 10_000, 100_000)
"""Closed positions of a run that are milestones."""
INFO, WARNING, CRITICAL = AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL


class _Entry(NamedTuple):
    shares_micros: int = 0
    cost_micros: int = 0
    fee_micros: int = 0


class AlertReader:
    """The fold: what was told, what is going on, and what the day has brought."""

    def __init__(self) -> None:
        self._safety_alerts = SafetyAlerts()
        self._refusals = Refusals()
        self._day: Day | None = None
        self._cumulative_micros = 0
        self._profit_told_micros = 0
        self._trades = 0
        self._fills: dict[str, None] = {}
        self._entries: dict[str, _Entry] = {}
        self._claims: dict[str, tuple[str, int]] = {}

    def read(self, at_ns: int, market: str, body: Body) -> Iterator[Alert]:
        """Yield what one row is worth, after what was due before it."""
        yield from self.advance(at_ns)
        reader = _READERS.get(type(body))
        if reader is not None:
            yield from reader(self, at_ns, market, body)

    def advance(self, now_ns: int) -> Iterator[Alert]:
        """Yield what is due by now without a row: merged refusals, what has lasted, a new day."""
        if self._day is None:
            self._day = Day(now_ns)
        if self._day.number < day_of(now_ns):
            yield self._day.summary(self._cumulative_micros)
            self._day = Day(day_of(now_ns) * DAY_NS)
        yield from self._safety_alerts.due(now_ns)
        yield from self._refusals.due(now_ns)

    def close(self, now_ns: int) -> Iterator[Alert]:
        """Yield what was merged and not told yet."""
        yield from self._refusals.rest(now_ns)

    # --- The run ----------------------------------------------------------------------------------

    def _started(self, at_ns: int, _market: str, body: RunStarted) -> Iterable[Alert]:
        facts = lines(
            strategy=body.strategy,
            model=body.model_id,
            build=body.build_id,
            features=body.feature_version,
            settings=body.settings_digest,
        )
        yield Alert(AlertKind.STARTED, INFO, Meaning.NEUTRAL, "started", facts, at_ns)

    def stopped(self, at_ns: int, body: RunStopped, *, failed: bool) -> Alert:
        """Return the last alert of a run; its last row is written when nobody can be told."""
        facts = lines(
            trades=body.trades,
            profit=signed_dollars(body.pnl_micros),
            fees=dollars(body.fees_micros),
            decisions=body.decisions,
            refused=body.refusals,
        )
        severity, meaning = (CRITICAL, Meaning.CRITICAL) if failed else (WARNING, Meaning.WARNING)
        return Alert(AlertKind.STOPPED, severity, meaning, f"stopped: {body.reason}", facts, at_ns)

    def _books(self, at_ns: int, _market: str, body: Checkpoint) -> Iterable[Alert]:
        self._cumulative_micros = body.realised_micros
        if not self._trades:
            self._profit_told_micros = _step(body.realised_micros)
        if self._day is not None and body.day == self._day.number == day_of(at_ns):
            self._day.profit_micros = body.realised_today_micros
        return ()

    def _equity(self, at_ns: int, _market: str, body: Equity) -> Iterable[Alert]:
        self._today.equity(at_ns, body)
        return ()

    @property
    def _today(self) -> Day:
        assert self._day is not None, "advance comes first"
        return self._day

    # --- Trades -----------------------------------------------------------------------------------

    def _fill(self, at_ns: int, market: str, body: Fill) -> Iterable[Alert]:
        side = f"{market_name(market)} {body.outcome.value}"
        if body.status is FillStatus.FAILED:
            facts = lines(
                order=body.order_id,
                trade=body.trade_id,
                shares=from_micros(body.shares_micros),
                price=from_micros(body.price_micros),
                market=market,
            )
            title = f"a trade never settled: {body.side.value} {side}"
            yield Alert(AlertKind.FILL_FAILED, CRITICAL, Meaning.CRITICAL, title, facts, at_ns)
        if body.trade_id in self._fills:
            return
        keep_latest(self._fills, body.trade_id, None, TRADES_REMEMBERED_MAXIMUM)
        if not body.opens or body.status is FillStatus.FAILED:
            return
        self._today.entries += 1
        before = self._entries.get(body.intent_id, _Entry())
        entry = _Entry(
            before.shares_micros + body.shares_micros,
            before.cost_micros + body.shares_micros * body.price_micros // MICROS,
            before.fee_micros + body.fee_micros,
        )
        keep_latest(self._entries, body.intent_id, entry, ENTRIES_REMEMBERED_MAXIMUM)
        facts = lines(
            shares=f"{from_micros(entry.shares_micros):g}",
            price=f"{entry.cost_micros / max(1, entry.shares_micros):.4f}",
            cost=dollars(entry.cost_micros),
            fee=f"${from_micros(entry.fee_micros):.4f}",
            taken_as="maker" if body.maker else "taker",
            market=market,
        )
        yield Alert(
            AlertKind.ENTERED, INFO, Meaning.NEUTRAL, f"entered {side}", facts, at_ns,
            merge_key=f"entered {body.intent_id}",
        )  # fmt: skip

    def _closed(self, at_ns: int, market: str, body: RoundTrip) -> Iterable[Alert]:
        self._cumulative_micros += body.pnl_micros
        self._trades += 1
        self._today.closed(body)
        verb = "sold" if body.how == "sold" else "settled"
        good = body.pnl_micros >= 0
        facts = lines(
            profit_after_fees=signed_dollars(body.pnl_micros),
            cumulative=signed_dollars(self._cumulative_micros),
            fees=f"${from_micros(body.fees_micros):.4f}",
            shares=f"{from_micros(body.shares_micros):g}",
            entry_price=f"{from_micros(body.entry_price_micros):.4f}",
            held=f"{(body.closed_ns - body.opened_ns) / NS_PER_SECOND:.0f} s",
            market=market,
        )
        side = f"{market_name(market)} {body.outcome.value}"
        yield Alert(
            AlertKind.CLOSED, INFO, Meaning.GOOD if good else Meaning.BAD,
            f"{verb} {side}: {signed_dollars(body.pnl_micros)}", facts, at_ns,
        )  # fmt: skip
        yield from self._milestones(at_ns)

    def _milestones(self, at_ns: int) -> Iterator[Alert]:
        reached = _step(self._cumulative_micros)
        told: list[str] = []
        if reached > self._profit_told_micros:
            self._profit_told_micros = reached
            told.append(f"{dollars(reached)} of profit after fees")
        if self._trades in TRADE_STEPS:
            told.append(f"{self._trades:,} positions closed in this run")
        facts = lines(cumulative=signed_dollars(self._cumulative_micros))
        for title in told:
            yield Alert(AlertKind.MILESTONE, INFO, Meaning.GOOD, title, facts, at_ns)

    def _refused(self, at_ns: int, market: str, body: Refused) -> Iterable[Alert]:
        self._today.refused += 1
        self._refusals.add(at_ns, market, body)
        return ()

    def _claim(self, at_ns: int, market: str, body: ClaimChanged) -> Iterable[Alert]:
        claim, state = body.claim, (body.claim.state, body.attempt)
        if not body.attempt or self._claims.get(claim.token) == state:
            return  # it just became due, or could not be looked at once more
        keep_latest(self._claims, claim.token, state, CLAIMS_REMEMBERED_MAXIMUM)
        failed = claim.state == "due"
        title = f"redeem {'failed' if failed else claim.state}: {market_name(market)}"
        facts = lines(
            payout=dollars(claim.shares_micros),
            attempt=body.attempt,
            transaction=claim.transaction_id,
            why=body.detail,
            market=market,
        )
        meaning = Meaning.WARNING if failed else Meaning.GOOD
        severity = WARNING if failed else INFO
        yield Alert(AlertKind.REDEEM, severity, meaning, title, facts, at_ns)

    def _safety(self, at_ns: int, market: str, body: Body) -> Iterable[Alert]:
        if isinstance(body, HaltChanged) and halts(body):
            self._today.halts += 1
        elif isinstance(body, FeedGap):
            self._today.feed_gaps += 1
        return self._safety_alerts.read(at_ns, market, body)

    def _model(self, at_ns: int, _market: str, body: ModelChanged) -> Iterable[Alert]:
        if body.change == "refused":
            facts = lines(running=body.model_id, offered=body.offered, why=body.why)
            title = f"model files refused, {body.model_id} stays"
            yield Alert(AlertKind.MODEL_REFUSED, WARNING, Meaning.WARNING, title, facts, at_ns)
        elif body.change != "learned" and body.model_id != body.replaces:
            facts = lines(model=body.model_id, replaces=body.replaces, why=body.why)
            promoted = body.change == "promoted"
            kind = AlertKind.MODEL_PROMOTED if promoted else AlertKind.MODEL_ROLLED_BACK
            severity = INFO if promoted else WARNING
            title = f"model {body.model_id} {'promoted' if promoted else 'is back'}"
            yield Alert(kind, severity, Meaning.NEUTRAL, title, facts, at_ns)

    def _cash(self, at_ns: int, _market: str, body: CashAdjusted) -> Iterable[Alert]:
        change = body.after_micros - body.before_micros
        facts = lines(before=dollars(body.before_micros), after=dollars(body.after_micros))
        title = f"the wallet changed by {signed_dollars(change)} without a trade of ours"
        yield Alert(AlertKind.CASH_ADJUSTED, WARNING, Meaning.WARNING, title, facts, at_ns)


def _step(profit_micros: int) -> int:
    return max((step for step in PROFIT_STEPS if step <= profit_micros), default=0)


_READERS: Final[Mapping[type, Callable[[AlertReader, int, str, Any], Iterable[Alert]]]] = (
    MappingProxyType(
        {
            RunStarted: AlertReader._started,
            Checkpoint: AlertReader._books,
            Equity: AlertReader._equity,
            Fill: AlertReader._fill,
            RoundTrip: AlertReader._closed,
            Refused: AlertReader._refused,
            ClaimChanged: AlertReader._claim,
            CashAdjusted: AlertReader._cash,
            ModelChanged: AlertReader._model,
            **dict.fromkeys(SAFETY_READ, AlertReader._safety),
        }
    )
)
READ: Final = frozenset(_READERS)
"""Kinds of rows that mean anything here; the others need not be kept for it."""
