"""The first comparison of a run: nothing rests, everything is read back, found positions are ours.

It goes on until our books and the venue's agree, however long that takes; no entry is allowed
before. An incomplete answer is asked for again. Must not: drop a position of ours because the venue
does not show it; a difference that reading cannot explain stays held for a person to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec

from helpers.clob.messages import RequestFailedError, VenuePosition
from helpers.clock import Clock
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Body,
    CashAdjusted,
    ExecutionEvent,
    Fill,
    FillStatus,
    HoldCause,
    Market,
    Side,
)
from helpers.live.claims import Claims
from helpers.live.orders import LiveOrders
from helpers.live.ports import BooksOwner, Holder, ReadGateway
from helpers.live.reader import VenueReader
from helpers.live.reconcile import CASH_DUST_MICROS, SHARE_DUST_MICROS, Expected, expected_cash
from helpers.live.reconcile import expected_shares as expected
from helpers.logs import Log

RETRY_SECONDS: Final = 2.0
DIFFERS_SECONDS: Final = 15.0
"""After a difference that was confirmed: a person must look, and is told no more often."""
ADOPTED: Final = "adopted"
UNKNOWN_PRICE_MICROS: Final = MICROS // 2
"""Cost of an adopted share where nobody says what was paid; its profit is then a guess, its size
and its end are not."""

FindMarket = Callable[[str], Awaitable[Market | None]]
"""Looks a market up by its slug; ``None`` for one that is none of ours; may raise
``RequestFailedError``."""


class VenueStart:
    """Brings our books and the venue's together, once."""

    def __init__(
        self,
        gateway: ReadGateway,
        reader: VenueReader,
        orders: LiveOrders,
        books: BooksOwner,
        claims: Claims,
        clock: Clock,
        *,
        wallet: str,
        timeout_seconds: float,
        find_market: FindMarket,
        deliver: Callable[[Iterable[ExecutionEvent], int], None],
        remember: Callable[[Market], None],
        write: Callable[[int, str, Body], None],
        holder: Holder,
        log: Log,
    ) -> None:
        self._gateway = gateway
        self._reader = reader
        self._orders = orders
        self._books = books
        self._claims = claims
        self._clock = clock
        self._wallet = wallet
        self._timeout_ns = round(timeout_seconds * NS_PER_SECOND)
        self._find_market = find_market
        self._deliver = deliver
        self._remember = remember
        self._write = write
        self._holder = holder
        self._log = log
        self._left_alone: set[str] = set()

    async def run(self) -> None:
        """Return once both sides agree."""
        detail = "the books were not compared with the venue's yet"
        self._holder.hold_entries(HoldCause.RECONCILING, detail, self._clock.now_ns())
        while not await self._try():
            differs = self._reader.differs
            await asyncio.sleep(DIFFERS_SECONDS if differs else RETRY_SECONDS)

    async def _try(self) -> bool:
        try:
            canceled = await self._gateway.cancel_all()
            now_ns = self._clock.now_ns()
            self._deliver(self._orders.on_cancel(canceled.canceled, canceled.kept, now_ns), now_ns)
            await self._reader.read_back()
            if self._orders.alive() or self._reader.moving:
                return False  # an outcome is unknown, or shares are on their way: read again
            await self._reader.find_merges()
            await self._adopt()
            await self._settle_claims()
            return await self._settle_cash() and await self._reader.reconcile()
        except RequestFailedError as failed:
            self._log.warning("start_not_read", why=failed.reason)
            return False

    async def _adopt(self) -> None:
        """Take over what the venue shows beyond our books, with its market's deadline."""
        rows = {row.token: row for row in await self._gateway.positions(self._wallet)}
        ours = expected(self._reader.books(), self._orders.alive())
        for token in dict.fromkeys((*rows, *self._reader.tokens())):
            row = rows.get(token)
            if token in self._left_alone or (row is not None and row.redeemable):
                continue
            shown = await self._shown(token)
            excess = shown - ours.get(token, Expected(0, 0)).most_micros
            if excess > SHARE_DUST_MICROS:
                await self._adopt_one(token, row, excess)

    async def _adopt_one(self, token: str, row: VenuePosition | None, excess: int) -> None:
        market = await self._find_market(row.slug) if row is not None else None
        now_ns = self._clock.now_ns()
        if market is None or token not in (market.up_token, market.down_token):
            self._left_alone.add(token)
            self._log.warning(
                "position_left_alone", token=token, slug=row.slug if row else "unknown"
            )
            return
        price = row.average_price_micros if row is not None else 0
        sane = price if 0 < price < MICROS else UNKNOWN_PRICE_MICROS
        outcome = market.outcome_of(token)
        self._remember(market)
        fill = Fill(
            trade_id=f"{ADOPTED}-{now_ns}-{token[-8:]}",
            order_id=ADOPTED,
            intent_id=f"{market.slug}/{ADOPTED}",
            market=market.slug,
            outcome=outcome,
            side=Side.BUY,
            shares_micros=excess,
            price_micros=sane,
            fee_micros=0,
            status=FillStatus.CONFIRMED,
            maker=False,
            opens=True,
            deadline_ns=market.closes_ns - self._timeout_ns,
            at_ns=now_ns,
        )
        self._log.warning(
            "position_adopted",
            market=market.slug,
            outcome=outcome.value,
            shares=excess / MICROS,
            price=sane / MICROS,
        )
        self._deliver((fill,), now_ns)

    async def _settle_claims(self) -> None:
        """Find out which claims were paid while nobody looked; the rest is surely still owed."""
        for claim in self._claims.owed():
            shown, now_ns = await self._shown(claim.token), self._clock.now_ns()
            change = self._claims.seen(claim.token, shown, now_ns)
            if change is not None:
                self._write(now_ns, claim.market, change)

    async def _settle_cash(self) -> bool:
        """Take the wallet's dollars for right: a deposit or a withdrawal is no loss of ours.

        False when an exit was under way meanwhile: what it may move would hide a difference.
        """
        cash_micros = self._books.cash_micros
        shown = await self._shown("")
        books = self._reader.books()
        if self._orders.alive() or books.unsettled or books.cash_micros != cash_micros:
            return False
        owed = sum(claim.shares_micros for claim in books.claims)
        unpaid = msgspec.structs.replace(books, claims=(), cash_micros=books.cash_micros - owed)
        range_ = expected_cash(unpaid, self._orders.alive())
        change = 0
        if shown > range_.most_micros + CASH_DUST_MICROS:
            change = shown - range_.most_micros
        elif shown < range_.least_micros - CASH_DUST_MICROS:
            change = shown - range_.least_micros
        if change:
            before = self._books.cash_micros
            row = CashAdjusted(before, before + change)
            self._write(self._clock.now_ns(), "", row)
            self._books.adjust_cash(change)
        return True

    async def _shown(self, token: str) -> int:
        # The venue keeps an old view until it is asked to look again (reference H.3).
        await self._gateway.refresh_balance(token)
        return (await self._gateway.balance(token)).balance_micros
