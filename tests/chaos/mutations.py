"""Eleven bugs, planted one by one: the runs of the whole worker must find each of them.

    uv run python -m tests.chaos.mutations                      # all, each in its own process
    uv run python -m tests.chaos.mutations --plant mid_price    # one, in this process

Each is what a tired hand could write, and most of them happened (``incidents`` in the names of the
invariants' docstrings). A bug counts as caught when an invariant that is about it finds it: that a
run breaks off is not enough.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.chaos.planting import Change, Mutation, plant, require_planted

RUNS_MAXIMUM: Final = 12
"""Seeds that are tried; the first listed one is known to be enough, until the worker changes."""
CHILD_SECONDS: Final = 600.0

MUTATIONS: Final = (
    Mutation(
        "second_order",
        "the gate forgets that a market may have one position and one order",
        (
            Change(
                "helpers.safety_account",
                """    if account.exposure.market_order_open:
        return RuleFailure("one_position", "no order alive", "one alive")
""",
                "",
            ),
            Change(
                "helpers.safety_account",
                """    if held:
        return RuleFailure("one_position", 0.0, from_micros(held))
""",
                "",
            ),
        ),
        frozenset({"one_order_of_a_market_at_a_time", "no_second_position_in_a_market"}),
        0,
    ),
    Mutation(
        "pending_is_free",
        "money at risk leaves out the entries under way",
        (
            Change(
                "helpers.account",
                "exposure_micros=sum(p.cost_micros for p in positions) + reserved,",
                "exposure_micros=sum(p.cost_micros for p in positions),",
            ),
        ),
        frozenset({"no_entry_over_a_limit"}),
        12,
    ),
    Mutation(
        "unknown_is_rejected",
        "an error of the venue's server is taken for a refusal of the order (I20)",
        (
            Change(
                "helpers.clob.outcome",
                "        answer.status >= SERVER_ERROR\n        or ",
                "        ",
            ),
        ),
        frozenset({"what_was_rejected_never_traded"}),
        0,
    ),
    Mutation(
        "fills_count_twice",
        "each rung of a trade's ladder is booked as a trade of its own",
        (
            Change(
                "helpers.ledger",
                """        key = (fill.trade_id, fill.order_id)
        trade = account.trades.get(key)
""",
                """        key = (fill.trade_id + fill.status, fill.order_id)
        trade = account.trades.get(key)
""",
            ),
        ),
        frozenset({"positions_are_what_was_traded"}),
        1,
    ),
    Mutation(
        "supervisor_forgets",
        "a position whose market was not known once is never looked at again (I15)",
        (
            Change(
                "helpers.position_supervisor",
                "        if self._board.market(position.market) is None:\n",
                """        if key in self._over or self._board.market(position.market) is None:
            self._over[key] = None
""",
            ),
        ),
        frozenset({"positions_are_looked_after"}),
        0,
    ),
    Mutation(
        "halt_ends_with_the_process",
        "what an operator must end is forgotten at a start (I30)",
        (
            Change(
                "helpers.commands.operator_control",
                "        for held in self._state.standing:\n",
                "        for held in ():\n",
            ),
        ),
        frozenset({"no_entry_while_held", "no_entry_after_an_operators_halt"}),
        4,
    ),
    Mutation(
        "flatten_ends_with_the_process",
        "positions that were to be closed are left by the next start (I30)",
        (
            Change(
                "helpers.commands.operator_control",
                "        self._cut = self._state.flattening\n",
                "",
            ),
        ),
        frozenset({"a_cut_flatten_is_gone_on_with"}),
        16,
    ),
    Mutation(
        "mid_price",
        "paper trades at the middle of the book (I26)",
        (
            Change(
                "helpers.paper_liquidity",
                "            filled.append((price, part))\n",
                "            filled.append((price - 5_000 if buys else price + 5_000, part))\n",
            ),
        ),
        frozenset({"paper_fills_are_at_prices_shown"}),
        5,
    ),
    Mutation(
        "row_after_the_order",
        "an order is journalled when its answer is there (I20)",
        (
            Change(
                "helpers.clob_executor",
                """        outlet.write(now_ns, intent.market, row)
        ticket = outlet.start_sync()
""",
                "        ticket = row\n",
            ),
            Change(
                "helpers.clob_executor",
                """        await outlet.durable(ticket)
        reply = await self._gateway.post_order(signed)
""",
                """        reply = await self._gateway.post_order(signed)
        outlet.write(ticket.at_ns, ticket.intent_id.split("/")[0], ticket)
        await outlet.durable(outlet.start_sync())
""",
            ),
        ),
        frozenset({"rows_were_durable_before_the_order_left"}),
        0,
    ),
    Mutation(
        "no_taker_fee",
        "fills are booked without the venue's fee (I26)",
        (
            Change(
                "helpers.live.fills",
                "fee = market.fees.taker_fee_micros(part.shares_micros, part.price_micros)",
                "fee = 0",
            ),
        ),
        frozenset({"fills_keep_their_orders_limits", "the_ledger_equals_the_venue"}),
        0,
    ),
    Mutation(
        "deadline_is_lost",
        "the books taken over have no deadlines (I1)",
        (
            Change(
                "helpers.ledger",
                "            account.trades[fill.trade_id, fill.order_id] = LedgerTrade(fill)\n",
                """            from msgspec.structs import replace
            bare = replace(fill, deadline_ns=0)
            account.trades[fill.trade_id, fill.order_id] = LedgerTrade(bare)
""",
            ),
        ),
        frozenset({"positions_are_looked_after", "positions_have_owners"}),
        0,
    ),
)


def hunt(mutation: Mutation, runs: int) -> str:
    """Plant a bug in this process and play until it is found; empty when it never is."""
    plant(mutation)
    # Only now: these import what has the bug.
    from tests.chaos.worker import run_seed

    seen: set[str] = set()
    for seed in range(mutation.first_seed, mutation.first_seed + runs):
        violations = run_seed(seed).violations
        require_planted(mutation)
        names = {text.split(":")[0].split(" ")[-1] for text in violations}
        caught = names & mutation.invariants
        if caught:
            return f"by {', '.join(sorted(caught))}, seed {seed}"
        seen |= names
    sys.stderr.write(f"{mutation.name}: found only {sorted(seen)}\n")
    return ""


def hunt_in_child(mutation: Mutation) -> tuple[bool, str]:
    """Hunt in a process of its own; return whether it was caught, and what that process said."""
    command = [sys.executable, "-m", "tests.chaos.mutations", "--plant", mutation.name]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
    )
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def main(arguments: list[str]) -> int:
    """Plant all or one; return 1 when one was not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutations", description=__doc__)
    parser.add_argument("--plant", choices=[one.name for one in MUTATIONS], help="only this one")
    parser.add_argument("--runs", type=int, default=RUNS_MAXIMUM, help="seeds to try at most")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    if options.plant:
        [one] = [one for one in MUTATIONS if one.name == options.plant]
        how = hunt(one, options.runs)
        sys.stdout.write(f"{one.name}: {one.says}: {'caught ' + how if how else 'NOT CAUGHT'}\n")
        return 0 if how else 1
    began = time.perf_counter()
    caught = 0
    with ThreadPoolExecutor(options.processes) as pool:
        for found, text in pool.map(hunt_in_child, MUTATIONS):
            caught += found
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    seconds = time.perf_counter() - began
    sys.stdout.write(f"{caught}/{len(MUTATIONS)} caught in {seconds:.0f} s\n")
    return 0 if caught == len(MUTATIONS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
