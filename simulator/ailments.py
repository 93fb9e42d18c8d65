"""One thing wrong at a time, for the worker's doctor to find: each makes one of its lines fail.

Each ailment is put on a served world before it is looked at. Must not: touch the looking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr

from helpers.domain import MICROS
from simulator.demo_world import ServedWorld
from simulator.exchange_messages import COLLATERAL
from simulator.faults import Fault, FaultKind
from simulator.servers.fault_seam import Answer, Close, Deliver, Fate
from simulator.world_settings import WALLET

LEGAL_REASONS: Final = 451
LONG_SECONDS: Final = 3_600.0
Changes = Mapping[str, Any]
"""Settings that are changed, by name."""


class Texts:
    """Faults that replace parts of what one surface says, before anything else befalls it."""

    def __init__(self, inner: Any, kind: str, old: str, new: str) -> None:
        self._inner = inner
        self._kind, self._old, self._new = kind, old, new

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        """Return the text with its part replaced."""
        if kind.startswith(self._kind):
            payload = payload.replace(self._old, self._new)
        fate: Fate = self._inner.outgoing(connection_id, kind, payload)
        assert isinstance(fate, str | Deliver | Close | Answer)
        return fate

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        """Return what the faults below say."""
        found: Answer | Close | None = self._inner.incoming(connection_id, kind)
        return found


def _says(served: ServedWorld, kind: str, old: str, new: str) -> Changes:
    around = served.polymarket.surroundings
    around.faults = Texts(around.faults, kind, old, new)
    return {}


def _skewed(served: ServedWorld) -> Changes:
    served.add_faults(
        Fault(FaultKind.CLOCK_SKEW, "clob:GET /time", for_seconds=LONG_SECONDS, delay_seconds=9.0)
    )
    return {}


def _blocked(served: ServedWorld) -> Changes:
    served.polymarket.website.blocked = True
    return {}


def _closed_only(served: ServedWorld) -> Changes:
    served.world.exchange.accounts.get(WALLET).closed_only = True
    return {}


def _penniless(served: ServedWorld) -> Changes:
    accounts = served.world.exchange.accounts
    accounts.debit(accounts.get(WALLET), COLLATERAL, 999 * MICROS)
    return {}


def _unapproved(served: ServedWorld) -> Changes:
    served.world.exchange.accounts.get(WALLET).collateral_allowance = 0
    return {}


def _no_fast_market(served: ServedWorld) -> Changes:
    for where in ("binance_socket:*", "coinbase_socket:*"):
        served.add_faults(
            Fault(FaultKind.REFUSE, where, for_seconds=LONG_SECONDS, status=LEGAL_REASONS)
        )
    return {}


def _no_books(served: ServedWorld) -> Changes:
    served.add_faults(Fault(FaultKind.SILENCE, "market_socket:*", for_seconds=LONG_SECONDS))
    return {}


Ailment = Callable[[ServedWorld], Changes]
AILMENTS: Final[Mapping[str, Ailment]] = MappingProxyType(
    {
        "wallet": lambda _: {"polymarket_signature_type": 2},
        "clock": _skewed,
        "region": _blocked,
        "order version": lambda served: _says(served, "clob:GET /version", "2", "3"),
        "credentials": lambda _: {"polymarket_api_secret": SecretStr("d3Jvbmc=")},
        "account": _closed_only,
        "market facts": lambda served: _says(served, "gamma:", '"rate":0.07', '"rate":0.09'),
        "collateral": _penniless,
        "approvals": _unapproved,
        "redeeming": lambda _: {"polymarket_relayer_key": None},
        "model": lambda _: {"strategy": "rl", "model_directory": Path("no-such-model")},
        "journal": lambda _: {"journal_directory": Path("/proc/no-such-folder")},
        "fast market": _no_fast_market,
        "order books": _no_books,
    }
)
"""By the doctor's line that must fail, and no other."""
