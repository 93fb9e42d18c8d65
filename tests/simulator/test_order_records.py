"""Customer orders: open, ended, and forgotten after a while."""

from __future__ import annotations

from helpers.domain import Outcome, Side
from simulator.market_state import MarketState
from simulator.order_records import LIVE, OrderRecord, OrderRecords, lock_asset
from tests.simulator.venue import LISTING, T0, UP_TOKEN, order


def record(order_id: str, side: Side = Side.BUY) -> OrderRecord:
    placed = order("ann", Outcome.UP, side, 0.5, 5, order_id=order_id)
    return OrderRecord(placed, MarketState(LISTING), Outcome.UP, T0)


def test_open_orders_end_once_and_old_ones_are_forgotten():
    """Ended orders are remembered up to a limit, open ones always."""
    records = OrderRecords(ended_kept_max=2)
    kept = record("open")
    records.add(kept)
    for index in range(3):
        ended = record(f"e{index}")
        records.add(ended)
        assert records.is_open(ended)
        records.end(ended, "CANCELED")
        assert not records.is_open(ended)
    assert [name for name in ("e0", "e1", "e2") if name in records] == ["e1", "e2"]
    assert records.open_of("ann") == (kept,)
    assert records.open_of("stranger") == ()
    assert records.find("e0") is None


def test_views_are_snapshots():
    """A view does not change with its order."""
    one = record("v")
    view = one.view()
    one.matched_micros = 1
    assert (view.matched_micros, view.status, view.order_id) == (0, LIVE, "v")


def test_buys_lock_dollars_and_sales_their_token():
    """What an order locks is what it gives."""
    assert lock_asset(record("b")) == "pUSD"
    assert lock_asset(record("s", Side.SELL)) == UP_TOKEN
