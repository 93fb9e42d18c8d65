"""Who is allowed to move a wallet's dollars and tokens: the catalogue of approvals (H.2, H.3).

An account has one allowance for dollars and one for tokens, whoever the spender is.
"""

from __future__ import annotations

from typing import Final

from simulator.accounts import Account
from simulator.order_signing import EXCHANGE, NEG_RISK_EXCHANGE
from simulator.servers.wallet_batch import COLLATERAL_ADAPTERS, COLLATERAL_ADDRESS

CONDITIONAL_TOKENS: Final = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
POSITION_MANAGER: Final = "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"
NEG_RISK_COLLATERAL_ADAPTER: Final = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
ROUTER: Final = "0x12121212006e4CD160D18e3f00711DA5c3372600"
EXCHANGE_V3: Final = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
PERPS_DEPOSIT: Final = "0xDCa4af75705dbB50f62437045afF9921947917d2"
AUTO_REDEEM: Final = "0xa1200000d0002264C9a1698e001292D00E1b00af"
BINARY_MODULE: Final = "0x1000008dD9001B968442c1000017eaE6E0dA00Ba"
NEG_RISK_MODULE: Final = "0x200000900045e3B6259600682756002200028933"

_TRADERS: Final = (
    EXCHANGE,
    NEG_RISK_EXCHANGE,
    COLLATERAL_ADAPTERS[0],
    NEG_RISK_COLLATERAL_ADAPTER,
)
DOLLAR_SPENDERS: Final = (*_TRADERS, ROUTER, EXCHANGE_V3, PERPS_DEPOSIT)
TOKEN_OPERATORS: Final = (
    *((CONDITIONAL_TOKENS, operator) for operator in _TRADERS),
    (CONDITIONAL_TOKENS, AUTO_REDEEM),
    (CONDITIONAL_TOKENS, BINARY_MODULE),
    (CONDITIONAL_TOKENS, NEG_RISK_MODULE),
    (POSITION_MANAGER, ROUTER),
    (POSITION_MANAGER, EXCHANGE_V3),
    (POSITION_MANAGER, AUTO_REDEEM),
)
"""Token contract and who may move its tokens."""


def approval_rows(account: Account | None) -> list[dict[str, object]]:
    """Return the Data API's rows of a wallet; one that is unknown has approved nothing."""
    dollars = account.collateral_allowance if account is not None else 0
    tokens = account is not None and account.conditional_allowance > 0
    spenders: list[dict[str, object]] = [
        {
            "token": COLLATERAL_ADDRESS,
            "spender": spender,
            "standard": "ERC20",
            "approved": dollars > 0,
            "amount": str(dollars),
        }
        for spender in DOLLAR_SPENDERS
    ]
    operators: list[dict[str, object]] = [
        {"token": token, "spender": operator, "standard": "ERC1155", "approved": tokens}
        for token, operator in TOKEN_OPERATORS
    ]
    return spenders + operators
