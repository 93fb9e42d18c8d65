"""Everything paper trading adds to the flow: the books of the paper run before it, taken over.

A start goes on where the last run of the mode ended, whether it stopped in order or was killed:
cash, positions and their deadlines are read from the journal. The paper venue lives in the process,
so an order that was on its way when it ended is cancelled, and a trade that was matched is settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from db.recovery import LeftBehind
from helpers.board import Board
from helpers.clock import Clock
from helpers.commands.composition import Flow, Trading, paper_settings
from helpers.domain import (
    Accepted,
    Approved,
    Body,
    Fill,
    FillStatus,
    Message,
    Mode,
    OrderState,
    OrderUpdate,
    Rejected,
    RoundTrip,
    Settled,
    to_micros,
)
from helpers.execution import Executor
from helpers.ledger import Ledger
from helpers.ledger_carry import ledger_part, replay_rows, restored_ledger
from helpers.logs import Log, Tag, logger
from helpers.paper_executor import PaperExecutor
from helpers.settings import Settings

PAPER_WALLET: Final = "paper"
"""Whose books a paper checkpoint holds."""
CHECKPOINT_SECONDS: Final = 3_600.0
"""A start reads the journal from the last checkpoint on."""


class _OpenOrder(Message, frozen=True):
    market: str
    left_micros: int
    order_id: str = ""


class PaperSide:
    """One paper account, from one run to the next."""

    mode = Mode.PAPER

    def __init__(self, settings: Settings, clock: Clock, left: LeftBehind | None) -> None:
        """Take over what an earlier run left; raise ``LedgerError`` when it contradicts itself."""
        self._settings = settings
        self._clock = clock
        self._log: Log = logger(Tag.PAPER)
        self._flow: Flow | None = None
        self._late: list[tuple[str, Body]] = []
        """What the earlier run did not come to write."""
        if left is None:
            self.ledger = Ledger(Mode.PAPER, to_micros(settings.paper_cash))
            return
        self.ledger = restored_ledger(Mode.PAPER, left.checkpoint)
        rows = [(row.market, row.at_ns, row.body) for row in left.rows]
        replayed = replay_rows(self.ledger, rows)
        now_ns = clock.now_ns()
        told = {(market, body.outcome) for market, _, body in rows if isinstance(body, Settled)}
        self._late += [
            (paid.market, paid)
            for paid in replayed.settled
            if (paid.market, paid.outcome) not in told
        ]
        ended = {body for _, _, body in rows if isinstance(body, RoundTrip)}
        self._late += [(trip.market, trip) for trip in replayed.trips if trip not in ended]
        self._late += _ended(rows, now_ns)
        for fill in self.ledger.unsettled_fills():
            # The paper venue settles every trade; it ended before it had come to this one.
            settled = replace(fill, status=FillStatus.CONFIRMED)
            self.ledger.apply(settled)
            self._late.append((settled.market, settled))

    def trading(self) -> Trading:
        """Return what the flow is built with."""
        return Trading(self._executor, self.ledger, ())

    def _executor(self, board: Board) -> Executor:
        return PaperExecutor(board, paper_settings(self._settings))

    def attach(self, flow: Flow, move_time: Callable[[int], None]) -> None:  # noqa: ARG002
        """Connect the flow; write what was taken over, so that the next start finds it here."""
        self._flow = flow
        now_ns = self._clock.now_ns()
        for market, body in self._late:
            flow.outlets.write(now_ns, market, body)
        self._late.clear()
        self.checkpoint()
        self._log.info(
            "books_taken_over",
            positions=len(self.ledger.positions()),
            cash=f"${self.ledger.cash_micros / 1e6:,.2f}",
        )

    async def run(self) -> None:
        """Write a checkpoint now and then, until cancelled."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self.checkpoint()

    async def stop(self) -> None:
        """Write where a next start goes on; what follows it in the journal is read on top."""
        self.checkpoint()

    def checkpoint(self) -> None:
        """Write everything a next start needs, in one row."""
        flow, now_ns = self._flow, self._clock.now_ns()
        assert flow is not None, "attach comes first"
        row = replace(ledger_part(self.ledger, now_ns), wallet=PAPER_WALLET)
        flow.outlets.write(now_ns, "", row)
        flow.outlets.commit()


def _ended(rows: Iterable[tuple[str, int, Body]], now_ns: int) -> Iterator[tuple[str, Body]]:
    """Yield market and end of every order that has none: it died with the paper venue."""
    open_: dict[str, _OpenOrder] = {}
    for market, _, body in rows:
        if isinstance(body, Approved):
            open_[body.intent.intent_id] = _OpenOrder(market, body.intent.shares_micros)
        elif isinstance(body, Accepted) and (order := open_.get(body.intent_id)) is not None:
            open_[body.intent_id] = replace(order, order_id=body.order_id)
        elif isinstance(body, Fill) and body.status is FillStatus.MATCHED:
            if (order := open_.get(body.intent_id)) is not None:
                left = order.left_micros - body.shares_micros
                open_[body.intent_id] = replace(order, left_micros=left)
        elif isinstance(body, Rejected) or (
            isinstance(body, OrderUpdate) and body.state is not OrderState.RESTING
        ):
            open_.pop(body.intent_id, None)
    for intent_id, order in open_.items():
        if not order.order_id:
            why = "the worker ended before the order arrived"
            yield order.market, Rejected(intent_id, "", why, now_ns, missed=True)
            continue
        state = OrderState.CANCELED if order.left_micros > 0 else OrderState.FILLED
        left = max(0, order.left_micros)
        yield (
            order.market,
            OrderUpdate(intent_id, order.order_id, order.market, state, left, now_ns),
        )
