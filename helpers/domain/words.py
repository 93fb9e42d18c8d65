"""Words, units and constants of the domain."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

MICROS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
GRID_NS: Final = 500_000_000
"""The decision grid: every market is decided on once per half second (DESIGN section 5)."""

FEATURE_VERSION: Final = "phase5"
FEATURE_NAMES: Final = (
    "returns_1m",
    "returns_5m",
    "returns_10m",
    "ob_imbalance_l1",
    "ob_imbalance_l5",
    "trade_flow_imbalance",
    "cvd_acceleration",
    "spread_pct",
    "trade_intensity",
    "large_trade_flag",
    "vol_5m",
    "vol_expansion",
    "has_position",
    "position_side",
    "position_pnl",
    "time_remaining",
    "vol_regime",
    "trend_regime",
)
"""The 18 features of version ``phase5``; the order is the contract with every weight file."""
FUSION_VERSION: Final = "fusion"
FUSION_NAMES: Final = (
    "fast_return_1s",
    "fast_return_5s",
    "returns_1m",
    "ob_imbalance_l1",
    "ob_imbalance_l5",
    "trade_flow_imbalance",
    "cvd_acceleration",
    "cost_to_cross",
    "quoted_mid",
    "strike_distance",
    "vol_5m",
    "fair_minus_mid",
    "has_position",
    "position_side",
    "position_pnl",
    "time_remaining",
    "quote_age",
    "microprice_offset",
)
"""Version ``fusion``. Entries need the same slots warm as in ``phase5`` (``safety_data``)."""
FEATURE_NAMES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    FEATURE_VERSION: FEATURE_NAMES,
    FUSION_VERSION: FUSION_NAMES,
}


class Message(Struct, frozen=True, gc=False):
    """Base of every message: frozen, slotted, and holding no reference cycle."""


class Mode(enum.StrEnum):
    """Whose money a row speaks of."""

    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"


class Asset(enum.StrEnum):
    """Assets with Up/Down markets (protocol reference F.1)."""

    BTC = "BTC"
    ETH = "ETH"
    SOL = "SOL"
    XRP = "XRP"
    DOGE = "DOGE"
    BNB = "BNB"
    HYPE = "HYPE"
    ZEC = "ZEC"


class Outcome(enum.StrEnum):
    """The two tokens of a market."""

    UP = "up"
    DOWN = "down"

    @property
    def other(self) -> Outcome:
        """Return the complementary outcome."""
        return Outcome.DOWN if self is Outcome.UP else Outcome.UP


class Side(enum.StrEnum):
    """Order and taker side, in the venue's spelling."""

    BUY = "BUY"
    SELL = "SELL"


class Action(enum.IntEnum):
    """What a policy wants: nothing, the Up token, or the Down token (DESIGN section 5).

    The action against an open position closes it. Same meaning in training, paper and live (I25).
    """

    HOLD = 0
    BUY = 1
    SELL = 2


class Source(enum.StrEnum):
    """Where a frame came from; the ``src`` of a tape line."""

    BINANCE_PUBLIC = "binance.public"
    BINANCE_MARKET = "binance.market"
    BINANCE_SPOT = "binance.spot"
    BINANCE_REST = "binance.rest"
    COINBASE = "coinbase.exchange"
    OKX = "okx.public"
    POLYMARKET_MARKET = "polymarket.market"
    POLYMARKET_USER = "polymarket.user"
    POLYMARKET_REFERENCE = "polymarket.reference"
    GAMMA = "gamma"
    CLOB_REST = "clob.rest"
    WORKER = "worker"


FAST_SOURCES: Final = (
    Source.BINANCE_PUBLIC,
    Source.BINANCE_SPOT,
    Source.COINBASE,
    Source.OKX,
)
"""Sources that can be the fast market, in order of preference."""


class OrderStyle(enum.StrEnum):
    """How an order meets the book: FAK takes what is there, post-only rests until it expires."""

    TAKER = "taker"
    MAKER = "maker"


class IntentReason(enum.StrEnum):
    """Why an order is wanted; enumerated because code decides on it (I17)."""

    ENTRY_SIGNAL = "entry_signal"
    EXIT_SIGNAL = "exit_signal"
    EXIT_TIMEOUT = "exit_timeout"
    EXIT_MAXIMUM_AGE = "exit_maximum_age"
    EXIT_STALE = "exit_stale"
    EXIT_TAKE_PROFIT = "exit_take_profit"
    EXIT_STOP_LOSS = "exit_stop_loss"
    EXIT_OPERATOR = "exit_operator"


class FillStatus(enum.StrEnum):
    """The venue's settlement ladder of one trade (protocol reference D.4)."""

    MATCHED = "MATCHED"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"


class OrderState(enum.StrEnum):
    """Life of one order after it was sent."""

    RESTING = "resting"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class StrikeRung(enum.StrEnum):
    """Where a strike came from, best first; ``FAST_PROXY`` is ours, not the venue's.

    The venue's own word for the window beats what follows from the window before it, though that
    held in every one of 8,050 cases after August 2026 (protocol reference E.4): before, and where a
    recorder mixed sources, it did not. Inside a running window the word is often missing (E.5).
    """

    VENUE_TWAP = "venue_twap"
    VENUE_METADATA = "venue_metadata"
    PREVIOUS_FINAL = "previous_final"
    FAST_PROXY = "fast_proxy"


class BookProblem(enum.StrEnum):
    """Why a book must not be traded on; ``NONE`` when it may."""

    NONE = ""
    EMPTY = "empty"
    ONE_SIDED = "one_sided"
    CROSSED = "crossed"
    UNSYNCHRONISED = "unsynchronised"


def to_micros(value: float) -> int:
    """Return a decimal quantity in micro-units, rounded to the nearest."""
    return round(value * MICROS)


def from_micros(value: int) -> float:
    """Return micro-units as a float, for showing and for features only."""
    return value / MICROS
