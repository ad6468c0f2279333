"""What must hold inside one model, beyond the shape of its YAML."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import cast

from runner.errors import Fault, Place, did_you_mean
from runner.load.build import origin_of
from runner.load.check_rules import check_faults
from runner.load.columns import is_time, known_columns, renames
from runner.load.reader import At, Record
from runner.load.types import is_type
from runner.spec import FilesInput, KafkaInput, Late, Model, Read, Source, TableInput

_YOUNGEST_ORPHAN = dt.timedelta(hours=1)

#: How each kind of input can be read.
READS: dict[type, tuple[Read, ...]] = {
    TableInput: (Read.ALL, Read.CHANGES, Read.AFFECTED),
    FilesInput: (Read.ALL, Read.CHANGES),
    KafkaInput: (Read.STREAM,),
}
#: Views that the engine makes beside those of the sources, without their two underscores.
_ENGINE_VIEWS = frozenset(
    (
        "failures",
        "groups",
        "held",
        "old_keys",
        "old_rows",
        "other",
        "out",
        "read",
        "rows",
        "staged",
        "target",
        "touched",
    )
)
_WHAT = {TableInput: "a table", FilesInput: "files", KafkaInput: "a topic"}


def model_faults(model: Model, record: Record, profile: str) -> Iterator[Fault]:
    """The faults of one model; ``record`` knows the places of what it was made from, for ``profile``."""
    yield from _columns(model, record)
    yield from check_faults(model)
    yield from _sources(model, record, profile)
    yield from _modes(model, record, profile)


def _columns(model: Model, record: Record) -> Iterator[Fault]:
    target = cast(Record, record.get("target"))
    columns = model.target.column_names
    for part in ("key", "partitions"):
        yield from known_columns(target.many(part), columns, f"`{part}` of the target")
        yield from _twice(target.many(part), part)
    for at in (*target.many("key"), *target.many("partitions")):
        column = next((c for c in model.target.columns if c.name == at.value), None)
        if column and is_type(column.type, "float", "double", "map", "array", "struct", "variant"):
            yield Fault(
                "wrong-key-type",
                at.place,
                f"'{column.name}' is of type {column.type}",
                "keys and partitions are compared for equality, and such values do not compare exactly",
                "use a column of type string, date, timestamp, a whole number, decimal or boolean",
            )
    for column in model.target.columns:
        if column.name.startswith("_"):
            yield Fault(
                "reserved-name",
                column.place,
                f"the column '{column.name}' begins with an underscore",
                "such names are the engine's own, and Iceberg's",
                "rename the column",
            )
    yield from renames(model)
    if retention := model.target.retention:
        at_place = cast(Record, target.record("retention")).place_of("column")
        yield from known_columns((At(retention.column, at_place),), columns, "`retention`")
        yield from _is_day(model, retention.column, at_place)
    if (upkeep := target.record("maintenance")) and (orphans := upkeep.record("orphans")):
        yield from _orphans(orphans)
    if model.late:
        yield from _late(model, model.late, cast(Record, record.record("late")))
    if target.get("partitions_fixed") and not model.target.partitions:
        yield Fault(
            "useless-key",
            target.place_of("partitions_fixed"),
            "`partitions_fixed` stands with a table that has no partitions",
            "it promises that a key never changes its partition",
            "remove it, or declare `partitions:`",
        )


def _late(model: Model, late: Late, written: Record) -> Iterator[Fault]:
    yield from is_time(model, late.column, late.place, "`late`")
    if late.received:
        yield from is_time(model, late.received, written.place_of("received"), "`late`")
    elif model.streams:
        yield Fault(
            "late-without-received",
            late.place,
            "`late` does not say when rows of the stream were received",
            "a record of a topic is late against the time at which it arrived there",
            "name the column that holds received_at: received: ingested_at",
        )


def _orphans(orphans: Record) -> Iterator[Fault]:
    age = cast("dt.timedelta | None", orphans.get("older_than"))
    if age is not None and age < _YOUNGEST_ORPHAN:
        yield Fault(
            "orphans-too-young",
            orphans.place_of("older_than"),
            f"files would be removed as orphans after {age}",
            "a run that is still writing has files that no snapshot names yet",
            "write an hour at least, and more than the longest run takes: 1d",
        )


def _is_day(model: Model, name: str, place: Place) -> Iterator[Fault]:
    column = next((c for c in model.target.columns if c.name == name), None)
    if column and not is_type(column.type, "date", "unknown"):
        yield Fault(
            "wrong-column-type",
            place,
            f"`retention` names '{name}', which is of type {column.type}",
            "rows leave by whole days",
            "name a column of type date",
        )
    elif column and name not in model.target.partitions:
        yield Fault(
            "retention-not-partition",
            place,
            f"`retention` names '{name}', which {model.target.table} is not partitioned by",
            "whole partitions leave: no file is read or written for it",
            f"add it to `partitions: [{name}]`, or name a column that is there",
        )


def _twice(items: Iterable[At], label: str) -> Iterator[Fault]:
    seen: set[object] = set()
    for at in items:
        if at.value in seen:
            yield Fault(
                "duplicate-value",
                at.place,
                f"'{at.value}' stands twice in `{label}`",
                "each column counts once",
                "remove one of them",
            )
        seen.add(at.value)


def _sources(model: Model, record: Record, profile: str) -> Iterator[Fault]:
    for source in model.sources:
        written = cast(Record, record.named("sources")[source.name].value)
        origin = origin_of(written, profile)
        if source.name.startswith("_") or "__" in source.name:
            yield Fault(
                "reserved-name",
                source.place,
                f"the source name '{source.name}' begins with an underscore or has two in a row",
                "the engine makes names of its own from it",
                "rename the source",
            )
        if source.name.lower() in _ENGINE_VIEWS:
            yield Fault(
                "reserved-name",
                source.place,
                f"a source cannot be named '{source.name}'",
                "the engine has a view of that name",
                "rename the source",
            )
        allowed = READS[type(source.origin)]
        if source.read not in allowed:
            yield Fault(
                "wrong-read",
                origin.place_of("read"),
                f"{_WHAT[type(source.origin)]} cannot be read '{source.read}'",
                "tables have snapshots, files are read once or whole, topics are streams",
                f"write {' or '.join(f'read: {read}' for read in allowed)}",
            )
        if source.read is Read.AFFECTED and not source.by and "by" not in written.key_places:
            yield Fault(
                "missing-by",
                origin.place_of("read"),
                f"'{source.name}' is read `affected` and has no `by`",
                "`by` says which groups of the target a changed row touches",
                f"add by: {{{model.target.key[0]}: …}}, key column → SQL over the source's columns"
                if model.target.key
                else "add `by:`",
            )
        if source.read is not Read.AFFECTED and source.by:
            yield Fault(
                "useless-key",
                written.place_of("by"),
                f"'{source.name}' is read '{source.read}' and has `by`",
                "only `affected` reads by groups",
                "remove `by`, or write read: affected",
            )
        yield from _by(model, source, written)


def other_targets(record: Record, targets: frozenset[str]) -> Iterator[Fault]:
    """Targets that a source names and profiles.yml does not; ``record``: of a model."""
    for source in record.named("sources").values():
        for name, at in cast(Record, source.value).named("targets").items():
            if name not in targets:
                yield Fault(
                    "unknown-target",
                    at.place,
                    f"a source says where '{name}' reads it from, and there is no such target",
                    "targets are declared in profiles.yml",
                    did_you_mean(name, targets) if targets else "declare it in profiles.yml",
                )


def _by(model: Model, source: Source, written: Record) -> Iterator[Fault]:
    first = set(source.by[0]) if source.by else set()
    if not set(model.target.key) <= set(model.target.column_names):
        return  # the key itself is misspelt
    for mapping in written.many("by"):
        entries = cast("dict[str, At]", mapping.value)
        for column, at in entries.items():
            if column not in model.target.key:
                known = ", ".join(model.target.key)
                yield Fault(
                    "by-not-key",
                    at.place,
                    f"`by` names '{column}', which is not in the target's key",
                    "groups are found again in the target by columns of its key",
                    did_you_mean(column, model.target.key) if known else "",
                )
        if set(entries) != first:
            yield Fault(
                "by-differs",
                mapping.place,
                "the mappings of `by` name different columns",
                "each is one group of the same kind that a row belongs to",
                f"name {', '.join(sorted(first))} in all of them",
            )


def _modes(model: Model, record: Record, profile: str) -> Iterator[Fault]:
    """How the inputs of one model go together."""
    sources = record.named("sources")

    def at(source: Source) -> Place:
        return origin_of(cast(Record, sources[source.name].value), profile).place_of("read")

    readable = [s for s in model.sources if s.read in READS[type(s.origin)]]
    moving = [s for s in readable if s.read in (Read.CHANGES, Read.STREAM)]
    affected = [s for s in readable if s.read is Read.AFFECTED]
    for extra in moving[1:]:
        yield Fault(
            "two-changes",
            at(extra),
            f"'{moving[0].name}' and '{extra.name}' are both read '{extra.read}'",
            "a row of the target would depend on rows of both, and only one of them is seen when it changes",
            "read one with `changes` and the others `all`; or use `affected` with `by` for both",
        )
    if moving and affected:
        yield Fault(
            "mixed-reads",
            at(affected[0]),
            f"'{moving[0].name}' is read '{moving[0].read}' and '{affected[0].name}' 'affected'",
            "a model is row-wise or grouped, not both",
            "split it into two models, or use `affected` with `by` for both",
        )
    columns = {tuple(sorted(s.by[0])) for s in affected if s.by}
    if len(columns) > 1:
        yield Fault(
            "by-differs",
            at(affected[1]),
            "the `by` of two sources name different columns",
            "the touched groups are the union over all sources",
            "name the same key columns in each",
        )
    if model.on_change == "rebuild" and "on_change" in record and not model.replayable:
        why = "`history: true` says so" if model.history else "its files or stream are read once"
        yield Fault(
            "not-rebuildable",
            record.place_of("on_change"),
            f"{model.id} cannot be rebuilt",
            why,
            "write on_change: keep, or remove the key",
        )
    if model.history and affected:
        yield Fault(
            "mixed-reads",
            at(affected[0]),
            "a model with `history: true` reads `affected`",
            "`affected` rebuilds groups, and with history a group is not a function of its rows",
            "remove `history`, or read `changes`",
        )
