"""What an earlier run left: orders without an end, claims that were not written any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from db.journal import Journal, JournalDamagedError
from db.recovery import read_left_behind
from helpers.domain import (
    MICROS,
    Approved,
    Body,
    Checkpoint,
    ClaimChanged,
    Decision,
    Fill,
    MergeAsked,
    Mode,
    OrderState,
    OrderUpdate,
    Outcome,
    ResolutionSeen,
    Side,
    Source,
)
from helpers.ledger_carry import replay_rows, restored_ledger
from helpers.live.claims import ClaimState
from helpers.live.order import Stage
from helpers.live.recovery import EMPTY, restored_claims, restored_merges, restored_orders
from tests.journal_samples import decision
from tests.live.builders import MARKET, NOW_NS, SECOND, order_id, signed, wanted
from tests.test_ledger_carry import seen
from tests.trading_builders import fill

MINE = "0x" + "11" * 20
INTENT = wanted()
SIGNED = signed(INTENT)
HEAD = replace(EMPTY, wallet=MINE, cash_micros=100 * MICROS)


def checkpoint(**changes: object) -> Checkpoint:
    return replace(HEAD, **changes)


def write(folder: Path, bodies: list[Body], started_ns: int = 1) -> Path:
    with Journal.open_run(folder, Mode.LIVE, started_ns) as journal:
        for number, body in enumerate(bodies):
            journal.append(started_ns + number, MARKET.slug, body)
    return journal.run


def test_the_latest_runs_last_checkpoint_and_what_came_after_is_read(tmp_path: Path) -> None:
    """Decisions are left out; earlier checkpoints and runs are not looked at."""
    write(tmp_path, [checkpoint(cash_micros=1)])
    update = OrderUpdate("i", "o", MARKET.slug, OrderState.FILLED, 0, 1)
    write(
        tmp_path, [checkpoint(cash_micros=2), update, checkpoint(cash_micros=3), decision(), update]
    )
    left = read_left_behind(tmp_path, Mode.LIVE, MINE.upper().replace("X", "x"))
    assert left is not None
    assert left.checkpoint.cash_micros == 3
    assert [record.body for record in left.rows] == [update]
    assert not any(isinstance(record.body, Decision) for record in left.rows)


def test_a_run_that_died_before_its_checkpoint_is_passed_over(tmp_path: Path) -> None:
    """Nothing was traded in it."""
    write(tmp_path, [checkpoint(cash_micros=7)])
    write(tmp_path, [decision()])
    left = read_left_behind(tmp_path, Mode.LIVE, MINE)
    assert left is not None
    assert left.checkpoint.cash_micros == 7


def test_another_wallets_books_are_never_taken_over(tmp_path: Path) -> None:
    """A folder may hold the journals of several."""
    write(tmp_path, [checkpoint(cash_micros=7)])
    write(tmp_path, [replace(HEAD, wallet="0x" + "22" * 20)])
    left = read_left_behind(tmp_path, Mode.LIVE, MINE)
    assert left is not None
    assert left.checkpoint.cash_micros == 7
    assert read_left_behind(tmp_path, Mode.LIVE, "0x" + "33" * 20) is None
    assert read_left_behind(tmp_path, Mode.PAPER, MINE) is None


def test_a_torn_last_line_is_survived_and_damage_is_not(tmp_path: Path) -> None:
    """A crash tears the last line; anything else was not written by us."""
    run = write(tmp_path, [checkpoint(), decision(), decision()])
    segment = run / "000001.jsonl"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-5])
    left = read_left_behind(tmp_path, Mode.LIVE, MINE)
    assert left is not None
    assert left.torn
    segment.write_bytes(whole.replace(b'"kind":"decision"', b'"kind":"derision"', 1))
    with pytest.raises(JournalDamagedError):
        read_left_behind(tmp_path, Mode.LIVE, MINE)


Rows = list[tuple[str, int, Body]]


def rows(*bodies: Body) -> Rows:
    return [(MARKET.slug, NOW_NS, body) for body in bodies]


def test_an_order_without_an_end_is_unknown_and_one_with_an_end_is_over() -> None:
    """Signed and not answered: nobody knows whether it left."""
    done = OrderUpdate(INTENT.intent_id, order_id(), MARKET.slug, OrderState.CANCELED, 0, NOW_NS)
    for ends, stage in (((), Stage.UNKNOWN), ((done,), Stage.DONE)):
        told = rows(Approved(INTENT, NOW_NS), SIGNED, *ends)
        orders = restored_orders(EMPTY, told, lambda _: MARKET, NOW_NS + SECOND)
        order = orders.find(order_id())
        assert order is not None
        assert order.stage is stage


def test_a_claim_survives_a_crash_between_the_resolution_and_its_row() -> None:
    """The payout is in the books again, so it is owed again."""
    known = seen(0)
    bought = fill("b", Side.BUY, 10 * MICROS, 530_000)
    slug = known.slug
    told: Rows = [
        (slug, 1, known),
        (slug, 2, bought),
        (slug, 3, ResolutionSeen(Outcome.UP, 0.0, Source.GAMMA)),
    ]
    ledger = restored_ledger(Mode.LIVE, EMPTY)
    replayed = replay_rows(ledger, told)
    claims = restored_claims(EMPTY, told, replayed.settled, ledger.market, 9)
    (owed,) = claims.owed()
    assert owed.shares_micros == 10 * MICROS
    paid: Rows = [(slug, 4, ClaimChanged(replace(owed, state=ClaimState.PAID.value), 1, "paid"))]
    claims = restored_claims(EMPTY, told + paid, replayed.settled, ledger.market, 9)
    assert claims.owed() == ()


def test_a_merge_that_was_asked_for_is_pending_until_it_was_seen() -> None:
    """Its row comes before the request, and a row of nothing after it."""
    asked, over = MergeAsked(MARKET.slug, 4 * MICROS), MergeAsked(MARKET.slug, 0)
    assert restored_merges(EMPTY, rows(asked)).pairs == {MARKET.slug: 4 * MICROS}
    assert restored_merges(replace(EMPTY, merges=(asked,)), rows(over)).pairs == {}


def test_fills_of_an_earlier_run_are_counted_to_their_order() -> None:
    """So that a read that tells them again books nothing."""
    filled: Fill = replace(
        fill("t1", Side.BUY, 4 * MICROS, 530_000), order_id=order_id(), market=MARKET.slug
    )
    told = rows(Approved(INTENT, NOW_NS), SIGNED, filled)
    orders = restored_orders(EMPTY, told, lambda _: MARKET, NOW_NS)
    order = orders.find(order_id())
    assert order is not None
    assert order.booked_micros == 4 * MICROS
