"""Constants of each simulated asset; knows nothing of processes or books.

Only Bitcoin's volatility and the taker counts of four assets were measured; other volatilities
and correlations are plausible round numbers, start prices are arbitrary.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import Asset, Message


class AssetProfile(Message, frozen=True):
    """How one asset trades."""

    start_price: float
    fast_tick: float
    """Price tick of the perpetual, dollars."""
    relative_volatility: float
    """Volatility as a multiple of Bitcoin's."""
    common_share: float
    """Share of variance that comes from the common factor."""
    takes_per_second: float
    """Background taker orders in one 15 m market: measured trades a window / 900 s."""
    mean_trade_usd: float
    """Scale of a trade on the perpetual."""
    slug_name: str
    """Name in hourly slugs (reference F.1)."""


ASSET_PROFILES: Final[dict[Asset, AssetProfile]] = {
    Asset.BTC: AssetProfile(78_800.0, 0.1, 1.0, 0.85, 2970 / 900, 4_000.0, "bitcoin"),
    Asset.ETH: AssetProfile(2_900.0, 0.01, 1.35, 0.75, 1059 / 900, 2_500.0, "ethereum"),
    Asset.SOL: AssetProfile(142.0, 0.01, 1.6, 0.65, 247 / 900, 1_200.0, "solana"),
    Asset.XRP: AssetProfile(2.1, 0.0001, 1.5, 0.6, 471 / 900, 1_000.0, "xrp"),
    Asset.DOGE: AssetProfile(0.16, 0.00001, 1.8, 0.6, 150 / 900, 700.0, "dogecoin"),
    Asset.BNB: AssetProfile(880.0, 0.01, 1.1, 0.6, 150 / 900, 900.0, "bnb"),
    Asset.HYPE: AssetProfile(38.0, 0.001, 2.2, 0.45, 150 / 900, 600.0, "hype"),
    Asset.ZEC: AssetProfile(420.0, 0.01, 2.5, 0.3, 150 / 900, 500.0, "zec"),
}
"""Four last ones: trade counts unknown, assumed below Solana's."""
