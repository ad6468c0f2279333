"""Remove what nobody needs any more: leavings of killed runs, old artifacts, code that no snapshot names.

In: a lake, a project's folder, an age. Out: a :class:`Leaving` for each thing, as it goes. What a living run
holds is told by its target's lock, and stays. Tables' files and snapshots are `runner maintain`'s.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner import ledger
from runner.branch import AUDIT, target_of
from runner.engine import Engine
from runner.errors import Busy
from runner.lake import Lake
from runner.lock import target_lock
from runner.ops import carried
from runner.pending import remove
from runner.refs import TableRef

#: Folders below ``target/`` that only grow.
_ARTIFACTS = ("logs", "compiled")


@dataclass(frozen=True)
class Leaving:
    """One thing that goes, or stays since ``busy`` says who holds it. ``kind`` is branch, scratch, journal,
    code or artifact."""

    kind: str
    name: str
    bytes: int = 0
    busy: str = ""


@dataclass(frozen=True)
class Broom:
    """A lake and the folder of artifacts. ``dry``: say what would go, and leave it."""

    lake: Lake
    artifacts: Path
    before: dt.datetime
    run_id: str
    dry: bool = False

    def sweep(self, engine: Callable[[], Engine]) -> Iterator[Leaving]:
        """Everything that goes; ``engine`` is called only where there is a branch to drop."""
        yield from self._targets(engine)
        for run_id in carried(self.lake):
            size = _size(self.lake.journals / f"{run_id}.json")
            if not self.dry:
                remove(self.lake.journals, [run_id])
            yield Leaving("journal", run_id, size)
        yield from self._files("code", self.lake.code.folder, self._code())
        for name in _ARTIFACTS:
            folder = self.artifacts / name
            yield from self._files("artifact", self.artifacts, sorted(folder.rglob("*")))

    def _targets(self, engine: Callable[[], Engine]) -> Iterator[Leaving]:
        """Audit branches and staged rows: under the target's lock none of them is anybody's."""
        left: dict[TableRef, list[tuple[TableRef, str]]] = {}
        for table in self.lake.catalog.tables():
            state = self.lake.catalog.table(table)
            for branch in state.branches if state else ():
                if branch.startswith(AUDIT):
                    left.setdefault(target_of(table), []).append((table, branch))
        for table in _staged(self.lake):
            left.setdefault(table, [])
        for target, branches in sorted(left.items()):
            try:
                with target_lock(self.lake.locks, target, timeout=0, run_id=self.run_id):
                    for table, branch in branches:
                        if not self.dry:
                            engine().drop_branch(table, branch)
                        yield Leaving("branch", f"{branch} of {table}")
                    if size := _size(self.lake.scratch(target)):
                        if not self.dry:
                            self.lake.clear_scratch(target)
                        yield Leaving("scratch", f"staged rows of {target}", size)
            except Busy as busy:
                yield Leaving("scratch", str(target), busy=busy.fault.what)

    def _code(self) -> list[Path]:
        """Kept code that no snapshot of any table names."""
        named = set()
        for table in self.lake.catalog.tables():
            state = self.lake.catalog.table(table)
            for snapshot in state.snapshots.values() if state else ():
                named.add(snapshot.summary.get(ledger.FINGERPRINT))
        return [path for path in sorted(self.lake.code.folder.glob("*.json")) if path.stem not in named]

    def _files(self, kind: str, root: Path, paths: list[Path]) -> Iterator[Leaving]:
        """Remove those of ``paths`` that are old; a younger one may belong to a run that is at work."""
        for path in paths:
            if not path.is_file() or path.stat().st_mtime >= self.before.timestamp():
                continue
            size = path.stat().st_size
            if not self.dry:
                path.unlink(missing_ok=True)
            yield Leaving(kind, os.path.relpath(path, root), size)


def _staged(lake: Lake) -> Iterator[TableRef]:
    """The targets of which staged rows are there."""
    folder = lake.scratch(TableRef("a", "b")).parent
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            table = TableRef.parse(path.name)
        except ValueError:
            continue  # not ours
        if _size(path):
            yield table


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
