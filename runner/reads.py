"""How each input of a model is read: between which snapshots, which files, and what that costs.

Inert values, made by ``inputs`` from metadata, for people and for ``execute``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runner import ledger
from runner.catalog import APPEND, COMPACTION, Snapshot
from runner.engine import Retained
from runner.files import Consumed, InputFile
from runner.ledger import InputPosition
from runner.refs import TableRef
from runner.spec import Read, Source


class Method(StrEnum):
    """How the change set between two snapshots is found (docs/architecture.md, "The change set")."""

    APPENDED = "appended files"
    DIFFERENCE = "file difference"


@dataclass(frozen=True)
class TableRead:
    """A table input: pinned ``until`` a snapshot, read ``since`` another (None: from the start).

    ``between``: the snapshots after ``since`` up to ``until``, newest first, where one descends from the
    other; ``consumed``: the snapshot ``since``.
    """

    source: Source
    table: TableRef
    until: Snapshot | None
    since: int | None
    lost: str = ""  # why what changed since ``since`` cannot be told any more
    consumed: Snapshot | None = None
    between: tuple[Snapshot, ...] | None = None
    horizon: tuple[str, str] | None = None  # rows whose column (a date) lies before it left by retention
    retained: tuple[Retained, ...] = ()  # those that did since ``since``

    @property
    def compacted(self) -> bool:
        """Whether nothing that travels lies between the two: rows moved, or left by retention."""
        return bool(self.between) and all(moves_nothing(s) for s in self.between or ())

    @property
    def method(self) -> Method:
        """How what changed is found: the cheapest way that is exact."""
        only_added = self.between is not None and all(
            s.operation == APPEND or moves_nothing(s) for s in self.between
        )
        return Method.APPENDED if only_added else Method.DIFFERENCE

    @property
    def above(self) -> int | None:
        """The sequence number above which rows are new, where rows were only added."""
        return self.consumed.sequence if self.consumed and self.method is Method.APPENDED else None

    @property
    def added(self) -> tuple[int, int]:
        """Rows and files that the snapshots in between added, from metadata; exact for appended files."""
        appends = [s for s in self.between or () if s.operation == APPEND]
        return sum(s.count("added-records") for s in appends), sum(
            s.count("added-data-files") for s in appends
        )

    def most(self, *, whole: bool) -> int:
        """At most so many rows are read; ``whole``: as a rebuild reads them."""
        if self.until is None:
            return 0
        appended = self.source.read is Read.CHANGES and self.method is Method.APPENDED
        return self.added[0] if appended and not whole else self.until.rows

    @property
    def changed(self) -> bool:
        """Whether rows may differ: told by snapshot ids, never by numbers."""
        return (self.until.id if self.until else None) != self.since and not self.compacted

    def summary(self, *, whole: bool) -> str:
        """What is read, for people: ``changes of silver.events, 6,948 rows in 3 of 412 files``."""
        if whole or self.source.read is Read.ALL or self.until is None:
            return f"{self.table} {self.until.rows if self.until else 0:,} rows"
        if not self.changed:
            return f"{self.table} unchanged"
        what = f"{self.source.read} of {self.table}"
        if self.method is Method.DIFFERENCE:
            return f"{what} by {self.method}"
        rows, files = self.added
        return f"{what}, {rows:,} rows in {files:,} of {self.until.files:,} files"

    def position(self) -> InputPosition:
        if self.until is None:
            return InputPosition()
        return InputPosition(snapshot=self.until.id, sequence=self.until.sequence)


@dataclass(frozen=True)
class FilesRead:
    """A files input: ``fresh`` are the files to read, ``total`` how many the path names."""

    source: Source
    fresh: tuple[InputFile, ...]
    consumed: Mapping[str, Consumed]
    total: int
    hidden: tuple[str, ...] = ()
    digest: str | None = None  # of the content, where the files are read whole


@dataclass(frozen=True)
class TopicRead:
    """A topic: offsets ``since`` (the first to read) and ``until`` (the first not to), by partition.

    ``behind``: records that are there and left to a later run; ``others``: how far topics were consumed
    that the source named before.
    """

    source: Source
    topic: str
    since: Mapping[int, int]
    until: Mapping[int, int]
    behind: int = 0
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def fresh(self) -> Mapping[int, tuple[int, int]]:
        """The offsets to read of the partitions that have some."""
        return {p: (self.since[p], end) for p, end in self.until.items() if end > self.since[p]}

    @property
    def records(self) -> int:
        """At most so many: transactions and compaction leave offsets without a record."""
        return sum(end - start for start, end in self.fresh.values())

    def summary(self) -> str:
        """What is read, for people: ``stream of raw-events, 1,204 records in 2 of 3 partitions``."""
        if not self.fresh:
            return f"{self.topic} has nothing new"
        records = f"{self.records:,} record{'s' * (self.records != 1)}"
        partitions = f"{len(self.fresh)} of {len(self.until)} partition{'s' * (len(self.until) != 1)}"
        what = f"stream of {self.topic}, {records} in {partitions}"
        return f"{what}, {self.behind:,} more behind" if self.behind else what

    def position(self) -> InputPosition:
        reached = {str(p): offset for p, offset in sorted(self.until.items())}
        return InputPosition(offsets={**self.others, self.topic: reached})


def moves_nothing(snapshot: Snapshot) -> bool:
    """Whether a commit changed no row that travels: rows moved, or left by retention."""
    return snapshot.operation == COMPACTION or ledger.RETENTION in snapshot.summary
