"""The venue's error answers, status codes and texts to the letter (protocol reference B.4)."""

from __future__ import annotations

from typing import Final

from simulator.exchange_messages import Phase, Refusal
from simulator.wire_text import micros_text

BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
TOO_EARLY: Final = 425
UNAVAILABLE: Final = 503
RESTART_RETRY_SECONDS: Final = 1
FOK_KILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_KILLED: Final = (
    "no orders found to match with FAK order. "
    "FAK orders are partially filled or killed if no match is found."
)
NOT_CANCELED: Final = "already canceled or matched"
HELD: Final = "order match delayed due to market conditions"

BALANCE: Final = Refusal(BAD_REQUEST, "not enough balance / allowance")
POST_ONLY_CROSSES: Final = Refusal(BAD_REQUEST, "invalid post-only order: order crosses book")
INVALID_EXPIRATION: Final = Refusal(BAD_REQUEST, "invalid expiration")
INVALID_PAYLOAD: Final = Refusal(BAD_REQUEST, "Invalid order payload")
INVALID_SIGNATURE: Final = Refusal(BAD_REQUEST, "invalid signature")
NOT_READY: Final = Refusal(BAD_REQUEST, "the market is not yet ready to process new orders")
WRONG_SIGNER: Final = Refusal(
    BAD_REQUEST, "the order signer address has to be the address of the API KEY"
)
WRONG_OWNER: Final = Refusal(BAD_REQUEST, "the order owner has to be the owner of the API KEY")
MAKER_NOT_ALLOWED: Final = Refusal(
    BAD_REQUEST, "maker address not allowed, please use the deposit wallet flow"
)
INVALID_API_KEY: Final = Refusal(UNAUTHORIZED, "Unauthorized/Invalid api key")
INVALID_L1: Final = Refusal(UNAUTHORIZED, "Invalid L1 Request headers")
NO_API_KEY_YET: Final = Refusal(BAD_REQUEST, "Could not derive api key!")
RESTARTING: Final = Refusal(
    TOO_EARLY, "engine restarting", retry_after_seconds=RESTART_RETRY_SECONDS
)
CANCEL_ONLY: Final = Refusal(
    UNAVAILABLE,
    "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
)
DISABLED: Final = Refusal(
    UNAVAILABLE, "Trading is currently disabled. Check polymarket.com for updates"
)


def post_only_mode(retry_after_seconds: int) -> Refusal:
    """Return the answer to an order that could take in post-only mode."""
    return Refusal(
        UNAVAILABLE,
        "post-only mode: only post-only orders and cancels are allowed",
        "post_only_mode",
        retry_after_seconds,
    )


def phase_refusal(phase: Phase, *, post_only: bool, retry_after_seconds: int) -> Refusal | None:
    """Return why a phase takes no new order, ``None`` when it does."""
    if phase is Phase.NORMAL or (phase is Phase.POST_ONLY and post_only):
        return None
    if phase is Phase.POST_ONLY:
        return post_only_mode(retry_after_seconds)
    if phase is Phase.CANCEL_ONLY:
        return CANCEL_ONLY
    return RESTARTING if phase is Phase.RESTARTING else DISABLED


def cancel_refusal(phase: Phase) -> Refusal | None:
    """Return why a phase takes no cancel, ``None`` when it does."""
    if phase is Phase.RESTARTING:
        return RESTARTING
    return DISABLED if phase is Phase.DISABLED else None


def duplicated(order_id: str) -> Refusal:
    """Return the answer to an order id seen before."""
    return Refusal(BAD_REQUEST, f"order {order_id} is invalid. Duplicated.")


def tick_broken(order_id: str, price_micros: int, tick_micros: int) -> Refusal:
    """Return the answer to a price off the grid."""
    price, tick = micros_text(price_micros), micros_text(tick_micros)
    text = f"order {order_id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}"
    return Refusal(BAD_REQUEST, text)


def too_small(order_id: str, shares_micros: int, minimum_micros: int) -> Refusal:
    """Return the answer to an order under the minimum size."""
    size, minimum = micros_text(shares_micros), micros_text(minimum_micros)
    text = f"order {order_id} is invalid. Size ({size}) lower than the minimum: {minimum}"
    return Refusal(BAD_REQUEST, text)


def marketable_too_small(notional_micros: int) -> Refusal:
    """Return the answer to a marketable buy under one dollar."""
    amount = micros_text(notional_micros)
    return Refusal(
        BAD_REQUEST, f"invalid amount for a marketable BUY order (${amount}), min size: $1"
    )


def too_precise(subject: str, maker_decimals: int, taker_decimals: int) -> Refusal:
    """Return the answer to amounts with too many decimals (reference B.5)."""
    return Refusal(
        BAD_REQUEST,
        f"invalid amounts, the {subject} orders maker amount supports a max accuracy of "
        f"{maker_decimals} decimals, taker amount a max of {taker_decimals} decimals",
    )


def too_many_orders(count: int, maximum: int) -> Refusal:
    """Return the answer to an oversized batch."""
    return Refusal(BAD_REQUEST, f"Too many orders in payload: {count}, max allowed: {maximum}")


def no_orderbook(token: str) -> Refusal:
    """Return the answer to an order on a token without a book."""
    return Refusal(BAD_REQUEST, f"the orderbook {token} does not exist")


def banned(address: str) -> Refusal:
    """Return the answer to a banned address."""
    return Refusal(BAD_REQUEST, f"'{address}' address banned")


def closed_only(address: str) -> Refusal:
    """Return the answer to an entry of an address that may only close."""
    return Refusal(BAD_REQUEST, f"'{address}' address in closed only mode")


def killed(order_id: str, *, fok: bool) -> Refusal:
    """Return the answer to a FOK or FAK that found nothing; its body carries the order id."""
    return Refusal(BAD_REQUEST, FOK_KILLED if fok else FAK_KILLED, order_id=order_id)
