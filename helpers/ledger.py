"""The owner of one mode's positions, cash and PnL: exact, idempotent, changed by fills only.

Must not: send orders, read books or clocks, forget a position because discovery moved on (I15), or
book a profit from anything but a trade or a resolution (I4, I19). It raises ``LedgerError`` on what
cannot be booked and is then unchanged, so the same fill may be applied again once it can be.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    MICROS,
    CarriedAccount,
    Fill,
    FillStatus,
    LedgerError,
    Market,
    Mode,
    Outcome,
    Position,
    RoundTrip,
    Settled,
)
from helpers.ledger_account import LedgerAccount, LedgerTrade, TradeKey
from helpers.ledger_leg import Leg, Resolution, after_fill, after_resolution
from helpers.ledger_report import LedgerReport, RealisedTotals

CLOSED_MARKETS_REMEMBERED: Final = 128
"""Flat markets whose facts and trade ids are kept, to recognise a repeat or a late failure: eight
hours of four 15-minute markets, while the venue's ladder ends within minutes."""

TRADES_PER_MARKET_MAXIMUM: Final = 10_000
"""Trades of ours in one window; beyond it something is looping and nothing more is booked."""


class Ledger:
    """Books fills and resolutions of one mode (DESIGN section 4.3, 4.5)."""

    def __init__(self, mode: Mode, start_cash_micros: int) -> None:
        self.mode = mode
        self._cash_micros = start_cash_micros
        self._accounts: dict[str, LedgerAccount] = {}
        self._open: dict[str, LedgerAccount] = {}
        self._totals = RealisedTotals()

    def remember_market(self, market: Market) -> None:
        """Keep a market's facts; called before its first fill, again when they change.

        Raises ``LedgerError`` when a slug's tokens changed: shares would change their meaning.
        """
        account = self._accounts.get(market.slug)
        if account is None:
            self._accounts[market.slug] = LedgerAccount(market)
            self._forget_oldest()
            return
        known = account.market
        if (known.up_token, known.down_token) != (market.up_token, market.down_token):
            raise LedgerError(f"tokens of {market.slug} were changed, expected {known.up_token}")
        account.market = market

    def apply(self, fill: Fill) -> RoundTrip | None:
        """Book one trade at one rung of its ladder; return the position it closed, if it did.

        A trade is booked when first seen, settled when CONFIRMED and reversed once when FAILED,
        in whatever order and however often its statuses come (reference D.4).
        Both outcomes may be held at once: a sale can fail after the other was bought, and the
        wallet's owner can buy by hand. What happened is booked, wanted or not.
        Raises ``LedgerError`` for a market that was not remembered, impossible numbers, facts that
        contradict an earlier status, more sold than held; the ledger is then unchanged.
        """
        account = self._account(fill)
        key = (fill.trade_id, fill.order_id)
        trade = account.trades.get(key)
        if trade is None:
            return self._first_seen(account, key, fill)
        _require_same(trade.fill, fill)
        if trade.failed:
            return None
        if fill.status is FillStatus.FAILED:
            leg = account.refold(fill.outcome, without=trade)
            trade.failed = True
            self._book(account, leg, fill.at_ns)
        elif fill.status is FillStatus.CONFIRMED and not trade.confirmed:
            trade.confirmed = True
            self._book(account, account.legs[fill.outcome], fill.at_ns)
        return None

    def settle(self, market: Market, winner: Outcome, at_ns: int) -> Settled | None:
        """Pay a resolved market's position out at 1 or 0 a share; ``None`` when nothing is open.

        Shares that are still pending are paid too; should their trade FAIL later, the payout goes
        with it. A sale that failed after the other outcome was bought leaves both open: each call
        settles one, so call until ``None``. Raises ``LedgerError`` on a second, other winner.
        """
        account = self._accounts.get(market.slug)
        if account is None:
            return None
        if account.resolution is None:
            account.resolution = Resolution(winner, at_ns)
        elif account.resolution.winner is not winner:
            found = account.resolution.winner
            raise LedgerError(f"{market.slug} was won by {found}, now said to be by {winner}")
        leg = next(account.open_legs(), None)
        if leg is None:
            return None
        paid = after_resolution(leg, account.resolution, account.market)
        self._book(account, paid, at_ns)
        if leg.outcome is winner:
            account.told_micros += leg.shares_micros
        return Settled(
            market=market.slug,
            outcome=leg.outcome,
            won=leg.outcome is winner,
            shares_micros=leg.shares_micros,
            payout_micros=leg.shares_micros if leg.outcome is winner else 0,
            cost_micros=leg.cost_micros,
            at_ns=at_ns,
        )

    def last_trip(self, slug: str, outcome: Outcome) -> RoundTrip | None:
        """Return the position of an outcome that was closed last, if any was."""
        account = self._accounts.get(slug)
        trips = () if account is None else account.legs[outcome].trips
        return trips[-1] if trips else None

    def late_settlement(self, slug: str, at_ns: int) -> Settled | None:
        """Return the pay-out of winning shares that a late trade left after the resolution.

        A sale can FAIL when its market is decided already: its shares are ours again, and won. The
        books have it with the trade; whoever claims pay-outs must hear of it, once.
        """
        account = self._accounts.get(slug)
        if account is None or account.resolution is None:
            return None
        more = account.won_micros() - account.told_micros
        if more <= 0:
            return None
        account.told_micros += more
        return Settled(slug, account.resolution.winner, True, more, more, 0, at_ns)

    def position(self, slug: str) -> Position:
        """Return what is held in a market; flat for one we never traded."""
        account = self._accounts.get(slug)
        return Position(slug) if account is None else account.position

    def positions(self) -> tuple[Position, ...]:
        """Return every open position."""
        return tuple(position for account in self._open.values() for position in account.positions)

    def market(self, slug: str) -> Market | None:
        """Return a remembered market's facts, whether discovery still knows it or not (I15)."""
        account = self._accounts.get(slug)
        return None if account is None else account.market

    def mark(self, slug: str, exit_value_micros: int | None) -> None:
        """Note what a position would bring now: executable bids, net of the fee.

        ``None`` says that nobody knows: the book cannot be believed. Forgotten as soon as the
        position changes; ignored for a flat market.
        """
        account = self._open.get(slug)
        if account is not None:
            account.mark_micros = exit_value_micros

    def daily_pnl_micros(self, now_ns: int) -> int:
        """Return what was realised since UTC midnight plus the open positions' marks over cost.

        A position without a mark counts at cost, that is with no profit or loss. A reversal counts
        on the day it became known.
        """
        return self._totals.daily_micros(now_ns) + self.unrealised_micros

    def realised_today_micros(self, now_ns: int) -> int:
        """Return what was realised since UTC midnight."""
        return self._totals.daily_micros(now_ns)

    @property
    def cash_micros(self) -> int:
        """Return the cash that fills and resolutions leave; may be negative only by late facts."""
        return self._cash_micros

    @property
    def realised_micros(self) -> int:
        """Return all realised PnL after fees, that of partly sold positions included."""
        return self._totals.realised_micros

    def market_realised_micros(self, slug: str) -> int:
        """Return what was realised in one market so far, after fees; 0 for one never traded."""
        account = self._accounts.get(slug)
        return 0 if account is None else sum(leg.realised_micros for leg in account.legs.values())

    @property
    def unrealised_micros(self) -> int:
        """Return the open positions' marks over cost; one without a mark counts at cost."""
        return sum(
            account.mark_micros - account.position.cost_micros
            for account in self._open.values()
            if account.mark_micros is not None and account.has_mark
        )

    @property
    def unmarked_cost_micros(self) -> int:
        """Return the cost of the open positions of which nobody knows what they would bring."""
        return sum(
            position.cost_micros
            for account in self._open.values()
            if not account.has_mark
            for position in account.positions
        )

    def losing_streak(self, now_ns: int, since_ns: int = 0) -> int:
        """Return how many of the UTC day's latest round trips lost without a break.

        Only those that were closed after ``since_ns`` count.
        """
        return self._totals.losing_streak(now_ns, since_ns)

    def last_exit_ns(self, slug: str) -> int:
        """Return when a market's last position was closed, 0 when never."""
        account = self._accounts.get(slug)
        if account is None:
            return 0
        return max(
            (leg.trips[-1].closed_ns for leg in account.legs.values() if leg.trips), default=0
        )

    def unsettled_fills(self) -> tuple[Fill, ...]:
        """Return the trades whose shares and dollars the venue may or may not have moved yet."""
        return tuple(
            trade.fill
            for account in self._accounts.values()
            for trade in account.trades.values()
            if not (trade.confirmed or trade.failed)
        )

    def adjust_cash(self, micros: int) -> None:
        """Count dollars that came or went without a trade: a deposit, a withdrawal, a rebate."""
        self._cash_micros += micros

    def carried_accounts(self) -> tuple[CarriedAccount, ...]:
        """Return every market with a trade or a winner, for whoever takes these books over."""
        return tuple(
            CarriedAccount(
                account.market,
                tuple(trade.latest for trade in account.trades.values()),
                *((r.winner, r.at_ns) if (r := account.resolution) is not None else (None, 0)),
            )
            for account in self._accounts.values()
            if account.trades or account.resolution is not None
        )

    def take_over(self, carried: CarriedAccount) -> None:
        """Go on with a market of an earlier run's books.

        Its legs are folded over the trades that stand, as they were then. Raises ``LedgerError``
        when that cannot be, or when the market is known already.
        """
        market = carried.market
        if market.slug in self._accounts:
            raise LedgerError(f"{market.slug} was carried over twice")
        account = self._accounts[market.slug] = LedgerAccount(market)
        if carried.winner is not None:
            account.resolution = Resolution(carried.winner, carried.resolved_ns)
        for fill in carried.fills:
            account.trades[fill.trade_id, fill.order_id] = LedgerTrade(fill)
        for outcome in Outcome:
            leg = account.refold(outcome, without=None)
            self._book(account, leg, leg.opened_ns)
        account.told_micros = max(0, account.won_micros())

    def rebase(self, cash_micros: int, realised_micros: int, day: int, today_micros: int) -> None:
        """Make the totals these: what was carried over, of markets forgotten since included."""
        self._cash_micros = cash_micros
        self._totals.rebase(realised_micros, day, today_micros)

    def round_trips(self) -> tuple[RoundTrip, ...]:
        """Return the latest round trips, oldest first; the report's totals cover all."""
        return self._totals.round_trips()

    def report(self) -> LedgerReport:
        """Return what the run came to so far."""
        positions = self.positions()
        cost = sum(position.cost_micros for position in positions)
        return self._totals.report(self.mode, self._cash_micros, len(positions), cost)

    def _account(self, fill: Fill) -> LedgerAccount:
        account = self._accounts.get(fill.market)
        if account is None:
            raise LedgerError(
                f"trade {fill.trade_id} was in {fill.market}, expected a known market"
            )
        sane = fill.shares_micros > 0 and 0 < fill.price_micros < MICROS and fill.fee_micros >= 0
        if not sane:
            raise LedgerError(
                f"trade {fill.trade_id} was {fill.shares_micros} micro-shares at "
                f"{fill.price_micros} with fee {fill.fee_micros}, expected a price inside (0, 1)"
            )
        return account

    def _first_seen(self, account: LedgerAccount, key: TradeKey, fill: Fill) -> RoundTrip | None:
        if len(account.trades) >= TRADES_PER_MARKET_MAXIMUM:
            raise LedgerError(
                f"{fill.market} had {len(account.trades)} trades, expected no more than that"
            )
        trade = LedgerTrade(fill)
        if trade.failed:
            account.trades[key] = trade
            return None
        leg = account.legs[fill.outcome]
        if account.resolution is None:
            leg = after_fill(leg, fill, account.market)
            account.trades[key] = trade
        else:
            account.trades[key] = trade
            try:
                leg = account.refold(fill.outcome, without=None)
            except LedgerError:
                del account.trades[key]
                raise
        closed = self._book(account, leg, fill.at_ns)
        return closed[-1] if closed and not leg.shares_micros else None

    def _book(self, account: LedgerAccount, leg: Leg, at_ns: int) -> tuple[RoundTrip, ...]:
        old = account.legs[leg.outcome]
        account.legs[leg.outcome] = leg
        self._cash_micros += leg.cash_micros - old.cash_micros
        if leg.shares_micros != old.shares_micros:
            account.mark_micros = None
        account.positions = tuple(account.position_of(open_leg) for open_leg in account.open_legs())
        slug = account.market.slug
        if account.positions:
            self._open[slug] = account
        else:
            self._open.pop(slug, None)
        return self._totals.replace(slug, account.market.asset, old, leg, at_ns)

    def _forget_oldest(self) -> None:
        flat = [a.market for slug, a in self._accounts.items() if slug not in self._open]
        surplus = len(flat) - CLOSED_MARKETS_REMEMBERED
        if surplus > 0:
            # By their close: a 4 h window outlives the many 5 m ones that come after it.
            for market in sorted(flat, key=lambda market: market.closes_ns)[:surplus]:
                del self._accounts[market.slug]


def _require_same(known: Fill, fill: Fill) -> None:
    was = (fill.outcome, fill.side, fill.shares_micros, fill.price_micros)
    expected = (known.outcome, known.side, known.shares_micros, known.price_micros)
    if was != expected:
        raise LedgerError(f"trade {fill.trade_id} was {was} at {fill.status}, expected {expected}")
