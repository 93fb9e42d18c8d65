"""Builds a Dockerfile's stages as overlays on this machine's own files: same steps, no engine.

Each stage is a copy-on-write view of a root file system (this machine's, or a folder given as the
base), and every RUN happens in it by chroot. To be called inside mount and process namespaces of
one's own (``unshare``), as root: all of it is gone with them. Must not: write to the base.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deploy.dockerfile import IgnoreRules, Instruction, Stage

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OF_THE_INSTALLER: Final = ("UV_", "PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_", "HTTPS_", "NO_")
"""First words of variables that say how packages are reached: of the build, never of the image."""
COMPILERS: Final = re.compile(r"(.*-)?(gcc|g\+\+|cc|c\+\+|clang(\+\+)?|make|ld(\.\w+)?)(-\d+)?")
VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")
CACHE_TARGET: Final = re.compile(r"type=cache,target=([^,]+)")
BUILD_SECONDS: Final = 900.0
PYTHON_WORDS: Final = 3
"""Of a version: what the base's tag says before its variant."""


class RehearsalError(Exception):
    """A step that could not be performed; the text says which and why."""


class Image(NamedTuple):
    """What a build leaves: a tree, and how a process is started in it."""

    root: Path
    """Of the whole file system, to chroot to."""
    layer: Path
    """Only what the build added to the base."""
    environment: Mapping[str, str]
    folder: str
    user: str
    command: tuple[str, ...]
    health: tuple[str, ...]
    stop_signal: str

    def start(self, words: Sequence[str], *, as_root: bool = False) -> subprocess.Popen[str]:
        """Start a command as the image's user, its output kept as text."""
        user = "0:0" if as_root else self.user
        return subprocess.Popen(  # noqa: S603 - words of the Dockerfile and of this program
            [
                *("chroot", f"--userspec={user}", str(self.root)),
                *("/bin/sh", "-c", 'cd "$0" && exec "$@"', self.folder, *words),
            ],
            env={"PATH": PATH, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def this_uv() -> Path:
    """Return the uv that runs this program, or the one on PATH; raises ``RehearsalError``."""
    # `uv run` names itself: what is on PATH may be a script that only its owner can use.
    found = os.environ.get("UV") or shutil.which("uv")
    if found is None:
        raise RehearsalError("uv is not on this machine (`pip install uv`)")
    return Path(found).resolve()


class Build:
    """One build, stage after stage."""

    def __init__(self, context: Path, ignored: IgnoreRules, base: Path, work: Path) -> None:
        """Take what is sent to the build, what all begins from, and an empty folder."""
        self._context = context
        self._ignored = ignored
        self._base = base
        self._work = work
        self._layers: dict[str, tuple[Path, ...]] = {}
        self._trees: dict[str, Path] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self._folders: dict[str, str] = {}

    def run(self, stages: Sequence[Stage]) -> Image:
        """Perform every stage and return the last one's image; raises ``RehearsalError``."""
        found: Image | None = None
        for number, stage in enumerate(stages):
            found = self._stage(stage, stage.name or str(number), last=stage is stages[-1])
        if found is None:
            raise RehearsalError("the Dockerfile has no stage")
        return found

    def _stage(self, stage: Stage, name: str, *, last: bool) -> Image:
        below = self._layers.get(stage.base, ())
        layer, tree = self._mounted(name, below)
        self._layers[name] = (layer, *below)
        self._trees[name] = tree
        environment = dict(self._environments.get(stage.base, {}))
        self._environments[name] = environment
        self._folders[name] = self._folders.get(stage.base, "/")
        if not below:
            self._provide_python(tree, stage.base)
        if last:
            _hide_compilers(tree)
        user, signal = "0:0", "SIGTERM"
        command: tuple[str, ...] = ()
        health: tuple[str, ...] = ()
        for step in stage.steps:
            match step.keyword:
                case "ENV":
                    known = {"PATH": PATH, **environment}
                    for variable, value in step.pairs().items():
                        environment[variable] = _expanded(value, known)
                case "WORKDIR":
                    self._folders[name] = step.text
                    (tree / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(step, name)
                case "RUN":
                    self._run(step, name)
                case "USER":
                    user = step.text
                case "STOPSIGNAL":
                    signal = step.text
                case "CMD":
                    command = step.exec_form
                case "HEALTHCHECK":
                    health = step._replace(text=step.text.removeprefix("CMD ")).exec_form
                case "EXPOSE" | "VOLUME":
                    pass  # declarations: nothing happens in a build
                case _:
                    raise RehearsalError(f"line {step.line}: {step.keyword} is not rehearsed")
        folder = self._folders[name]
        return Image(tree, layer, environment, folder, user, command, health, signal)

    def _mounted(self, name: str, below: Sequence[Path]) -> tuple[Path, Path]:
        layer, work, tree = (self._work / part / name for part in ("layer", "work", "tree"))
        for folder in (layer, work, tree):
            folder.mkdir(parents=True)
        lower = ":".join(str(one) for one in (*below, self._base))
        options = f"lowerdir={lower},upperdir={layer},workdir={work}"
        _command("mount", "-t", "overlay", "overlay", "-o", options, str(tree))
        _command("mount", "-t", "proc", "proc", str(tree / "proc"))
        _command("mount", "--rbind", "/dev", str(tree / "dev"))
        # What other users of this machine own is no part of an image.
        for private in (self._context, Path("/home"), Path("/tmp")):  # noqa: S108 - hidden
            inside = tree / str(private).lstrip("/")
            if inside.is_dir():
                _command("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(inside))
        return layer, tree

    def _provide_python(self, tree: Path, base: str) -> None:
        """Put the Python where the base image has it; the patch version is this machine's."""
        tag = base.rpartition(":")[2].split("-")[0]
        wanted = "python" + ".".join(tag.split(".")[: PYTHON_WORDS - 1])
        local = tree / "usr/local/bin"
        local.mkdir(parents=True, exist_ok=True)
        found = next((p for p in ("usr/local/bin", "usr/bin") if (tree / p / wanted).exists()), "")
        if not found:
            raise RehearsalError(f"{wanted} of {base} is not on this machine")
        for link in ("python", "python3", wanted):
            if found == "usr/bin":
                (local / link).unlink(missing_ok=True)
                (local / link).symlink_to(f"/{found}/{wanted}")

    def _copy(self, step: Instruction, name: str) -> None:
        *sources, target = step.words
        place = self._inside(name, target)
        stage = step.flag("from")
        if not stage:
            for source in sources:
                self._send(source, place, into=len(sources) > 1 or target.endswith("/"))
        elif stage in self._trees:
            for source in sources:
                _command("cp", "-a", "-T", str(self._inside(stage, source)), str(place))
        else:
            self._copy_tool(step, sources, place)

    def _send(self, source: str, place: Path, *, into: bool) -> None:
        origin = self._context / source
        if origin.is_file():
            target = place / origin.name if into else place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, target)
            return
        for relative in self._ignored.files(origin):
            target = place / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin / relative, target)

    def _copy_tool(self, step: Instruction, sources: Sequence[str], place: Path) -> None:
        """Take this machine's own uv in place of another image's."""
        if [Path(source).name for source in sources] != ["uv"]:
            raise RehearsalError(f"line {step.line}: only uv is taken from another image")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(this_uv(), place)

    def _run(self, step: Instruction, name: str) -> None:
        caches = [CACHE_TARGET.search(value) for flag, value in step.flags if flag == "mount"]
        places = [self._trees[name] / found[1].lstrip("/") for found in caches if found]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
            # Gone with the namespace, as a cache mount is gone from the image.
            _command("mount", "-t", "tmpfs", "tmpfs", str(place))
        words = ["chroot", str(self._trees[name]), "/bin/sh", "-c"]
        ours = {k: v for k, v in os.environ.items() if k.startswith(OF_THE_INSTALLER)}
        _command(
            *(*words, f"cd {self._folders[name]} && {step.text}"),
            environment={"HOME": "/", "PATH": PATH, **ours, **self._environments[name]},
            line=step.line,
        )
        for place in places:
            _command("umount", str(place))

    def _inside(self, name: str, path: str) -> Path:
        folder = Path("/") if path.startswith("/") else Path(self._folders[name])
        return self._trees[name] / str(folder / path).lstrip("/")


def _expanded(value: str, known: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda found: known.get(found[1], ""), value)


def _hide_compilers(tree: Path) -> None:
    for folder in (tree / "usr/bin", tree / "usr/local/bin"):
        for path in folder.iterdir():
            if COMPILERS.fullmatch(path.name):
                path.unlink()


def _command(
    *words: str, environment: Mapping[str, str] | None = None, line: int | None = None
) -> None:
    try:
        subprocess.run(  # noqa: S603 - words of the Dockerfile and of this module
            words,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        said = getattr(error, "stderr", "") or ""
        where = f"line {line}: " if line is not None else ""
        raise RehearsalError(f"{where}{words[0]}: {error}\n{said}") from error
