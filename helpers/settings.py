"""One frozen object of every setting; the only reader of the environment.

Values come from the process environment, then from ``.env``, then from the defaults. A bad value
is told in one line that names the variable, what was found and what is allowed. Must not: print a
secret, in any text, ever (I35).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from helpers.domain import Asset
from helpers.settings_rules import contradiction
from helpers.settings_words import looks_like_ours, problem_line

EXIT_CONFIGURATION: Final = 78
"""sysexits' EX_CONFIG: the settings are wrong."""

WINDOW_SECONDS: Final = {"5m": 300, "15m": 900, "1h": 3600, "4h": 14400}
_OUTSIDE_URL: Final = re.compile(
    r"(https://[\w.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:\d{1,5})?(/[!-~]*)?", re.ASCII
)
_TOKEN: Final = re.compile(r"[!-~]{16,256}", re.ASCII)
_POSTGRES_URL: Final = re.compile(r"postgres(ql)?://[!-~]+", re.ASCII)

Window = Literal["5m", "15m", "1h", "4h"]
StrategyName = Literal["rl", "momentum", "mean_revert", "fade_spike", "fair_value", "random"]


class SettingsError(Exception):
    """The settings are wrong. ``lines`` say each: variable, found, allowed."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Settings(BaseSettings):
    """Every setting, its bounds and its default."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    live_enabled: bool = Field(False, description="Trade with real money. Paper otherwise.")

    live_ack: str = Field(
        "", max_length=64, description="The wallet's address, typed again, to arm live trading."
    )
    polymarket_private_key: SecretStr | None = Field(
        None, description="Key that signs orders: 64 hex digits. Needed to trade live."
    )
    polymarket_wallet: str = Field(
        "",
        pattern=r"^(0x[0-9a-fA-F]{40})?$",
        description="Address of the wallet that holds the money. Needed to trade live.",
    )
    polymarket_signature_type: Literal[0, 1, 2, 3] = Field(
        3, description="Kind of wallet: 0 EOA, 1 proxy, 2 Safe, 3 deposit wallet."
    )
    polymarket_relayer_key: SecretStr | None = Field(
        None, description="Relayer API key: redeems won positions without gas (types 1 to 3)."
    )
    polymarket_relayer_address: str = Field(
        "",
        pattern=r"^(0x[0-9a-fA-F]{40})?$",
        description="Address the relayer API key belongs to.",
    )

    assets: Annotated[tuple[Asset, ...], NoDecode] = Field(
        (Asset.BTC, Asset.ETH, Asset.SOL, Asset.XRP),
        min_length=1,
        max_length=8,
        description="Assets to trade, comma separated.",
    )
    windows: Annotated[tuple[Window, ...], NoDecode] = Field(
        ("15m",),
        min_length=1,
        max_length=4,
        description="Window lengths to trade, comma separated: 5m, 15m, 1h, 4h.",
    )
    strategy: StrategyName = Field("rl", description="The policy that decides.")
    shadow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        max_length=8,
        description="Strategies or model folders that decide beside it on paper, comma separated.",
    )
    model_directory: Path = Field(
        Path("models"), description="Weights, statistics and manifest of the rl policy."
    )
    model_backup_directory: Path = Field(
        Path("backups/models"), description="Where models go that were replaced."
    )
    random_seed: int = Field(7, ge=0, le=2**32 - 1, description="Seed of the random policy.")

    learn_interval_seconds: float = Field(
        5.0,
        ge=0.5,
        le=60,
        description="Longest the rl policy's choice stands in a market; a trigger ends it.",
    )
    train: bool = Field(
        False,
        description="Learn from what is traded on paper, by actions drawn from the policy's "
        "probabilities. Never with real money.",
    )
    trigger_bps: float = Field(
        1.0,
        ge=0.05,
        le=100,
        description="Move of the fast mid, in basis points, that calls for a decision at once.",
    )
    trade_size: float = Field(10.0, ge=1, le=1000, description="Dollars at full confidence.")
    execution_style: Literal["taker", "maker", "auto"] = Field(
        "taker",
        description="taker crosses the spread; maker rests a post-only bid; auto crosses only for "
        "an edge that pays fee and half-spread, else rests.",
    )
    maker_lifetime_seconds: float = Field(
        10.0, ge=1, le=300, description="How long a resting order lives."
    )
    slippage_ticks: int = Field(
        1, ge=0, le=10, description="Ticks beyond the best price a taker order may pay."
    )
    hold_to_resolution: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether positions wait for the pay-out. auto: as the strategy is made.",
    )

    entry_stop_seconds: float = Field(
        180, ge=1, le=14400, description="No entries this close to the end of a window."
    )
    position_timeout_seconds: float = Field(
        120, ge=0, le=14400, description="Positions are closed this long before the end."
    )
    maximum_position_age_seconds: float = Field(
        840, ge=10, le=14400, description="Positions are closed at this age."
    )
    book_age_degraded_seconds: float = Field(
        30, ge=1, le=600, description="No entries on a book older than this."
    )
    book_age_critical_seconds: float = Field(
        60, ge=2, le=1200, description="Positions are closed on a book older than this."
    )
    fast_age_seconds: float = Field(
        10, ge=0.5, le=600, description="No entries on a fast market older than this."
    )
    daily_loss_limit: float = Field(
        100, ge=1, le=1e6, description="Dollars lost in a UTC day that stop entries."
    )
    losing_streak_limit: int = Field(
        5, ge=1, le=100, description="Losing trades in a row that stop entries."
    )
    maximum_positions: int = Field(4, ge=1, le=64, description="Positions open at once.")
    maximum_exposure: float = Field(
        400, ge=1, le=1e6, description="Dollars in positions and entries in flight."
    )
    reject_streak_limit: int = Field(
        3, ge=1, le=100, description="Orders rejected in a row that stop entries."
    )
    order_rate_per_minute: int = Field(
        30, ge=1, le=600, description="Orders sent in any 60 seconds."
    )
    clock_skew_seconds: float = Field(
        2, ge=0.1, le=60, description="Venue clock against ours before entries stop."
    )
    reentry_cooldown_seconds: float = Field(
        30, ge=0, le=3600, description="Wait in a market after a position closed (I24)."
    )
    maximum_spread: float = Field(
        0.05, ge=0.001, le=0.5, description="Dollars between bid and ask for an entry."
    )
    minimum_price: float = Field(0.05, ge=0.001, le=0.5, description="Cheapest entry, dollars.")
    maximum_price: float = Field(0.95, ge=0.5, le=0.999, description="Dearest entry, dollars.")
    take_profit: float = Field(
        0.0, ge=0, le=20, description="Close at this gain over cost (0.75 = +75 %). 0: off."
    )
    stop_loss: float = Field(
        0.0, ge=0, le=1, description="Close at this loss over cost (0.35 = -35 %). 0: off."
    )
    exit_slippage: float = Field(
        0.10,
        ge=0.001,
        le=0.99,
        description="Dollars below the best bid that a forced exit may sell at, at most.",
    )
    resume_at_day_roll: bool = Field(
        False, description="A halt by the daily loss ends at UTC midnight, without an operator."
    )
    flatten_on_stop: bool = Field(
        False, description="Close every position when the worker stops. Off: the next start does."
    )

    paper_cash: float = Field(
        1000, ge=1, le=1e7, description="Dollars the first paper run starts with."
    )
    paper_carry_over: bool = Field(
        True, description="Go on with the cash and positions of the paper run before."
    )
    paper_latency_ms: int = Field(
        75, ge=0, le=5000, description="Paper order's way to the venue, milliseconds."
    )
    paper_taker_hold_ms: int = Field(
        150, ge=0, le=5000, description="How long the venue holds a crypto taker order."
    )
    paper_settlement_ms: int = Field(
        2000, ge=0, le=60000, description="From match to confirmed shares."
    )

    polymarket_api_key: SecretStr | None = Field(
        None, description="CLOB API key: opens the reference price stream (exact strikes)."
    )
    polymarket_api_secret: SecretStr | None = Field(None, description="Its secret.")
    polymarket_api_passphrase: SecretStr | None = Field(None, description="Its passphrase.")

    heartbeat_url: SecretStr | None = Field(
        None, description="Address pinged every minute while the worker decides; https."
    )
    discord_webhook_url: SecretStr | None = Field(
        None, description="Discord webhook that alerts are posted to; https."
    )
    dashboard_port: int = Field(
        8080, ge=0, le=65535, description="Port of dashboard, health and metrics. 0: off."
    )
    dashboard_host: str = Field(
        "127.0.0.1",
        pattern=r"^[A-Za-z0-9.:_-]{1,253}$",
        description="Address they are served on; any but this machine's own needs a token.",
    )
    dashboard_token: SecretStr | None = Field(
        None,
        description="What halt, resume and flatten ask for, and everything on another address: 16 "
        "characters or more.",
    )
    dashboard_open_metrics: bool = Field(
        False, description="/metrics answers without the token, for scrapers that cannot send one."
    )
    database: Literal["auto", "off"] = Field(
        "auto", description="auto: the journal is also carried into Postgres. off: it is not."
    )
    database_url: SecretStr | None = Field(
        None, description="Postgres server, postgresql://... Without it an embedded one is used."
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The same server without a pooler before it: for the lease and migrations.",
    )
    embedded_postgres_directory: Path = Field(
        Path("backups/postgres"), description="Data of the embedded Postgres."
    )
    database_detail_days: float = Field(
        3,
        ge=0.04,
        le=3650,
        description="Days that decisions and refusals stay in the database; trades stay for ever.",
    )
    record: bool = Field(False, description="Write every frame to a tape that replay can read.")
    tape_directory: Path = Field(Path("backups/tapes"), description="Where tapes go.")
    journal_directory: Path = Field(Path("backups/journal"), description="Where journals go.")
    log_directory: Path = Field(Path("logs"), description="Where worker.log goes.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe line shown."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON otherwise."
    )

    @field_validator("assets", "windows", "shadow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("assets", "windows", "shadow")
    @classmethod
    def _unique(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names something twice")
        return value

    @field_validator("shadow")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = (*get_args(StrategyName), "hold")
        for name in value:
            if name not in known and "/" not in name:
                raise ValueError(f"{name!r} is no strategy, nor a model's folder (with a /)")
        return value

    @field_validator("heartbeat_url", "discord_webhook_url")
    @classmethod
    def _private(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or _OUTSIDE_URL.fullmatch(value.get_secret_value()):
            return value
        raise ValueError("was not an https:// address (http:// only to this machine)")

    @field_validator("dashboard_token")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or _TOKEN.fullmatch(value.get_secret_value()):
            return value
        raise ValueError("was not 16 to 256 printable characters without a space")

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or _POSTGRES_URL.fullmatch(value.get_secret_value()):
            return value
        raise ValueError("was not a postgresql:// address")

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if problem := contradiction(self):
            raise ValueError(problem)
        return self

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for redaction only."""
        values = (getattr(self, name) for name in type(self).model_fields)
        found = [v.get_secret_value() for v in values if isinstance(v, SecretStr)]
        # A key is as secret without its prefix, an address without its host.
        parts = [secret.removeprefix("0x") for secret in found]
        parts += [match[4] for secret in found if (match := _OUTSIDE_URL.fullmatch(secret))]
        return tuple(dict.fromkeys((*found, *(part for part in parts if part))))

    def window_seconds(self) -> tuple[int, ...]:
        """Return the window lengths to trade, in seconds."""
        return tuple(WINDOW_SECONDS[window] for window in self.windows)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; keyword arguments win over the environment.

    Raises ``SettingsError`` with one line for each wrong value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = tuple(
            problem_line(detail, Settings.model_fields)
            for detail in error.errors(include_input=False)
        )
    raise SettingsError(lines)


def unknown_names(environment: Mapping[str, str | None] | None = None) -> tuple[str, ...]:
    """Return variables that look like ours but are not: a typo, most likely (I12).

    A platform passes every setting by environment, and a limit that is misspelt there is not set.
    """
    known = {name.upper() for name in Settings.model_fields}
    in_file = {name.upper() for name in dotenv_values(".env")}
    in_process = {
        name
        for name in (os.environ if environment is None else environment)
        if looks_like_ours(name, known)
    }
    return tuple(sorted((in_file | in_process) - known))


def no_colour() -> bool:
    """Say whether the user wants none anywhere (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def source_of(name: str) -> str:
    """Return where a setting's value came from: environment, .env or default."""
    variable = name.upper()
    if any(key.upper() == variable and value for key, value in os.environ.items()):
        return "environment"
    if any(key.upper() == variable and value for key, value in dotenv_values(".env").items()):
        return ".env"
    return "default"
