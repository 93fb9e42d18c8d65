"""Plants a bug in a module's source, before anybody imports it: nothing on the disk changes.

Imports nothing of ours, so that whatever is planted is planted first.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple


class Change(NamedTuple):
    """A piece of source, and what stands there instead."""

    module: str
    old: str
    new: str


class Mutation(NamedTuple):
    """One planted bug."""

    name: str
    says: str
    changes: tuple[Change, ...]
    invariants: frozenset[str]
    """Names of those that must find it, at least one of them."""
    first_seed: int
    """Runs begin here; one of the next few finds it."""


class PlantError(LookupError):
    """A bug cannot be planted: its place is not there any more, or not only there."""


def changed(text: str, change: Change) -> str:
    """Return source with a change made; raise ``PlantError`` unless its place is there once."""
    found = text.count(change.old)
    if found != 1:
        raise PlantError(f"{change.module} had {found} places, expected 1, of:\n{change.old}")
    return text.replace(change.old, change.new)


def source_path(module: str) -> Path:
    """Return where a module's source is, without importing it."""
    root = Path(__file__).parents[2]
    return root.joinpath(*module.split(".")).with_suffix(".py")


def plant(mutation: Mutation) -> None:
    """Let its modules be imported with the bug; raise ``PlantError`` where that is too late."""
    for module in {change.module for change in mutation.changes}:
        if module in sys.modules:
            raise PlantError(f"{module} was imported already")
    sys.meta_path.insert(0, _Finder(mutation.changes))


def require_planted(mutation: Mutation) -> None:
    """Raise ``PlantError`` when a module with the bug was never used."""
    for module in {change.module for change in mutation.changes}:
        used = sys.modules.get(module)
        if used is None or not isinstance(used.__loader__, _Loader):
            raise PlantError(f"{module} was not imported with its bug")


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles changed source; reads and writes no cache of it."""

    def __init__(self, fullname: str, path: str, changes: Sequence[Change]) -> None:
        super().__init__(fullname, path)
        self._changes = changes

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        text = self.get_data(path).decode()
        for change in self._changes:
            text = changed(text, change)
        return compile(text, path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the changed modules and no others."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        changes = [change for change in self._changes if change.module == fullname]
        if not changes:
            return None
        where = str(source_path(fullname))
        loader = _Loader(fullname, where, changes)
        return importlib.util.spec_from_file_location(fullname, where, loader=loader)
