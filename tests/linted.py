"""A model around one query, and the faults that lint finds in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runner.errors import Fault
from runner.lineage import check_sql
from runner.load import load_project
from runner.render import Rendered, render
from tests.projects import write

COLUMNS: Mapping[str, Mapping[str, str] | None] = {
    "s": {
        "id": "string", "k": "string", "n": "bigint", "x": "double", "d": "date", "list": "array<int>",
        "o": "struct<a:int,b:struct<c:string>>", "user": "string",
    },
    "r": {"k": "string", "region": "string"},
    "f": None,
}  # fmt: skip
SOURCES = {
    "s": "{{table: other.s, read: {read}{by}}}",
    "r": "{{table: other.r, read: all}}",
    "f": "{{files: {{path: x.json, format: json}}, read: all}}",
}


def rendered(
    root: Path, query: str, *, read: str = "all", columns: str = "id: {type: string}", more: str = ""
) -> tuple[Rendered, object]:
    by = ", by: {id: id}" if read == "affected" else ""
    used = {name: text for name, text in SOURCES.items() if f"source('{name}')" in query}
    sources = ", ".join(f"{name}: {text.format(read=read, by=by)}" for name, text in used.items())
    spec = (
        f"pipeline: p\nmodels:\n  - name: m\n    sql: m.sql\n    sources: {{{sources}}}\n{more}"
        f"    target: {{table: p.m, key: [id], columns: {{{columns}}}}}\n"
    )
    merge = (
        f"MERGE INTO {{{{ target }}}} AS t USING (\n{query}\n) AS s ON t.id = s.id\n"
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *\n"
    )
    write(root, {"pipelines/p.yml": spec, "m.sql": merge})
    project = load_project(root)
    return render(project.models[0], project), project.models[0]


def faults(root: Path, query: str, **options: str) -> list[Fault]:
    found, model = rendered(root, query, **options)
    known = {name: columns for name, columns in COLUMNS.items() if f"source('{name}')" in query}
    return check_sql(model, found, known).faults  # type: ignore[arg-type]


def codes(root: Path, query: str, **options: str) -> list[str]:
    return [fault.code for fault in faults(root, query, **options)]


S = "{{ source('s') }}"
R = "{{ source('r') }}"
