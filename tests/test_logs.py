"""Log lines: tags, both renderings, rotation, and no secret in any of them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from helpers import logs
from helpers.clock import SimulatedClock
from helpers.logs import Lines, Redactor, Tag, configure, logger, utc
from helpers.settings import load_settings

CANARY = "canary-7f3a91c2d4"
NOW_NS = 1_774_691_287_099_000_000


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO, tmp_path: Path) -> Iterator[Lines]:
    made = configure(
        clock=SimulatedClock(NOW_NS),
        json_lines=True,
        directory=tmp_path,
        secrets=(CANARY,),
        stream=stream,
    )
    yield made
    made.close()


def test_a_line_has_time_tag_level_event_and_facts(lines: Lines, stream: io.StringIO) -> None:
    """A JSON line carries what people grep for; the file holds the same."""
    logger(Tag.SAFETY).info("order_refused", rule="spread", found=0.07)
    line = json.loads(stream.getvalue())
    assert line == {
        "at": "2026-03-28T09:48:07.099Z",
        "tag": "SAFETY",
        "level": "info",
        "event": "order_refused",
        "rule": "spread",
        "found": 0.07,
    }


def test_the_file_holds_the_same_lines(lines: Lines, stream: io.StringIO, tmp_path: Path) -> None:
    """I36: logs/worker.log is written, for every tag people grep."""
    for tag in Tag:
        logger(tag).info("said")
    assert (tmp_path / "worker.log").read_text() == stream.getvalue()
    assert all(tag.value in stream.getvalue() for tag in Tag)


def test_text_lines_are_for_people(stream: io.StringIO, tmp_path: Path) -> None:
    """The console rendering starts with time and tag."""
    made = configure(
        clock=SimulatedClock(NOW_NS), json_lines=False, directory=tmp_path, stream=stream
    )
    logger(Tag.RL).warning("decision", why="two words", p_buy=0.71234)
    made.close()
    line = stream.getvalue()
    assert line.startswith("2026-03-28T09:48:07.099Z RL       WARNING decision")
    assert 'why="two words" p_buy=0.7123' in line


def test_no_secret_reaches_a_line(lines: Lines, stream: io.StringIO, tmp_path: Path) -> None:
    """I35: a canary in a fact, an exception, a local, or a library's message is masked."""

    def failing(private_key: str) -> None:
        raise ValueError(f"bad key {private_key}")

    log = logger(Tag.HEALTH)
    log.info("leak", key=CANARY, nested={"key": [CANARY]})
    try:
        failing(CANARY)
    except ValueError as error:
        log.error("failed", exc_info=error)
    logging.getLogger("library").warning("sent %s", CANARY)
    written = stream.getvalue() + (tmp_path / "worker.log").read_text()
    assert CANARY not in written
    assert written.count("********") >= 8
    assert "ValueError" in written
    assert "library_message" in written


@pytest.mark.parametrize("prefix", ["", "0x"])
def test_a_private_key_is_masked_with_and_without_its_prefix(prefix: str) -> None:
    """I35: however the key was set, and however a library writes it."""
    digits = "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
    settings = load_settings(_env_file=None, polymarket_private_key=SecretStr(prefix + digits))
    redact = Redactor(settings.secrets())
    assert digits not in redact(f"key {digits}, key 0x{digits}")


def test_the_file_is_rotated_and_the_number_kept_is_bounded(tmp_path: Path) -> None:
    """A full file moves aside; no more than the named number stay."""
    path = tmp_path / "worker.log"
    made = Lines(None, path, Redactor(), limit=100)
    for number in range(40):
        made.write(f"{number:060d}")
    made.close()
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert len(kept) == logs.FILES_KEPT + 1
    assert path.stat().st_size < 200


def test_a_full_disk_costs_lines_and_says_how_many(tmp_path: Path, stream: io.StringIO) -> None:
    """It ended a worker that held positions, without a last row."""
    path = tmp_path / "worker.log"
    path.symlink_to("/dev/full")
    made = configure(
        clock=SimulatedClock(NOW_NS), json_lines=True, directory=tmp_path, stream=stream
    )
    for _ in range(3):
        logger(Tag.FEED).info("lost")
    path.unlink()
    logger(Tag.FEED).info("kept")
    made.close()
    told = [json.loads(line) for line in path.read_text().splitlines() if line]
    assert [line["event"] for line in told] == ["log_lines_lost", "kept"]
    assert told[0]["lines"] == 3
    assert stream.getvalue().count("lost") == 3, "the terminal had them"


class _Gone(io.StringIO):
    """A terminal that was closed, or a pipe that nobody reads any more."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error
        self.asked = 0

    def write(self, _text: str, /) -> int:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize(
    ("error", "asked"),
    [(BrokenPipeError(), 1), (OSError(5, "gone"), 2), (ValueError("I/O on closed file"), 2)],
    ids=["broken pipe", "closed terminal", "closed file"],
)
def test_a_terminal_that_is_gone_ends_nothing(error: Exception, asked: int, tmp_path: Path) -> None:
    """The file has every line."""
    stream = _Gone(error)
    made = configure(
        clock=SimulatedClock(NOW_NS), json_lines=True, directory=tmp_path, stream=stream
    )
    logger(Tag.FEED).info("one")
    logger(Tag.FEED).info("two")
    made.close()
    assert len((tmp_path / "worker.log").read_text().splitlines()) == 2
    assert stream.asked == asked


def test_levels_below_the_chosen_one_are_dropped(tmp_path: Path, stream: io.StringIO) -> None:
    """log_level filters."""
    made = configure(
        clock=SimulatedClock(), level="warning", json_lines=False, directory=None, stream=stream
    )
    logger(Tag.FEED).info("quiet")
    logger(Tag.FEED).error("loud")
    made.close()
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_line_may_carry_its_own_moment(lines: Lines, stream: io.StringIO) -> None:
    """What happened at a logical time is stamped with it, not with the clock's."""
    logger(Tag.PAPER).info("fill", at_ns=NOW_NS + 1_000_000_000)
    assert json.loads(stream.getvalue())["at"] == utc(NOW_NS + 1_000_000_000)


def test_a_library_that_speaks_after_the_end_does_not_fail() -> None:
    """Its line goes to standard error as it is then; the one of the start is closed."""
    with contextlib.redirect_stderr(io.StringIO()) as first:
        configure(clock=SimulatedClock(), json_lines=False, directory=None).close()
    first.close()
    with contextlib.redirect_stderr(io.StringIO()) as second:
        logging.getLogger("some.library").error("late news")
        assert "late news" in second.getvalue()
