"""Records → the nouns of ``spec``. Purely a translation: what must hold is checked in ``rules``.

A record with faults inside is translated as far as it goes, so that more faults can be found; such a
project is never run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from runner.load.checks import CheckRecord
from runner.load.reader import At, Record
from runner.refs import TableRef
from runner.spec import (
    Check,
    CheckKind,
    Column,
    Dedupe,
    Drop,
    FilesInput,
    KafkaInput,
    Late,
    Model,
    Profile,
    Read,
    Retention,
    Severity,
    Source,
    TableInput,
    Target,
    Threshold,
)


def build_model(record: Record, *, pipeline: str, variables: Mapping[str, object], profile: str) -> Model:
    """A model from the record of its YAML; ``variables``: merged; ``profile``: the target of profiles.yml."""
    target = cast(Record, record.get("target"))
    return Model(
        name=record.text("name"),
        pipeline=pipeline,
        place=record.place_of("name"),
        sql=record.text("sql"),
        sources=tuple(_source(name, at, profile) for name, at in record.named("sources").items()),
        target=_target(target),
        description=record.text("description"),
        tags=record.texts("tags"),
        owner=record.text("owner"),
        on_change=record.text("on_change", "rebuild"),
        history=bool(record.get("history", False)),
        drop=_drop(record.record("drop")),
        dedupe=_dedupe(record.record("dedupe")),
        late=_late(record.record("late")),
        checks=tuple(_checks(record.get("checks"), None)),
        vars=variables,
    )


def build_profile(name: str, record: Record, variables: Mapping[str, object]) -> Profile:
    """A target of ``profiles.yml``."""
    return Profile(
        name=name,
        place=record.place,
        catalog=record.text("catalog", "lake"),
        warehouse=record.text("warehouse", ".lake"),
        type=record.text("type", "local"),
        conf={key: cast(str, at.value) for key, at in record.named("conf").items()},
        vars=variables,
        kafka={key: cast(str, at.value) for key, at in record.named("kafka").items()},
    )


def build_variables(record: Record | None) -> dict[str, object]:
    """The values under ``vars:``."""
    return {} if record is None else {name: at.value for name, at in record.named("vars").items()}


def origin_of(written: Record, profile: str) -> Record:
    """Of what is written of a source, the part that says where ``profile`` reads it from."""
    other = written.named("targets").get(profile)
    return cast(Record, other.value) if other else written


def _source(name: str, at: At, profile: str) -> Source:
    record = cast(Record, at.value)
    chosen = origin_of(record, profile)
    origin: TableInput | FilesInput | KafkaInput
    if files := chosen.record("files"):
        origin = FilesInput(files.text("path"), files.text("format"))
    elif kafka := chosen.record("kafka"):
        origin = KafkaInput(kafka.text("topic"))
    else:
        origin = TableInput(cast(TableRef, chosen.get("table")))
    by = tuple(
        {column: cast(str, sql.value) for column, sql in cast("Mapping[str, At]", mapping.value).items()}
        for mapping in record.many("by")
    )
    places = tuple(
        {column: sql.place for column, sql in cast("Mapping[str, At]", mapping.value).items()}
        for mapping in record.many("by")
    )
    return Source(name, origin, Read(chosen.text("read")), at.place, by, places)


def _target(record: Record) -> Target:
    retention = record.record("retention")
    return Target(
        table=cast(TableRef, record.get("table")),
        key=record.texts("key"),
        columns=tuple(_column(name, at) for name, at in record.named("columns").items()),
        place=record.place_of("table"),
        partitions=record.texts("partitions"),
        partitions_fixed=bool(record.get("partitions_fixed", False)),
        format_version=cast(int, record.get("format_version", 3)),
        readers=record.texts("readers"),
        publish=record.text("publish", "branch"),
        max_deleted=cast(Threshold, record.get("max_deleted", Threshold(percent=10.0))),
        retention=Retention(retention.text("column"), cast(dt.timedelta, retention.get("keep")))
        if retention
        else None,
        maintenance=_plain(record.record("maintenance")),
    )


def _plain(record: Record | None) -> dict[str, object]:
    """A record as nested mappings of values."""
    if record is None:
        return {}
    return {
        key: _plain(at.value) if isinstance(at.value, Record) else at.value
        for key, at in record.values.items()
    }


def _column(name: str, at: At) -> Column:
    record = cast(Record, at.value)
    return Column(
        name=name,
        type=record.text("type", "unknown"),
        place=at.place,
        description=record.text("description"),
        checks=tuple(_checks(record.get("checks"), name)),
        renamed_from=record.text("renamed_from"),
        renamed_at=record.place_of("renamed_from") if "renamed_from" in record else None,
    )


def _checks(records: object, column: str | None) -> Iterator[Check]:
    for record in cast("tuple[CheckRecord, ...]", records or ()):
        values, kind = record.values, CheckKind(record.kind)
        yield Check(
            kind=kind,
            name=values.text("name") or default_name(kind, column, values),
            place=record.place,
            column=column,
            args=_args(kind, column, values),
            severity=Severity(values.text("severity", "error")),
            fail_above=cast(Threshold, values.get("fail_above", Threshold(count=0))),
            description=values.text("description"),
            where=values.text("where"),
            scheduled=bool(values.get("scheduled", False)),
            places={name: at.place for name, at in values.values.items()},
        )


def default_name(kind: CheckKind, column: str | None, values: Record) -> str:
    """``not_null_event_type``, ``unique_domain_region``, ``row_count``; a SQL check is named by its file."""
    match kind:
        case CheckKind.SQL:
            return Path(values.text("path")).stem or kind.value
        case CheckKind.FRESHNESS:
            columns = [values.text("column")] if "column" in values else []
        case _:
            columns = [column] if column else list(values.texts("columns"))
    return "_".join([kind.value, *columns])


def _args(kind: CheckKind, column: str | None, values: Record) -> dict[str, object]:
    match kind:
        case CheckKind.ACCEPTED_VALUES:
            return {"values": [at.value for at in values.many("values")]}
        case CheckKind.RANGE | CheckKind.ROW_COUNT:
            return {name: values.get(name) for name in ("min", "max") if name in values}
        case CheckKind.REGEX:
            return {"pattern": values.text("pattern")}
        case CheckKind.EXPRESSION:
            return {"sql": values.text("sql")}
        case CheckKind.UNIQUE:
            return {"columns": list(values.texts("columns")) or ([column] if column else [])}
        case CheckKind.RELATIONSHIPS:
            return {
                "columns": list(values.texts("columns")) or ([column] if column else []),
                "to": values.get("to"),
                "field": list(values.texts("field")),
            }
        case CheckKind.FRESHNESS:
            names = ("column", "warn_after", "error_after")
            return {name: values.get(name) for name in names if name in values}
        case CheckKind.SQL:
            return {"path": values.text("path")}
        case CheckKind.NOT_NULL | CheckKind.ONE_PARTITION:
            return {}


def _drop(record: Record | None) -> Drop | None:
    return Drop(record.text("name"), record.text("when"), record.place_of("when")) if record else None


def _dedupe(record: Record | None) -> Dedupe | None:
    return Dedupe(record.texts("order"), record.place_of("order")) if record else None


def _late(record: Record | None) -> Late | None:
    if record is None:
        return None
    return Late(
        record.text("column"),
        cast(dt.timedelta, record.get("after")),
        record.place_of("column"),
        record.text("received"),
    )
