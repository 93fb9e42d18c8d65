"""The CLOB client against the simulated venue: outcomes of orders, failures of reads."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec
import pytest

from helpers.clob.auth import ApiCredentials, RequestAuth
from helpers.clob.eip712 import EXCHANGE, OrderSigner
from helpers.clob.messages import (
    CancelReply,
    Condition,
    HeartbeatReply,
    OrderTerms,
    OrderType,
    PostAccepted,
    PostRejected,
    PostUnknown,
    RequestFailedError,
    SignedOrder,
)
from helpers.clob.rate_limits import RequestLimits
from helpers.clob.rest import (
    BODY_BYTES_MAXIMUM,
    LIMIT_WAIT_SECONDS_MAXIMUM,
    PAGES_MAXIMUM,
    ClobRest,
    new_order_client,
)
from helpers.clock import SimulatedClock
from helpers.domain import NS_PER_MS, NS_PER_SECOND, Outcome, Side
from helpers.venues import USER_AGENT, Venues
from simulator.exchange_messages import ExchangeSettings, Phase
from simulator.servers.fault_seam import Answer, Close, Deliver, Faults
from tests.servers import ScriptedHttp, answer, web
from tests.simulator.served import CONDITION, DEPOSIT, KEY, UP, WALLET, Served, rest, served
from tests.simulator.test_servers_faults import Scripted
from tests.simulator.venue import NO_HOLD, T0

POST = "clob:POST /order"
SIGNER_OF_TESTS = OrderSigner(KEY, WALLET, DEPOSIT)
ANSWER_SECONDS = 0.2
"""How long the impatient client of a test waits."""


@dataclass
class Trader:
    """A logged-in client at a served venue."""

    world: Served
    clob: ClobRest
    auth: RequestAuth
    limits: RequestLimits
    salts: int = 0

    def order(
        self,
        side: Side = Side.BUY,
        price: float = 0.4,
        shares: float = 10,
        kind: OrderType = OrderType.GTC,
        *,
        post_only: bool = False,
    ) -> SignedOrder:
        """Sign an order on the Up token."""
        self.salts += 1
        paid, taken = round(price * shares * 1e6), round(shares * 1e6)
        terms = OrderTerms(
            token=UP,
            side=side,
            maker_micros=paid if side is Side.BUY else taken,
            taker_micros=taken if side is Side.BUY else paid,
            salt=self.salts,
            timestamp_ms=self.world.time.now_ns() // NS_PER_MS,
            order_type=kind,
            post_only=post_only,
        )
        return SIGNER_OF_TESTS.sign(SIGNER_OF_TESTS.hash(terms), self.auth.api_key)

    def open_ids(self) -> set[str]:
        """Return what the venue has open of ours."""
        return {order.order_id for order in self.world.exchange.open_orders("me")}


@asynccontextmanager
async def trader(
    faults: Faults | None = None,
    settings: ExchangeSettings = NO_HOLD,
    client: httpx.AsyncClient | None = None,
) -> AsyncGenerator[Trader]:
    """Serve the venue and log in."""
    async with served(faults=faults, settings=settings) as world, client or new_order_client() as c:
        accounts = world.exchange.accounts
        credentials = accounts.create_key(accounts.get("me"), 0)
        auth, limits = RequestAuth(SIGNER_OF_TESTS.address), RequestLimits()
        auth.log_in(ApiCredentials(credentials.api_key, credentials.secret, credentials.passphrase))
        clob = ClobRest(c, world.venue.venues(), auth, DEPOSIT, world.time, limits)
        yield Trader(world, clob, auth, limits)


def at(url: str, client: httpx.AsyncClient, whole_seconds: float = 5.0) -> ClobRest:
    """Return a client of scripted servers at one address."""
    auth = RequestAuth(SIGNER_OF_TESTS.address)
    venues = Venues(clob_rest=url, data_api_rest=url, polymarket_website=url)
    clock = SimulatedClock(T0)
    return ClobRest(client, venues, auth, DEPOSIT, clock, whole_seconds=whole_seconds)


def impatient() -> httpx.AsyncClient:
    """Return a client that waits a fifth of a second for an answer."""
    return httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False)


async def failure(reading: Awaitable[object]) -> RequestFailedError:
    """Return the error of a read that fails."""
    with pytest.raises(RequestFailedError) as failed:
        await reading
    assert failed.value.reason
    return failed.value


# --- Orders the venue answers -----------------------------------------------------------------


async def test_a_resting_order_is_accepted_under_our_id() -> None:
    """The venue's id is the hash we computed before sending; nothing matched is unknown amounts."""
    async with trader() as me:
        signed = me.order()
        reply = await me.clob.post_order(signed)
        assert reply.outcome == PostAccepted(signed.order_id, "live", None, None, ())
        assert me.open_ids() == {signed.order_id}


async def test_a_fak_match_tells_its_amounts() -> None:
    """Ten shares at 0.51 are matched: what was paid and taken, and in which trade."""
    async with trader() as me:
        signed = me.order(price=0.51, kind=OrderType.FAK)
        outcome = (await me.clob.post_order(signed)).outcome
        assert isinstance(outcome, PostAccepted)
        assert (outcome.status, outcome.making_micros, outcome.taking_micros) == (
            "matched",
            5_100_000,
            10_000_000,
        )
        (trade,) = await me.clob.trades()
        assert outcome.trade_ids == (trade.trade_id,)
        assert (trade.taker_order_id, trade.trader_side) == (signed.order_id, "TAKER")


@pytest.mark.parametrize(
    ("kind", "post_only", "price", "shares", "words"),
    [
        (OrderType.FAK, False, 0.4, 10, "no orders found to match with FAK order"),
        (OrderType.FOK, False, 0.51, 500, "FOK orders are fully filled or killed"),
        (OrderType.GTC, True, 0.51, 10, "order crosses book"),
        (OrderType.GTC, False, 0.4, 2, "lower than the minimum"),
        (OrderType.GTC, False, 0.4, 5_000, "not enough balance"),
    ],
)
async def test_the_venues_refusals_are_rejections(
    kind: OrderType, post_only: bool, price: float, shares: float, words: str
) -> None:
    """A kill, a crossing post-only and broken rules surely took nothing, in the venue's words."""
    async with trader() as me:
        signed = me.order(price=price, shares=shares, kind=kind, post_only=post_only)
        reply = await me.clob.post_order(signed)
        assert isinstance(reply.outcome, PostRejected)
        assert words in reply.outcome.reason
        assert reply.condition is Condition.NONE
        assert me.open_ids() == set()


async def test_a_held_order_is_delayed() -> None:
    """Held longer than the venue's patience: accepted, pending, its amounts 0 so far (B.3)."""
    async with trader(settings=ExchangeSettings()) as me:
        me.world.venue.surroundings.speed = 1_000.0  # only the patience; time stands still
        outcome = (await me.clob.post_order(me.order(price=0.51, kind=OrderType.FAK))).outcome
        assert isinstance(outcome, PostAccepted)
        assert (outcome.status, outcome.making_micros, outcome.trade_ids) == ("delayed", 0, ())


async def test_a_repeat_is_unknown_not_rejected() -> None:
    """``Duplicated`` says that the venue has the order (I20)."""
    async with trader() as me:
        signed = me.order()
        await me.clob.post_order(signed)
        outcome = (await me.clob.post_order(signed)).outcome
        assert isinstance(outcome, PostUnknown)
        assert "Duplicated" in outcome.reason
        assert me.open_ids() == {signed.order_id}


# --- Orders nobody knows about ------------------------------------------------------------------


@pytest.mark.parametrize(
    "fate",
    [
        Answer(500, '{"error":"order timed out"}'),
        Answer(502, "<html>"),
        Answer(425, '{"error":"engine restarting"}'),
        Answer(429, ""),
        Answer(200, "<html>"),
        Answer(200, "{}"),
        Answer(200, '{"success":true,"x":' + "[" * 100_000),
        Answer(302, ""),
        Close(),
        Deliver(),
    ],
    ids=lambda fate: type(fate).__name__ + str(getattr(fate, "status", "")),
)
async def test_an_answer_lost_after_the_fact_is_unknown(fate: Answer | Close | Deliver) -> None:
    """The venue took the order, its answer was lost or spoilt: unknown, and it is there (I20)."""
    faults = Scripted()
    faults.fates[POST] = lambda _: fate
    async with trader(faults, client=impatient()) as me:
        signed = me.order()
        reply = await me.clob.post_order(signed)
        assert isinstance(reply.outcome, PostUnknown)
        assert reply.outcome.reason
        assert me.open_ids() == {signed.order_id}


async def test_a_late_answer_is_unknown() -> None:
    """An answer after our patience is none; the order is found by its id afterwards."""
    faults = Scripted()
    faults.fates[POST] = lambda text: Deliver((text,), NS_PER_SECOND // 2)
    async with trader(faults, client=impatient()) as me:
        signed = me.order()
        reply = await me.clob.post_order(signed)
        assert reply.outcome == PostUnknown("ReadTimeout")
        found = await me.clob.order(signed.order_id)
        assert found is not None
        assert (found.order_id, found.status, found.matched_micros) == (signed.order_id, "LIVE", 0)


async def test_another_orders_answer_is_unknown() -> None:
    """An answer with another id says nothing of ours."""
    faults = Scripted()
    async with trader(faults) as me:
        signed = me.order()
        other = "0x" + "00" * 32
        faults.fates[POST] = lambda text: text.replace(signed.order_id, other)
        outcome = (await me.clob.post_order(signed)).outcome
        assert isinstance(outcome, PostUnknown)
        assert other in outcome.reason


@pytest.mark.parametrize(
    ("phase", "condition", "wait_seconds"),
    [
        (Phase.RESTARTING, Condition.RESTARTING, 1),
        (Phase.CANCEL_ONLY, Condition.CANCEL_ONLY, 0),
        (Phase.DISABLED, Condition.DISABLED, 0),
    ],
)
async def test_modes_of_the_venue(phase: Phase, condition: Condition, wait_seconds: float) -> None:
    """425 and the 503 modes leave the outcome unknown and name their condition (B.4)."""
    async with trader() as me:
        me.world.exchange.set_phase(phase, me.world.time.now_ns())
        reply = await me.clob.post_order(me.order())
        assert isinstance(reply.outcome, PostUnknown)
        assert (reply.condition, reply.retry_after_seconds) == (condition, wait_seconds)


async def test_post_only_mode() -> None:
    """After a restart an order that could take is answered 503, one that only rests is taken."""
    async with trader() as me:
        me.world.exchange.restart(me.world.time.now_ns(), 5 * NS_PER_SECOND)
        me.world.pass_seconds(5)
        reply = await me.clob.post_order(me.order())
        assert isinstance(reply.outcome, PostUnknown)
        assert reply.condition is Condition.POST_ONLY
        assert reply.retry_after_seconds == 120
        resting = await me.clob.post_order(me.order(post_only=True))
        assert isinstance(resting.outcome, PostAccepted)


async def test_a_restricted_region_is_a_rejection() -> None:
    """403 is definite and names the region (I11)."""
    async with trader() as me:
        me.world.venue.trading.region_restricted = True
        reply = await me.clob.post_order(me.order())
        assert reply.outcome == PostRejected("Trading restricted in your region")
        assert reply.condition is Condition.RESTRICTED


async def test_wrong_credentials_are_a_rejection() -> None:
    """401 is definite and names the credentials."""
    async with trader() as me:
        signed = me.order()
        me.auth.log_in(ApiCredentials(me.auth.api_key, "AAAA", "wrong"))
        reply = await me.clob.post_order(signed)
        assert isinstance(reply.outcome, PostRejected)
        assert reply.condition is Condition.BAD_CREDENTIALS


# --- Orders that never left ---------------------------------------------------------------------


def closed_port() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


SIGNED = SignedOrder("0x" + "12" * 32, b'{"order":{"salt":1}}')


async def test_no_connection_is_a_rejection() -> None:
    """Without a connection the order cannot have left."""
    async with new_order_client() as client:
        outcome = (await at(closed_port(), client).post_order(SIGNED)).outcome
        assert isinstance(outcome, PostRejected)
        assert outcome.reason.startswith("never sent: ConnectError")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectTimeout, PostRejected),
        (httpx.PoolTimeout, PostRejected),
        (httpx.WriteTimeout, PostUnknown),
        (httpx.WriteError, PostUnknown),
        (httpx.ReadError, PostUnknown),
        (httpx.RemoteProtocolError, PostUnknown),
        (httpx.DecodingError, PostUnknown),
        (ConnectionResetError, PostUnknown),
    ],
)
async def test_only_failures_before_sending_are_rejections(
    error: type[Exception], kind: type[PostRejected | PostUnknown]
) -> None:
    """Once bytes may have left, no failure of the transport is definite."""

    async def fail(_: httpx.Request) -> httpx.Response:
        raise error("broken")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        reply = await at("http://venue.invalid", client).post_order(SIGNED)
        assert isinstance(reply.outcome, kind)
        assert "broken" in reply.outcome.reason


async def test_the_whole_answer_is_bounded() -> None:
    """Headers at once and a body that never ends are unknown when the whole time is up."""
    async with web() as script, new_order_client() as client:
        script.hold = asyncio.Event()
        script.on("/order", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
        outcome = (await at(script.url, client, ANSWER_SECONDS).post_order(SIGNED)).outcome
        script.hold.set()
        assert outcome == PostUnknown("TimeoutError")


async def test_an_endless_body_is_unknown() -> None:
    """A body over the limit is given up, not read into memory."""
    async with web() as script, new_order_client() as client:
        script.on("/order", answer(200, b" " * (BODY_BYTES_MAXIMUM + 1)))
        outcome = (await at(script.url, client).post_order(SIGNED)).outcome
        assert isinstance(outcome, PostUnknown)
        assert str(BODY_BYTES_MAXIMUM) in outcome.reason


async def test_cancellation_of_the_task_passes() -> None:
    """Whoever cancels the task is obeyed: it is not turned into an outcome."""
    faults, asked = Scripted(), asyncio.Event()

    def dropped(_: str) -> Deliver:
        asked.set()
        return Deliver()

    faults.fates[POST] = dropped
    async with trader(faults) as me:
        sending = asyncio.ensure_future(me.clob.post_order(me.order()))
        await asyncio.wait_for(asked.wait(), 5)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_the_exact_bytes_are_sent_once() -> None:
    """The signed body leaves unchanged, authenticated by the clock given, and is not repeated."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head + await reader.readexactly(len(SIGNED.body)))
        writer.write(answer(500, b"{}"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, new_order_client() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await at(url, client).post_order(SIGNED)
    (sent,) = received
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /order HTTP/1.1"
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert body == SIGNED.body
    assert headers["user-agent"] == USER_AGENT
    assert headers["content-type"] == "application/json"
    assert headers["poly_timestamp"] == str(T0 // NS_PER_SECOND)


# --- Rate limits --------------------------------------------------------------------------------


async def test_our_own_limit_refuses_an_order_unsent() -> None:
    """An empty bucket answers at once; the venue is not asked."""
    faults = Scripted()
    async with trader(faults) as me:
        me.limits.orders.take(1_000, me.world.time.now_ns())
        reply = await me.clob.post_order(me.order())
        assert isinstance(reply.outcome, PostRejected)
        assert "rate limit" in reply.outcome.reason
        assert "never sent" in reply.outcome.reason
        assert reply.condition is Condition.RATE_LIMITED
        assert reply.retry_after_seconds > 0
        assert faults.asked == []


async def test_a_429_of_the_venues_limiter_is_definite_and_obeyed() -> None:
    """With its headers it is a rejection; until the wait is over nothing more is sent (B.6)."""
    faults = Scripted()
    async with trader(faults) as me:
        me.world.venue.trading.order_limits.refuse_next(1)
        reply = await me.clob.post_order(me.order())
        assert reply.outcome == PostRejected("Too Many Requests")
        assert (reply.condition, reply.retry_after_seconds) == (Condition.RATE_LIMITED, 1)
        asked = len(faults.asked)
        early = await me.clob.post_order(me.order())
        assert isinstance(early.outcome, PostRejected)
        assert len(faults.asked) == asked
        me.world.pass_seconds(1)
        assert isinstance((await me.clob.post_order(me.order())).outcome, PostAccepted)


async def test_a_429_of_the_front_is_unknown_and_obeyed() -> None:
    """Without the venue's headers nobody knows how far the order came (B.4)."""
    faults = Scripted()
    faults.endings[POST] = Answer(429, "", 3)
    async with trader(faults) as me:
        reply = await me.clob.post_order(me.order())
        assert isinstance(reply.outcome, PostUnknown)
        assert (reply.condition, reply.retry_after_seconds) == (Condition.RATE_LIMITED, 3)
        faults.endings.clear()
        me.world.pass_seconds(2)
        assert isinstance((await me.clob.post_order(me.order())).outcome, PostRejected)
        me.world.pass_seconds(1)
        assert isinstance((await me.clob.post_order(me.order())).outcome, PostAccepted)


async def test_a_refused_cancel_keeps_the_next_back() -> None:
    """Cancels obey ``Retry-After`` too; orders and reads have buckets of their own."""
    faults = Scripted()
    route = "clob:DELETE /cancel-all"
    faults.endings[route] = Answer(429, "", 60)
    async with trader(faults) as me:
        order_id = rest(me.world)
        first = await failure(me.clob.cancel_all())
        assert (first.status, first.condition, first.retry_after_seconds) == (
            429,
            Condition.RATE_LIMITED,
            60,
        )
        asked = len(faults.asked)
        second = await failure(me.clob.cancel_all())
        assert (second.status, second.condition) == (0, Condition.RATE_LIMITED)
        assert second.retry_after_seconds > LIMIT_WAIT_SECONDS_MAXIMUM
        assert len(faults.asked) == asked
        assert [order.order_id for order in await me.clob.open_orders()] == [order_id]
        faults.endings.clear()
        me.world.pass_seconds(60)
        assert (await me.clob.cancel_all()).canceled == (order_id,)


async def test_cancels_wait_in_turn() -> None:
    """Two at an empty bucket do not both take its next token: the second waits for its own."""
    async with trader() as me:
        bucket, now_ns = me.limits.cancels, me.world.time.now_ns()
        bucket.take(96, now_ns)
        await asyncio.gather(me.clob.cancel(("0x1",)), me.clob.cancel(("0x2",)))
        assert bucket.wait_seconds(1, now_ns) == pytest.approx(3 / 64)


async def test_refused_reads_wait_bounded() -> None:
    """A read after a 429 with a long wait is not sent, and says how long to wait."""
    async with web() as script, new_order_client() as client:
        script.on("/time", answer(429, b"", Retry_After="30"), answer(200, b"5"))
        clob = at(script.url, client)
        assert (await failure(clob.server_seconds())).retry_after_seconds == 30
        held = await failure(clob.version())
        assert (held.condition, held.retry_after_seconds) == (Condition.RATE_LIMITED, 30)
        assert script.requests == ["/time"]


async def test_a_short_wait_is_waited() -> None:
    """A read whose turn comes soon waits for it and is sent."""
    async with trader() as me:
        me.limits.reads.take(50.5, me.world.time.now_ns())
        assert await me.clob.version() == 2


# --- Cancels, heartbeats ------------------------------------------------------------------------


async def test_cancels_tell_what_went_and_what_stayed() -> None:
    """An order of ours goes, a strange id stays with the venue's reason; none asks nobody."""
    faults = Scripted()
    async with trader(faults) as me:
        assert await me.clob.cancel(()) == CancelReply((), ())
        assert faults.asked == []
        order_id = rest(me.world)
        reply = await me.clob.cancel((order_id, "0x1"))
        assert reply == CancelReply((order_id,), (("0x1", "already canceled or matched"),))


async def test_cancel_all_costs_each_order() -> None:
    """One token, and one for each cancelled (B.6)."""
    async with trader() as me:
        ids = {rest(me.world, price) for price in (0.40, 0.41, 0.42)}
        assert set((await me.clob.cancel_all()).canceled) == ids
        assert me.limits.cancels.wait_seconds(96 - 4, me.world.time.now_ns()) == pytest.approx(0)
        assert me.limits.cancels.wait_seconds(96 - 3, me.world.time.now_ns()) > 0


async def test_a_failed_cancel_is_told() -> None:
    """An engine that restarts cancels nothing, and the error says so."""
    async with trader() as me:
        me.world.exchange.set_phase(Phase.RESTARTING, me.world.time.now_ns())
        failed = await failure(me.clob.cancel_all())
        assert (failed.status, failed.condition) == (425, Condition.RESTARTING)
        assert failed.retry_after_seconds == 1


async def test_heartbeats_survive_a_stale_id() -> None:
    """A stale id is refused with the expected one, which is then accepted (reference I)."""
    async with trader() as me:
        first = await me.clob.heartbeat("")
        assert first.accepted
        stale = await me.clob.heartbeat("stale")
        assert stale == HeartbeatReply(accepted=False, heartbeat_id=first.heartbeat_id)
        assert (await me.clob.heartbeat(stale.heartbeat_id)).accepted


# --- Reads ----------------------------------------------------------------------------------------


async def test_facts_of_venue_market_and_account() -> None:
    """Version, clock, ban, keys, market, region and balances as the venue has them."""
    async with trader() as me:
        assert await me.clob.version() == 2
        assert await me.clob.server_seconds() == T0 // NS_PER_SECOND
        assert await me.clob.closed_only() is False
        assert await me.clob.api_keys() == (me.auth.api_key,)
        market = await me.clob.market(CONDITION)
        assert (market.minimum_shares_micros, market.tick_micros) == (5_000_000, 10_000)
        assert (market.fees.rate_ppm, market.fees.exponent) == (70_000, 1)
        region = await me.clob.geoblock()
        assert (region.blocked, region.country) == (False, "PT")
        balance = await me.clob.balance()
        assert balance.balance_micros == 1_000_000_000
        assert EXCHANGE.lower() in dict(balance.allowances)
        await me.clob.refresh_balance()
        assert (await me.clob.balance(UP)).balance_micros == 0


async def test_what_was_bought_is_shown() -> None:
    """Balance of the token and the position agree with the trade (I7)."""
    async with trader() as me:
        await me.clob.post_order(me.order(price=0.51, kind=OrderType.FAK))
        me.world.pass_seconds(60)
        await me.clob.refresh_balance(UP)
        shares = (await me.clob.balance(UP)).balance_micros
        assert shares == 10_000_000
        (position,) = await me.clob.positions(WALLET)
        assert (position.token, position.shares_micros) == (UP, shares)
        assert (position.condition_id, position.outcome) == (CONDITION, "Up")
        assert position.average_price_micros == 510_000


async def test_open_orders_of_all_pages() -> None:
    """More than a page of orders is read to the end."""
    async with trader() as me:
        ids = {rest(me.world, 0.01, 5 + number / 100) for number in range(501)}
        found = await me.clob.open_orders()
        assert len(found) == 501
        assert {order.order_id for order in found} == ids


async def test_trades_of_all_pages_and_filters() -> None:
    """More than a page of trades is read to the end, each once; filters reach the venue."""
    async with trader() as me:
        rest(me.world, 0.5, 1_100)
        for number in range(501):
            me.world.house(Outcome.UP, Side.SELL, 0.5, 2 + number / 10_000)
        trades = await me.clob.trades()
        assert len({trade.trade_id for trade in trades}) == len(trades) == 501
        assert {trade.status for trade in trades} == {"MATCHED"}
        (one,) = await me.clob.trades(trade_id=trades[7].trade_id)
        assert one.size_micros == trades[7].size_micros
        assert await me.clob.trades(after_seconds=T0 // NS_PER_SECOND + 1) == ()
        assert await me.clob.trades(condition_id="0xother") == ()


async def test_a_page_that_fails_fails_the_whole_read() -> None:
    """Half a list is no list (I18)."""
    row = {
        "id": "0x1",
        "status": "LIVE",
        "market": "0x2",
        "asset_id": "3",
        "side": "BUY",
        "price": "0.5",
    }
    first = msgspec.json.encode({"data": [row], "next_cursor": "NTAw"})
    async with web() as script, new_order_client() as client:
        clob = at(script.url, client)
        script.on("/data/orders", answer(200, first), answer(500, b"{}"))
        assert (await failure(clob.open_orders())).status == 500
        assert "next_cursor=NTAw" in script.requests[1]
        script.on("/data/orders", answer(200, first), answer(200, b'{"data":[]}'))
        await failure(clob.open_orders())


async def test_endless_pages_fail() -> None:
    """A list that never ends is given up after a bounded number of pages."""
    async with web() as script, new_order_client() as client:
        script.on("/data/orders", answer(200, b'{"data":[],"next_cursor":"MA=="}'))
        body = b'{"data":[],"pagination":{"has_more":true,"next_cursor":"x"}}'
        script.on("/v2/positions", answer(200, body))
        clob = at(script.url, client)
        for reading in (clob.open_orders(), clob.positions(WALLET)):
            assert str(PAGES_MAXIMUM) in (await failure(reading)).reason
        assert len(script.requests) == 2 * PAGES_MAXIMUM


async def test_positions_of_all_pages() -> None:
    """The cursor of one page asks for the next."""
    pages = [
        msgspec.json.encode(
            {
                "data": [{"token_id": token, "condition_id": "0x1", "current_size": 5.0}],
                "pagination": {"has_more": bool(cursor), "next_cursor": cursor},
            }
        )
        for token, cursor in (("1", "next"), ("2", None))
    ]
    async with web() as script, new_order_client() as client:
        script.on("/v2/positions", *(answer(200, page) for page in pages))
        found = await at(script.url, client).positions(WALLET)
        assert [position.token for position in found] == ["1", "2"]
        assert "cursor=next" in script.requests[1]


@pytest.mark.parametrize(
    "planned",
    [
        answer(404, b'{"error":"order not found"}'),
        *(answer(200, body) for body in (b"", b"null", b"{}", b" {}\n", b'""')),
    ],
)
async def test_an_order_that_is_no_more(planned: bytes) -> None:
    """Only active orders are told; the venue has several ways to say that there is none (B.2)."""
    async with web() as script, new_order_client() as client:
        script.on(f"/data/order/{SIGNED.order_id}", planned)
        assert await at(script.url, client).order(SIGNED.order_id) is None


async def test_an_order_that_is_another_fails() -> None:
    """An answer about another order is none about ours."""
    row = b'{"id":"0x9","status":"LIVE","market":"m","asset_id":"3","side":"BUY","price":"0.5"}'
    async with web() as script, new_order_client() as client:
        script.on(f"/data/order/{SIGNED.order_id}", answer(200, row))
        assert "0x9" in (await failure(at(script.url, client).order(SIGNED.order_id))).reason


READS: tuple[Callable[[ClobRest], Awaitable[object]], ...] = (
    lambda clob: clob.open_orders(),
    lambda clob: clob.order("0x1"),
    lambda clob: clob.trades(),
    lambda clob: clob.balance(),
    lambda clob: clob.refresh_balance(),
    lambda clob: clob.version(),
    lambda clob: clob.server_seconds(),
    lambda clob: clob.closed_only(),
    lambda clob: clob.api_keys(),
    lambda clob: clob.market("0x1"),
    lambda clob: clob.geoblock(),
    lambda clob: clob.positions(WALLET),
    lambda clob: clob.heartbeat(""),
    lambda clob: clob.cancel_all(),
    lambda clob: clob.cancel(("0x1",)),
)


@pytest.mark.parametrize("read", READS)
async def test_every_failed_read_raises_the_typed_error(
    read: Callable[[ClobRest], Awaitable[object]],
) -> None:
    """Refused, restricted, unreachable, cut short: each is told with status and condition."""

    async def refused(_: httpx.Request) -> httpx.Response:
        body = b'{"error":"post-only mode: only","retry_after_seconds":7}'
        return httpx.Response(503, content=body)

    async def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refused)) as client:
        failed = await failure(read(at("http://venue.invalid", client)))
        assert (failed.status, failed.condition) == (503, Condition.POST_ONLY)
        assert failed.retry_after_seconds == 7
    async with httpx.AsyncClient(transport=httpx.MockTransport(broken)) as client:
        failed = await failure(read(at("http://venue.invalid", client)))
        assert (failed.status, failed.condition) == (0, Condition.NONE)
        assert "ReadTimeout" in failed.reason


@pytest.mark.parametrize("read", [read for read in READS if read is not READS[4]])
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data":[{}],"next_cursor":"LTE="}'])
async def test_every_unreadable_body_raises_the_typed_error(
    read: Callable[[ClobRest], Awaitable[object]], body: bytes
) -> None:
    """A 200 that is not what was asked for is no answer; only a refresh has none to read."""

    async def garbled(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(garbled)) as client:
        await failure(read(at("http://venue.invalid", client)))


async def test_credentials_are_created_then_derived() -> None:
    """The first login creates a key, a later one derives the same; it authenticates (A.5)."""
    async with served() as world, new_order_client() as client:
        auth = RequestAuth(SIGNER_OF_TESTS.address)
        clob = ClobRest(client, world.venue.venues(), auth, DEPOSIT, world.time)
        created = await clob.credentials(SIGNER_OF_TESTS)
        assert await clob.credentials(SIGNER_OF_TESTS) == created
        auth.log_in(created)
        assert created.api_key in await clob.api_keys()


async def test_failed_credentials_are_told() -> None:
    """Refused, garbled and unreachable logins raise the typed error, without a secret."""
    async with web() as script, new_order_client() as client:
        clob = at(script.url, client)
        script.on("/auth/api-key", answer(401, b'{"error":"Invalid L1 Request headers"}'))
        failed = await failure(clob.credentials(SIGNER_OF_TESTS))
        assert (failed.status, failed.condition) == (401, Condition.BAD_CREDENTIALS)
        script.on("/auth/api-key", answer(200, b'{"apiKey":"k","secret":"hush"}'))
        assert "hush" not in (await failure(clob.credentials(SIGNER_OF_TESTS))).reason
    async with new_order_client() as client:
        failed = await failure(at(closed_port(), client).credentials(SIGNER_OF_TESTS))
        assert failed.status == 0


async def test_an_address_that_is_none_is_told() -> None:
    """An id that makes no URL fails the read by its own error."""
    async with new_order_client() as client:
        await failure(at("http://127.0.0.1:1", client).order("\x00"))


async def test_scripted_servers_are_the_only_ones_asked() -> None:
    """Reads of the Data API and the website go to the addresses given."""
    async with web() as script, new_order_client() as client:
        assert isinstance(script, ScriptedHttp)
        script.on("/api/geoblock", answer(200, b'{"blocked":true,"country":"US","region":"NY"}'))
        region = await at(script.url, client).geoblock()
        assert (region.blocked, region.country, region.region) == (True, "US", "NY")
        assert script.requests == ["/api/geoblock"]
