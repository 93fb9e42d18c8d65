"""The live executor and the heartbeat: what leaves, when, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from helpers.clob.eip712 import DEPOSIT_WALLET, OrderSigner
from helpers.clob.messages import (
    CancelReply,
    Condition,
    HeartbeatReply,
    PostAccepted,
    PostRejected,
    PostReply,
    RequestFailedError,
    SignedOrder,
)
from helpers.clob_executor import ClobExecutor
from helpers.clock import SimulatedClock
from helpers.domain import (
    MICROS,
    Accepted,
    Approved,
    Body,
    Fill,
    FillStatus,
    OrderIntent,
    OrderSigned,
    OrderStyle,
    OrderUpdate,
    Outcome,
    Rejected,
    Side,
    TickSize,
)
from helpers.live.heartbeat import Heartbeat
from helpers.live.orders import LiveOrders
from helpers.live.venue_mode import VenueMode
from helpers.logs import Tag, logger
from simulator.simulated_loop import SimulatedLoop
from tests.builders import UP_TOKEN, a_state
from tests.live.builders import MARKET, NOW_NS, SECOND, wanted
from tests.safety_builders import GATE, HELD
from tests.test_clob_eip712 import KEY, WALLETS


def approved(intent: OrderIntent) -> Approved:
    """Return the intent as the gate lets it through."""
    from tests.builders import a_snapshot, an_account

    seen = a_snapshot(market=MARKET, now_ns=intent.created_ns)
    state = a_state(seen, position=HELD if not intent.opens else None)
    verdict = GATE.check(intent, state, an_account())
    assert isinstance(verdict, Approved), verdict
    return verdict


class Outside:
    """Journal, venue and clock, each told when to answer."""

    def __init__(self, reply: PostReply | None = None) -> None:
        self.told: list[str] = []
        self.on_disk = asyncio.Event()
        self.answer = asyncio.Event()
        self.reply = reply or PostReply(PostRejected("no"))
        self.cancelled: list[Sequence[str]] = []
        self.cancel_failures = 0
        self.rows: list[Body] = []
        self.mode = VenueMode(posts_only=False)
        self.clock = SimulatedClock(NOW_NS)
        self.executor = ClobExecutor(
            OrderSigner(KEY, WALLETS[3], DEPOSIT_WALLET),
            lambda: "owner",
            self,
            LiveOrders(),
            self.mode,
            self.clock,
            lambda: 12_345,
        )
        self.executor.attach(self, lambda: self.told.append("ready"))

    def write(self, at_ns: int, market: str, body: Body) -> None:
        self.rows.append(body)
        self.told.append(type(body).__name__)

    def start_sync(self) -> int:
        self.told.append("sync begun")
        return 1

    async def durable(self, ticket: int) -> None:
        await self.on_disk.wait()
        self.told.append("on disk")

    async def post_order(self, signed: SignedOrder) -> PostReply:
        self.told.append("sent")
        self.order_id = signed.order_id
        await self.answer.wait()
        return self.reply

    async def cancel(self, order_ids: Sequence[str]) -> CancelReply:
        self.cancelled.append(order_ids)
        if self.cancel_failures:
            self.cancel_failures -= 1
            raise RequestFailedError("HTTP 425: engine restarting", 425, Condition.RESTARTING, 1.0)
        return CancelReply(tuple(order_ids), ())


@asynccontextmanager
async def running(outside: Outside) -> AsyncGenerator[ClobExecutor]:
    """Run the executor's tasks around a test."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(outside.executor.run())
        await asyncio.sleep(0)
        yield outside.executor
        task.cancel()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_order_leaves_only_when_its_row_is_on_the_disk() -> None:
    """I20: journalled, synced beside the signing, then sent; the answer comes as an event."""
    outside = Outside()
    async with running(outside) as executor:
        executor.submit(approved(wanted()), MARKET)
        await settle()
        assert outside.told == ["OrderSigned", "sync begun"]
        outside.on_disk.set()
        await settle()
        assert outside.told[2:] == ["on disk", "sent"]
        assert executor.markets_with_orders() == {MARKET.slug}
        outside.answer.set()
        await settle()
        assert outside.told[4:] == ["ready"]
        (row,) = outside.rows
        assert isinstance(row, OrderSigned)
        assert row.order_id == outside.order_id
        (event,) = executor.advance(NOW_NS + SECOND)
        assert isinstance(event, Rejected)
        assert executor.markets_with_orders() == frozenset()


async def test_an_intent_is_taken_once() -> None:
    """Nothing is sent twice for one intent."""
    outside = Outside()
    async with running(outside) as executor:
        executor.submit(approved(wanted()), MARKET)
        with pytest.raises(ValueError, match="submitted before"):
            executor.submit(approved(wanted()), MARKET)


def test_a_market_is_not_free_before_the_engine_heard_how_its_order_ended() -> None:
    """I22: a fill told while the engine is at an earlier moment let a second entry through."""
    executor = Outside().executor
    fill = Fill(
        trade_id="t1",
        order_id="0x01",
        intent_id=f"{MARKET.slug}/1/up/BUY",
        market=MARKET.slug,
        outcome=Outcome.UP,
        side=Side.BUY,
        shares_micros=10 * MICROS,
        price_micros=560_000,
        fee_micros=0,
        status=FillStatus.MATCHED,
        maker=True,
        opens=True,
        deadline_ns=0,
        at_ns=NOW_NS + 30,
    )
    executor.deliver((fill,), NOW_NS + 30)
    assert executor.advance(NOW_NS + 20) == []
    assert executor.markets_with_orders() == {MARKET.slug}
    cost = fill.shares_micros * fill.price_micros // MICROS
    assert executor.pending_entry_micros(MARKET.slug) == cost > 0
    assert executor.pending_entry_micros("another") == 0
    assert executor.advance(NOW_NS + 30) == [fill]
    assert executor.markets_with_orders() == frozenset()
    assert executor.pending_entry_micros(MARKET.slug) == 0


async def test_what_breaks_the_venues_rules_is_never_signed() -> None:
    """The grid as announced last: 0.535 is off the coarse one, and fits the fine one."""
    outside = Outside()
    intent = wanted()
    async with running(outside) as executor:
        executor.on_event(TickSize(MARKET.condition_id, UP_TOKEN, 100_000, NOW_NS, NOW_NS))
        executor.submit(approved(intent), MARKET)
        (rejected,) = executor.advance(NOW_NS + SECOND)
        assert isinstance(rejected, Rejected)
        assert "breaks minimum tick size rule: 0.1" in rejected.reason
        assert outside.rows == []


def test_an_executor_that_does_not_run_sends_nothing() -> None:
    """Before the start and after the stop an order is refused in words."""
    executor = Outside().executor
    executor.submit(approved(wanted()), MARKET)
    (rejected,) = executor.advance(NOW_NS + SECOND)
    assert isinstance(rejected, Rejected)
    assert "never sent" in rejected.reason


async def test_a_resting_order_is_cancelled_when_its_time_is_over() -> None:
    """The stated expiry is only for the case that nobody is left to cancel it."""
    intent = wanted(style=OrderStyle.MAKER)
    outside = Outside()
    outside.on_disk.set()
    outside.answer.set()
    async with running(outside) as executor:
        executor.submit(approved(intent), MARKET)
        (row,) = outside.rows
        assert isinstance(row, OrderSigned)
        outside.reply = PostReply(PostAccepted(row.order_id, "live", None, None, ()))
        await settle()
        kinds = [type(event) for event in executor.advance(NOW_NS + SECOND)]
        assert kinds == [Accepted, OrderUpdate]
        assert executor.resting_entry(MARKET.slug) == intent
        assert executor.next_due_ns() == intent.expires_ns
        executor.advance(intent.expires_ns)
        await settle()
        assert outside.cancelled == [[row.order_id]]
        assert row.expiration_seconds * SECOND > intent.expires_ns + 120 * SECOND


def test_a_failed_cancel_is_tried_again_and_tells_of_the_venue() -> None:
    """425: entries wait, the order stays ours, the cancellation is sent again a little later."""
    loop = SimulatedLoop()

    async def play() -> None:
        outside = Outside()
        outside.on_disk.set()
        outside.answer.set()
        outside.cancel_failures = 1
        async with running(outside) as executor:
            executor.submit(approved(wanted(style=OrderStyle.MAKER)), MARKET)
            (row,) = outside.rows
            assert isinstance(row, OrderSigned)
            outside.reply = PostReply(PostAccepted(row.order_id, "live", None, None, ()))
            await settle()
            executor.cancel_all(NOW_NS)
            await asyncio.sleep(5.0)
            assert len(outside.cancelled) == 2
            assert outside.mode.reason(NOW_NS)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())


async def test_a_sale_is_sized_to_what_is_accepted() -> None:
    """Two decimals of shares, floored."""
    outside = Outside()
    intent = wanted(side=Side.SELL, shares=9.999)
    async with running(outside) as executor:
        executor.submit(approved(intent), MARKET)
        (row,) = outside.rows
        assert isinstance(row, OrderSigned)
        assert row.shares_micros == 9_990_000
        assert row.limit_micros * MICROS == 530_000 * MICROS


class Switch:
    """A dead-man switch as the venue keeps it."""

    def __init__(self, *answers: HeartbeatReply | RequestFailedError) -> None:
        self.answers = list(answers)
        self.sent: list[str] = []

    async def heartbeat(self, heartbeat_id: str) -> HeartbeatReply:
        self.sent.append(heartbeat_id)
        answer = self.answers.pop(0) if self.answers else HeartbeatReply(True, f"{len(self.sent)}")
        if isinstance(answer, RequestFailedError):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ((), ["", "1", "2", "3"]),
        ((HeartbeatReply(False, "other"),), ["", "other", "2", "3"]),
        ((RequestFailedError("HTTP 500"),), ["", "", "2", "3"]),
    ],
)
def test_heartbeats_go_every_five_seconds_and_survive_mismatch_and_failure(
    answers: tuple[HeartbeatReply | RequestFailedError, ...], sent: list[str]
) -> None:
    """Reference I: the answer's id is sent next; a stale one is answered with the expected."""
    loop, switch = SimulatedLoop(), Switch(*answers)

    async def play() -> None:
        beating = loop.create_task(Heartbeat(switch, lambda: True, logger(Tag.LIVE)).run())
        await asyncio.sleep(16.5)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())
    assert switch.sent[:4] == sent


def test_nothing_rests_nothing_beats() -> None:
    """A deadline that passes while nothing rests cancels nothing."""
    loop, switch = SimulatedLoop(), Switch()

    async def play() -> None:
        beating = loop.create_task(Heartbeat(switch, lambda: False, logger(Tag.LIVE)).run())
        await asyncio.sleep(30.0)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())
    assert switch.sent == []
