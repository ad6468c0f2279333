"""The JSON Schema of a pipeline's YAML, for editors: made of the same keys that the reader reads.

``python -m runner.load.schema`` writes it to ``pipelines/pipeline.schema.json`` of the current project.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.load import keys
from runner.load.values import Kind

FILE = Path("pipelines", "pipeline.schema.json")
_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
_VARIABLE = {"$ref": "#/$defs/variable"}
_SCALARS: Mapping[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": "string"},
    Kind.NAME: {"type": "string", "pattern": _NAME},
    Kind.TABLE: {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$"},
    Kind.FLAG: {"type": "boolean"},
    Kind.COUNT: {"type": "integer", "minimum": 0},
    Kind.DURATION: {"type": "string", "pattern": "^[0-9]{1,6}[smhd]$"},
    Kind.THRESHOLD: {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"}]
    },
    Kind.SIZE: {"type": "string", "pattern": "^[1-9][0-9]{0,5}(KB|MB|GB)$"},
    Kind.TYPE: {"type": "string"},
    Kind.VALUE: {"type": ["string", "number", "boolean"]},
    Kind.SETTING: {"type": ["string", "number", "boolean"]},
}


def pipeline_schema() -> dict[str, Any]:
    """The schema of ``pipelines/*.yml``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A pipeline of medallion-runner",
        "description": "Generated from runner/load/keys.py; do not edit.",
        **shape_schema(keys.PIPELINE),
        "$defs": {
            "variable": {
                "type": "string",
                "pattern": r"^\{\{\s*var\(.*\)\s*\}\}$",
                "description": "A variable of the pipeline or the profile.",
            },
            **{f"check_{name}": _key(key) for name, key in keys.CHECK_OPTIONS.items()},
        },
    }


def schema_text() -> str:
    """The schema as the committed file holds it."""
    return json.dumps(pipeline_schema(), indent=2, ensure_ascii=False) + "\n"


def shape_schema(shape: keys.Shape) -> dict[str, Any]:
    """The schema of one shape."""
    match shape:
        case keys.One():
            return _one(shape)
        case keys.Many():
            items: dict[str, Any] = {"type": "array", "items": shape_schema(shape.of)}
            if shape.least:
                items["minItems"] = shape.least
            return {"anyOf": [shape_schema(shape.of), items]} if shape.or_one else items
        case keys.Named():
            found: dict[str, Any] = {"type": "object", "additionalProperties": shape_schema(shape.of)}
            if shape.names is Kind.NAME:
                found["propertyNames"] = {"pattern": _NAME}
            if shape.least:
                found["minProperties"] = shape.least
            return found
        case keys.Object():
            found = _object(shape.keys)
            if shape.one_of:
                found["oneOf"] = [{"required": [name]} for name in shape.one_of]
            return found
        case keys.Checks():
            return {"type": "array", "items": _checks(of_column=shape.of_column)}
        case keys.Raw():
            return dict(shape.schema)
        case keys.Refused():
            return {"not": {}}
    return {}


def _one(shape: keys.One) -> dict[str, Any]:
    found = dict(_SCALARS[shape.kind])
    if shape.choices:
        found["enum"] = [int(c) for c in shape.choices] if shape.kind is Kind.COUNT else list(shape.choices)
    # A text may hold variables anywhere; other values may be one.
    return found if found == {"type": "string"} or shape.kind is Kind.TYPE else {"anyOf": [found, _VARIABLE]}


def _object(declared: Mapping[str, keys.Key]) -> dict[str, Any]:
    properties = {name: _key(key) for name, key in declared.items()}
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := [name for name, key in declared.items() if key.required]:
        found["required"] = required
    return found


def _key(key: keys.Key) -> dict[str, Any]:
    found = {"description": key.doc, **shape_schema(key.shape)}
    if key.default is not None:
        found["default"] = key.default
    return found


def _checks(*, of_column: bool) -> dict[str, Any]:
    forms = {n: f for n, f in keys.CHECK_FORMS.items() if (f.of_column if of_column else f.of_model)}
    alone = [
        name
        for name, form in forms.items()
        if not any(k.required for k in form.args.values()) and not _limits(form)
    ]
    return {"anyOf": [{"enum": alone}, *(_check(name, form) for name, form in forms.items())]}


def _limits(form: keys.CheckForm) -> bool:
    return any(name in form.args for name in ("min", "warn_after"))


def _check(name: str, form: keys.CheckForm) -> dict[str, Any]:
    options = {option: {"$ref": f"#/$defs/check_{option}"} for option in keys.CHECK_OPTIONS}
    inside: list[dict[str, Any]] = [_object(form.args)]
    inside[0]["properties"] |= options
    if form.short:
        inside[0].pop("required", None)
        inside.append(shape_schema(form.args[form.short].shape))
    if not any(key.required for key in form.args.values()):
        inside.append({"type": "null"})
    return {
        "type": "object",
        "properties": {name: {"description": form.doc, "anyOf": inside}, **options},
        "additionalProperties": False,
        "required": [name],
    }


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
