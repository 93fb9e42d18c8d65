"""What each fast market calls our assets; a symbol that is not here is not traded on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from helpers.domain import Asset


class BinanceSymbol(enum.Enum):
    """Binance's symbols, the same on USD-M futures and spot.

    An enumeration, because the decoder then finds the symbol in C: a look-up of a fresh string in a
    dict took a fifth of the time of a frame.
    """

    asset: Asset

    BTC = "BTCUSDT", Asset.BTC
    ETH = "ETHUSDT", Asset.ETH
    SOL = "SOLUSDT", Asset.SOL
    XRP = "XRPUSDT", Asset.XRP
    DOGE = "DOGEUSDT", Asset.DOGE
    BNB = "BNBUSDT", Asset.BNB
    HYPE = "HYPEUSDT", Asset.HYPE
    ZEC = "ZECUSDT", Asset.ZEC

    def __new__(cls, symbol: str, asset: Asset) -> BinanceSymbol:
        """Make a member whose value is the symbol."""
        member = object.__new__(cls)
        member._value_ = symbol
        member.asset = asset
        return member


BINANCE_SYMBOLS: Final[Mapping[str, Asset]] = {
    symbol.value: symbol.asset for symbol in BinanceSymbol
}
"""The same as a mapping, for texts that are not decoded from a frame."""

COINBASE_PRODUCTS: Final[Mapping[str, Asset]] = {f"{asset}-USD": asset for asset in Asset}

OKX_CONTRACT_SIZES: Final[Mapping[Asset, float]] = {
    Asset.BTC: 0.01,
    Asset.ETH: 0.1,
    Asset.SOL: 1.0,
    Asset.XRP: 100.0,
    Asset.DOGE: 1000.0,
}
"""Base asset per swap contract (``ctVal``), as far as it is known (reference 5.1)."""

OKX_INSTRUMENTS: Final[Mapping[str, tuple[Asset, float]]] = {
    (f"{asset}-USDT-SWAP" if asset in OKX_CONTRACT_SIZES else f"{asset}-USDT"): (
        asset,
        OKX_CONTRACT_SIZES.get(asset, 1.0),
    )
    for asset in Asset
}
"""Instrument to asset and base asset per unit of ``sz``: the swap where its contract size is known,
else spot, whose ``sz`` is in the base asset already. One instrument an asset, so that prices of
swap and spot are never mixed."""
