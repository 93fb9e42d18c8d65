"""The entry point: verbs, usage, and a start without the dependencies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import worker

ROOT = Path(__file__).resolve().parents[1]


def test_an_unknown_verb_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what was wrong, and the verbs."""
    assert worker.main(["fly"]) == 2
    error = capsys.readouterr().err
    assert "no verb 'fly'" in error
    assert all(verb in error for verb in worker.VERBS)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """--help is not an error."""
    assert worker.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in worker.VERBS)


@pytest.mark.parametrize("verb", sorted(worker.VERBS))
def test_every_verb_explains_its_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb has a --help of its own."""
    with pytest.raises(SystemExit) as left:
        worker.main([verb, "--help"])
    assert left.value.code == 0
    assert f"worker.py {verb}" in capsys.readouterr().out


def test_without_dependencies_one_line_says_how_to_get_them(tmp_path: Path) -> None:
    """A bare python without the packages is told to use uv, with exit code 69."""
    bare = [sys.executable, "-S", "-E", str(ROOT / "worker.py"), "config"]
    done = subprocess.run(bare, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 69
    assert done.stderr.count("\n") == 1
    assert "uv run worker.py" in done.stderr


def test_config_answers_without_loading_mlx(tmp_path: Path) -> None:
    """A verb loads what it needs and nothing else."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import worker; worker.main(['config']); "
        "print(sorted({'mlx', 'numpy', 'websockets', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
