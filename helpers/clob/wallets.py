"""Addresses: checksums and the CREATE2 wallets of a signer (protocol reference H.1, J.4).

Pure arithmetic over public constants; it holds no key and signs nothing.
"""

from __future__ import annotations

import re
from typing import Final

from Crypto.Hash import keccak as _keccak

from helpers.domain import Message

PROXY_FACTORY: Final = "0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"
PROXY_IMPLEMENTATION: Final = "0x44e999d5c2F66Ef0861317f9A4805AC2e90aEB4f"
SAFE_FACTORY: Final = "0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b"
SAFE_INIT_CODE_HASH: Final = "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
DEPOSIT_FACTORY: Final = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
DEPOSIT_IMPLEMENTATION: Final = "0x58CA52ebe0DadfdF531Cde7062e76746de4Db1eB"
DEPOSIT_BEACON: Final = "0x7A18EDfe055488A3128f01F563e5B479D92ffc3a"

_ADDRESS: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
_CHECKSUM_NIBBLE: Final = 8
_PROXY_CODE: Final = (
    "3d3d606380380380913d393d73{factory}5af4602a57600080fd5b602d8060366000396000f3"
    "363d3d373d3d3d363d73{implementation}5af43d82803e903d91602b57fd5bf352e831dd"
    "0000000000000000000000000000000000000000000000000000000000000020"
    "0000000000000000000000000000000000000000000000000000000000000000"
)
_UUPS_CODE: Final = (
    "6009"
    "5155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_UUPS_PREFIX: Final = 0x61003D3D8160233D3973
_BEACON_CODE: Final = (
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)
_BEACON_PREFIX: Final = 0x6100523D8160233D3973
_PREFIX_LENGTH_SHIFT: Final = 56
_PREFIX_BYTES: Final = 10


class Wallets(Message, frozen=True):
    """The wallets one signer can own."""

    eoa: str
    proxy: str
    safe: str
    deposit_beacon: str
    deposit_uups: str


def keccak256(raw: bytes) -> bytes:
    """Return the Keccak-256 digest."""
    return _keccak.new(data=raw, digest_bits=256).digest()


def address_bytes(address: str) -> bytes:
    """Return the 20 bytes of an address; raise ``ValueError`` when it is none.

    The text is not quoted: a private key may stand where an address belongs (invariant 11).
    """
    if _ADDRESS.fullmatch(address) is None:
        raise ValueError(f"address was {len(address)} characters, expected 0x and 40 hex digits")
    return bytes.fromhex(address[2:])


def checksum_address(raw: bytes) -> str:
    """Return the EIP-55 spelling of 20 address bytes."""
    text = raw.hex()
    digest = keccak256(text.encode()).hex()
    spelled = (
        char.upper() if int(nibble, 16) >= _CHECKSUM_NIBBLE else char
        for char, nibble in zip(text, digest, strict=False)
    )
    return "0x" + "".join(spelled)


def derive_wallets(signer: str) -> Wallets:
    """Return the wallets of a signer by CREATE2; raise ``ValueError`` for a malformed address."""
    owner = address_bytes(signer)
    proxy_code = _PROXY_CODE.format(
        factory=PROXY_FACTORY[2:].lower(), implementation=PROXY_IMPLEMENTATION[2:].lower()
    )
    deposit_args = _word(address_bytes(DEPOSIT_FACTORY)) + _word(owner)
    deposit_salt = keccak256(deposit_args)
    return Wallets(
        eoa=checksum_address(owner),
        proxy=_create2(PROXY_FACTORY, keccak256(owner), keccak256(bytes.fromhex(proxy_code))),
        safe=_create2(SAFE_FACTORY, keccak256(_word(owner)), bytes.fromhex(SAFE_INIT_CODE_HASH)),
        deposit_beacon=_create2(
            DEPOSIT_FACTORY,
            deposit_salt,
            _init_code_hash(_BEACON_PREFIX, DEPOSIT_BEACON, _BEACON_CODE, deposit_args),
        ),
        deposit_uups=_create2(
            DEPOSIT_FACTORY,
            deposit_salt,
            _init_code_hash(_UUPS_PREFIX, DEPOSIT_IMPLEMENTATION, _UUPS_CODE, deposit_args),
        ),
    )


def is_wallet_of(address: str, signer: str) -> bool:
    """Return whether an address is the signer or one of its derived wallets."""
    wallets = derive_wallets(signer)
    own = (wallets.eoa, wallets.proxy, wallets.safe, wallets.deposit_beacon, wallets.deposit_uups)
    return address.lower() in {wallet.lower() for wallet in own}


def signature_type_of(wallet: str, signer: str) -> int | None:
    """Return the signature type a signer needs for a wallet (reference H.1), ``None`` for no own.

    0 for the signer itself, 1 for its proxy, 2 for its Safe, 3 for either deposit wallet. Raises
    ``ValueError`` for a malformed signer.
    """
    own = derive_wallets(signer)
    types = {
        own.eoa.lower(): 0,
        own.proxy.lower(): 1,
        own.safe.lower(): 2,
        own.deposit_beacon.lower(): 3,
        own.deposit_uups.lower(): 3,
    }
    return types.get(wallet.lower())


def _word(raw: bytes) -> bytes:
    return raw.rjust(32, b"\0")


def _create2(factory: str, salt: bytes, code_hash: bytes) -> str:
    return checksum_address(keccak256(b"\xff" + address_bytes(factory) + salt + code_hash)[12:])


def _init_code_hash(prefix: int, target: str, code: str, arguments: bytes) -> bytes:
    # The proxy's first instructions carry the length of the arguments that follow its code.
    head = (prefix + (len(arguments) << _PREFIX_LENGTH_SHIFT)).to_bytes(_PREFIX_BYTES, "big")
    return keccak256(head + address_bytes(target) + bytes.fromhex(code) + arguments)
