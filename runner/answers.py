"""Answers of earlier commands, given again while nothing that they depend on has changed.

In: a question (plain data) and the files that were looked at. Out: the answer that was kept for it, or None.
An answer holds while the code, the names in folders and every file are as they were, by size, times, inode
and device. Nothing needs the folder: a missing, broken or foreign file in it is no answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import TracebackType
from typing import Any

from runner.header import csv_header, first_file

#: Answers that a folder keeps: one for each command line lately used.
KEPT = 16
#: Libraries whose words an answer repeats.
_LIBRARIES = ("sqlglot", "jinja2", "yaml")

_PIECE = 1 << 20
_AS_WRITTEN: Any = {"encoding": "utf-8", "errors": "surrogatepass", "newline": ""}

Stamp = tuple[int, ...]


@dataclass(frozen=True)
class Inputs:
    """What an answer was made from, by paths relative to the root. ``files``: read; ``folders``: listed;
    ``absent``: looked for in vain; ``csv``: paths of CSV inputs, of which the header was read."""

    files: Iterable[str]
    folders: Iterable[str] = ()
    absent: Iterable[str] = ()
    csv: Iterable[str] = ()


class Answers:
    """The answers kept for one project, of one ``kind``; ``with`` leaves no unfinished one behind."""

    def __init__(self, root: Path, kind: str = "") -> None:
        self.root = root
        self.folder = root / "target" / "cache" / kind
        self._new: Path | None = None
        self._tick = self._device = 0

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._new is not None:
            with suppress(OSError):
                self._new.unlink(missing_ok=True)

    def begin(self) -> None:
        """Note the time by the clock of the project's own file system, before its files are read."""
        name = f".{os.getpid()}-{os.urandom(6).hex()}.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / name).open("xb") as file:
                found = os.fstat(file.fileno())
        except OSError:
            return  # a project that cannot be written to is looked at anew each time
        self._new, self._tick, self._device = self.folder / name, found.st_ctime_ns, found.st_dev

    def find(self, question: object) -> Any:
        """The answer to ``question``, where it still holds; None otherwise."""
        found = self._read(self._path(question))
        if found is None or found["code"] != code():
            return None
        return found["answer"] if self._holds(found["inputs"]) else None

    def last(self, question: object) -> Any:
        """What this code answered to ``question``, or to whatever was asked last; maybe out of date."""
        try:
            newest = sorted(self.folder.glob("*.json"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
        except OSError:
            return None
        for path in [self._path(question), *newest[:1]]:
            found = self._read(path)
            if found is not None and found["code"] == code():
                return found["answer"]
        return None

    def text(self, question: object) -> str | None:
        """The text that was kept with the answer to ``question``; None where it is broken."""
        try:
            with self._path(question).open(**_AS_WRITTEN) as file:
                file.readline()
                head, text = json.loads(file.readline()), file.read()
        except (OSError, ValueError):
            return None
        return text if head["text"] == _digest(text) else None

    def last_text(self, question: object) -> str:
        """The text that this code kept with its answer to ``question``, maybe out of date; empty without."""
        found = self._read(self._path(question))
        return (self.text(question) or "") if found is not None and found["code"] == code() else ""

    def keep(self, question: object, answer: object, inputs: Inputs, *, text: str = "") -> None:
        """Keep ``answer``, and a ``text`` that is long and rarely asked for, unless an input may have changed
        since :meth:`begin`: then what was read of it is not known."""
        if self._new is None:
            return
        try:
            stamps = self._stamps(inputs)
            if stamps is None:
                return
            kept = {"code": code(), "inputs": stamps, "answer": answer, "text": _digest(text)}
            head = json.dumps(kept)
            with self._new.open("w", **_AS_WRITTEN) as file:
                file.write(f"{_digest(head)}\n{head}\n")
                file.writelines(_pieces(text))
            os.replace(self._new, self._path(question))
            self._new = None
            self._forget_old()
        except OSError:
            return

    def _path(self, question: object) -> Path:
        asked = json.dumps([str(self.root), question], sort_keys=True)
        return self.folder / f"{_digest(asked)[:32]}.json"

    def _read(self, path: Path) -> Any:
        try:
            with path.open(**_AS_WRITTEN) as file:
                digest, head = file.readline().rstrip("\n"), file.readline().rstrip("\n")
            return json.loads(head) if digest == _digest(head) else None
        except (OSError, ValueError):
            return None

    def _stamps(self, inputs: Inputs) -> dict[str, Any] | None:
        """What tells whether the inputs are as they were; None where that cannot be told."""
        read = [*inputs.files, *inputs.folders]
        first = {path: first_file(self.root, path) for path in inputs.csv}
        stamps = {name: self._stamp(name) for name in read}
        for found in (*stamps.values(), *(self._stamp(str(file)) for file in first.values() if file)):
            # A change in the same tick of the clock as our beginning would leave no trace.
            if found is None or found[-1] != self._device or found[2] >= self._tick:
                return None
        parents = sorted({os.path.dirname(name) for name in read})
        # Through a link the same name may lead elsewhere tomorrow.
        if not all(map(self._is_plain, parents)) or any(map(self._is_there, inputs.absent)):
            return None
        return {
            "stamps": {name: list(found) for name, found in stamps.items() if found},
            "parents": parents,
            "absent": list(inputs.absent),
            "csv": {path: csv_header(self.root, path) for path in inputs.csv},
        }

    def _holds(self, inputs: Any) -> bool:
        return (
            all(map(self._is_plain, inputs["parents"]))
            and not any(map(self._is_there, inputs["absent"]))
            and all(self._stamp(name) == tuple(stamp) for name, stamp in inputs["stamps"].items())
            and all(csv_header(self.root, path) == header for path, header in inputs["csv"].items())
        )

    def _stamp(self, name: str) -> Stamp | None:
        """None for a link and for what is not there."""
        try:
            found = os.lstat(f"{self.root}/{name}" if not name.startswith("/") else name)
        except OSError:
            return None
        return None if stat.S_ISLNK(found.st_mode) else _stamp(found)

    def _is_plain(self, folder: str) -> bool:
        full = os.path.normpath(os.path.join(self.root, folder))
        return os.path.realpath(full) == full

    def _is_there(self, name: str) -> bool:
        return os.path.lexists(os.path.join(self.root, name))

    def _forget_old(self) -> None:
        """All but the newest answers, and what killed processes left."""
        kept = sorted(self.folder.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
        for path in [*kept[:-KEPT], *self.folder.glob(".*.new")]:
            if path.suffix == ".json" or path.stat().st_mtime < time.time() - 3600:
                path.unlink(missing_ok=True)


@cache
def code() -> str:
    """What stands for the code that answers: this package, its libraries and Python."""
    found: list[object] = [sys.version, sys.implementation.cache_tag]
    package = Path(__file__).parent
    for folder, folders, names in os.walk(package):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        found += [(name, _stamp(os.stat(os.path.join(folder, name)))) for name in sorted(names)]
    for library in _LIBRARIES:
        spec = PathFinder.find_spec(library)
        if spec is None or spec.origin is None:
            continue
        # A version stands in one of these files, and compiled modules come and go in the folder.
        origin = Path(spec.origin)
        for path in (origin, origin.with_name("_version.py"), origin.parent):
            with suppress(OSError):
                found.append((str(path), _stamp(path.stat())))
    return _digest(repr(found))


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def _digest(text: str) -> str:
    found = hashlib.sha256()
    for piece in _pieces(text):
        found.update(piece.encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _pieces(text: str) -> Iterator[str]:
    """A text that may be too long to be copied whole."""
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
