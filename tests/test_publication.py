"""How a model is published: compare-and-set, quarantine, brake, and what a failure leaves behind.

The engine is a fake that answers what a test tells it; tables are snapshots on paper. Nothing here says
anything about rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.engine import Conflict
from runner.engine.fake import InTurn
from runner.errors import Interrupted
from runner.refs import TableRef
from tests.world import BROKEN, World

# --- what is left behind --------------------------------------------------------------------------


def staging(world: World, then: Callable[[], object]) -> Callable[..., object]:
    """Rows are written, and then something happens."""

    def stage(view: str, folder: str) -> object:
        Path(folder).mkdir(parents=True)
        (Path(folder) / "part-0.parquet").write_text("rows")
        return then()

    return stage


def failing() -> object:
    raise BROKEN


def test_a_failure_leaves_no_staged_rows(built: World) -> None:
    built.engine.answers["stage"] = staging(built, failing)
    assert built.run("items") == 1
    assert built.scratch() == []


def test_a_success_leaves_no_staged_rows(built: World) -> None:
    built.engine.answers["stage"] = staging(built, lambda: {"kept": 3})
    assert built.run("items") == 0
    assert built.scratch() == []


def test_the_first_rows_of_a_table_are_counted_while_they_are_written(world: World) -> None:
    assert world.run("items") == 0
    assert [call.method for call in world.engine.calls if call.method in ("insert", "read_staged")] == [
        "insert"
    ]
    assert world.journal["results"][0]["adapter_response"]["rows_read"] == 3


def test_columns_of_an_empty_table_wait_until_the_rows_have_passed(world: World) -> None:
    world.lake.create(TableRef.parse("shop.items"), {"id": "string"})
    assert world.run("items") == 0
    order = ("stage", "read_staged", "alter_table", "commit")
    assert [call.method for call in world.engine.calls if call.method in order] == list(order)


@pytest.mark.parametrize(
    ("wrong", "code"), [({"kept": 3, "duplicates": 2}, 3), (BROKEN, 1)], ids=["gate", "query"]
)
def test_first_rows_that_do_not_pass_leave_no_table(world: World, wrong: object, code: int) -> None:
    world.tell("stage", "shop.items", wrong)
    assert world.run("items") == code
    assert world.lake.catalog.table(TableRef.parse("shop.items")) is None


def test_a_failure_after_the_merge_leaves_no_branch(built: World) -> None:
    built.tell("fast_forward", "shop.items", BROKEN)
    before = built.heads()
    assert built.run("items") == 1
    assert built.branches("shop.items") == ["main"]
    assert built.heads() == before


def test_what_a_killed_attempt_left_is_removed_before_the_next(built: World) -> None:
    table = TableRef.parse("shop.items")
    head = built.lake.head("shop.items")
    built.lake.branch(table, "audit_killed", head)
    built.lake.branch(table, "development", head)
    left = built.lake.warehouse / "_scratch" / "shop.items" / "killed" / "part-0.parquet"
    left.parent.mkdir(parents=True)
    left.write_text("rows")
    seen: list[tuple[list[str], bool]] = []

    def stage(view: str, folder: str) -> dict[str, int]:
        seen.append((built.branches("shop.items"), left.exists()))
        return {"kept": 3}

    built.engine.answers["stage"] = stage

    assert built.run("items") == 0

    assert seen == [(["development", "main"], False)]
    assert built.branches("shop.items") == ["development", "main"]


def test_an_interruption_ends_the_run_and_leaves_neither_branch_nor_rows(built: World) -> None:
    before = built.heads()
    built.engine.answers["stage"] = staging(built, lambda: {"kept": 3})
    built.tell("commit", "shop.items", KeyboardInterrupt())
    with pytest.raises(Interrupted) as error:
        built.run()
    assert error.value.exit_code == 130
    assert built.heads() == before
    assert built.branches("shop.items") == ["main"]
    assert built.scratch() == []
    assert built.statuses == {"shop.items": "error"}
    assert "shop.items was interrupted" in built.journal["results"][0]["message"]
    assert built.engine.methods.count("stage") == 1, "nothing runs after it"


# --- publication ----------------------------------------------------------------------------------


def moved(world: World, table: TableRef, branch: str) -> bool:
    """Another writer published in between."""
    world.lake.commit(table, rows=100)
    return world.lake.fast_forward(table, branch)


def test_where_main_moved_the_work_is_planned_again_from_its_new_head(built: World) -> None:
    usual = built.engine.answers["fast_forward"]
    built.tell("fast_forward", "shop.items", InTurn(lambda **given: moved(built, **given), usual))
    assert built.run("items") == 0
    assert built.engine.methods.count("fast_forward") == 2, "a refusal for good is not repeated"
    assert built.engine.methods.count("stage") == 2
    first, second = (call["snapshot"] for call in built.engine.asked("create_branch"))
    assert first != second
    assert built.branches("shop.items") == ["main"]
    head = built.lake.state("shop.items").head()
    assert head is not None
    assert second == head.parent


def test_where_main_was_compacted_meanwhile_the_same_staged_rows_are_merged_again(built: World) -> None:
    compacted: list[int] = []

    def compact(table: TableRef, branch: str) -> bool:
        compacted.append(built.lake.commit(table, rows=100, operation="replace"))
        return built.lake.fast_forward(table, branch)

    usual = built.engine.answers["fast_forward"]
    built.tell("fast_forward", "shop.items", InTurn(lambda **given: compact(**given), usual))
    assert built.run("items") == 0
    assert built.engine.methods.count("stage") == 1
    assert [call["snapshot"] for call in built.engine.asked("create_branch")][1] == compacted[0]
    assert [e.kind for e in built.events if e.name == "shop.items"] == ["start", "ok"]
    head = built.lake.state("shop.items").head()
    assert head is not None
    assert head.parent == compacted[0]
    assert built.branches("shop.items") == ["main"]


def test_a_table_that_is_compacted_meanwhile_is_altered_once(built: World) -> None:
    table = TableRef.parse("shop.items")
    fields = built.lake.metadata[table]["schemas"][0]["fields"]
    amount = fields.pop()
    built.lake.write(table)

    def alter(**given: Any) -> None:
        fields.append(amount)
        built.lake.write(table)

    def compact(table: TableRef, branch: str) -> bool:
        built.lake.commit(table, rows=100, operation="replace")
        return built.lake.fast_forward(table, branch)

    usual = built.engine.answers["fast_forward"]
    built.tell("fast_forward", "shop.items", InTurn(lambda **given: compact(**given), usual))
    built.engine.answers["alter_table"] = alter
    assert built.run("items") == 0
    assert [call["add"] for call in built.engine.asked("alter_table")] == [{"amount": "bigint"}]
    assert len(built.engine.asked("create_branch")) == 2


def test_a_target_that_keeps_moving_is_busy_after_five_attempts(built: World) -> None:
    before = built.lake.head("shop.prices")
    built.tell("fast_forward", "shop.prices", lambda **given: moved(built, **given))
    assert built.run() == 75
    (result,) = [r for r in built.journal["results"] if r["status"] == "busy"]
    assert "main-keeps-moving" in result["message"]
    assert [e.kind for e in built.events if e.name == "shop.prices"] == ["start"] * 5 + ["busy"]
    assert built.ended["shop.totals"] == "skipped"
    state = built.lake.state("shop.prices")
    head = state.head()
    assert head is not None
    between = [s for s in state.ancestry(head.id) if "runner.run-id" in s.summary]
    assert between[0].id == before, "nothing of this run is in main"
    assert built.branches("shop.prices") == ["main"]


def test_where_only_the_metadata_moved_the_branch_is_published_without_staging_again(built: World) -> None:
    usual = built.engine.answers["fast_forward"]
    built.tell("fast_forward", "shop.items", InTurn(False, False, usual))
    assert built.run("items") == 0
    assert built.engine.methods.count("fast_forward") == 3
    assert built.engine.methods.count("stage") == 1


def test_a_conflict_of_the_merge_is_planned_again(built: World) -> None:
    built.tell("commit", "shop.items", InTurn(Conflict("another commit came first"), built.commit))
    assert built.run("items") == 0
    assert built.engine.methods.count("stage") == 2


def test_after_a_conflict_the_inputs_are_pinned_anew(built: World) -> None:
    assert built.run("items") == 0

    def conflict(**given: Any) -> None:
        built.lake.commit("shop.items", rows=100)
        raise Conflict("another commit came first")

    built.tell("commit", "shop.prices", InTurn(conflict, built.commit))
    assert built.run("prices") == 0
    first, second = (call["until"] for call in built.engine.asked("bind_diff"))
    assert first != second == built.lake.head("shop.items")


# --- quarantine and brake -------------------------------------------------------------------------


def test_the_quarantine_is_written_after_the_checks_and_before_publication(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 1, "check_0": 1})
    assert built.run("items", "stock") == 0
    statements = [call["sql"].splitlines()[0][:60] for call in built.engine.asked("commit")]
    assert [s.split(" AS ")[0].split("`")[5] for s in statements] == ["items", "stock", "stock__quarantine"]
    assert built.engine.methods[-6:-2] == ["commit", "fast_forward", "close", "drop_branch"]
    (result,) = [r for r in built.journal["results"] if r["relation_name"] == "shop.stock"]
    assert result["adapter_response"]["rows_quarantined"] == 1
    assert result["checks"][0]["status"] == "quarantined"


def test_a_gate_that_closes_leaves_the_quarantine_as_it_was(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 1, "check_0": 1, "duplicates": 2})
    assert built.run("items", "stock") == 3
    assert "shop.stock__quarantine" not in built.heads()


@pytest.mark.parametrize(
    ("deleted", "of", "closes"),
    [(1001, 10_000, True), (1001, 10_010, False), (1000, 1000, False), (5000, 5000, True)],
)
def test_the_brake_stops_a_run_that_would_delete_much_of_its_target(
    world: World, deleted: int, of: int, closes: bool
) -> None:
    world.rows = of
    world.run()
    world.new_items()
    world.deleted = deleted
    before = world.heads()
    code = world.run("items")
    assert code == (3 if closes else 0)
    if closes:
        assert world.heads() == before
        (fault,) = next(e.faults for e in world.events if e.kind == "gated")
        assert fault.code == "too-many-deletes"
        assert f"would delete {deleted:,} of {of:,} rows of shop.items" in fault.what
        assert "--allow-deletes" in fault.fix
        assert world.run("items", allow_deletes=True) == 0
