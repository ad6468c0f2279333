"""The nouns of a project: frozen, inert, each carrying the place where it was written.

They are made by ``load`` and by tests; nothing here reads a file or knows Spark. Durations are
``datetime.timedelta``; percentages and counts of thresholds are :class:`Threshold`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import cast

from runner.errors import Place
from runner.refs import TableRef

#: The fixed columns of a ``files`` (text) or ``kafka`` input: one SQL model serves both.
STREAM_COLUMNS: Mapping[str, str] = {
    "value": "string",
    "topic": "string",
    "partition": "int",
    "offset": "bigint",
    "received_at": "timestamp",
    "arrival": "struct<time:timestamp,source:string,part:bigint,position:bigint>",
}


class Read(StrEnum):
    """How an input is read; see docs/spec.md."""

    ALL = "all"
    CHANGES = "changes"
    AFFECTED = "affected"
    STREAM = "stream"


class Severity(StrEnum):
    """What a failing check does: say so, close the gate, or set the row aside."""

    WARN = "warn"
    ERROR = "error"
    QUARANTINE = "quarantine"


class CheckKind(StrEnum):
    """The built-in checks."""

    NOT_NULL = "not_null"
    UNIQUE = "unique"
    ACCEPTED_VALUES = "accepted_values"
    RANGE = "range"
    REGEX = "regex"
    EXPRESSION = "expression"
    ROW_COUNT = "row_count"
    RELATIONSHIPS = "relationships"
    FRESHNESS = "freshness"
    SQL = "sql"
    ONE_PARTITION = "one_partition"  # implied by ``partitions_fixed``; nobody writes it


#: Checks that look at one row at a time: they run in the pass that stages the rows.
ROW_CHECKS = frozenset(
    {
        CheckKind.NOT_NULL,
        CheckKind.ACCEPTED_VALUES,
        CheckKind.RANGE,
        CheckKind.REGEX,
        CheckKind.EXPRESSION,
    }
)


@dataclass(frozen=True)
class Threshold:
    """How much is tolerated: ``count`` rows, or ``percent`` (0–100) of the rows looked at."""

    count: int | None = None
    percent: float | None = None

    def allows(self, failed: int, total: int) -> bool:
        """Whether ``failed`` of ``total`` rows is still tolerated."""
        if self.percent is not None:
            return failed * 100.0 <= self.percent * total
        return failed <= (self.count or 0)

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.percent is not None else str(self.count or 0)


@dataclass(frozen=True)
class Check:
    """One declared check.

    ``args`` by kind: accepted_values ``{"values": [...]}``; range and row_count ``{"min", "max"}``
    (either may be absent); regex ``{"pattern"}``; expression ``{"sql"}``; unique ``{"columns": [...]}``
    (the target's key when empty); relationships ``{"columns": [...], "to": TableRef, "field": [...]}``;
    freshness ``{"column", "warn_after", "error_after"}`` (timedelta; each may be absent); sql ``{"path"}``;
    not_null ``{}``. ``where``: only rows that satisfy this predicate are looked at. ``scheduled``: judged
    by ``runner check`` alone. ``name`` is unique in its model. ``places``: where arguments and options stand.
    """

    kind: CheckKind
    name: str
    place: Place
    column: str | None = None
    args: Mapping[str, object] = field(default_factory=dict)
    severity: Severity = Severity.ERROR
    fail_above: Threshold = Threshold(count=0)
    description: str = ""
    where: str = ""
    scheduled: bool = False
    places: Mapping[str, Place] = field(default_factory=dict)

    def place_of(self, argument: str) -> Place:
        """Where an argument or option stands; the check itself where that is not known."""
        return self.places.get(argument, self.place)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a unique or relationships check names; empty for a target's key."""
        return tuple(cast("Sequence[str]", self.args.get("columns", ())))

    @property
    def counts_rows(self) -> bool:
        """Whether the rows that satisfy ``where`` must be counted: for a share of them."""
        return bool(self.where) and self.fail_above.percent is not None


@dataclass(frozen=True)
class Column:
    """A declared column of a target; ``type`` is Spark SQL's, lower case (``decimal(10,2)``).

    ``renamed_from``: the name that the table may still have it by; ``renamed_at``: where that is written.
    """

    name: str
    type: str
    place: Place
    description: str = ""
    checks: tuple[Check, ...] = ()
    renamed_from: str = ""
    renamed_at: Place | None = None


@dataclass(frozen=True)
class TableInput:
    """Rows of a table of the lake."""

    table: TableRef


@dataclass(frozen=True)
class FilesInput:
    """Files: ``path`` is a file, a glob or a folder, resolved against the project's root."""

    path: str
    format: str  # text | json | csv | parquet


@dataclass(frozen=True)
class KafkaInput:
    """A topic."""

    topic: str


@dataclass(frozen=True)
class Source:
    """A named input of a model and how it is read.

    ``by`` (read: affected) is one mapping a group that a row belongs to: key column of the target →
    Spark SQL expression over the source's columns. All mappings name the same columns.
    """

    name: str
    origin: TableInput | FilesInput | KafkaInput
    read: Read
    place: Place
    by: tuple[Mapping[str, str], ...] = ()
    by_places: tuple[Mapping[str, Place], ...] = ()  # where each expression of ``by`` stands


@dataclass(frozen=True)
class Retention:
    """Rows older than ``keep`` by ``column`` leave the table in maintenance."""

    column: str
    keep: dt.timedelta


@dataclass(frozen=True)
class Target:
    """The table that a model maintains."""

    table: TableRef
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    place: Place
    partitions: tuple[str, ...] = ()
    partitions_fixed: bool = False
    format_version: int = 3
    readers: tuple[str, ...] = ()  # engines beside Spark that read the table: athena
    publish: str = "branch"  # branch | direct
    max_deleted: Threshold = Threshold(percent=10.0)
    retention: Retention | None = None
    maintenance: Mapping[str, object] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        """The declared column of that name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Drop:
    """Rows of the query that are neither data nor errors: dropped and counted under ``name``."""

    name: str
    when: str
    place: Place


@dataclass(frozen=True)
class Dedupe:
    """Of rows with one key the first by ``order`` stays, over rows that passed the row checks."""

    order: tuple[str, ...]
    place: Place


@dataclass(frozen=True)
class Late:
    """Rows whose ``column`` lies more than ``after`` behind are counted, never dropped.

    Behind the column ``received`` where rows come from a stream, behind the highest ``column`` of earlier
    arrivals where they come from files.
    """

    column: str
    after: dt.timedelta
    place: Place
    received: str = ""


@dataclass(frozen=True)
class Model:
    """One target, the SQL that maintains it, its named inputs and its checks."""

    name: str
    pipeline: str
    place: Place
    sql: str  # path of the .sql file, relative to the project's root
    sources: tuple[Source, ...]
    target: Target
    description: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    on_change: str = "rebuild"  # rebuild | keep
    history: bool = False
    drop: Drop | None = None
    dedupe: Dedupe | None = None
    late: Late | None = None
    checks: tuple[Check, ...] = ()  # of the model; those of columns stand with the columns
    vars: Mapping[str, object] = field(default_factory=dict)  # merged: profile, pipeline, --vars

    @property
    def id(self) -> str:
        """``pipeline.name``, unique in a project."""
        return f"{self.pipeline}.{self.name}"

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """Checks of columns in declared order, then those of the model."""
        return tuple(c for column in self.target.columns for c in column.checks) + self.checks

    @property
    def row_checks(self) -> tuple[Check, ...]:
        return tuple(c for c in self.all_checks if c.kind in ROW_CHECKS)

    @property
    def table_checks(self) -> tuple[Check, ...]:
        """Checks that need the table: they run on the audit branch, before publication."""
        return tuple(
            c for c in self.all_checks if c.kind not in ROW_CHECKS and c.kind is not CheckKind.FRESHNESS
        )

    @property
    def freshness_checks(self) -> tuple[Check, ...]:
        """Checks of age: they are told by metadata, after publication and where nothing is new."""
        return tuple(c for c in self.all_checks if c.kind is CheckKind.FRESHNESS)

    @property
    def references(self) -> tuple[tuple[Check, TableRef], ...]:
        """The tables that ``relationships`` checks look into."""
        return tuple(
            (c, cast(TableRef, c.args["to"])) for c in self.all_checks if c.kind is CheckKind.RELATIONSHIPS
        )

    @property
    def incremental(self) -> Source | None:
        """The first source that is not read whole; None where every source is read ``all``."""
        return next((s for s in self.sources if s.read is not Read.ALL), None)

    @property
    def streams(self) -> bool:
        """Whether a source is a topic."""
        return any(s.read is Read.STREAM for s in self.sources)

    @property
    def replayable(self) -> bool:
        """Whether the target can be rebuilt: not fed by a stream or by files read ``changes``."""
        return not self.history and not any(
            s.read is Read.STREAM or (isinstance(s.origin, FilesInput) and s.read is Read.CHANGES)
            for s in self.sources
        )


@dataclass(frozen=True)
class Pipeline:
    """A medallion layer: one YAML file."""

    name: str
    place: Place
    models: tuple[Model, ...]
    description: str = ""
    schedule: str = ""
    vars: Mapping[str, object] = field(default_factory=dict)
    var_places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """A target of ``profiles.yml``: where a run happens."""

    name: str
    place: Place
    catalog: str = "lake"  # the catalog's name in Spark SQL
    warehouse: str = ".lake"  # a folder (local) or a URI
    type: str = "local"  # local | glue | s3tables
    conf: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, object] = field(default_factory=dict)
    kafka: Mapping[str, str] = field(default_factory=dict)  # settings of Kafka's clients


@dataclass(frozen=True)
class Project:
    """Everything that was declared, checked across files."""

    root: Path
    pipelines: tuple[Pipeline, ...]
    profile: Profile

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """All models, in the order of files and of their declaration."""
        return tuple(model for pipeline in self.pipelines for model in pipeline.models)

    def producer(self, table: TableRef) -> Model | None:
        """The model that maintains ``table``; None for a table that nobody here writes."""
        return self._producers.get(table)

    @cached_property
    def _producers(self) -> Mapping[TableRef, Model]:
        # Of two that claim one table, which is a fault, the first.
        return {model.target.table: model for model in reversed(self.models)}
