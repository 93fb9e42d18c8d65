"""The runbook: every event that a SAFETY line can carry is in docs/operations.md, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
ROOMS = ("helpers", "db", "simulator")
LEVELS = frozenset({"info", "warning", "error", "critical"})
GIVEN_THE_LOGGER = frozenset({"helpers/commands/preflight_gate.py"})
"""Files whose logger is a SAFETY one that somebody hands them."""
OF_OTHER_TAGS = frozenset({"order_approved"})
"""In one expression with a SAFETY event: which of the two is written goes with the tag."""


def texts(node: ast.AST) -> Iterator[str]:
    """Yield what an event's expression can be, as patterns."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+"
            for part in node.values
        )


def assigned(tree: ast.AST) -> dict[str, ast.expr]:
    """Return the last expression that each name or attribute is given in a file."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            found |= {ast.unparse(target): node.value for target in node.targets}
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            found[ast.unparse(node.target)] = node.value
    return found


def events_of(path: Path) -> Iterator[str]:
    """Yield the events of SAFETY lines of one file, as patterns."""
    tree = ast.parse(path.read_text())
    names = assigned(tree)
    given = path.relative_to(ROOT).as_posix() in GIVEN_THE_LOGGER

    def is_safety(receiver: ast.expr) -> bool:
        if "Tag.SAFETY" in ast.unparse(receiver):
            return True
        if isinstance(receiver, ast.Subscript) and ast.unparse(receiver.slice) in names:
            return "Tag.SAFETY" in ast.unparse(names[ast.unparse(receiver.slice)])
        value = names.get(ast.unparse(receiver))
        return given or (value is not None and "logger(Tag.SAFETY)" in ast.unparse(value))

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in LEVELS and node.args and is_safety(node.func.value):
                yield from texts(node.args[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "partial":
            if len(node.args) > 1 and "Tag.SAFETY" in ast.unparse(node.args[0]):
                yield from texts(node.args[1])
        elif isinstance(node, ast.Tuple) and any(
            ast.unparse(one) == "Tag.SAFETY" for one in node.elts
        ):
            for one in node.elts:
                event = names.get(one.id) if isinstance(one, ast.Name) else one
                yield from texts(event) if event is not None else ()


def patterns() -> set[str]:
    found = {
        event for room in ROOMS for path in (ROOT / room).rglob("*.py") for event in events_of(path)
    }
    return {event for event in found if event not in LEVELS | OF_OTHER_TAGS}


def documented() -> list[str]:
    table = RUNBOOK.split("<!-- safety events -->")[1].split("<!-- /safety events -->")[0]
    return re.findall(r"^\| `([a-z_]+)` \|", table, flags=re.MULTILINE)


def test_every_safety_event_is_in_the_runbook() -> None:
    """Whoever is woken by a line finds what it means and what to do."""
    known = documented()
    found = patterns()
    assert len(found) > 20
    missing = [one for one in sorted(found) if not any(re.fullmatch(one, name) for name in known)]
    assert missing == []


def test_the_runbook_explains_no_event_that_is_gone() -> None:
    """A runbook of the past misleads."""
    found = patterns()
    gone = [name for name in documented() if not any(re.fullmatch(one, name) for one in found)]
    assert gone == []


def test_every_row_of_the_runbook_says_what_to_do() -> None:
    """Three cells, none empty, in order."""
    table = RUNBOOK.split("<!-- safety events -->")[1].split("<!-- /safety events -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
