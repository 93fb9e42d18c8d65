"""Balances as the venue sees them, keys, and the books of accounts."""

from __future__ import annotations

import pytest

from helpers.domain import NS_PER_SECOND
from simulator.accounts import API_KEYS_MAX, Accounts
from simulator.exchange_messages import COLLATERAL

SECOND = NS_PER_SECOND
SIGNER = "0x" + "ab" * 20


def test_a_credit_is_seen_after_the_lag_and_a_debit_at_once():
    """The cached view lags behind the chain for credits only (reference H.3)."""
    accounts = Accounts(cache_lag_ns=5 * SECOND)
    ann = accounts.open("ann")
    accounts.deposit("ann", COLLATERAL, 100, 0)
    assert ann.holding(COLLATERAL).seen_micros == 0
    assert accounts.next_due_ns() == 5 * SECOND
    accounts.advance(5 * SECOND)
    assert accounts.next_due_ns() is None
    assert ann.holding(COLLATERAL).seen_micros == 100
    accounts.debit(ann, COLLATERAL, 30)
    assert ann.free_micros(COLLATERAL) == 70


def test_an_update_is_about_one_asset_of_one_account():
    """Other assets and accounts keep waiting for their lag."""
    accounts = Accounts(cache_lag_ns=5)
    for name in ("ann", "bob"):
        accounts.open(name)
        accounts.deposit(name, COLLATERAL, 100, 0)
        accounts.deposit(name, "1", 100, 0)
    accounts.update("ann", COLLATERAL)
    seen = {
        (name, asset): accounts.get(name).holding(asset).seen_micros
        for name in ("ann", "bob")
        for asset in (COLLATERAL, "1")
    }
    assert seen == {
        ("ann", COLLATERAL): 100,
        ("ann", "1"): 0,
        ("bob", COLLATERAL): 0,
        ("bob", "1"): 0,
    }
    accounts.advance(5)
    assert accounts.get("ann").holding(COLLATERAL).seen_micros == 100


def test_locks_reduce_what_is_free_and_are_released_once():
    """Releasing more than was locked is a bug and says so."""
    accounts = Accounts()
    ann = accounts.open("ann")
    accounts.deposit("ann", COLLATERAL, 100, 0)
    accounts.lock(ann, COLLATERAL, 60)
    assert ann.free_micros(COLLATERAL) == 40
    accounts.unlock(ann, COLLATERAL, 60)
    with pytest.raises(AssertionError, match="more than was locked"):
        accounts.unlock(ann, COLLATERAL, 1)


def test_allowances_bound_what_is_free():
    """Money without an approval cannot be spent; tokens have their own approval."""
    accounts = Accounts()
    ann = accounts.open("ann")
    accounts.deposit("ann", COLLATERAL, 100, 0)
    accounts.deposit("ann", "1", 100, 0)
    ann.collateral_allowance = 30
    ann.conditional_allowance = 0
    assert ann.free_micros(COLLATERAL) == 30
    assert ann.free_micros("1") == 0
    assert ann.free_micros("unknown") == 0


def test_names_and_signers_are_unique():
    """A name or a signer has one account."""
    accounts = Accounts()
    ann = accounts.open("ann", signer=SIGNER)
    assert accounts.by_signer(SIGNER.upper().replace("0X", "0x")) is ann
    assert accounts.by_signer("0x00") is None
    with pytest.raises(ValueError, match="existed already"):
        accounts.open("ann")
    with pytest.raises(ValueError, match="existed already"):
        accounts.open("other", signer=SIGNER)


def test_keys_are_created_derived_revoked_and_bounded():
    """A nonce has one key; unknown nonces have none until created; keys are limited."""
    accounts = Accounts()
    ann = accounts.open("ann", signer=SIGNER)
    assert accounts.known_key(ann, 0) is None
    created = accounts.create_key(ann, 0)
    assert accounts.create_key(ann, 0) == created == accounts.known_key(ann, 0)
    assert accounts.by_key(created.api_key) == (ann, created)
    accounts.delete_key(created.api_key)
    assert accounts.by_key(created.api_key) is None
    assert ann.api_keys == []
    with pytest.raises(KeyError):
        accounts.delete_key(created.api_key)
    for nonce in range(API_KEYS_MAX):
        accounts.create_key(ann, nonce)
    with pytest.raises(ValueError, match="API keys"):
        accounts.create_key(ann, API_KEYS_MAX)


def test_forgotten_assets_leave_nothing_behind():
    """A forgotten asset has no holding and no credit on its way."""
    accounts = Accounts(cache_lag_ns=5)
    ann = accounts.open("ann")
    accounts.deposit("ann", "1", 100, 0)
    accounts.forget("1")
    accounts.advance(10)
    assert ann.holdings == {}
    assert accounts.total_micros("1") == 0
