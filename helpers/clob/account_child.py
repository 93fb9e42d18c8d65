"""The child of ``helpers.clob.account``: one request in, the official client's work, one reply out.

Must not: be imported by the worker.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Final

import msgspec
from polymarket import RelayerApiKey, SecureClient
from polymarket.environments import PRODUCTION, Environment, _create_environment
from polymarket.errors import (
    PolymarketError,
    RateLimitError,
    RequestRejectedError,
    TransactionFailedError,
    UserInputError,
)

from helpers.clob.account import AccountReply, AccountRequest
from helpers.venues import Venues

SURELY_NOT: Final = (RequestRejectedError, UserInputError, RateLimitError, TransactionFailedError)
"""Errors after which nothing was done; any other leaves the outcome unknown."""


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
    relayer = None
    if identity.relayer_key:
        relayer = RelayerApiKey(key=identity.relayer_key, address=identity.relayer_address)
    try:
        with SecureClient.create(
            private_key=identity.private_key,
            wallet=identity.wallet,
            environment=environment(identity.venues),
            api_key=relayer,
        ) as client:
            return OPERATIONS[request.operation](client, request)
    except SURELY_NOT as error:
        return AccountReply("refused", f"{type(error).__name__}: {error}")
    except PolymarketError as error:
        return AccountReply("unknown", f"{type(error).__name__}: {error}")


def _credentials(client: SecureClient, _request: AccountRequest) -> AccountReply:
    made = client.credentials
    return AccountReply("done", "credentials", values=(made.key, made.secret, made.passphrase))


def _approvals(client: SecureClient, _request: AccountRequest) -> AccountReply:
    missing = client.get_trading_approvals_state().missing
    names = tuple(
        f"{type(one).__name__} {one}"
        for field in dataclasses.fields(missing)
        for one in getattr(missing, field.name)
    )
    return AccountReply("done", f"{len(names)} missing", values=names)


def _approve(client: SecureClient, _request: AccountRequest) -> AccountReply:
    client.setup_trading_approvals().wait()
    return AccountReply("done", "approvals are set")


def _redeem(client: SecureClient, request: AccountRequest) -> AccountReply:
    handle = client.redeem_positions(condition_id=request.condition_id)
    return AccountReply("done", "redemption submitted", _identifier(handle))


def _merge(client: SecureClient, request: AccountRequest) -> AccountReply:
    handle = client.merge_positions(condition_id=request.condition_id, amount="max")
    return AccountReply("done", "merge submitted", _identifier(handle))


def _identifier(handle: object) -> str:
    found = getattr(handle, "transaction_id", None) or getattr(handle, "transaction_hash", "")
    return str(found)


OPERATIONS: Final[dict[str, Callable[[SecureClient, AccountRequest], AccountReply]]] = {
    "credentials": _credentials,
    "approvals": _approvals,
    "approve": _approve,
    "redeem": _redeem,
    "merge": _merge,
}


def main() -> int:
    """Read a request from standard input and write its reply to standard output."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=AccountRequest)
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
