"""`worker.py compare`: on tapes, on simulated windows and from SQL; the margin is an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import worker
from db.query_results import ShadowSeen
from helpers.commands import compare
from helpers.commands.shadow_reading import shadow_duels, shadow_results
from helpers.commands.shadows import CHAMPION
from helpers.domain import MICROS, Asset
from helpers.settings import Settings
from tests.evaluation_samples import QUARTER_NS, results
from tests.scenarios.tapes import frames, write_tape


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def seen(shadow: str, index: int, dollars: float, champion: float) -> ShadowSeen:
    """Return a shadow's window, and what the account earned in it."""
    opens_ns = index * QUARTER_NS
    return ShadowSeen(
        shadow=shadow,
        strategy="rl",
        market=f"m{index}",
        asset=Asset.BTC,
        opens_ns=opens_ns,
        closes_ns=opens_ns + QUARTER_NS,
        up_won=True,
        pnl_micros=round(dollars * MICROS),
        fees_micros=1,
        cost_micros=2,
        trips=3,
        wins=1,
        champion_pnl_micros=round(champion * MICROS),
        champion_fees_micros=4,
        champion_cost_micros=5,
        champion_trips=6,
        champion_wins=2,
    )


def test_a_tape_says_by_how_much_one_is_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One window is a difference and no proof: no margin is met."""
    tape = str(write_tape(tmp_path / "t.jsonl.gz", frames()))
    arguments = ["compare", "momentum", "hold", tape, "--cold", "--processes", "1"]
    assert worker.main([*arguments, "--json"]) == 0
    duel = json.loads(capsys.readouterr().out)
    assert (duel["challenger"], duel["windows"], duel["champion_trips"]) == ("momentum", 1, 0)
    assert duel["difference"]["mean"] == duel["challenger_pnl"]["mean"] != 0
    assert worker.main([*arguments, "--margin", "-1000"]) == compare.EXIT_NOT_BETTER
    told = capsys.readouterr()
    assert "momentum" in told.out
    assert "paired, window by window" in told.out
    assert "not better by -1000" in told.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["hold", "nobody", "tape"], 2),
        (["hold", "momentum", "no-tape"], 66),
        (["hold", "oracle", "tape"], 2),
    ],
)
def test_what_cannot_be_compared(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exit code and a reason."""
    assert compare.main([*arguments, "--processes", "1"]) == code
    assert "worker.py compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["hold", "hold", "tape"],
        ["hold", "momentum", "tape", "--style", "taker", "--style", "maker"],
        ["hold"],
    ],
)
def test_usage(arguments: list[str]) -> None:
    """Two names, one style."""
    with pytest.raises(SystemExit) as ended:
        compare.main(arguments)
    assert ended.value.code == 2


def test_rows_of_sql_become_windows_of_both() -> None:
    """The account's own windows count once, however many shadows watched them."""
    rows = [seen(name, index, 2.0, 0.5) for index in range(6) for name in ("random", "hold")]
    found = shadow_results(rows)
    assert [row.contender for row in found[:6]] == [CHAMPION] * 6
    assert len(found) == 18
    duels = shadow_duels(rows)
    assert [(d.challenger, d.windows, d.difference.mean) for d in duels] == [
        ("random", 6, 1.5),
        ("hold", 6, 1.5),
    ]
    assert duels[0].difference.low == pytest.approx(1.5)
    assert (duels[0].challenger_trips, duels[0].champion_trips) == (18, 36)
    assert shadow_duels([]) == ()


def test_two_strategies_for_people() -> None:
    """Both, and the difference, with what it rests on."""
    duel = compare.duel(results("a", [1.0, 3.0] * 4), results("b", [0.0] * 8))
    assert duel is not None
    first, ours, theirs, difference = compare.duel_text(duel, "b").splitlines()
    assert first.startswith("8 windows in 8 independent")
    assert ours.startswith("a           +2.00  (")
    assert theirs.startswith("b           +0.00  (+0.00 .. +0.00)")
    assert difference.startswith("difference  +2.00 (")
