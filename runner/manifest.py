"""``target/manifest.json``: the project as one document, in dbt's shape where it fits.

In: a project and the statements of all of its models. Out: plain values.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner import __version__
from runner.checksum import checksum
from runner.files import write_atomically
from runner.graph import order, parents
from runner.render import Rendered
from runner.spec import Check, FilesInput, KafkaInput, Model, Project, Source, TableInput

FILE = "manifest.json"


def manifest(project: Project, rendered: Mapping[str, Rendered], *, now: dt.datetime) -> dict[str, Any]:
    """The whole document; ``rendered`` holds every model."""
    models = order(project)
    reads = {m.id: [_unique(p) for p in parents(project, m)] for m in models}
    external = {str(s.origin.table): s for m in models for s in m.sources
                if isinstance(s.origin, TableInput) and not project.producer(s.origin.table)}  # fmt: skip
    readers: dict[str, list[str]] = {_unique(m): [] for m in models}
    for model in models:
        for parent in reads[model.id]:
            readers[parent].append(_unique(model))
    return {
        "metadata": {
            "runner_version": __version__,
            "generated_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "target": project.profile.name,
        },
        "nodes": {_unique(m): _node(m, rendered[m.id], reads[m.id]) for m in models},
        "sources": {
            f"source.{table}": {"unique_id": f"source.{table}", "resource_type": "source", "name": table}
            for table in sorted(external)
        },
        "pipelines": {
            p.name: {"description": p.description, "schedule": p.schedule or None, "path": p.place.file}
            for p in project.pipelines
        },
        "parent_map": {_unique(m): reads[m.id] for m in models},
        "child_map": readers,
    }


def write_manifest(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write the document whole into ``folder``; its path."""
    path = folder / FILE
    write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n")
    return path


def _node(model: Model, rendered: Rendered, reads: list[str]) -> dict[str, Any]:
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
        "compiled_code": rendered.text,
        "fingerprint": rendered.fingerprint,
        "checksum": {"name": "sha256", "checksum": checksum(model, rendered)},
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
