"""``target/manifest.json``: the project as one document, in dbt's shape where it fits.

In: a project and the statements of all of its models. Out: JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runner.checksum import checksum
from runner.graph import order, parents
from runner.manifest_file import Description
from runner.render import Rendered
from runner.spec import Check, FilesInput, KafkaInput, Model, Project, Source, TableInput


class Entry(NamedTuple):
    """What the manifest says of a model's statement."""

    text: str
    fingerprint: str
    checksum: str


def entry(model: Model, rendered: Rendered) -> Entry:
    """The entry of a rendered model."""
    return Entry(rendered.text, rendered.fingerprint, checksum(model, rendered))


def describe(project: Project, entries: Mapping[str, Entry]) -> Description:
    """The whole document; ``entries`` holds every model, by id."""
    models = order(project)
    reads = {m.id: [_unique(p) for p in parents(project, m)] for m in models}
    external = {str(s.origin.table): s for m in models for s in m.sources
                if isinstance(s.origin, TableInput) and not project.producer(s.origin.table)}  # fmt: skip
    readers: dict[str, list[str]] = {_unique(m): [] for m in models}
    for model in models:
        for parent in reads[model.id]:
            readers[parent].append(_unique(model))
    parts = {
        "nodes": ((_unique(m), _node(m, entries[m.id], reads[m.id])) for m in models),
        "sources": (
            (f"source.{table}", {"unique_id": f"source.{table}", "resource_type": "source", "name": table})
            for table in sorted(external)
        ),
        "pipelines": (
            (p.name, {"description": p.description, "schedule": p.schedule or None, "path": p.place.file})
            for p in project.pipelines
        ),
        "parent_map": ((_unique(m), reads[m.id]) for m in models),
        "child_map": readers.items(),
    }
    return Description(project.profile.name, "".join(_pieces(parts)))


def _pieces(parts: Mapping[str, Iterable[tuple[str, object]]]) -> Iterator[str]:
    """The document, in pieces: of thousands of models it is too long to be copied again and again.

    Every entry has a line: changes show, and most of the work is done in C.
    """
    for name, entries in parts.items():
        yield f"{{\n {_json(name)}: " if name == next(iter(parts)) else f",\n {_json(name)}: "
        before = "{\n"
        for key, value in entries:
            yield f"{before}  {_json(key)}: {_json(value)}"
            before = ",\n"
        yield "\n }" if before == ",\n" else "{}"
    yield "\n}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _node(model: Model, entry: Entry, reads: list[str]) -> dict[str, Any]:
    target = model.target
    return {
        "unique_id": _unique(model),
        "resource_type": "model",
        "name": model.name,
        "pipeline": model.pipeline,
        "relation_name": str(target.table),
        "path": model.place.file,
        "original_file_path": model.sql,
        "description": model.description,
        "owner": model.owner or None,
        "tags": list(model.tags),
        "depends_on": {"nodes": reads},
        "sources": {s.name: _source(s) for s in model.sources},
        "config": {
            "materialized": "incremental",
            "incremental_strategy": "merge",
            "unique_key": list(target.key),
            "partition_by": list(target.partitions),
            "file_format": "iceberg",
            "format_version": target.format_version,
            "publish": target.publish,
            "on_change": model.on_change,
            "history": model.history,
        },
        "columns": {
            c.name: {"name": c.name, "data_type": c.type, "description": c.description}
            for c in target.columns
        },
        "checks": [_check(c) for c in model.all_checks],
        "compiled_code": entry.text,
        "fingerprint": entry.fingerprint,
        "checksum": {"name": "sha256", "checksum": entry.checksum},
    }


def _source(source: Source) -> dict[str, Any]:
    match source.origin:
        case TableInput(table):
            origin: dict[str, str] = {"table": str(table)}
        case FilesInput(path, format):
            origin = {"files": path, "format": format}
        case KafkaInput(topic):
            origin = {"kafka": topic}
    return {**origin, "read": source.read.value, "by": [dict(mapping) for mapping in source.by]}


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "kind": check.kind.value,
        "column": check.column,
        "severity": check.severity.value,
        "where": check.where or None,
        "scheduled": check.scheduled,
        "fail_above": str(check.fail_above),
        "declared_at": str(check.place),
    }


def _unique(model: Model) -> str:
    return f"model.{model.id}"
