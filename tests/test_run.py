"""How a run is conducted: order, skips, exit codes, the journal.

The engine is a fake that answers what a test tells it; tables are snapshots on paper. Nothing here says
anything about rows.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.lock import target_lock
from runner.plan import Mode
from runner.refs import TableRef
from runner.run import RunOptions, run
from tests.world import BROKEN, TABLES, World

# --- order and what is new ------------------------------------------------------------------------


def test_models_run_in_the_order_of_their_inputs(world: World) -> None:
    assert world.run() == 0
    assert [(e.kind, e.index, e.total, e.name) for e in world.events] == [
        (kind, i, 4, name)
        for i, name in enumerate(("shop.items", "shop.prices", "shop.totals", "shop.stock"), 1)
        for kind in ("start", "ok")
    ]
    assert all(head is not None for head in world.heads().values())


def test_a_model_reads_what_an_earlier_one_of_the_same_run_published(built: World) -> None:
    before = built.heads()
    assert built.run() == 0
    after = built.heads()
    diffs = {str(call["table"]): (call["since"], call["until"]) for call in built.engine.asked("bind_diff")}
    assert diffs == {table: (before[table], after[table]) for table in ("shop.items", "shop.prices")}


def test_the_commit_says_what_was_consumed(built: World) -> None:
    built.run()
    head = built.lake.state("shop.prices").head()
    assert head is not None
    source = built.lake.state("shop.items").head()
    assert source is not None
    assert json.loads(head.summary["runner.inputs"]) == {
        "items": {"snapshot": source.id, "sequence": source.sequence}
    }
    assert head.summary["runner.run-id"] == built.journal["metadata"]["run_id"]
    assert head.summary["runner.model"] == "shop.prices"


def test_where_nothing_is_new_no_engine_is_started_and_no_snapshot_added(world: World) -> None:
    world.run()
    before = world.heads()
    assert world.run() == 0
    assert world.started == 0
    assert world.engine.calls == []
    assert world.heads() == before
    assert set(world.ended.values()) == {"nothing"}
    assert set(world.statuses.values()) == {"nothing"}


def test_the_engine_is_started_once_and_closed_after_every_model(world: World) -> None:
    world.run()
    assert world.started == 1
    assert world.engine.methods.count("close") == 4


def test_full_refresh_rebuilds_what_is_selected(world: World) -> None:
    world.run()
    assert world.run("prices", full_refresh=True) == 0
    (result,) = world.journal["results"]
    assert (result["mode"], result["reason"]) == (Mode.REBUILD.value, "--full-refresh")
    merge = world.engine.asked("commit")[0]["sql"]
    assert "WHEN NOT MATCHED BY SOURCE THEN DELETE" in merge


def test_readers_of_main_see_nothing_until_the_branch_is_published(built: World) -> None:
    built.run("items")
    methods = [
        m for m in built.engine.methods if m in ("create_branch", "commit", "fast_forward", "drop_branch")
    ]
    assert methods == ["create_branch", "commit", "fast_forward", "drop_branch"]
    (merge,) = built.engine.asked("commit")
    assert ".`branch_audit_" in merge["sql"]
    assert built.branches("shop.items") == ["main"]


# --- failures -------------------------------------------------------------------------------------


def test_a_failed_model_skips_its_descendants_and_siblings_go_on(built: World) -> None:
    before = built.heads()
    built.tell("stage", "shop.prices", BROKEN)
    assert built.run() == 1
    assert built.ended == {
        "shop.items": "ok",
        "shop.prices": "failed",
        "shop.totals": "skipped",
        "shop.stock": "ok",
    }
    assert built.statuses["shop.totals"] == "skipped"
    after = built.heads()
    assert [t for t in TABLES if before[t] != after[t]] == ["shop.items", "shop.stock"]
    (failed,) = [e for e in built.events if e.kind == "failed"]
    assert failed.faults == (BROKEN.fault,)
    assert failed.detail == "query-failed"


def test_a_rerun_goes_on_from_the_model_that_failed(built: World) -> None:
    usual = built.engine.answers["stage"]
    built.tell("stage", "shop.prices", BROKEN)
    built.run()
    built.engine.answers["stage"] = usual
    assert built.run() == 0
    assert built.ended == {
        "shop.items": "nothing",
        "shop.prices": "ok",
        "shop.totals": "ok",
        "shop.stock": "nothing",
    }


def test_fail_fast_skips_everything_that_comes_later(built: World) -> None:
    built.tell("stage", "shop.prices", BROKEN)
    assert built.run(fail_fast=True) == 1
    assert built.ended == {
        "shop.items": "ok",
        "shop.prices": "failed",
        "shop.totals": "skipped",
        "shop.stock": "skipped",
    }


def test_a_closed_gate_publishes_nothing_of_the_model_and_its_descendants(built: World) -> None:
    before = built.heads()
    built.tell("stage", "shop.prices", {"kept": 3, "check_0": 2})
    built.engine.answers["rows"] = [{"id": "a", "amount": -1}]
    assert built.run() == 3
    assert built.ended["shop.prices"] == "gated"
    assert built.ended["shop.totals"] == "skipped"
    assert built.statuses["shop.prices"] == "gated"
    assert [t for t in ("shop.prices", "shop.totals") if built.heads()[t] != before[t]] == []
    (gated,) = [r for r in built.journal["results"] if r["status"] == "gated"]
    assert "'positive'" in gated["message"]
    assert '{"id": "a", "amount": -1}' in gated["message"]
    assert "pipelines/shop.yml:" in gated["message"]


def test_a_gate_that_closes_on_the_branch_leaves_main_as_it_was(built: World) -> None:
    before = built.heads()
    usual = built.commit

    def empty(**given: Any) -> None:
        built.rows = 0
        usual(**given)
        built.rows = 100

    built.tell("commit", "shop.totals", empty)
    assert built.run() == 3
    assert built.ended["shop.totals"] == "gated"
    assert built.heads()["shop.totals"] == before["shop.totals"]
    assert built.branches("shop.totals") == ["main"]


@pytest.mark.parametrize(
    ("prices", "stock", "code"),
    [
        ({"kept": 3, "check_0": 1}, BROKEN, 1),
        (BROKEN, {"kept": 3, "duplicates": 2}, 1),
        ({"kept": 3, "check_0": 1}, {"kept": 3}, 3),
    ],
)
def test_the_worst_end_of_a_model_is_that_of_the_run(
    built: World, prices: object, stock: object, code: int
) -> None:
    built.tell("stage", "shop.prices", prices)
    built.tell("stage", "shop.stock", stock)
    assert built.run() == code


def test_an_input_that_is_not_built_ends_with_2_before_an_engine_starts(world: World) -> None:
    assert world.run("totals") == 2
    assert world.started == 0
    assert world.ended == {"shop.totals": "failed"}
    assert world.statuses == {"shop.totals": "error"}
    assert "input-not-built" in world.journal["results"][0]["message"]


def test_a_locked_target_is_busy_and_its_descendants_are_skipped(built: World) -> None:
    with target_lock(
        built.lake.warehouse / "_locks", TableRef.parse("shop.prices"), timeout=0, run_id="other"
    ):
        assert built.run() == 75
    assert built.ended == {
        "shop.items": "ok",
        "shop.prices": "busy",
        "shop.totals": "skipped",
        "shop.stock": "ok",
    }
    assert built.statuses["shop.prices"] == "busy"


def test_a_gate_comes_before_a_lock_in_the_exit_code(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "duplicates": 2})
    with target_lock(
        built.lake.warehouse / "_locks", TableRef.parse("shop.prices"), timeout=0, run_id="other"
    ):
        assert built.run() == 3


# --- the journal ----------------------------------------------------------------------------------


def test_the_journal_is_on_disk_after_every_model(world: World) -> None:
    seen: list[int] = []

    def stage(view: str, folder: str) -> dict[str, int]:
        path = world.folder / "target" / "run_results.json"
        seen.append(len(world.journal["results"]) if path.exists() else 0)
        return {"kept": 3}

    world.engine.answers["stage"] = stage
    world.run()
    assert seen == [0, 1, 2, 3]


def test_the_journal_has_the_shape_of_dbts_run_results(built: World) -> None:
    built.tell("stage", "shop.prices", {"kept": 3, "read": 5})
    built.run("items", "prices")
    document = built.journal
    assert list(document) == ["metadata", "results", "elapsed_time"]
    assert list(document["metadata"]) == [
        "runner_version",
        "run_id",
        "started_at",
        "target",
        "branch",
        "complete",
        "args",
        "selected",
    ]
    assert document["metadata"]["target"] == "local"
    result = document["results"][1]
    assert result["execution_time"] >= 0
    del result["execution_time"]
    assert result == {
        "unique_id": "model.shop.prices",
        "relation_name": "shop.prices",
        "status": "success",
        "mode": "incremental",
        "reason": "",
        "snapshot_id": built.lake.head("shop.prices"),
        "adapter_response": {
            "rows_inserted": 100,
            "rows_updated": 0,
            "rows_deleted": 0,
            "rows_read": 5,
            "rows_dropped": 0,
            "rows_quarantined": 0,
            "rows_late": 0,
            "files_scanned": 1,
            "files_total": 2,
        },
        "checks": [
            {
                "name": name,
                "column": column,
                "status": "pass",
                "failures": 0,
                "rows": 3,
                "severity": "error",
                "declared_at": place,
                "message": None,
                "examples": [],
            }
            for name, column, place in (
                ("positive", "amount", result["checks"][0]["declared_at"]),
                ("key_id_not_null", "id", result["checks"][1]["declared_at"]),
            )
        ],
        "message": None,
    }
    assert result["checks"][0]["declared_at"].startswith("pipelines/shop.yml:")


def test_a_run_of_no_model_is_done(world: World) -> None:
    assert (
        run(world.project, (), RunOptions(artifacts=world.folder), world.hear, start_engine=world.start) == 0
    )


def test_the_line_of_a_model_says_what_it_did(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 2, "check_0": 2})
    built.run("items", "stock")
    assert [e.detail for e in built.events] == [
        "rebuild | 'csv' changed",
        "+100 ~0 -0 | 1 check",
        "incremental: changes of shop.items, 0 rows in 0 of 0 files",
        "+100 ~0 -0 | 2 quarantined | 2 checks",
    ]


def test_an_engine_that_died_is_named_whatever_the_call_says(built: World) -> None:
    built.engine.answers["died"] = "it was killed by signal 9"
    built.tell("define", "shop.items", ConnectionRefusedError(111, "Connection refused"))
    built.engine.answers["stage"] = ConnectionRefusedError(111, "Connection refused")
    assert built.run() == 1
    (fault,) = next(e.faults for e in built.events if e.kind == "failed")
    assert (fault.code, fault.what) == (
        "engine-died",
        "Spark's JVM ended while shop.items ran: it was killed by signal 9",
    )
    assert built.statuses["shop.items"] == "error"
    assert built.statuses["shop.totals"] == "skipped"


def test_what_nobody_foresaw_is_still_raised(built: World) -> None:
    built.engine.answers["stage"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        built.run()


def test_a_run_tells_what_it_was_asked_for_before_its_first_model(built: World) -> None:
    built.engine.answers["stage"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        built.run(args={"vars": ["a: 1"]})
    about = built.journal["metadata"]
    assert about["args"] == {"vars": ["a: 1"]}
    assert list(about["selected"]) == ["shop.items", "shop.prices", "shop.totals", "shop.stock"]
    assert about["complete"] is False


def test_several_threads_end_as_one_does(world: World) -> None:
    world.tell("stage", "shop.prices", {"kept": 3, "fail_0": 1})
    assert world.run(threads=3) == 0
    assert set(world.statuses) == {"shop.items", "shop.prices", "shop.totals", "shop.stock"}


def test_what_a_model_is_at_is_told_as_it_happens(world: World) -> None:
    for writing in ("writing", "merging 3 rows"):
        world.new_items()
        assert world.run("items") == 0
        assert [stage for name, stage in world.stages if name == "shop.items"] == [
            "waiting for Spark",
            "staging",
            writing,
            "checking",
            "publishing",
        ]
