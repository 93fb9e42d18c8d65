"""Account operations: none begins once the worker stops, and one under way has an end."""

from __future__ import annotations

import pytest

from helpers.clob.account import AccountRefused, AccountUnknown
from helpers.commands.account_operations import CHILD_SECONDS, AccountOperations
from helpers.commands.live_side import STOP_SECONDS
from helpers.commands.trading_worker import FLATTEN_SECONDS
from helpers.settings import load_settings
from helpers.venues import Venues
from helpers.watchdog import STOP_LIMIT_SECONDS

NOWHERE = Venues(gamma_rest="http://127.0.0.1:9", clob_rest="http://127.0.0.1:9")


@pytest.fixture
def operations() -> AccountOperations:
    """Return the operations of a throw-away wallet, cut short at once."""
    settings = load_settings(
        _env_file=None,
        polymarket_private_key="0x" + "11" * 32,
        polymarket_wallet="0x" + "22" * 20,
    )
    return AccountOperations(settings, NOWHERE, child_seconds=0.01)


async def test_nothing_begins_after_the_stop(operations: AccountOperations) -> None:
    """A stop never waits for an operation that began after it (I32)."""
    operations.stop()
    for outcome in (await operations.redeem("0x1"), await operations.merge("0x1")):
        assert isinstance(outcome, AccountRefused)
        assert "the next start" in outcome.reason


async def test_one_that_is_cut_short_is_unknown(operations: AccountOperations) -> None:
    """What a killed child submitted is for the venue to say."""
    assert isinstance(await operations.redeem("0x1"), AccountUnknown)


def test_the_parts_of_a_stop_fit_its_limit() -> None:
    """Flatten, then cancel while the last operation ends; five seconds are left for the disk."""
    longest = FLATTEN_SECONDS + max(STOP_SECONDS, CHILD_SECONDS)
    assert longest <= STOP_LIMIT_SECONDS - 5
