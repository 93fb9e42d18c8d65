"""From rows of tables back to rows of a journal, as far as ``db.explain`` tells of them. Pure.

The inverse of ``db.projection``. What the flow writes at one moment has that moment's row: fills,
answers, verdicts and round trips are told at their own time. Must not: talk to a database, or fill
in what no table has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, TypeAlias

import asyncpg

from db.explain import Row
from db.explain_market import AlikeDecisions, Unread, sayable
from db.explain_report import RefusalSeen
from db.query_results import RunRead
from helpers.domain import (
    FEATURE_NAMES,
    NO_FORECAST,
    Accepted,
    Action,
    Asset,
    Body,
    Decision,
    FeedGap,
    Fill,
    FillStatus,
    HaltChanged,
    IntentReason,
    MarketSeen,
    Mode,
    ModelChanged,
    OperatorAnswered,
    OperatorVerb,
    OrderIntent,
    OrderState,
    OrderStyle,
    OrderUpdate,
    Outcome,
    Rejected,
    ResolutionSeen,
    RoundTrip,
    RuleValue,
    RunStarted,
    RunStopped,
    Settled,
    Side,
    Source,
    StrikeRung,
    StrikeSeen,
    TradingState,
    Unknown,
)

Found: TypeAlias = asyncpg.Record
Maker: TypeAlias = Callable[[Sequence[Found], Mode], list[Row]]
"""From what a question found, in order, and the run's mode."""
_ACTIONS: Final = {action.name: action for action in Action}
_FIRST_FEATURE: Final = 10
_LAST_FEATURE: Final = _FIRST_FEATURE + len(FEATURE_NAMES)


def run_rows(run: RunRead) -> list[Row]:
    """Return the first and the last row of a run, as far as it has them."""
    rows: list[Row] = []
    if run.started_seq is not None and run.started_ns is not None:
        started = RunStarted(
            run_id=run.run,
            strategy=run.strategy or "",
            model_id=run.model_id or "",
            feature_version=run.feature_version or "",
            settings_digest=run.settings_digest or "",
            build_id=run.build_id or "",
            tape=run.tape or "",
        )
        rows.append(Row(run.started_seq, run.started_ns, run.mode, "", started))
    if run.stopped_seq is not None and run.stopped_ns is not None:
        stopped = RunStopped(
            reason=run.stop_reason or "",
            trades=run.trades or 0,
            pnl_micros=run.pnl_micros or 0,
            fees_micros=run.fees_micros or 0,
            decisions=run.decisions or 0,
            refusals=run.refusals or 0,
        )
        rows.append(Row(run.stopped_seq, run.stopped_ns, run.mode, "", stopped))
    return rows


def rows_with(body_of: Callable[[Found], Body | OrderIntent | None]) -> Maker:
    """Return what makes rows with these bodies, each from columns of the same names."""

    def make(found: Sequence[Found], mode: Mode) -> list[Row]:
        return [Row(row["seq"], row["at_ns"], mode, row["market"], body_of(row)) for row in found]

    return make


# --- Decisions and refusals ----------------------------------------------------------------------


def decision_rows(found: Sequence[Found], mode: Mode) -> list[Row]:
    """Return rows of ``decisions``: ten columns, the features, and six more."""
    # Nine rows in ten: by position, without a name looked up for each of forty columns.
    rows: list[Row] = []
    for row in found:
        seq, at_ns, market, action, hold, buy, sell, value, model_id, reason = row[:_FIRST_FEATURE]
        cold, up_bid, up_ask, fast_mid, seconds_to_close, forecast = row[_LAST_FEATURE:]
        decision = Decision(
            market,
            at_ns,
            _ACTIONS[action],
            (hold, buy, sell),
            value,
            model_id,
            reason,
            tuple(row[_FIRST_FEATURE:_LAST_FEATURE]),
            tuple(cold),
            up_bid,
            up_ask,
            fast_mid,
            seconds_to_close,
            NO_FORECAST if forecast is None else forecast,
        )
        rows.append(Row(seq, at_ns, mode, market, decision))
    return rows


def alike_rows(found: Sequence[Found], mode: Mode) -> list[Row]:
    """Return decisions of ``decisions`` that were counted by what they have in common."""
    rows: list[Row] = []
    for seq, at_ns, market, told, action, reason, invalid, count, last_ns in found:
        if told:
            alike = AlikeDecisions(_ACTIONS[action], reason, invalid, count, last_ns)
            rows.append(Row(seq, at_ns, mode, market, alike))
        else:
            rows.append(Row(seq, at_ns, mode, market, Unread(count, last_ns)))
    return rows


def unread_rows(found: Sequence[Found], mode: Mode) -> list[Row]:
    """Return refusals of ``safety_events`` that were only counted."""
    return [
        Row(seq, at_ns, mode, market, Unread(count, last_ns))
        for seq, at_ns, market, count, last_ns in found
    ]


def refusal_rows(found: Sequence[Found], mode: Mode) -> list[Row]:
    """Return rows of ``safety_events``, those of one refusal together."""
    rows: list[Row] = []
    for seq, items in groupby(found, key=lambda row: row["seq"]):
        first, *others = items
        told = _refusal(first, tuple(other["rule"] for other in others))
        rows.append(Row(seq, first["at_ns"], mode, first["market"], told))
    return rows


def _refusal(row: Found, also: tuple[str, ...]) -> RefusalSeen:
    found_first = sayable(_rule_value(row["found_number"], row["found_text"]))
    unsized = row["kind"] == "unsized"
    return RefusalSeen(
        market=row["market"],
        stage="sizing" if unsized else "gate",
        rule=row["rule"],
        opens=row["side"] == Side.BUY.value if unsized else row["opens"],
        outcome=row["outcome"],
        side=row["side"],
        first_ns=row["at_ns"],
        last_ns=row["at_ns"],
        count=1,
        limit=sayable(_rule_value(row["limit_number"], row["limit_text"])),
        found_first=found_first,
        found=found_first,
        also=also,
    )


def _rule_value(number: float | None, text: str | None) -> RuleValue:
    return (text or "") if number is None else number


# --- Orders and trades ---------------------------------------------------------------------------


def order_body(row: Found) -> Body | OrderIntent | None:
    """Return a row of ``order_events``; of a signature only that it was."""
    state: str = row["state"]
    intent_id, order_id, at_ns = row["intent_id"], row["order_id"] or "", row["at_ns"]
    detail: str = row["detail"] or ""
    match state:
        case "approved":
            return _intent(row)
        case "signed":
            return None
        case "accepted":
            return Accepted(intent_id, order_id, at_ns)
        case "rejected":
            return Rejected(intent_id, order_id, detail, at_ns, row["missed"] is True)
        case "unknown":
            return Unknown(intent_id, order_id, detail, at_ns)
        case _:
            left_micros = row["remaining_shares_micros"]
            return OrderUpdate(
                *(intent_id, order_id, row["market"], OrderState(state), left_micros, at_ns)
            )


def _intent(row: Found) -> OrderIntent:
    return OrderIntent(
        intent_id=row["intent_id"],
        market=row["market"],
        token=row["token"],
        outcome=Outcome(row["outcome"]),
        side=Side(row["side"]),
        price_limit_micros=row["price_limit_micros"],
        shares_micros=row["shares_micros"],
        style=OrderStyle(row["style"]),
        opens=row["opens"],
        reason=IntentReason(row["reason"]),
        created_ns=row["created_ns"],
        expires_ns=row["expires_ns"],
        deadline_ns=row["deadline_ns"],
    )


def fill_body(row: Found) -> Fill:
    """Return a row of ``fill_events`` with what ``fills`` says of its trade."""
    return Fill(
        trade_id=row["trade_id"],
        order_id=row["order_id"],
        intent_id=row["intent_id"],
        market=row["market"],
        outcome=Outcome(row["outcome"]),
        side=Side(row["side"]),
        shares_micros=row["shares_micros"],
        price_micros=row["price_micros"],
        fee_micros=row["fee_micros"],
        status=FillStatus(row["status"]),
        maker=row["maker"],
        opens=row["opens"],
        deadline_ns=row["deadline_ns"],
        at_ns=row["at_ns"],
    )


def position_body(row: Found) -> RoundTrip:
    """Return a row of ``positions``."""
    return RoundTrip(
        market=row["market"],
        asset=Asset(row["asset"]),
        outcome=Outcome(row["outcome"]),
        shares_micros=row["shares_micros"],
        cost_micros=row["cost_micros"],
        proceeds_micros=row["proceeds_micros"],
        fees_micros=row["fees_micros"],
        pnl_micros=row["pnl_micros"],
        opened_ns=row["opened_ns"],
        closed_ns=row["closed_ns"],
        how=row["how"],
        entry_price_micros=row["entry_price_micros"],
    )


def settlement_body(row: Found) -> Settled:
    """Return a row of ``settlements``."""
    return Settled(
        market=row["market"],
        outcome=Outcome(row["outcome"]),
        won=row["won"],
        shares_micros=row["shares_micros"],
        payout_micros=row["payout_micros"],
        cost_micros=row["cost_micros"],
        at_ns=row["at_ns"],
    )


# --- Markets, halts, feeds -----------------------------------------------------------------------


def market_body(row: Found) -> MarketSeen | StrikeSeen | ResolutionSeen:
    """Return a row of ``market_events`` with what ``markets`` says of its market."""
    match row["kind"]:
        case "strike_seen":
            return StrikeSeen(row["strike"], StrikeRung(row["strike_rung"]))
        case "resolution_seen":
            winner, source = Outcome(row["winner"]), Source(row["source"])
            return ResolutionSeen(winner, row["final_price"], source)
        case _:
            return MarketSeen(
                slug=row["market"],
                condition_id=row["condition_id"],
                asset=Asset(row["asset"]),
                opens_ns=row["opens_ns"],
                closes_ns=row["closes_ns"],
                up_token=row["up_token"],
                down_token=row["down_token"],
                problems=tuple(row["problems"].split("; ")) if row["problems"] else (),
                tick_micros=row["tick_micros"],
                minimum_shares_micros=row["minimum_shares_micros"],
                fee_rate_ppm=row["fee_rate_ppm"],
                fee_exponent=row["fee_exponent"],
                fee_taker_only=row["fee_taker_only"],
            )


def halt_body(row: Found) -> HaltChanged:
    """Return a row of ``halts``."""
    trading = TradingState(row["trading"])
    return HaltChanged(row["change"], row["cause"], row["detail"], trading, row["request_id"])


def answer_body(row: Found) -> OperatorAnswered:
    """Return a row of ``operator_answers``."""
    verb, trading = OperatorVerb(row["verb"]), TradingState(row["trading"])
    return OperatorAnswered(row["request_id"], verb, trading, row["detail"], row["done"])


def model_body(row: Found) -> ModelChanged:
    """Return a row of ``model_promotions``."""
    former, offered = row["previous_model_id"], row["offered_model_id"]
    return ModelChanged(row["change"], row["model_id"], former, offered, row["why"])


def health_body(row: Found) -> FeedGap | None:
    """Return a row of ``health_events`` where it is a gap."""
    if row["kind"] != "feed_gap":
        return None
    return FeedGap(Source(row["source"]), row["detail"])
