"""Entry point: one verb, one file under helpers/commands. Without a verb it trades (on paper).

Must not: import a verb that was not asked for, so that `config` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import sys

from helpers.commands.verbs import VERBS, usage

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
        near = difflib.get_close_matches(verb, VERBS, n=1)
        meant = f" Did you mean '{near[0]}'?" if near else ""
        sys.stderr.write(f"worker.py: there is no verb '{verb}'.{meant}\n\n{usage()}")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
