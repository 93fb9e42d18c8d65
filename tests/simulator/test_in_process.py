"""The worker's flow in the simulated world: it warms up, trades, settles, and repeats itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from db.journal_reading import latest_run, read_journal
from helpers.domain import Asset, Decision, RunStopped
from helpers.settings import Settings
from simulator.in_process import InProcessReport, main, report_text, run_in_process
from simulator.market_model import ModelSettings
from simulator.world_settings import Latencies, WorldSettings

WORLD = WorldSettings(model=ModelSettings(warm_up_minutes=65, quotes_per_second=4.0))


def _settings(folder: Path, **more: object) -> Settings:
    chosen: dict[str, object] = {
        "assets": "BTC",
        "windows": "5m",
        "strategy": "momentum",
        "journal_directory": folder,
        "entry_stop_seconds": 60,
        "position_timeout_seconds": 30,
        **more,
    }
    return Settings.model_validate(chosen)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> InProcessReport:
    """Give one run of eight minutes: one window ends in it and is resolved."""
    settings = _settings(
        tmp_path_factory.mktemp("journal"), assets="ETH", hold_to_resolution="always"
    )
    return run_in_process(7, 8, settings, world_settings=WORLD, profile=True)


def test_a_paper_run_trades_and_settles(report: InProcessReport) -> None:
    """Orders fill, and what is held at the end of a window is paid at 0 or 1."""
    scorecard = report.flow.scorecard
    assert sum(scorecard.resolved.values()) >= 1
    assert sum(scorecard.settled.values()) >= 1
    ledger = report.flow.ledger.report()
    assert ledger.trades >= 1
    assert ledger.fees_micros > 0


def test_every_frame_is_understood(report: InProcessReport) -> None:
    """The worker's parsers can use all that is sent, but for what they ignore on purpose."""
    assert report.frames > 1_000
    unused = [name for name, _ in report.skipped if "ignored:" not in name]
    assert unused == []


def test_the_world_is_sound_after_a_run(report: InProcessReport) -> None:
    """Dollars and shares are conserved, and old windows are gone."""
    assert report.world.conserved_micros() == (0, 0)
    assert len(report.world.markets()) <= 5


def test_the_report_says_how_fast_and_where_the_time_went(report: InProcessReport) -> None:
    """Stages add up to the run, and the table names them."""
    assert sum(seconds for _, seconds in report.stages) == pytest.approx(report.wall_seconds)
    text = report_text(report, "TRIAL")
    for stage in ("parse", "board", "decide", "model", "exchange", "frames"):
        assert f"time in {stage}" in text
    assert "market-minutes" in text


def test_two_runs_of_one_seed_write_the_same_journal(tmp_path: Path) -> None:
    """Byte for byte; another seed or latency writes another."""
    written: list[bytes] = []
    for index, (seed, milliseconds) in enumerate(((3, 40), (3, 40), (4, 40), (3, 400))):
        settings = _settings(tmp_path / str(index))
        world = msgspec.structs.replace(
            WORLD, model=ModelSettings(warm_up_minutes=5, quotes_per_second=4.0)
        )
        latencies = Latencies(binance_ms=milliseconds)
        ran = run_in_process(seed, 1, settings, world_settings=world, latencies=latencies)
        parts = sorted(path for path in ran.run.rglob("*") if path.is_file())
        written.append(b"".join(path.read_bytes() for path in parts))
    assert len(written[0]) > 1_000
    assert written[0] == written[1]
    assert written[2] != written[0]
    assert written[3] != written[0]


def test_assets_and_windows_are_the_settings(tmp_path: Path) -> None:
    """Two assets in two lengths make four series, each with its markets."""
    settings = _settings(tmp_path, assets="BTC,ETH", windows="5m,15m")
    world = msgspec.structs.replace(WORLD, model=ModelSettings(warm_up_minutes=5))
    ran = run_in_process(5, 0.25, settings, world_settings=world)
    assert ran.market_minutes == 1.0
    assert {market.asset for market in ran.world.markets()} == {Asset.BTC, Asset.ETH}
    assert len(ran.flow.board.open_markets(ran.world.now_ns)) == 4
    with pytest.raises(ValueError, match="window"):
        run_in_process(5, 0.25, _settings(tmp_path / "long", windows="4h"))


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder of its own, with no setting but the assets and windows of the tests."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ASSETS", "BTC")
    monkeypatch.setenv("WINDOWS", "5m")
    return tmp_path


def test_the_command_keeps_the_journal_it_is_given(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the table says is what the journal holds, and the same seed says the same."""
    told: list[list[str]] = []
    for folder in ("one", "two"):
        options = ["--minutes", "0.5", "--seed", "3", "--journal", folder]
        assert main([*options, "--strategy", "momentum"]) == 0
        text = capsys.readouterr().out
        assert "SIMULATION, seed 3, with momentum" in text
        told.append([line for line in text.splitlines() if not line.startswith("speed")])
    assert told[0] == told[1]
    run = latest_run(plain / "one")
    assert run is not None
    rows = [record.body for record in read_journal(run)]
    counts = Counter(row.action.name for row in rows if isinstance(row, Decision))
    (line,) = [line for line in told[0] if line.startswith("decisions")]
    for action, count in counts.items():
        assert f"{action} {count}" in line
    assert isinstance(rows[-1], RunStopped)


def test_the_command_leaves_nothing_behind_and_shows_where_the_time_went(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a folder for it the journal is a temporary one."""
    assert main(["--minutes", "0.1", "--profile"]) == 0
    assert "time in decide" in capsys.readouterr().out
    assert list(plain.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "strategy", "code"),
    [
        ("WINDOWS", "4h", "momentum", 2),
        ("MODEL_DIRECTORY", "no-models", "rl", 66),
        ("TRADE_SIZE", "-1", "momentum", 78),
    ],
)
def test_what_cannot_run_says_why(
    variable: str,
    value: str,
    strategy: str,
    code: int,
    plain: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A window nobody simulates, a missing model and a wrong setting: an exit code and a reason."""
    monkeypatch.setenv(variable, value)
    assert main(["--minutes", "0.1", "--strategy", strategy]) == code
    assert capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_no_time_is_no_run(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused before anything is built."""
    with pytest.raises(SystemExit) as ended:
        main(["--minutes", minutes])
    assert ended.value.code == 2
    assert "--minutes" in capsys.readouterr().err
