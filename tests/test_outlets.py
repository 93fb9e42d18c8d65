"""Who hears of what happens, and in which order; what a crash in between may cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.control import ControlLog
from helpers.account import AccountStanding
from helpers.board import Board
from helpers.commands.composition import paper_settings
from helpers.commands.operator_control import OperatorControl
from helpers.commands.outlets import NoJournal, Outlets
from helpers.domain import Body, Equity, HoldCause, Mode
from helpers.halt_control import HaltControl
from helpers.halts import Halts
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor
from helpers.settings import load_settings


class Heard(NoJournal):
    """A journal and a listener in one: notes who heard what."""

    def __init__(self, name: str, heard: list[str]) -> None:
        super().__init__()
        self._name = name
        self._heard = heard

    def append(self, at_ns: int, market: str, body: Body) -> int:
        self._heard.append(self._name)
        return super().append(at_ns, market, body)

    def write(self, at_ns: int, market: str, body: Body) -> None:
        self.append(at_ns, market, body)


class Power(NoJournal):
    """A journal in a machine that loses its power at the first row."""

    def append(self, at_ns: int, market: str, body: Body) -> int:
        raise SystemExit(f"no power at {at_ns} for {market or 'all'}: {body}")


def test_keepers_hear_first_then_the_journal_then_the_others() -> None:
    """A listener may not know what no crash of this program would leave on the disk."""
    heard: list[str] = []
    keeper, journal, other = (Heard(name, heard) for name in ("keeper", "journal", "other"))
    Outlets((keeper,), journal, (other,)).write(1, "", Equity(0, 0, 0, 0))
    assert heard == ["keeper", "journal", "other"]


def test_a_halt_outlives_a_crash_before_its_row(tmp_path: Path) -> None:
    """Invariant 7: a row of a halt without the halt would let the next start enter (I30)."""
    log = ControlLog(tmp_path, Mode.PAPER)
    operator = OperatorControl(log, "000001_run")
    board, halts = Board(), Halts()
    executor = PaperExecutor(board, paper_settings(load_settings(_env_file=None)))
    standing = AccountStanding(Ledger(Mode.PAPER, 0), executor, board, halts)
    control = HaltControl(halts, standing, Outlets((operator,), Power(), ()))
    operator.begin(control, lambda _: None, 10)
    with pytest.raises(SystemExit):
        control.hold_entries(HoldCause.LOSS_LIMIT, "lost $100", 20)
    assert [held.cause for held in log.read().standing] == [HoldCause.LOSS_LIMIT]
