"""A run read piece by piece while it grows."""

from __future__ import annotations

from pathlib import Path

from db.journal import Journal, read_journal
from db.journal_tail import TailPosition, read_piece
from helpers.domain import Mode
from tests.db.journals import every_kind, write_run
from tests.journal_samples import RUN_STARTED, SLUG, at, decision


def test_pieces_together_are_the_run(tmp_path: Path) -> None:
    """Whatever the size of a piece, over every boundary of segments."""
    run = write_run(tmp_path, every_kind(4), segment_bytes=1500)
    assert len(list(run.glob("*.jsonl"))) > 5
    whole = list(read_journal(run))
    for rows in (1, 2, 7, 1000):
        position, found = TailPosition(), []
        while (piece := read_piece(run, position, rows)).records:
            assert len(piece.records) <= rows
            assert not piece.damage
            found += piece.records
            position = piece.end
        assert found == whole


def test_half_a_line_is_not_there_yet(tmp_path: Path) -> None:
    """What is being written is read when it is whole."""
    with Journal.open_run(tmp_path, Mode.PAPER, at(0)) as journal:
        journal.append(at(0), "", RUN_STARTED)
        journal.append(at(1), SLUG, decision(1.0))
    segment = journal.run / "000001.jsonl"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    first = read_piece(journal.run, TailPosition())
    assert [record.seq for record in first.records] == [1]
    segment.write_bytes(whole)
    assert [record.seq for record in read_piece(journal.run, first.end).records] == [2]


def test_a_line_longer_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    """A checkpoint of many markets must not stop the reading."""
    long = decision(1.0, reason="x" * (9 << 20))
    run = write_run(tmp_path, [(0.0, "", RUN_STARTED), (1.0, SLUG, long), (2.0, SLUG, long)],
                    segment_bytes=64 << 20)  # fmt: skip
    position, count = TailPosition(), 0
    while (piece := read_piece(run, position)).records:
        position, count = piece.end, count + len(piece.records)
    assert count == 3


def test_a_cut_line_before_the_last_segment_is_damage(tmp_path: Path) -> None:
    """Only the last line of all may be torn."""
    run = write_run(tmp_path, every_kind(4), segment_bytes=1500)
    first = run / "000001.jsonl"
    first.write_bytes(first.read_bytes()[:-5])
    piece = read_piece(run, TailPosition())
    assert "cut short before the last segment" in piece.damage
    assert piece.damage.startswith("000001.jsonl after byte ")


def test_a_kind_of_a_newer_version_is_counted(tmp_path: Path) -> None:
    """It costs nothing but itself."""
    run = write_run(tmp_path, [(0.0, "", RUN_STARTED), (1.0, SLUG, decision(1.0))])
    segment = run / "000001.jsonl"
    segment.write_bytes(_renamed(segment.read_bytes()))
    piece = read_piece(run, TailPosition())
    assert (len(piece.records), piece.rows_unknown, piece.end.seq) == (1, 1, 2)
    assert not piece.damage


def _renamed(text: bytes) -> bytes:
    """Return a journal's bytes with its decision as a kind nobody knows, sealed anew."""
    from db.journal_format import check_line, read_header, seal

    lines = text.splitlines()
    _, _, chain = read_header(lines[0])
    chain = check_line(lines[1], chain)
    payload = lines[2][: lines[2].rindex(b',"crc"')].replace(b'"decision"', b'"telepathy"')
    suffix, _ = seal(payload, chain)
    return b"\n".join((lines[0], lines[1], payload)) + suffix
