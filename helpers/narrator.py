"""Turns what happens into log lines people grep for; merges what repeats. Decides nothing.

SAFETY refusals and exits, RL decisions, TEMPORAL history, ORDER, PAPER or LIVE fills, LEDGER
results, FEED gaps, HEALTH of the run. A policy speaks twice a second for every market, so an RL
line is written when its action changes and otherwise at a fixed interval, and a refusal when its
rule changes or after the interval, with the number of those merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from helpers.domain import (
    NS_PER_SECOND,
    Accepted,
    Action,
    Approved,
    Body,
    CashAdjusted,
    ClaimChanged,
    Decision,
    Equity,
    FeedGap,
    FeedRestored,
    Fill,
    FillStatus,
    LedgerConflict,
    MarketSeen,
    Mode,
    ModelChanged,
    OrderUpdate,
    Refused,
    Rejected,
    ResolutionSeen,
    RoundTrip,
    RunStarted,
    RunStopped,
    Settled,
    StrikeSeen,
    Unknown,
    Unsized,
    from_micros,
)
from helpers.logs import Log, Tag, logger
from helpers.narrator_safety import SAFETY_BODIES, dollars, safety_line

REPEAT_INTERVAL_NS: Final = 30 * NS_PER_SECOND
"""A market's unchanged RL, TEMPORAL and SAFETY lines are written at most this often."""
KEYS_REMEMBERED_MAXIMUM: Final = 256
"""Kinds of line by market: three of each of 85 markets, where some 20 are open at once."""


class HistoryNote(Protocol):
    """What a policy with a memory says of one market."""

    @property
    def history_depth(self) -> int:
        """Return how many states its history holds."""
        ...

    @property
    def encoder_norm(self) -> float:
        """Return the norm of the encoder's last output."""
        ...


Describe = Callable[[str], HistoryNote | None]


class Narrator:
    """An outlet that writes log lines."""

    def __init__(self, mode: Mode, describe: Describe | None = None) -> None:
        self._money: Log = logger(Tag.LIVE if mode is Mode.LIVE else Tag.PAPER)
        self._logs: Mapping[Tag, Log] = {tag: logger(tag) for tag in Tag}
        self._describe = describe
        self._mode = mode
        self._repeats = _Repeats()

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Write the line of one thing, if it is worth one now."""
        tell = _TELLERS.get(type(body))
        if tell is not None:
            tell(self, at_ns, market, body)

    def commit(self) -> None:
        """Keep nothing: lines are written at once."""

    def _decision(self, at_ns: int, market: str, body: Decision) -> None:
        key = body.action.name if body.action is not Action.HOLD else f"HOLD {body.reason[:12]}"
        if self._repeats.suppressed(("rl", market), key, at_ns) is None:
            return
        hold, buy, sell = body.probabilities
        self._logs[Tag.RL].info(
            "decision",
            at_ns=at_ns,
            market=market,
            action=body.action.name,
            p_hold=round(hold, 3),
            p_buy=round(buy, 3),
            p_sell=round(sell, 3),
            value=round(body.value, 4),
            entropy=round(_entropy(body.probabilities), 3),
            model=body.model_id,
            why=body.reason,
        )
        note = self._describe(market) if self._describe else None
        if note is not None:
            self._logs[Tag.TEMPORAL].info(
                "history",
                at_ns=at_ns,
                market=market,
                depth=note.history_depth,
                norm=round(note.encoder_norm, 3),
            )

    def _refused(self, at_ns: int, market: str, body: Refused) -> None:
        first = body.failures[0]
        merged = self._repeats.suppressed(("refused", market), first.rule, at_ns)
        if merged is None:
            return
        more: dict[str, int | str] = {"merged": merged} if merged else {}
        if len(body.failures) > 1:
            more["also"] = ",".join(failure.rule for failure in body.failures[1:])
        self._logs[Tag.SAFETY].info(
            "order_refused",
            at_ns=at_ns,
            market=market,
            side=f"{body.intent.side.value} {body.intent.outcome.value}",
            rule=first.rule,
            limit=first.limit,
            found=first.found,
            **more,
        )

    def _unsized(self, at_ns: int, market: str, body: Unsized) -> None:
        merged = self._repeats.suppressed(("unsized", market), body.failure.rule, at_ns)
        if merged is not None:
            more = {"merged": merged} if merged else {}
            failure = body.failure
            self._logs[Tag.ORDER].info(
                "order_not_sized",
                at_ns=at_ns,
                market=market,
                rule=failure.rule,
                limit=failure.limit,
                found=failure.found,
                **more,
            )

    def _approved(self, at_ns: int, market: str, body: Approved) -> None:
        intent = body.intent
        tag = Tag.ORDER if intent.opens else Tag.SAFETY
        self._logs[tag].info(
            "order_approved" if intent.opens else "exit_ordered",
            at_ns=at_ns,
            market=market,
            mode=self._mode.value,
            side=f"{intent.side.value} {intent.outcome.value}",
            shares=from_micros(intent.shares_micros),
            limit=from_micros(intent.price_limit_micros),
            style=intent.style.value,
            reason=intent.reason.value,
        )

    def _fill(self, at_ns: int, market: str, body: Fill) -> None:
        if body.status is FillStatus.MATCHED or body.status is FillStatus.FAILED:
            write = self._money.error if body.status is FillStatus.FAILED else self._money.info
            write(
                "fill" if body.status is FillStatus.MATCHED else "fill_failed",
                at_ns=at_ns,
                market=market,
                side=f"{body.side.value} {body.outcome.value}",
                shares=from_micros(body.shares_micros),
                price=from_micros(body.price_micros),
                fee=f"${from_micros(body.fee_micros):.4f}",
                maker=body.maker,
            )

    def _closed(self, at_ns: int, market: str, body: RoundTrip) -> None:
        self._logs[Tag.LEDGER].info(
            "position_closed",
            at_ns=at_ns,
            market=market,
            mode=self._mode.value,
            outcome=body.outcome.value,
            shares=from_micros(body.shares_micros),
            pnl=dollars(body.pnl_micros),
            fees=dollars(body.fees_micros),
            held_seconds=(body.closed_ns - body.opened_ns) // NS_PER_SECOND,
            how=body.how,
        )

    def _settled(self, at_ns: int, market: str, body: Settled) -> None:
        self._logs[Tag.LEDGER].info(
            "settled",
            at_ns=at_ns,
            market=market,
            mode=self._mode.value,
            outcome=body.outcome.value,
            won=body.won,
            shares=from_micros(body.shares_micros),
            pnl=dollars(body.payout_micros - body.cost_micros),
        )

    def _ended(self, at_ns: int, market: str, body: OrderUpdate) -> None:
        self._logs[Tag.ORDER].info(
            "order_ended",
            at_ns=at_ns,
            market=market,
            state=body.state.value,
            left=from_micros(body.remaining_shares_micros),
        )

    def _rejected(self, at_ns: int, market: str, body: Rejected) -> None:
        self._logs[Tag.ORDER].warning("order_rejected", at_ns=at_ns, market=market, why=body.reason)

    def _safety(self, at_ns: int, market: str, body: Body) -> None:
        tag, severity, event, facts = safety_line(body)
        if market:
            facts = {"market": market, **facts}
        getattr(self._logs[tag], severity)(event, at_ns=at_ns, **facts)

    def _model(self, at_ns: int, _market: str, body: ModelChanged) -> None:
        if body.change == "refused":
            self._logs[Tag.SAFETY].error(
                "model_refused",
                at_ns=at_ns,
                running=body.model_id,
                offered=body.offered,
                why=body.why,
            )
            return
        self._repeats.forget("rl")  # the next decision of each market names the model
        if body.change == "learned":
            return  # the learner has told of its update
        self._logs[Tag.RL].info(
            f"model_{body.change}",
            at_ns=at_ns,
            model=body.model_id,
            replaces=body.replaces,
            why=body.why,
        )

    def _claim(self, at_ns: int, market: str, body: ClaimChanged) -> None:
        claim = body.claim
        self._money.info(
            f"claim_{claim.state}",
            at_ns=at_ns,
            market=market,
            payout=dollars(claim.shares_micros),
            attempt=body.attempt,
            why=body.detail,
        )

    def _cash(self, at_ns: int, _market: str, body: CashAdjusted) -> None:
        self._logs[Tag.LEDGER].warning(
            "cash_adjusted",
            at_ns=at_ns,
            before=dollars(body.before_micros),
            after=dollars(body.after_micros),
            why="the wallet's dollars changed without a trade of ours",
        )

    def _stopped(self, at_ns: int, _market: str, body: RunStopped) -> None:
        self._logs[Tag.HEALTH].info(
            "run_stopped",
            at_ns=at_ns,
            why=body.reason,
            trades=body.trades,
            pnl=dollars(body.pnl_micros),
            fees=dollars(body.fees_micros),
            decisions=body.decisions,
            refusals=body.refusals,
        )

    def _simple(self, at_ns: int, market: str, body: Body) -> None:
        tag, event, severity = _SIMPLE[type(body)]
        facts = {name: getattr(body, name) for name in body.__struct_fields__ if name != "at_ns"}
        if market:
            facts.setdefault("market", market)
        getattr(self._logs[tag], severity)(event, at_ns=at_ns, **facts)

    def _equity(self, at_ns: int, _market: str, body: Equity) -> None:
        self._logs[Tag.LEDGER].info(
            "equity",
            at_ns=at_ns,
            mode=self._mode.value,
            cash=dollars(body.cash_micros),
            realised=dollars(body.realised_micros),
            unrealised=dollars(body.unrealised_micros),
            positions=body.open_positions,
        )

    def _market(self, at_ns: int, market: str, body: MarketSeen) -> None:
        facts: dict[str, Any] = {"at_ns": at_ns, "market": market, "asset": body.asset.value}
        if body.problems:
            facts["not_traded"] = "; ".join(body.problems)
        self._logs[Tag.FEED].info("market_seen", **facts)


class _Repeats:
    """Remembers what was said last, and how often it was said again since."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[str, int, int]] = {}

    def suppressed(self, key: tuple[str, str], text: str, at_ns: int) -> int | None:
        """Return ``None`` to stay silent, else how many lines were merged since the last one."""
        last = self._last.get(key)
        if last is not None and last[0] == text and at_ns - last[1] < REPEAT_INTERVAL_NS:
            self._last[key] = (text, last[1], last[2] + 1)
            return None
        if last is None and len(self._last) >= KEYS_REMEMBERED_MAXIMUM:
            del self._last[next(iter(self._last))]
        self._last[key] = (text, at_ns, 0)
        return last[2] if last is not None else 0

    def forget(self, kind: str) -> None:
        """Let the next line of a kind be written, whatever was said before."""
        for key in [key for key in self._last if key[0] == kind]:
            del self._last[key]


def _entropy(probabilities: tuple[float, ...]) -> float:
    return abs(sum(p * math.log(p) for p in probabilities if p > 0.0))


_SIMPLE: Final[Mapping[type, tuple[Tag, str, str]]] = MappingProxyType(
    {
        Accepted: (Tag.ORDER, "order_accepted", "debug"),
        Unknown: (Tag.SAFETY, "order_unknown", "error"),
        StrikeSeen: (Tag.FEED, "strike_known", "info"),
        ResolutionSeen: (Tag.FEED, "market_resolved", "info"),
        LedgerConflict: (Tag.SAFETY, "ledger_conflict", "error"),
        FeedGap: (Tag.FEED, "feed_gap", "warning"),
        FeedRestored: (Tag.FEED, "feed_restored", "info"),
        RunStarted: (Tag.HEALTH, "run_started", "info"),
    }
)

_TELLERS: Final[Mapping[type, Callable[[Narrator, int, str, Any], None]]] = MappingProxyType(
    {
        Decision: Narrator._decision,
        Refused: Narrator._refused,
        Unsized: Narrator._unsized,
        Approved: Narrator._approved,
        Fill: Narrator._fill,
        RoundTrip: Narrator._closed,
        Settled: Narrator._settled,
        Equity: Narrator._equity,
        OrderUpdate: Narrator._ended,
        Rejected: Narrator._rejected,
        **dict.fromkeys(SAFETY_BODIES, Narrator._safety),
        ClaimChanged: Narrator._claim,
        CashAdjusted: Narrator._cash,
        RunStopped: Narrator._stopped,
        MarketSeen: Narrator._market,
        ModelChanged: Narrator._model,
        **dict.fromkeys(_SIMPLE, Narrator._simple),
    }
)
