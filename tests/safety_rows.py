"""The rows of the safety tables: one thing changed, and what the rule must say of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    Account,
    BookProblem,
    FeeSchedule,
    MarketState,
    Mode,
    OrderIntent,
    OrderStyle,
    Outcome,
    RuleValue,
    Side,
)
from tests.builders import (
    CLOSES_NS,
    a_book,
    a_fast_view,
    a_market,
    a_snapshot,
    a_state,
    an_account,
    an_intent,
    levels,
)
from tests.safety_builders import HELD

COST = 5_573_880
"""Micro-dollars that the builders' entry costs: 10 shares at 0.54, fee 10 * 0.07 * 0.54 * 0.46."""
NOW_NS = an_intent().created_ns
NAN = math.nan
MAKER = {"style": OrderStyle.MAKER, "price_limit_micros": 520_000}


class Row(NamedTuple):
    """One case of one rule: what is judged, and the limit and value it must report, if any."""

    rule: str
    name: str
    failure: tuple[RuleValue, RuleValue] | None
    intent: OrderIntent
    state: MarketState
    account: Account


def row(
    rule: str,
    name: str,
    failure: tuple[RuleValue, RuleValue] | None,
    *,
    seconds: float = 600,
    see: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    intent: dict[str, Any] | None = None,
    mode: dict[str, Any] | None = None,
    **account: Any,
) -> Row:
    """Return a sound entry with something changed."""
    snapshot = a_snapshot(seconds, **(see or {}))
    return Row(
        rule,
        name,
        failure,
        an_intent(snapshot, **(intent or {})),
        a_state(snapshot, **(state or {})),
        msgspec.structs.replace(an_account(**account), **(mode or {})),
    )


def ages(rule: str, limit: float, see: Callable[[float], list[dict[str, Any]]]) -> list[Row]:
    """Return the rows of an age: it is fresh up to its limit, and unknown is not fresh."""
    found: list[tuple[str, float, bool]] = [
        ("just under", limit - 0.1, False),
        ("at", limit, False),
        ("over", limit + 0.1, True),
        ("never seen", math.inf, True),
        ("not a number", NAN, True),
        ("of a clock a little ahead", -2.0, False),
        ("from the future", -2.1, True),
    ]
    return [
        row(rule, f"{name} {number}", (limit, age) if bad else None, see=fields)
        for name, age, bad in found
        for number, fields in enumerate(see(age))
    ]


EMPTY = a_book(bids=(), asks=())
NO_BIDS, NO_ASKS = a_book(bids=()), a_book(asks=())
CROSSED = a_book(0.53, 0.52)
TWO_CENTS = a_book(bids=levels((0.52, 4), (0.51, 5.99)), asks=levels((0.53, 200)))

DATA: list[Row] = [
    row("market_facts", "all known", None),
    row(
        "market_facts",
        "a problem",
        ("all known", "fee rate was 0.09"),
        see={"market": a_market(problems=("fee rate was 0.09",))},
    ),
    row(
        "market_facts",
        "a fee curve nobody knows",
        ("all known", "fee exponent was 2, expected 1"),
        see={"market": a_market(fees=FeeSchedule(70_000, 2, True))},
    ),
    row("feature_version", "the build's", None),
    row("feature_version", "another", ("phase5", "phase4"), state={"version": "phase4"}),
    row("feature_version", "none", ("phase5", ""), state={"version": ""}),
    row("same_moment", "the same", None),
    row(
        "same_moment", "seen before", (0.0, 0.5), intent={"created_ns": NOW_NS + NS_PER_SECOND // 2}
    ),
    row("same_moment", "seen after", (0.0, -0.001), intent={"created_ns": NOW_NS - NS_PER_MS}),
    row("window_open", "just before", ("open", "opens in 0.1 s"), seconds=900.1),
    row("window_open", "at", None, seconds=900),
    row("window_open", "after", None, seconds=899.9),
    row("time_to_close", "just under", (180, 179.9), seconds=179.9),
    row("time_to_close", "at", (180, 180.0), seconds=180),
    row("time_to_close", "over", None, seconds=180.1),
    row("time_to_close", "after the end", (180, -1.0), seconds=-1),
    row(
        "time_to_close",
        "a bid that ends just before entries stop",
        None,
        intent={**MAKER, "expires_ns": CLOSES_NS - 181 * NS_PER_SECOND},
    ),
    row(
        "time_to_close",
        "a bid that lives until entries stop",
        (180, 180.0),
        intent={**MAKER, "expires_ns": CLOSES_NS - 180 * NS_PER_SECOND},
    ),
    row(
        "time_to_close",
        "a bid that outlives the window",
        (180, 0.0),
        intent={**MAKER, "expires_ns": CLOSES_NS},
    ),
    row("sound_book", "two-sided", None),
    *(
        row("sound_book", f"{outcome} {problem}", ("two-sided", found), see={outcome.value: book})
        for outcome in Outcome
        for problem, book, found in (
            ("told", a_book(problem=BookProblem.CROSSED), f"{outcome} book crossed"),
            ("lost", a_book(problem=BookProblem.UNSYNCHRONISED), f"{outcome} book unsynchronised"),
            ("empty", EMPTY, f"{outcome} book empty"),
            ("no bids", NO_BIDS, f"{outcome} book one_sided"),
            ("no asks", NO_ASKS, f"{outcome} book one_sided"),
            ("crossed", CROSSED, f"{outcome} book crossed"),
            ("locked", a_book(0.53, 0.53), f"{outcome} book crossed"),
        )
    ),
    *ages("book_age", 30, lambda age: [{side: a_book(age_seconds=age)} for side in ("up", "down")]),
    *ages("fast_market_age", 10, lambda age: [{"fast": a_fast_view(age_seconds=age)}]),
    row("fast_market_age", "no source", (10, "no quote"), see={"fast": a_fast_view(source=None)}),
    row(
        "fast_market_age", "no price", (10, "no quote"), see={"fast": a_fast_view(bid=0.0, ask=0.0)}
    ),
    row("fast_market_age", "no number", (10, "no quote"), see={"fast": a_fast_view(bid=NAN)}),
    row("fast_market_age", "crossed", (10, "no quote"), see={"fast": a_fast_view(ask=1.0)}),
    row("valid_state", "valid", None),
    row("valid_state", "invalid", ("valid", "not_finite"), state={"invalid": "not_finite"}),
    *(
        row(
            "clock_skew",
            f"{skew}",
            None if ok else (2, abs(skew)),
            see={"clock_skew_seconds": skew},
        )
        for skew, ok in (
            (1.9, True),
            (2.0, True),
            (2.1, False),
            (-2.0, True),
            (-2.1, False),
            (math.inf, False),
            (NAN, False),
        )
    ),
    row("warm_up", "all warm", None),
    row("warm_up", "cold, but no entry needs it", None, state={"cold": (1, 5, 17)}),
    row("warm_up", "one", ("warm", "cold: vol_5m"), state={"cold": (1, 10)}),
    row("warm_up", "two", ("warm", "cold: returns_1m, vol_5m"), state={"cold": (0, 10)}),
]

ACCOUNT: list[Row] = [
    row("mode", "paper all through", None),
    row("mode", "books of another", ("paper", "books of live"), mode={"mode": Mode.LIVE}),
    row("mode", "a replay's books", ("paper", "books of replay"), mode={"mode": Mode.REPLAY}),
    row("mode", "I23", ("paper", "an executor of real money"), mode={"real_money": True}),
    row("entries_stopped", "active", None),
    row("entries_stopped", "held", ("active", "shutting down"), stopped="shutting down"),
    row("unknown_outcome", "none", None),
    row("unknown_outcome", "one", ("none", "an order is unreconciled"), market_unknown=True),
    row("one_position", "flat", None),
    row("one_position", "the least position", (0.0, 1e-6), market_position_micros=1),
    row("one_position", "an order", ("no order alive", "one alive"), market_order_open=True),
    row("cooldown", "never exited", None, last_exit_ns=0),
    row("cooldown", "just under", (30, 29.9), last_exit_ns=NOW_NS - 29_900 * NS_PER_MS),
    row("cooldown", "at", None, last_exit_ns=NOW_NS - 30 * NS_PER_SECOND),
    row("cooldown", "over", None, last_exit_ns=NOW_NS - 31 * NS_PER_SECOND),
    row("cooldown", "an exit after now", (30, -1.0), last_exit_ns=NOW_NS + NS_PER_SECOND),
    row("open_positions", "under", None, open_positions=3),
    row("open_positions", "at", (4, 4), open_positions=4),
    row("open_positions", "over", (4, 5), open_positions=5),
    row("daily_loss", "a gain", None, daily_pnl_micros=500 * MICROS),
    row("daily_loss", "just under", None, daily_pnl_micros=1 - 100 * MICROS),
    row("daily_loss", "at", (100.0, 100.0), daily_pnl_micros=-100 * MICROS),
    row("daily_loss", "over", (100.0, 101.0), daily_pnl_micros=-101 * MICROS),
    row(
        "daily_loss",
        "a position of unknown value, just under",
        None,
        daily_pnl_micros=-60 * MICROS,
        unmarked_cost_micros=40 * MICROS - 1,
    ),
    row(
        "daily_loss",
        "a position of unknown value may be worth nothing",
        (100.0, 100.0),
        daily_pnl_micros=-60 * MICROS,
        unmarked_cost_micros=40 * MICROS,
    ),
    row("losing_streak", "under", None, losing_streak=4),
    row("losing_streak", "at", (5, 5), losing_streak=5),
    row("losing_streak", "over", (5, 6), losing_streak=6),
    row("reject_streak", "under", None, reject_streak=2),
    row("reject_streak", "at", (3, 3), reject_streak=3),
    row("reject_streak", "over", (3, 4), reject_streak=4),
    row("order_rate", "under", None, orders_last_minute=29),
    row("order_rate", "at", (30, 30), orders_last_minute=30),
    row("order_rate", "over", (30, 31), orders_last_minute=31),
]

ORDER: list[Row] = [
    *(
        row("price_band", f"{price}", None if ok else ("0.05 to 0.95", price / MICROS), intent=at)
        for price, ok in (
            (49_999, False),
            (50_000, True),
            (950_000, True),
            (950_001, False),
        )
        for at in ({"price_limit_micros": price},)
    ),
    row("spread", "just under", None, see={"up": a_book(0.48, 0.52)}),
    row("spread", "at", None, see={"up": a_book(0.48, 0.53)}),
    row("spread", "over", (0.05, 0.06), see={"up": a_book(0.47, 0.53)}),
    row("spread", "of the other outcome", None, see={"down": a_book(0.40, 0.53)}),
    row("spread", "no bids", (0.05, "a side is empty"), see={"up": NO_BIDS}),
    row("spread", "no asks", (0.05, "a side is empty"), see={"up": NO_ASKS}),
    row("depth", "exactly enough", None, see={"up": a_book(shares=5)}),
    row(
        "depth",
        "within the limit only two levels count",
        (10.0, 9.98),
        see={"up": a_book(asks=levels((0.53, 4.99), (0.54, 4.99), (0.55, 500)))},
    ),
    row("depth", "could not be taken back", (10.0, 9.99), see={"up": TWO_CENTS}),
    row("depth", "a bid needs no asks within", None, see={"up": NO_ASKS}, intent=MAKER),
    row("depth", "a bid needs a way back", (10.0, 9.99), see={"up": TWO_CENTS}, intent=MAKER),
    row(
        "depth",
        "a taker with an end is a taker",
        (10.0, 0.0),
        see={"up": NO_ASKS},
        intent={"expires_ns": NOW_NS + NS_PER_SECOND},
    ),
    row("depth", "nothing there", (10.0, 0.0), see={"up": EMPTY}),
    row("exposure", "just under", None, exposure_micros=400 * MICROS - COST - 1),
    row("exposure", "at", None, exposure_micros=400 * MICROS - COST),
    row("exposure", "over", (400.0, 400.000001), exposure_micros=400 * MICROS - COST + 1),
    row("balance", "more than enough", None, cash_micros=COST + 1),
    row("balance", "exactly enough", None, cash_micros=COST),
    row("balance", "a micro-dollar short", (5.57388, 5.573879), cash_micros=COST - 1),
    row("balance", "notional without its fee", (5.57388, 5.4), cash_micros=5_400_000),
    row("balance", "overdrawn", (5.57388, -1.0), cash_micros=-MICROS),
    row(
        "balance",
        "a fraction of a micro-dollar is raised",
        (5.400012, 5.400011),
        see={"market": a_market(fees=FeeSchedule(0, 1, True))},
        intent={"shares_micros": 10_000_021},
        cash_micros=5_400_011,
    ),
]

SALE = {"side": Side.SELL, "opens": False}
HOLDING = {"position": HELD}
EXITS: list[Row] = [
    row("mode", "paper all through", None, state=HOLDING, intent=SALE),
    row(
        "mode",
        "I23: paper shares are not sold for real",
        ("paper", "an executor of real money"),
        state=HOLDING,
        intent=SALE,
        mode={"real_money": True},
    ),
    row("exit_in_flight", "none", None, state=HOLDING, intent=SALE),
    row(
        "exit_in_flight",
        "I22: the same shares are not sold twice",
        ("no order alive", "one alive"),
        state=HOLDING,
        intent=SALE,
        market_order_open=True,
    ),
    *(
        row(
            "exit_retry",
            f"in {milliseconds} ms",
            (0, milliseconds / 1000) if milliseconds > 0 else None,
            state=HOLDING,
            intent=SALE,
            exit_retry_ns=NOW_NS + milliseconds * NS_PER_MS,
        )
        for milliseconds in (1, 0, -1)
    ),
    row("exit_retry", "never rejected", None, state=HOLDING, intent=SALE),
    *(
        row(
            "settled_shares",
            f"{more} more",
            (500.0, 500.000001) if more > 0 else None,
            state=HOLDING,
            intent={**SALE, "shares_micros": HELD.shares_settled_micros + more},
        )
        for more in (-1, 0, 1)
    ),
    row("settled_shares", "flat", (0.0, 10.0), intent=SALE),
    row(
        "settled_shares",
        "I2: matched, but not settled",
        (0.0, 10.0),
        state={
            "position": msgspec.structs.replace(
                HELD, shares_settled_micros=0, shares_pending_micros=500 * MICROS
            )
        },
        intent=SALE,
    ),
    row(
        "settled_shares",
        "the other outcome",
        (0.0, 10.0),
        state=HOLDING,
        intent={**SALE, "outcome": Outcome.DOWN, "token": a_market().down_token},
    ),
]


ENTRIES = [*DATA, *ACCOUNT, *ORDER]
