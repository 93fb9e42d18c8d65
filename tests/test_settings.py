"""Settings: bounds, errors in one line, sources, and no secret in any text."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from helpers.settings import (
    Settings,
    SettingsError,
    load_settings,
    source_of,
    unknown_names,
)
from helpers.settings_words import bounds_of

CANARY = "canary-7f3a91c2d4"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults_are_paper_and_match_the_design() -> None:
    """The defaults are those of DESIGN section 5."""
    settings = load_settings()
    assert settings.live_enabled is False
    assert (settings.entry_stop_seconds, settings.position_timeout_seconds) == (180, 120)
    assert settings.maximum_position_age_seconds == 840
    assert (settings.book_age_degraded_seconds, settings.book_age_critical_seconds) == (30, 60)
    assert (settings.daily_loss_limit, settings.losing_streak_limit) == (100, 5)
    assert (settings.maximum_positions, settings.maximum_exposure) == (4, 400)
    assert (settings.reject_streak_limit, settings.clock_skew_seconds) == (3, 2)
    assert settings.reentry_cooldown_seconds == 30
    assert (settings.take_profit, settings.stop_loss) == (0, 0)
    assert settings.window_seconds() == (900,)


def test_every_number_has_bounds_and_every_setting_a_description() -> None:
    """No number is unbounded, no setting undocumented."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if str(field.annotation) in (str(int), str(float)):
            assert bounds_of(field), name


def test_environment_wins_over_file_and_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value's source is told truly."""
    from pathlib import Path

    Path(".env").write_text("TRADE_SIZE=20\nTRIGGER_BPS=3\n")
    monkeypatch.setenv("TRADE_SIZE", "30")
    settings = load_settings()
    assert (settings.trade_size, settings.trigger_bps) == (30, 3)
    assert source_of("trade_size") == "environment"
    assert source_of("trigger_bps") == ".env"
    assert source_of("assets") == "default"


def test_a_bad_value_is_told_in_one_line_with_name_bound_and_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each wrong value gives one line that names it and what is allowed."""
    monkeypatch.setenv("TRADE_SIZE", "0")
    monkeypatch.setenv("WINDOWS", "15m,7m")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    trade_size, windows = sorted(caught.value.lines)
    assert trade_size.startswith("TRADE_SIZE: ")
    assert "set it to 1 to 1000" in trade_size
    assert windows.startswith("WINDOWS: ")
    assert all("\n" not in line for line in caught.value.lines)


def test_entry_stop_must_come_before_position_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """I24: an entry window inside the forced-exit window is refused."""
    monkeypatch.setenv("ENTRY_STOP_SECONDS", "120")
    with pytest.raises(SettingsError, match="ENTRY_STOP_SECONDS must be more"):
        load_settings()


def test_half_a_credential_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts of a credential go together."""
    monkeypatch.setenv("POLYMARKET_API_KEY", CANARY)
    with pytest.raises(SettingsError, match="go together") as caught:
        load_settings()
    assert CANARY not in str(caught.value)


def test_lists_are_split_and_must_not_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASSETS and WINDOWS are comma separated and unique."""
    monkeypatch.setenv("ASSETS", "BTC, ETH")
    assert [asset.value for asset in load_settings().assets] == ["BTC", "ETH"]
    monkeypatch.setenv("ASSETS", "BTC,BTC")
    with pytest.raises(SettingsError, match="twice"):
        load_settings()


def test_no_secret_in_repr_dump_or_validation_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """I35: a secret does not show in repr, str, a dump or an error, even under a wrong name."""
    for part in ("KEY", "SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"POLYMARKET_API_{part}", CANARY)
    settings = load_settings()
    assert isinstance(settings.polymarket_api_secret, SecretStr)
    assert CANARY not in repr(settings) + str(settings) + str(settings.model_dump())
    assert settings.secrets() == (CANARY,)
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", f"0x{CANARY}")
    assert load_settings().secrets() == (f"0x{CANARY}", CANARY), "with and without its prefix"
    monkeypatch.setenv("TRADE_SIZE", CANARY)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert CANARY not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    """The object is frozen."""
    with pytest.raises(Exception, match="frozen"):
        load_settings().trade_size = 5  # pyright: ignore[reportAttributeAccessIssue]


def test_a_typo_of_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """I12: a name that looks like ours and is not one is told."""
    monkeypatch.setenv("TRADE_SIZES", "5")
    monkeypatch.setenv("HOMEBREW_PREFIX", "x")
    assert unknown_names() == ("TRADE_SIZES",)


@pytest.mark.parametrize(
    "name",
    [
        *("DAILY_LOSS_LIMT", "STOP_LOS", "SLIPPAGE_TICK", "LOSING_STREAK", "TAKE_PROFT"),
        *("LOG_LEVL", "TRADE_SIZ", "STRATEGI", "EXECUTION_STILE", "FAST_AGE_SECOND", "LIVE_ENABLE"),
    ],
)
def test_a_misspelt_name_is_noticed_whatever_it_begins_with(name: str) -> None:
    """DAILY_LOSS_LIMT=20 was a limit of 100, and nothing said so."""
    assert unknown_names({name: "1"}) == (name,)


OTHERS = [
    *("PATH", "HOME", "LANG", "LC_ALL", "LOGNAME", "USER", "SHELL", "TERM", "PWD", "OLDPWD"),
    *("SHLVL", "EDITOR", "PAGER", "MAIL", "TZ", "HOSTNAME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"),
    *("COLORTERM", "COLUMNS", "LINES", "DISPLAY", "TMPDIR", "PYTHONPATH", "PYTHONUNBUFFERED"),
    *("VIRTUAL_ENV", "UV_CACHE_DIR", "CI", "GITHUB_TOKEN", "NO_COLOR", "FORCE_COLOR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PGHOST", "PGPORT", "PGUSER", "PRIMARY_REGION"),
    *("FLY_APP_NAME", "FLY_MACHINE_ID", "FLY_REGION", "AWS_REGION", "LOG_DIR", "MODEL_DIR"),
    *("ORDER", "CLOCK", "RANDOM", "WINDOWID", "KUBERNETES_SERVICE_HOST", "HOLD", "STOP", "SEED"),
]
"""What a shell, a CI or a platform sets."""


def test_what_others_set_is_not_taken_for_ours() -> None:
    """A warning at every start would be read by nobody."""
    assert unknown_names(dict.fromkeys(OTHERS, "1")) == ()


def test_a_database_is_named_by_an_address_of_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both spellings; the value, which holds a password, is in no text (I35)."""
    for good in ("postgresql://ann:x@db/worker", "postgres://ann@[::1]:5432/w?sslmode=require"):
        monkeypatch.setenv("DATABASE_URL", good)
        assert good in load_settings().secrets()
    for bad in (f"mysql://ann:{CANARY}@db/worker", f"ann:{CANARY}@db", f"postgres://a b{CANARY}"):
        monkeypatch.setenv("DATABASE_URL", bad)
        with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
            load_settings()
        assert CANARY not in str(refused.value)


def test_a_direct_address_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same server's as DATABASE_URL's, so there must be one."""
    monkeypatch.setenv("DATABASE_DIRECT_URL", "postgresql://ann@db/worker")
    with pytest.raises(SettingsError, match="set both or none"):
        load_settings()


def test_a_misspelt_database_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """I12: the worker would use the embedded one, and nobody would look there."""
    monkeypatch.setenv("DATABASE_ULR", "postgresql://ann@db/worker")
    assert "DATABASE_ULR" in unknown_names()
