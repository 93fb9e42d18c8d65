"""Tapes through the whole flow, as a user replays them."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import TypeVar

import pytest

from db.journal import Journal
from db.journal_reading import latest_run, read_journal
from db.records import Record
from helpers import logs
from helpers.clock import SimulatedClock, system_seconds
from helpers.commands import replay
from helpers.commands.composition import build_flow
from helpers.domain import (
    Approved,
    Decision,
    Fill,
    Mode,
    Refused,
    RoundTrip,
    Settled,
)
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from tests.scenarios.tapes import OPENS, SLUG, WINDOW, book_frame, fast_frame, frames, write_tape
from tests.shared import shared_file

_Body = TypeVar("_Body")
STOP_NS = (OPENS + WINDOW - 180) * 1_000_000_000


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MODEL_DIRECTORY", str(Path(__file__).resolve().parents[2] / "models"))
    return


def run(tape: Path, *options: str) -> list[Record]:
    """Replay a tape and return its journal."""
    assert replay.main([str(tape), "--quiet", *options]) == 0
    found = latest_run(Path("backups/journal"))
    assert found is not None
    return list(read_journal(found))


def bodies(records: list[Record], kind: type[_Body]) -> list[_Body]:
    return [record.body for record in records if isinstance(record.body, kind)]


def digest(folder: Path) -> str:
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.jsonl")))
    return hashlib.sha256(text).hexdigest()


def test_momentum_makes_round_trips_and_explains_its_refusals(tmp_path: Path) -> None:
    """Entries, exits and refusals of a whole window are in the journal, in causal order."""
    records = run(write_tape(tmp_path / "t.jsonl.gz", frames()), "--strategy", "momentum")
    trips = bodies(records, RoundTrip)
    assert len(trips) >= 3
    assert {fill.side.value for fill in bodies(records, Fill)} == {"BUY", "SELL"}
    assert {fill.outcome.value for fill in bodies(records, Fill)} == {"up", "down"}
    rules = Counter(refused.failures[0].rule for refused in bodies(records, Refused))
    assert rules["time_to_close"] > 0
    assert [record.seq for record in records] == list(range(1, len(records) + 1))


def test_every_fill_was_approved_before_and_no_entry_came_too_late(tmp_path: Path) -> None:
    """Invariants 1 and 2: no fill without an earlier approval, no entry inside the stop."""
    approved: set[str] = set()
    for record in run(write_tape(tmp_path / "t.jsonl.gz", frames()), "--strategy", "momentum"):
        if isinstance(record.body, Approved):
            assert record.body.intent.intent_id not in approved
            approved.add(record.body.intent.intent_id)
            assert not record.body.intent.opens or record.at_ns <= STOP_NS
        elif isinstance(record.body, Fill):
            assert record.body.intent_id in approved


def test_paper_pays_what_the_book_asks_and_the_fee(tmp_path: Path) -> None:
    """I26: buys at the ask of the moment of the fill, never the mid, and the taker fee is there."""
    records = run(write_tape(tmp_path / "t.jsonl.gz", frames()), "--strategy", "momentum")
    for fill in bodies(records, Fill):
        assert fill.fee_micros > 0
        assert fill.price_micros % 10_000 == 0


def test_fair_value_is_paid_out_at_the_resolution(tmp_path: Path) -> None:
    """A position held to resolution is worth 0 or 1, and one closed market settles once."""
    records = run(write_tape(tmp_path / "t.jsonl.gz", frames()), "--strategy", "fair_value")
    settled = bodies(records, Settled)
    assert settled
    assert all(s.payout_micros in (0, s.shares_micros) for s in settled)
    assert len({s.market for s in settled}) == len(settled)
    paid_out = [trip for trip in bodies(records, RoundTrip) if trip.how == "settled"]
    assert [(t.market, t.outcome, t.closed_ns) for t in paid_out] == [
        (s.market, s.outcome, s.at_ns) for s in settled
    ]


def test_two_replays_write_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the machine or the moment is in a replay's journal, with every policy."""
    tape = write_tape(tmp_path / "t.jsonl.gz", frames(seconds=300))
    for strategy in ("rl", "momentum", "fair_value", "random", "mean_revert", "fade_spike"):
        found: list[str] = []
        for _ in range(2):
            run(tape, "--strategy", strategy)
            folder = latest_run(Path("backups/journal"))
            assert folder is not None
            found.append(digest(folder))
        assert found[0] == found[1], strategy


def test_a_pace_changes_when_and_not_what(tmp_path: Path) -> None:
    """A tape at 1,000 times real time takes as long as that, and decides the same."""
    tape = write_tape(tmp_path / "t.jsonl.gz", frames(seconds=60))
    plain = run(tape, "--strategy", "momentum", "--cold")
    began = system_seconds()
    paced = run(tape, "--strategy", "momentum", "--cold", "--speed", "1000")
    span_seconds = (paced[-1].at_ns - paced[0].at_ns) / 1e9
    assert span_seconds > 500
    assert system_seconds() - began >= span_seconds / 1000
    assert [record.body for record in paced] == [record.body for record in plain]


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast"])
def test_a_speed_that_is_none_is_refused(
    speed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is replayed at no speed."""
    with pytest.raises(SystemExit) as ended:
        replay.main([str(tmp_path), "--speed", speed])
    assert ended.value.code == 2
    assert "--speed" in capsys.readouterr().err


def test_how_often_time_is_moved_changes_nothing(tmp_path: Path) -> None:
    """The live worker moves time between frames; a replay does not: the decisions are equal."""
    rows = frames(seconds=200)
    plain = drive(tmp_path / "a", rows, None)
    nudged = drive(tmp_path / "b", rows, random.Random(5))
    assert plain == nudged
    assert sum(isinstance(record.body, Decision) for record in plain) > 300


def drive(
    folder: Path, rows: list[tuple[float, str, str]], rng: random.Random | None
) -> list[Record]:
    """Play rows into a flow, moving time at random moments in between when given a generator."""
    clock = SimulatedClock()
    lines = logs.configure(clock=clock, json_lines=True, directory=None, quiet=True)
    settings = load_settings(strategy="momentum")
    with Journal.open_run(folder, Mode.REPLAY, 0) as journal:
        flow = build_flow(settings, Mode.REPLAY, journal, allow_cold=True)
        ingest = Ingest()
        last_ns = 0
        for at, source_text, raw in rows:
            now_ns = round(at * 1e9)
            if rng is not None and last_ns:
                for moment in sorted(
                    rng.randint(last_ns, max(last_ns, now_ns - 1)) for _ in range(3)
                ):
                    flow.engine.advance(moment)
            source = Ingest.source_of(source_text)
            assert source is not None
            for event in ingest.parse(source, raw, now_ns):
                flow.engine.on_event(event)
            last_ns = now_ns
        run_folder = journal.run
    lines.close()
    return list(read_journal(run_folder))


def test_bad_frames_are_survived_and_never_traded_on(tmp_path: Path) -> None:
    """Malformed, crossed, one-sided, late and duplicate frames are counted; the run ends well."""
    rows = frames(seconds=300)
    middle = OPENS + 100.3  # between two book frames and before a grid step
    crossed = book_frame("1" * 77, 60, middle)
    crossed["asks"] = [{"price": "0.50", "size": "10"}]
    lone = book_frame("2" * 77, 40, middle)
    lone["asks"] = []
    negative = book_frame("1" * 77, 50, middle)
    negative["bids"][0]["size"] = "-5"
    nan = fast_frame(float("nan"), 10**9, middle)
    old = fast_frame(50_000.0, 3, middle - 50)
    rows += [
        (middle, "polymarket.market", "{"),
        (middle, "polymarket.market", json.dumps(crossed)),
        (middle, "polymarket.market", json.dumps(lone)),
        (middle, "polymarket.market", json.dumps(negative)),
        (middle, "binance.public", json.dumps(nan)),
        (middle, "binance.public", json.dumps(old)),
        (middle, "binance.public", "[]"),
        (middle, "gamma", '"closed"'),
        (middle, "somewhere.else", "{}"),
    ]
    rows.sort(key=lambda row: row[0])
    records = run(write_tape(tmp_path / "t.jsonl.gz", rows), "--strategy", "momentum")
    invalid = {d.reason for d in bodies(records, Decision) if not any(d.features)}
    assert invalid & {"crossed_book", "one_sided_book", "unsynchronised_book"}


def test_a_truncated_tape_is_replayed_to_where_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tape whose writer was killed is no error; the cut is told."""
    whole = write_tape(tmp_path / "t.jsonl.gz", frames(seconds=100))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole.read_bytes()[:-2000])
    assert replay.main([str(cut), "--quiet", "--strategy", "momentum"]) == 0
    assert "truncated tape files: 1" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no tape at all"])
def test_what_is_no_tape_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreadable tape ends with exit code 66 and says why."""
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(content)
    assert replay.main([str(path), "--quiet"]) == 66
    assert "worker.py replay:" in capsys.readouterr().err


def test_a_wrong_model_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """I8: a model file that does not verify is refused with what was found."""
    monkeypatch.setenv("MODEL_DIRECTORY", str(tmp_path))
    tape = write_tape(tmp_path / "t.jsonl.gz", frames(seconds=10))
    assert replay.main([str(tape), "--quiet", "--strategy", "rl"]) == 66
    assert "rl_model" in capsys.readouterr().err


def test_the_log_shows_every_tag_people_grep_for(tmp_path: Path) -> None:
    """I36: SAFETY, RL, TEMPORAL and PAPER lines are in logs/worker.log."""
    tape = write_tape(tmp_path / "t.jsonl.gz", frames())
    run(tape, "--strategy", "rl")
    run(tape, "--strategy", "momentum")
    log = Path("logs/worker.log").read_text()
    for tag in ("SAFETY", "RL", "TEMPORAL", "PAPER", "ORDER", "LEDGER", "FEED", "HEALTH"):
        assert f'"tag":"{tag}"' in log, tag


def test_a_recorded_market_day_trades(tmp_path: Path) -> None:
    """66 recorded markets give round trips and no entry inside the stop."""
    tape = shared_file("recordings/btc-updown-5m_2026-03-28_both-venues_1s.jsonl.gz")
    records = run(tape, "--strategy", "momentum")
    assert len(bodies(records, RoundTrip)) >= 3
    assert not [r for r in records if isinstance(r.body, Fill) and r.market == SLUG]


def test_recorded_lives_settle(tmp_path: Path) -> None:
    """Two recorded markets resolved Up; what fair_value held there was paid out."""
    tape = shared_file("recordings/btc-updown-5m_2026-04-18_lives_coinbase.jsonl.gz")
    assert bodies(run(tape, "--strategy", "fair_value"), Settled)
