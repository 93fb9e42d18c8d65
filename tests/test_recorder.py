"""The recorder loses little to a crash, nothing silently, and never holds up its caller."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.domain import NS_PER_SECOND, Source
from helpers.recorder import (
    FIRST_LINE,
    TapeError,
    TapeFaults,
    TapeFrame,
    TapeWriter,
    read_tape,
    tape_files,
)

REPOSITORY = Path(__file__).resolve().parents[1]
START_NS = 1_774_656_000 * NS_PER_SECOND
"""Midnight UTC."""


def start_writer(script: str, path: Path) -> subprocess.Popen[str]:
    """Start a writer in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read(path: Path) -> list[TapeFrame]:
    """Return the frames of a tape without the line each file begins with."""
    return [frame for frame in read_tape(path) if frame.raw != FIRST_LINE]


def test_every_file_begins_by_saying_who_wrote_it(tmp_path: Path) -> None:
    """A replay can tell this worker's tapes from others."""
    with TapeWriter(tmp_path / "t.jsonl.gz") as writer:
        writer.write(START_NS, Source.GAMMA, "{}")
        writer.write(START_NS + 3600 * NS_PER_SECOND, Source.GAMMA, "{}")
    for file in tape_files(tmp_path / "t.jsonl.gz"):
        frames = list(read_tape(file))
        assert [frame.source_text for frame in frames] == ["worker", "gamma"]
        assert frames[0].received_ns == frames[1].received_ns


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Frames round-trip, whatever characters they hold, and leave no unfinished file."""
    path = tmp_path / "tapes" / "t.jsonl.gz"
    raws = ['{"a":1}', "PONG", "", "é\u2028\n\0", "[]"] * 300
    with TapeWriter(path) as writer:
        assert all(
            writer.write(START_NS + n, Source.POLYMARKET_MARKET, raw) for n, raw in enumerate(raws)
        )
    assert [file.name for file in tape_files(path)] == ["t_20260328T00_001.jsonl.gz"]
    faults = TapeFaults()
    assert list(read_tape(path, faults))[1:] == [
        TapeFrame(received_ns=START_NS + n, source_text="polymarket.market", raw=raw)
        for n, raw in enumerate(raws)
    ]
    assert vars(faults) == vars(TapeFaults())


def test_broken_text_does_not_end_the_tape(tmp_path: Path) -> None:
    """A frame that is not Unicode keeps what can be written of it."""
    with TapeWriter(tmp_path / "t.jsonl.gz") as writer:
        writer.write(START_NS, Source.GAMMA, "half \ud800 pair")
        writer.write(START_NS, Source.GAMMA, "next")
    frames = read(tmp_path / "t.jsonl.gz")
    assert [frame.raw for frame in frames] == ["half ? pair", "next"]


def test_same_frames_give_the_same_frames_in_a_new_file_per_hour_and_size(tmp_path: Path) -> None:
    """An hour ends a file, so does its size; a second run never overwrites the first."""
    path = tmp_path / "t.jsonl.gz"
    for _ in range(2):
        with TapeWriter(path) as writer:
            writer.write(START_NS, Source.GAMMA, "{}")
            writer.write(START_NS + 3600 * NS_PER_SECOND, Source.GAMMA, "{}")
            writer.write(START_NS + 3599 * NS_PER_SECOND, Source.GAMMA, "{}")
    assert [file.name for file in tape_files(path)] == [
        "t_20260328T00_001.jsonl.gz",
        "t_20260328T00_002.jsonl.gz",
        "t_20260328T01_001.jsonl.gz",
        "t_20260328T01_002.jsonl.gz",
    ]
    with TapeWriter(tmp_path / "small.jsonl.gz", segment_bytes=1) as writer:
        for n in range(3):
            writer.write(START_NS + n, Source.GAMMA, "{}")
            writer.flush()
    assert len(tape_files(tmp_path / "small.jsonl.gz")) == 3


def test_old_files_go_when_the_tape_outgrows_its_bound(tmp_path: Path) -> None:
    """The total is bounded, and another tape in the folder is left alone (I34)."""
    with TapeWriter(tmp_path / "t_other.jsonl.gz") as other:
        other.write(START_NS, Source.GAMMA, "{}")
    with TapeWriter(tmp_path / "t.jsonl.gz", retain_bytes=400) as writer:
        for hour in range(20):
            writer.write(START_NS + hour * 3600 * NS_PER_SECOND, Source.GAMMA, "{}")
    files = tape_files(tmp_path / "t.jsonl.gz")
    assert 1 <= len(files) < 6
    assert files[-1].name == "t_20260328T19_001.jsonl.gz"
    assert len(tape_files(tmp_path / "t_other.jsonl.gz")) == 1


def test_an_overflow_is_counted_and_told_in_the_tape(tmp_path: Path) -> None:
    """A full queue refuses at once, and the tape says how many frames it lacks."""
    with TapeWriter(tmp_path / "t.jsonl.gz", queue_frames=0) as writer:
        refused = [writer.write(START_NS + n, Source.GAMMA, "{}") for n in range(5)]
        assert refused == [False] * 5
        assert writer.dropped == 5
        writer._queue_frames = 10
        assert writer.write(START_NS + 9, Source.GAMMA, "kept")
    frames = read(tmp_path / "t.jsonl.gz")
    assert [(frame.source_text, frame.raw) for frame in frames] == [
        ("worker", '{"event":"tape_overflow","dropped":5}'),
        ("gamma", "kept"),
    ]


def test_an_overflow_at_the_very_end_is_told_too(tmp_path: Path) -> None:
    """Frames dropped last are told when the tape closes."""
    writer = TapeWriter(tmp_path / "t.jsonl.gz")
    writer.write(START_NS, Source.GAMMA, "kept")
    writer._queue_frames = 0
    assert not writer.write(START_NS + 1, Source.GAMMA, "lost")
    writer.close()
    assert [frame.raw for frame in read(tmp_path / "t.jsonl.gz")] == [
        "kept",
        '{"event":"tape_overflow","dropped":1}',
    ]


CRASHING_WRITER = """
import signal, sys
from pathlib import Path
from helpers.domain import Source
from helpers.recorder import TapeWriter
writer = TapeWriter(Path(sys.argv[1]))
for n in range(1000):
    writer.write(1774656000000000000 + n, Source.GAMMA, "{}")
writer.flush()
print("flushed", flush=True)
signal.pause()
"""


def test_a_killed_writer_leaves_what_was_flushed(tmp_path: Path) -> None:
    """After kill -9 the unfinished file reads up to the last flush."""
    path = tmp_path / "t.jsonl.gz"
    writer = start_writer(CRASHING_WRITER, path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "flushed\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    faults = TapeFaults()
    assert len(list(read_tape(path, faults))) == 1001
    assert faults.truncated == 1
    assert tape_files(path)[0].suffix == ".part"


FULL_DISK_WRITER = """
import random, resource, sys
from pathlib import Path
from helpers.domain import Source
from helpers.recorder import TapeError, TapeWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
writer = TapeWriter(Path(sys.argv[1]))
numbers = random.Random(1)
try:
    while True:
        writer.write(1774656000000000000, Source.GAMMA, numbers.randbytes(500).hex())
        writer.flush()
except TapeError as error:
    print(error)
try:
    writer.close()
except TapeError as error:
    print(error)
"""


def test_a_full_disk_surfaces_at_the_next_write(tmp_path: Path) -> None:
    """The thread's failure reaches whoever writes or closes; what was written reads."""
    path = tmp_path / "t.jsonl.gz"
    writer = start_writer(FULL_DISK_WRITER, path)
    out, err = writer.communicate()
    assert err == ""
    assert out.count("File too large") == 2
    assert len(list(read_tape(path))) > 50


def test_a_closed_tape_takes_nothing(tmp_path: Path) -> None:
    """Writing after the close is an error, closing twice is not."""
    writer = TapeWriter(tmp_path / "t.jsonl.gz")
    writer.close()
    writer.close()
    with pytest.raises(TapeError, match="closed"):
        writer.write(START_NS, Source.GAMMA, "{}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The error says which folder."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TapeError, match="file"):
        TapeWriter(tmp_path / "file" / "t.jsonl.gz")
