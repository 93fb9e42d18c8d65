"""Tapes read in order and in full, whatever state their file is in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import tape
from helpers.domain import Source
from helpers.tape import TapeError, TapeFaults, TapeFrame, read_hftbacktest, read_tape
from tests.shared import shared_file


def lines(count: int, first_ns: int = 1_000) -> bytes:
    """Return that many tape lines, spelled as the recordings spell them."""
    rows = [
        {"t": first_ns + n, "src": "binance.public", "raw": json.dumps({"u": n, "name": "é"})}
        for n in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read(path: Path) -> tuple[list[TapeFrame], TapeFaults]:
    """Read a tape to its end."""
    faults = TapeFaults()
    return list(read_tape(path, faults)), faults


def test_gzip_plain_and_concatenated_tapes_read_alike(tmp_path: Path) -> None:
    """The content decides how a file is read, not its name."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(50)))
    (tmp_path / "b.jsonl").write_bytes(lines(50))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines(20)) + gzip.compress(lines(30, 1020)))
    first, faults = read(tmp_path / "a.jsonl.gz")
    assert first[0] == TapeFrame(
        received_ns=1000, source_text="binance.public", raw='{"u": 0, "name": "\\u00e9"}'
    )
    assert len(first) == 50
    assert vars(faults) == vars(TapeFaults())
    assert read(tmp_path / "b.jsonl")[0] == first
    assert [frame.received_ns for frame in read(tmp_path / "c.jsonl.gz")[0]] == [
        frame.received_ns for frame in first
    ]


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    """A whole last line counts, newline or not."""
    (tmp_path / "a.jsonl").write_bytes(lines(3)[:-1])
    frames, faults = read(tmp_path / "a.jsonl")
    assert len(frames) == 3
    assert faults.malformed_lines == 0


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None
)
@given(st.floats(0, 1))
def test_a_truncated_tape_gives_a_prefix(tmp_path: Path, where: float) -> None:
    """Wherever the writer was killed, what reads is the beginning, and the cut is counted."""
    whole = gzip.compress(lines(400))
    path = tmp_path / "a.jsonl.gz"
    cut = int(where * len(whole))
    path.write_bytes(whole[:cut])
    frames, faults = read(path)
    assert [frame.received_ns for frame in frames] == list(range(1000, 1000 + len(frames)))
    if 2 <= cut < len(whole):
        assert faults.truncated == 1
    assert faults.malformed_lines <= 1


def test_a_damaged_stream_ends_its_file_and_is_counted(tmp_path: Path) -> None:
    """A flipped byte inside the gzip stream is damage, not an exception."""
    whole = bytearray(gzip.compress(lines(4000)))
    whole[len(whole) // 2] ^= 0xFF
    (tmp_path / "a.jsonl.gz").write_bytes(whole)
    frames, faults = read(tmp_path / "a.jsonl.gz")
    assert faults.corrupt == 1
    assert len(frames) < 4000


def test_bad_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    """Each kind of rubbish costs its own line only."""
    rubbish = [
        b"not json",
        b"[1,2]",
        b'{"t":"late","src":"gamma","raw":""}',
        b'{"t":-5,"src":"gamma","raw":""}',
        b'{"t":1e400,"src":"gamma","raw":""}',
        b'{"t":5,"src":"gamma"}',
        b'{"t":5,"src":"gamma","raw":"\xff\xfe"}',
        b"\x00\x00\x00",
    ]
    tail = lines(2, 2_000) + b'{"t":3,"src":"ga'
    (tmp_path / "a.jsonl").write_bytes(lines(2) + b"\n".join(rubbish) + b"\n\n" + tail)
    frames, faults = read(tmp_path / "a.jsonl")
    assert [frame.received_ns for frame in frames] == [1000, 1001, 2000, 2001]
    assert faults.malformed_lines == len(rubbish) + 1


def test_time_that_goes_back_is_held_and_counted(tmp_path: Path) -> None:
    """A frame is never lost for its clock, and the simulated clock never goes back."""
    (tmp_path / "a.jsonl").write_bytes(lines(1, 50) + lines(1, 40) + lines(1, 60))
    frames, faults = read(tmp_path / "a.jsonl")
    assert [frame.received_ns for frame in frames] == [50, 50, 60]
    assert faults.out_of_order == 1


def test_unknown_keys_and_sources_are_delivered(tmp_path: Path) -> None:
    """A newer recorder's tape still reads."""
    (tmp_path / "a.jsonl").write_bytes(b'{"t":5,"src":"mars","raw":"x","lag":7}\n')
    assert read(tmp_path / "a.jsonl")[0] == [TapeFrame(received_ns=5, source_text="mars", raw="x")]


def test_an_endless_line_is_dropped_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without newlines cannot fill the memory (I34)."""
    monkeypatch.setattr(tape, "LINE_BYTES_LIMIT", 100_000)
    monkeypatch.setattr(tape, "BLOCK_BYTES", 10_000)
    content = lines(2) + b"x" * 500_000 + b"\n" + lines(2, 2_000)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
    frames, faults = read(tmp_path / "a.jsonl.gz")
    assert [frame.received_ns for frame in frames] == [1000, 1001, 2000, 2001]
    assert faults.malformed_lines == 1


def test_a_folder_reads_as_one_tape(tmp_path: Path) -> None:
    """Hours follow each other, a leftover of a killed writer included."""
    (tmp_path / "p_20261125T03_001.jsonl.gz").write_bytes(gzip.compress(lines(2, 10)))
    (tmp_path / "p_20261125T04_001.jsonl.gz.part").write_bytes(gzip.compress(lines(2, 20))[:-4])
    (tmp_path / "notes.txt").write_text("not a tape")
    for path in (tmp_path, tmp_path / "p.jsonl.gz"):
        frames, faults = read(path)
        assert [frame.received_ns for frame in frames] == [10, 11, 20, 21]
        assert faults.truncated == 1


def test_what_was_read_is_told_as_it_lies_on_the_disk(tmp_path: Path) -> None:
    """Every byte of every file, zipped or plain: what a progress bar counts."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(300)))
    (tmp_path / "b.jsonl").write_bytes(lines(300, first_ns=9_000))
    told: list[int] = []
    assert len(list(read_tape(tmp_path, on_read=told.append))) == 600
    assert sum(told) == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_missing_tape_is_named(tmp_path: Path) -> None:
    """The error says what was looked for, and where."""
    for path in (tmp_path / "none.jsonl.gz", tmp_path / "no" / "such.jsonl", tmp_path):
        with pytest.raises(TapeError, match="no tape was found at"):
            list(read_tape(path))


def test_hftbacktest_lines(tmp_path: Path) -> None:
    """The collector's layout reads too; its bad lines are counted."""
    path = tmp_path / "usdm.gz"
    path.write_bytes(gzip.compress(b'17 {"a":1}\nxx {"b":2}\n18\n19 {"c":3}\n'))
    faults = TapeFaults()
    frames = list(read_hftbacktest(path, Source.BINANCE_PUBLIC, faults))
    assert [(frame.received_ns, frame.raw) for frame in frames] == [
        (17, '{"a":1}'),
        (19, '{"c":3}'),
    ]
    assert frames[0].source_text == "binance.public"
    assert faults.malformed_lines == 2


@pytest.mark.parametrize(
    "name",
    [
        "btc-updown-5m_2026-03-28_both-venues_1s",
        "raw-frames_15m_2026-04-29_bursts",
        "btc-updown-5m_2026-04-18_lives_coinbase",
        "btc-updown-5m_2026-04-25_life_binance",
    ],
)
def test_real_recordings_read_without_a_fault(name: str) -> None:
    """Every line of the private recordings is delivered as the standard library reads it."""
    path = shared_file(f"recordings/{name}.jsonl.gz")
    frames, faults = read(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert [(frame.received_ns, frame.source_text, frame.raw) for frame in frames] == [
        (row["t"], row["src"], row["raw"]) for row in rows
    ]
    assert vars(faults) == vars(TapeFaults())


def test_real_hftbacktest_file_reads_without_a_fault() -> None:
    """Every frame of the collector's file is delivered."""
    faults = TapeFaults()
    path = shared_file("fixtures/binance/hftbacktest/usdm_btcusdt_20240808.gz")
    assert sum(1 for _ in read_hftbacktest(path, Source.BINANCE_PUBLIC, faults)) == 93_954
    assert vars(faults) == vars(TapeFaults())
