"""What one run of the whole worker is made of: who trades how, what goes wrong, who is killed when.

Everything is drawn from the seed before the run begins, so that a failing seed can be read.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import SecretStr

from helpers.clob.eip712 import DEPOSIT_WALLET, OrderSigner
from helpers.clob.wallets import derive_wallets
from helpers.domain import MICROS, NS_PER_SECOND, Asset, OperatorVerb
from helpers.settings import Settings, load_settings
from simulator.demo_world import ServedSettings
from simulator.exchange_messages import ExchangeSettings
from simulator.faults import Fault, FaultKind

ASSETS: Final = (Asset.BTC, Asset.ETH, Asset.SOL, Asset.XRP)
WINDOWS_SECONDS: Final = (300, 900, 3600)
MINUTES: Final = 7.0
"""Of trading; a window of five minutes ends in it, is resolved, and its pay-out is claimed."""
CALM_SECONDS: Final = 75.0
"""At the end of the trading time nothing more goes wrong: what is unknown can be found out."""
WARM_SECONDS: Final = 20.0
LOST_ANSWERS: Final = 3
"""Spans in which orders are taken and their answers lost (I20): what is easiest to get wrong."""
SILENT_SECONDS: Final = (35.0, 75.0)
"""Longer than a book may be old for an entry, and longer than for a position."""
POST_ONLY_NS: Final = 20 * NS_PER_SECOND
"""After a restart of the matching engine; shorter than the venue's, or a run would be half of it.
"""
WALLET_MICROS: Final = 5_000 * MICROS
Where = tuple[str, ...]
Ending = Literal["stop", "instant", "row"]


class Life(NamedTuple):
    """One worker process, from its start to its stop or death."""

    seconds: float
    ending: Ending
    row: int
    """Of those that say something about money: where it dies, if it dies at a row."""
    before_row: bool
    last_word: OperatorVerb | None
    """What an operator says a moment before its end: a halt must hold on, a flatten go on (I30)."""
    pause_seconds: float
    """Until the next one starts."""


class Word(NamedTuple):
    """Something an operator asks for."""

    at_seconds: float
    verb: OperatorVerb


class Plan(NamedTuple):
    """One run."""

    seed: int
    minutes: float
    live: bool
    strict: bool
    """Whether the limits are the defaults; else they are wide, so that there is much to get wrong.
    """
    wallet_kind: int
    private_key: str
    faults: tuple[Fault, ...]
    lives: tuple[Life, ...]
    words: tuple[Word, ...]
    overrides: dict[str, Any]
    balance_cache_lag_ns: int

    @property
    def seconds(self) -> float:
        """Return how long is traded."""
        return self.minutes * 60.0

    @property
    def signer(self) -> OrderSigner:
        """Return who signs for the wallet."""
        own = derive_wallets(OrderSigner(self.private_key, "0x" + "00" * 20, 0).address)
        wallet = (own.eoa, own.proxy, own.safe, own.deposit_beacon)[self.wallet_kind]
        return OrderSigner(self.private_key, wallet, self.wallet_kind)

    @property
    def served(self) -> ServedSettings:
        """Return how busy the world is: quiet where nobody looks."""
        return ServedSettings(
            step_seconds=0.1,
            quietness=8.0,
            quotes_per_second=0.5,
            trades_per_second=0.5,
            depth_interval_ns=2 * NS_PER_SECOND,
            wallet_micros=WALLET_MICROS,
            exchange=ExchangeSettings(
                balance_cache_lag_ns=self.balance_cache_lag_ns,
                post_only_after_restart_ns=POST_ONLY_NS,
            ),
        )


class _Choice(NamedTuple):
    kind: FaultKind
    where: Where = ("*",)
    statuses: tuple[int, ...] = (500,)
    retry_after: tuple[int, ...] = (0,)
    delays: tuple[float, ...] = (1.0,)
    spans: tuple[float, ...] = (2.0, 8.0, 20.0)


_USER: Final = ("user_socket:*", "user_socket:trade", "user_socket:order")
_MARKET: Final = ("market_socket:*", "market_socket:price_change", "market_socket:book")
_FAST: Final = ("binance_socket:*", "binance_socket:bookTicker", "binance_socket:trade")
_OTHER: Final = ("reference_socket:*", "coinbase_socket:*")
_SOCKETS: Final = (*_USER, *_MARKET, *_FAST, *_OTHER)
_CLOB: Final = ("clob:*", "clob:POST /order", "clob:GET /data/*", "clob:DELETE *", "clob:GET /b*")
_REST: Final = (*_CLOB, "gamma:*", "binance_rest:*", "data_api:*")
_MENU: Final = (
    _Choice(FaultKind.SILENCE, _SOCKETS, spans=(8.0, *SILENT_SECONDS)),
    _Choice(FaultKind.CUT, _SOCKETS),
    _Choice(FaultKind.GAP, _SOCKETS),
    _Choice(FaultKind.REORDER, _SOCKETS),
    _Choice(FaultKind.DUPLICATE, _SOCKETS),
    _Choice(FaultKind.STRANGE, _SOCKETS),
    _Choice(FaultKind.LATE, (*_SOCKETS, *_REST), delays=(0.3, 2.0, 20.0)),
    _Choice(FaultKind.ERROR_AFTER, _CLOB, (500, 502, 503, 200)),
    _Choice(FaultKind.REFUSE, _REST, (425, 429, 503, 500), (0, 1, 3)),
    _Choice(FaultKind.HANG_UP, _REST),
    _Choice(FaultKind.SLOW_READER, _SOCKETS),
    _Choice(FaultKind.CLOCK_SKEW, ("clob:*", "market_socket:*", "*"), delays=(-3.0, 3.0)),
    _Choice(FaultKind.FAILED_SETTLEMENT),
    _Choice(FaultKind.FAILED_SETTLEMENT),
    _Choice(FaultKind.THIN_BOOK),
    _Choice(FaultKind.ONE_SIDED_BOOK),
    _Choice(FaultKind.TICK_SIZE),
    _Choice(FaultKind.RESTART, spans=(5.0, 15.0)),
)


def draw_plan(seed: int, minutes: float = MINUTES) -> Plan:
    """Return the run of a seed."""
    rng = random.Random(f"worker/{seed}")
    live = seed % 3 != 2
    strict = rng.random() < 0.3
    until = minutes * 60.0 - CALM_SECONDS
    faults = [_drawn(rng.choice(_MENU), rng, until) for _ in range(rng.randint(8, 14))]
    faults.append(_long_silence(rng, until))
    for _ in range(LOST_ANSWERS):
        faults += _lost_answers(rng, until)
    return Plan(
        seed=seed,
        minutes=minutes,
        live=live,
        strict=strict,
        wallet_kind=rng.choice((0, 1, 2, DEPOSIT_WALLET)),
        private_key=hashlib.sha256(f"chaos worker {seed}".encode()).hexdigest(),
        faults=tuple(faults),
        lives=_lives(rng, minutes * 60.0),
        words=_words(rng, until, strict=strict),
        overrides=_overrides(rng, seed, strict=strict),
        balance_cache_lag_ns=rng.choice((0, 2, 10)) * NS_PER_SECOND,
    )


def settings_of(plan: Plan, folder: Path, keys: tuple[str, str, str]) -> Settings:
    """Return the worker's settings in one folder; ``keys`` are those of the world's wallet."""
    signer = plan.signer
    armed: dict[str, Any] = {}
    if plan.live:
        armed = {
            "live_enabled": True,
            "live_ack": signer.wallet,
            "polymarket_wallet": signer.wallet,
            "polymarket_signature_type": signer.signature_type,
            "polymarket_private_key": SecretStr(plan.private_key),
            "polymarket_relayer_key": SecretStr(f"relayer-key-of-{plan.seed}"),
            "polymarket_relayer_address": signer.address,
        }
    return load_settings(
        _env_file=None,
        assets=",".join(ASSETS),
        windows="5m,15m,1h",
        journal_directory=folder / "journal",
        log_directory=folder / "logs",
        tape_directory=folder / "tapes",
        log_level="warning",
        log_format="json",
        polymarket_api_key=SecretStr(keys[0]),
        polymarket_api_secret=SecretStr(keys[1]),
        polymarket_api_passphrase=SecretStr(keys[2]),
        **armed,
        **plan.overrides,
    )


def _drawn(choice: _Choice, rng: random.Random, until: float) -> Fault:
    span = rng.choice(choice.spans)
    return Fault(
        choice.kind,
        rng.choice(choice.where),
        from_seconds=round(rng.uniform(WARM_SECONDS / 2, max(WARM_SECONDS, until - span)), 3),
        for_seconds=span,
        times=rng.choice((0, 0, 1, 3)),
        probability=rng.choice((1.0, 1.0, 0.5)),
        status=rng.choice(choice.statuses),
        retry_after_seconds=rng.choice(choice.retry_after),
        delay_seconds=rng.choice(choice.delays),
    )


def _lost_answers(rng: random.Random, until: float) -> tuple[Fault, Fault]:
    """Take orders and do not say so: neither in the answer nor, for a while, on the channel."""
    span = rng.choice((10.0, 20.0, 40.0))
    start = round(rng.uniform(WARM_SECONDS, max(WARM_SECONDS, until - span)), 3)
    mute = rng.choice((FaultKind.SILENCE, FaultKind.LATE, FaultKind.GAP))
    return (
        Fault(
            rng.choice((FaultKind.ERROR_AFTER, FaultKind.ERROR_AFTER, FaultKind.LATE)),
            "clob:POST /order",
            from_seconds=start,
            for_seconds=span,
            probability=0.5,
            status=rng.choice((500, 502, 503)),
            delay_seconds=20.0,
        ),
        Fault(
            mute,
            "user_socket:*",
            from_seconds=start,
            for_seconds=span,
            probability=0.7,
            delay_seconds=rng.choice((0.5, 5.0)),
        ),
    )


def _long_silence(rng: random.Random, until: float) -> Fault:
    """Say nothing new of any book for long, while pings are answered (I16)."""
    span = rng.choice(SILENT_SECONDS)
    start = rng.uniform(WARM_SECONDS, max(WARM_SECONDS, until - span))
    where = rng.choice(("market_socket:*", "market_socket:price_change", "binance_socket:*"))
    return Fault(FaultKind.SILENCE, where, from_seconds=round(start, 3), for_seconds=span)


def _lives(rng: random.Random, seconds: float) -> tuple[Life, ...]:
    lives: list[Life] = []
    left = seconds
    while left > 60.0 and rng.random() < 0.75:
        endings: tuple[Ending, ...] = ("stop", "instant", "row", "row")
        ending = rng.choice(endings)
        seconds, row = rng.uniform(15.0, min(left, 150.0)), rng.randint(1, 60)
        before_row, spoken_to = rng.random() < 0.5, rng.random() < 0.4
        verb = OperatorVerb.FLATTEN if row % 2 else OperatorVerb.HALT
        life = Life(
            seconds=seconds,
            ending=ending,
            row=row,
            before_row=before_row,
            last_word=verb if spoken_to else None,
            pause_seconds=rng.choice((0.0, 0.5, 4.0, 15.0)),
        )
        lives.append(life)
        left -= life.seconds + life.pause_seconds
    seconds = max(left, CALM_SECONDS)
    last = Life(seconds, "stop", 0, before_row=False, last_word=None, pause_seconds=0.0)
    return (*lives, last)


def _words(rng: random.Random, until: float, *, strict: bool) -> tuple[Word, ...]:
    words: list[Word] = []
    at = rng.uniform(WARM_SECONDS, 120.0)
    while at < until:
        words.append(Word(at, rng.choice((OperatorVerb.HALT, OperatorVerb.FLATTEN))))
        at += rng.uniform(5.0, 30.0)
        words.append(Word(at, OperatorVerb.RESUME))
        at += rng.uniform(60.0, 200.0)
    # Losing streaks stop a random policy soon, silence any: somebody looks, and resumes.
    words += [Word(at, OperatorVerb.RESUME) for at in range(90, int(until), 60 if strict else 90)]
    return tuple(sorted(words))


def _overrides(rng: random.Random, seed: int, *, strict: bool) -> dict[str, Any]:
    overrides: dict[str, Any] = {
        # The first trades most, the others hold on to what they bought.
        "strategy": rng.choice(("random", "momentum", "momentum", "mean_revert")),
        "random_seed": seed % 2**32,
        "execution_style": rng.choice(("taker", "taker", "maker", "auto")),
        "maker_lifetime_seconds": rng.choice((2, 8)),
        "trade_size": rng.choice((12, 40)),
        "slippage_ticks": rng.choice((0, 0, 2)),
        "flatten_on_stop": rng.random() < 0.3,
        "maximum_position_age_seconds": rng.choice((20, 840)),
    }
    if strict:
        return overrides
    return overrides | {
        "entry_stop_seconds": rng.choice((20, 60)),
        "position_timeout_seconds": 10,
        "reentry_cooldown_seconds": rng.choice((0, 3)),
        "maximum_positions": rng.choice((2, 8)),
        "maximum_exposure": rng.choice((60, 2_000)),
        "losing_streak_limit": 100,
        "reject_streak_limit": 100,
        "order_rate_per_minute": rng.choice((60, 600)),
        "daily_loss_limit": 10_000,
        "maximum_spread": 0.5,
        "clock_skew_seconds": 10,
        "paper_cash": 5_000,
    }
