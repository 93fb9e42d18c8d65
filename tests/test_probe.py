"""The probe of fast markets against local servers in their place."""

from __future__ import annotations

import pytest

from helpers.clock import RealClock
from helpers.domain import Asset, Source
from helpers.feeds.probe import FastMarketProbe, NoFastMarket
from helpers.feeds.retry import VenueRefused
from helpers.feeds.socket import SocketTimings
from helpers.venues import Venues
from tests.servers import Behaviour, Peer, ScriptedSockets, sockets

TIMINGS = SocketTimings(open_seconds=1.0, close_seconds=0.1)
QUOTE = '{"stream":"btcusdt@bookTicker","data":{}}'


def sends(frame: str) -> Behaviour:
    """Return a venue that sends one frame."""

    async def behaviour(peer: Peer) -> None:
        await peer.send(frame)
        await peer.stay()

    return behaviour


def probe_of(
    futures: ScriptedSockets, spot: ScriptedSockets, data_seconds: float = 0.1
) -> FastMarketProbe:
    return FastMarketProbe(
        Venues(binance_futures_socket=futures.url, binance_spot_socket=spot.url),
        RealClock(),
        sources=(Source.BINANCE_PUBLIC, Source.BINANCE_SPOT),
        data_seconds=data_seconds,
        timings=TIMINGS,
    )


async def test_takes_the_first_venue_that_sends_data() -> None:
    """The preferred venue works, so no other is asked."""
    async with sockets(sends(QUOTE)) as futures, sockets(sends(QUOTE)) as spot:
        result = await probe_of(futures, spot, 1.0).choose_fast_source([Asset.BTC])
        assert spot.attempts == 0
    assert result.source is Source.BINANCE_PUBLIC
    assert [attempt.works for attempt in result.attempts] == [True]
    assert futures.paths == [
        "/public/stream?streams=btcusdt@bookTicker/btcusdt@trade/btcusdt@depth20@100ms"
    ]


@pytest.mark.parametrize("status", [403, 451])
async def test_obeys_a_refusal_for_the_life_of_the_process(status: int) -> None:
    """I11: the next venue is taken and the refusing one is never asked again."""
    async with sockets(sends(QUOTE)) as futures, sockets(sends(QUOTE)) as spot:
        futures.refusals = [(status, {})]
        probe = probe_of(futures, spot, 1.0)
        first = await probe.choose_fast_source([Asset.BTC])
        second = await probe.choose_fast_source([Asset.BTC])
        assert futures.attempts == 1
    assert first.source is second.source is Source.BINANCE_SPOT
    assert f"HTTP {status}" in first.attempts[0].outcome
    assert second.attempts[0].outcome.startswith("not asked again")


async def test_an_acknowledgement_is_not_data() -> None:
    """Connected, acknowledged and silent counts as unreachable (binance 4.4)."""
    async with sockets(sends('{"result":null,"id":1}')) as futures, sockets(sends(QUOTE)) as spot:
        result = await probe_of(futures, spot).choose_fast_source([Asset.BTC])
    assert result.source is Source.BINANCE_SPOT
    assert "no data within 0.1 s" in result.attempts[0].outcome


async def test_raises_with_every_attempt_when_none_works() -> None:
    """Nothing reachable is a typed error that says what each venue answered."""

    async def hangs_up(peer: Peer) -> None:
        await peer.connection.close(1001, "going away")

    async with sockets(hangs_up) as futures, sockets(sends(QUOTE)) as spot:
        spot.refusals = [(429, {"Retry-After": "60"})]
        probe = probe_of(futures, spot, 1.0)
        with pytest.raises(NoFastMarket) as none:
            await probe.choose_fast_source([Asset.BTC])
        with pytest.raises(NoFastMarket) as again:
            await probe.choose_fast_source([Asset.BTC])
        assert spot.attempts == 1, "a rate limit is waited out"
    assert "1001" in none.value.attempts[0].outcome
    assert "429" in none.value.attempts[1].outcome
    assert "wants silence" in again.value.attempts[1].outcome


async def test_remembers_a_refusal_a_reader_met() -> None:
    """A venue that turns us away later is not probed again."""
    async with sockets(sends(QUOTE)) as futures, sockets(sends(QUOTE)) as spot:
        probe = probe_of(futures, spot, 1.0)
        probe.note_refusal(Source.BINANCE_PUBLIC, VenueRefused(451, futures.url))
        result = await probe.choose_fast_source([Asset.BTC])
        assert futures.attempts == 0
    assert result.source is Source.BINANCE_SPOT
