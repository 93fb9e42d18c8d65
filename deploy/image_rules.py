"""What this project asks of its image: each rule is a function, each finding a line.

Pure: text in, findings out. Where hadolint is installed, the tests run that as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from deploy.dockerfile import IgnoreRules, Stage, read_instructions, read_stages

PINNED: Final = re.compile(r"[^:@]+(:\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})")
SECRET_NAME: Final = re.compile(r"KEY|SECRET|TOKEN|PASS|WEBHOOK|CREDENTIAL", re.IGNORECASE)
COMPILERS: Final = re.compile(r"\b(gcc|g\+\+|clang|build-essential|make|cargo|rustc)\b")
UID_MINIMUM: Final = 10_000
"""Above what distributions give to accounts of their own, so that it is nobody on the host."""
KEPT_OUT: Final = (
    *(".env", ".env.local", ".git/config", ".venv/bin/python", "backups/journal/1.jsonl"),
    *("tests/test_docs.py", "logs/worker.log", "backups/tapes/paper.jsonl.gz", "uv.lock"),
)
SENT: Final = (
    *("worker.py", "requirements.txt", "db/migrations/0001_initial.sql", "helpers/engine.py"),
    *("models/rl_model.safetensors", "simulator/world.py", "strategies/rl_mlx.py"),
    *("deploy/worker", "deploy/healthcheck.py", "db/schema.sql"),
)

Rule = Callable[[Sequence[Stage]], Iterator[str]]


def check_image(dockerfile: str, dockerignore: str) -> tuple[str, ...]:
    """Return what is wrong, empty when nothing is; raises ``DockerfileError``."""
    stages = read_stages(read_instructions(dockerfile))
    found = [text for rule in RULES for text in rule(stages)]
    return (*found, *_ignored(IgnoreRules(dockerignore)))


def _bases(stages: Sequence[Stage]) -> Iterator[str]:
    names = {stage.name for stage in stages}
    for stage in stages:
        if stage.base not in names and not PINNED.fullmatch(stage.base):
            yield f"line {stage.line}: {stage.base} is not pinned to a version"
        for step in stage.steps:
            source = step.flag("from")
            if source and source not in names and not PINNED.fullmatch(source):
                yield f"line {step.line}: --from={source} is not pinned to a version"
    outside = {stage.base for stage in stages if stage.base not in names}
    if len(outside) > 1:
        yield f"stages begin from {sorted(outside)}: the Python of both must be one"


def _user(stages: Sequence[Stage]) -> Iterator[str]:
    users = [step.text for step in stages[-1].steps if step.keyword == "USER"]
    uid = users[-1].split(":")[0] if users else ""
    if not uid.isdigit() or int(uid) < UID_MINIMUM:
        yield f"USER was {uid or 'root'}, expected a number from {UID_MINIMUM}"


def _forms(stages: Sequence[Stage]) -> Iterator[str]:
    final = stages[-1].steps
    commands = [step.exec_form for step in final if step.keyword == "CMD"]
    if commands != [("python", "worker.py")]:
        yield 'CMD must be ["python", "worker.py"]: a shell would swallow the signals'
    if any(step.keyword == "ENTRYPOINT" for step in final):
        yield "ENTRYPOINT would stand before the release command, too"
    checks = [step for step in final if step.keyword == "HEALTHCHECK"]
    if len(checks) != 1 or not checks[0].text.startswith("CMD ["):
        yield "one HEALTHCHECK in exec form is expected"
    if [step.text for step in final if step.keyword == "STOPSIGNAL"] != ["SIGTERM"]:
        yield "STOPSIGNAL must be SIGTERM"


def _no_add(stages: Sequence[Stage]) -> Iterator[str]:
    for stage in stages:
        for step in stage.steps:
            if step.keyword == "ADD":
                yield f"line {step.line}: ADD unpacks and downloads; use COPY"


def _no_secret(stages: Sequence[Stage]) -> Iterator[str]:
    for stage in stages:
        for step in stage.steps:
            named = SECRET_NAME.search(step.text)
            if step.keyword in ("ENV", "ARG", "LABEL") and named:
                yield f"line {step.line}: {named[0]}: secrets come from the platform when it runs"


def _no_compiler(stages: Sequence[Stage]) -> Iterator[str]:
    for step in stages[-1].steps:
        if step.keyword == "RUN" and (found := COMPILERS.search(step.text)):
            yield f"line {step.line}: {found[0]}: no compiler in the final image"


def _installs(stages: Sequence[Stage]) -> Iterator[str]:
    steps = [step for stage in stages for step in stage.steps if step.keyword == "RUN"]
    installs = [step for step in steps if "pip install" in step.text]
    if not installs:
        yield "nothing installs requirements.txt"
    for step in installs:
        for option in ("--require-hashes", "--no-build", "requirements.txt"):
            if option not in step.text:
                yield f"line {step.line}: {option} is missing"
    made = [step.pairs().get("UV_COMPILE_BYTECODE") for stage in stages for step in stage.steps]
    if "1" not in made:
        yield "UV_COMPILE_BYTECODE=1 is missing: the first start would compile"


def _ignored(rules: IgnoreRules) -> Iterator[str]:
    for path in KEPT_OUT:
        if not rules.keeps_out(path):
            yield f".dockerignore lets {path} through"
    for path in SENT:
        if rules.keeps_out(path):
            yield f".dockerignore keeps {path} out"


RULES: Final[tuple[Rule, ...]] = (
    *(_bases, _user, _forms, _no_add, _no_secret, _no_compiler, _installs),
)
