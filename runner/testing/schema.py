"""The JSON Schema of a test file, for editors: made of the same keys that the reader reads.

``python -m runner.testing.schema`` writes it to ``tests/models/test.schema.json`` of the current project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.load.schema import shape_schema
from runner.testing import keys

FILE = Path("tests", "models", "test.schema.json")


def file_schema() -> dict[str, Any]:
    """The schema of ``tests/models/**/*.yml``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tests of a model of medallion-runner",
        "description": "Generated from runner/testing/keys.py; do not edit.",
        **_without_variables(shape_schema(keys.FILE)),
    }


def schema_text() -> str:
    """The schema as the committed file holds it."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"


def _without_variables(schema: Any) -> Any:
    """A test says its values itself: none of them is filled in from a variable."""
    if isinstance(schema, list):
        return [_without_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    match schema.get("anyOf"):
        case [dict(only), {"$ref": "#/$defs/variable"}]:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return _without_variables({**rest, **only})
    return {key: _without_variables(value) for key, value in schema.items()}


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(schema_text(), encoding="utf-8")
