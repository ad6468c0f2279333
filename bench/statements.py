"""The shipped project's SQL for the hand-written script: the same queries, rendered by the project itself.

Out: a JSON file with, for each table, its CREATE TABLE, its query and its clauses.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.harness import ROOT
from runner.graph import order
from runner.lineage import compile_project
from runner.load import load_project
from runner.merge import Statement, changed_sql
from runner.refs import quote
from runner.spec import CheckKind, Model, Severity


def write(path: Path) -> Path:
    """Write the statements of all models to ``path``."""
    project = load_project(ROOT, overrides={"events": "unused"})
    models = order(project)
    rendered = compile_project(project, models)
    found = {}
    for model in models:
        statement = rendered[model.id].statement
        found[str(model.target.table)] = {
            "create": _create(model),
            "query": statement.using.text,
            "on": statement.on.text,
            "clauses": _clauses(model, statement),
            "filter": _filter(model),
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def _create(model: Model) -> str:
    columns = ", ".join(f"{quote(c.name)} {c.type}" for c in model.target.columns)
    parts = ", ".join(map(quote, model.target.partitions))
    return (
        f"CREATE TABLE IF NOT EXISTS {model.target.table} ({columns}) USING iceberg PARTITIONED BY ({parts})"
        " TBLPROPERTIES ('format-version' = '3', 'write.merge.mode' = 'merge-on-read',"
        " 'write.update.mode' = 'merge-on-read', 'write.delete.mode' = 'merge-on-read',"
        " 'write.spark.fanout.enabled' = 'false')"
    )


def _clauses(model: Model, statement: Statement) -> str:
    changed = changed_sql(
        model.target.column_names, model.target.key, statement.target_alias, statement.source_alias
    )
    update = "" if statement.inserts_only else f"WHEN MATCHED AND {changed} THEN UPDATE SET * "
    return f"{update}WHEN NOT MATCHED THEN INSERT *"


def _filter(model: Model) -> str:
    """What a script without a quarantine has to leave out, so that its table holds the same rows."""
    tests = [f"NOT coalesce({model.drop.when}, false)"] if model.drop else []
    tests += [
        f"coalesce({check.args['sql']}, true)"
        for check in model.row_checks
        if check.severity is Severity.QUARANTINE and check.kind is CheckKind.EXPRESSION
    ]
    return " AND ".join(f"({test})" for test in tests) or "true"
