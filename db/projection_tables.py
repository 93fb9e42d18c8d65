"""Tables that the projection fills: columns in the order of its rows, and how states are merged.

Event tables take one row for one row of a journal and are only ever added to. State tables have one
row a thing and are merged column by column: the latest word, or the first one.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import FEATURE_NAMES, Message

EVENT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "decisions": (
        *("session", "seq", "at_ns", "market", "action"),
        *("probability_hold", "probability_buy", "probability_sell", "value", "forecast_up"),
        *("model_id", "reason", *FEATURE_NAMES, "cold"),
        *("up_bid_micros", "up_ask_micros", "fast_mid", "seconds_to_close"),
    ),
    "market_events": (
        *("session", "seq", "at_ns", "market", "kind", "strike", "strike_rung"),
        *("winner", "final_price", "source", "problems"),
    ),
    "safety_events": (
        *("session", "seq", "at_ns", "market", "item", "kind", "rule"),
        *("limit_number", "limit_text", "found_number", "found_text", "outcome", "side"),
        *("intent_id", "opens", "reason", "price_limit_micros", "shares_micros"),
    ),
    "order_events": (
        *("session", "seq", "at_ns", "market", "state", "intent_id", "order_id"),
        *("detail", "missed", "remaining_shares_micros"),
    ),
    "fill_events": (*("session", "seq", "at_ns", "market", "trade_id", "order_id", "status"),),
    "positions": (
        *("session", "seq", "market", "asset", "outcome", "shares_micros", "cost_micros"),
        *("proceeds_micros", "fees_micros", "pnl_micros", "entry_price_micros"),
        *("opened_ns", "closed_ns", "how"),
    ),
    "settlements": (
        *("session", "seq", "at_ns", "market", "outcome", "won"),
        *("shares_micros", "payout_micros", "cost_micros"),
    ),
    "shadow_windows": (
        *("session", "seq", "at_ns", "market", "shadow", "model_id", "asset"),
        *("opens_ns", "closes_ns", "pnl_micros", "fees_micros", "cost_micros"),
        *("trips", "wins", "up_won"),
    ),
    "redemptions": (
        *("session", "seq", "at_ns", "market", "kind", "shares_micros"),
        *("state", "attempt", "transaction_id", "detail"),
    ),
    "exits": (
        *("session", "seq", "at_ns", "market", "kind", "outcome", "reason", "attempt"),
        *("shares_micros", "price_limit_micros", "slippage_micros", "how", "detail"),
    ),
    "equity": (
        *("session", "seq", "at_ns", "cash_micros", "realised_micros", "unrealised_micros"),
        "open_positions",
    ),
    "checkpoints": (
        *("session", "seq", "at_ns", "wallet", "cash_micros", "realised_micros"),
        *("realised_today_micros", "utc_day", "markets", "orders", "claims", "merges"),
    ),
    "cash_adjustments": ("session", "seq", "at_ns", "before_micros", "after_micros"),
    "reconciliations": (
        *("session", "seq", "at_ns", "agrees", "differences", "tokens", "shares_micros"),
        *("cash_micros", "venue_cash_micros", "open_orders", "unknown_orders"),
    ),
    "health_events": (
        *("session", "seq", "at_ns", "market", "kind", "outcome", "source", "state"),
        *("seconds", "detail"),
    ),
    "halts": (*("session", "seq", "at_ns", "change", "cause", "trading", "detail", "request_id"),),
    "operator_answers": (
        *("session", "seq", "at_ns", "request_id", "verb", "trading", "done", "detail"),
    ),
    "model_promotions": (
        *("session", "seq", "at_ns", "change", "model_id", "previous_model_id"),
        *("offered_model_id", "why"),
    ),
    "alerts": (
        *("session", "seq", "at_ns", "market", "number", "kind", "severity", "outcome"),
        *("title", "text", "count", "made_ns", "message_id", "merged_into", "tries", "detail"),
    ),
}


class StateTable(Message, frozen=True):
    """A table with one row a thing."""

    name: str
    key: tuple[str, ...]
    """Columns that name the thing within its account; all text."""
    columns: tuple[tuple[str, str], ...]
    """The others and their types."""
    first: frozenset[str] = frozenset()
    """Columns whose first word stays; of the others the latest counts."""


_MARKET_COLUMNS: Final = (
    ("condition_id", "text"),
    ("asset", "asset"),
    ("opens_ns", "bigint"),
    ("closes_ns", "bigint"),
    ("up_token", "text"),
    ("down_token", "text"),
    ("problems", "text"),
    ("tick_micros", "bigint"),
    ("minimum_shares_micros", "bigint"),
    ("fee_rate_ppm", "integer"),
    ("fee_exponent", "integer"),
    ("fee_taker_only", "boolean"),
    ("strike", "double precision"),
    ("strike_rung", "strike_rung"),
    ("winner", "outcome"),
    ("final_price", "double precision"),
    ("resolution_source", "feed_source"),
    ("resolved_ns", "bigint"),
)
_ORDER_COLUMNS: Final = (
    ("order_id", "text"),
    ("state", "order_state"),
    ("market", "text"),
    ("token", "text"),
    ("outcome", "outcome"),
    ("side", "side"),
    ("style", "order_style"),
    ("opens", "boolean"),
    ("reason", "intent_reason"),
    ("price_limit_micros", "bigint"),
    ("shares_micros", "bigint"),
    ("deadline_ns", "bigint"),
    ("expires_ns", "bigint"),
    ("created_ns", "bigint"),
    ("approved_session", "integer"),
    ("approved_seq", "bigint"),
    ("approved_ns", "bigint"),
    ("signed_ns", "bigint"),
    ("order_type", "text"),
    ("signed_shares_micros", "bigint"),
    ("signed_limit_micros", "bigint"),
    ("accepted_ns", "bigint"),
    ("rejected_ns", "bigint"),
    ("unknown_ns", "bigint"),
    ("ended_ns", "bigint"),
    ("detail", "text"),
    ("missed", "boolean"),
    ("remaining_shares_micros", "bigint"),
    ("carried", "boolean"),
)
_FILL_COLUMNS: Final = (
    ("intent_id", "text"),
    ("origin", "fill_origin"),
    ("market", "text"),
    ("outcome", "outcome"),
    ("side", "side"),
    ("shares_micros", "bigint"),
    ("price_micros", "bigint"),
    ("fee_micros", "bigint"),
    ("maker", "boolean"),
    ("opens", "boolean"),
    ("status", "fill_status"),
    ("first_ns", "bigint"),
    ("status_ns", "bigint"),
    ("deadline_ns", "bigint"),
    ("carried", "boolean"),
)


def _names(columns: tuple[tuple[str, str], ...]) -> frozenset[str]:
    return frozenset(name for name, _ in columns)


MARKETS: Final = StateTable("markets", ("market",), _MARKET_COLUMNS)
ORDERS: Final = StateTable("orders", ("intent_id",), _ORDER_COLUMNS, frozenset({"carried"}))
FILLS: Final = StateTable(
    "fills", ("trade_id", "order_id"), _FILL_COLUMNS, frozenset({"first_ns", "carried"})
)
CARRIED_MARKETS: Final = StateTable(
    "markets", ("market",), _MARKET_COLUMNS, _names(_MARKET_COLUMNS)
)
"""What a checkpoint repeats fills gaps only: its rows are as old as what it repeats."""
CARRIED_ORDERS: Final = StateTable(
    "orders", ("intent_id",), _ORDER_COLUMNS, _names(_ORDER_COLUMNS) - {"carried"}
)
CARRIED_FILLS: Final = StateTable(
    "fills", ("trade_id", "order_id"), _FILL_COLUMNS, _names(_FILL_COLUMNS)
)
STATE_TABLES: Final = (MARKETS, ORDERS, FILLS, CARRIED_MARKETS, CARRIED_ORDERS, CARRIED_FILLS)
"""In the order in which they are merged."""
