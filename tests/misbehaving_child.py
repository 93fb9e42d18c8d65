"""A child process that does what no child should; ``condition_id`` of the request says what."""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from helpers.clob.account import AccountReply, AccountRequest


def main() -> None:
    """Read the request and misbehave."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=AccountRequest)
    key = request.identity.private_key
    match request.condition_id:
        case "mirror":
            # What others could see of the process, and what it was told.
            seen = f"argv {sys.orig_argv} environment {sorted(os.environ)} key {key}"
            reply = AccountReply("done", seen, values=(str(dict(os.environ)),))
            sys.stdout.buffer.write(msgspec.json.encode(reply))
        case "spill":
            sys.stderr.write(f"bad key {key} {key.upper()} relayer {request.identity.relayer_key}")
            sys.exit(3)
        case "half":
            sys.stdout.write('{"state":"done","deta')
        case "fail":
            raise ValueError(f"unforeseen, about {key}")
        case _:
            signal.pause()


main()
