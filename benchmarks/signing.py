"""What an order's id, signature and body cost, beside the official client in the same run.

uv run python -m benchmarks.signing
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Final

from eth_keys.backends.coincurve import CoinCurveECCBackend
from eth_keys.main import lazy_key_api as eth_keys_api
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2
from py_clob_client_v2.order_utils.model.side import Side as TheirSide
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
from py_clob_client_v2.signer import Signer as TheirSigner

from helpers.clob.eip712 import CHAIN_ID, EXCHANGE, OrderSigner
from helpers.clob.messages import OrderTerms, OrderType
from helpers.clob.wallets import derive_wallets
from helpers.clock import monotonic_seconds
from helpers.domain import Side

KEY: Final = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
"""A well-known test key."""
ASSET_ID: Final = "75467129615908319583031474642658885479135630431889036121812713428992454630178"
ROUNDS: Final = 7
ORDERS: Final = 400
THEIR_ORDERS: Final = 60
BUDGET_MS: Final = 0.1
FACTOR: Final = 5.0


def terms(number: int) -> OrderTerms:
    """Return the order of a number."""
    return OrderTerms(
        ASSET_ID, Side.BUY, 38_880_000, 108_000_000, 479_249_096_354 + number, 1_795_000_000_123,
        OrderType.FAK,
    )  # fmt: skip


def milliseconds_each(count: int, call: Callable[[int], object]) -> float:
    """Return the median over rounds of the mean cost of one call."""
    found: list[float] = []
    for _ in range(ROUNDS):
        began = monotonic_seconds()
        for number in range(count):
            call(number)
        found.append((monotonic_seconds() - began) / count * 1000)
    return statistics.median(found)


def theirs(own: OrderSigner) -> Callable[[int], object]:
    """Return the official client's signing of the same order."""
    builder = ExchangeOrderBuilderV2(EXCHANGE, CHAIN_ID, TheirSigner(KEY, CHAIN_ID))
    data = OrderDataV2(
        maker=own.wallet,
        tokenId=ASSET_ID,
        makerAmount="38880000",
        takerAmount="108000000",
        side=TheirSide.BUY,
        signer=own.wallet if own.signature_type == SignatureTypeV2.POLY_1271 else own.address,
        signatureType=SignatureTypeV2(own.signature_type),
        timestamp="1795000000123",
    )
    return lambda _: builder.build_signed_order(data)


def main() -> int:
    """Print the table; return 1 when a bar is missed."""
    backend = eth_keys_api.backend
    assert isinstance(backend, CoinCurveECCBackend), "the official client must use coincurve, too"
    wallets = derive_wallets(TheirSigner(KEY, CHAIN_ID).address())
    missed = 0
    for name, wallet, kind in (
        ("type 0, EOA", wallets.eoa, 0),
        ("type 3, deposit wallet", wallets.deposit_beacon, 3),
    ):
        own = OrderSigner(KEY, wallet, kind)
        hashing = milliseconds_each(ORDERS, lambda n, own=own: own.hash(terms(n)))
        ready = [own.hash(terms(number)) for number in range(ORDERS)]
        signing = milliseconds_each(ORDERS, lambda n, own=own, r=ready: own.signature(r[n]))
        whole = milliseconds_each(ORDERS, lambda n, own=own: own.sign(own.hash(terms(n)), "owner"))
        official = milliseconds_each(THEIR_ORDERS, theirs(own))
        ratio = official / (hashing + signing)
        sys.stdout.write(
            f"{name:<24} id {hashing:.4f} ms, signature {signing:.4f} ms (bar {BUDGET_MS}), "
            f"id to body {whole:.4f} ms; py-clob-client-v2 with coincurve {official:.3f} ms: "
            f"{ratio:.1f} x (bar {FACTOR:g} x)\n"
        )
        missed += signing > BUDGET_MS or ratio < FACTOR
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
