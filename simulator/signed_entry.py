"""From a signed order to the order it means: whose it is, and whether its signature holds.

The order of the checks decides which error a client with several faults sees.
"""

from __future__ import annotations

from collections.abc import Mapping

from helpers.clob.wallets import is_wallet_of
from helpers.domain import Outcome
from simulator import refusals
from simulator.accounts import Accounts
from simulator.exchange_messages import PlaceOrder, Refusal
from simulator.market_state import MarketState
from simulator.matching import TimeInForce
from simulator.order_rules import translate
from simulator.order_signing import (
    DEPOSIT_SIGNATURE_TYPE,
    EXCHANGE,
    SignedOrder,
    order_hash,
    order_signature_is_valid,
)


def check_signed(
    order: SignedOrder,
    owner_key: str,
    request_key: str,
    time_in_force: TimeInForce,
    accounts: Accounts,
    tokens: Mapping[str, tuple[MarketState, Outcome]],
    *,
    post_only: bool,
) -> PlaceOrder | Refusal:
    """Return the order to place, its id the EIP-712 hash, or the venue's refusal."""
    known = accounts.by_key(request_key)
    if known is None:
        return refusals.INVALID_API_KEY
    if owner_key != request_key:
        return refusals.WRONG_OWNER
    account = known[0]
    by_wallet = order.signature_type == DEPOSIT_SIGNATURE_TYPE
    expected_signer = order.maker if by_wallet else account.signer
    if order.signer.lower() != expected_signer.lower():
        return refusals.WRONG_SIGNER
    found = tokens.get(order.token)
    if found is None:
        return refusals.no_orderbook(order.token)
    try:
        order_id = order_hash(order, EXCHANGE)
    except ValueError:
        return refusals.INVALID_PAYLOAD
    if not is_wallet_of(order.maker, account.signer):
        return refusals.MAKER_NOT_ALLOWED
    if not order_signature_is_valid(order, account.signer, EXCHANGE):
        return refusals.INVALID_SIGNATURE
    if order.maker.lower() != account.maker_address.lower():
        # Another wallet of the same key: it holds nothing here, and a new EOA may not trade.
        return refusals.BALANCE if order.signature_type else refusals.MAKER_NOT_ALLOWED
    return translate(
        order,
        order_id,
        account.name,
        time_in_force,
        post_only=post_only,
        tick_micros=found[0].tick_micros,
    )
