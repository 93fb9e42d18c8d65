"""Facts of one Gamma market object, and what is wrong with them; unknown facts fail closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from helpers.domain import MICROS, NS_PER_SECOND, FeeSchedule, Market, Size, to_micros
from helpers.feeds.slugs import WindowSlug
from helpers.feeds.wire import UNREADABLE, iso_ns

_UP: Final = "Up"
_DOWN: Final = "Down"
_VERSION: Final = "v1"
_FEES: Final = FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True)
"""The one schedule we can trade under (reference G.1)."""
_RATE_TOLERANCE: Final = 5e-7
"""Half of the smallest rate that ``FeeSchedule`` tells apart."""
_LARGEST_RATE: Final = 1.0
_LARGEST_EXPONENT: Final = 10
_LONGEST_QUOTE: Final = 60
"""Characters of the venue's text that a problem repeats."""
_TICKS_MICROS: Final = frozenset({100_000, 10_000, 5_000, 2_500, 1_000, 100})
"""Grids of the venue (reference B.5)."""
_COARSE_TICK_MICROS: Final = 10_000
"""Stands in for a tick we could not read: its prices are on the finer grids, too."""
_MINIMUM_SHARES_MICROS: Final = 5 * MICROS
"""Stands in for an unread minimum order (reference B.5)."""
_TWAP_SECONDS: Final = 60
_TWAP_WINDOWS_SECONDS: Final = frozenset({300, 900, 14_400})
"""Windows that settle on the Chainlink TWAP; hourly ones on a Binance candle (reference E.4)."""

Strings = str | tuple[str, ...]
"""A list of strings, usually as JSON text inside the JSON (reference F.3)."""


class FeeFields(Struct, frozen=True, rename="camel"):
    """A fee schedule as Gamma serves it."""

    exponent: float | None = None
    rate: float | None = None
    taker_only: bool | None = None


class TwapFields(Struct, frozen=True, rename="camel"):
    """How the settlement price is averaged, as Gamma serves it."""

    twap_enabled: bool | None = None
    twap_lookback_seconds: int | None = None


class MetadataFields(Struct, frozen=True, rename="camel"):
    """Prices of an event, for audit more than for trading (reference E.5)."""

    price_to_beat: float | None = None
    final_price: float | None = None


class EventFields(Struct, frozen=True, rename="camel"):
    """The event around a market."""

    event_metadata: MetadataFields | None = None


class MarketFields(Struct, frozen=True, rename="camel"):
    """A market object as Gamma serves it (reference F.3), as far as we need it."""

    slug: str
    condition_id: str
    clob_token_ids: Strings
    outcomes: Strings
    outcome_prices: Strings | None = None
    event_start_time: str | None = None
    end_date: str | None = None
    closed_time: str | None = None
    active: bool | None = None
    closed: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    neg_risk: bool | None = None
    version: str | None = None
    order_min_size: Size | None = None
    order_price_min_tick_size: float | None = None
    fees_enabled: bool | None = None
    fee_schedule: FeeFields | None = None
    crypto_market_config: TwapFields | None = None
    uma_resolution_status: str | None = None
    events: tuple[EventFields, ...] | None = None


def read_strings(value: Strings | None) -> tuple[str, ...] | None:
    """Return a list of strings given as JSON text or as a list, or ``None`` when it is none."""
    if value is None or isinstance(value, tuple):
        return value
    try:
        return msgspec.json.decode(value, type=tuple[str, ...])
    except UNREADABLE:
        return None


_TOKEN_DIGITS_MAXIMUM: Final = 78
"""Decimal digits of a uint256."""


def read_tokens(fields: MarketFields) -> tuple[str, str] | None:
    """Return the two different token ids in the order of the outcomes, or ``None``."""
    tokens = read_strings(fields.clob_token_ids)
    match tokens:
        case (first, second) if _is_token(first) and _is_token(second) and first != second:
            return first, second
        case _:
            return None


def _is_token(text: str) -> bool:
    # An id that is no uint256 cannot be signed: such a market is not known to us at all.
    return text.isascii() and text.isdigit() and len(text) <= _TOKEN_DIGITS_MAXIMUM


def read_market(fields: MarketFields, named: WindowSlug) -> Market:
    """Return a market with its facts and what is wrong with them.

    Raise ``ValueError`` with the field's name where there is nothing to build a market from: no
    condition, not two tokens, no readable time.
    """
    tokens = read_tokens(fields)
    if tokens is None:
        raise ValueError("clobTokenIds")
    if not fields.condition_id:
        raise ValueError("conditionId")
    opens_ns, closes_ns = _times(fields, named)
    reversed_labels = read_strings(fields.outcomes) == (_DOWN, _UP)
    up_token, down_token = tokens[::-1] if reversed_labels else tokens
    return Market(
        slug=fields.slug,
        condition_id=fields.condition_id,
        asset=named.asset,
        opens_ns=opens_ns,
        closes_ns=closes_ns,
        up_token=up_token,
        down_token=down_token,
        tick_micros=_tick_micros(fields) or _COARSE_TICK_MICROS,
        minimum_shares_micros=(
            to_micros(fields.order_min_size) if fields.order_min_size else _MINIMUM_SHARES_MICROS
        ),
        fees=_fees(fields.fee_schedule),
        problems=(
            *_state_problems(fields),
            *_fact_problems(fields),
            *_fee_problems(fields),
            *_settlement_problems(fields, named),
            *_window_problems(opens_ns, closes_ns, named),
        ),
    )


def _times(fields: MarketFields, named: WindowSlug) -> tuple[int, int]:
    length_ns = named.window_seconds * NS_PER_SECOND
    try:
        opens_ns = iso_ns(fields.event_start_time) if fields.event_start_time else None
    except ValueError as error:
        raise ValueError("eventStartTime") from error
    try:
        closes_ns = iso_ns(fields.end_date) if fields.end_date else None
    except ValueError as error:
        raise ValueError("endDate") from error
    if opens_ns is None and named.opens_seconds is not None:
        opens_ns = named.opens_seconds * NS_PER_SECOND
    if opens_ns is None:
        if closes_ns is None:
            raise ValueError("endDate")
        opens_ns = closes_ns - length_ns
    return opens_ns, opens_ns + length_ns if closes_ns is None else closes_ns


def _tick_micros(fields: MarketFields) -> int:
    tick = fields.order_price_min_tick_size
    return to_micros(tick) if tick is not None and 0.0 < tick < 1.0 else 0


def _fees(schedule: FeeFields | None) -> FeeSchedule:
    # What we cannot express stands as the known schedule, and the market has a problem.
    if schedule is None or schedule.rate is None or schedule.exponent is None:
        return _FEES
    if not (0.0 <= schedule.rate <= _LARGEST_RATE and 0 <= schedule.exponent <= _LARGEST_EXPONENT):
        return _FEES
    if schedule.exponent != int(schedule.exponent):
        return _FEES
    return FeeSchedule(to_micros(schedule.rate), int(schedule.exponent), bool(schedule.taker_only))


def _clipped(value: object) -> str:
    return str(value)[:_LONGEST_QUOTE]


def _state_problems(fields: MarketFields) -> Iterator[str]:
    if fields.closed:
        yield "market is closed"
    if fields.active is False:
        yield "market is not active"
    if fields.accepting_orders is False:
        yield "market does not accept orders"
    if fields.enable_order_book is False:
        yield "market has no order book"


def _fact_problems(fields: MarketFields) -> Iterator[str]:
    if fields.version is not None and fields.version != _VERSION:
        yield f"version was {_clipped(fields.version)}, expected {_VERSION}"
    if fields.neg_risk:
        yield "negRisk was true, expected false"
    tick = fields.order_price_min_tick_size
    if _tick_micros(fields) not in _TICKS_MICROS:
        yield f"tick size was {tick}, expected one the venue documents"
    if not fields.order_min_size:
        yield f"minimum order size was {fields.order_min_size}, expected a number of shares"
    outcomes = read_strings(fields.outcomes)
    if outcomes is None or sorted(outcomes) != [_DOWN, _UP]:
        yield f"outcomes were {_clipped(fields.outcomes)}, expected Up and Down"


def _fee_problems(fields: MarketFields) -> Iterator[str]:
    schedule = fields.fee_schedule
    if schedule is None:
        unsaid = fields.fees_enabled is None
        yield "fee schedule unknown" if unsaid else "fee schedule was absent"
    elif (
        schedule.rate is None
        or not abs(schedule.rate - _FEES.rate_ppm / MICROS) < _RATE_TOLERANCE
        or schedule.exponent != _FEES.exponent
        or schedule.taker_only is not True
    ):
        yield (
            f"fee schedule was rate {schedule.rate}, exponent {schedule.exponent}, takerOnly "
            f"{schedule.taker_only}, expected 0.07, 1, True"
        )
    if fields.fees_enabled is False:
        yield "feesEnabled was false, expected true"


def _settlement_problems(fields: MarketFields, named: WindowSlug) -> Iterator[str]:
    config = fields.crypto_market_config
    if config is None or named.window_seconds not in _TWAP_WINDOWS_SECONDS:
        return
    if config.twap_enabled is not True or config.twap_lookback_seconds != _TWAP_SECONDS:
        yield (
            f"settlement was twapEnabled {config.twap_enabled} over "
            f"{config.twap_lookback_seconds} s, expected True over {_TWAP_SECONDS} s"
        )


def _window_problems(opens_ns: int, closes_ns: int, named: WindowSlug) -> Iterator[str]:
    if named.opens_seconds is not None and opens_ns != named.opens_seconds * NS_PER_SECOND:
        yield f"window start was {opens_ns} ns, the slug says {named.opens_seconds} s"
    if closes_ns - opens_ns != named.window_seconds * NS_PER_SECOND:
        yield f"window was {closes_ns - opens_ns} ns long, the slug says {named.window_seconds} s"
