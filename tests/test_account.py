"""What the gate is told of the account beside the ledger: streaks, holds, waits."""

from __future__ import annotations

import msgspec
import pytest

from helpers.account import EXIT_WAIT_MAXIMUM_SECONDS, AccountStanding
from helpers.board import Board
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Accepted,
    Approved,
    Exposure,
    HoldCause,
    Mode,
    OrderIntent,
    Outcome,
    Rejected,
    Side,
)
from helpers.halts import Halts
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor, PaperSettings
from tests.builders import SLUG, a_market, an_intent
from tests.trading_builders import fill

NOW_NS = an_intent().created_ns


DAY_NS = 86_400 * NS_PER_SECOND
MIDNIGHT_NS = (NOW_NS // DAY_NS + 1) * DAY_NS


def standing() -> AccountStanding:
    board = Board()
    paper = PaperExecutor(board, PaperSettings())
    return AccountStanding(Ledger(Mode.PAPER, 0), paper, board, Halts())


class Books:
    """An account over a ledger whose trades are told by hand."""

    def __init__(self) -> None:
        self.ledger = Ledger(Mode.PAPER, 1000 * MICROS)
        self.ledger.remember_market(a_market())
        self.halts = Halts()
        self.paper = PaperExecutor(Board(), PaperSettings())
        self.standing = AccountStanding(self.ledger, self.paper, Board(), self.halts)
        self._trades = 0

    def trade(
        self, side: Side, price: int, at_ns: int = NOW_NS, outcome: Outcome = Outcome.UP
    ) -> None:
        """Book ten shares."""
        self._trades += 1
        name = str(self._trades)
        told = fill(name, side, 10 * MICROS, price, at_ns=at_ns, outcome=outcome)
        self.ledger.apply(msgspec.structs.replace(told, market=SLUG))

    def trip(self, gain_micros: int, at_ns: int = NOW_NS) -> None:
        """Book a purchase and a sale that gain so much on ten shares."""
        self.trade(Side.BUY, 500_000, at_ns)
        self.trade(Side.SELL, 500_000 + gain_micros // 10, at_ns)

    def at(self, now_ns: int = NOW_NS) -> Exposure:
        return self.standing.account(SLUG, now_ns).exposure


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


def test_after_a_resume_losses_count_anew() -> None:
    """An operator has seen them: the next loss is the first, in dollars and in a row."""
    books = Books()
    for second in range(3):
        books.trip(-1_000_000, NOW_NS + second)
    assert (books.at().losing_streak, books.at().daily_pnl_micros) == (3, -3_000_000)
    books.standing.forgive(NOW_NS + 5)
    assert (books.at().losing_streak, books.at().daily_pnl_micros) == (0, 0)
    books.trip(-2_000_000, NOW_NS + 6)
    assert (books.at().losing_streak, books.at().daily_pnl_micros) == (1, -2_000_000)
    books.standing.forgive(NOW_NS + 7)
    books.trip(-500_000, NOW_NS + 8)
    assert (books.at().losing_streak, books.at().daily_pnl_micros) == (1, -500_000)


def test_a_win_between_does_not_hide_the_losses_after_it() -> None:
    """Four windows resolve at once: as many losses as were forgiven, and a win before them."""
    books = Books()
    for second in range(3):
        books.trip(-1_000_000, NOW_NS + second)
    books.standing.forgive(NOW_NS + 5)
    books.trip(3_000_000, NOW_NS + 6)
    for second in range(3):
        books.trip(-1_000_000, NOW_NS + 7 + second)
    assert (books.at().losing_streak, books.at().daily_pnl_micros) == (3, 0)
    books.trip(-1_000_000, NOW_NS + 20)
    assert books.at().losing_streak == 4


def test_a_gain_is_not_forgiven() -> None:
    """A resume after a halt by hand must not make the limit on the day's loss a tighter one."""
    books = Books()
    books.trip(4_000_000)
    books.standing.forgive(NOW_NS + 1)
    assert books.at().daily_pnl_micros == 4_000_000
    books.trip(-4_500_000, NOW_NS + 2)
    assert books.at().daily_pnl_micros == -500_000


def test_a_new_day_counts_from_nothing_and_forgives_nothing() -> None:
    """At UTC midnight what was forgiven yesterday is no credit for today."""
    books = Books()
    books.trip(-4_000_000)
    books.standing.forgive(NOW_NS + 1)
    books.trip(-1_000_000, MIDNIGHT_NS - 1)
    assert books.at(MIDNIGHT_NS - 1).daily_pnl_micros == -1_000_000
    assert books.at(MIDNIGHT_NS).daily_pnl_micros == 0
    assert books.at(MIDNIGHT_NS).losing_streak == 0
    books.trip(-2_000_000, MIDNIGHT_NS)
    assert books.at(MIDNIGHT_NS).daily_pnl_micros == -2_000_000
    assert books.at(MIDNIGHT_NS).losing_streak == 1


def test_what_an_open_position_lost_counts_whole_after_midnight() -> None:
    """The forgiven loss of a position that is still open is today's again: the safe side."""
    books = Books()
    books.trade(Side.BUY, 500_000)
    books.ledger.mark(SLUG, 2_000_000)
    books.standing.forgive(NOW_NS + 1)
    assert books.at().daily_pnl_micros == 0
    assert books.at(MIDNIGHT_NS).daily_pnl_micros == -3_000_000


def test_rejections_in_a_row_are_in_a_row_across_midnight_and_a_resume_ends_them() -> None:
    """Only an accepted order or an operator ends a streak of rejections."""
    books = Books()
    books.at()
    for number in range(2):
        books.standing.note_answer(rejected(exit_(number), NOW_NS))
    assert books.at(MIDNIGHT_NS).reject_streak == 2
    books.standing.forgive(MIDNIGHT_NS)
    assert books.at(MIDNIGHT_NS).reject_streak == 0
    books.standing.note_answer(rejected(exit_(3), MIDNIGHT_NS))
    assert books.at(MIDNIGHT_NS).reject_streak == 1


def test_a_position_of_unknown_value_is_told_by_its_cost() -> None:
    """Not known is not "no loss": until a mark, without a book, and for two at once."""
    books = Books()
    books.trade(Side.BUY, 500_000)
    assert (books.at().daily_pnl_micros, books.at().unmarked_cost_micros) == (0, 5_000_000)
    books.ledger.mark(SLUG, 4_000_000)
    assert (books.at().daily_pnl_micros, books.at().unmarked_cost_micros) == (-1_000_000, 0)
    books.ledger.mark(SLUG, None)  # a book that cannot be believed
    assert (books.at().daily_pnl_micros, books.at().unmarked_cost_micros) == (0, 5_000_000)
    books.trade(Side.BUY, 300_000, outcome=Outcome.DOWN)
    books.ledger.mark(SLUG, 2_500_000)  # of one of the two: nobody can say which
    assert (books.at().daily_pnl_micros, books.at().unmarked_cost_micros) == (0, 8_000_000)


def test_an_entry_in_flight_has_spent_its_price_and_its_fee() -> None:
    """G.2: the fee is charged on top, so it cannot be promised to a second entry meanwhile."""
    books = Books()
    books.paper.submit(Approved(an_intent(), NOW_NS), a_market())
    found = books.at()
    spent = 1000 * MICROS - found.cash_micros
    assert spent == found.exposure_micros
    notional, fee = 5_400_000, 173_880  # 10 shares at 0.54: 10 * 0.07 * 0.54 * 0.46
    assert notional + fee <= spent <= notional * 1.07
    assert (found.open_positions, found.market_order_open) == (1, True)


@pytest.mark.parametrize(
    ("detail", "stopped"), [("the venue restarts", "the venue restarts"), ("", "reducing")]
)
def test_a_cause_without_a_word_holds_entries_all_the_same(detail: str, stopped: str) -> None:
    """I23: whether entries are held is a state, not a text."""
    books = Books()
    assert not books.standing.account(SLUG, NOW_NS).entries_stopped
    books.halts.hold(HoldCause.VENUE, detail)
    assert books.standing.account(SLUG, NOW_NS).entries_stopped == stopped


def test_the_account_says_whose_money_it_is() -> None:
    """I23: the books' mode and the executor's money, for the gate to compare."""
    account = standing().account(SLUG, NOW_NS)
    assert (account.mode, account.real_money) == (Mode.PAPER, False)
