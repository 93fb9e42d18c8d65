"""Synthetic tapes: a BTC market whose fast price moves and whose quotes follow."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

OPENS = 1_790_000_100
"""A whole multiple of 900 s."""
WINDOW = 900
SLUG = f"btc-updown-15m-{OPENS}"
CONDITION = "0x" + "ab" * 32
UP, DOWN = "1" * 77, "2" * 77


def gamma_object(**changes: Any) -> dict[str, Any]:
    """Return the market as Gamma serves it."""
    return {
        "id": "1",
        "slug": SLUG,
        "conditionId": CONDITION,
        "question": "Bitcoin Up or Down",
        "clobTokenIds": json.dumps([UP, DOWN]),
        "outcomes": '["Up", "Down"]',
        "eventStartTime": iso(OPENS),
        "endDate": iso(OPENS + WINDOW),
        "active": True,
        "closed": False,
        "acceptingOrders": True,
        "enableOrderBook": True,
        "orderMinSize": 5,
        "orderPriceMinTickSize": 0.01,
        "negRisk": False,
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
        "version": "v1",
        **changes,
    }


def iso(seconds: int) -> str:
    """Return seconds since the epoch as Gamma writes them."""
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def book_frame(token: str, bid: int, at: float, shares: float = 300) -> dict[str, Any]:
    """Return a five-level book around a bid in cents."""
    return {
        "market": CONDITION,
        "asset_id": token,
        "timestamp": str(round(at * 1000)),
        "hash": "",
        "bids": [
            {"price": f"{(bid - i) / 100:.2f}", "size": str(shares)} for i in range(5) if bid > i
        ],
        "asks": [
            {"price": f"{(bid + 1 + i) / 100:.2f}", "size": str(shares)}
            for i in range(5)
            if bid + 1 + i < 100
        ],
        "event_type": "book",
    }


def fast_frame(mid: float, update_id: int, at: float) -> dict[str, Any]:
    """Return a USD-M bookTicker."""
    stamp = round(at * 1000)
    return {
        "stream": "btcusdt@bookTicker",
        "data": {
            "e": "bookTicker",
            "u": update_id,
            "s": "BTCUSDT",
            "b": f"{mid - 0.05:.2f}",
            "B": "3.1",
            "a": f"{mid + 0.05:.2f}",
            "A": "2.7",
            "T": stamp,
            "E": stamp,
        },
    }


def frames(seconds: int = WINDOW + 40, strike: float = 83_000.0) -> list[tuple[float, str, str]]:
    """Return (second, source, raw) of one whole window, opening 70 s into the tape.

    The fast price swings by some 10 bp; quotes follow 0.6 s later. Up wins.
    """
    start = OPENS - 70.0
    rows: list[tuple[float, str, str]] = [(start, "gamma", json.dumps(gamma_object()))]

    def mid_at(at: float) -> float:
        return strike * (1 + 8e-4 * math.sin((at - start) / 23.0) + 2e-4 * (at - start) / WINDOW)

    steps = round((seconds + 70) / 0.25)
    for step in range(1, steps):
        at = start + step * 0.25
        rows.append((at, "binance.public", json.dumps(fast_frame(mid_at(at), step, at))))
        if step % 2 == 0 and at < OPENS + WINDOW:
            lead = (mid_at(at - 0.6) / strike - 1) * 1e4
            bid = max(3, min(95, round(50 + 3.5 * lead)))
            rows.append((at + 0.01, "polymarket.market", json.dumps(book_frame(UP, bid, at))))
            down = json.dumps(book_frame(DOWN, 99 - bid, at))
            rows.append((at + 0.01, "polymarket.market", down))
    closed = gamma_object(
        closed=True,
        outcomePrices='["1", "0"]',
        umaResolutionStatus="resolved",
        events=[
            {"slug": SLUG, "eventMetadata": {"priceToBeat": strike, "finalPrice": strike + 10}}
        ],
    )
    rows.append((start + 70 + WINDOW + 30, "gamma", json.dumps(closed)))
    listed = gamma_object(events=[{"slug": SLUG, "eventMetadata": {"priceToBeat": strike}}])
    rows.append((float(OPENS + 10), "gamma", json.dumps(listed)))
    return sorted(rows, key=lambda row: row[0])


def write_tape(path: Path, rows: list[tuple[float, str, str]]) -> Path:
    """Write rows as a tape."""
    with gzip.open(path, "wt") as file:
        for at, source, raw in rows:
            line = {"t": round(at * 1e9), "src": source, "raw": raw}
            file.write(json.dumps(line) + "\n")
    return path
