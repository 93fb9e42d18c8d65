"""Reads the venue's side of our books: orders and trades back, balances, the comparison of both.

Everything unknown is settled here, by reading, never by sending again. Entries wait until the first
comparison has agreed, and whenever a later one does not, or nothing can be read. Must not: change
the ledger but by what it delivers, or take a failed read for an empty one (I18).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from helpers.clob.messages import RequestFailedError
from helpers.clock import Clock
from helpers.domain import (
    NS_PER_SECOND,
    Body,
    ExecutionEvent,
    FillStatus,
    HoldCause,
    MergeAsked,
    Reconciled,
    from_micros,
)
from helpers.live.claims import Claims
from helpers.live.fills import status_of
from helpers.live.merger import PendingMerges
from helpers.live.orders import LiveOrders
from helpers.live.ports import BooksOwner, Holder, ReadGateway
from helpers.live.reconcile import (
    Books,
    Difference,
    compare,
    expected_shares,
    merge_fills,
    merged_shares,
)
from helpers.live.venue_mode import VenueMode
from helpers.logs import Log

LOOK_SECONDS: Final = 0.25
DOUBT_SECONDS: Final = 5
"""Between two questions how much of a token we own, after the venue refused to sell it."""
RECONCILE_SECONDS: Final = 30.0
SECOND_LOOK_SECONDS: Final = 3.0
"""From a difference to the read that must confirm it: the venue's own view may lag."""
READ_BACK_SECONDS: Final = 1.0
"""Between reads while something is unresolved; grows to the maximum while it stays so."""
READ_BACK_MAXIMUM_SECONDS: Final = 5.0
UNREAD_SECONDS: Final = 30.0
"""So long without a complete read, entries are held."""
OVERLAP_SECONDS: Final = 120
"""Trades are asked for from so long before the oldest thing unresolved: clocks differ."""
UNSETTLED_SECONDS: Final = 10.0
"""A trade that has not settled so long after its match is read back, not waited for."""
SETTLED: Final = frozenset({FillStatus.CONFIRMED, FillStatus.FAILED})
CHANNEL_DOWN_SECONDS: Final = 5.0
"""So long without the user channel, everything alive is read back instead."""


class VenueReader:
    """Owner of what was read last and of when to read again."""

    def __init__(
        self,
        gateway: ReadGateway,
        orders: LiveOrders,
        books: BooksOwner,
        claims: Claims,
        merges: PendingMerges,
        mode: VenueMode,
        clock: Clock,
        *,
        deliver: Callable[[Iterable[ExecutionEvent], int], None],
        write: Callable[[int, str, Body], None],
        on_doubt: Callable[[str, int | None], None],
        holder: Holder,
        log: Log,
    ) -> None:
        self._on_doubt = on_doubt
        self._gateway = gateway
        self._orders = orders
        self._books = books
        self._claims = claims
        self._merges = merges
        self._mode = mode
        self._clock = clock
        self._deliver = deliver
        self._write = write
        self._holder = holder
        self._log = log
        self._touched: dict[str, int] = {}
        self._refresh: dict[str, None] = {}
        self._doubted: dict[str, int] = {}
        self._last_read_ns = clock.now_ns()
        self._next_read_ns = 0
        self._wait_seconds = READ_BACK_SECONDS
        self._next_reconcile_ns = 0
        self._differing_since: dict[str, int] = {}
        """When each asset that differs was first seen to."""
        self._channel_down_ns = clock.now_ns()
        self._catch_up = False
        self.oldest_ns = clock.now_ns()
        """Trades are read from here on at the first read: the oldest order taken over."""
        self.differs = False
        """Whether the last comparison confirmed a difference."""
        self.moving = 0
        """Trades of the last read, anybody's with this wallet, that were not settled yet."""

    # --- Told by others --------------------------------------------------------------------------

    def channel_up(self) -> None:
        """Read everything back: the user channel has no replay (reference D.5)."""
        self._channel_down_ns = 0
        self._catch_up = True

    def channel_down(self, now_ns: int) -> None:
        """Note that fills are not told for now."""
        self._channel_down_ns = self._channel_down_ns or now_ns

    def touched(self, token: str, until_ns: int) -> None:
        """Compare a token from now on until its market is closed, whether or not it is held."""
        self._touched[token] = until_ns

    def wants_refresh(self, token: str) -> None:
        """Let the venue look at the chain for a token soon: shares of it have settled (I2)."""
        self._refresh[token] = None

    def doubts(self, token: str) -> None:
        """Ask soon how much of a token the venue thinks we own: it refused to sell it (I2)."""
        self._doubted.setdefault(token, 0)

    # --- The loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read whenever there is a reason to, until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> None:
        """Do what is due."""
        now_ns = self._clock.now_ns()
        self._tell_mode(now_ns)
        try:
            while self._refresh:
                await self._gateway.refresh_balance(next(iter(self._refresh)))
                del self._refresh[next(iter(self._refresh))]
            for token in [token for token, at_ns in self._doubted.items() if now_ns >= at_ns]:
                await self._ask_what_we_own(token, now_ns)
            if now_ns >= self._next_read_ns and self._wants_read(now_ns):
                await self.read_back()
            if now_ns >= self._next_reconcile_ns:
                await self.reconcile()
        except RequestFailedError as failed:
            self._failed(failed)

    async def _ask_what_we_own(self, token: str, now_ns: int) -> None:
        """Read how much the venue lets us sell, again and again until it is all that we hold."""
        self._doubted[token] = now_ns + DOUBT_SECONDS * NS_PER_SECOND
        await self._gateway.refresh_balance(token)
        shown = (await self._gateway.balance(token)).balance_micros
        held = {token: position.shares_settled_micros for token, position in self.books().positions}
        if shown >= held.get(token, 0):
            del self._doubted[token]
            self._on_doubt(token, None)
        else:
            self._on_doubt(token, shown)

    def _tell_mode(self, now_ns: int) -> None:
        refused = self._mode.take_refusals()
        if refused:
            self._holder.hold_entries(HoldCause.RESTRICTED, refused, now_ns, lasting=False)
        reason = self._mode.reason(now_ns)
        if reason:
            self._holder.hold_entries(HoldCause.VENUE, reason, now_ns)
        else:
            self._holder.release_entries(HoldCause.VENUE, now_ns)

    def _wants_read(self, now_ns: int) -> bool:
        if self._catch_up or self._orders.unresolved(now_ns):
            return True
        down_ns = now_ns - self._channel_down_ns if self._channel_down_ns else 0
        if down_ns > CHANNEL_DOWN_SECONDS * NS_PER_SECOND and self._orders.alive():
            return True
        oldest = min((fill.at_ns for fill in self._books.unsettled_fills()), default=now_ns)
        return now_ns - oldest > UNSETTLED_SECONDS * NS_PER_SECOND

    async def read_back(self) -> None:
        """Read open orders, then trades, and take both in; raises ``RequestFailedError``."""
        asked_ns = self._clock.now_ns()
        opened = await self._gateway.open_orders()
        trades = await self._gateway.trades(after_seconds=self._from_seconds(asked_ns))
        now_ns = self._clock.now_ns()
        self._deliver(self._orders.on_read(opened, trades, asked_ns, now_ns), now_ns)
        self.moving = sum(status_of(trade.status) not in SETTLED for trade in trades)
        self._catch_up = False
        self._last_read_ns = self.oldest_ns = now_ns
        self._holder.release_entries(HoldCause.UNREAD, now_ns)
        again = self._wait_seconds
        self._wait_seconds = min(READ_BACK_MAXIMUM_SECONDS, again * 1.5)
        if not self._wants_read(now_ns):
            self._wait_seconds = READ_BACK_SECONDS
        self._next_read_ns = now_ns + round(again * NS_PER_SECOND)

    def _from_seconds(self, now_ns: int) -> int:
        moments = [now_ns, self.oldest_ns, self._last_read_ns]
        moments += [order.signed.at_ns for order in self._orders.alive()]
        moments += [fill.at_ns for fill in self._books.unsettled_fills()]
        return min(moments) // NS_PER_SECOND - OVERLAP_SECONDS

    async def reconcile(self) -> bool:
        """Compare our books with the venue's; return whether they agree for certain.

        A difference counts once a second read has confirmed it. Raises ``RequestFailedError``.
        """
        await self.read_back()
        tokens = self.tokens()
        if self._differing_since:
            for token in ("", *tokens):
                await self._gateway.refresh_balance(token)
        shares, cash = await self.read_balances(tokens)
        now_ns = self._clock.now_ns()
        self._book_merges(shares, now_ns)
        differences = compare(self.books(), self._orders.alive(), shares, cash)
        since = self._differing_since
        self._differing_since = since = {d.asset: since.get(d.asset, now_ns) for d in differences}
        # By the clock: a stop compares, too, and two reads at once are one look.
        second_look_ns = round(SECOND_LOOK_SECONDS * NS_PER_SECOND)
        confirmed = any(now_ns - first_ns >= second_look_ns for first_ns in since.values())
        wait = SECOND_LOOK_SECONDS if since and not confirmed else RECONCILE_SECONDS
        self._next_reconcile_ns = now_ns + round(wait * NS_PER_SECOND)
        self.differs = confirmed
        if not differences or confirmed:
            self._tell(differences, shares, cash, now_ns)
        return not differences

    def _book_merges(self, shares: Mapping[str, int], now_ns: int) -> None:
        if self._orders.alive() or self._books.unsettled_fills():
            return  # what is on its way could look the same
        for slug, micros in merged_shares(self.books(), shares, self._merges.pairs).items():
            market = self._books.market(slug)
            assert market is not None, "what is held keeps its market's facts"
            self._log.warning("pairs_merged", market=slug, pairs=from_micros(micros))
            self._deliver(merge_fills(market, micros, now_ns), now_ns)
            over = MergeAsked(slug, 0)
            self._merges.on_row(over)
            self._write(now_ns, slug, over)

    async def find_merges(self) -> None:
        """Book the pairs that were merged while nobody looked; raises ``RequestFailedError``."""
        tokens = self.tokens()
        for token in tokens:
            await self._gateway.refresh_balance(token)
        shares, _ = await self.read_balances(tokens)
        self._book_merges(shares, self._clock.now_ns())

    async def read_balances(self, tokens: Sequence[str]) -> tuple[dict[str, int], int]:
        """Return what the venue shows of these tokens, and of the collateral."""
        shares = {token: (await self._gateway.balance(token)).balance_micros for token in tokens}
        return shares, (await self._gateway.balance()).balance_micros

    def _tell(
        self,
        differences: tuple[Difference, ...],
        shares: Mapping[str, int],
        cash_micros: int,
        now_ns: int,
    ) -> None:
        texts = tuple(str(difference) for difference in differences)
        if texts:
            self._holder.hold_entries(HoldCause.MISMATCH, "; ".join(texts), now_ns)
        else:
            self._holder.release_entries(HoldCause.MISMATCH, now_ns)
            self._holder.release_entries(HoldCause.RECONCILING, now_ns)
        owed = sum(claim.shares_micros for claim in self._claims.owed())
        row = Reconciled(
            agrees=not texts,
            differences=texts,
            tokens=len(shares),
            shares_micros=sum(shares.values()),
            cash_micros=self._books.cash_micros - owed,
            venue_cash_micros=cash_micros,
            open_orders=len(self._orders.alive()),
            unknown_orders=len(self._orders.markets_unknown()),
        )
        self._write(now_ns, "", row)

    def books(self) -> Books:
        """Return our side now."""
        books = self._books
        positions = [
            (market.token(position.outcome), position)
            for position in books.positions()
            if position.outcome and (market := books.market(position.market)) is not None
        ]
        unsettled = [
            (market.token(fill.outcome), fill)
            for fill in books.unsettled_fills()
            if (market := books.market(fill.market)) is not None
        ]
        return Books(tuple(positions), books.cash_micros, tuple(unsettled), self._claims.owed())

    def tokens(self) -> tuple[str, ...]:
        """Return every token that is compared: what our books speak of, and what was traded."""
        now_ns = self._clock.now_ns()
        self._touched = {t: until for t, until in self._touched.items() if until > now_ns}
        known = expected_shares(self.books(), self._orders.alive())
        return tuple(dict.fromkeys((*known, *self._touched)))

    def _failed(self, failed: RequestFailedError) -> None:
        now_ns = self._clock.now_ns()
        self._mode.note(failed.condition, failed.retry_after_seconds, now_ns)
        wait = max(self._wait_seconds, failed.retry_after_seconds)
        self._wait_seconds = min(READ_BACK_MAXIMUM_SECONDS, self._wait_seconds * 2)
        self._next_read_ns = now_ns + round(wait * NS_PER_SECOND)
        self._next_reconcile_ns = max(self._next_reconcile_ns, self._next_read_ns)
        self._log.warning("venue_not_read", why=failed.reason)
        if now_ns - self._last_read_ns > UNREAD_SECONDS * NS_PER_SECOND:
            self._holder.hold_entries(HoldCause.UNREAD, f"not read: {failed.reason}", now_ns)
