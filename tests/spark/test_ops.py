"""Run history: what ``ops.runs`` and ``ops.checks`` hold after runs, idle runs, faults and kills."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from runner.ops import TABLES
from runner.show import show
from tests.lab import ROOT, Lab, Row
from tests.projects import write

SPEC = """\
pipeline: shop
vars: {events: events}
models:
  - name: items
    sql: sql/items.sql
    sources: {csv: {files: {path: "{{ var('events') }}", format: csv}, read: all}}
    target:
      table: shop.items
      key: [id]
      columns:
        id: {type: string}
        amount: {type: bigint, checks: [{range: {min: 0}, name: positive}]}
  - name: totals
    sql: sql/totals.sql
    sources: {items: {table: shop.items, read: changes}}
    target:
      table: shop.totals
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
    checks: [{row_count: {min: 1}, name: not_empty}]
"""
MERGE = """\
MERGE INTO {{ target }} AS t
USING (SELECT id, CAST(amount AS BIGINT) AS amount FROM {{ source('%s') }}) AS s
ON t.id = s.id
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""
CHECKS = ("positive", "key_id_not_null", "not_empty", "key_id_not_null")
#: A stranger's text, as a check's message quotes it.
HOSTILE = "x'); DROP TABLE ops.runs; -- \\u0041 ${env:HOME} `😀"


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    root = write(
        tmp_path / "project",
        {
            "pipelines/shop.yml": SPEC,
            "profiles.yml": "default: local\ntargets: {local: {type: local}}\n",
            "sql/items.sql": MERGE % "csv",
            "sql/totals.sql": MERGE % "items",
        },
    )
    lab = Lab(spark, tmp_path / "lab", root=root)
    deliver(lab, "a", 1)
    return lab


def deliver(lab: Lab, id: str, amount: int) -> None:
    lab.drop(f"{len(list(lab.inbox.iterdir()))}.csv", ["id,amount", f'"{id}",{amount}'])


def run_id(lab: Lab) -> str:
    return str(lab.journal()["metadata"]["run_id"])


def history(lab: Lab) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """How often a run's model and a run's check stand in the tables."""
    runs = Counter((row["run_id"], row["model"]) for row in lab.rows("ops.runs", without=()))
    checks = Counter((row["run_id"], row["check_name"]) for row in lab.rows("ops.checks", without=()))
    return dict(runs), dict(checks)


def expected(
    *runs: str, checked: tuple[str, ...]
) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    models = {(run, model): 1 for run in runs for model in ("shop.items", "shop.totals")}
    return models, dict(Counter((run, check) for run in checked for check in CHECKS))


def test_idle_runs_are_carried_over_by_the_next_that_does_something(lab: Lab) -> None:
    assert lab.run() == 0
    first = run_id(lab)
    assert history(lab) == expected(first, checked=(first,))
    idle = []
    for _ in range(2):
        assert lab.run() == 0
        idle.append(run_id(lab))
    assert history(lab) == expected(first, checked=(first,)), "no engine, no commit"
    deliver(lab, "b", 2)
    assert lab.run() == 0
    last = run_id(lab)
    assert history(lab) == expected(first, *idle, last, checked=(first, last))
    by_run = {(row["run_id"], row["model"]): row for row in lab.rows("ops.runs", without=())}
    assert by_run[idle[0], "shop.items"]["status"] == "nothing"
    assert by_run[idle[0], "shop.items"]["rows_inserted"] is None
    assert by_run[last, "shop.totals"]["mode"] == "incremental"
    assert by_run[last, "shop.totals"]["rows_inserted"] == 1


def test_rows_say_what_the_journal_says(lab: Lab) -> None:
    assert lab.run() == 0
    journal = lab.journal()
    row = _row(lab, "ops.runs", "shop.totals")
    result = journal["results"][1]
    started = journal["metadata"]["started_at"]
    assert row == {
        "run_date": started[:10],
        "run_id": journal["metadata"]["run_id"],
        "started_at": started,
        "branch": "main",
        "run_complete": True,
        "target": "local",
        "code_version": journal["metadata"]["runner_version"],
        "model": "shop.totals",
        "table_name": "shop.totals",
        "status": "success",
        "mode": "rebuild",
        "reason": "first run",
        "execution_seconds": result["execution_time"],
        **result["adapter_response"],
        "snapshot_id": result["snapshot_id"],
        "message": None,
    }
    checks = {r["check_name"]: r for r in lab.rows("ops.checks", without=()) if r["model"] == "shop.items"}
    place = journal["results"][0]["checks"][0]["declared_at"]
    assert place.startswith("pipelines/shop.yml:")
    assert checks["positive"] == {
        "run_date": started[:10],
        "run_id": journal["metadata"]["run_id"],
        "started_at": started,
        "model": "shop.items",
        "table_name": "shop.items",
        "check_name": "positive",
        "column_name": "amount",
        "status": "pass",
        "severity": "error",
        "failures": 0,
        "rows_checked": 1,
        "declared_at": place,
    }


def _row(lab: Lab, table: str, model: str) -> Row:
    (row,) = [row for row in lab.rows(table, without=()) if row["model"] == model]
    return row


def test_a_message_that_quotes_strangers_is_text(lab: Lab) -> None:
    deliver(lab, HOSTILE.replace('"', '""'), -1)
    assert lab.run() == 3
    row = _row(lab, "ops.runs", "shop.items")
    assert row["status"] == "gated"
    assert "DROP TABLE ops.runs" in row["message"]
    assert row["message"] == lab.journal()["results"][0]["message"]
    assert _row(lab, "ops.runs", "shop.totals")["reason"] == "shop.items failed"


def test_history_is_a_table_like_any_other(lab: Lab) -> None:
    assert lab.run() == 0
    said: list[str] = []
    show(
        lab.project(),
        "ops.runs",
        limit=1,
        format="csv",
        at=None,
        write=said.append,
        start_engine=lab.engine,
    )
    assert said[0].startswith("run_date,run_id,started_at,")
    assert len(said) == 2
    for table in TABLES:
        state = lab.lake.catalog.table(table.ref)
        assert state is not None
        assert (state.format_version, state.partitions) == (3, ("run_date",))
        assert dict(state.columns) == {name: type_ for name, (type_, _) in table.columns.items()}
        files = lab.sql(f"SELECT file_path FROM {table.ref}.files")
        assert len(files) == 1, "one file a run"
        ids = [row["_row_id"] for row in lab.sql(f"SELECT _row_id FROM {table.ref}")]
        assert None not in ids
        assert len(ids) == len(set(ids)), "readable by changes"


@pytest.mark.parametrize("table", ["ops.runs", "ops.checks"])
def test_a_kill_after_either_commit_neither_loses_rows_nor_brings_them_twice(lab: Lab, table: str) -> None:
    assert lab.run() == 0
    first = run_id(lab)
    assert lab.run() == 0
    idle = run_id(lab)
    deliver(lab, "b", 2)
    died = subprocess.run(
        [
            sys.executable,
            "-m",
            "runner",
            "--lake",
            str(lab.lake_folder),
            "--vars",
            f"events: {lab.inbox}",
        ],
        cwd=lab.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RUNNER_CRASH_AT": f"after_ops_commit:{table}"},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    (killed,) = {path.stem for path in lab.lake.journals.iterdir()} - {idle}
    deliver(lab, "c", 3)
    assert lab.run() == 0
    last = run_id(lab)
    assert history(lab) == expected(first, idle, killed, last, checked=(first, killed, last))
    assert list(lab.lake.journals.iterdir()) == []


def test_the_questions_of_the_documentation_are_answered(lab: Lab) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    questions = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(questions) >= 5
    assert lab.run() == 0
    deliver(lab, "b", -1)
    assert lab.run() == 3
    for sql in questions:
        answer = lab.sql(sql.replace("silver.cleaned_events", "shop.items"))
        assert answer or "ops.checks" in sql, sql
