"""What the page remembers of the rows: last decision of each market, equity curve, trades, holds.

An outlet with a bound on everything. Must not: decide anything, or read what it is not told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from helpers.domain import (
    MICROS,
    Approved,
    Body,
    Decision,
    Equity,
    HaltChanged,
    MarketState,
    ModelChanged,
    Refused,
    RoundTrip,
    RunStarted,
    Settled,
    Unsized,
    from_micros,
    keep_latest,
)
from helpers.domain.orders import RuleFailure
from helpers.server.view import (
    EQUITY_POINTS_MAXIMUM,
    TRADES_SHOWN,
    DecisionView,
    History,
    TradeView,
    milliseconds,
)

MARKETS_REMEMBERED_MAXIMUM: Final = 64
"""Above what eight assets have open in four windows."""
UNKNOWN_REASON: Final = "unknown"


class Memory:
    """Everything the page shows that no owner keeps."""

    def __init__(self, equity_micros: Callable[[], int]) -> None:
        """Take what tells the account's equity at this moment."""
        self._equity_micros = equity_micros
        self.states: dict[str, MarketState] = {}
        """By slug: what the policy saw last."""
        self.decisions: dict[str, Decision] = {}
        self.held_since_ns: dict[str, int] = {}
        self.started: RunStarted | None = None
        self.started_ns = 0
        self.learned_ns = 0
        """When weights that were learned last began to decide; 0 before."""
        self.equity_seq = 0
        self.trades_seq = 0
        self._outcomes: dict[str, str] = {}
        self._exit_reasons: dict[str, str] = {}
        self._curve: list[tuple[int, float]] = []
        self._trades: deque[TradeView] = deque(maxlen=TRADES_SHOWN)

    def see(self, state: MarketState) -> None:
        """Remember what the policy saw in a market."""
        slug = state.snapshot.market.slug
        if slug not in self.states and len(self.states) >= MARKETS_REMEMBERED_MAXIMUM:
            self._forget(next(iter(self.states)))
        self.states[slug] = state

    def forget_closed(self, now_ns: int, held: Collection[str]) -> None:
        """Drop the markets whose window is over, unless something is held there."""
        for slug, state in tuple(self.states.items()):
            if state.snapshot.market.closes_ns <= now_ns and slug not in held:
                self._forget(slug)

    def _forget(self, slug: str) -> None:
        del self.states[slug]
        self.decisions.pop(slug, None)
        self._outcomes.pop(slug, None)

    def decision(self, slug: str) -> DecisionView | None:
        """Return a market's last decision and what became of it."""
        found = self.decisions.get(slug)
        if found is None:
            return None
        outcome = self._outcomes.get(slug, "nothing wanted")
        return DecisionView(
            milliseconds(found.at_ns), found.action.name.lower(), found.reason, outcome
        )

    def history(self) -> History:
        """Return the equity curve and the latest trades."""
        return History(tuple(self._curve), tuple(self._trades), self.equity_seq, self.trades_seq)

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Remember one row."""
        remember = _REMEMBER.get(type(body))
        if remember is not None:
            remember(self, at_ns, market, body)

    def commit(self) -> None:
        """Keep nothing: there is nothing to lose."""

    def _decision(self, _at_ns: int, market: str, body: Decision) -> None:
        if market in self.states:
            self.decisions[market] = body
            self._outcomes.pop(market, None)

    def _approved(self, _at_ns: int, market: str, body: Approved) -> None:
        self._note(market, f"approved: {body.intent.side.value} {body.intent.outcome.value}")
        if not body.intent.opens:
            reason = body.intent.reason.value
            keep_latest(self._exit_reasons, market, reason, MARKETS_REMEMBERED_MAXIMUM)

    def _refused(self, _at_ns: int, market: str, body: Refused) -> None:
        self._note(market, f"refused: {_words(body.failures[0])}")

    def _unsized(self, _at_ns: int, market: str, body: Unsized) -> None:
        self._note(market, f"not sized: {_words(body.failure)}")

    def _note(self, market: str, text: str) -> None:
        if market in self.states:
            self._outcomes[market] = text

    def _start(self, at_ns: int, _market: str, body: RunStarted) -> None:
        self.started, self.started_ns = body, at_ns

    def _model(self, at_ns: int, _market: str, body: ModelChanged) -> None:
        if body.change == "learned":
            self.learned_ns = at_ns

    def _halt(self, at_ns: int, _market: str, body: HaltChanged) -> None:
        if body.state == "held":
            self.held_since_ns.setdefault(body.cause, at_ns)
        else:
            self.held_since_ns.pop(body.cause, None)

    def _settled(self, _at_ns: int, market: str, body: Settled) -> None:
        reason = "resolved: won" if body.won else "resolved: lost"
        keep_latest(self._exit_reasons, market, reason, MARKETS_REMEMBERED_MAXIMUM)

    def _trip(self, at_ns: int, market: str, body: RoundTrip) -> None:
        self.trades_seq += 1
        self._trades.append(
            TradeView(
                at_ms=milliseconds(body.closed_ns),
                opened_ms=milliseconds(body.opened_ns),
                slug=market,
                asset=body.asset.value,
                outcome=body.outcome.value,
                shares=from_micros(body.shares_micros),
                entry_price=from_micros(body.entry_price_micros),
                cost=from_micros(body.cost_micros),
                proceeds=from_micros(body.proceeds_micros),
                fees=from_micros(body.fees_micros),
                pnl=from_micros(body.pnl_micros),
                how=body.how,
                reason=self._exit_reasons.get(market, UNKNOWN_REASON),
            )
        )
        self._mark_equity(at_ns)

    def _equity(self, at_ns: int, _market: str, _body: Equity) -> None:
        self._mark_equity(at_ns)

    def _mark_equity(self, at_ns: int) -> None:
        self._curve.append((milliseconds(at_ns), self._equity_micros() / MICROS))
        if len(self._curve) > EQUITY_POINTS_MAXIMUM:
            # Every second point goes, never the latest: the curve keeps its whole span.
            self._curve = self._curve[::-2][::-1]
        self.equity_seq += 1


def _words(failure: RuleFailure) -> str:
    limit, found = (_short(value) for value in (failure.limit, failure.found))
    return f"{failure.rule} (limit {limit}, found {found})"


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


_REMEMBER: Final[Mapping[type, Callable[[Memory, int, str, Any], None]]] = MappingProxyType(
    {
        RunStarted: Memory._start,
        Decision: Memory._decision,
        Approved: Memory._approved,
        Refused: Memory._refused,
        Unsized: Memory._unsized,
        HaltChanged: Memory._halt,
        ModelChanged: Memory._model,
        Settled: Memory._settled,
        RoundTrip: Memory._trip,
        Equity: Memory._equity,
    }
)
