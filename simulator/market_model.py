"""The seeded market: fast prices, reference, windows, background traders, merged in time order.

Pure: time comes in as ``advance``'s argument, randomness from the seed, prices from the process or
a tape. It owns no book; it reads the displayed one. Each action must be applied to the exchange
before the next is drawn from the iterator. With equal arguments and equal books the actions are
equal bit for bit; fast prices, references and resolutions do not depend on the books at all.

Thinned against reality: messages of the perpetual (see ``fast_flow``) and its depth; makers show
one order a level and refill what is taken at the same fair value, so nobody's order has lasting
impact on price; nobody trades a window before it opens. Hours and assets other than Bitcoin are
plausible rather than measured (see ``profiles`` and ``assets``).
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from helpers.domain import NS_PER_SECOND, Asset, Candle, Market, Message, Outcome
from simulator.actions import (
    Action,
    DisplayedBooks,
    ReferenceTick,
    TimedAction,
    WindowCloses,
    WindowOpens,
)
from simulator.assets import ASSET_PROFILES
from simulator.fair_value import FairValue, SeenPrice, normal_cdf
from simulator.fast_flow import (
    DEFAULT_QUOTES_PER_SECOND,
    DEFAULT_TRADES_PER_SECOND,
    FastFlow,
    FlowMinute,
)
from simulator.fast_price import (
    BLOCK_NS,
    BLOCK_SECONDS,
    STEP_NS,
    FastPriceProcess,
    PriceBlock,
    PriceSource,
    next_step,
)
from simulator.profiles import MAKER_PROFILES, REPAIR_NS, TAKER_PROFILES, MakerProfile
from simulator.quoting import BookMaker
from simulator.randomness import Draws, random_stream
from simulator.reference import ReferencePrices
from simulator.takers import TakerFlow
from simulator.windows import HOUR_SECONDS, WINDOW_SECONDS, market_facts, window_start_ns

_MAKER: Final = 0
_TAKER: Final = 1
"""Kinds of wake-up."""
_CANDLES_KEPT: Final = 24 * 60
"""One-minute candles for a client's warm-up: a day."""
_MINUTE_VOLUME_USD: Final = 10e6
"""Quote volume of a median minute (a guess; only ratios of volumes are used)."""
_WARM_MINUTES: Final = 2
"""History before the first window's start: the first average needs 63 s."""


class ModelSettings(Message, frozen=True):
    """What is simulated."""

    assets: tuple[Asset, ...] = (Asset.BTC, Asset.ETH, Asset.SOL, Asset.XRP)
    window_seconds: tuple[int, ...] = (900,)
    quotes_per_second: float = DEFAULT_QUOTES_PER_SECOND
    """Mean rate of one perpetual's quotes; thinned (see ``fast_flow``)."""
    trades_per_second: float = DEFAULT_TRADES_PER_SECOND
    quietness: float = 1.0
    """Background traders pause so many times longer when nothing hurries them, and let fair value
    go further before it does; 1 is as recorded."""
    warm_up_minutes: int = 60
    """Price history drawn before the start, for a client's warm-up candles."""


class _Noise:
    """Idiosyncratic z-score noise of one market: jumps that decay."""

    __slots__ = ("_at_ns", "_draws", "_gap_seconds", "_scale", "_seconds", "_value", "due_ns")

    def __init__(self, profile: MakerProfile, draws: Draws, now_ns: int) -> None:
        self._draws = draws
        self._seconds = profile.noise_seconds
        self._gap_seconds = 1.0 / profile.noise_jumps_per_second
        self._scale = profile.noise_z_per_second * math.sqrt(self._gap_seconds)
        self._value = 0.0
        self._at_ns = now_ns
        self.due_ns = now_ns

    def at(self, now_ns: int) -> float:
        """Return the noise at a moment not before the last one asked for."""
        elapsed = (now_ns - self._at_ns) / NS_PER_SECOND
        value = self._value * math.exp(-elapsed / self._seconds)
        if now_ns >= self.due_ns:
            value += self._scale * self._draws.normal()
            self.due_ns = now_ns + int(
                self._gap_seconds * self._draws.exponential() * NS_PER_SECOND
            )
        self._value, self._at_ns = value, now_ns
        return value


class _RunningWindow:
    """One open market and its traders."""

    __slots__ = (
        "closed",
        "fair",
        "maker",
        "maker_due_ns",
        "market",
        "noise",
        "row",
        "strike",
        "takers",
    )

    def __init__(self, market: Market, strike: float, row: int, fair: FairValue) -> None:
        self.market = market
        self.strike = strike
        self.row = row
        self.fair = fair
        self.closed = False
        self.maker_due_ns = 0
        """The makers' next step; an earlier plan still in the queue is void."""
        self.maker: BookMaker
        self.takers: TakerFlow
        self.noise: _Noise


class _AssetState:
    """What is remembered of one asset."""

    __slots__ = ("candles", "flow", "minutes", "reference", "seen")

    def __init__(self, seed: int, asset: Asset, settings: ModelSettings) -> None:
        self.seen = SeenPrice()
        self.reference = ReferencePrices(seed, asset)
        self.flow = FastFlow(seed, asset, settings.quotes_per_second, settings.trades_per_second)
        self.candles: deque[Candle] = deque(maxlen=_CANDLES_KEPT)
        # (minute, 60 s average, fast mid): strikes of windows that were open at the start.
        self.minutes: deque[tuple[int, float, float]] = deque(maxlen=HOUR_SECONDS // 60 + 1)


class MarketModel:
    """Timed actions of everybody but the strategy under test."""

    def __init__(
        self,
        seed: int,
        start_ns: int,
        books: DisplayedBooks,
        settings: ModelSettings | None = None,
        source: PriceSource | None = None,
    ) -> None:
        """Draw the history before ``start_ns``; nothing is yielded before ``advance``.

        ``source`` replaces the process as the fast price (``TapePrices``), its rows in the order
        of ``settings.assets``. Raises ``ValueError`` for an unknown window length.
        """
        self._settings = settings or ModelSettings()
        unknown = set(self._settings.window_seconds) - set(WINDOW_SECONDS)
        if unknown:
            raise ValueError(f"window lengths were {unknown}, expected among {WINDOW_SECONDS}")
        self._seed = seed
        self._books = books
        self._source = source or FastPriceProcess(seed, self._settings.assets)
        self._assets = [_AssetState(seed, asset, self._settings) for asset in self._settings.assets]
        self._running: dict[tuple[int, int], _RunningWindow] = {}
        self._wakes: list[tuple[int, int, int, _RunningWindow]] = []
        self._sequence = 0
        self._flows: list[FlowMinute] = []
        self._events: list[TimedAction] = []
        """Of one second: the busiest minutes have 18,000."""
        self._position = 0
        self._seconds_made = BLOCK_SECONDS
        self._block_start_ns = 0
        self._pending: deque[TimedAction] = deque()
        self._warm_up(start_ns)

    @property
    def open_markets(self) -> tuple[Market, ...]:
        """Return the markets that trade now."""
        return tuple(running.market for running in self._running.values())

    def strike(self, slug: str) -> float:
        """Return an open market's price to beat; raise ``KeyError`` when it is not open."""
        for running in self._running.values():
            if running.market.slug == slug:
                return running.strike
        raise KeyError(slug)

    def true_chance(self, slug: str, at_ns: int) -> float:
        """Return the chance of Up in an open market at a moment that has come (``FairValue``).

        Raises ``KeyError`` when it is not open.
        """
        for running in self._running.values():
            if running.market.slug == slug:
                return running.fair.true_chance(at_ns)
        raise KeyError(slug)

    def candles(self, asset: Asset) -> tuple[Candle, ...]:
        """Return the perpetual's closed one-minute candles, oldest first, at most a day."""
        closed = self._assets[self._settings.assets.index(asset)].candles
        return tuple(closed)[:-1]

    def advance(self, to_ns: int) -> Iterator[TimedAction]:
        """Yield what happens up to and including ``to_ns``, in time order.

        An iterator left half-way may be dropped; the next call goes on where it stopped. Raises
        ``TapeEndedError`` when a tape source has no price for that time.
        """
        wakes = self._wakes
        while True:
            while self._pending and self._pending[0][0] <= to_ns:
                yield self._pending.popleft()
            while self._position == len(self._events) and self._seconds_made < BLOCK_SECONDS:
                self._next_second()
            exhausted = self._position == len(self._events)
            block_end_ns = self._block_start_ns + BLOCK_NS
            at_ns = block_end_ns if exhausted else self._events[self._position][0]
            if wakes and wakes[0][0] < at_ns:
                if wakes[0][0] > to_ns:
                    return
                due_ns, _, kind, running = heapq.heappop(wakes)
                if not running.closed:
                    action = self._wake(due_ns, kind, running)
                    if action is not None:
                        yield due_ns, action
            elif at_ns > to_ns:
                return
            elif exhausted:
                self._next_block()
                self._roll(block_end_ns)
            else:
                event = self._events[self._position]
                self._position += 1
                yield event

    def _warm_up(self, start_ns: int) -> None:
        lengths = self._settings.window_seconds
        earliest = min((window_start_ns(start_ns, length) for length in lengths), default=start_ns)
        earliest = min(earliest, start_ns - self._settings.warm_up_minutes * BLOCK_NS)
        first = earliest // BLOCK_NS * BLOCK_NS - _WARM_MINUTES * BLOCK_NS
        self._block_start_ns = first - BLOCK_NS
        while self._block_start_ns + BLOCK_NS <= start_ns:
            self._next_block()
        self._seconds_made = (start_ns - self._block_start_ns) // NS_PER_SECOND
        self._next_second()
        self._position = bisect.bisect_left(self._events, start_ns, key=_moment)
        for row in range(len(self._assets)):
            for length in lengths:
                self._open(row, length, start_ns)

    def _next_block(self) -> None:
        start_ns = self._block_start_ns + BLOCK_NS
        block = self._source.next_block(start_ns)
        self._flows = []
        for row, state in enumerate(self._assets):
            state.seen.advance(block, row)
            state.reference.advance(block, row)
            self._flows.append(state.flow.minute(block, row))
            self._remember(block, row)
        self._events, self._position = [], 0
        self._seconds_made, self._block_start_ns = 0, start_ns

    def _next_second(self) -> None:
        second = self._seconds_made
        start_ns = self._block_start_ns + second * NS_PER_SECOND
        events: list[TimedAction] = []
        for asset, state, flow in zip(
            self._settings.assets, self._assets, self._flows, strict=True
        ):
            spot, twap = state.reference.spots[second], state.reference.twaps[second]
            events.append((start_ns, ReferenceTick(asset, spot, twap)))
            events.extend(flow.between(start_ns, start_ns + NS_PER_SECOND))
        events.sort(key=_moment)
        self._events, self._position, self._seconds_made = events, 0, second + 1

    def _remember(self, block: PriceBlock, row: int) -> None:
        state = self._assets[row]
        mids = block.log_mid[row]
        state.minutes.append(
            (block.start_ns, state.reference.twaps[0], round(math.exp(mids[0]), 8))
        )
        level = float(block.slow_volatility[row, 0] * math.exp(block.medium_log[row, 0]))
        usual = ASSET_PROFILES[self._settings.assets[row]].relative_volatility
        volume = _MINUTE_VOLUME_USD * level / (usual * 0.5e-4)
        state.candles.append(Candle(block.start_ns, round(math.exp(mids[-1]), 8), volume))

    def _roll(self, boundary_ns: int) -> None:
        for (row, length), running in list(self._running.items()):
            if running.market.closes_ns != boundary_ns:
                continue
            final = self._settling_price(row, length, boundary_ns)
            winner = Outcome.UP if final >= running.strike else Outcome.DOWN
            running.closed = True
            closes = WindowCloses(running.market.slug, winner, final)
            self._pending.append((boundary_ns, closes))
            self._open(row, length, boundary_ns)

    def _settling_price(self, row: int, length: int, boundary_ns: int) -> float:
        for at_ns, average, mid in self._assets[row].minutes:
            if at_ns == boundary_ns:
                return mid if length == HOUR_SECONDS else average
        raise AssertionError(f"minute {boundary_ns} is kept for as long as any window lasts")

    def _open(self, row: int, length: int, now_ns: int) -> None:
        asset, state = self._settings.assets[row], self._assets[row]
        opens_ns = window_start_ns(now_ns, length)
        market = market_facts(self._seed, asset, length, opens_ns)
        strike = self._settling_price(row, length, opens_ns)
        quietness = self._settings.quietness
        maker_profile = _quieter(MAKER_PROFILES[length], quietness)
        fair = FairValue(market, strike, state.seen, state.reference, maker_profile.caution)
        running = _RunningWindow(market, strike, row, fair)
        key = (list(Asset).index(asset), length, opens_ns // NS_PER_SECOND)
        running.noise = _Noise(maker_profile, Draws(random_stream(self._seed, 5, *key)), now_ns)
        running.maker = BookMaker(market, maker_profile, Draws(random_stream(self._seed, 6, *key)))
        running.takers = TakerFlow(
            market,
            TAKER_PROFILES[length],
            ASSET_PROFILES[asset].takes_per_second / quietness,
            Draws(random_stream(self._seed, 7, *key)),
        )
        self._running[row, length] = running
        self._pending.append((now_ns, WindowOpens(market, strike)))
        self._schedule_maker(now_ns + 1, running)
        self._schedule(now_ns + running.takers.next_gap_ns(), _TAKER, running)

    def _schedule(self, at_ns: int, kind: int, running: _RunningWindow) -> None:
        self._sequence += 1
        heapq.heappush(self._wakes, (at_ns, self._sequence, kind, running))

    def _schedule_maker(self, at_ns: int, running: _RunningWindow) -> None:
        running.maker_due_ns = at_ns
        self._schedule(at_ns, _MAKER, running)

    def _wake(self, now_ns: int, kind: int, running: _RunningWindow) -> Action | None:
        if kind == _MAKER and now_ns != running.maker_due_ns:
            return None
        step = (now_ns - self._block_start_ns) // STEP_NS
        noise = running.noise
        fair = normal_cdf(running.fair.z_score(step) + noise.at(now_ns))
        if kind == _TAKER:
            self._schedule(now_ns + running.takers.next_gap_ns(), _TAKER, running)
            if now_ns + REPAIR_NS < running.maker_due_ns:
                self._schedule_maker(now_ns + REPAIR_NS, running)
            return running.takers.step(fair, self._books)
        action = running.maker.step(now_ns, fair, self._books)
        changes = self._assets[running.row].seen.change_steps
        moves_ns = self._block_start_ns + next_step(changes, step) * STEP_NS
        due_ns = min(now_ns + running.maker.gap_ns, moves_ns, max(noise.due_ns, now_ns + 1))
        self._schedule_maker(due_ns, running)
        return action


def _quieter(profile: MakerProfile, quietness: float) -> MakerProfile:
    return msgspec.structs.replace(
        profile,
        calm_gap_seconds=profile.calm_gap_seconds * quietness,
        refit_gap_seconds=profile.refit_gap_seconds * quietness,
        noise_jumps_per_second=profile.noise_jumps_per_second / quietness,
        hysteresis_ticks=profile.hysteresis_ticks * math.sqrt(quietness),
    )


def _moment(event: TimedAction) -> int:
    return event[0]
