"""The one list of hosts."""

from __future__ import annotations

import msgspec

from helpers.venues import Venues


def test_every_address_is_encrypted_and_bare() -> None:
    """TLS everywhere, and no trailing slash: paths are appended as they are."""
    addresses = msgspec.structs.astuple(Venues())
    assert all(address.startswith(("https://", "wss://")) for address in addresses)
    assert not any(address.endswith("/") for address in addresses)
