"""The simulated world: windows roll, resolve and are forgotten; money is conserved."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import msgspec

from helpers.domain import NS_PER_SECOND, Asset, Outcome, Side
from simulator.actions import FastQuote, ReferenceTick
from simulator.exchange_messages import (
    COLLATERAL,
    ExchangeEvent,
    MarketListed,
    MarketResolved,
    OrderHeld,
    PlaceOrder,
)
from simulator.market_model import ModelSettings
from simulator.matching import TimeInForce
from simulator.world import FastAction, World
from simulator.world_settings import DEFAULT_START_NS, WALLET, WorldSettings

MINUTE_NS = 60 * NS_PER_SECOND
SMALL = WorldSettings(
    model=ModelSettings(
        assets=(Asset.BTC,),
        window_seconds=(300,),
        quotes_per_second=1.0,
        trades_per_second=1.0,
        warm_up_minutes=3,
    ),
    retire_after_ns=60 * NS_PER_SECOND,
)


class Diary:
    """What a world said."""

    def __init__(self, world: World) -> None:
        self.events: list[ExchangeEvent] = []
        self.kinds: Counter[str] = Counter()
        self.fast: list[tuple[int, FastAction]] = []
        self.references: list[tuple[ReferenceTick, int, int]] = []
        world.on_exchange_events = self._exchange
        world.on_fast = lambda action, at_ns: self.fast.append((at_ns, action))
        world.on_reference = lambda tick, stamp_ns, now_ns: self.references.append(
            (tick, stamp_ns, now_ns)
        )

    def _exchange(self, events: Sequence[ExchangeEvent]) -> None:
        self.events.extend(events)
        self.kinds.update(type(event).__name__ for event in events)


def _ran(minutes: int, seed: int = 7) -> tuple[World, Diary]:
    world = World(seed, SMALL)
    diary = Diary(world)
    world.advance(DEFAULT_START_NS + minutes * MINUTE_NS)
    return world, diary


def test_windows_roll_without_a_gap_and_are_listed_ahead() -> None:
    """Every window begins where the one before ends, and is listed before it opens."""
    _, diary = _ran(16)
    listed = [event for event in diary.events if isinstance(event, MarketListed)]
    windows = sorted((e.listing.opens_ns, e.listing.closes_ns, e.at_ns) for e in listed)
    assert len(windows) == 6, "the running one, two ahead, and one more each time it rolls"
    for earlier, later in itertools.pairwise(windows):
        assert later[0] == earlier[1]
    assert all(at_ns < opens_ns for opens_ns, _, at_ns in windows[1:])


def test_resolution_comes_late_and_strikes_chain() -> None:
    """A window resolves 20 to 90 s after its end; its final price is the next one's strike."""
    world = World(7, SMALL)
    Diary(world)
    found: list[tuple[float, float]] = []
    world.on_prices = lambda _, prices: found.append(
        (float(prices.price_to_beat), float(prices.final_price))
    )
    resolved: list[MarketResolved] = []
    closes = {market.condition_id: market.closes_ns for market in world.markets()}

    def note(events: Sequence[ExchangeEvent]) -> None:
        for event in events:
            if isinstance(event, MarketListed):
                closes[event.listing.condition_id] = event.listing.closes_ns
            elif isinstance(event, MarketResolved):
                resolved.append(event)

    world.on_exchange_events = note
    world.advance(DEFAULT_START_NS + 17 * MINUTE_NS)
    assert len(resolved) == len(found) == 3
    for event in resolved:
        delay = (event.at_ns - closes[event.condition_id]) / NS_PER_SECOND
        assert 20 <= delay <= 90
    for event, (strike, final) in zip(resolved, found, strict=True):
        assert event.winner is (Outcome.UP if final >= strike else Outcome.DOWN)
    for earlier, later in itertools.pairwise(found):
        assert later[0] == earlier[1]


def test_reference_prices_come_a_second_after_their_stamp() -> None:
    """Each whole second has its price, delivered late, in order."""
    _, diary = _ran(2)
    stamps = [stamp_ns for _, stamp_ns, _ in diary.references]
    assert stamps == [DEFAULT_START_NS + second * NS_PER_SECOND for second in range(120)]
    assert {now_ns - stamp_ns for _, stamp_ns, now_ns in diary.references} == {NS_PER_SECOND}


def test_gamma_serves_windows_ahead_and_their_resolution() -> None:
    """A future window is open and priced at a half; a resolved one says who won and at what."""
    world, _ = _ran(6)
    first, *_, last = world.markets()
    body = msgspec.json.decode(world.gamma_text(last.slug, world.now_ns) or "")
    assert body["slug"] == last.slug
    assert body["closed"] is False
    assert "eventMetadata" not in body
    body = msgspec.json.decode(world.gamma_text(first.slug, world.now_ns) or "")
    assert body["closed"] is True
    assert sorted(msgspec.json.decode(body["markets"][0]["outcomePrices"])) == ["0", "1"]
    assert set(body["eventMetadata"]) == {"priceToBeat", "finalPrice"}
    assert world.gamma_text("btc-updown-5m-1", world.now_ns) is None


def test_a_wallet_trades_and_everything_is_conserved() -> None:
    """The worker's wallet buys from the background, is paid at the end, and no cent is lost."""
    world = World(7, SMALL)
    Diary(world)
    world.advance(DEFAULT_START_NS + MINUTE_NS)
    market = world.markets()[0]
    order = PlaceOrder(
        "mine", WALLET, market.up_token, Side.BUY, 990_000, 20_000_000, TimeInForce.FAK
    )
    assert isinstance(world.exchange.place(order, world.now_ns), OrderHeld)
    world.advance(world.now_ns + 10 * NS_PER_SECOND)
    wallet = world.exchange.accounts.get(WALLET)
    held = wallet.holding(market.up_token).total_micros
    assert held == 20_000_000
    assert world.conserved_micros() == (0, 0)
    spent = wallet.holding(COLLATERAL).total_micros
    assert spent < SMALL.wallet_micros
    world.advance(market.closes_ns + 200 * NS_PER_SECOND)
    assert market.slug not in {other.slug for other in world.markets()}
    paid = wallet.holding(COLLATERAL).total_micros - spent
    assert paid in (0, held)
    assert world.conserved_micros() == (0, 0)


def test_the_same_seed_gives_the_same_world_however_it_is_advanced() -> None:
    """Steps of advance change nothing; another seed changes everything."""
    _, whole = _ran(6)
    world = World(7, SMALL)
    stepped = Diary(world)
    for step in range(1, 6 * 60 + 1):
        world.advance(DEFAULT_START_NS + step * NS_PER_SECOND)
    assert stepped.fast == whole.fast
    assert stepped.events == whole.events
    assert stepped.references == whole.references
    _, other = _ran(6, seed=8)
    assert other.fast != whole.fast


def test_memory_is_flat_over_many_windows() -> None:
    """What is kept after forty minutes is what is kept after eighty, give or take a window."""
    world = World(7, SMALL)
    world.on_exchange_events = lambda _: None
    sizes: list[tuple[int, int, int, int]] = []
    for minutes in (42, 82):
        world.advance(DEFAULT_START_NS + minutes * MINUTE_NS)
        accounts = world.exchange.accounts
        sizes.append(
            (
                len(world.markets()),
                len(world.exchange.markets()),
                sum(len(accounts.get(name).holdings) for name in accounts.names()),
                len(world.exchange.agenda),
            )
        )
    assert sizes[0] == sizes[1]
    assert sizes[0][0] <= 5


def test_nothing_goes_back_in_time() -> None:
    """An earlier moment is ignored, and a quote is always two-sided."""
    world, diary = _ran(1)
    heard = len(diary.fast)
    world.advance(DEFAULT_START_NS)
    assert len(diary.fast) == heard
    assert world.now_ns == DEFAULT_START_NS + MINUTE_NS
    quotes = [action for _, action in diary.fast if isinstance(action, FastQuote)]
    assert quotes
    assert all(0 < quote.bid < quote.ask for quote in quotes)
