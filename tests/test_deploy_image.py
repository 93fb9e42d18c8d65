"""The image: the Dockerfile and .dockerignore follow the rules, and each rule can fail."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.dockerfile import DockerfileError, IgnoreRules, read_instructions, read_stages
from deploy.image_rules import check_image

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DOCKERIGNORE = (ROOT / ".dockerignore").read_text()


def test_the_image_follows_every_rule() -> None:
    """Pinned bases, wheels by hash, no root, no compiler, no shell between platform and worker."""
    assert check_image(DOCKERFILE, DOCKERIGNORE) == ()


def test_hadolint_finds_nothing() -> None:
    """The field's own linter agrees."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if hadolint is None:
        pytest.skip("hadolint is not installed (uv sync --all-groups)")
    found = subprocess.run(
        (hadolint, "--failure-threshold", "style", str(ROOT / "Dockerfile")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(
    ("sound", "broken", "finding"),
    [
        ("python:3.11.14-slim-bookworm", "python:3.11-slim", "not pinned"),
        ("python:3.11.14-slim-bookworm", "python:latest", "not pinned"),
        ("uv:0.13.9", "uv:latest", "not pinned"),
        ("FROM base\nRUN groupadd", "FROM python:3.12.1-slim\nRUN groupadd", "must be one"),
        ("USER 10001:10001", "USER root", "USER was root"),
        ("USER 10001:10001", "USER 1000", "USER was 1000"),
        ("USER 10001:10001\n", "", "USER was root"),
        ('CMD ["python", "worker.py"]', "CMD python worker.py", "swallow the signals"),
        ('CMD ["python", "-S", "deploy/healthcheck.py"]', "CMD curl x", "HEALTHCHECK"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "STOPSIGNAL"),
        ("COPY . .", "ADD . .", "ADD"),
        ("VOLUME", "ENV POLYMARKET_PRIVATE_KEY=0x1\nVOLUME", "secrets come from"),
        ("VOLUME", 'ENTRYPOINT ["sh"]\nVOLUME', "ENTRYPOINT"),
        ("RUN python -m compileall", "RUN apt-get install gcc && python", "no compiler"),
        ("--require-hashes ", "", "--require-hashes is missing"),
        ("--no-build ", "", "--no-build is missing"),
        ("UV_COMPILE_BYTECODE=1 ", "", "UV_COMPILE_BYTECODE"),
    ],
)
def test_each_rule_finds_what_it_is_for(sound: str, broken: str, finding: str) -> None:
    """A linter that finds nothing in a bad file would be worth nothing."""
    text = DOCKERFILE.replace(sound, broken)
    assert text != DOCKERFILE
    assert any(finding in one for one in check_image(text, DOCKERIGNORE))


@pytest.mark.parametrize("line", [".env", ".git", "backups", "tests", ".venv", "logs", "uv.lock"])
def test_a_line_missing_from_dockerignore_is_found(line: str) -> None:
    """Secrets, history and this machine's files stay out of the image (I35)."""
    without = re.sub(rf"^{re.escape(line)}$\n", "", DOCKERIGNORE, flags=re.MULTILINE)
    assert without != DOCKERIGNORE
    assert any(".dockerignore lets" in one for one in check_image(DOCKERFILE, without))


def test_a_dockerignore_that_keeps_too_much_out_is_found() -> None:
    """The image must be able to run."""
    found = check_image(DOCKERFILE, DOCKERIGNORE + "\nsimulator\n")
    assert found == (".dockerignore keeps simulator/world.py out",)


def test_ignore_rules_are_dockers() -> None:
    """Folders take what is below them, ** any depth, * no slash, the last rule that fits wins."""
    rules = IgnoreRules("# a comment\na\n**/*.pyc\nb/*.txt\n!b/kept.txt\n**/cache\n")
    out = ("a", "a/x/y", "x.pyc", "p/q/x.pyc", "b/x.txt", "cache/1", "p/cache/1")
    kept = ("aa", "p/a", "b/kept.txt", "b/c/x.txt", "x.py", "mycache")
    assert [path for path in out if not rules.keeps_out(path)] == []
    assert [path for path in kept if rules.keeps_out(path)] == []


def test_instructions_are_read_with_their_flags_and_lines() -> None:
    """Continuations are joined, comments left out, flags apart from the text."""
    text = (
        "FROM a:1.2.3 AS one\n# not this\nRUN --mount=type=cache,target=/c x \\\n  && y\n"
        'FROM one\nENV A=1 B="two words"\nCMD ["p", "q"]\n'
    )
    first, last = read_stages(read_instructions(text))
    assert (first.base, first.name, last.base, last.name) == ("a:1.2.3", "one", "one", "")
    run = first.steps[0]
    assert (run.line, run.flag("mount"), run.text) == (3, "type=cache,target=/c", "x && y")
    assert last.steps[0].pairs() == {"A": "1", "B": "two words"}
    assert last.steps[1].exec_form == ("p", "q")


@pytest.mark.parametrize(
    "text", ["FRM x\n", "RUN x\n", "FROM a\nRUN x \\\n", "FROM a\nRUN <<E\n", "FROM a\nBREW tea\n"]
)
def test_what_cannot_be_read_is_an_error(text: str) -> None:
    """Never a guess."""
    with pytest.raises(DockerfileError):
        read_stages(read_instructions(text))


class Livez(http.server.BaseHTTPRequestHandler):
    """A worker's /livez that answers what the test wants."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/livez" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of a server on this machine."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Livez)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_healthcheck_asks_livez(
    port: int, status: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0 for 200 and nothing else, by the very words of HEALTHCHECK."""
    monkeypatch.setattr(Livez, "status", status)
    assert _healthcheck(port).returncode == code


def test_healthcheck_without_a_dashboard_has_nothing_to_ask() -> None:
    """With DASHBOARD_PORT=0 a container was unhealthy for ever."""
    assert _healthcheck(0).returncode == 0


def test_healthcheck_of_nobody_fails_with_a_line() -> None:
    """A worker that does not answer is not alive."""
    found = _healthcheck(9)
    assert found.returncode == 1
    assert found.stderr.startswith("healthcheck: port 9: ")


def _healthcheck(port: int) -> subprocess.CompletedProcess[str]:
    health = next(s for s in read_instructions(DOCKERFILE) if s.keyword == "HEALTHCHECK")
    words = health._replace(text=health.text.removeprefix("CMD ")).exec_form
    return subprocess.run(
        (sys.executable, *words[1:]),
        cwd=ROOT,
        env={"DASHBOARD_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
