"""What a run of the live side is made of, drawn from a seed: markets, faults, settings."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import NamedTuple

from helpers.clob.eip712 import OrderSigner
from helpers.domain import MICROS, NS_PER_SECOND, Asset, FeeSchedule, Market
from helpers.settings import Settings, load_settings
from simulator.exchange_messages import MarketListing
from simulator.faults import Fault, FaultKind

WINDOW_OPENS_NS = 1_795_000_500 * NS_PER_SECOND
"""A whole multiple of 900 s."""
START_NS = WINDOW_OPENS_NS + 235 * NS_PER_SECOND
HAND_SECONDS = 0.5
"""After an order by hand, which the venue holds for 150 ms; it may settle under the next start."""
WINDOWS = {Asset.BTC: ("5m", 300), Asset.ETH: ("15m", 900)}
"""Bitcoin's window ends within the run: positions are settled and redeemed."""
TRADING_SECONDS = 60.0
FAULTS_UNTIL_SECONDS = 50.0
STEP_SECONDS = 0.2
CALM_SECONDS = 65.0
"""After the faults: time enough to resolve, redeem and compare."""
REST_SECONDS = 12.0
"""From the last decision to the stop: a trade settles within seconds."""
CLAIM_SECONDS = 180.0
"""Longest wait for pay-outs at the end: one that nobody answered is looked for a minute later."""


def drawn_faults(rng: random.Random) -> tuple[Fault, ...]:
    """Return three to seven faults of DESIGN section 6, each somewhere in the trading time."""
    return tuple(_drawn(rng.choice(_MENU), rng) for _ in range(rng.randint(3, 7)))


class _Choice(NamedTuple):
    kind: FaultKind
    where: tuple[str, ...] = ("*",)
    statuses: tuple[int, ...] = (500,)
    retry_after: tuple[int, ...] = (0,)
    delays: tuple[float, ...] = (1.0,)


_SOCKET = ("user_socket:*", "user_socket:trade", "user_socket:order")
_CLOB = ("clob:*", "clob:POST /order", "clob:GET /data/*", "clob:DELETE *", "clob:GET /balance*")
_MENU = (
    _Choice(FaultKind.SILENCE, _SOCKET),
    _Choice(FaultKind.CUT, ("user_socket:*",)),
    _Choice(FaultKind.GAP, _SOCKET),
    _Choice(FaultKind.REORDER, _SOCKET),
    _Choice(FaultKind.DUPLICATE, _SOCKET),
    _Choice(FaultKind.LATE, (*_SOCKET, *_CLOB), delays=(0.3, 2.0, 20.0)),
    _Choice(FaultKind.ERROR_AFTER, _CLOB, (500, 502, 503, 200)),
    _Choice(FaultKind.REFUSE, _CLOB, (425, 429, 503, 500), (0, 1, 3)),
    _Choice(FaultKind.HANG_UP, _CLOB),
    _Choice(FaultKind.SLOW_READER, ("user_socket:*",)),
    _Choice(FaultKind.CLOCK_SKEW, ("clob:*",), delays=(-3.0, 3.0)),
    _Choice(FaultKind.FAILED_SETTLEMENT),
    _Choice(FaultKind.THIN_BOOK),
    _Choice(FaultKind.ONE_SIDED_BOOK),
    _Choice(FaultKind.TICK_SIZE),
    _Choice(FaultKind.RESTART),
)


def _drawn(choice: _Choice, rng: random.Random) -> Fault:
    return Fault(
        choice.kind,
        rng.choice(choice.where),
        from_seconds=rng.uniform(0.0, FAULTS_UNTIL_SECONDS),
        for_seconds=rng.choice((2.0, 8.0, 20.0)),
        times=rng.choice((0, 1, 1, 3)),
        probability=rng.choice((1.0, 1.0, 0.5)),
        status=rng.choice(choice.statuses),
        retry_after_seconds=rng.choice(choice.retry_after),
        delay_seconds=rng.choice(choice.delays),
    )


def settings_of(
    rng: random.Random, seed: int, folder: Path, key: str, signer: OrderSigner
) -> Settings:
    """Return the worker's settings; wide limits, so that there is much to get wrong."""
    return load_settings(
        _env_file=None,
        strategy="random",
        random_seed=seed % 2**32,
        assets="ETH,BTC",
        windows="15m,5m",
        execution_style=rng.choice(("taker", "maker", "auto")),
        maker_lifetime_seconds=rng.choice((2, 8)),
        trade_size=rng.choice((12, 40)),
        maximum_exposure=1_000,
        slippage_ticks=rng.choice((0, 2)),
        entry_stop_seconds=20,
        position_timeout_seconds=10,
        maximum_position_age_seconds=rng.choice((15, 200)),
        reentry_cooldown_seconds=rng.choice((0, 3)),
        reject_streak_limit=100,
        losing_streak_limit=100,
        order_rate_per_minute=600,
        maximum_spread=0.5,
        clock_skew_seconds=60,
        journal_directory=folder,
        live_enabled=True,
        live_ack=signer.wallet,
        polymarket_private_key=key,
        polymarket_wallet=signer.wallet,
        polymarket_signature_type=signer.signature_type,
        polymarket_relayer_key="any",
    )


def listing_of(asset: Asset, seed: int) -> MarketListing:
    """Return an asset's one window as the venue lists it."""
    name, seconds = WINDOWS[asset]
    opens_ns = WINDOW_OPENS_NS
    digest = hashlib.sha256(f"{asset}/{seed}".encode()).hexdigest()
    return MarketListing(
        market_id=str(len(asset.value)),
        event_id="2",
        slug=f"{asset.value.lower()}-updown-{name}-{opens_ns // NS_PER_SECOND}",
        question=f"{asset.value} Up or Down",
        condition_id="0x" + digest,
        up_token=str(int(digest[:32], 16)),
        down_token=str(int(digest[32:], 16)),
        asset=asset.value.lower(),
        duration=name,
        series_slug=f"{asset.value.lower()}-up-or-down-{name}",
        created_ns=opens_ns - NS_PER_SECOND,
        opens_ns=opens_ns,
        closes_ns=opens_ns + seconds * NS_PER_SECOND,
    )


def market_of(listing: MarketListing, asset: Asset) -> Market:
    """Return the same window as discovery would tell it."""
    return Market(
        listing.slug,
        listing.condition_id,
        asset,
        listing.opens_ns,
        listing.closes_ns,
        listing.up_token,
        listing.down_token,
        listing.tick_micros,
        5 * MICROS,
        FeeSchedule(70_000, 1, taker_only=True),
    )
