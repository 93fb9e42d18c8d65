"""`worker.py approve`: let the venue's contracts move dollars and shares of the wallet, once asked.

Shows what is missing, asks for the wallet's last characters, sets it through the official client
and shows what is missing afterwards. Must not: approve anything unasked, or trade.
"""

from __future__ import annotations

import sys
from typing import Final, TextIO

from helpers.clob.account import (
    AccountDone,
    AccountIdentity,
    AccountOutcome,
    AccountRequest,
    run_account_operation,
)
from helpers.commands.arming import KINDS, NotArmedError, signer_of
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.verbs import verb_parser
from helpers.settings import EXIT_CONFIGURATION, Settings, SettingsError, load_settings
from helpers.venues import Venues

EOA: Final = 0
"""The signature type of a wallet that acts for itself (reference H.1)."""
EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 69
CHARACTERS_ASKED: Final = 4
LOOKS_AFTER: Final = 3
"""The venue's index learns of approvals a little after the chain; each look takes a second."""


def main(arguments: list[str]) -> int:
    """Set missing approvals; return 0, 2 when it was not confirmed, 69 or 78."""
    parser = verb_parser("approve")
    parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    warn_unknown_names()
    return approve(settings, Venues(), sys.stdin, sys.stdout)


def approve(settings: Settings, venues: Venues, answers: TextIO, out: TextIO) -> int:
    """Show, ask, approve and show again; return the exit code. Blocks."""
    try:
        identity = identity_for_approval(settings, venues)
    except NotArmedError as error:
        sys.stderr.write(f"worker.py approve: {error}.\nNothing was sent.\n")
        return EXIT_CONFIGURATION
    kind = settings.polymarket_signature_type
    out.write(f"wallet    {identity.wallet}, {KINDS[kind]}\n")
    missing = _missing(identity)
    if not isinstance(missing, tuple):
        return _could_not("read the approvals", missing)
    _show(missing, out)
    if not missing:
        return 0
    if kind == EOA:
        out.write("gas       paid by the wallet itself, in POL\n")
    if not _confirmed(identity.wallet, answers, out):
        out.write("Nothing was approved.\n")
        return EXIT_USAGE
    outcome = run_account_operation(AccountRequest(identity, "approve"))
    if not isinstance(outcome, AccountDone):
        return _could_not("approve", outcome)
    out.write(f"done      {outcome.detail}\n")
    return _look_after(identity, out)


def identity_for_approval(settings: Settings, venues: Venues) -> AccountIdentity:
    """Return who approves; raise ``NotArmedError`` naming the setting that is missing or wrong."""
    signer = signer_of(settings)
    key, relayer = settings.polymarket_private_key, settings.polymarket_relayer_key
    assert key is not None, "a signer was made of it"
    needs_relayer = signer.signature_type != EOA
    if needs_relayer and (relayer is None or not settings.polymarket_relayer_address):
        raise NotArmedError(
            "POLYMARKET_RELAYER_KEY and POLYMARKET_RELAYER_ADDRESS are needed: "
            f"{KINDS[signer.signature_type]} acts through the relayer (polymarket.com, Settings, "
            "API Keys)"
        )
    return AccountIdentity(
        private_key=key.get_secret_value(),
        wallet=signer.wallet,
        relayer_key=relayer.get_secret_value() if relayer is not None else "",
        relayer_address=settings.polymarket_relayer_address,
        venues=venues,
    )


def _missing(identity: AccountIdentity) -> tuple[str, ...] | AccountOutcome:
    outcome = run_account_operation(AccountRequest(identity, "approvals"))
    return outcome.values if isinstance(outcome, AccountDone) else outcome


def _show(missing: tuple[str, ...], out: TextIO) -> None:
    out.write(f"approvals {f'{len(missing)} missing' if missing else 'none missing'}\n")
    for one in missing:
        out.write(f"          {one}\n")


def _confirmed(wallet: str, answers: TextIO, out: TextIO) -> bool:
    out.write(
        "Each approval lets that contract of the venue move this wallet's dollars or shares, "
        "without a limit.\n"
        f"type the wallet's last {CHARACTERS_ASKED} characters to go on: "
    )
    out.flush()
    return answers.readline().strip().lower() == wallet[-CHARACTERS_ASKED:].lower()


def _look_after(identity: AccountIdentity, out: TextIO) -> int:
    missing: tuple[str, ...] = ()
    for _ in range(LOOKS_AFTER):
        found = _missing(identity)
        if not isinstance(found, tuple):
            return _could_not("read the approvals again", found)
        missing = found
        if not missing:
            break
    _show(missing, out)
    if missing:
        sys.stderr.write(
            "worker.py approve: the venue does not show all of them yet; look again.\n"
        )
        return EXIT_UNAVAILABLE
    return 0


def _could_not(what: str, outcome: AccountOutcome) -> int:
    assert not isinstance(outcome, AccountDone), "a done operation is no failure"
    word = type(outcome).__name__.removeprefix("Account").lower()
    sys.stderr.write(f"worker.py approve: could not {what} ({word}): {outcome.reason}\n")
    if word == "unknown" and what == "approve":
        sys.stderr.write("It may have been submitted. Run it again: what is set is skipped.\n")
    return EXIT_UNAVAILABLE
