"""Owner of balances, locks, allowances and API keys; it knows no orders and no prices.

What an account may spend is what the venue has seen of the chain, less what open orders and
unsettled trades have locked (reference B.4, H.3): a credit is seen a settable time after its
settlement or when the account asks for an update, a debit at once. A house account (background
makers and takers) has no limits and no locks; its balances may be negative, so that money and
shares are still conserved over all accounts.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct, field

from simulator.exchange_messages import COLLATERAL
from simulator.order_signing import Credentials, derive_credentials

UNLIMITED_ALLOWANCE: Final = 2**256 - 1
API_KEYS_MAX: Final = 64
"""API keys of one account; more would be a client that makes a new one each start."""


class Holding(Struct):
    """One asset of one account, in micro-units."""

    total_micros: int = 0
    """On the chain."""
    locked_micros: int = 0
    """Promised to open orders and unsettled trades."""
    unseen_micros: int = 0
    """Settled, but not yet in the venue's cached view."""

    @property
    def seen_micros(self) -> int:
        """Return the balance in the venue's cached view."""
        return self.total_micros - self.unseen_micros

    @property
    def free_micros(self) -> int:
        """Return what a new order may use."""
        return self.total_micros - self.unseen_micros - self.locked_micros


class Account(Struct):
    """One wallet; ``name`` is what orders and events call it."""

    name: str
    house: bool = False
    signer: str = ""
    maker_address: str = ""
    signature_type: int = 0
    holdings: dict[str, Holding] = field(default_factory=dict[str, Holding])
    collateral_allowance: int = UNLIMITED_ALLOWANCE
    conditional_allowance: int = UNLIMITED_ALLOWANCE
    api_keys: list[str] = field(default_factory=list[str])
    closed_only: bool = False
    banned: bool = False

    def holding(self, asset: str) -> Holding:
        """Return the holding of an asset, a new empty one if there was none."""
        found = self.holdings.get(asset)
        if found is None:
            found = self.holdings[asset] = Holding()
        return found

    def free_micros(self, asset: str) -> int:
        """Return what a new order may use of an asset: balance and allowance, less locks."""
        holding = self.holdings.get(asset)
        if holding is None:
            return 0
        allowance = self.collateral_allowance if asset == COLLATERAL else self.conditional_allowance
        return min(holding.free_micros, allowance - holding.locked_micros)


class Accounts:
    """All accounts of the simulated venue."""

    def __init__(self, cache_lag_ns: int = 0) -> None:
        self.cache_lag_ns = cache_lag_ns
        self._accounts: dict[str, Account] = {}
        self._by_key: dict[str, tuple[Account, Credentials]] = {}
        self._by_signer: dict[str, Account] = {}
        self._unseen: deque[tuple[int, Account, str, int]] = deque()

    def open(
        self,
        name: str,
        *,
        house: bool = False,
        signer: str = "",
        maker_address: str = "",
        signature_type: int = 0,
        approved: bool = True,
    ) -> Account:
        """Open an account; raise ``ValueError`` for a name or signer that exists already."""
        if name in self._accounts or (signer and signer.lower() in self._by_signer):
            raise ValueError(f"account {name} existed already, expected a new name and signer")
        allowance = UNLIMITED_ALLOWANCE if approved else 0
        account = Account(
            name,
            house,
            signer,
            maker_address or signer or name,
            signature_type,
            collateral_allowance=allowance,
            conditional_allowance=allowance,
        )
        self._accounts[name] = account
        if signer:
            self._by_signer[signer.lower()] = account
        return account

    def get(self, name: str) -> Account:
        """Return an account; raise ``KeyError`` for an unknown name."""
        return self._accounts[name]

    def find(self, name: str) -> Account | None:
        """Return an account or ``None``."""
        return self._accounts.get(name)

    def names(self) -> tuple[str, ...]:
        """Return all account names, oldest first."""
        return tuple(self._accounts)

    def by_signer(self, signer: str) -> Account | None:
        """Return the account of a signing address or ``None``."""
        return self._by_signer.get(signer.lower())

    def by_wallet(self, wallet: str) -> Account | None:
        """Return the account whose money lies at an address, or ``None``."""
        wanted = wallet.lower()
        return next((a for a in self._accounts.values() if a.maker_address.lower() == wanted), None)

    def create_key(self, account: Account, nonce: int) -> Credentials:
        """Return the credentials of a nonce, the same each time; raise ``ValueError`` beyond 64."""
        credentials = derive_credentials(account.signer or account.name, nonce)
        if credentials.api_key not in self._by_key:
            if len(account.api_keys) >= API_KEYS_MAX:
                raise ValueError(f"account had {API_KEYS_MAX} API keys, expected fewer")
            account.api_keys.append(credentials.api_key)
            self._by_key[credentials.api_key] = (account, credentials)
        return credentials

    def known_key(self, account: Account, nonce: int) -> Credentials | None:
        """Return the credentials of a nonce if they were created before."""
        credentials = derive_credentials(account.signer or account.name, nonce)
        return credentials if credentials.api_key in self._by_key else None

    def by_key(self, api_key: str) -> tuple[Account, Credentials] | None:
        """Return whose key this is, with its credentials."""
        return self._by_key.get(api_key)

    def delete_key(self, api_key: str) -> None:
        """Revoke a key; raise ``KeyError`` for an unknown one."""
        account, _ = self._by_key.pop(api_key)
        account.api_keys.remove(api_key)

    def deposit(self, name: str, asset: str, micros: int, now_ns: int) -> None:
        """Add to a balance from outside; the venue sees it after the lag like any credit."""
        self.credit(self._accounts[name], asset, micros, now_ns)

    def credit(self, account: Account, asset: str, micros: int, now_ns: int) -> None:
        """Add settled money or shares."""
        holding = account.holding(asset)
        holding.total_micros += micros
        if self.cache_lag_ns and not account.house and micros > 0:
            holding.unseen_micros += micros
            self._unseen.append((now_ns + self.cache_lag_ns, account, asset, micros))

    def debit(self, account: Account, asset: str, micros: int) -> None:
        """Take settled money or shares; seen at once."""
        account.holding(asset).total_micros -= micros

    def lock(self, account: Account, asset: str, micros: int) -> None:
        """Promise money or shares to an order or an unsettled trade."""
        account.holding(asset).locked_micros += micros

    def unlock(self, account: Account, asset: str, micros: int) -> None:
        """Release a promise; raise ``AssertionError`` when more is released than was locked."""
        holding = account.holding(asset)
        holding.locked_micros -= micros
        assert holding.locked_micros >= 0, "released more than was locked"

    def update(self, name: str, asset: str) -> None:
        """Refresh the venue's cached view of one asset (GET /balance-allowance/update)."""
        holding = self._accounts[name].holding(asset)
        holding.unseen_micros = 0
        self._unseen = deque(
            entry for entry in self._unseen if entry[1].name != name or entry[2] != asset
        )

    def forget(self, asset: str) -> None:
        """Drop every holding of an asset that no longer exists."""
        for account in self._accounts.values():
            account.holdings.pop(asset, None)
        self._unseen = deque(entry for entry in self._unseen if entry[2] != asset)

    def advance(self, now_ns: int) -> None:
        """Let credits be seen whose lag is over."""
        while self._unseen and self._unseen[0][0] <= now_ns:
            _, account, asset, micros = self._unseen.popleft()
            account.holding(asset).unseen_micros -= micros

    def next_due_ns(self) -> int | None:
        """Return when the next credit is seen, or ``None``."""
        return self._unseen[0][0] if self._unseen else None

    def total_micros(self, asset: str = COLLATERAL) -> int:
        """Return an asset's sum over all accounts (conservation)."""
        return sum(
            account.holdings[asset].total_micros
            for account in self._accounts.values()
            if asset in account.holdings
        )
