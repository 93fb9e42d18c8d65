"""What a process holds: resident memory, tasks, descriptors, and how long its containers are.

Nothing is traced, so nothing is slowed down: the collector's own list of objects says who holds
what. Containers are named by the class and the attribute that hold them, the modules' own by the
module; what is inside another container has ``[]`` behind its name. Must not: keep any of what it
looks at, or know what is right.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeAlias

ROOMS: Final = ("helpers", "strategies", "db", "simulator")
_PROCESSES: Final = Path("/proc")
_SELF: Final = "self"
_DESCRIPTORS: Final = Path("/proc/self/fd")
_CONTAINERS: Final = (dict, list, set, deque, bytearray, tuple, frozenset)

_Lengths: TypeAlias = dict[str, dict[int, tuple[int, int | None]]]
"""Length and bound of each container of a name, by its identity."""


class Vitals(NamedTuple):
    """A process at one moment."""

    resident_bytes: int
    blocks: int
    """Pieces of memory that Python's own allocator has given out."""
    tasks: int
    descriptors: int


class Container(NamedTuple):
    """Every container of one name, at one moment."""

    longest: int
    """Items in the longest of them."""
    total: int
    """Items in all of them."""
    bound: int | None
    """What the container itself enforces, where it does (``deque``)."""


def can_be_read() -> bool:
    """Return whether this system says how much memory a process has resident."""
    return resident_bytes_of() is not None


def resident_bytes_of(process_id: int | str = _SELF) -> int | None:
    """Return how much memory a process has resident; ``None`` where that cannot be read."""
    try:
        pages = (_PROCESSES / str(process_id) / "statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def read_vitals() -> Vitals:
    """Return the process as it is now; needs a running loop and ``can_be_read``."""
    resident_bytes = resident_bytes_of()
    assert resident_bytes is not None, "asked before"
    return Vitals(
        resident_bytes,
        sys.getallocatedblocks(),
        len(asyncio.all_tasks()),
        descriptors().total(),
    )


def descriptors() -> Counter[str]:
    """Return what is open, by kind: a path, or ``socket``, ``pipe`` and the like."""
    found: Counter[str] = Counter()
    for link in _DESCRIPTORS.iterdir():
        try:
            found[str(link.readlink()).split(":[")[0]] += 1
        except FileNotFoundError:
            continue  # the one that this look itself needed
    return found


def count_types() -> Counter[str]:
    """Return how many objects of each class the collector looks after."""
    return Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects())


def objects_of_ours() -> list[object]:
    """Return every object that can hold a container of ours, as far as the collector knows it."""
    known: dict[type, bool] = {}
    found: list[object] = []
    for one in gc.get_objects():
        kind = type(one)
        if kind not in known:
            known[kind] = kind is ModuleType or _names_of(kind) is not None
        if known[kind]:
            found.append(one)
    return found


def find_containers(older: Iterable[object] = ()) -> dict[str, Container]:
    """Return every container that an object or a module of ours holds.

    ``older`` are objects that the collector was told to leave aside.
    """
    found: _Lengths = {}
    names: dict[type, tuple[str, tuple[str, ...]] | None] = {}
    for one in chain(older, gc.get_objects()):
        kind = type(one)
        if kind not in names:
            names[kind] = _names_of(kind)
        named = names[kind]
        if named is not None:
            owner, slots = named
            for attribute, value in _values(one, slots):
                _note(found, f"{owner}.{attribute}", value)
        elif isinstance(one, ModuleType) and one.__name__.split(".")[0] in ROOMS:
            for attribute, value in list(vars(one).items()):
                if not attribute.startswith("__"):
                    _note(found, f"{one.__name__}.{attribute}", value)
    return {name: _summary(lengths.values()) for name, lengths in found.items()}


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of the least-squares line; 0 for fewer than two points."""
    count = len(xs)
    if count < 2:
        return 0.0
    x_mean, y_mean = sum(xs) / count, sum(ys) / count
    spread = sum((x - x_mean) ** 2 for x in xs)
    shared = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return shared / spread if spread else 0.0


def _names_of(kind: type) -> tuple[str, tuple[str, ...]] | None:
    """Return the name of a class of ours and its slots; a class derived elsewhere is its base."""
    for base in kind.__mro__:
        if str(base.__module__).split(".")[0] in ROOMS:
            slots: list[str] = []
            for each in kind.__mro__:
                declared = vars(each).get("__slots__", ())
                slots += [declared] if isinstance(declared, str) else declared
            slots += getattr(kind, "__struct_fields__", ())
            return base.__qualname__, tuple(dict.fromkeys(slots))
    return None


def _values(one: object, slots: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(one, "__dict__", {}).items())
    for name in slots:
        value = getattr(one, name, None)
        if value is not None:
            yield name, value


def _note(found: _Lengths, name: str, value: Any) -> None:
    bound: int | None = None
    if isinstance(value, asyncio.Queue):
        length, bound = value.qsize(), value.maxsize or None
    elif isinstance(value, _CONTAINERS):
        length, bound = len(value), value.maxlen if isinstance(value, deque) else None
    else:
        return
    # By identity: what many share is held once.
    found.setdefault(name, {})[id(value)] = (length, bound)
    if name.endswith("[]") or isinstance(value, bytearray | asyncio.Queue):
        return
    for each in list(value.values()) if isinstance(value, dict) else list(value):
        _note(found, f"{name}[]", each)


def _summary(lengths: Iterable[tuple[int, int | None]]) -> Container:
    seen = list(lengths)
    bounds = [bound for _, bound in seen if bound is not None]
    longest, total = max(length for length, _ in seen), sum(length for length, _ in seen)
    return Container(longest, total, max(bounds, default=None))
