"""What the gate is told of the account beside the ledger: streaks, holds, waits."""

from __future__ import annotations

from helpers.account import EXIT_WAIT_MAXIMUM_SECONDS, AccountStanding
from helpers.board import Board
from helpers.domain import NS_PER_SECOND, Accepted, Mode, OrderIntent, Rejected, Side
from helpers.halts import Halts
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor, PaperSettings
from tests.builders import SLUG, an_intent

NOW_NS = an_intent().created_ns


def standing() -> AccountStanding:
    board = Board()
    paper = PaperExecutor(board, PaperSettings())
    return AccountStanding(Ledger(Mode.PAPER, 0), paper, board, Halts())


def exit_(number: int) -> OrderIntent:
    return an_intent(intent_id=f"{SLUG}/{number}/up/SELL", side=Side.SELL, opens=False)


def rejected(intent: OrderIntent, at_ns: int, *, missed: bool = False) -> Rejected:
    return Rejected(intent.intent_id, "", "not enough balance / allowance", at_ns, missed)


def waits(account: AccountStanding) -> float:
    retry_ns = account.account(SLUG, NOW_NS).exposure.exit_retry_ns
    return max(0.0, (retry_ns - NOW_NS) / NS_PER_SECOND)


def test_each_rejected_exit_doubles_the_wait_up_to_a_bound() -> None:
    """I2: the venue may not have seen the settlement; a storm of requests mends nothing."""
    account = standing()
    found: list[float] = []
    for number in range(6):
        account.note_sent(exit_(number), NOW_NS)
        account.note_answer(rejected(exit_(number), NOW_NS))
        found.append(waits(account))
    assert found == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert found[-1] == EXIT_WAIT_MAXIMUM_SECONDS


def test_an_accepted_exit_ends_the_wait_and_a_lost_race_begins_none() -> None:
    """A FAK that met nothing is tried again at the next step."""
    account = standing()
    account.note_sent(exit_(1), NOW_NS)
    account.note_answer(rejected(exit_(1), NOW_NS, missed=True))
    assert waits(account) == 0.0
    account.note_sent(exit_(2), NOW_NS)
    account.note_answer(rejected(exit_(2), NOW_NS))
    account.note_sent(exit_(3), NOW_NS)
    account.note_answer(Accepted(exit_(3).intent_id, "o", NOW_NS))
    assert waits(account) == 0.0


def test_a_rejected_entry_counts_towards_the_streak_and_delays_no_exit() -> None:
    """Entries and exits are judged apart."""
    account = standing()
    entry = an_intent()
    account.account(SLUG, NOW_NS)  # the day begins
    account.note_sent(entry, NOW_NS)
    account.note_answer(rejected(entry, NOW_NS))
    found = account.account(SLUG, NOW_NS)
    assert found.exposure.reject_streak == 1
    assert found.orders_last_minute == 1
    assert waits(account) == 0.0
