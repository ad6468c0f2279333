"""Maintain tables beside running writers: retention, compaction, expiry by name, orphans.

In: models, their declared ``maintenance`` and ``retention``, the time. Out: an :class:`Upkeep` a table
that says what was won. Nothing here changes what a reader sees but rows that leave by retention; every
commit carries the position, and a compaction alone gives no model work.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import cast

from runner import ledger
from runner.catalog import MAIN, Catalog, Snapshot, TableState
from runner.crash import crash_point
from runner.engine import Compacted, Keeper
from runner.errors import Busy
from runner.lake import Lake
from runner.lock import target_lock
from runner.refs import TableRef
from runner.spec import Retention, Target

_UNITS = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
_MB = _UNITS["MB"]


@dataclass(frozen=True)
class Settings:
    """How a table is maintained: the declared values, or these."""

    target_bytes: int = 256 * _MB
    expire_older_than: dt.timedelta = dt.timedelta(days=7)
    keep: int = 10
    orphans_older_than: dt.timedelta = dt.timedelta(days=7)

    @classmethod
    def of(cls, target: Target) -> Settings:
        """The ``maintenance`` of a target's declaration."""
        declared = cast(Mapping[str, Mapping[str, object]], target.maintenance)
        size = declared.get("compact", {}).get("target_file_size")
        given = {
            "target_bytes": None if size is None else int(str(size)[:-2]) * _UNITS[str(size)[-2:]],
            "expire_older_than": declared.get("expire", {}).get("older_than"),
            "keep": declared.get("expire", {}).get("keep"),
            "orphans_older_than": declared.get("orphans", {}).get("older_than"),
        }
        return replace(cls(), **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Job:
    """One table's maintenance. A quarantine has its target's settings and retention."""

    table: TableRef
    settings: Settings
    retention: Retention | None = None


@dataclass(frozen=True)
class Upkeep:
    """What maintenance of a table did. ``spared``: old snapshots that a consumer still needs."""

    table: TableRef
    retained_before: str = ""
    rows_removed: int = 0
    unread: bool = False  # rows before that day stay until every consumer has read them
    compacted: Compacted | None = None
    compaction_refused: bool = False
    expired: int = 0
    spared: int = 0
    orphans: int = 0
    busy: str = ""

    @property
    def exit_code(self) -> int:
        """75 where somebody else maintains the table."""
        return Busy.exit_code if self.busy else 0

    def values(self) -> dict[str, object]:
        """Plain values, for programs."""
        return asdict(self) | {"table": str(self.table)}

    def describe(self) -> str:
        """``412 files → 31 | 40 snapshots expired (1 needed by a consumer) | 3 orphans``."""
        parts = [self.busy] if self.busy else []
        if self.rows_removed:
            parts.append(f"{self.rows_removed:,} rows before {self.retained_before} left")
        if self.unread:
            parts.append(f"rows before {self.retained_before} stay until its consumers have read them")
        if self.compacted and self.compacted.before:
            size = self.compacted.bytes / _MB
            parts.append(
                f"{self.compacted.before:,} files ({size:,.1f} MB) compacted into {self.compacted.after:,}"
            )
        if self.compaction_refused:
            parts.append("not compacted: a writer came first")
        if self.expired or self.spared:
            needed = f" ({self.spared:,} more are needed by consumers)" if self.spared else ""
            parts.append(f"{self.expired:,} snapshots expired{needed}")
        if self.orphans:
            parts.append(f"{self.orphans:,} orphan files removed")
        return " | ".join(parts) or "nothing to do"


def jobs(targets: Iterable[Target], catalog: Catalog, others: Sequence[TableRef] = ()) -> Iterator[Job]:
    """The tables to maintain: targets with their quarantines, and ``others`` with the usual settings."""
    for target in targets:
        for table in (target.table, target.table.quarantine):
            if catalog.table(table):
                yield Job(table, Settings.of(target), target.retention)
    for table in others:
        if catalog.table(table):
            yield Job(table, Settings())


def maintain(job: Job, lake: Lake, keeper: Callable[[], Keeper], now: dt.datetime, *, run_id: str) -> Upkeep:
    """Maintain one table. Raises Busy where somebody else maintains it; writers are not waited for."""
    lock = TableRef(job.table.namespace, f"{job.table.name}__maintenance")
    with target_lock(lake.locks, lock, timeout=0, run_id=run_id):
        done = _retain(job, lake.catalog, keeper, now)
        done = _compact(job, done, lake.catalog, keeper)
        state = lake.catalog.table(job.table)
        assert state is not None
        doomed, spared = expirable(state, job.settings, now, needed(lake.catalog))
        if doomed:
            keeper().expire(job.table, [s.id for s in doomed])
            crash_point("after_expiry", str(job.table))
        older = int((now - job.settings.orphans_older_than).timestamp() * 1000)
        orphans = keeper().remove_orphans(job.table, older)
        return replace(done, expired=len(doomed), spared=len(spared), orphans=orphans)


def _retain(job: Job, catalog: Catalog, keeper: Callable[[], Keeper], now: dt.datetime) -> Upkeep:
    if job.retention is None:
        return Upkeep(job.table)
    state = catalog.table(job.table)
    assert state is not None
    column, before = job.retention.column, cutoff(job.retention, now)
    marker = json.dumps({"column": column, "before": before}, separators=(",", ":"))
    properties = ledger.carry(state) | {ledger.RETENTION: marker}
    read = read_by_all(state, needed(catalog))
    if read is not None and keeper().added_before(job.table, column, before, read):
        return Upkeep(job.table, retained_before=before, unread=True)
    removed = keeper().delete_before(job.table, column, before, properties)
    if removed:
        crash_point("after_retention", str(job.table))
    return Upkeep(job.table, retained_before=before, rows_removed=removed)


def cutoff(retention: Retention, now: dt.datetime) -> str:
    """The day (ISO, UTC) before which rows leave."""
    return (now.astimezone(dt.UTC) - retention.keep).date().isoformat()


def _compact(job: Job, done: Upkeep, catalog: Catalog, keeper: Callable[[], Keeper]) -> Upkeep:
    state = catalog.table(job.table)
    head = state.head() if state else None
    if state is None or head is None or head.files == 0:
        return done
    compacted = keeper().compact(job.table, job.settings.target_bytes, ledger.carry(state))
    if compacted and compacted.before:
        crash_point("after_compaction", str(job.table))
    return replace(done, compacted=compacted, compaction_refused=compacted is None)


def needed(catalog: Catalog) -> frozenset[int]:
    """Snapshots that some table's next run starts from: those its positions name, on every branch."""
    found = set()
    for table in catalog.tables():
        state = catalog.table(table)
        for branch in state.branches if state else ():
            if position := ledger.position(state, branch):
                found |= {p.snapshot for p in position.inputs.values() if p.snapshot is not None}
    return frozenset(found)


def read_by_all(state: TableState, needed: frozenset[int]) -> int | None:
    """The sequence number that every consumer of a table has read; None where it has no consumers."""
    return min((state.snapshots[i].sequence for i in needed if i in state.snapshots), default=None)


def expirable(
    state: TableState, settings: Settings, now: dt.datetime, needed: frozenset[int]
) -> tuple[list[Snapshot], list[Snapshot]]:
    """Old snapshots that may go, and old ones that stay because a consumer needs them.

    A snapshot is old when another took its place longer ago than ``older_than``: a run that is still
    working read it before that. The newest ``keep`` of every branch stay, what a branch has before main, and
    whoever carries a position or the word of a retention.
    """
    limit = (now - settings.expire_older_than).timestamp() * 1000
    replaced: dict[int, int] = {}
    kept: set[int] = set(state.branches.values())
    main = {s.id for s in state.ancestry(state.branches.get(MAIN))}
    for branch in state.branches:
        head = state.head(branch)
        line = list(state.ancestry(head.id)) if head else []
        kept |= {s.id for s in line[: settings.keep]}
        # Main can follow a branch only along a chain that has no gap.
        kept |= {s.id for s in line} - main
        for child, parent in pairwise(line):
            replaced[parent.id] = max(replaced.get(parent.id, 0), child.timestamp_ms)
        if carrier := ledger.position_snapshot(state, branch):
            kept.add(carrier.id)
        if word := next((s for s in line if ledger.RETENTION in s.summary), None):
            kept.add(word.id)
    old = [
        s for s in state.snapshots.values() if s.id not in kept and replaced.get(s.id, s.timestamp_ms) < limit
    ]
    return [s for s in old if s.id not in needed], [s for s in old if s.id in needed]


def remove_manifests(lake: Lake, before: dt.datetime) -> int:
    """Remove lists of consumed files, older than a time, that no snapshot of any table names; how many."""
    named = set()
    for table in lake.catalog.tables():
        state = lake.catalog.table(table)
        for snapshot in state.snapshots.values() if state else ():
            if ledger.INPUTS in snapshot.summary:
                named |= {p.manifest for p in ledger.parse(snapshot).inputs.values() if p.manifest}
    return lake.manifests.remove_unnamed(named, before.timestamp())


def maintain_all(
    found: Iterable[Job], lake: Lake, keeper: Callable[[], Keeper], now: dt.datetime, *, run_id: str
) -> Iterator[Upkeep]:
    """Maintain tables one after another; each as it is done, then the manifests."""
    found = list(found)
    for job in found:
        try:
            yield maintain(job, lake, keeper, now, run_id=run_id)
        except Busy as busy:
            told = busy.fault.what.replace("__maintenance is being written", " is being maintained")
            yield Upkeep(job.table, busy=told)
    ages = [job.settings.orphans_older_than for job in found]
    if ages:
        remove_manifests(lake, now - max(ages))


def due(job: Job, catalog: Catalog, now: dt.datetime) -> str:
    """What maintenance of a table would find, from metadata alone."""
    state = catalog.table(job.table)
    head = state.head() if state else None
    if state is None or head is None:
        return "empty"
    doomed, spared = expirable(state, job.settings, now, needed(catalog))
    parts = [f"{head.files:,} files", f"{len(doomed):,} of {len(state.snapshots):,} snapshots to expire"]
    if spared:
        parts.append(f"{len(spared):,} old ones needed by consumers")
    if job.retention:
        parts.append(f"rows before {cutoff(job.retention, now)} ({job.retention.column}) leave")
    return " | ".join(parts)
