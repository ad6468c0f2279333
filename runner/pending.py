"""Journals that are not in the lake's tables yet: one file a run, locked by the run that still writes it.

In: a run's journal document after each of its nodes. Out: the documents of runs that have ended, killed
ones included. A run holds its file by a kernel lock, which its death releases.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

_SUFFIX = ".json"


@dataclass
class PendingJournal:
    """The journal of a living run. As a context manager it lets go of the file at the end."""

    folder: Path
    run_id: str
    _held: int | None = field(default=None, init=False)

    def store(self, document: Mapping[str, Any]) -> None:
        """Replace the file as a whole: a reader and a kill see the old document or the new."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(self.folder, self.run_id)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            # Locked before it has its name: whoever finds the name finds the lock.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
                json.dump(document, file, ensure_ascii=True)
            os.fsync(descriptor)
            os.replace(temporary, _path(self.folder, self.run_id))
        except BaseException:
            os.close(descriptor)
            raise
        self.release()
        self._held = descriptor

    def release(self) -> None:
        """Let others take the journal: this run writes no more of it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def __enter__(self) -> PendingJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True)
class Ended:
    """Journals whose runs write no more, by file in order of the runs' start; files that hold no JSON.

    A file is named by its run: ``<run id>.json``.
    """

    documents: Mapping[Path, Any]
    unreadable: tuple[Path, ...] = ()


def ended(folder: Path) -> Ended:
    """The journals in ``folder`` of runs that have ended. A run that goes on keeps its own."""
    documents, unreadable = {}, []
    for path in sorted(folder.glob(f"[!.]*{_SUFFIX}")):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # another run has just carried it over
            continue
        try:
            if not _let_go(descriptor, path):
                continue
            with open(descriptor, encoding="utf-8", closefd=False) as file:
                document = json.load(file)
            documents[path] = document
        except ValueError:
            unreadable.append(path)
        finally:
            os.close(descriptor)
    return Ended(documents, tuple(unreadable))


def _let_go(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        # Its run may have put a newer document in this one's place, and hold that.
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def remove(folder: Path, run_ids: Iterable[str]) -> None:
    """Forget journals of ended runs, and what a kill in the middle of writing one left beside it."""
    for run_id in run_ids:
        _path(folder, run_id).unlink(missing_ok=True)
        _temporary(folder, run_id).unlink(missing_ok=True)


def _path(folder: Path, run_id: str) -> Path:
    return folder / f"{run_id}{_SUFFIX}"


def _temporary(folder: Path, run_id: str) -> Path:
    return folder / f".{run_id}{_SUFFIX}"
