"""Every verb in one table: its group, what it is for, examples and exit codes; the help of all.

Text only, so that `--help` answers at once. Must not: import a verb.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from typing import Final, NamedTuple

WIDTH: Final = 80
GROUPS: Final = ("trade", "look", "intervene", "set up", "strategies")
EXITS: Final[Mapping[int, str]] = {
    0: "done, or stopped by the operator",
    1: "a worker did not answer or obey in time; or compare --margin was not met",
    2: "usage, not confirmed, or there is nothing yet to show",
    65: "the database's schema is not this build's",
    66: "a tape or a model cannot be read or used",
    69: "not available: no venue, no worker, no database, a check failed, a package is missing",
    70: "internal error, or stuck; journal, control log or model files cannot be used",
    75: "another worker trades here, or took the lease",
    78: "a setting is wrong or missing",
    130: "interrupted by ctrl-C where nothing had to be ended in order",
}
"""Stable; a shell shows 155 for a process that SIGPROF ended, stuck in native code."""


class Verb(NamedTuple):
    """What is told of a verb."""

    group: str
    summary: str
    about: str
    examples: tuple[str, ...]
    exits: tuple[int, ...]
    """That are the verb's own; 130 and 69 for a missing package are everybody's."""


VERBS: Final[Mapping[str, Verb]] = {
    "run": Verb(
        "trade",
        "trade on the live venues: paper unless LIVE_ENABLED=true (the default verb)",
        "Trade until stopped by ctrl-C or SIGTERM: on paper, or with real money once four "
        "settings arm it. A start after a crash is a start like any other.",
        ("worker.py", "ASSETS=BTC WINDOWS=5m worker.py run", "TRAIN=true worker.py run"),
        (0, 2, 65, 66, 69, 70, 75, 78),
    ),
    "demo": Verb(
        "trade",
        "trade against simulated venues on this machine: no account, no network",
        "Run the ordinary worker against simulated venues on loopback. Same seed, same run. Money "
        "and prices are invented: nothing here says what a strategy would earn.",
        ("worker.py demo", "worker.py demo --live --speed max --minutes 60 --faults random"),
        (0, 2, 66, 70, 75, 78),
    ),
    "status": Verb(
        "look",
        "say what the latest run is and does",
        "Say whether a worker runs, what holds its entries, its positions, today's profit and "
        "refusals. Without --mode or --demo: the latest run of all.",
        ("worker.py status", "worker.py status --watch", "worker.py status --mode live --json"),
        (0, 2, 65, 69, 70, 78),
    ),
    "markets": Verb(
        "look",
        "show the open markets: quotes, strike, fast price, time left",
        "Show the windows that are open in the latest run of a book, with what its last decision "
        "in each of them saw. Of a demo or a run that has ended: at its last moment.",
        ("worker.py markets", "worker.py markets --demo", "worker.py markets --json"),
        (0, 2, 65, 69, 70, 78),
    ),
    "trades": Verb(
        "look",
        "show round trips",
        "Show positions that were sold or settled, the newest last, and their sum.",
        ("worker.py trades --since 1d", "worker.py trades --mode live --last 200 --json"),
        (0, 2, 65, 69, 70, 78),
    ),
    "why": Verb(
        "look",
        "explain entries and refusals",
        "Say what was traded and refused, and why: what the policy saw, what was paid, the rule "
        "with its limit and what was found. Needs no database.",
        (
            "worker.py why --since 1h",
            "worker.py why --market btc-updown-5m-1774723500",
            "worker.py why --journal backups/journal/demo-paper --json",
        ),
        (0, 2, 70, 78),
    ),
    "report": Verb(
        "look",
        "write one HTML file: profit, execution, refusals, calibration, paper against live",
        "Write one HTML file of what a book did, which needs nothing else to be read.",
        ("worker.py report --since 7d", "worker.py report --mode live --out july.html"),
        (0, 2, 65, 69, 70, 78),
    ),
    "halt": Verb(
        "intervene",
        "no entries from now on, exits go on; a running worker obeys within a second",
        "Stop entries until you resume, over restarts. Positions keep their deadlines. Needs no "
        "key and no valid settings, and stops both modes unless --mode names one.",
        ('worker.py halt "odd fills"', "worker.py halt --mode live maintenance"),
        (0, 1, 2, 70, 78),
    ),
    "resume": Verb(
        "intervene",
        "end a halt, after showing what stands",
        "Show what halts the worker and end it. What still is wrong goes on holding entries.",
        ("worker.py resume", "worker.py resume --mode live"),
        (0, 1, 2, 70, 78),
    ),
    "flatten": Verb(
        "intervene",
        "close every position now, asking first; entries are halted",
        "Halt entries, sell every position at executable prices, and wait until nothing is left. "
        "Asks you to type the mode.",
        ("worker.py flatten", "worker.py flatten --mode live --yes-I-mean live"),
        (0, 1, 2, 69, 70, 78),
    ),
    "doctor": Verb(
        "set up",
        "look at everything a trade needs, and say how to mend what fails",
        "Look at clock, region, wallet, credentials, balance, approvals, market facts, a signed "
        "order that is not sent, model, journal, feeds, halts and database. Changes nothing.",
        ("worker.py doctor", "worker.py doctor --alert", "worker.py doctor --demo --json"),
        (0, 2, 69, 78),
    ),
    "config": Verb(
        "set up",
        "print the effective settings, secrets masked, and where each came from",
        "Print every setting as it is in force: value, source (environment, .env or default) and "
        "what is allowed.",
        ("worker.py config", "worker.py config --json"),
        (0, 2, 78),
    ),
    "approve": Verb(
        "set up",
        "let the venue's contracts move the wallet's dollars and shares, asking first",
        "Show which approvals the wallet lacks, ask for its last four characters, set them "
        "through the official client. Once for a new wallet.",
        ("worker.py approve",),
        (0, 2, 69, 78),
    ),
    "backtest": Verb(
        "strategies",
        "what strategies earn per window, on tapes or simulated, with intervals",
        "Trade tapes, or windows of the calibrated simulator, through the flow that trades, and "
        "say what each strategy earned per window, net, with 95 % intervals.",
        (
            "worker.py backtest backups/tapes/paper.jsonl.gz --strategy rl,momentum,hold",
            "worker.py backtest --simulated 60 --strategy fair_value,oracle --json",
        ),
        (0, 2, 66, 70, 78),
    ),
    "compare": Verb(
        "strategies",
        "say what one strategy earns more than another, with its interval",
        "Say what A earns more than B per window, paired: on tapes, on simulated windows, or with "
        "--sql from what a run and its shadows did (`compare A B --sql -h` for its options).",
        (
            "worker.py compare fair_value momentum --simulated 60",
            "worker.py compare momentum champion --sql --since 7d --margin 0.25",
        ),
        (0, 1, 2, 65, 66, 69, 70, 78),
    ),
    "train": Verb(
        "strategies",
        "learn a policy offline, in simulated markets or on tapes",
        "Learn with PPO from what the flow that trades does on paper. ctrl-C keeps what was "
        "learned, --resume goes on. Nothing trades by it until `models promote`.",
        ("worker.py train --steps 300000 --seed 1", "worker.py train --seed 1 --resume"),
        (0, 2, 66, 70, 78),
    ),
    "models": Verb(
        "strategies",
        "list the models, show one, promote one, bring back the one before",
        "Models are kept when they are replaced, verified when they are read, and exchanged "
        "between two decisions of a running worker, whose answer is waited for.",
        (
            "worker.py models list",
            "worker.py models promote backups/training/seed-1",
            "worker.py models rollback",
        ),
        (0, 1, 2, 66, 70, 78),
    ),
    "record": Verb(
        "strategies",
        "write the live feeds to a tape, trading nothing",
        "Write every frame of the live feeds to a tape that replay, backtest and train can read.",
        ("worker.py record --minutes 60",),
        (0, 2, 69, 70, 78),
    ),
    "replay": Verb(
        "strategies",
        "trade a recorded tape through the same flow, on a simulated clock",
        "Trade a tape as paper would have. Two replays of one tape write byte-identical journals.",
        ("worker.py replay backups/tapes/paper.jsonl.gz --strategy momentum --quiet",),
        (0, 2, 66, 70, 78),
    ),
}


def typed_number(text: str) -> float:
    """Return a number as typed; raises argparse's own error in words for anything else."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"was {text}, expected a number") from None


def verb_parser(verb: str, *, prog: str = "") -> argparse.ArgumentParser:
    """Return a verb's parser with its text, examples and exit codes."""
    told = VERBS[verb]
    return argparse.ArgumentParser(
        prog=prog or f"worker.py {verb}",
        description=textwrap.fill(told.about, WIDTH),
        epilog=_epilog(told),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _epilog(told: Verb) -> str:
    examples = "".join(f"  {one}\n" for one in told.examples)
    word = "examples" if len(told.examples) > 1 else "example"
    codes = "".join(
        textwrap.fill(f"{code:>3}  {EXITS[code]}", WIDTH, subsequent_indent=" " * 7,
                      initial_indent="  ") + "\n"
        for code in told.exits
    )  # fmt: skip
    return f"{word}:\n{examples}\nexit codes:\n{codes}"


def usage() -> str:
    """Return the help of `worker.py` itself: the verbs in their groups."""
    width = max(len(verb) for verb in VERBS)
    text = "usage: worker.py [verb] [options]     (worker.py VERB --help for a verb's options)\n"
    for group in GROUPS:
        text += f"\n{group}\n"
        for verb, told in VERBS.items():
            if told.group == group:
                text += f"  {verb:<{width}}  {told.summary}\n"
    return text + "\nexample:\n  worker.py demo --minutes 5\n"
