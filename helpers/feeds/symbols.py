"""What each fast market calls our assets; a symbol that is not here is not traded on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpers.domain import Asset

BINANCE_SYMBOLS: Final[Mapping[str, Asset]] = {f"{asset}USDT": asset for asset in Asset}
"""Binance's upper-case symbols, the same on USD-M futures and spot."""

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
