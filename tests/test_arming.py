"""Nothing leaves this machine until everything was set on purpose; what is missing is named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from helpers.commands import run
from helpers.commands.arming import NotArmedError, arm
from helpers.settings import Settings, load_settings
from tests.test_clob_eip712 import EOA, KEY, WALLETS

ARMED: dict[str, Any] = {
    "live_enabled": True,
    "polymarket_private_key": SecretStr(KEY),
    "polymarket_wallet": WALLETS[3],
    "live_ack": WALLETS[3].lower(),
}


def settings(**changes: Any) -> Settings:
    return load_settings(_env_file=None, **{**ARMED, **changes})


def test_all_that_is_needed_arms() -> None:
    """The wallet's own signer and type; the acknowledgement's case does not matter."""
    signer = arm(settings())
    assert (signer.address, signer.wallet, signer.signature_type) == (EOA, WALLETS[3], 3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"live_enabled": False}, "LIVE_ENABLED is false"),
        ({"polymarket_private_key": None}, "POLYMARKET_PRIVATE_KEY is missing"),
        ({"polymarket_wallet": ""}, "POLYMARKET_WALLET is missing"),
        ({"live_ack": ""}, "LIVE_ACK"),
        ({"live_ack": WALLETS[0]}, "LIVE_ACK"),
        ({"live_ack": "yes"}, "LIVE_ACK"),
        ({"polymarket_private_key": SecretStr("12" * 31)}, "POLYMARKET_PRIVATE_KEY"),
        ({"polymarket_signature_type": 2}, "is a deposit wallet of that key: set it to 3"),
        (
            {
                "polymarket_api_key": SecretStr("k"),
                "polymarket_api_secret": SecretStr("not base64!"),
                "polymarket_api_passphrase": SecretStr("p"),
            },
            "POLYMARKET_API_SECRET",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named(changes: dict[str, Any], named: str) -> None:
    """One line that says which setting, and no secret in it."""
    with pytest.raises(NotArmedError, match=named) as caught:
        arm(settings(**changes))
    assert KEY[2:] not in str(caught.value)
    assert "not base64!" not in str(caught.value)


def test_the_worker_does_not_start_half_armed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 78, the name, and the way back to paper."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("LIVE_ENABLED", "true")
    assert run.main([]) == 78
    said = capsys.readouterr().err
    assert "POLYMARKET_PRIVATE_KEY is missing" in said
    assert "unset LIVE_ENABLED for paper" in said
