"""The world on the wire: what a client hears, in which order, and that it can read it all."""

from __future__ import annotations

from collections import Counter

from helpers.board import Board
from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    BookChange,
    BookSnapshot,
    Candles,
    FastSourceChosen,
    FeedEvent,
    MarketOpened,
    MarketResolved,
    Outcome,
    Side,
    Source,
)
from helpers.feeds.ingest import Ingest
from simulator.exchange_messages import PlaceOrder
from simulator.frame import Frame
from simulator.market_model import ModelSettings
from simulator.wire_transport import WireTransport
from simulator.world import World
from simulator.world_settings import DEFAULT_START_NS, WALLET, WorldSettings

SETTINGS = WorldSettings(
    model=ModelSettings(assets=(Asset.BTC,), window_seconds=(300,), warm_up_minutes=5)
)


def _heard(seconds: int) -> tuple[World, WireTransport, list[Frame]]:
    frames: list[Frame] = []
    world = World(7, SETTINGS)
    transport = WireTransport(world, frames.append)
    world.advance(DEFAULT_START_NS + seconds * NS_PER_SECOND)
    return world, transport, frames


def _events(frames: list[Frame]) -> tuple[list[FeedEvent], Ingest]:
    ingest = Ingest()
    return [e for f in frames for e in ingest.parse(f.source, f.text, f.at_ns)], ingest


def test_the_worker_can_read_every_frame() -> None:
    """Six minutes with a resolution in them leave nothing that is unknown or malformed."""
    _, _, frames = _heard(420)
    events, ingest = _events(frames)
    bad = [name for name, _ in ingest.skipped_rows() if "ignored:" not in name]
    assert bad == []
    resolved = [event for event in events if isinstance(event, MarketResolved)]
    assert Counter(event.source for event in resolved) == {
        Source.POLYMARKET_MARKET: 1,
        Source.GAMMA: 1,
    }
    assert len({event.winning_token for event in resolved}) == 1


def test_frames_come_in_the_order_of_their_moments() -> None:
    """Each source's stamps never go back, but for Gamma's answer, which is asked for later."""
    _, _, frames = _heard(120)
    for source in (Source.BINANCE_PUBLIC, Source.POLYMARKET_MARKET, Source.POLYMARKET_REFERENCE):
        moments = [frame.at_ns for frame in frames if frame.source is source]
        assert len(moments) > 100
        assert moments == sorted(moments)


def test_a_market_is_told_by_gamma_then_its_books_then_its_changes() -> None:
    """No change comes before the book it changes (reference C.1)."""
    world, _, frames = _heard(60)
    token = world.markets()[0].up_token
    events, _ = _events(frames)
    kinds = [
        type(event)
        for event in events
        if (isinstance(event, MarketOpened) and event.market.up_token == token)
        or (isinstance(event, BookSnapshot) and event.token == token)
        or (isinstance(event, BookChange) and any(c.token == token for c in event.changes))
    ]
    assert kinds[:2] == [MarketOpened, BookSnapshot]
    assert BookChange in kinds[2:]


def test_a_board_that_listens_shows_the_book_of_the_exchange() -> None:
    """After a minute of changes the worker's best prices are the venue's."""
    world, _, frames = _heard(60)
    board = Board()
    board.apply(FastSourceChosen(Asset.BTC, Source.BINANCE_PUBLIC, DEFAULT_START_NS))
    for event in _events(frames)[0]:
        board.apply(event)
    market = world.markets()[0]
    view = board.snapshot(market.slug, world.now_ns, on_grid=False)
    assert view.up.bids[0][0] == world.books.best_bid_micros(market.slug)
    assert view.up.asks[0][0] == world.books.best_ask_micros(market.slug)


def test_history_is_the_answer_to_the_warm_up() -> None:
    """One klines answer an asset, minute after minute, up to the start."""
    _, transport, _ = _heard(0)
    frames = list(transport.history())
    events, _ = _events(frames)
    assert len(events) == 1
    candles = events[0]
    assert isinstance(candles, Candles)
    assert candles.interval_seconds == 60
    assert len(candles.candles) >= 5


def test_a_doubtful_book_is_sent_anew() -> None:
    """GET /book answers with the token's whole book; a token nobody knows is not answered."""
    world, transport, frames = _heard(30)
    frames.clear()
    token = world.markets()[0].down_token
    transport.refetch(token, world.now_ns)
    transport.refetch("1", world.now_ns)
    events, _ = _events(frames)
    assert len(events) == 1
    assert isinstance(events[0], BookSnapshot)
    assert events[0].token == token


def test_the_wallet_hears_of_its_own_orders() -> None:
    """A resting order of the worker's account is told on the user channel, and only there."""
    world, _, frames = _heard(30)
    frames.clear()
    market = world.markets()[0]
    order = PlaceOrder("mine", WALLET, market.token(Outcome.UP), Side.BUY, 10_000, 5_000_000)
    world.exchange.place(order, world.now_ns)
    world.advance(world.now_ns + NS_PER_SECOND)
    told = [frame for frame in frames if frame.source is Source.POLYMARKET_USER]
    assert [frame.key for frame in told] == [WALLET]
    assert '"PLACEMENT"' in told[0].text
