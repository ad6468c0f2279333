"""Run history: what a run appends to ``ops.runs`` and ``ops.checks``, and when.

The engine is a fake that answers what a test tells it; tables are snapshots on paper. Nothing here says
anything about rows.
"""

from __future__ import annotations

from typing import Any

import pytest

from runner import ledger
from runner.check.gate import CheckResult
from runner.errors import Interrupted, Place
from runner.lock import target_lock
from runner.record import NodeResult
from runner.refs import TableRef
from runner.run import describe
from runner.spec import Severity
from tests.world import BROKEN, TABLES, World


def pending(world: World) -> list[str]:
    """Runs whose journals wait for the next run with an engine."""
    return sorted(path.stem for path in (world.lake.warehouse / "_journal").iterdir())


def recorded(world: World) -> dict[str, list[tuple[str, str]]]:
    """What this run appended to a table of history: (run, model)."""
    return {
        str(call["table"]): [(row["run_id"], row["model"]) for row in call["rows"]]
        for call in world.engine.asked("append")
    }


def test_a_run_appends_its_models_and_checks_to_the_tables_of_history(world: World) -> None:
    world.run()
    run = world.journal["metadata"]["run_id"]
    found = recorded(world)
    assert found["ops.runs"] == [(run, f"shop.{m}") for m in ("items", "prices", "totals", "stock")]
    assert {model for _, model in found["ops.checks"]} == {m for _, m in found["ops.runs"]}
    assert [call["properties"] for call in world.engine.asked("append")] == [{"runner.runs": run}] * 2
    assert pending(world) == []


def test_a_run_without_an_engine_leaves_its_journal_to_the_next_that_has_one(world: World) -> None:
    world.run()
    world.run()
    first = world.journal["metadata"]["run_id"]
    world.run()
    second = world.journal["metadata"]["run_id"]
    assert world.started == 0
    assert pending(world) == sorted([first, second])
    world.new_items()
    world.run()
    third = world.journal["metadata"]["run_id"]
    runs = [run for run, _ in recorded(world)["ops.runs"]]
    assert {run: runs.count(run) for run in runs} == {first: 4, second: 4, third: 4}
    assert {run for run, _ in recorded(world)["ops.checks"]} == {third}, "nothing was checked before"
    assert pending(world) == []


@pytest.mark.parametrize("broken", [BROKEN, OSError("no space left"), KeyError("a bug")])
def test_where_history_cannot_be_written_the_run_is_what_it_was_and_says_so(
    built: World, broken: Exception
) -> None:
    built.tell("append", "ops.checks", broken)
    assert built.run() == 0
    run = built.journal["metadata"]["run_id"]
    (warned,) = [e for e in built.events if e.kind == "warn"]
    assert warned.name == "ops"
    assert "run history is not written, the next run tries again" in warned.detail
    assert pending(built) == [run]
    built.engine.answers["append"] = lambda table, rows, properties: built.lake.commit(table, properties)
    built.new_items()
    assert built.run() == 0
    second = built.journal["metadata"]["run_id"]
    assert {run for run, _ in recorded(built)["ops.runs"]} == {second}, "the first commit had succeeded"
    assert {run for run, _ in recorded(built)["ops.checks"]} == {run, second}
    assert pending(built) == []


def test_a_failed_run_is_part_of_history(built: World) -> None:
    built.tell("stage", "shop.prices", BROKEN)
    assert built.run() == 1
    rows = {row["model"]: row for row in built.engine.asked("append")[0]["rows"]}
    assert rows["shop.prices"]["status"] == "error"
    assert "the query fails" in rows["shop.prices"]["message"]
    assert rows["shop.totals"]["status"] == "skipped"


def test_checks_that_closed_a_gate_are_part_of_history(built: World) -> None:
    usual = built.commit

    def empty(**given: Any) -> None:
        built.rows = 0
        usual(**given)
        built.rows = 100

    built.tell("stage", "shop.stock", {"kept": 3, "check_0": 1, "check_1": 1})
    built.tell("commit", "shop.totals", empty)
    assert built.run() == 3
    ended: dict[str, list[tuple[str, str]]] = {}
    for row in built.engine.asked("append")[-1]["rows"]:
        ended.setdefault(row["model"], []).append((row["check_name"], row["status"]))
    # One closed on its staged rows, one on its branch: what passed before is told as well.
    assert "error" in [status for _, status in ended["shop.stock"]]
    assert ended["shop.totals"][-1] == ("not_empty", "error")
    assert [status for _, status in ended["shop.totals"][:-1]] == ["pass"] * (len(ended["shop.totals"]) - 1)
    assert len(ended["shop.totals"]) > 1


def test_history_that_another_run_is_writing_waits_without_a_word(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.ops._PATIENCE", 0.0)
    locks = built.lake.warehouse / "_locks"
    with target_lock(locks, TableRef.parse("ops.runs"), timeout=0, run_id="other"):
        assert built.run() == 0
    assert recorded(built) == {}
    assert [e for e in built.events if e.kind == "warn"] == []
    assert pending(built) == [built.journal["metadata"]["run_id"]]


def test_what_an_interrupted_run_did_comes_with_the_next(built: World) -> None:
    built.tell("commit", "shop.prices", KeyboardInterrupt())
    with pytest.raises(Interrupted):
        built.run()
    interrupted = built.journal["metadata"]["run_id"]
    assert pending(built) == [interrupted]
    built.engine.answers["commit"] = built.commit
    assert built.run() == 0
    rows = [row for row in built.engine.asked("append")[0]["rows"] if row["run_id"] == interrupted]
    assert [(r["model"], r["status"], r["run_complete"]) for r in rows] == [
        ("shop.items", "success", False),
        ("shop.prices", "error", False),
    ]


def test_a_journal_that_cannot_be_stored_does_not_stop_the_run(world: World) -> None:
    world.lake.warehouse.mkdir(parents=True, exist_ok=True)
    (world.lake.warehouse / "_journal").write_text("a file where a folder should be")
    assert world.run() == 0
    assert {e.name for e in world.events if e.kind == "warn"} == {"ops"}
    assert world.statuses == dict.fromkeys(TABLES, "success")


def test_one_row_warns_and_two_rows_warn() -> None:
    def line(failed: int) -> str:
        check = CheckResult("short", "warn", failed, 9, Severity.WARN, Place("p.yml"))
        counts = {"rows_inserted": 1, "rows_updated": 0, "rows_deleted": 0}
        return describe(NodeResult("a.b", "a.b", "success", 0.1, counts=counts, checks=[check]))

    assert line(1) == "+1 ~0 -0 | 1 check | short: 1 row warns"
    assert line(2) == "+1 ~0 -0 | 1 check | short: 2 rows warn"


def test_every_publication_keeps_what_built_the_table(world: World) -> None:
    assert world.run() == 0
    kept = {path.stem for path in (world.lake.warehouse / "_code").iterdir()}
    for table in TABLES:
        position = ledger.position(world.lake.state(table))
        assert position is not None
        assert position.fingerprint in kept
