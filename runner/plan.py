"""What a run will do and why, decided from metadata alone: inert, for people and for ``execute``.

In: a model, the states of its tables, the listing of its files, the position in its target. Out: a
:class:`ModelPlan` that names the mode, the reason and the range of every input. No Spark, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runner import ledger
from runner.catalog import Snapshot, TableState
from runner.days import Days, days_of
from runner.engine import Amount
from runner.files import ManifestStore
from runner.inputs import Pins, read_files, read_table, read_topic
from runner.ledger import Position
from runner.reads import FilesRead, TableRead, TopicRead
from runner.refuse import cannot_continue, cannot_refresh, newer_code, retained_rows
from runner.render import Rendered
from runner.spec import FilesInput, KafkaInput, Model, Read, Source, TableInput
from runner.topics import Topics

#: Rows of tables, bytes of files and records of topics up to which they are a handful, and few: a query takes
#: less time than planning it does.
_MOST = {Amount.HANDFUL: (30_000, 4_000_000, 5_000), Amount.FEW: (1_000_000, 256_000_000, 200_000)}


class Mode(StrEnum):
    """What is done with a target: nothing, only what changed, new files, or all rows."""

    NOTHING = "nothing new"
    INCREMENTAL = "incremental"
    APPEND = "append"
    REBUILD = "rebuild"


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
    topics: tuple[TopicRead, ...] = ()
    days: Days | None = None  # of a rebuild that is confined to them

    @property
    def base(self) -> Snapshot | None:
        return self.target.head() if self.target else None

    @property
    def everything(self) -> bool:
        """Whether every row of the target is built again."""
        return self.mode is Mode.REBUILD and self.days is None

    @property
    def amount(self) -> Amount:
        """How much is read, by metadata alone."""
        whole = self.mode is Mode.REBUILD
        sizes = (
            sum(read.most(whole=whole) for read in self.tables),
            sum(file.size for listed in self.files for file in listed.fresh),
            sum(read.records for read in self.topics),
        )
        for amount, most in _MOST.items():
            if all(size <= limit for size, limit in zip(sizes, most, strict=True)):
                return amount
        return Amount.MANY

    def reading(self, source: Source) -> TableRead | FilesRead | TopicRead:
        """How ``source`` is read."""
        reads: tuple[TableRead | FilesRead | TopicRead, ...] = (*self.tables, *self.files, *self.topics)
        return next(read for read in reads if read.source is source)

    def summary(self) -> str:
        """The bracket of the START line: ``changes 6,948 rows``."""
        parts = []
        for read in self.tables:
            parts.append(read.summary(whole=self.mode is Mode.REBUILD))
        for listed in self.files:
            if listed.source.read is Read.CHANGES:
                parts.append(f"{len(listed.fresh)} of {listed.total} files")
        parts += [read.summary() for read in self.topics]
        range_ = f"{self.mode}: {', '.join(parts)}" if parts else str(self.mode)
        return f"{range_} | {self.reason}" if self.reason else range_


def make_plan(
    model: Model,
    rendered: Rendered,
    *,
    root: Path,
    pins: Pins,
    manifests: ManifestStore,
    topics: Topics,
    code_version: str,
    full_refresh: bool = False,
    developing: bool = False,
    limit: int | None = None,
    skip_lost: bool = False,
    span: tuple[str, str] | None = None,
) -> ModelPlan:
    """The plan of one model. ``developing``: on a branch of one's own, where any code may follow any other.
    ``limit``, ``skip_lost``: of topics, as for :func:`runner.inputs.read_topic`; ``span``: the first and the
    last of some days that are built again.

    Raises ProjectError where an input is not there or newer code built the target, RunFailed where a state
    cannot be continued from or a rebuild would lose rows.
    """
    if full_refresh and not model.replayable:
        raise cannot_refresh(model)
    target = pins.catalog.table(model.target.table)
    previous = ledger.position(target)
    known = previous.inputs if previous else {}
    tables = tuple(
        read_table(source, source.origin, pins, known.get(source.name), model)
        for source in model.sources
        if isinstance(source.origin, TableInput)
    )
    files = tuple(
        read_files(source, source.origin, root, manifests, known.get(source.name))
        for source in model.sources
        if isinstance(source.origin, FilesInput)
    )
    streams = tuple(
        read_topic(source, source.origin, topics, known.get(source.name), limit=limit, skip_lost=skip_lost)
        for source in model.sources
        if isinstance(source.origin, KafkaInput)
    )
    if span is not None:
        days = days_of(model, span, target, previous, rendered.fingerprint)
        return ModelPlan(
            model, rendered, Mode.REBUILD, str(days), tables, files, target, previous, streams, days
        )
    mode, reason = _decide(
        model, rendered.fingerprint, previous, tables, files, streams, full_refresh=full_refresh
    )
    if mode is Mode.REBUILD and previous is not None and not full_refresh:
        if previous.fingerprint != rendered.fingerprint and model.on_change == "rebuild" and not developing:
            refused = newer_code(model, rendered.fingerprint, target, code_version)
            if refused:
                raise refused
        if lost := retained_rows(model, reason, tables):
            raise lost
    return ModelPlan(model, rendered, mode, reason, tables, files, target, previous, streams)


def _decide(
    model: Model,
    fingerprint: str,
    previous: Position | None,
    tables: tuple[TableRead, ...],
    files: tuple[FilesRead, ...],
    topics: tuple[TopicRead, ...],
    *,
    full_refresh: bool,
) -> tuple[Mode, str]:
    if not model.replayable:
        if gone := next((read for read in tables if read.lost and read.source.read is not Read.ALL), None):
            raise cannot_continue(model, gone)
        fresh = any(read.fresh for read in files if read.source.read is Read.CHANGES)
        fresh |= any(read.fresh for read in topics)
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
