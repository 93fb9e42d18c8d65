"""What a phase of the soak came to, held against its bars; a table for people. Pure.

Memory is judged by the least-squares line through the readings of the last three quarters of a
phase: before that, windows of an hour and a day fill, and what is remembered comes to its bound.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from benchmarks.soak_bounds import Peaks, judge
from benchmarks.soak_census import slope
from benchmarks.soak_rows import RowsFound
from helpers.domain import MICROS, Message
from helpers.logs import FILE_BYTES_MAXIMUM, FILES_KEPT

MEGABYTE: Final = 1_000_000
SLOPE_MAXIMUM: Final = 1.0
"""Megabytes a simulated day."""
WARM_UP_SHARE: Final = 0.25
LATE_SHARE: Final = 0.25
LATE_DAYS_MINIMUM: Final = 0.1
"""A quarter shorter than this may well pass without a trade."""
JUDGED_DAYS_MINIMUM: Final = 1.0
"""A line through less than this says what an hour did, not what a day does."""
MORE_AT_ONCE: Final = 4
"""Tasks or descriptors that a later peak may have more: connections and requests overlap."""
LINE_BYTES_MAXIMUM: Final = 64 * 1024
"""Of a log file, over its size: the line that made it full."""
ROW_BYTES_MAXIMUM: Final = 512 * 1024
"""Of a segment, over its size: a commit's rows."""
TYPES_SHOWN: Final = 12
RISES_SHOWN: Final = 5


class Reading(Message, frozen=True):
    """The process after so many simulated days, and the projector's beside it."""

    day: float
    resident_bytes: int
    blocks: int
    tasks: int
    descriptors: int
    projector_bytes: int | None = None
    """``None`` while there is none."""
    trades: int = 0
    """Round trips so far."""


class PhaseReport(Message, frozen=True):
    """Everything that was seen of a phase."""

    phase: str
    days: float
    seed: int
    strategy: str
    assets: str
    wall_seconds: float
    cpu_seconds: float
    """Of the process that has the worker and the venues, without the projector's."""
    frames: int
    decisions: int
    trades: int
    pnl_micros: int
    alerts: int
    """Messages to the simulated Discord."""
    readings: tuple[Reading, ...]
    before: Reading
    after: Reading
    peaks: dict[str, Peaks]
    types: tuple[dict[str, int], ...]
    """Objects by class, after the warm-up and at the end."""
    left_open: dict[str, int]
    """Descriptors that were not there before the phase."""
    segments_written: int
    segments_kept: int
    segment_bytes: int
    journal_bytes: int
    retain_bytes: int
    log_bytes: tuple[int, ...]
    rows: RowsFound

    @property
    def judged_readings(self) -> tuple[Reading, ...]:
        """Return the readings after the warm-up."""
        return tuple(one for one in self.readings if one.day >= self.days * WARM_UP_SHARE)

    @property
    def megabytes_a_day(self) -> float:
        """Return the slope of resident memory."""
        found = self.judged_readings
        return slope([r.day for r in found], [r.resident_bytes / MEGABYTE for r in found])

    @property
    def projector_megabytes_a_day(self) -> float | None:
        """Return the slope of the projector's resident memory; ``None`` when none was read."""
        seen = [(r.day, r.projector_bytes) for r in self.judged_readings]
        found = [(day, size / MEGABYTE) for day, size in seen if size is not None]
        return slope([day for day, _ in found], [size for _, size in found]) if found else None

    @property
    def blocks_a_day(self) -> float:
        """Return the slope of what Python itself has given out, in pieces."""
        found = self.judged_readings
        return slope([r.day for r in found], [float(r.blocks) for r in found])


class Bar(NamedTuple):
    """One thing that must hold."""

    name: str
    found: str
    wanted: str
    met: bool | None
    """``None`` when the run was too short to say."""


def bars_of(report: PhaseReport) -> list[Bar]:
    """Return every bar of a phase."""
    return [
        *_memory_bars(report),
        *_file_bars(report),
        _rows_bar(report),
        _trades_bar(report),
        _late_trades_bar(report),
    ]


def _memory_bars(report: PhaseReport) -> list[Bar]:
    judged = judge(report.peaks)
    long_enough = report.days * (1.0 - WARM_UP_SHARE) >= JUDGED_DAYS_MINIMUM
    left = ", ".join(f"{kind} {count}" for kind, count in report.left_open.items())
    return [
        _slope_bar("resident memory", report.megabytes_a_day, long_enough=long_enough),
        _slope_bar("projector's memory", report.projector_megabytes_a_day, long_enough=long_enough),
        Bar(
            "tasks at the end",
            f"{report.after.tasks} (before: {report.before.tasks})",
            "as before",
            report.after.tasks <= report.before.tasks,
        ),
        _peak_bar("tasks at once", [(r.day, r.tasks) for r in report.readings], report.days),
        Bar("descriptors left open", left or "none", "none", not report.left_open),
        _peak_bar(
            "descriptors at once", [(r.day, r.descriptors) for r in report.readings], report.days
        ),
        Bar(
            "containers over their bound",
            "; ".join(judged.over) or f"none of {judged.bounded}; fullest {judged.fullest}",
            "none",
            bool(judged.bounded) and not judged.over,
        ),
        Bar(
            "containers that grow",
            "; ".join(judged.growing) or f"none of {len(report.peaks) - judged.bounded}",
            "none",
            not judged.growing if long_enough else None,
        ),
    ]


def _slope_bar(name: str, found: float | None, *, long_enough: bool) -> Bar:
    text = "not read" if found is None else f"{found:+.2f} MB a day"
    met = found is not None and found <= SLOPE_MAXIMUM
    return Bar(name, text, f"at most {SLOPE_MAXIMUM:g}", met if long_enough else None)


def _peak_bar(name: str, seen: list[tuple[float, int]], days: float) -> Bar:
    early = max((count for day, count in seen if day <= days / 2), default=0)
    late = max((count for day, count in seen if day > days / 2), default=0)
    text = f"{early} in the first half, {late} in the second"
    return Bar(name, text, f"at most {MORE_AT_ONCE} more", late <= early + MORE_AT_ONCE)


def _file_bars(report: PhaseReport) -> list[Bar]:
    kept, limit = report.journal_bytes, report.retain_bytes
    full = report.segment_bytes + ROW_BYTES_MAXIMUM
    removed = report.segments_written - report.segments_kept
    logs = report.log_bytes
    small = all(size <= FILE_BYTES_MAXIMUM + LINE_BYTES_MAXIMUM for size in logs)
    return [
        Bar(
            "journal rotated",
            f"{report.segments_written} segments, {removed} removed, "
            f"{kept / MEGABYTE:,.0f} MB kept",
            f"2 or more, at most {(limit + full) / MEGABYTE:,.0f} MB",
            (kept <= limit + full and report.segments_written > 1)
            if report.segments_written > 1 or kept > full
            else None,
        ),
        Bar(
            "logs rotated",
            f"{len(logs)} files, {sum(logs) / MEGABYTE:,.0f} MB",
            f"2 to {FILES_KEPT + 1}, each at most {FILE_BYTES_MAXIMUM / MEGABYTE:,.0f} MB",
            (small and len(logs) <= FILES_KEPT + 1) if len(logs) > 1 or not small else None,
        ),
    ]


def _rows_bar(report: PhaseReport) -> Bar:
    rows = report.rows
    problems = rows.problems
    text = "; ".join(problems) or (
        f"{sum(rows.written.values()):,} of {len(rows.written)} kinds ({rows.retired:,} retired, "
        f"{rows.caught_up_late:,} carried over after the end)"
    )
    return Bar("rows == journal", text, "equal in every kind", not problems)


def _trades_bar(report: PhaseReport) -> Bar:
    rows = report.rows
    equal = (rows.trips, rows.pnl_micros) == (report.trades, report.pnl_micros)
    text = f"{rows.trips:,} and ${rows.pnl_micros / MICROS:,.2f}"
    wanted = f"{report.trades:,} and ${report.pnl_micros / MICROS:,.2f}"
    return Bar("round trips == ledger", text, wanted, equal)


def _late_trades_bar(report: PhaseReport) -> Bar:
    """Hold it to trading until the end: a worker that was halted on the way proves little."""
    late = [one.trades for one in report.readings if one.day >= report.days * (1.0 - LATE_SHARE)]
    trips = late[-1] - late[0] if late else 0
    long_enough = report.days * LATE_SHARE >= LATE_DAYS_MINIMUM
    text = f"{trips:,} round trips in the last quarter"
    return Bar("traded to the end", text, "1 or more", trips > 0 if long_enough else None)


def text_of(report: PhaseReport) -> str:
    """Return a phase for people: figures, bars, and what grew."""
    first, last = report.judged_readings[0], report.readings[-1]
    most = max(reading.resident_bytes for reading in report.readings)
    speed = report.days * 86_400 / report.wall_seconds
    lines = [
        f"{report.phase}: {report.days:g} simulated days of {report.assets} with "
        f"{report.strategy}, seed {report.seed}",
        f"  {'speed':<28} {speed:,.0f} times real time, {report.wall_seconds:,.0f} s "
        f"({report.cpu_seconds:,.0f} s of a core)",
        f"  {'decisions':<28} {report.decisions:,}, "
        f"{report.decisions / report.wall_seconds:,.0f} a second; "
        f"{report.frames:,} frames, {report.trades:,} round trips, "
        f"{report.alerts:,} messages",
        f"  {'resident memory':<28} {first.resident_bytes / MEGABYTE:.1f} MB after the warm-up, "
        f"{last.resident_bytes / MEGABYTE:.1f} at the end, {most / MEGABYTE:.1f} at most "
        "(worker and venues)",
        f"  {'Python allocations':<28} {first.blocks:,} after the warm-up, {last.blocks:,} at the "
        f"end ({report.blocks_a_day:+,.0f} a day)",
    ]
    for bar in bars_of(report):
        mark = {True: "ok", False: "NOT MET", None: "run too short to say"}[bar.met]
        lines.append(f"  {bar.name:<28} {bar.found}  [{bar.wanted}: {mark}]")
    lines += [f"  {'memory rose':<28} {text}" for text in _rises(report)]
    lines += [f"  {'more objects of':<28} {name} {count:+,}" for name, count in _grown(report)]
    return "\n".join(lines) + "\n"


def _rises(report: PhaseReport) -> list[str]:
    """Return when memory rose most between two readings, where it was not flat."""
    if report.megabytes_a_day <= SLOPE_MAXIMUM:
        return []
    pairs = pairwise(report.judged_readings)
    rises = [(later.resident_bytes - earlier.resident_bytes, later.day) for earlier, later in pairs]
    most = sorted(rises, reverse=True)[:RISES_SHOWN]
    return [f"{size / MEGABYTE:+.1f} MB by day {day:.3f}" for size, day in most]


def _grown(report: PhaseReport) -> list[tuple[str, int]]:
    """Return what there are more objects of than after the warm-up, where memory was not flat."""
    if report.megabytes_a_day <= SLOPE_MAXIMUM or len(report.types) < 2:
        return []
    before, after = report.types
    more = [(name, count - before.get(name, 0)) for name, count in after.items()]
    return sorted((row for row in more if row[1] > 0), key=lambda row: -row[1])[:TYPES_SHOWN]
