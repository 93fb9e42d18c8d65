"""What must be set before an order may leave this machine; reads settings, sends nothing."""

from __future__ import annotations

from helpers.clob.account import AccountIdentity
from helpers.clob.auth import ApiCredentials, RequestAuth
from helpers.clob.eip712 import OrderSigner
from helpers.clob.wallets import signature_type_of
from helpers.settings import Settings
from helpers.venues import Venues

KINDS = ("an EOA", "a proxy wallet", "a Safe", "a deposit wallet")


class NotArmedError(Exception):
    """Live trading was asked for and something it needs is missing or wrong, said in words."""


def arm(settings: Settings) -> OrderSigner:
    """Return the signer of live orders; raise ``NotArmedError`` naming what is missing.

    ``LIVE_ACK`` names the wallet's address: nobody goes live by one switch alone.
    """
    if not settings.live_enabled:
        raise NotArmedError("LIVE_ENABLED is false: no order leaves, whatever else is set")
    if settings.polymarket_private_key is None:
        raise NotArmedError("POLYMARKET_PRIVATE_KEY is missing: the key that signs orders")
    if not settings.polymarket_wallet:
        raise NotArmedError("POLYMARKET_WALLET is missing: the address that holds the money")
    if settings.live_ack.lower() != settings.polymarket_wallet.lower():
        raise NotArmedError(
            f"LIVE_ACK does not name the wallet: set it to {settings.polymarket_wallet} "
            "to say that you want to trade its money"
        )
    return signer_of(settings)


def signer_of(settings: Settings) -> OrderSigner:
    """Return the signer of the wallet that is set; raise ``NotArmedError`` for a wrong one."""
    key = settings.polymarket_private_key
    if key is None or not settings.polymarket_wallet:
        raise NotArmedError("POLYMARKET_PRIVATE_KEY and POLYMARKET_WALLET are needed")
    kind = settings.polymarket_signature_type
    try:
        signer = OrderSigner(key.get_secret_value(), settings.polymarket_wallet, kind)
    except ValueError as error:
        raise NotArmedError(f"POLYMARKET_PRIVATE_KEY or POLYMARKET_WALLET: {error}") from None
    _check_credentials(settings, signer)
    own = signature_type_of(signer.wallet, signer.address)
    if own is not None and own != kind:
        raise NotArmedError(
            f"POLYMARKET_SIGNATURE_TYPE is {kind}, but {signer.wallet} is {KINDS[own]} of that "
            f"key: set it to {own} (I5)"
        )
    return signer


def credentials_of(settings: Settings) -> ApiCredentials | None:
    """Return the API credentials that are set, ``None`` when they are to be derived."""
    key, secret = settings.polymarket_api_key, settings.polymarket_api_secret
    phrase = settings.polymarket_api_passphrase
    if key is None or secret is None or phrase is None:
        return None
    return ApiCredentials(
        key.get_secret_value(), secret.get_secret_value(), phrase.get_secret_value()
    )


def _check_credentials(settings: Settings, signer: OrderSigner) -> None:
    credentials = credentials_of(settings)
    if credentials is None:
        return
    try:
        RequestAuth(signer.address).log_in(credentials)
    except ValueError as error:
        raise NotArmedError(f"POLYMARKET_API_SECRET: {error}") from None


def identity_of(settings: Settings, venues: Venues) -> AccountIdentity:
    """Return who acts for the wallet, for the official client."""
    key, relayer = settings.polymarket_private_key, settings.polymarket_relayer_key
    assert key is not None, "an armed wallet has a key"
    return AccountIdentity(
        private_key=key.get_secret_value(),
        wallet=settings.polymarket_wallet,
        relayer_key=relayer.get_secret_value() if relayer else "",
        relayer_address=settings.polymarket_relayer_address,
        venues=venues,
    )
