"""fly.toml: every key is one that Fly documents, and what it says fits the worker.

The keys are those of https://fly.io/docs/reference/configuration/ (read from superfly/docs,
``reference/configuration.html.markerb``) and of flyctl's own reader (superfly/flyctl,
``internal/appconfig/config.go`` and ``toplevelcheck.go``), by which ``fly config validate
--strict`` refuses a name it does not know. flyctl itself lets such a name pass without
``--strict``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.dockerfile import read_instructions, read_stages
from helpers.settings import SettingsError, load_settings, unknown_names
from helpers.watchdog import STOP_LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "fly.toml").read_text()
FLY = tomllib.loads(TEXT)

DURATION = re.compile(r"\d+(ms|s|m|h)([0-9]+(ms|s|m))*")
SIZE = re.compile(r"\d+ ?(mb|gb|MB|GB)?")
VM_SIZES = re.compile(r"(shared-cpu-[1248]x|performance-(1|2|4|8|16)x)")
SERVED = frozenset({"arn", "bom", "gru", "jnb", "nrt"})
"""Fly's other regions in September 2026; `fly platform regions` lists today's."""
NOT_SERVED = frozenset(
    {
        *("ams", "cdg", "dfw", "ewr", "fra", "iad", "lax"),
        *("lhr", "ord", "sin", "sjc", "syd", "yyz"),
    }
)
"""In the US, United Kingdom, Netherlands, France, Germany, Australia, Singapore and Ontario, which
https://docs.polymarket.com/api-reference/geoblock lists."""

Check = Callable[[Any], bool]


def one_of(*allowed: str) -> Check:
    """Return a check for an enumeration."""
    return lambda value: value in allowed


def text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def port(value: Any) -> bool:
    return number(value) and 1 <= value <= 65535


def duration(value: Any) -> bool:
    """Say whether it is a time: with a unit, or a number of milliseconds."""
    return number(value) or (text(value) and DURATION.fullmatch(value) is not None)


def kill_timeout(value: Any) -> bool:
    return number(value) and 1 <= value <= 300


def size(value: Any) -> bool:
    return number(value) or (text(value) and SIZE.fullmatch(value) is not None)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(text(one) for one in value)


def pairs(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def variables(value: Any) -> bool:
    return pairs(value) and not any(name.startswith("FLY_") for name in value)


BUILD: dict[str, Check] = {
    **dict.fromkeys(("builder", "image", "dockerfile", "ignorefile", "build-target"), text),
    "buildpacks": texts,
    "args": pairs,
}
DEPLOY: dict[str, Check] = {
    "strategy": one_of("rolling", "immediate", "canary", "bluegreen"),
    "max_unavailable": lambda value: isinstance(value, (int, float)) and value > 0,
    "release_command": text,
    "release_command_timeout": duration,
    "wait_timeout": duration,
}
MOUNT: dict[str, Check] = {
    "source": text,
    "destination": lambda value: text(value) and value != "/",
    "initial_size": size,
    "snapshot_retention": lambda value: number(value) and 1 <= value <= 60,
    "auto_extend_size_threshold": lambda value: number(value) and 0 < value < 100,
    "auto_extend_size_increment": size,
    "auto_extend_size_limit": size,
    "processes": texts,
}
RESTART: dict[str, Check] = {
    "policy": one_of("always", "never", "on-failure"),
    "retries": number,
    "processes": texts,
}
TOP_CHECK: dict[str, Check] = {
    "type": one_of("http", "tcp"),
    "port": port,
    **dict.fromkeys(("interval", "timeout", "grace_period"), duration),
    "method": lambda value: text(value) and value.upper() in ("GET", "HEAD", "POST"),
    "path": lambda value: text(value) and value.startswith("/"),
    "protocol": one_of("http", "https"),
    "tls_skip_verify": flag,
    "tls_server_name": text,
    "headers": pairs,
    "processes": texts,
}
METRICS: dict[str, Check] = {"port": port, "path": text, "https": flag, "processes": texts}
VM: dict[str, Check] = {
    "size": lambda value: text(value) and VM_SIZES.fullmatch(value) is not None,
    "memory": size,
    "cpus": lambda value: value in (1, 2, 4, 8, 16),
    "cpu_kind": one_of("shared", "performance"),
    "kernel_args": text,
    "host_dedication_id": text,
    "processes": texts,
}
SCALARS: dict[str, Check] = {
    "app": lambda value: text(value) and re.fullmatch(r"[a-z0-9-]+", value) is not None,
    "primary_region": lambda value: value in SERVED | NOT_SERVED,
    "kill_signal": one_of(
        "SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"
    ),
    "kill_timeout": kill_timeout,
    "swap_size_mb": number,
    "console_command": text,
    "env": variables,
    "processes": pairs,
}
TABLES: dict[str, dict[str, Check]] = {"build": BUILD, "deploy": DEPLOY}
LISTS: dict[str, dict[str, Check]] = {
    "mounts": MOUNT,
    "restart": RESTART,
    "metrics": METRICS,
    "vm": VM,
}
"""Each may also be written as one table."""
NEEDED = {"mounts": {"source", "destination"}, "checks": {"type", "port"}}


def problems(fly: dict[str, Any]) -> Iterator[str]:
    """Yield what Fly would not know, or not take."""
    for name, value in fly.items():
        if name in SCALARS:
            if not SCALARS[name](value):
                yield f"{name} was {value!r}"
        elif name in TABLES:
            yield from _table(name, value, TABLES[name])
        elif name in LISTS:
            for one in value if isinstance(value, list) else [value]:
                yield from _table(name, one, LISTS[name])
        elif name == "checks":
            for label, one in value.items():
                yield from _table(f"checks.{label}", one, TOP_CHECK)
        else:
            yield f"{name} is no section of fly.toml"
    groups = set(fly.get("processes", {"app": ""}))
    for name in (*LISTS, "checks"):
        found = fly.get(name, [])
        entries = found if isinstance(found, list) else [found]
        for entry in entries if name != "checks" else list(fly.get("checks", {}).values()):
            yield from (
                f"{name}: {group} is no process group"
                for group in entry.get("processes", [])
                if group not in groups
            )


def _table(name: str, table: Any, known: dict[str, Check]) -> Iterator[str]:
    for key, value in table.items():
        if key not in known:
            yield f"{name}.{key} is no key of fly.toml"
        elif not known[key](value):
            yield f"{name}.{key} was {value!r}"
    for key in NEEDED.get(name.split(".")[0], set()) - set(table):
        yield f"{name}.{key} is missing"


def test_every_key_is_documented_and_every_value_allowed() -> None:
    """A typo is told here, and not by a trader that is killed after 5 s."""
    assert list(problems(FLY)) == []


@pytest.mark.parametrize(
    ("sound", "broken", "finding"),
    [
        ("kill_timeout = 60", "kill_timout = 60", "kill_timout is no section"),
        ("kill_timeout = 60", "kill_timeout = 301", "kill_timeout was 301"),
        ('kill_signal = "SIGTERM"', 'kill_signal = "TERM"', "kill_signal was"),
        ('primary_region = "arn"', 'primary_region = "xxx"', "primary_region was"),
        ('strategy = "rolling"', 'strategy = "blue-green"', "deploy.strategy was"),
        ("release_command", "release_comand", "deploy.release_comand is no key"),
        ('DASHBOARD_PORT = "8080"', "DASHBOARD_PORT = 8080", "env was"),
        ('DASHBOARD_PORT = "8080"', 'FLY_PORT = "8080"', "env was"),
        ('destination = "/app/backups"', 'destination = "/"', "mounts.destination was"),
        ('source = "backups"\n', "", "mounts.source is missing"),
        ('policy = "on-failure"', 'policy = "sometimes"', "restart.policy was"),
        ('type = "http"', 'type = "https"', "checks.live.type was"),
        ('interval = "15s"', 'interval = "15 seconds"', "checks.live.interval was"),
        ('path = "/livez"', 'path = "/livez"\n  restart_limit = 3', "restart_limit is no key"),
        ('size = "shared-cpu-2x"', 'size = "shared-cpu-3x"', "vm.size was"),
        ('worker = "python', 'trader = "python', "worker is no process group"),
    ],
)
def test_each_kind_of_mistake_is_found(sound: str, broken: str, finding: str) -> None:
    """The check itself can fail."""
    changed = TEXT.replace(sound, broken)
    assert changed != TEXT
    assert any(finding in one for one in problems(tomllib.loads(changed)))


def test_one_trader_and_nothing_public() -> None:
    """One group with a volume is one machine; no deploy runs old and new together (I31)."""
    assert list(FLY["processes"]) == ["worker"]
    assert [mount["processes"] for mount in FLY["mounts"]] == [["worker"]]
    assert FLY["deploy"]["strategy"] == "rolling"
    assert {"http_service", "services"} & set(FLY) == set()


def test_the_platform_waits_longer_than_a_stop_takes() -> None:
    """SIGTERM, and no SIGKILL before the watchdog itself would end what is stuck (I32)."""
    assert FLY["kill_signal"] == "SIGTERM"
    assert FLY["kill_timeout"] >= STOP_LIMIT_SECONDS + 5


def test_the_region_is_one_that_the_venue_serves() -> None:
    """A block is obeyed (I11), so the default must not be one."""
    assert FLY["primary_region"] in SERVED


def test_the_volume_holds_what_must_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Journal, database, models, tapes and logs lie on the volume, not on the machine's disk."""
    final = read_stages(read_instructions((ROOT / "Dockerfile").read_text()))[-1]
    image = {k: v for step in final.steps if step.keyword == "ENV" for k, v in step.pairs().items()}
    for name, value in image.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(_env_file=None)
    mount = Path(FLY["mounts"][0]["destination"])
    for folder in (
        settings.journal_directory,
        settings.embedded_postgres_directory,
        settings.model_directory,
        settings.model_backup_directory,
        settings.tape_directory,
        settings.log_directory,
    ):
        assert (Path("/app") / folder).is_relative_to(mount), folder


def test_paper_unless_a_secret_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file arms nothing, and names only settings that exist."""
    assert FLY["env"]["LIVE_ENABLED"] == "false"
    for name, value in FLY["env"].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="DASHBOARD_TOKEN"):
        load_settings(_env_file=None)  # the page must not stand open: docs/deploy.md sets it first
    monkeypatch.setenv("DASHBOARD_TOKEN", "t" * 48)
    assert not load_settings(_env_file=None).live_enabled
    assert set(unknown_names(FLY["env"])) == set()


def test_checks_and_metrics_ask_the_port_the_worker_listens_on() -> None:
    """One port, the setting's."""
    ports = {FLY["checks"]["live"]["port"], *(one["port"] for one in FLY["metrics"])}
    assert ports == {int(FLY["env"]["DASHBOARD_PORT"])}
    assert FLY["checks"]["live"]["path"] == "/livez"


def test_commands_are_files_of_this_project() -> None:
    """The release command and the process start what is there."""
    assert FLY["processes"]["worker"] == "python worker.py"
    words = FLY["deploy"]["release_command"].split()
    assert words[:2] == ["python", "-m"]
    assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file()
