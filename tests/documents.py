"""Documents that can fail: their ``console`` blocks are commands with what they print.

A document is one story: its commands run in order, in one copy of the shipped project. ``$ `` begins one;
what follows, up to the next, is its output, on both streams, as a terminal shows it. A line that is ``…``
stands for any lines. An id in a command is one that an output showed before. ``UPDATE_DOCS=1`` writes the
real output into the document.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANY = "…"
#: Runs and snapshots.
_ID = re.compile(r"\b(?:\d{8}T\d{6}_[0-9a-f]{6}|\d{15,})\b")
#: What differs from run to run: ids, clocks, sizes of files, and the dots that fill a line up.
_VARIES = (
    (re.compile(r"\d{8}T\d{6}_[0-9a-f]{6}"), "<run>"),
    (
        re.compile(r"^ +(?=\d{15,}\b)", re.MULTILINE),
        "",
    ),  # one id in ten is a digit shorter, and set to the right
    (re.compile(r"\b\d{15,}\b"), "<snapshot>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b\d+[dhm] \d+[hms]\b"), "<seconds>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|min|h)\b"), "<seconds>"),
    (re.compile(r"\b[\d,]+(\.\d+)? (bytes|kB|MB|GB)"), "<size>"),
    (re.compile(r"\bprocess \d+\b"), "process <id>"),
    (re.compile(r" \.{3,} "), " ... "),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Step:
    """A command of a document and the output that it shows; ``line``: where in the document, from 1."""

    command: str
    shown: str
    line: int


def steps(text: str) -> Iterator[Step]:
    """The commands of a document, in order."""
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        command, at, shown = "", first, list[str]()
        for number, line in enumerate(block[1].splitlines(), first):
            if line.startswith("$ "):
                if command:
                    yield Step(command, "\n".join(shown), at)
                command, at, shown = line[2:], number, []
            elif command and command.endswith("\\"):
                command = command[:-1] + line.strip()
            else:
                shown.append(line)
        if command:
            yield Step(command, "\n".join(shown), at)


def plain(text: str) -> str:
    """A text without what differs from run to run."""
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return text.strip("\n")


def same(shown: str, printed: str) -> bool:
    """Whether an output is what a document shows."""
    wanted = [re.escape(line) for line in plain(shown).splitlines()]
    pattern = "\n".join(".*" if line == re.escape(_ANY) else line for line in wanted)
    return re.fullmatch(pattern, plain(printed), re.DOTALL) is not None


def renamed(command: str, ids: Mapping[str, str]) -> str:
    """A command with the ids of this run in place of those that the document shows."""
    return _ID.sub(lambda found: ids.get(found[0], found[0]), command)


def paired(shown: str, printed: str) -> dict[str, str]:
    """Ids that the document shows → ids that were printed in their place."""
    ours, theirs = _ID.findall(shown), _ID.findall(printed)
    return dict(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else {}


def rewritten(text: str, outputs: Sequence[str]) -> str:
    """The document with the outputs in place of those that differ from it."""
    left = iter(outputs)

    def block(match: re.Match[str]) -> str:
        found = []
        for step in steps(match[0]):
            printed = next(left)
            body = step.shown if same(step.shown, printed) else printed.strip("\n")
            found.append(f"$ {step.command}\n" + (body + "\n" if body else ""))
        return "```console\n" + "".join(found) + "```"

    return _BLOCK.sub(block, text)


def run(command: str, folder: Path, tools: dict[str, Callable[[Sequence[str]], int]]) -> str:
    """What a command prints. ``tools`` run in this process, in the current folder; anything else in a shell.

    ``; echo $?`` after a tool prints its exit code.
    """
    asked, echo, _ = command.partition("; echo $?")
    words = shlex.split(asked, comments=True)
    if not words or words[0] not in tools:
        done = subprocess.run(
            command, shell=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
        )
        return done.stdout.decode()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = tools[words[0]](words[1:])
    return said.getvalue() + (f"{code}\n" if echo else "")
