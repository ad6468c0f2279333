"""What is there to read of each input, from metadata alone: a table's state, a listing of files.

In: a source, the tables' pinned states, the position of its reader. Out: :class:`runner.reads.TableRead`,
:class:`runner.reads.FilesRead` and :class:`runner.reads.TopicRead`. ProjectError where an input is not there
or cannot be read so.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from runner import ledger
from runner.catalog import Catalog, Snapshot, TableState
from runner.engine import Retained
from runner.errors import Fault, Place, RunFailed, fail
from runner.files import Consumed, ManifestStore, content_digest, list_files, unconsumed
from runner.ledger import InputPosition
from runner.reads import FilesRead, TableRead, TopicRead
from runner.refs import TableRef
from runner.spec import FilesInput, KafkaInput, Model, Read, Source, TableInput
from runner.topics import Topics


@dataclass
class Pins:
    """One pin a table and run: the state in which every model of a run reads a table."""

    catalog: Catalog
    states: MutableMapping[TableRef, TableState | None]
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def state(self, table: TableRef) -> TableState | None:
        with self._one_at_a_time:
            if table not in self.states:
                self.states[table] = self.catalog.table(table)
            return self.states[table]

    def release(self, table: TableRef) -> None:
        """After a publication its readers, which come later, see the new head."""
        with self._one_at_a_time:
            self.states.pop(table, None)


def read_table(
    source: Source, origin: TableInput, pins: Pins, known: InputPosition | None, model: Model
) -> TableRead:
    """The table's range to read, from what ``known`` says was consumed."""
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


def read_files(
    source: Source, origin: FilesInput, root: Path, manifests: ManifestStore, known: InputPosition | None
) -> FilesRead:
    """The files to read: all of them, or those that were not consumed yet."""
    listing = list_files(origin.path, root=root, place=source.place)
    if source.read is Read.ALL:
        return FilesRead(
            source, listing.files, {}, len(listing.files), listing.hidden, content_digest(listing.files)
        )
    consumed = _manifest(manifests, known.manifest, source.place) if known and known.manifest else {}
    fresh = unconsumed(listing, consumed, source.place)
    return FilesRead(source, fresh, consumed, len(listing.files), listing.hidden)


def read_topic(
    source: Source,
    origin: KafkaInput,
    topics: Topics,
    known: InputPosition | None,
    *,
    limit: int | None = None,
    skip_lost: bool = False,
) -> TopicRead:
    """The offsets to read: from where the target's position ends, new partitions from the earliest.

    ``limit``: at most about so many records, shared out among partitions by what each holds. RunFailed
    where records went before they were read, and where a topic ends before the position (``skip_lost``: go
    on with the earliest record instead).
    """
    extents = topics.extents(origin.topic, source.place)
    consumed = dict(known.offsets or {}) if known else {}
    reached = {int(p): offset for p, offset in consumed.pop(origin.topic, {}).items()}
    since: dict[int, int] = {}
    for partition, (first, end) in extents.items():
        start = reached.get(partition, first)
        if start < first or start > end:
            if not skip_lost:
                raise _lost_records(source, origin.topic, partition, start, first, end)
            start = first
        since[partition] = start
    gone = sorted(reached.keys() - extents.keys())
    if gone and not skip_lost:
        # A topic never loses a partition: it was deleted and made again.
        raise _lost_records(source, origin.topic, gone[0], reached[gone[0]], 0, 0)
    left = {p: extents[p][1] - start for p, start in since.items()}
    total = sum(left.values())
    share = 1.0 if limit is None or total <= limit else limit / total
    until = {p: since[p] + (n if share == 1.0 else math.ceil(n * share)) for p, n in left.items()}
    behind = total - sum(until[p] - since[p] for p in until)
    return TopicRead(source, origin.topic, since, until, behind, consumed)


def _lost_records(source: Source, topic: str, partition: int, start: int, first: int, end: int) -> RunFailed:
    if start < first:
        what = f"{first - start:,} records of {topic}, partition {partition}, went before they were read"
        why = f"the target has read up to offset {start:,}, and the topic begins at {first:,} now"
        way = "restore them (`producer replay` sends files again), or give them up with --skip-lost-records"
    else:
        what = f"{topic}, partition {partition}, ends at offset {end:,}, before what the target has read"
        why = f"the target has read up to offset {start:,}: the topic was deleted and made again"
        way = "read the new topic from its first record with --skip-lost-records; equal keys are merged"
    return RunFailed(Fault("records-lost", source.place, what, why, way))


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
