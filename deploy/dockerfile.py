"""Reads a Dockerfile into typed instructions, and a .dockerignore into the files it lets through.

The subset that this project writes: no heredocs, no parser directives. Anything else is an error,
never a guess. Must not: run anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

KEYWORDS: Final = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK"),
        *("LABEL", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
FLAG: Final = re.compile(r"--([a-z-]+)(?:=(\S+))?\s+")
PAIR: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|\S*)')


class DockerfileError(Exception):
    """A line that this reader does not understand; the text names it."""


class Instruction(NamedTuple):
    """One instruction, its continuation lines joined."""

    line: int
    keyword: str
    flags: tuple[tuple[str, str], ...]
    text: str
    """What follows the flags."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return the arguments: of the exec form its strings, else what blanks separate."""
        return self.exec_form or tuple(self.text.split())

    @property
    def exec_form(self) -> tuple[str, ...]:
        """Return the strings of a JSON array, empty for any other form."""
        if not self.text.startswith("["):
            return ()
        try:
            found = json.loads(self.text)
        except json.JSONDecodeError as error:
            raise DockerfileError(f"line {self.line}: no JSON array: {error}") from error
        return tuple(str(one) for one in found)

    def flag(self, name: str) -> str:
        """Return a flag's value, empty when it is not given."""
        return dict(self.flags).get(name, "")

    def pairs(self) -> Mapping[str, str]:
        """Return the names and values of an ENV or LABEL."""
        return {name: value.strip('"') for name, value in PAIR.findall(self.text)}


class Stage(NamedTuple):
    """One FROM and what follows it."""

    base: str
    name: str
    line: int
    steps: tuple[Instruction, ...]


def read_instructions(text: str) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile; raises ``DockerfileError``."""
    return tuple(_instructions(text))


def _instructions(text: str) -> Iterator[Instruction]:
    joined, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not line.strip() and not joined):
            continue
        began = began if joined else number
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        yield _instruction(began, joined)
        joined = ""
    if joined:
        raise DockerfileError(f"line {began}: the file ends within an instruction")


def _instruction(line: int, text: str) -> Instruction:
    keyword, _, rest = text.partition(" ")
    if keyword.upper() not in KEYWORDS:
        raise DockerfileError(f"line {line}: {keyword} is no instruction")
    rest = rest.strip()
    if "<<" in rest:
        raise DockerfileError(f"line {line}: heredocs are not read")
    flags: list[tuple[str, str]] = []
    while matched := FLAG.match(rest):
        flags.append((matched[1], matched[2] or ""))
        rest = rest[matched.end() :]
    return Instruction(line, keyword.upper(), tuple(flags), rest)


def read_stages(instructions: Sequence[Instruction]) -> tuple[Stage, ...]:
    """Return the build's stages in order; raises ``DockerfileError``."""
    stages: list[Stage] = []
    for one in instructions:
        if one.keyword == "FROM":
            base, _, name = re.sub(r"\s+AS\s+", " ", one.text, flags=re.IGNORECASE).partition(" ")
            stages.append(Stage(base, name, one.line, ()))
        elif not stages:
            raise DockerfileError(f"line {one.line}: {one.keyword} comes before FROM")
        else:
            last = stages[-1]
            stages[-1] = last._replace(steps=(*last.steps, one))
    return tuple(stages)


class IgnoreRules:
    """What a .dockerignore keeps out of a build; the last rule that fits decides."""

    def __init__(self, text: str) -> None:
        lines = (line.strip() for line in text.splitlines())
        self._rules = [
            (_pattern(line.removeprefix("!")), line.startswith("!"))
            for line in lines
            if line and not line.startswith("#")
        ]

    def keeps_out(self, path: str) -> bool:
        """Say whether a path, relative and with slashes, is not sent to the build."""
        out = False
        for pattern, lets_in in self._rules:
            if pattern.match(path):
                out = not lets_in
        return out

    def files(self, root: Path) -> Iterator[Path]:
        """Yield the files of a folder that are sent, relative to it."""
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and not self.keeps_out(relative.as_posix()):
                yield relative


def _pattern(rule: str) -> re.Pattern[str]:
    # Go's filepath.Match with Docker's ** for any number of folders; a folder takes all below it.
    text = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", rule.strip("/")):
        match part:
            case "**/":
                text += "(?:.*/)?"
            case "**":
                text += ".*"
            case "*":
                text += "[^/]*"
            case "?":
                text += "[^/]"
            case _:
                text += re.escape(part)
    return re.compile(f"{text}(?:/.*)?$")
