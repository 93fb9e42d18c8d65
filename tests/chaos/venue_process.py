"""The simulated venues as a process of their own, in real time; a worker process trades there.

Prints one JSON line with its addresses and clock, then answers each line on standard input with
what the exchange holds for the wallet, and ends at the end of its input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from helpers.clock import RealClock
from helpers.commands.demo import throw_away_signer
from helpers.domain import Asset
from simulator.demo_world import ServedWorld
from simulator.simulated_loop import LoopClock
from simulator.world_settings import DEFAULT_START_NS, WALLET


async def serve(seed: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    loop_started = loop.time()
    clock = LoopClock(loop, DEFAULT_START_NS - round(loop_started * 1e9))
    served = ServedWorld(
        seed, clock, (Asset.BTC, Asset.ETH), (300, 900), (), throw_away_signer(seed)
    )
    await served.start()
    offset_ns = clock.now_ns() - RealClock().now_ns()
    venues = served.venues()
    addresses = {name: getattr(venues, name) for name in venues.__struct_fields__}
    say({"venues": addresses, "offset_ns": offset_ns})
    driving = loop.create_task(served.drive())
    try:
        while await loop.run_in_executor(None, sys.stdin.readline):
            exchange = served.world.exchange
            holdings = exchange.accounts.get(WALLET).holdings
            held = {asset: holding.total_micros for asset, holding in holdings.items()}
            resting = [order.order_id for order in exchange.open_orders(WALLET)]
            say({"holdings": held, "resting": resting})
    finally:
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)
        await served.stop()


def say(line: object) -> None:
    """Write one JSON line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Clients are killed on purpose here; each of their sockets would be complained about.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asyncio.run(serve(int(sys.argv[1])))
