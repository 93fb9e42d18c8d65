"""The calibration report: rows, measures on made-up windows, exit code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from helpers.domain import NS_PER_SECOND, Asset
from simulator.calibration import (
    Row,
    fifteen_minute_rows,
    five_minute_rows,
    main,
    row,
    table,
    taker_rows,
)
from simulator.calibration_measures import (
    PER_SECOND,
    Series,
    brier,
    cumulative_depth,
    explained_moves,
    followed_moves,
    lag_profile,
    mid_change_sd,
    regression,
    series,
    spreads,
    touch_median,
    unchanged_share,
    update_rate,
)
from simulator.calibration_path import (
    PathRecord,
    five_minute_returns,
    message_bursts,
    outcome_mismatch,
    run_path,
)
from simulator.calibration_record import WindowRecord, record_windows


def window(mid: Sequence[float] | np.typing.NDArray[np.floating], fast: object = None) -> Series:
    """Return a window with a one-cent spread and the given mids."""
    mids = np.array(mid, dtype=float)
    moves = np.zeros(mids.size) if fast is None else np.array(fast, dtype=float)
    everywhere = np.ones(mids.size, dtype=bool)
    return Series(mids, np.ones(mids.size), moves, everywhere, everywhere)


def test_a_row_is_in_order_within_fifteen_per_cent() -> None:
    """Ratios, ranges and absolute distances are judged as stated."""
    assert row("x", 10.0, 11.4).within
    assert not row("x", 10.0, 11.6).within
    assert row("x", 10.0, 8.6).within
    assert Row("x", 1.2, 1.4, 1.3).ratio == 1.0
    assert Row("x", 1.2, 1.4, 1.6).within
    assert not Row("x", 1.2, 1.4, 1.7).within
    assert Row("x", 0.0, 0.0, 0.001, absolute=0.002).within
    assert not Row("x", 0.0, 0.0, 0.003, absolute=0.002).within


def test_the_table_says_why() -> None:
    """A row that is out shows its reason, or that none is known."""
    text = table([row("good", 1.0, 1.0), row("odd", 1.0, 2.0, "luck"), row("bad", 1.0, 2.0)])
    assert "good" in text.splitlines()[1]
    assert text.splitlines()[1].endswith(" ok")
    assert text.splitlines()[2].endswith("NOT: luck")
    assert text.splitlines()[3].endswith("NOT: no reason known")


def test_measures_of_the_mid() -> None:
    """A mid that steps a cent every other second: half the seconds unchanged, sd of the step."""
    steps = np.repeat(np.arange(60) // 2 % 2, PER_SECOND) + 50.0
    made = window(steps)
    assert unchanged_share([made]) == pytest.approx(30 / 59, abs=0.02)
    assert mid_change_sd([made], 1, (0, 1)) == pytest.approx(0.7, abs=0.03)
    assert spreads([made]) == (1.0, 1.0)


def test_measures_of_the_lag() -> None:
    """A mid that follows the fast price by exactly 0.6 s is found to do so."""
    stream = np.random.default_rng(1)
    moves = stream.normal(size=3_000) * (stream.random(3_000) < 0.02)
    fast = np.cumsum(moves)
    mid = 50.0 + 5.0 * np.concatenate([np.zeros(6), fast[:-6]])
    made = window(mid, fast)
    profile = lag_profile([made], 2.0)
    assert int(profile.argmax()) == 5
    assert profile[5] / profile.sum() == pytest.approx(1.0, abs=0.1)
    correlation, beta, _ = regression([made], 10)
    assert 0.7 < correlation < 1.0
    assert beta == pytest.approx(5.0, rel=0.3)
    followed, cents = followed_moves([made], 1.0)
    assert followed > 0.9
    assert cents > 5.0
    assert explained_moves([made], 1.0, 0.2) > 0.95
    assert explained_moves([window(mid)], 1.0, 0.2) == 0.0


def test_measures_of_depth_and_updates() -> None:
    """Medians over both sides, rates and gaps as counted by hand."""
    record = WindowRecord("x")
    record.depth = [(1.0, [10.0, 20.0]), (1.0, [30.0, 40.0]), (70.0, [50.0])]
    record.update_ns = [0, NS_PER_SECOND, 3 * NS_PER_SECOND]
    assert touch_median([record], (0, 1)) == 20.0
    assert cumulative_depth([record], 2) == 50.0
    assert update_rate([record], 300)[:2] == (0.01, 1.5)
    record.up_won = True
    assert brier([record], [window(np.full(20, 80.0))], 1) == pytest.approx(0.04)


def test_a_one_sided_book_has_a_price_but_does_not_count() -> None:
    """Where a side is empty the mid is the other side, and the sample is not used for spreads."""
    record = WindowRecord("x")
    record.bids, record.asks, record.fast = [50.0, 99.0] * 5, [51.0, 0.0] * 5, [0.0] + [1.0] * 9
    made = series(record)
    assert made.mid.tolist()[:2] == [50.5, 99.0]
    assert made.ok.tolist()[5:] == [False, True, False, True, False]


def test_measures_of_the_path() -> None:
    """Returns, mismatches and bursts of a made-up path."""
    fast = np.cumsum(np.tile([1.0, -1.0, 2.0], 10))
    path = PathRecord(fast, fast, fast, np.arange(86_400.0), np.zeros((0, 4)), np.zeros(0))
    assert five_minute_returns(path).size == fast.size - 5
    assert outcome_mismatch(path, 0.0, 100.0) == 0.0
    rate, second, tenth = message_bursts(path)
    assert (rate, second, tenth) == (1.0, 1.0, 1.0)


def test_recorded_windows_give_every_row() -> None:
    """One real window of each kind passes through every measure; figures are finite."""
    short = record_windows(7, (Asset.BTC,), 300, 6)
    assets = (Asset.BTC, Asset.ETH, Asset.XRP, Asset.SOL)
    long = record_windows(7, assets, 900, 1)
    bitcoin = [record for record in long if record.slug.startswith("btc")]
    others = [record for record in long if record not in bitcoin]
    rows = five_minute_rows(short) + fifteen_minute_rows(bitcoin) + taker_rows(bitcoin, others)
    assert all(np.isfinite(entry.simulated) for entry in rows)
    assert len({entry.figure for entry in rows}) == len(rows) > 30
    path = run_path(7, 120)
    assert path.fair.shape == (7, 4)
    assert set(path.up_won.tolist()) <= {0.0, 1.0}


def test_the_report_counts_its_rows_and_fails_on_what_nobody_explains(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A window is too few to be in order: the exit code is 1, and every row has a figure."""
    code = main(["--days", "1", "--windows", "1"])
    *rows, last = capsys.readouterr().out.splitlines()[1:]
    assert not any(" nan " in line for line in rows)
    good = [line for line in rows if line.endswith(" ok")]
    unexplained = [line for line in rows if line.endswith("NOT: no reason known")]
    assert good
    assert last.startswith(
        f"{len(rows)} rows, {len(good)} within 15%, {len(unexplained)} out without a reason; "
    )
    assert code == (1 if unexplained else 0) == 1


@pytest.mark.parametrize("option", ["--days", "--windows"])
@pytest.mark.parametrize("value", ["0", "-3", "few"])
def test_nothing_cannot_be_measured(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No day and no window have no figures."""
    with pytest.raises(SystemExit) as ended:
        main([option, value])
    assert ended.value.code == 2
    assert option in capsys.readouterr().err
