"""The house keeps its rules: who imports whom, sizes, docstrings, one reader of time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("helpers", "strategies", "db", "simulator", "benchmarks", "deploy")
SOURCES = [
    *sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")),
    ROOT / "worker.py",
]
READS_TIME = re.compile(r"\btime\.(time|time_ns|monotonic|monotonic_ns|perf_counter|sleep)\b")
READS_DATE = re.compile(r"\bdatetime\.(now|utcnow|today)\b")
GLOBAL_RANDOM = re.compile(r"[^\w.]random\.(random|choice|uniform|randint|seed|shuffle)\(")
FILE_LINES_MAXIMUM = 400
FUNCTION_LINES_MAXIMUM = 60
WORKER_LINES_MAXIMUM = 250

SHARED_BY_ALL = ("helpers.domain", "helpers.clock", "helpers.metrics", "helpers.execution")
COMPOSERS = ("worker", "helpers.commands", "simulator", "benchmarks", "deploy")
"""Who may see everything: they build the flow from its stages."""
ROOMS_OF_SEVERAL_FILES = {
    "helpers.ledger": (
        "helpers.ledger_account",
        "helpers.ledger_leg",
        "helpers.ledger_report",
        "helpers.ledger_carry",
    ),
    "helpers.paper_executor": (
        "helpers.paper_queue",
        "helpers.paper_steps",
        "helpers.paper_liquidity",
        "helpers.order_rules",
    ),
    "helpers.recorder": ("helpers.tape",),
    "helpers.settings": ("helpers.settings_rules", "helpers.settings_words"),
    "helpers.narrator": ("helpers.narrator_safety",),
    "helpers.discord": (
        "helpers.discord_alerts",
        "helpers.discord_day",
        "helpers.discord_lasting",
        "helpers.discord_picture",
        "helpers.discord_post",
        "helpers.discord_queue",
        "helpers.discord_refusals",
        "helpers.discord_safety",
        "helpers.discord_wire",
        "helpers.discord_words",
    ),
    "helpers.safety": (
        "helpers.safety_account",
        "helpers.safety_breaches",
        "helpers.safety_data",
        "helpers.safety_exits",
        "helpers.safety_limits",
        "helpers.safety_order",
    ),
    "helpers.feeds": ("helpers.markets", "helpers.venues"),
}
"""Rooms that were split when they grew: their files may see each other."""
ALSO_ALLOWED = {
    "helpers.clob_executor": ("helpers.clob", "helpers.live", "helpers.order_rules"),
    "helpers.clob": ("helpers.feeds.http", "helpers.feeds.polymarket_user", "helpers.venues"),
    "helpers.live": (
        "helpers.clob",
        "helpers.logs",
        "helpers.order_rules",
        "helpers.feeds.polymarket_user",
    ),
    "helpers.account": ("helpers.stages", "helpers.halts"),
    "helpers.halt_control": ("helpers.stages", "helpers.account", "helpers.halts"),
    "helpers.engine": (
        "helpers.stages",
        "helpers.account",
        "helpers.halts",
        "helpers.feed_gaps",
        "helpers.halt_control",
        "helpers.position_supervisor",
    ),
    "helpers.position_supervisor": (
        "helpers.stages",
        "helpers.account",
        "helpers.halt_control",
    ),
    "helpers.narrator": ("helpers.logs",),
    "helpers.narrator_safety": ("helpers.logs",),
    "helpers.discord": ("helpers.feeds.http", "helpers.logs"),
    "helpers.discord_wire": ("helpers.logs",),
    "helpers.watchdog": ("helpers.logs",),
    "helpers.outside_heartbeat": ("helpers.feeds.http", "helpers.logs", "helpers.watchdog"),
    "db.projector_process": ("helpers.heap",),
    "db.file_lease": ("helpers.lease",),
    "db.postgres_lease": ("helpers.lease",),
    "db.migrate": ("helpers.settings",),  # it is a command, too
    "helpers.training": ("strategies", "helpers.logs"),
    "helpers.web": ("db.query_results", "helpers.evaluation"),  # what it shows
    "helpers.server": ("helpers.settings_rules",),  # which addresses are this machine's own
    "helpers.sizing": ("helpers.order_rules", "helpers.quoting"),
    "helpers.quoting": ("helpers.order_rules",),
}


def module_of(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(relative.parts).removesuffix(".__init__")


def package_of(module: str) -> str:
    """Return the room a module is in: its package, or itself for a single file."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in ("helpers", "simulator") else parts[0]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def ours(name: str) -> bool:
    return name.split(".")[0] in (*ROOMS, "worker")


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_stage_imports_only_what_it_may(path: Path) -> None:
    """A stage imports the domain, the clock and its own package, never another stage."""
    module = module_of(path)
    if module.startswith(COMPOSERS):
        return
    allowed = {
        *SHARED_BY_ALL,
        package_of(module),
        *ALSO_ALLOWED.get(module, ()),
        *ALSO_ALLOWED.get(package_of(module), ()),
    }
    for room, files in ROOMS_OF_SEVERAL_FILES.items():
        if package_of(module) in (room, *files):
            allowed |= {room, *files}
    if module.startswith("helpers.domain"):
        allowed = {"helpers.domain"}
    for name in imports_of(path):
        if ours(name):
            assert any(name == a or name.startswith(a + ".") for a in allowed), (module, name)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    """MLX, asyncpg, the environment and the clock each have one place."""
    module = module_of(path)
    roots = {name.split(".")[0] for name in imports_of(path)}
    if module.startswith("strategies"):
        assert not roots & {"asyncio", "httpx", "websockets", "socket", "urllib"}, module
    if "mlx" in roots:
        assert module.startswith(("strategies", "benchmarks")), module
    if "asyncpg" in roots:
        assert module.startswith("db"), module
    text = path.read_text()
    # What starts and builds the worker is told by the platform, not by the settings.
    if module not in ("helpers.clock", "helpers.settings") and not module.startswith("deploy"):
        assert not re.search(r"\bos\.(environ|getenv)\b", text), module
    if module != "helpers.clock" and not module.startswith("benchmarks"):
        assert not READS_TIME.search(text), module
        assert not READS_DATE.search(text), module
    assert not GLOBAL_RANDOM.search(text), module


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    """A file fits in the head, a function on a screen."""
    text = path.read_text()
    limit = WORKER_LINES_MAXIMUM if path.name == "worker.py" else FILE_LINES_MAXIMUM
    assert text.count("\n") <= limit, path
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAXIMUM, (path, node.name, length)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """Each module has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text())), path


def test_only_the_gate_builds_an_approved() -> None:
    """Invariant 1: an order needs an ``Approved``, and one module alone makes them."""
    builders = {
        module_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Approved"
    }
    assert builders == {"helpers.safety"}


def test_messages_are_frozen() -> None:
    """Every message class of the project is declared frozen."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(base, ast.Name) and base.id == "Message" for base in node.bases
            ):
                assert any(k.arg == "frozen" for k in node.keywords), (path, node.name)


def test_no_task_without_an_owner() -> None:
    """H19: tasks are made by a TaskGroup, never left alone."""
    for path in SOURCES:
        assert not re.search(r"asyncio\.(create_task|ensure_future)\(", path.read_text()), path


def test_nothing_of_this_machine_is_committed() -> None:
    """No absolute path of a builder's machine and no private frame is in the project."""
    pattern = re.compile("|".join(("/" + "work/", "/" + "root/", "/tmp/" + "wt")))
    for path in [
        *SOURCES,
        *(ROOT / "tests").rglob("*.py"),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
    ]:
        if path.exists():
            assert not pattern.search(path.read_text()), path
