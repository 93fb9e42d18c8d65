"""Entry point: one verb, one file under helpers/commands. Without a verb it trades (on paper).

Must not: import a verb that was not asked for, so that `config` answers at once.
"""

from __future__ import annotations

import importlib
import sys

VERBS = {
    "demo": "trade against simulated venues on this machine: no account, no network",
    "run": "trade on the live venues: paper unless LIVE_ENABLED=true (the default verb)",
    "replay": "trade a recorded tape through the same flow, on a simulated clock",
    "backtest": "what strategies earn per window, on tapes or simulated, with intervals",
    "compare": "say what one strategy earns more than another, with its interval",
    "train": "learn a policy offline, in simulated markets or on tapes",
    "record": "write the live feeds to a tape, trading nothing",
    "status": "say what the latest run is and does",
    "trades": "show round trips",
    "report": "write one HTML file: profit, execution, refusals, calibration, paper against live",
    "why": "explain entries and refusals",
    "halt": "no entries from now on, exits go on; a running worker obeys within a second",
    "resume": "end a halt, after showing what stands",
    "flatten": "close every position now, asking first; entries are halted",
    "models": "list the models, show one, promote one, bring back the one before",
    "doctor": "look at everything a trade needs, and say how to mend what fails",
    "approve": "let the venue's contracts move the wallet's dollars and shares, asking first",
    "config": "print the effective settings, secrets masked, and where each came from",
}
EXIT_USAGE = 2
EXIT_MISSING_DEPENDENCY = 69
EXIT_INTERRUPTED = 130
"""As shells tell it: 128 + SIGINT."""


def main(arguments: list[str]) -> int:
    """Run one verb and return the exit code of the process."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("run", [])
    if verb in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0
    if verb not in VERBS:
        sys.stderr.write(f"worker.py: there is no verb '{verb}'.\n\n{usage()}")
        return EXIT_USAGE
    try:
        command = importlib.import_module(f"helpers.commands.{verb}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("helpers", "strategies", "db"):
            raise
        sys.stderr.write(
            f"worker.py: the package '{error.name}' is not installed. Run `uv run worker.py` "
            "(uv: `pip install uv`), which installs everything it needs.\n"
        )
        return EXIT_MISSING_DEPENDENCY
    try:
        return command.main(rest)
    except KeyboardInterrupt:
        # What trades or learns ends in order and does not come here.
        sys.stderr.write("\nworker.py: interrupted\n")
        return EXIT_INTERRUPTED


def usage() -> str:
    """Return the help text."""
    width = max(len(verb) for verb in VERBS)
    lines = [f"  {verb:<{width}}  {text}\n" for verb, text in VERBS.items()]
    head = "usage: worker.py [verb] [options]     (worker.py VERB --help for a verb's options)\n\n"
    return head + "".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
