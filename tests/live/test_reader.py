"""What the venue is asked about our books, and when it is asked again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from helpers.clob.messages import Balance, CancelReply, OpenOrder, RequestFailedError, VenuePosition
from helpers.clock import SimulatedClock
from helpers.domain import MICROS, Body, ExecutionEvent, HoldCause, Mode, Side
from helpers.feeds.polymarket_user import UserTrade
from helpers.ledger import Ledger
from helpers.live.claims import Claims
from helpers.live.merger import PendingMerges
from helpers.live.orders import LiveOrders
from helpers.live.reader import DOUBT_SECONDS, SECOND_LOOK_SECONDS, VenueReader
from helpers.live.venue_mode import VenueMode
from helpers.logs import Tag, logger
from tests.builders import UP_TOKEN
from tests.live.builders import MARKET, NOW_NS, SECOND
from tests.trading_builders import fill

TEN = 10 * MICROS
CASH = 100 * MICROS


class Asked:
    """The venue's reading side, for a wallet whose balance it may see late (I2)."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {"": CASH - 5_300_000, UP_TOKEN: TEN}
        self.silent = False
        self.looks: list[str] = []

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        return ()

    async def trades(
        self, *, after_seconds: int = 0, condition_id: str = "", trade_id: str = ""
    ) -> tuple[UserTrade, ...]:
        return ()

    async def balance(self, token: str = "") -> Balance:
        if self.silent:
            raise RequestFailedError("HTTP 500", 500)
        return Balance(self.shown.get(token, 0), ())

    async def refresh_balance(self, token: str = "") -> None:
        self.looks.append(token)

    async def cancel_all(self) -> CancelReply:
        return CancelReply((), ())

    async def positions(self, wallet: str) -> tuple[VenuePosition, ...]:
        return ()


class Reading:
    """A reader whose books hold ten settled Up shares."""

    def __init__(self) -> None:
        self.venue = Asked()
        self.clock = SimulatedClock(NOW_NS)
        self.doubted: list[tuple[str, int | None]] = []
        self.rows: list[Body] = []
        self.held: dict[HoldCause, str] = {}
        ledger = Ledger(Mode.LIVE, CASH)
        ledger.remember_market(MARKET)
        ledger.apply(fill("t", Side.BUY, TEN, 530_000, of=MARKET))
        self.reader = VenueReader(
            self.venue,
            LiveOrders(),
            ledger,
            Claims(),
            PendingMerges(),
            VenueMode(posts_only=False),
            self.clock,
            deliver=self.delivered,
            write=lambda _at_ns, _market, body: self.rows.append(body),
            on_doubt=lambda token, shares: self.doubted.append((token, shares)),
            holder=self,
            log=logger(Tag.LIVE),
        )

    def delivered(self, events: Iterable[ExecutionEvent], now_ns: int) -> None:
        assert not list(events), "nothing was traded"

    def hold_entries(
        self, cause: HoldCause, detail: str, now_ns: int, *, lasting: bool = True
    ) -> None:
        self.held[cause] = detail

    def release_entries(self, cause: HoldCause, now_ns: int) -> None:
        self.held.pop(cause, None)

    async def after(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(seconds * SECOND))
        await self.reader.step()


@pytest.fixture
def reading() -> Reading:
    return Reading()


async def test_a_refused_sale_asks_how_much_is_ours_until_all_of_it_is(reading: Reading) -> None:
    """I2: sales were refused for want of shares the venue had not seen; retried smaller."""
    reading.venue.shown[UP_TOKEN] = 6 * MICROS
    reading.reader.doubts(UP_TOKEN)
    await reading.after(0)
    assert reading.doubted == [(UP_TOKEN, 6 * MICROS)]
    assert UP_TOKEN in reading.venue.looks, "the venue is told to look at the chain first"

    await reading.after(DOUBT_SECONDS - 1)
    assert len(reading.doubted) == 1, "not before its time"
    reading.venue.shown[UP_TOKEN] = TEN
    await reading.after(1)
    assert reading.doubted[1:] == [(UP_TOKEN, None)]
    await reading.after(DOUBT_SECONDS)
    assert len(reading.doubted) == 2, "all of it is there: no more questions"


async def test_no_answer_is_not_taken_for_nothing(reading: Reading) -> None:
    """I18: a balance that cannot be read is not zero; asked again, at its own pace."""
    reading.venue.silent = True
    reading.reader.doubts(UP_TOKEN)
    await reading.after(0)
    assert not reading.doubted
    reading.venue.silent = False
    await reading.after(DOUBT_SECONDS)
    assert reading.doubted == [(UP_TOKEN, None)]


async def test_a_difference_counts_when_a_later_look_confirms_it(reading: Reading) -> None:
    """Two reads at one moment are one look: the venue's own view may lag (chaos seed 1287)."""
    reading.venue.shown[""] = CASH - 9_000_000
    assert await reading.reader.reconcile() is False
    assert await reading.reader.reconcile() is False
    assert HoldCause.MISMATCH not in reading.held
    await reading.after(SECOND_LOOK_SECONDS)
    assert "ours 94.7" in reading.held[HoldCause.MISMATCH]
    reading.venue.shown[""] = CASH - 5_300_000
    assert await reading.reader.reconcile()
    assert HoldCause.MISMATCH not in reading.held
