"""What a run will read and why, decided from metadata alone: inert, for people and for ``execute``.

In: a model, the states of its tables, the listing of its files, the position in its target. Out: a
:class:`ModelPlan` that names the mode, the reason and the range of every input. No Spark, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runner import ledger
from runner.catalog import APPEND, COMPACTION, Catalog, Snapshot, TableState
from runner.engine import Retained
from runner.errors import Fault, Place, ProjectError, RunFailed, fail
from runner.files import Consumed, InputFile, ManifestStore, content_digest, list_files, unconsumed
from runner.ledger import InputPosition, Position
from runner.refs import TableRef
from runner.render import Rendered
from runner.spec import FilesInput, KafkaInput, Model, Read, Source, TableInput


class Mode(StrEnum):
    """What is done with a target: nothing, only what changed, new files, or all rows."""

    NOTHING = "nothing new"
    INCREMENTAL = "incremental"
    APPEND = "append"
    REBUILD = "rebuild"


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
        return bool(self.between) and all(_moves_nothing(s) for s in self.between or ())

    @property
    def method(self) -> Method:
        """How what changed is found: the cheapest way that is exact."""
        only_added = self.between is not None and all(
            s.operation == APPEND or _moves_nothing(s) for s in self.between
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
class ModelPlan:
    """One model's run. ``base``: the head of the target's main that the run starts from."""

    model: Model
    rendered: Rendered
    mode: Mode
    reason: str
    tables: tuple[TableRead, ...]
    files: tuple[FilesRead, ...]
    target: TableState | None
    previous: Position | None

    @property
    def base(self) -> Snapshot | None:
        return self.target.head() if self.target else None

    def reading(self, source: Source) -> TableRead | FilesRead:
        """How ``source`` is read."""
        reads: tuple[TableRead | FilesRead, ...] = (*self.tables, *self.files)
        return next(read for read in reads if read.source is source)

    def summary(self) -> str:
        """The bracket of the START line: ``changes 6,948 rows``."""
        parts = []
        for read in self.tables:
            parts.append(read.summary(whole=self.mode is Mode.REBUILD))
        for listed in self.files:
            if listed.source.read is Read.CHANGES:
                parts.append(f"{len(listed.fresh)} of {listed.total} files")
        range_ = f"{self.mode}: {', '.join(parts)}" if parts else str(self.mode)
        return f"{range_} | {self.reason}" if self.reason else range_


@dataclass
class Pins:
    """One pin a table and run: the state in which every model of a run reads a table."""

    catalog: Catalog
    states: MutableMapping[TableRef, TableState | None]

    def state(self, table: TableRef) -> TableState | None:
        if table not in self.states:
            self.states[table] = self.catalog.table(table)
        return self.states[table]

    def release(self, table: TableRef) -> None:
        """After a publication its readers, which come later, see the new head."""
        self.states.pop(table, None)


def make_plan(
    model: Model,
    rendered: Rendered,
    *,
    root: Path,
    pins: Pins,
    manifests: ManifestStore,
    full_refresh: bool = False,
) -> ModelPlan:
    """The plan of one model.

    Raises ProjectError where an input is not there, RunFailed where a state cannot be continued from.
    """
    if full_refresh and not model.replayable:
        raise _cannot_refresh(model)
    target = pins.catalog.table(model.target.table)
    previous = ledger.position(target)
    known = previous.inputs if previous else {}
    tables = tuple(
        _read_table(source, source.origin, pins, known.get(source.name), model)
        for source in model.sources
        if isinstance(source.origin, TableInput)
    )
    files = tuple(
        _read_files(source, source.origin, root, manifests, known.get(source.name))
        for source in model.sources
        if isinstance(source.origin, FilesInput)
    )
    kafka = next((s for s in model.sources if isinstance(s.origin, KafkaInput)), None)
    if kafka is not None:
        raise fail(
            "stream-input",
            kafka.place,
            f"'{kafka.name}' is a Kafka topic, which this version of the runner does not read",
            fix="read files: `files: {path: …, format: text}` with `read: changes`",
        )
    mode, reason = _decide(model, rendered.fingerprint, previous, tables, files, full_refresh=full_refresh)
    return ModelPlan(model, rendered, mode, reason, tables, files, target, previous)


def _read_table(
    source: Source, origin: TableInput, pins: Pins, known: InputPosition | None, model: Model
) -> TableRead:
    state = pins.state(origin.table)
    if state is None:
        raise fail(
            "input-not-built",
            source.place,
            f"{model.id} reads {origin.table}, which is not in the lake yet",
            why="the model that maintains it has not run on this lake",
            fix=f"run it first: `runner --pipeline {origin.table.namespace}`, or everything with `runner`",
        )
    if source.read is not Read.ALL and state.format_version < 3:
        raise fail(
            "input-not-v3",
            source.place,
            f"{origin.table} is a format v{state.format_version} table and cannot be read as '{source.read}'",
            why="rows of a v2 table have no row id, so changed and deleted rows cannot be told",
            fix="upgrade the table to format v3, or read it whole with `read: all`",
        )
    since = known.snapshot if known else None
    if since is not None and since not in state.snapshots:
        # Another run may have published the table, and its reader, since it was pinned.
        pins.release(origin.table)
        state = pins.state(origin.table) or state
    until = state.head()
    return TableRead(
        source,
        origin.table,
        until,
        since,
        lost=_lost(state, since),
        consumed=state.snapshots.get(since) if since is not None else None,
        between=_between(state, since, until),
        horizon=_horizon(state, until),
        retained=_retained(state, since, until),
    )


def _moves_nothing(snapshot: Snapshot) -> bool:
    return snapshot.operation == COMPACTION or ledger.RETENTION in snapshot.summary


def _horizon(state: TableState, until: Snapshot | None) -> tuple[str, str] | None:
    """The column of a table's retention and the latest day before which rows left."""
    words = [
        ledger.retention(s)
        for s in state.ancestry(until.id if until else None)
        if ledger.RETENTION in s.summary
    ]
    return max(words, key=lambda word: word[1]) if words else None


def _retained(state: TableState, since: int | None, until: Snapshot | None) -> tuple[Retained, ...]:
    """What retention removed between two snapshots, on whatever way one leads to the other."""
    known = {s.id for s in state.ancestry(since)}
    return tuple(
        Retained(*ledger.retention(s), s.parent if s.parent in state.snapshots else None)
        for s in state.ancestry(until.id if until else None)
        if ledger.RETENTION in s.summary and s.id not in known
    )


def _lost(state: TableState, since: int | None) -> str:
    if since is None:
        return ""
    if since not in state.snapshots:
        return "is expired"
    # Rows have ids from a table's first v3 snapshot on.
    if state.format_version > 2 and not state.snapshots[since].row_ids:
        return "is from before the upgrade to format v3"
    return ""


def _between(state: TableState, since: int | None, until: Snapshot | None) -> tuple[Snapshot, ...] | None:
    """The snapshots after ``since`` up to ``until``, newest first; None where no chain leads back."""
    if since is None or until is None:
        return None
    found: list[Snapshot] = []
    for snapshot in state.ancestry(until.id):
        if snapshot.id == since:
            return tuple(found)
        found.append(snapshot)
    return None


def _read_files(
    source: Source, origin: FilesInput, root: Path, manifests: ManifestStore, known: InputPosition | None
) -> FilesRead:
    listing = list_files(origin.path, root=root, place=source.place)
    if source.read is Read.ALL:
        return FilesRead(
            source, listing.files, {}, len(listing.files), listing.hidden, content_digest(listing.files)
        )
    consumed = _manifest(manifests, known.manifest, source.place) if known and known.manifest else {}
    fresh = unconsumed(listing, consumed, source.place)
    return FilesRead(source, fresh, consumed, len(listing.files), listing.hidden)


def _manifest(manifests: ManifestStore, name: str, place: Place) -> Mapping[str, Consumed]:
    try:
        return manifests.read(name)
    except FileNotFoundError:
        raise RunFailed(
            Fault(
                "manifest-missing",
                place,
                f"the list of consumed files {manifests.folder / name} is gone",
                "the target's last commit names it; without it, which files are new is unknown",
                "restore the file from a backup of the lake",
            )
        ) from None


def _decide(
    model: Model,
    fingerprint: str,
    previous: Position | None,
    tables: tuple[TableRead, ...],
    files: tuple[FilesRead, ...],
    *,
    full_refresh: bool,
) -> tuple[Mode, str]:
    if not model.replayable:
        if gone := next((read for read in tables if read.lost and read.source.read is not Read.ALL), None):
            raise _cannot_continue(model, gone)
        fresh = any(read.fresh for read in files if read.source.read is Read.CHANGES)
        moved = any(read.changed for read in tables if read.source.read is not Read.ALL)
        return (Mode.APPEND, "") if fresh or moved else (Mode.NOTHING, "")
    if full_refresh:
        return Mode.REBUILD, "--full-refresh"
    if previous is None:
        # An input table that is there but holds no snapshot has nothing to build from.
        empty = tables and all(read.until is None for read in tables)
        return (Mode.NOTHING, "the inputs are empty") if empty else (Mode.REBUILD, "first run")
    if model.on_change == "rebuild":
        if previous.fingerprint != fingerprint:
            return Mode.REBUILD, "the model changed"
        if changed := _changed_whole(previous, tables, files):
            return Mode.REBUILD, f"{changed} changed"
    moved_tables = [read for read in tables if read.source.read is not Read.ALL and read.changed]
    for read in moved_tables:
        if read.since is None:
            return Mode.REBUILD, f"{read.table} was not read before"
        if read.until is None:
            return Mode.REBUILD, f"{read.table} is empty"
        if read.lost:
            return Mode.REBUILD, f"snapshot {read.since} of {read.table}, last consumed, {read.lost}"
    return (Mode.INCREMENTAL, "") if moved_tables else (Mode.NOTHING, "")


def _changed_whole(
    previous: Position, tables: tuple[TableRead, ...], files: tuple[FilesRead, ...]
) -> str | None:
    """The input read ``all`` whose content is not what the target was built from."""
    for read in tables:
        if read.source.read is Read.ALL and read.changed:
            return str(read.table)
    for listed in files:
        if listed.source.read is Read.ALL:
            known = previous.inputs.get(listed.source.name)
            if known is None or known.digest != listed.digest:
                return f"'{listed.source.name}'"
    return None


def _cannot_continue(model: Model, read: TableRead) -> RunFailed:
    return RunFailed(
        Fault(
            "snapshot-expired",
            read.source.place,
            f"snapshot {read.since} of {read.table}, which {model.id} consumed last, {read.lost}",
            f"without it, what changed in {read.table} since is unknown, and {model.id} cannot be rebuilt",
            "roll the table back to before the rows and run again, or build a new lake with --lake DIR",
        )
    )


def _cannot_refresh(model: Model) -> ProjectError:
    return fail(
        "not-rebuildable",
        model.place,
        f"{model.id} cannot be rebuilt with --full-refresh",
        why="its rows come from files or a stream that are read once"
        if not model.history
        else "`history: true` says that its rows are not a function of its inputs",
        fix="roll the table back to before the rows and run again, or build a new lake with --lake DIR",
    )
