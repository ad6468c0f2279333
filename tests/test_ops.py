"""Run history: each run's rows come into each table once, whatever dies in between.

The engine is a fake whose appends become commits of a lake on paper; the rows' values on Spark are in
tests/spark/test_ops.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner import ops
from runner.engine.fake import FakeEngine
from runner.lake import Lake
from runner.ops import History
from runner.pending import PendingJournal, ended
from tests.paper import PaperLake


def document(run: str, *models: str, checks: int = 1) -> dict[str, Any]:
    """A journal as ``runner.record`` writes it."""
    return {
        "metadata": {
            "runner_version": "1.2.3",
            "run_id": run,
            "started_at": "2024-05-06T07:08:09.123Z",
            "target": "local",
            "complete": True,
        },
        "results": [
            {
                "unique_id": f"model.{model}",
                "relation_name": model,
                "status": "success",
                "execution_time": 1,
                "mode": "",
                "reason": "",
                "snapshot_id": 7,
                "adapter_response": {"rows_inserted": 3},
                "checks": [
                    {
                        "name": f"check_{n}",
                        "column": None,
                        "status": "pass",
                        "failures": 0,
                        "rows": 3,
                        "severity": "error",
                        "declared_at": "p.yml:1:2",
                    }
                    for n in range(checks)
                ],
                "message": None,
            }
            for model in models or ("a.b",)
        ],
        "elapsed_time": 1,
    }


class Died(BaseException):
    """The process is gone: nothing of it may be caught and mended."""


class Ops:
    """A lake's history on paper. ``rows`` are those that its commits brought, by table."""

    def __init__(self, warehouse: Path) -> None:
        self.paper = PaperLake(warehouse)
        self.lake = Lake(warehouse, self.paper.catalog)
        self.rows: dict[str, list[str]] = {"ops.runs": [], "ops.checks": []}
        self.warnings: list[str] = []
        self.die_after = ""
        self.engine = FakeEngine(
            {
                "create_table": lambda table, columns, partitions, **given: self.paper.create(
                    table, columns, partitions=partitions
                ),
                "append": self.append,
            }
        )

    def append(self, table: Any, rows: list[Mapping[str, Any]], properties: Mapping[str, str]) -> None:
        self.rows[str(table)] += [row["run_id"] for row in rows]
        self.paper.commit(table, properties, rows=len(rows))
        if str(table) == self.die_after:
            raise Died

    def end(self, run: str, *models: str, write: bool = True, **given: Any) -> None:
        """A run that ends, with an engine (``write``) or without."""
        with History(self.lake, run, self.warnings.append) as history:
            history.keep(document(run, *models, **given))
            if write:
                history.write(self.engine)

    @property
    def pending(self) -> list[str]:
        return sorted(path.name for path in self.lake.journals.iterdir())


@pytest.fixture
def history(tmp_path: Path) -> Ops:
    return Ops(tmp_path / "lake")


def test_runs_without_an_engine_are_carried_over_in_one_commit_a_table(history: Ops) -> None:
    history.end("r1", write=False)
    history.end("r2", write=False, checks=0)
    assert history.engine.calls == []
    history.end("r3", "a.b", "a.c")
    assert history.rows == {"ops.runs": ["r1", "r2", "r3", "r3"], "ops.checks": ["r1", "r3", "r3"]}
    assert [call["properties"] for call in history.engine.asked("append")] == [
        {"runner.runs": "r1 r2 r3"},
        {"runner.runs": "r1 r3"},
    ]
    assert history.pending == []


@pytest.mark.parametrize("table", ["ops.runs", "ops.checks"])
def test_a_death_after_a_commit_neither_loses_rows_nor_brings_them_twice(history: Ops, table: str) -> None:
    history.end("r1", write=False)
    history.die_after = table
    with pytest.raises(Died):
        history.end("r2")
    assert history.pending == ["r1.json", "r2.json"]
    history.die_after = ""
    history.end("r3")
    once = ["r1", "r2", "r3"]
    assert history.rows == {"ops.runs": once, "ops.checks": once}
    assert history.pending == []


def test_a_journal_that_comes_back_after_its_commit_is_only_removed(history: Ops) -> None:
    history.end("r1")
    history.end("r2")
    history.end("r1", write=False)  # as a restored backup of the folder would bring it
    history.end("r3")
    assert history.rows["ops.runs"] == ["r1", "r2", "r3"]


def test_a_column_that_an_older_runner_did_not_have_is_added(
    history: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.end("r1")
    (runs, checks) = ops.TABLES
    newer = ops.OpsTable(runs.ref, {**runs.columns, "memory": ("bigint", "")}, runs.rows)
    monkeypatch.setattr(ops, "TABLES", (newer, checks))
    history.end("r2")
    (altered,) = history.engine.asked("alter_table")
    assert (str(altered["table"]), altered["add"]) == ("ops.runs", {"memory": "bigint"})


def test_what_a_newer_runner_says_more_in_its_journal_is_left_out(history: Ops) -> None:
    newer = document("r1")
    newer["results"][0]["adapter_response"]["rows_guessed"] = 5
    with PendingJournal(history.lake.journals, "r1") as journal:
        journal.store(newer)
    history.end("r2")
    appended = history.engine.asked("append")[0]["rows"]
    assert [set(row) - set(ops.TABLES[0].columns) for row in appended] == [set(), set()]


@pytest.mark.parametrize("text", ["", '{"metadata": {', "[]", "null", '{"metadata": {}, "results": []}'])
def test_a_file_that_is_no_journal_is_named_and_stops_nobody(history: Ops, text: str) -> None:
    history.lake.journals.mkdir(parents=True)
    (history.lake.journals / "strange.json").write_text(text)
    history.end("r1")
    assert history.rows["ops.runs"] == ["r1"]
    assert history.pending == ["strange.json"]
    (warning,) = history.warnings
    assert "strange.json is not a journal and is passed over" in warning


WRITER = """
import sys
from pathlib import Path
from runner.pending import PendingJournal
journal = PendingJournal(Path(sys.argv[1]), sys.argv[2])
for line in sys.stdin:
    journal.store(__import__("json").loads(line))
    print("stored", flush=True)
"""


def test_the_journal_of_a_living_run_is_left_to_it_and_that_of_a_killed_one_is_taken(history: Ops) -> None:
    command = [sys.executable, "-c", WRITER, str(history.lake.journals), "living"]
    living = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert living.stdin is not None
        assert living.stdout is not None
        for models in (("a.b",), ("a.b", "a.c")):
            # After the second state, the file is another one than that which was locked first.
            print(json.dumps(document("living", *models)), file=living.stdin, flush=True)
            assert living.stdout.readline() == "stored\n"
            history.end(f"after-{len(models)}")
        assert history.rows["ops.runs"] == ["after-1", "after-2"]
        assert history.pending == ["living.json"]
        os.kill(living.pid, signal.SIGKILL)
    finally:
        living.kill()
        living.communicate()
    history.end("last")
    assert history.rows["ops.runs"] == ["after-1", "after-2", "last", "living", "living"]
    assert history.pending == []


def test_a_state_that_replaces_one_while_it_is_looked_at_is_still_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = PendingJournal(tmp_path, "r1")
    journal.store(document("r1"))
    opened = os.open

    def open_then_replace(path: Any, *given: Any) -> int:
        found = opened(path, *given)
        monkeypatch.setattr(os, "open", opened)
        journal.store(document("r1", "a.b", "a.c"))  # the lock of what was opened is free now
        return found

    monkeypatch.setattr(os, "open", open_then_replace)
    assert ended(tmp_path).documents == {}
    journal.release()
    assert len(ended(tmp_path).documents) == 1


def test_what_a_kill_in_the_middle_of_storing_left_goes_with_the_journal(history: Ops) -> None:
    history.end("r1", write=False)
    (history.lake.journals / ".r1.json").write_text('{"meta')
    history.end("r2")
    assert history.pending == []
    assert history.warnings == []
