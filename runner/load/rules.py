"""What must hold inside one model, beyond the shape of its YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from runner.errors import Fault, Place, did_you_mean
from runner.load.reader import At, Record
from runner.load.types import is_type
from runner.spec import (
    Check,
    CheckKind,
    FilesInput,
    KafkaInput,
    Model,
    Read,
    Severity,
    Source,
    TableInput,
)

#: How each kind of input can be read.
READS: dict[type, tuple[Read, ...]] = {
    TableInput: (Read.ALL, Read.CHANGES, Read.AFFECTED),
    FilesInput: (Read.ALL, Read.CHANGES),
    KafkaInput: (Read.STREAM,),
}
#: Views that the engine makes beside those of the sources, without their two underscores.
_ENGINE_VIEWS = frozenset(
    ("groups", "held", "old_keys", "old_rows", "out", "read", "rows", "staged", "target", "touched")
)
_WHAT = {TableInput: "a table", FilesInput: "files", KafkaInput: "a topic"}


def model_faults(model: Model, record: Record) -> Iterator[Fault]:
    """The faults of one model; ``record`` knows the places of what it was made from."""
    yield from _columns(model, record)
    yield from _checks(model)
    yield from _direct(model)
    yield from _sources(model, record)
    yield from _modes(model, record)


def _columns(model: Model, record: Record) -> Iterator[Fault]:
    target = cast(Record, record.get("target"))
    columns = model.target.column_names
    for part in ("key", "partitions"):
        yield from _known(target.many(part), columns, f"`{part}` of the target")
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
    if retention := model.target.retention:
        at_place = cast(Record, target.record("retention")).place_of("column")
        yield from _known((At(retention.column, at_place),), columns, "`retention`")
        yield from _is_day(model, retention.column, at_place)
    if model.late:
        yield from _is_time(model, model.late.column, model.late.place, "`late`")
    if target.get("partitions_fixed") and not model.target.partitions:
        yield Fault(
            "useless-key",
            target.place_of("partitions_fixed"),
            "`partitions_fixed` stands with a table that has no partitions",
            "it promises that a key never changes its partition",
            "remove it, or declare `partitions:`",
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


def _is_time(model: Model, name: str, place: Place, where: str) -> Iterator[Fault]:
    column = next((c for c in model.target.columns if c.name == name), None)
    if column and not is_type(column.type, "date", "timestamp", "timestamp_ntz", "unknown"):
        yield Fault(
            "wrong-column-type",
            place,
            f"{where} names '{name}', which is of type {column.type}",
            "age is told by a date or a timestamp",
            "name a column of type date or timestamp",
        )


def _known(items: Iterable[At], columns: Iterable[str], where: str) -> Iterator[Fault]:
    columns = tuple(columns)
    for at in items:
        if at.value not in columns:
            yield Fault(
                "unknown-column",
                at.place,
                f"{where} names the column '{at.value}', which the target does not declare",
                "every column of a table stands under `columns:`",
                did_you_mean(str(at.value), columns),
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


def _checks(model: Model) -> Iterator[Fault]:
    seen: dict[str, Place] = {}
    for check in model.all_checks:
        if check.name in seen:
            yield Fault(
                "duplicate-check",
                check.place,
                f"two checks of {model.id} are named '{check.name}'",
                f"the first stands in line {seen[check.name].line}; results tell them apart by name",
                "give one of them a `name:`",
            )
        seen.setdefault(check.name, check.place)
        yield from _check_values(model, check)
        if check.severity is Severity.QUARANTINE and check.kind is CheckKind.NOT_NULL:
            yield from _keyless(model, check)
        for column in cast("list[str]", check.args.get("columns", [])):
            yield from _known((At(column, check.place),), model.target.column_names, "this check")


def _keyless(model: Model, check: Check) -> Iterator[Fault]:
    if check.column in model.target.key:
        yield Fault(
            "quarantine-without-key",
            check.place,
            f"rows whose key column '{check.column}' is NULL cannot be set aside",
            "a quarantine is kept by key, like its target: without one a replay would add the row again",
            "give such rows a key in the query, for example md5(value), and quarantine them by another check",
        )


def _direct(model: Model) -> Iterator[Fault]:
    if model.target.publish != "direct":
        return
    for check in model.table_checks:
        if check.severity is Severity.ERROR:
            yield Fault(
                "direct-table-check",
                check.place,
                f"'{check.name}' closes the gate, and `publish: direct` writes before it is checked",
                "a check of the whole table needs the table, and then readers see it already",
                "use severity: warn, or publish: branch",
            )


def _check_values(model: Model, check: Check) -> Iterator[Fault]:
    kind = model.target.column(check.column).type if check.column else ""
    low, high = check.args.get("min"), check.args.get("max")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield Fault(
            "empty-range",
            check.place,
            f"nothing is at least {low} and at most {high}",
            "every row would fail",
            "exchange min and max",
        )
    if kind == "unknown":
        return
    if check.kind is CheckKind.REGEX and kind != "string":
        yield Fault(
            "wrong-check",
            check.place,
            f"'{check.column}' is of type {kind}, and a regex looks at text",
            "the value would be cast to text first, in a form that nobody chose",
            "use range, accepted_values or expression",
        )
    if check.kind is CheckKind.ACCEPTED_VALUES:
        values = cast("list[object]", check.args["values"])
    elif check.kind is CheckKind.RANGE:
        values = [value for value in (low, high) if value is not None]
    else:
        return
    for value in values:
        if kind == "string" and not isinstance(value, str):
            fix = f"quote it: '{str(value).lower() if isinstance(value, bool) else value}'"
        elif is_type(kind, "int", "bigint", "double", "float", "decimal") and (
            isinstance(value, str | bool) or (is_type(kind, "int", "bigint") and isinstance(value, float))
        ):
            fix = "write a whole number" if is_type(kind, "int", "bigint") else "write a number"
        else:
            continue
        yield Fault(
            "wrong-value-type",
            check.place,
            f"the check '{check.name}' compares {kind} with {_shown(value)}",
            "the comparison would cast one of them, and fail or hide rows",
            fix,
        )


def _shown(value: object) -> str:
    return f"the text '{value}'" if isinstance(value, str) else str(value).lower()


def _sources(model: Model, record: Record) -> Iterator[Fault]:
    for source in model.sources:
        written = cast(Record, record.named("sources")[source.name].value)
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
                written.place_of("read"),
                f"{_WHAT[type(source.origin)]} cannot be read '{source.read}'",
                "tables have snapshots, files are read once or whole, topics are streams",
                f"write {' or '.join(f'read: {read}' for read in allowed)}",
            )
        if source.read is Read.AFFECTED and not source.by and "by" not in written.key_places:
            yield Fault(
                "missing-by",
                written.place_of("read"),
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


def _modes(model: Model, record: Record) -> Iterator[Fault]:
    """How the inputs of one model go together."""
    sources = record.named("sources")

    def at(source: Source) -> Place:
        return cast(Record, sources[source.name].value).place_of("read")

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
