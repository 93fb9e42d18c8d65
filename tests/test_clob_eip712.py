"""Order ids, amounts and signatures against the vendor's vectors and both official clients."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.orders.limit import _compute_limit_order_amounts
from polymarket._internal.actions.orders.market import _compute_market_order_amounts
from polymarket._internal.actions.orders.typed_data import (
    build_order_signature,
    build_order_typed_data,
)
from polymarket._internal.actions.orders.types import BYTES32_ZERO, UnsignedOrder
from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder
from py_clob_client_v2.order_builder.helpers import round_down
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderV2, order_to_json_v2
from py_clob_client_v2.order_utils.model.order_data_v2 import SignedOrderV2 as TheirSigned
from py_clob_client_v2.order_utils.model.side import Side as TheirSide
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
from py_clob_client_v2.signer import Signer as TheirSigner

from helpers.clob.eip712 import CHAIN_ID, EXCHANGE, NEG_RISK_EXCHANGE, OrderSigner
from helpers.clob.messages import OrderTerms, OrderType
from helpers.clob.wallets import derive_wallets
from helpers.domain import MICROS, RuleFailure, Side
from helpers.order_rules import TICKS_MICROS, OrderAmounts, resting_amounts, taker_amounts
from simulator import order_signing
from tests.shared import shared_file

KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
"""The second account of the well-known test mnemonic, which nobody may ever fund."""
EOA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OWN = derive_wallets(EOA)
WALLETS = (OWN.eoa, OWN.proxy, OWN.safe, OWN.deposit_beacon)
TOKEN = "75467129615908319583031474642658885479135630431889036121812713428992454630178"
OWNER = "00000000-0000-0000-0000-000000000000"
TICKS = tuple(sorted(TICKS_MICROS))


def signer(signature_type: int) -> OrderSigner:
    return OrderSigner(KEY, WALLETS[signature_type], signature_type)


def buy_108(neg_risk: bool = False) -> OrderTerms:
    return OrderTerms(
        TOKEN,
        Side.BUY,
        38_880_000,
        108_000_000,
        479_249_096_354,
        1_795_000_000_123,
        OrderType.GTC,
        neg_risk=neg_risk,
    )


@pytest.mark.parametrize(
    ("signature_type", "neg_risk", "order_id"),
    [
        (0, False, "0x02f473e946eeaa04edf5d878d7de3fc8a7959ea3d927607a4d03166b86b6b0ed"),
        (0, True, "0x36fb54448c25e295dbe4e43788b248a537295cffed35170e8a59b5247d4ad296"),
        (2, False, "0xe99df9a4f98f4f1e24eeb7db1a431f8190b5fdf4caed28ab60f5b0505555dfa2"),
        (3, False, "0x4ab1969c9392ab3fe48ee294bdbd79021f9dd9319fe8f03a13a7c7bb07b3f34c"),
    ],
)
def test_published_order_ids(signature_type: int, neg_risk: bool, order_id: str) -> None:
    """Reference J.4, vectors 1, 4, 5 and 6."""
    assert signer(signature_type).hash(buy_108(neg_risk)).order_id == order_id


def test_a_published_signature() -> None:
    """Reference J.4, vector 1, bit for bit."""
    own = signer(0)
    assert own.signature(own.hash(buy_108())) == (
        "0x31987daeed47b3cc86d488678f565425b74236c11e8e38840a2b6d30c0f037ac"
        "2cd96f769b9e7b7c99bf7821567574a3e559d5d3346b6c7a7596a3ae134f167a1c"
    )


VECTORS = (
    "v2_eoa_buy_limit",
    "v2_eoa_sell_limit",
    "v2_eoa_buy_market_fak",
    "v2_negrisk_eoa_buy_limit",
    "v2_safe_buy_limit",
    "v2_poly1271_buy_limit",
    "v2_poly1271_sell_fak",
)


@pytest.mark.parametrize("name", VECTORS)
def test_every_vector_bit_for_bit(name: str) -> None:
    """Order hash and the whole body of POST /order, key order included."""
    path = shared_file("fixtures/polymarket/eip712_test_vectors.json")
    vector: dict[str, Any] = json.loads(path.read_text())[name]
    body, order = vector["post_body"], vector["post_body"]["order"]
    terms = OrderTerms(
        order["tokenId"],
        Side(order["side"]),
        int(order["makerAmount"]),
        int(order["takerAmount"]),
        order["salt"],
        int(order["timestamp"]),
        OrderType(body["orderType"]),
        body["postOnly"],
        int(order["expiration"]),
        vector["inputs"]["neg_risk"],
    )
    own = OrderSigner(KEY, order["maker"], order["signatureType"])
    hashed = own.hash(terms)
    assert hashed.order_id == vector["order_hash"]
    signed = own.sign(hashed, body["owner"])
    assert signed.body == json.dumps(body, separators=(",", ":")).encode()


@st.composite
def orders(draw: st.DrawFn) -> tuple[OrderTerms, int, int]:
    """Return an order the venue would take, its wallet's signature type, and its tick."""
    tick = draw(st.sampled_from(TICKS))
    price = tick * draw(st.integers(1, MICROS // tick - 1))
    shares = 10_000 * draw(st.integers(500, 100_000))
    side = draw(st.sampled_from(list(Side)))
    order_type = draw(st.sampled_from(list(OrderType)))
    taking = order_type in (OrderType.FAK, OrderType.FOK)
    amounts = (taker_amounts if taking else resting_amounts)(side, shares, price, tick, 1)
    if isinstance(amounts, RuleFailure):
        amounts = OrderAmounts(side, shares, shares)
    terms = OrderTerms(
        draw(st.integers(0, 2**256 - 1).map(str)),
        side,
        amounts.maker_micros,
        amounts.taker_micros,
        draw(st.integers(0, 2**53 - 1)),
        draw(st.integers(1_700_000_000_000, 2_000_000_000_000)),
        order_type,
        draw(st.booleans()) and not taking,
        draw(st.integers(0, 2_000_000_000)) if order_type is OrderType.GTD else 0,
        draw(st.booleans()),
    )
    return terms, draw(st.integers(0, 3)), tick


def of_first_client(terms: OrderTerms, own: OrderSigner) -> TheirSigned:
    """Return the order as py-clob-client-v2 signs it."""
    exchange = NEG_RISK_EXCHANGE if terms.neg_risk else EXCHANGE
    order = OrderV2(
        salt=str(terms.salt),
        maker=own.wallet,
        signer=own.wallet if own.signature_type == 3 else own.address,
        tokenId=terms.token,
        makerAmount=str(terms.maker_micros),
        takerAmount=str(terms.taker_micros),
        side=TheirSide.BUY if terms.side is Side.BUY else TheirSide.SELL,
        signatureType=SignatureTypeV2(own.signature_type),
        timestamp=str(terms.timestamp_ms),
        metadata=BYTES32_ZERO,
        builder=BYTES32_ZERO,
        expiration=str(terms.expiration_seconds),
    )
    builder = ExchangeOrderBuilderV2(exchange, CHAIN_ID, TheirSigner(KEY, CHAIN_ID))
    signature = builder.build_order_signature(builder.build_order_typed_data(order))
    return TheirSigned(**vars(order), signature=signature)


def of_second_client(terms: OrderTerms, own: OrderSigner) -> tuple[str, str]:
    """Return order hash and signature as polymarket-client makes them."""
    order = UnsignedOrder(
        chain_id=CHAIN_ID,
        builder=BYTES32_ZERO,
        exchange_address=NEG_RISK_EXCHANGE if terms.neg_risk else EXCHANGE,  # pyright: ignore[reportArgumentType]
        expiration=terms.expiration_seconds,
        maker=own.wallet,  # pyright: ignore[reportArgumentType]
        maker_amount=terms.maker_micros,
        metadata=BYTES32_ZERO,
        order_type=terms.order_type.value,
        salt=terms.salt,
        side=terms.side.value,
        signature_type=own.signature_type,
        signer=own.wallet if own.signature_type == 3 else own.address,  # pyright: ignore[reportArgumentType]
        taker_amount=terms.taker_micros,
        timestamp=terms.timestamp_ms,
        token_id=terms.token,  # pyright: ignore[reportArgumentType]
    )
    account = Account.from_key(KEY)
    raw = "0x" + account.sign_typed_data(full_message=build_order_typed_data(order)).signature.hex()
    plain = build_order_typed_data(order)
    if own.signature_type == 3:
        plain["primaryType"] = "Order"
        plain["message"] = plain["message"]["contents"]
        del plain["types"]["TypedDataSign"]
    message = encode_typed_data(full_message=plain)
    digest = order_signing.keccak256(b"\x19" + message.version + message.header + message.body)
    return "0x" + digest.hex(), build_order_signature(order, raw)  # pyright: ignore[reportArgumentType]


@settings(max_examples=60, deadline=None)
@given(drawn=orders())
def test_random_orders_agree_with_both_official_clients(
    drawn: tuple[OrderTerms, int, int],
) -> None:
    """Order hash, signature and body, for every signature type, exchange, side and order type."""
    terms, signature_type, _ = drawn
    own = signer(signature_type)
    hashed = own.hash(terms)
    signature = own.signature(hashed)
    assert (hashed.order_id, signature) == of_second_client(terms, own)
    theirs = of_first_client(terms, own)
    assert signature == theirs.signature
    body = order_to_json_v2(theirs, OWNER, terms.order_type.value, terms.post_only)
    assert json.loads(own.sign(hashed, OWNER).body) == body


@settings(max_examples=60, deadline=None)
@given(drawn=orders())
def test_the_simulated_venue_recovers_our_signer(drawn: tuple[OrderTerms, int, int]) -> None:
    """Its verification was written apart from this: id and owner come out the same."""
    terms, signature_type, _ = drawn
    own = signer(signature_type)
    hashed = own.hash(terms)
    order = json.loads(own.sign(hashed, OWNER).body)["order"]
    sent = order_signing.SignedOrder(
        salt=order["salt"],
        maker=order["maker"],
        signer=order["signer"],
        token=order["tokenId"],
        maker_amount_micros=int(order["makerAmount"]),
        taker_amount_micros=int(order["takerAmount"]),
        side=Side(order["side"]),
        signature_type=order["signatureType"],
        timestamp_ms=int(order["timestamp"]),
        signature=order["signature"],
        expiration_seconds=int(order["expiration"]),
    )
    exchange = NEG_RISK_EXCHANGE if terms.neg_risk else EXCHANGE
    assert order_signing.order_hash(sent, exchange) == hashed.order_id
    assert order_signing.order_signature_is_valid(sent, EOA, exchange)


@settings(max_examples=300, deadline=None)
@given(
    tick=st.sampled_from(TICKS),
    step=st.integers(1, 9_999),
    hundredths=st.integers(500, 200_000),
    side=st.sampled_from(list(Side)),
)
def test_resting_amounts_agree_with_both_official_clients(
    tick: int, step: int, hundredths: int, side: Side
) -> None:
    """Shares of two decimals at any price of any grid (reference B.5)."""
    price = tick * (1 + step % (MICROS // tick - 1))
    ours = resting_amounts(side, hundredths * 10_000, price, tick, 1)
    assert isinstance(ours, OrderAmounts)
    decimal_price, decimal_tick = Decimal(price) / MICROS, Decimal(tick) / MICROS
    size = Decimal(hundredths) / 100
    theirs = _compute_limit_order_amounts(
        price=decimal_price, size=size, side=side.value, tick_size=decimal_tick.normalize()
    )
    assert (ours.maker_micros, ours.taker_micros) == theirs
    name = format(decimal_tick.normalize(), "f")
    _, maker, taker = OrderBuilder(TheirSigner(KEY, CHAIN_ID)).get_order_amounts(
        side.value, float(size), float(decimal_price), ROUNDING_CONFIG[name]
    )
    if (ours.maker_micros, ours.taker_micros) != (maker, taker):
        # That client floors binary fractions: 73.85 shares become 73.84.
        shares = taker if side is Side.BUY else maker
        assert ours.shares_micros - shares == 10_000


@settings(max_examples=300, deadline=None)
@given(
    tick=st.sampled_from(TICKS),
    step=st.integers(1, 9_999),
    hundredths=st.integers(500, 200_000),
    side=st.sampled_from(list(Side)),
)
def test_taker_amounts_are_the_official_clients_cut_to_four_decimals(
    tick: int, step: int, hundredths: int, side: Side
) -> None:
    """Their taker amount floored to four decimals, or the reason why not (reference B.5).

    Both builders leave five decimals on the 0.001 and 0.005 grids and six on 0.0025 and 0.0001,
    where the exchange takes four: ours is theirs floored to four. On the 0.1 grid they leave three,
    where ours has one more. They also raise what is within 1e-4 of their last decimal; we never do.
    """
    price = tick * (1 + step % (MICROS // tick - 1))
    ours = taker_amounts(side, hundredths * 10_000, price, tick, 1)
    if isinstance(ours, RuleFailure):
        assert ours.rule in ("minimum_notional", "minimum_shares")
        return
    given_micros = ours.maker_micros
    ratio = Fraction(MICROS, price) if side is Side.BUY else Fraction(price, MICROS)
    exact = given_micros * ratio
    assert ours.taker_micros == exact // 100 * 100

    decimal_tick = (Decimal(tick) / MICROS).normalize()
    decimals = ROUNDING_CONFIG[format(decimal_tick, "f")]
    last_micros = 10 ** (6 - int(decimals.amount))
    coarser = max(100, last_micros)
    raised = exact + Fraction(last_micros, 10_000)
    allowed = {value // last_micros * last_micros // coarser for value in (exact, raised)}
    newer = _compute_market_order_amounts(
        amount=Decimal(given_micros) / MICROS,
        price=Decimal(price) / MICROS,
        side=side.value,
        tick_size=decimal_tick,
    )
    assert newer[0] == given_micros
    assert newer[1] // coarser in allowed
    if newer[1] <= exact:
        assert ours.taker_micros // coarser == newer[1] // coarser

    _, given, taken = OrderBuilder(TheirSigner(KEY, CHAIN_ID)).get_market_order_amounts(
        side.value, given_micros / MICROS, price / MICROS, decimals
    )
    # That client floors binary fractions: 0.29 becomes 0.28 and 73.85 becomes 73.84.
    price_kept = round(round_down(price / MICROS, decimals.price) * MICROS) == price
    if price_kept and given == given_micros:
        assert taken // coarser in {value - short for value in allowed for short in (0, 1)}
        assert exact - 2 * coarser < taken <= raised
    else:
        assert given_micros - given in (0, 10_000)


@pytest.mark.parametrize(
    "key", ["", "0x12", "zz" * 32, "00" * 32, "ff" * 32, KEY + "00", "ab " * 21 + " "]
)
def test_a_bad_key_is_refused_without_being_quoted(key: str) -> None:
    """I35: the text says what is wrong, never what was given."""
    with pytest.raises(ValueError, match="private key") as caught:
        OrderSigner(key, EOA, 0)
    digits = key.removeprefix("0x")
    assert not digits or digits not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("signature_type", [-1, 4])
def test_an_unknown_signature_type_is_refused(signature_type: int) -> None:
    """Only the four of reference H.1."""
    with pytest.raises(ValueError, match="signature type"):
        OrderSigner(KEY, EOA, signature_type)


def test_a_key_in_the_place_of_the_wallet_is_not_quoted() -> None:
    """I35: who mixes up the two settings does not find the key in a log."""
    with pytest.raises(ValueError, match="address was 66 characters") as caught:
        OrderSigner(KEY, KEY, 0)
    assert KEY[2:] not in f"{caught.value!r} {caught.value.__context__!r}"


@pytest.mark.parametrize("token", ["", " 5", "1_0", "+5", "-5", "0x5", "\u0663"])
def test_a_token_the_venue_would_read_otherwise_is_refused(token: str) -> None:
    """The number hashed must be the number written in the body."""
    terms = msgspec.structs.replace(buy_108(), token=token)
    with pytest.raises(ValueError, match="token was"):
        signer(0).hash(terms)


def test_a_salt_that_is_no_exact_json_number_is_refused() -> None:
    """The order id journalled would be another than the venue's."""
    own = signer(0)
    assert own.hash(msgspec.structs.replace(buy_108(), salt=2**53 - 1))
    with pytest.raises(ValueError, match="salt was"):
        own.hash(msgspec.structs.replace(buy_108(), salt=2**53))
