"""From match to chain: who owes whom what, and each trade's ladder (protocol reference D.4).

A match locks what its customers give; MINED moves money and shares; CONFIRMED and FAILED are the
ends, and FAILED takes back exactly what was moved or locked, once. It matches nothing.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct, field

from helpers.domain import MICROS, FillStatus, Message, Outcome, Side
from simulator.accounts import Accounts
from simulator.agenda import Agenda
from simulator.exchange_messages import (
    COLLATERAL,
    ExchangeEvent,
    MakerLeg,
    SettlementStep,
    TradeChanged,
    TradeFacts,
)
from simulator.matching import cost_micros

VENUE: Final = "venue"
"""House account that receives fees and pays rebates."""
CONTRACT: Final = "contract"
"""House account that holds one dollar for each minted pair."""
TRADES_KEPT_MAX: Final = 50_000
"""Trades kept for /data/trades; the oldest settled ones are forgotten first."""
SCRIPTED_LADDERS_MAX: Final = 10_000
"""Ladders put down for coming trades."""


class Move(Message, frozen=True):
    """What one account gets (or gives, below zero) of one asset when a trade settles."""

    account: str
    asset: str
    micros: int


class Trade(Struct):
    """One trade on its way; only the settlement changes it."""

    facts: TradeFacts
    moves: tuple[Move, ...]
    parties: tuple[tuple[str, bool], ...]
    """Customers to tell, and whether each is a maker."""
    status: FillStatus = FillStatus.MATCHED
    updated_ns: int = 0
    moved: bool = False
    ended: bool = False
    steps: deque[SettlementStep] = field(default_factory=deque[SettlementStep])


class Settlement:
    """Owner of trades and their ladders."""

    def __init__(
        self,
        accounts: Accounts,
        agenda: Agenda,
        emit: Callable[[ExchangeEvent], None],
        ladder: tuple[SettlementStep, ...],
    ) -> None:
        self.ladder = ladder
        self._accounts = accounts
        self._agenda = agenda
        self._emit = emit
        self._scripted: deque[tuple[SettlementStep, ...]] = deque()
        self._trades: dict[str, Trade] = {}
        self._by_account: dict[str, dict[str, None]] = {}
        self._reverted: Callable[[str, int], None] = lambda _account, _now_ns: None

    def on_revert(self, callback: Callable[[str, int], None]) -> None:
        """Call back with each customer whose balances a FAILED trade changed."""
        self._reverted = callback

    def script(self, ladders: tuple[tuple[SettlementStep, ...], ...]) -> None:
        """Give the coming trades these ladders, one each; raise ``ValueError`` beyond 10,000."""
        if len(self._scripted) + len(ladders) > SCRIPTED_LADDERS_MAX:
            raise ValueError(f"scripted ladders were over {SCRIPTED_LADDERS_MAX}, expected fewer")
        self._scripted.extend(ladders)

    def start(self, facts: TradeFacts, moves: tuple[Move, ...]) -> None:
        """Take a matched trade: lock what customers give and begin its ladder.

        A trade between house accounts settles at once and is told to nobody.
        """
        parties = self._parties(facts)
        if not parties:
            for move in moves:
                self._accounts.credit(
                    self._accounts.get(move.account), move.asset, move.micros, facts.matched_ns
                )
            return
        for move in moves:
            account = self._accounts.get(move.account)
            if move.micros < 0 and not account.house:
                self._accounts.lock(account, move.asset, -move.micros)
        steps = self._scripted.popleft() if self._scripted else self.ladder
        trade = Trade(facts, moves, parties, steps=deque(steps), updated_ns=facts.matched_ns)
        self._keep(trade)
        self._tell(trade, facts.matched_ns)
        self._schedule(trade, facts.matched_ns)

    def trades(self, account: str) -> tuple[TradeChanged, ...]:
        """Return an account's trades as they stand, oldest first."""
        views: list[TradeChanged] = []
        for trade_id in self._by_account.get(account, ()):
            trade = self._trades[trade_id]
            maker = dict(trade.parties)[account]
            views.append(TradeChanged(account, maker, trade.facts, trade.status, trade.updated_ns))
        return tuple(views)

    def status(self, trade_id: str) -> FillStatus | None:
        """Return a trade's rung, ``None`` for an unknown id."""
        trade = self._trades.get(trade_id)
        return None if trade is None else trade.status

    def pending_moves(self) -> tuple[Move, ...]:
        """Return what is matched and not yet moved (for conservation checks)."""
        return tuple(
            move
            for trade in self._trades.values()
            if not trade.moved and not trade.ended
            for move in trade.moves
        )

    def _parties(self, facts: TradeFacts) -> tuple[tuple[str, bool], ...]:
        parties: dict[str, bool] = {}
        if not self._accounts.get(facts.taker).house:
            parties[facts.taker] = False
        for leg in facts.makers:
            if leg.account not in parties and not self._accounts.get(leg.account).house:
                parties[leg.account] = True
        return tuple(parties.items())

    def _schedule(self, trade: Trade, now_ns: int) -> None:
        if trade.steps:
            self._agenda.at(now_ns + trade.steps[0].after_ns, partial(self._step, trade))

    def _step(self, trade: Trade, now_ns: int) -> None:
        status = trade.steps.popleft().status
        if trade.ended:
            return
        trade.status = status
        trade.updated_ns = now_ns
        trade.ended = status in (FillStatus.CONFIRMED, FillStatus.FAILED)
        if status is FillStatus.FAILED:
            self._revert(trade, now_ns)
        elif status in (FillStatus.MINED, FillStatus.CONFIRMED) and not trade.moved:
            self._move(trade, now_ns)
        self._tell(trade, now_ns)
        if not trade.ended:
            self._schedule(trade, now_ns)

    def _move(self, trade: Trade, now_ns: int) -> None:
        trade.moved = True
        for move in trade.moves:
            account = self._accounts.get(move.account)
            if move.micros < 0:
                if not account.house:
                    self._accounts.unlock(account, move.asset, -move.micros)
                self._accounts.debit(account, move.asset, -move.micros)
            else:
                self._accounts.credit(account, move.asset, move.micros, now_ns)

    def _revert(self, trade: Trade, now_ns: int) -> None:
        for move in trade.moves:
            account = self._accounts.get(move.account)
            if trade.moved:
                # The venue sees a reversal at once, as it sees a debit.
                self._accounts.debit(account, move.asset, move.micros)
            elif move.micros < 0 and not account.house:
                self._accounts.unlock(account, move.asset, -move.micros)
        for account_name, _ in trade.parties:
            self._reverted(account_name, now_ns)

    def _tell(self, trade: Trade, now_ns: int) -> None:
        for account, maker in trade.parties:
            self._emit(TradeChanged(account, maker, trade.facts, trade.status, now_ns))

    def _keep(self, trade: Trade) -> None:
        trade_id = trade.facts.trade_id
        self._trades[trade_id] = trade
        for account, _ in trade.parties:
            self._by_account.setdefault(account, {})[trade_id] = None
        if len(self._trades) > TRADES_KEPT_MAX:
            oldest = next(iter(self._trades))
            if self._trades[oldest].ended:
                for account, _ in self._trades.pop(oldest).parties:
                    del self._by_account[account][oldest]


def trade_moves(facts: TradeFacts) -> tuple[Move, ...]:
    """Return who gets what in a trade; all moves of one asset but minted shares sum to zero.

    Fees: on top of a buy, out of a sale's proceeds, makers pay none (reference G.2). The contract
    account holds the dollar of each minted pair and gives it back at a merge.
    """
    buying = facts.side is Side.BUY
    money = (
        -facts.cost_micros - facts.fee_micros if buying else facts.cost_micros - facts.fee_micros
    )
    shares = facts.shares_micros if buying else -facts.shares_micros
    moves = [
        Move(facts.taker, COLLATERAL, money),
        Move(facts.taker, facts.token, shares),
        Move(VENUE, COLLATERAL, facts.fee_micros),
    ]
    contract = facts.cost_micros if buying else -facts.cost_micros
    for leg in facts.makers:
        dollars = leg_dollars(leg)
        leg_buys = leg.side is Side.BUY
        moves.append(Move(leg.account, COLLATERAL, -dollars if leg_buys else dollars))
        leg_shares = leg.shares_micros if leg_buys else -leg.shares_micros
        moves.append(Move(leg.account, leg.token, leg_shares))
        contract += dollars if leg_buys else -dollars
    moves.append(Move(CONTRACT, COLLATERAL, contract))
    return tuple(move for move in moves if move.micros)


def leg_dollars(leg: MakerLeg) -> int:
    """Return the money of a maker's leg."""
    up_price = leg.price_micros if leg.outcome is Outcome.UP else MICROS - leg.price_micros
    return cost_micros(leg.outcome, up_price, leg.shares_micros)


def transaction_hash(trade_id: str) -> str:
    """Return the settlement transaction's hash of a trade, the same every run."""
    return "0x" + hashlib.sha256(trade_id.encode()).hexdigest()
