"""Alerts of what keeps the money safe: halts, feeds, unknown orders, comparisons, forced exits.

Pure: rows in, alerts out. A passing state is kept back until it has lasted (``discord_lasting``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from helpers.discord_lasting import Lasting
from helpers.discord_words import Alert, Meaning, dollars, lines, market_name
from helpers.domain import (
    AlertKind,
    AlertSeverity,
    Body,
    BookHealth,
    ExitAttempted,
    ExitEnded,
    FeedGap,
    FeedRestored,
    HaltChanged,
    HoldCause,
    IntentReason,
    LedgerConflict,
    Reconciled,
    TradingState,
    Unknown,
    from_micros,
)

ORDINARY_EXITS: Final = frozenset(
    {
        IntentReason.EXIT_SIGNAL,
        IntentReason.EXIT_TIMEOUT,
        IntentReason.EXIT_MAXIMUM_AGE,
        IntentReason.EXIT_TAKE_PROFIT,
    }
)
"""Exits whose first sale is no news: the position's end is told anyway."""
BOOKS: Final = "books"
INFO, WARNING, CRITICAL = AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL


class SafetyAlerts:
    """The fold: which states were told, and which forced exits are going on."""

    def __init__(self) -> None:
        self._lasting = Lasting()
        self._steps: set[str] = set()

    def read(self, at_ns: int, market: str, body: Body) -> Iterable[Alert]:
        """Return what one row is worth."""
        return _READERS[type(body)](self, at_ns, market, body)

    def due(self, now_ns: int) -> Iterator[Alert]:
        """Yield what has lasted by now."""
        return self._lasting.due(now_ns)

    def _halt(self, at_ns: int, _market: str, body: HaltChanged) -> Iterable[Alert]:
        cause = HoldCause(body.cause)
        if cause is HoldCause.STOPPING:
            return
        key = f"held {cause.value}"
        facts = lines(why=body.detail, trading=body.trading.value, request=body.request_id)
        if body.state == "released":
            if self._lasting.end(key):
                title = f"{'resumed' if _trades(body) else 'still held'}: {cause.value} is over"
                kind = AlertKind.ENTRIES_RELEASED
                severity = WARNING if cause.latched else INFO
                yield Alert(kind, severity, Meaning.GOOD, title, facts, at_ns)
            return
        kind, title = AlertKind.ENTRIES_HELD, f"entries stopped, exits continue: {cause.value}"
        if cause.latched or cause is HoldCause.LEASE:
            self._lasting.tell_now(key)
            yield Alert(kind, CRITICAL, Meaning.CRITICAL, title, facts, at_ns)
        else:
            alert = Alert(kind, WARNING, Meaning.WARNING, title, facts, at_ns, merge_key=key)
            self._lasting.begin(key, alert, at_ns)

    def _gap(self, at_ns: int, _market: str, body: FeedGap) -> Iterable[Alert]:
        key, title = f"feed {body.source.value}", f"feed stale: {body.source.value}"
        facts = lines(why=body.reason)
        alert = Alert(
            AlertKind.FEED_STALE, WARNING, Meaning.WARNING, title, facts, at_ns, merge_key=key
        )
        self._lasting.begin(key, alert, at_ns)
        return ()

    def _feed_back(self, at_ns: int, _market: str, body: FeedRestored) -> Iterable[Alert]:
        if self._lasting.end(f"feed {body.source.value}"):
            title, facts = f"feed recovered: {body.source.value}", f"after {body.gap_seconds:.0f} s"
            yield Alert(AlertKind.FEED_RECOVERED, INFO, Meaning.GOOD, title, facts, at_ns)

    def _book(self, at_ns: int, market: str, body: BookHealth) -> Iterable[Alert]:
        key = f"book {market} {body.outcome.value}"
        name = f"book of a held position: {market_name(market)} {body.outcome.value}"
        facts = lines(age=f"{body.age_seconds:.0f} s", market=market)
        if body.state == "fresh":
            if self._lasting.end(key):
                title = f"recovered: {name}"
                yield Alert(AlertKind.FEED_RECOVERED, INFO, Meaning.GOOD, title, facts, at_ns)
            return
        self._lasting.tell_now(key)
        critical = body.state == "critical"
        severity, meaning = (CRITICAL, Meaning.CRITICAL) if critical else (WARNING, Meaning.WARNING)
        title = f"{'silent' if critical else 'stale'}: {name}"
        yield Alert(AlertKind.FEED_STALE, severity, meaning, title, facts, at_ns)

    def _unknown(self, at_ns: int, market: str, body: Unknown) -> Iterable[Alert]:
        facts = lines(order=body.order_id, why=body.reason, market=market)
        title = f"unknown order outcome: {market_name(market)}"
        yield Alert(AlertKind.ORDER_UNKNOWN, CRITICAL, Meaning.CRITICAL, title, facts, at_ns)

    def _conflict(self, at_ns: int, market: str, body: LedgerConflict) -> Iterable[Alert]:
        facts = lines(why=body.detail, market=market)
        title = f"the venue contradicts the ledger: {market_name(market)}"
        yield Alert(AlertKind.MISMATCH, CRITICAL, Meaning.CRITICAL, title, facts, at_ns)

    def _reconciled(self, at_ns: int, _market: str, body: Reconciled) -> Iterable[Alert]:
        facts = lines(
            differences="; ".join(body.differences),
            cash=dollars(body.cash_micros),
            venue_cash=dollars(body.venue_cash_micros),
            unknown_orders=body.unknown_orders,
        )
        if body.agrees:
            if self._lasting.end(BOOKS):
                title = "the books agree with the venue's again"
                yield Alert(AlertKind.BOOKS_AGREE, INFO, Meaning.GOOD, title, facts, at_ns)
            return
        title = "position mismatch: the books and the venue's differ"
        # A difference that the next look confirms holds entries, and that is critical.
        alert = Alert(AlertKind.MISMATCH, WARNING, Meaning.WARNING, title, facts, at_ns)
        self._lasting.begin(BOOKS, alert, at_ns)

    # --- Forced exits, step by step ---------------------------------------------------------------

    def _exit_step(self, at_ns: int, market: str, body: ExitAttempted) -> Iterable[Alert]:
        if body.reason in ORDINARY_EXITS and body.attempt == 1:
            return
        self._steps.add(market)
        price = from_micros(body.price_limit_micros)
        facts = lines(
            why=body.reason.value,
            shares=from_micros(body.shares_micros),
            limit=f"{price:.3f}" if price else "no bid to sell to",
            below_best_bid=f"{from_micros(body.slippage_micros):.3f}",
            market=market,
        )
        title = f"forced exit of {market_name(market)} {body.outcome.value}, try {body.attempt}"
        yield Alert(AlertKind.EXIT_STEP, WARNING, Meaning.WARNING, title, facts, at_ns)

    def _exit_end(self, at_ns: int, market: str, body: ExitEnded) -> Iterable[Alert]:
        told = market in self._steps
        self._steps.discard(market)
        flat = body.how == "flat"
        if flat and not told:
            return
        facts = lines(
            why=body.reason.value,
            tries=body.attempts,
            shares_left=from_micros(body.shares_left_micros),
            detail=body.detail,
            market=market,
        )
        end = "flat" if flat else "cannot be sold, waits for the resolution"
        title = f"forced exit of {market_name(market)} {body.outcome.value}: {end}"
        severity, meaning = (WARNING, Meaning.GOOD) if flat else (CRITICAL, Meaning.CRITICAL)
        yield Alert(AlertKind.EXIT_STEP, severity, meaning, title, facts, at_ns)


def halts(body: HaltChanged) -> bool:
    """Return whether a row says that entries are held until a person has looked."""
    return body.state == "held" and HoldCause(body.cause).latched


def _trades(body: HaltChanged) -> bool:
    return body.trading is TradingState.ACTIVE


_READERS: Final[Mapping[type, Callable[[SafetyAlerts, int, str, Any], Iterable[Alert]]]] = (
    MappingProxyType(
        {
            HaltChanged: SafetyAlerts._halt,
            FeedGap: SafetyAlerts._gap,
            FeedRestored: SafetyAlerts._feed_back,
            BookHealth: SafetyAlerts._book,
            Unknown: SafetyAlerts._unknown,
            LedgerConflict: SafetyAlerts._conflict,
            Reconciled: SafetyAlerts._reconciled,
            ExitAttempted: SafetyAlerts._exit_step,
            ExitEnded: SafetyAlerts._exit_end,
        }
    )
)
SAFETY_READ: Final = frozenset(_READERS)
"""Kinds of rows that mean anything here."""
