"""The lease in Postgres: one trader per wallet on all machines, lost with its connection (I31)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from db import postgres_lease as module
from db.file_lease import FileLease
from db.journal import Journal
from db.postgres_lease import PostgresLease, lock_key
from helpers.commands.guards import LEASE_LOOK_SECONDS, Guards, OneTrader
from helpers.commands.run import lease_for, with_journal
from helpers.domain import Mode
from helpers.lease import (
    Lease,
    LeaseError,
    LeaseHolder,
    Leases,
    LeaseTakenError,
    LeaseUnavailableError,
)
from helpers.settings import Settings, load_settings
from tests.db.proxy import proxied
from tests.db.serving import PACKAGES, ROOT, ask

ANN = LeaseHolder(4711, "ann", "2026-03-28T10:00:00.000Z")
BOB = LeaseHolder(4712, "bob", "2026-03-28T11:00:00.000Z")
WALLET = "0x" + "aB" * 20


async def acquire(lease: Lease, holder: LeaseHolder = ANN) -> Lease:
    """Take a lease as a start does: no loop of its own runs while it waits."""
    await asyncio.to_thread(lease.acquire, holder)
    return lease


async def release(lease: Lease) -> None:
    await asyncio.to_thread(lease.release)


def live(url: str, wallet: str = WALLET) -> PostgresLease:
    return PostgresLease(url, Mode.LIVE, wallet)


async def until(condition: Callable[[], object], seconds: float = 10) -> float:
    """Wait for something and return how long it took."""
    began = time.perf_counter()
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
    return time.perf_counter() - began


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is refused is told soon: nobody here was killed a moment ago, but where said."""
    monkeypatch.setattr(module, "TAKEN_TRIES", 2)
    monkeypatch.setattr(module, "TAKEN_PAUSE_SECONDS", 0.05)


async def test_a_second_trader_is_told_who_trades(database_url: str) -> None:
    """On any machine, whatever the case of the address; other wallets and modes are free."""
    first = await acquire(live(database_url))
    first.sign(LeaseHolder(ANN.pid, ANN.host, ANN.since, "000007_20260328T100000Z_live"))
    await asyncio.sleep(0.2)
    with pytest.raises(LeaseTakenError) as refused:
        await acquire(live(database_url, WALLET.upper().replace("X", "x")), BOB)
    assert "process 4711 on ann, 000007_20260328T100000Z_live" in str(refused.value)
    assert "0xABAB" in str(refused.value)
    others = (PostgresLease(database_url, Mode.PAPER, WALLET), live(database_url, "0x" + "11" * 20))
    for other in others:
        await release(await acquire(other))
    assert first.loss() == ""
    await release(first)
    second = await acquire(live(database_url), BOB)
    assert second.loss() == ""
    assert first.loss() == "it was given back"
    await release(second)
    await release(second)


async def test_a_lost_connection_is_a_lost_lease_at_once(database_url: str) -> None:
    """Before anybody else can have it; and it is never taken anew by itself."""
    async with proxied(database_url) as (url, proxy):
        lease = await acquire(live(url))
        await asyncio.sleep(module.ASK_SECONDS * 2)
        assert lease.loss() == ""
        proxy.cut()
        assert await until(lease.loss) < 2
        assert "the connection to Postgres was lost" in lease.loss()
        another = await acquire(live(database_url), BOB)
        await asyncio.sleep(module.ASK_SECONDS)
        assert "was lost" in lease.loss()
        await release(lease)
        assert another.loss() == ""
        await release(another)


async def test_a_session_that_the_server_ends_is_a_lost_lease(database_url: str) -> None:
    """A restart of the server, a fail-over, an administrator."""
    lease = await acquire(live(database_url))
    await ask(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'trader %' AND datname = current_database()",
    )
    assert await until(lease.loss) < 2
    await release(lease)


async def test_a_silent_cut_is_noticed_before_the_server_gives_the_lock_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets vanish: not to know is not to hold it (I18). The server waits longer than we do."""
    keepalive = dict(module.SERVER_NOTICES)
    server_seconds = int(keepalive["tcp_keepalives_idle"])
    assert server_seconds > 2 * module.UNHEARD_SECONDS > 2 * module.ANSWER_SECONDS
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    async with proxied(database_url) as (url, proxy):
        lease = await acquire(live(url))
        proxy.go_silent()
        assert await until(lease.loss) < 3
        with pytest.raises(LeaseTakenError):
            await acquire(live(database_url), BOB)
        proxy.go_on()
        await asyncio.sleep(module.ASK_SECONDS)
        assert lease.loss()
        await release(lease)


async def test_a_short_silence_is_borne(database_url: str) -> None:
    """A second's hiccup of a network ends no run: the lock is held all the while."""
    async with proxied(database_url) as (url, proxy):
        lease = await acquire(live(url))
        proxy.go_silent()
        await asyncio.sleep(1.0)
        proxy.go_on()
        await asyncio.sleep(module.ASK_SECONDS * 2)
        assert lease.loss() == ""
        await release(lease)


async def test_a_process_that_stood_still_does_not_trust_what_it_knew(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread did not ask either: what counts is when the server last said so."""
    lease = await acquire(live(database_url))
    later = time.perf_counter() + module.UNHEARD_SECONDS + 1
    monkeypatch.setattr(module, "system_seconds", lambda: later)
    assert "did not confirm it for" in lease.loss()
    await release(lease)


async def test_asking_never_waits(database_url: str) -> None:
    """Asked twice a second on the trading loop, also while the server is silent."""
    async with proxied(database_url) as (url, proxy):
        lease = await acquire(live(url))
        proxy.go_silent()
        began = time.perf_counter()
        for _ in range(1000):
            lease.loss()
        assert time.perf_counter() - began < 0.5
        proxy.go_on()
        await release(lease)


async def test_a_pooler_is_refused(database_url: str) -> None:
    """Behind it the lock would be on a session that others use, and held by nobody."""
    async with proxied(database_url) as (url, proxy):
        proxy.invents_process_ids = True
        with pytest.raises(LeaseError, match="DATABASE_DIRECT_URL"):
            await acquire(live(url))


async def test_no_server_is_no_lease(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Nobody knows who trades then; no password in the text, and the wait is bounded."""
    with pytest.raises(LeaseUnavailableError, match="is away") as refused:
        await acquire(live("postgresql://ann:hunter2@127.0.0.1:1/none"))
    assert "hunter2" not in str(refused.value)
    monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.3)
    async with proxied(database_url) as (url, proxy):
        proxy.go_silent()
        lease = live(url)
        with pytest.raises(LeaseUnavailableError, match="no answer in"):
            await acquire(lease)
        proxy.go_on()
        await asyncio.sleep(0.2)
    # Late as it was, it does not keep what it was given up for.
    await release(await acquire(live(database_url), BOB))


async def test_the_lease_of_a_killed_process_is_free_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start waits a moment for the server to notice, and has it."""
    monkeypatch.setattr(module, "TAKEN_TRIES", 10)
    code = (
        "import os, sys; from db.postgres_lease import PostgresLease; "
        "from helpers.domain import Mode; from helpers.lease import LeaseHolder; "
        f"PostgresLease(sys.argv[1], Mode.LIVE, '{WALLET}').acquire(LeaseHolder(1, 'h', 's')); "
        "print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, database_url],
        cwd=ROOT,
        env={"PYTHONPATH": PACKAGES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == b"held\n"
        os.kill(child.pid, signal.SIGKILL)
        await release(await acquire(live(database_url), BOB))


def test_locks_of_modes_and_wallets_differ() -> None:
    """One number each, which fits a lock's key."""
    keys = {lock_key(mode, wallet) for mode in Mode for wallet in (WALLET, "0x" + "11" * 20)}
    assert len(keys) == 2 * len(Mode)
    assert all(0 <= key < 2**63 for key in keys)


# --- Beside the lease of this machine, in a run -----------------------------------------------


def settings_of(folder: Path, url: str, **more: Any) -> Settings:
    return load_settings(
        _env_file=None,
        journal_directory=folder / "journal",
        log_directory=folder / "logs",
        database_url=SecretStr(url),
        **more,
    )


async def test_with_a_database_both_leases_are_held(database_url: str, tmp_path: Path) -> None:
    """The file's, which needs no network, and the one that other machines see."""
    settings = settings_of(tmp_path, database_url)
    both = await acquire(lease_for(settings, Mode.LIVE, WALLET))
    with pytest.raises(LeaseTakenError, match="JOURNAL_DIRECTORY"):
        FileLease(settings.journal_directory, Mode.LIVE).acquire(BOB)
    with pytest.raises(LeaseTakenError, match="with this database"):
        await acquire(live(database_url), BOB)
    assert both.loss() == ""
    (settings.journal_directory / "trader_live.lock").unlink()
    assert "removed or replaced" in both.loss()
    await release(both)
    await release(await acquire(live(database_url), BOB))


async def test_whoever_is_refused_one_holds_none(database_url: str, tmp_path: Path) -> None:
    """A second machine's folder is free again when its start was refused."""
    first = await acquire(live(database_url))
    settings = settings_of(tmp_path, database_url)
    with pytest.raises(LeaseTakenError):
        await acquire(lease_for(settings, Mode.LIVE, WALLET), BOB)
    FileLease(settings.journal_directory, Mode.LIVE).acquire(BOB)
    await release(first)


def test_without_a_database_the_file_alone_is_held(tmp_path: Path) -> None:
    """Nothing else is known of then."""
    settings = load_settings(_env_file=None, journal_directory=tmp_path, database_url=None)
    assert isinstance(lease_for(settings, Mode.LIVE, WALLET), FileLease)


async def test_the_direct_address_is_the_leases(tmp_path: Path, database_url: str) -> None:
    """DATABASE_URL may be a pooler's then."""
    settings = settings_of(
        tmp_path, "postgresql://pooler.invalid/x", database_direct_url=SecretStr(database_url)
    )
    lease = await acquire(lease_for(settings, Mode.LIVE, WALLET))
    assert isinstance(lease, Leases)
    await release(lease)


async def test_a_second_worker_on_another_machine_exits_75(
    database_url: str, tmp_path: Path
) -> None:
    """Refused before anything of a run exists."""

    def never(_journal: Journal, _guards: Guards) -> int:
        raise AssertionError("it trades")

    first = await acquire(live(database_url))
    settings = settings_of(tmp_path, database_url)
    lease = lease_for(settings, Mode.LIVE, WALLET)
    found = await asyncio.to_thread(with_journal, settings, Mode.LIVE, 1, never, lease=lease)
    assert found == 75
    await release(first)


async def test_without_the_server_a_run_begins_and_enters_nothing(tmp_path: Path) -> None:
    """I1: positions need their supervisor also while nobody knows who may trade."""

    def missing(_journal: Journal, guards: Guards) -> int:
        with pytest.raises(LeaseTakenError):
            FileLease(away.journal_directory, Mode.LIVE).acquire(BOB)
        return 11 if "is away" in guards.lease_missing else 12

    away = settings_of(tmp_path, "postgresql://ann@127.0.0.1:1/none")
    lease = lease_for(away, Mode.LIVE, WALLET)
    assert await asyncio.to_thread(with_journal, away, Mode.LIVE, 1, missing, lease=lease) == 11


async def test_a_lost_lease_is_retaken_unless_another_worker_has_it(
    database_url: str, tmp_path: Path
) -> None:
    """Entries stop within a look of the cut, and go on when the lock is ours again (I31)."""
    async with proxied(database_url) as (url, proxy):
        settings = settings_of(tmp_path, url)
        lease = await acquire(lease_for(settings, Mode.LIVE, WALLET))
        told: list[str] = []
        trader = OneTrader(told.append, lambda: told.append("ours"), told.append)
        guards = Guards(settings, lease, lambda _why: None)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(guards.watch((), lambda _why: None, trader))
            await asyncio.sleep(LEASE_LOOK_SECONDS)
            proxy.cut()
            assert await until(lambda: told) < LEASE_LOOK_SECONDS + 0.5
            assert "connection to Postgres was lost" in told[0]
            await until(lambda: "ours" in told)
            assert lease.loss() == ""
            proxy.accepts = False
            proxy.cut()
            await until(lambda: len(told) == 3)
            another = await acquire(live(database_url), BOB)
            proxy.accepts = True
            await until(lambda: len(told) == 4)
            watching.cancel()
        assert "process 4712 on bob" in told[-1]
        await release(another)
        guards.__exit__()
