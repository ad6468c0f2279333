"""Small projects for tests: files in a folder, and the nouns they were made from."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from runner.errors import Place
from runner.spec import (
    Check,
    CheckKind,
    FilesInput,
    KafkaInput,
    Model,
    Pipeline,
    Source,
    TableInput,
    Threshold,
)

MERGE = """MERGE INTO {{{{ target }}}} AS t
USING (
{query}
) AS s
ON t.id = s.id
WHEN MATCHED AND {{{{ changed('t', 's') }}}} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def write(root: Path, files: Mapping[str, str]) -> Path:
    """The files below ``root``; ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def dump(pipeline: Pipeline) -> str:
    """A pipeline as the YAML that a person would write for it."""
    document = {
        "pipeline": pipeline.name,
        "description": pipeline.description,
        "schedule": pipeline.schedule,
        "vars": dict(pipeline.vars),
        "models": [_model(model) for model in pipeline.models],
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def bare(value: Any) -> Any:
    """A noun as plain data without its places, to be compared."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: bare(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not isinstance(getattr(value, field.name), Place) and not field.name.endswith("places")
        }
    if isinstance(value, Mapping):
        return {key: bare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bare(item) for item in value]
    return value


def _model(model: Model) -> dict[str, Any]:
    target = model.target
    found: dict[str, Any] = {
        "name": model.name,
        "description": model.description,
        "sql": model.sql,
        "tags": list(model.tags),
        "owner": model.owner,
        "history": model.history,
        "sources": {source.name: _source(source) for source in model.sources},
        "target": {
            "table": str(target.table),
            "key": list(target.key),
            "partitions": list(target.partitions),
            "partitions_fixed": target.partitions_fixed,
            "format_version": target.format_version,
            "publish": target.publish,
            "max_deleted": _threshold(target.max_deleted),
            "columns": {
                c.name: {
                    "type": c.type,
                    "description": c.description,
                    "checks": [_check(k) for k in c.checks],
                }
                for c in target.columns
            },
            "maintenance": _maintenance(target.maintenance),
        },
        "checks": [_check(check) for check in model.checks],
    }
    if model.replayable:
        found["on_change"] = model.on_change
    if target.retention:
        found["target"]["retention"] = {
            "column": target.retention.column,
            "keep": _duration(target.retention.keep),
        }
    if model.drop:
        found["drop"] = {"name": model.drop.name, "when": model.drop.when}
    if model.dedupe:
        found["dedupe"] = {"order": list(model.dedupe.order)}
    if model.late:
        found["late"] = {"column": model.late.column, "after": _duration(model.late.after)}
        if model.late.received:
            found["late"]["received"] = model.late.received
    return found


def _source(source: Source) -> dict[str, Any]:
    match source.origin:
        case TableInput(table):
            found: dict[str, Any] = {"table": str(table)}
        case FilesInput(path, format):
            found = {"files": {"path": path, "format": format}}
        case KafkaInput(topic):
            found = {"kafka": {"topic": topic}}
    found["read"] = source.read.value
    if source.by:
        found["by"] = [dict(mapping) for mapping in source.by]
    return found


def _check(check: Check) -> dict[str, Any]:
    inside = dict(check.args)
    if check.kind is CheckKind.UNIQUE and (check.column or not inside["columns"]):
        inside.pop("columns")
    return {
        check.kind.value: inside,
        "name": check.name,
        "severity": check.severity.value,
        "fail_above": _threshold(check.fail_above),
        "description": check.description,
        **({"scheduled": True} if check.scheduled else {}),
    }


def _threshold(threshold: Threshold) -> int | str:
    return f"{threshold.percent}%" if threshold.percent is not None else threshold.count or 0


def _duration(duration: dt.timedelta) -> str:
    return f"{int(duration.total_seconds())}s"


def _maintenance(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _maintenance(item) for key, item in value.items()}
    return _duration(value) if isinstance(value, dt.timedelta) else value
