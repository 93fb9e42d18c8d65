"""The child of ``helpers.clob.account``: one request in, the official client's work, one reply out.

Must not: be imported by the worker, or put into words what it was told or was answered in secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
from polymarket import PublicClient, RelayerApiKey, SecureClient
from polymarket.environments import PRODUCTION, Environment, _create_environment
from polymarket.errors import (
    PolymarketError,
    RateLimitError,
    RequestRejectedError,
    SigningError,
    TransactionFailedError,
    UserInputError,
)

from helpers.clob.account import AccountIdentity, AccountReply, AccountRequest
from helpers.venues import Venues

SURELY_NOT: Final = (UserInputError, SigningError, RateLimitError, TransactionFailedError)
"""Errors after which nothing was done; a refused request's status tells, any other is unknown."""
CLIENT_ERRORS: Final = range(400, 500)
MAY_BE_DONE: Final = (408, 425)
"""Statuses of the 4xx that say nothing of what was done (reference B.4)."""
NO_ACCESS: Final = (401, 403)
GASLESS_OPERATIONS: Final = ("approve", "redeem", "merge")
NO_RELAYER_KEY: Final = (
    "POLYMARKET_RELAYER_KEY and POLYMARKET_RELAYER_ADDRESS are missing: a wallet of types 1 to 3 "
    "acts through the relayer"
)


def environment(venues: Venues) -> Environment:
    """Return the client's environment with our addresses: the real ones, or a simulated venue's.

    Built by the factory the package itself uses; it offers no public way to another host.
    """
    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=venues.clob_rest,
        gamma_url=venues.gamma_rest,
        data_url=venues.data_api_rest,
        relayer_url=venues.relayer_rest,
        rpc_url=venues.polygon_rpc,
    )
    return _create_environment(name="worker", config=config)


def answer(request: AccountRequest) -> AccountReply:
    """Carry out one request; every error of the client's is a reply."""
    identity = request.identity
    try:
        if request.operation == "approvals":
            return _approvals(identity)
        with SecureClient.create(
            private_key=identity.private_key,
            wallet=identity.wallet,
            environment=environment(identity.venues),
            api_key=_relayer_key(identity),
        ) as client:
            gasless = client.wallet_type != "EOA" and request.operation in GASLESS_OPERATIONS
            if gasless and not identity.relayer_key:
                return AccountReply("refused", NO_RELAYER_KEY)
            return OPERATIONS[request.operation](client, request)
    except PolymarketError as error:
        return AccountReply("refused" if surely_not(error) else "unknown", _words(error))


def surely_not(error: PolymarketError) -> bool:
    """Return whether an error says that nothing was done.

    A 5xx may follow the deed, and so may an error of the chain's node about a transaction it
    already knows (status 200 here): those are unknown, as for orders (I20).
    """
    if isinstance(error, RequestRejectedError):
        return error.status in CLIENT_ERRORS and error.status not in MAY_BE_DONE
    return isinstance(error, SURELY_NOT)


def _words(error: PolymarketError) -> str:
    return f"{type(error).__name__}: {error}"


def _relayer_key(identity: AccountIdentity) -> RelayerApiKey | None:
    if not identity.relayer_key:
        return None
    return RelayerApiKey(key=identity.relayer_key, address=identity.relayer_address)


def _credentials(client: SecureClient, _request: AccountRequest) -> AccountReply:
    made = client.credentials
    return AccountReply("done", "credentials", values=(made.key, made.secret, made.passphrase))


def _approvals(identity: AccountIdentity) -> AccountReply:
    # By the public client: to look is no reason to sign, log in or deploy anything.
    place = environment(identity.venues)
    with PublicClient(place) as client:
        missing = client.get_trading_approvals_state(wallet=identity.wallet).missing
    names = {
        str(address).lower(): field.name.removesuffix("_token").replace("_", " ")
        for field in dataclasses.fields(place._config)
        if isinstance(address := getattr(place._config, field.name), str)
    }
    pairs = [(one.token_address, one.spender) for one in missing.erc20]
    pairs += [(one.token_address, one.operator) for one in missing.erc1155]
    texts = tuple(
        f"{names.get(token.lower(), token)} for {names.get(spender.lower(), '')} {spender}"
        for token, spender in pairs
    )
    return AccountReply("done", f"{len(texts)} missing", values=texts)


def _approve(client: SecureClient, _request: AccountRequest) -> AccountReply:
    try:
        client.setup_trading_approvals().wait()
    except (RequestRejectedError, RateLimitError) as error:
        # It waits inside: this may be the answer to a look at what was already submitted.
        refused = isinstance(error, RequestRejectedError) and error.status in NO_ACCESS
        return AccountReply("refused" if refused else "unknown", _words(error))
    return AccountReply("done", "approvals are set")


def _redeem(client: SecureClient, request: AccountRequest) -> AccountReply:
    handle = client.redeem_positions(condition_id=request.condition_id)
    identifier = handle.transaction_id or handle.transaction_hash or ""
    return _submitted(request, "redemption", identifier, handle.wait)


def _merge(client: SecureClient, request: AccountRequest) -> AccountReply:
    handle = client.merge_positions(condition_id=request.condition_id, amount="max")
    identifier = handle.transaction_id or handle.transaction_hash or ""
    return _submitted(request, "merge", identifier, handle.wait)


def _submitted(
    request: AccountRequest, noun: str, identifier: str, wait: Callable[[], object]
) -> AccountReply:
    if not request.wait:
        return AccountReply("done", f"{noun} submitted", identifier)
    try:
        wait()
    except TransactionFailedError as error:
        return AccountReply("refused", _words(error), identifier)
    except PolymarketError as error:
        # Submitted, and then not seen: never "refused", whatever the look was answered.
        return AccountReply("unknown", f"{noun} {identifier}: {_words(error)}", identifier)
    return AccountReply("done", f"{noun} carried out", identifier)


OPERATIONS: Final[dict[str, Callable[[SecureClient, AccountRequest], AccountReply]]] = {
    "credentials": _credentials,
    "approve": _approve,
    "redeem": _redeem,
    "merge": _merge,
}


def _tell_the_place(
    kind: type[BaseException], _error: BaseException, trace: TracebackType | None
) -> None:
    # Kind and place only: the words of an unforeseen error may quote a key or an answer (I35).
    frames = traceback.extract_tb(trace)
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    sys.stderr.write(f"{kind.__name__} at {' < '.join(reversed(places[-3:]))}\n")


def main() -> int:
    """Read a request from standard input and write its reply to standard output."""
    sys.excepthook = _tell_the_place
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=AccountRequest)
    with contextlib.redirect_stdout(sys.stderr):  # The reply is all that standard output holds.
        reply = answer(request)
    sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
