"""The wallets of a signer against the published addresses; malformed addresses."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from helpers.clob.wallets import (
    Wallets,
    address_bytes,
    checksum_address,
    derive_wallets,
    is_wallet_of,
    signature_type_of,
)

EOA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OWN = Wallets(
    eoa=EOA,
    proxy="0xd9d24e482c11F586cd9A1a53dC3eEc6dE3883862",
    safe="0x8ac5D4Bd2752AFc9F5CA531f19D617647216B893",
    deposit_beacon="0x4Fe2CC4925607a473264FA89e7138075695A5F8e",
    deposit_uups="0x5F4f45aBd6e86C60B3Df2a4aF103f85256A2Ce6d",
)
"""Reference J.4, vector 11."""
STRANGER = "0x" + "11" * 20


@pytest.mark.parametrize("spelled", [EOA, EOA.lower(), "0X" + EOA[2:].upper()])
def test_the_published_wallets(spelled: str) -> None:
    """However the signer is spelled, its wallets are the vendor's, checksummed."""
    assert derive_wallets(spelled) == OWN


@pytest.mark.parametrize(
    ("wallet", "kind"),
    [
        (OWN.eoa, 0),
        (OWN.proxy, 1),
        (OWN.safe, 2),
        (OWN.deposit_beacon, 3),
        (OWN.deposit_uups, 3),
        (STRANGER, None),
        ("", None),
    ],
)
def test_which_signature_type_a_wallet_needs(wallet: str, kind: int | None) -> None:
    """Reference H.1; a stranger's wallet has none."""
    for spelled in (wallet, wallet.lower()):
        assert signature_type_of(spelled, EOA) == kind
        assert is_wallet_of(spelled, EOA) is (kind is not None)


@given(raw=st.binary(min_size=20, max_size=20))
def test_checksums_are_the_reference_librarys(raw: bytes) -> None:
    """EIP-55, and back to the same bytes."""
    spelled = checksum_address(raw)
    assert spelled == to_checksum_address(raw)
    assert address_bytes(spelled) == raw


@pytest.mark.parametrize(
    "text",
    ["", "0x", EOA[2:], EOA[:-1], EOA + "0", EOA + "\n", "0x" + "zz" * 20, "0x" + "ab " * 13 + " "],
)
def test_a_malformed_address_is_refused_without_being_quoted(text: str) -> None:
    """Spaces between the digits would give fewer bytes, and so another address."""
    with pytest.raises(ValueError, match=r"address was .* expected 0x and 40 hex digits") as caught:
        address_bytes(text)
    assert len(text) <= 2 or text not in str(caught.value)
