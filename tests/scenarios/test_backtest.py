"""`worker.py backtest` as a user runs it: the flow that trades, its profit, and no look ahead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.commands import backtest
from helpers.commands.contenders import Contender, ContenderError, contenders_of, parse_strategies
from helpers.commands.evaluating import EvaluationSettings, Field, evaluate_tape
from helpers.commands.replay import main as replay
from helpers.domain import Action, Body, Decision, MarketState, RoundTrip
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from helpers.tape import TapeFrame, read_tape
from strategies.base import ModelError
from strategies.baseline import Baseline, Judgement
from strategies.catalogue import STRATEGY_NAMES
from tests.scenarios.tapes import OPENS, SLUG, frames, write_tape
from tests.scenarios.test_replay import bodies, run

MODELS = Path(__file__).resolve().parents[2] / "models"
CHANGE = OPENS + 300.0
"""Second from which on a tape's future is changed."""
Rows = list[tuple[float, str, str]]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MODEL_DIRECTORY", str(MODELS))


class Rower:
    """An outlet that keeps what it hears."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, Body]] = []

    def write(self, at_ns: int, market: str, body: Body) -> None:
        self.rows.append((at_ns, market, body))

    def commit(self) -> None: ...


def rows_of(tape: Path, strategies: Sequence[str]) -> dict[str, list[tuple[int, str, Body]]]:
    """Play a tape to strategies; return everything each flow told."""
    heard = {name: Rower() for name in strategies}
    named = [(name, Contender(name, "taker")) for name in strategies]
    options = EvaluationSettings(allow_cold=True)
    evaluate_tape(tape, named, load_settings(), options, lambda name: (heard[name],))
    return {name: rower.rows for name, rower in heard.items()}


# --- No look ahead --------------------------------------------------------------------------------


def late(rows: Rows) -> Rows:
    """Return a future that comes three seconds later."""
    return [row if row[0] < CHANGE else (row[0] + 3.0, *row[1:]) for row in rows]


def gone(rows: Rows) -> Rows:
    """Return no future at all but one last frame."""
    return [row for row in rows if row[0] < CHANGE] + [(CHANGE + 1.0, *rows[0][1:])]


def other(rows: Rows) -> Rows:
    """Return a future in which the fast price rises by some percent, where it fell."""
    return [
        (at, source, re.sub(r'"([ab])": "8\d', r'"\1": "86', raw))
        if at >= CHANGE and source == "binance.public"
        else (at, source, raw)
        for at, source, raw in rows
    ]


def before_the_change(rows: Sequence[tuple[int, str, Body]]) -> list[tuple[int, str, Body]]:
    return [row for row in rows if row[0] < round(CHANGE * 1e9)]


@pytest.mark.parametrize("change", [late, gone, other])
def test_a_changed_future_changes_nothing_before_it(
    change: Callable[[Rows], Rows], tmp_path: Path
) -> None:
    """Every strategy tells the same, to the last bit, until the moment the tapes part."""
    plain = frames()
    told = rows_of(write_tape(tmp_path / "a.jsonl.gz", plain), STRATEGY_NAMES)
    changed = rows_of(write_tape(tmp_path / "b.jsonl.gz", change(plain)), STRATEGY_NAMES)
    for name in STRATEGY_NAMES:
        past = before_the_change(told[name])
        assert sum(isinstance(body, Decision) for _, _, body in past) >= 600
        assert past == before_the_change(changed[name]), name
        assert told[name] != changed[name], name


class Peeker(Baseline):
    """Buys when the tape's price will be higher ten seconds from now."""

    name = "peeker"

    def __init__(self, tape: Sequence[TapeFrame]) -> None:
        self._prices = [
            (frame.received_ns, float(json.loads(frame.raw)["data"]["b"]))
            for frame in tape
            if frame.source_text == "binance.public"
        ]

    def judge(self, state: MarketState) -> Judgement:
        at_ns = state.snapshot.now_ns + 10_000_000_000
        price = next((price for when, price in self._prices if when >= at_ns), 0.0)
        action = Action.BUY if price > state.snapshot.fast.mid else Action.SELL
        return Judgement(action, 1.0, 0.0, "peeked")


def test_a_strategy_that_looks_ahead_is_caught(tmp_path: Path) -> None:
    """The guard above would be worth nothing if it found nothing in one that cheats."""
    told: list[list[tuple[int, str, Body]]] = []
    for place, rows in enumerate((frames(), other(frames()))):
        tape = list(read_tape(write_tape(tmp_path / f"{place}.jsonl.gz", rows)))
        peeker, heard = Peeker(tape), Rower()
        field = Field(
            load_settings(),
            "tape",
            [("peeker", Contender("hold", "taker"))],
            lambda _contender, _settings, one=peeker: one,
            EvaluationSettings(),
            allow_cold=True,
            listeners=lambda _, one=heard: (one,),
        )
        ingest = Ingest()
        for frame in tape:
            source = Ingest.source_of(frame.source_text)
            assert source is not None
            for event in ingest.parse(source, frame.raw, frame.received_ns):
                field.on_event(event)
        told.append(before_the_change(heard.rows))
    assert told[0] != told[1]


# --- The profit is that of the flow ---------------------------------------------------------------


def backtested(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Run the verb in this process and return its JSON."""
    assert backtest.main([*arguments, "--json", "--processes", "1"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_backtest_earns_what_the_replay_earns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone or beside others, each strategy's window is the sum of its replay's round trips."""
    tape = write_tape(tmp_path / "t.jsonl.gz", frames())
    names = ["momentum", "fade_spike", "random"]
    found = backtested(capsys, str(tape), "--strategy", ",".join(names), "--keep-halts", "--cold")
    for row, name in zip(found["windows"], names, strict=True):
        trips = bodies(run(tape, "--strategy", name, "--cold"), RoundTrip)
        assert (row["contender"], row["market"], row["run"]) == (name, SLUG, tape.name)
        assert row["pnl_micros"] == sum(trip.pnl_micros for trip in trips)
        assert row["trips"] == len(trips)
    assert any(row["trips"] for row in found["windows"])


def test_account_halts_stop_nobody_unless_they_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy that loses is measured losing, not stopped after the first loss."""
    monkeypatch.setenv("LOSING_STREAK_LIMIT", "1")
    tape = str(write_tape(tmp_path / "t.jsonl.gz", frames()))
    trips: list[int] = []
    for more in ([], ["--keep-halts"]):
        found = backtested(capsys, tape, "--strategy", "random", "--cold", *more)
        trips.append(found["windows"][0]["trips"])
    assert trips[0] > trips[1] >= 1


def test_delays_and_styles_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later orders meet other books; a maker enters otherwise than a taker."""
    tape = str(write_tape(tmp_path / "t.jsonl.gz", frames()))
    both = ("--strategy", "momentum", "--style", "taker", "--style", "maker", "--cold")
    fast = backtested(capsys, tape, *both)["windows"]
    slow = backtested(capsys, tape, *both, "--latency-ms", "2000", "--taker-hold-ms", "0")
    assert [row["contender"] for row in fast] == ["momentum (taker)", "momentum (maker)"]
    assert fast[0]["pnl_micros"] != fast[1]["pnl_micros"]
    assert fast[0]["pnl_micros"] != slow["windows"][0]["pnl_micros"]


# --- The verb -------------------------------------------------------------------------------------


def test_the_table_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Side by side on the terminal; the page is where it was asked for."""
    tape = write_tape(
        tmp_path / "t.jsonl.gz",
        frames(),
    )
    page = tmp_path / "pages" / "backtest.html"
    arguments = [str(tape), "--strategy", "hold,momentum", "--html", str(page), "--processes", "1"]
    assert backtest.main(arguments) == 0
    text = capsys.readouterr().out
    assert "1 windows in 1 independent" in text
    assert "nothing can be concluded" in text
    assert "Account limits" in text
    assert "\nhold " in text
    assert "\nmomentum " in text
    assert "momentum" in page.read_text()
    assert str(page) in text


def test_two_tapes_in_two_processes_give_what_one_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many run at once, the results stand in the order of the tapes."""
    tapes = [str(write_tape(tmp_path / f"{name}.jsonl.gz", frames())) for name in "ab"]
    one = backtested(capsys, *tapes, "--strategy", "hold,momentum", "--cold")
    arguments = [*tapes, "--strategy", "hold,momentum", "--cold", "--json", "--processes", "2"]
    assert backtest.main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == one
    assert [row["run"] for row in one["windows"]] == ["a.jsonl.gz"] * 2 + ["b.jsonl.gz"] * 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["no-such-tape", "--strategy", "hold"], 66, "no-such-tape"),
        (["T", "--strategy", "nobody"], 2, "nobody"),
        (["T", "--strategy", "oracle"], 2, "only a simulated market"),
        (["T", "--strategy", ","], 2, "expected 1 to"),
        (["T", "--strategy", "."], 66, "rl_model.safetensors: was unreadable"),
    ],
)
def test_what_cannot_be_evaluated_says_why(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An exit code and what was expected."""
    tape = str(write_tape(tmp_path / "t.jsonl.gz", frames(seconds=30)))
    given = [tape if one == "T" else one for one in arguments]
    assert backtest.main([*given, "--processes", "1"]) == code
    assert said in capsys.readouterr().err


def test_a_tape_without_a_whole_window_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is shown as zero that was not seen."""
    rows = [row for row in frames() if row[0] < OPENS + 200 and "priceToBeat" not in row[2]]
    tape = str(write_tape(tmp_path / "t.jsonl.gz", rows))
    assert backtest.main([tape, "--strategy", "hold", "--processes", "1"]) == 66
    assert "no whole window" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["tape", "--simulated", "4"],
        ["--simulated", "0"],
        ["tape", "--folds", "0"],
        ["tape", "--processes", "0"],
        ["--simulated", "4", "--seed", "-1"],
        ["tape", "--cold", "--warm"],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Options that contradict each other, or are out of bounds."""
    with pytest.raises(SystemExit) as ended:
        backtest.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_a_wrong_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As every verb does."""
    monkeypatch.setenv("TRADE_SIZE", "-1")
    assert backtest.main(["tape"]) == 78
    assert "TRADE_SIZE" in capsys.readouterr().err


def test_a_window_nobody_simulates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told before any work."""
    monkeypatch.setenv("WINDOWS", "4h")
    assert backtest.main(["--simulated", "1", "--strategy", "hold"]) == 2
    assert "4h is not simulated" in capsys.readouterr().err


def test_simulated_windows_and_their_oracle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is a simulated world the oracle takes part, and is nobody's choice."""
    monkeypatch.setenv("WINDOWS", "5m")
    monkeypatch.setenv("ASSETS", "BTC")
    found = backtested(
        capsys, "--simulated", "3", "--seed", "4", "--strategy", "hold,momentum,oracle"
    )
    runs = [row["run"] for row in found["windows"] if row["contender"] == "oracle"]
    assert runs == ["seed 4", "seed 4", "seed 5"]
    chosen = {choice["contender"] for choice in found["comparison"]["walk_forward"]}
    assert chosen <= {"hold", "momentum"}
    assert any("simulated" in note for note in found["comparison"]["notes"])


# --- Who takes part -------------------------------------------------------------------------------


def test_the_oracle_never_trades() -> None:
    """No setting takes it, and no tape can build it."""
    with pytest.raises(ContenderError, match="simulated"):
        Contender("oracle", "taker").build(load_settings())
    assert "oracle" not in STRATEGY_NAMES
    assert replay is not None
    with pytest.raises(SystemExit):
        replay(["tape", "--strategy", "oracle"])


def test_models_and_names_become_strategies(tmp_path: Path) -> None:
    """A folder is a model's, a name a strategy's; each once."""
    assert parse_strategies("hold, rl,hold", simulated=False) == ("hold", "rl")
    learned = Contender(str(MODELS), "auto")
    settings = learned.settings(load_settings())
    assert (settings.execution_style, learned.build(settings).name) == ("auto", "rl")
    with pytest.raises(ModelError):
        Contender(str(tmp_path), "taker").build(load_settings())
    with pytest.raises(ContenderError, match="at most"):
        contenders_of(tuple(map(str, range(12))), ("taker", "maker", "auto"))
    found = contenders_of(("hold", "rl"), ("taker", "maker"))
    assert [(one.strategy, one.style) for one in found] == [
        ("hold", "taker"),
        ("rl", "taker"),
        ("rl", "maker"),
    ]
