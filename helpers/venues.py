"""Every host we speak to, in one frozen message; must not open a connection.

Tests and the simulator point these at loopback; nothing else in the project spells a host.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import Message

USER_AGENT: Final = "state-fusion-worker/0.1"
"""How we introduce ourselves; the venue's firewall blocks standard-library names (A.4)."""


class Venues(Message, frozen=True):
    """Base addresses, without a trailing slash (references B.1 and binance 1.1)."""

    binance_futures_socket: str = "wss://fstream.binance.com"
    binance_futures_rest: str = "https://fapi.binance.com"
    binance_spot_socket: str = "wss://data-stream.binance.vision"
    """Spot, market data only: the official route where the exchange itself is not offered."""
    binance_spot_rest: str = "https://data-api.binance.vision"
    coinbase_socket: str = "wss://ws-feed.exchange.coinbase.com"
    okx_socket: str = "wss://ws.okx.com:8443"
    polymarket_socket: str = "wss://ws-subscriptions-clob.polymarket.com"
    polymarket_reference_socket: str = "wss://ws-live-v2.polymarket.com"
    gamma_rest: str = "https://gamma-api.polymarket.com"
    clob_rest: str = "https://clob.polymarket.com"
    data_api_rest: str = "https://data-api.polymarket.com"
    relayer_rest: str = "https://relayer-v2.polymarket.com"
    polygon_rpc: str = "https://polygon.drpc.org"
    """For account operations of wallets that pay their own gas, and to read approvals."""
    polymarket_website: str = "https://polymarket.com"
