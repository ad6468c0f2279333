"""The publication of a development branch: what moves in which order, and what stands in its way.

Tables are snapshots on paper, and the engine is a fake that moves them as Iceberg would.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runner import ledger
from runner.branch import branches, find
from runner.catalog import MAIN
from runner.errors import Busy, ProjectError
from runner.lake import Lake
from runner.lock import target_lock
from runner.outlook import look
from runner.promote import Wishes, publish_branch
from runner.refs import TableRef
from runner.run import Event
from tests.world import TABLES, World

ORDER = ["shop.items", "shop.prices", "shop.totals", "shop.stock"]


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch, compiled: Any) -> None:
    monkeypatch.setattr("runner.outlook.compile_project", lambda project, models: compiled)


def publish(world: World, name: str = "dev", **wishes: Any) -> tuple[int, list[str]]:
    moved: list[str] = []
    world.events.clear()
    world.engine.calls.clear()
    code = publish_branch(
        world.project,
        name,
        Wishes("r9", world.folder / "target", **wishes),
        engine=world.start,
        on_event=world.hear,
        tell=lambda line: moved.append(str(line.table)),
    )
    return code, moved


def refused(world: World) -> list[str]:
    """The codes of what stands in the way; nothing moved."""
    before = world.heads()
    with pytest.raises(ProjectError) as error:
        publish(world)
    assert world.heads() == before
    assert world.engine.calls == []
    return [fault.code for fault in error.value.faults]


def heads(world: World, branch: str) -> dict[str, int | None]:
    return {table: world.lake.head(table, branch) for table in TABLES}


def test_main_follows_the_branch_in_order_of_the_dag_and_the_branch_is_dropped(dev: World) -> None:
    after = heads(dev, "dev")
    assert publish(dev) == (0, ORDER)
    assert dev.heads() == after
    assert branches(dev.lake.catalog) == ()
    assert dev.run() == 0
    assert (dev.started, set(dev.ended.values())) == (0, {"nothing"})


def test_nothing_is_written_again_where_main_did_not_move(dev: World) -> None:
    publish(dev)
    assert set(dev.engine.methods) == {"fast_forward", "drop_branch"}


def test_a_dry_look_starts_no_engine(dev: World) -> None:
    found = look(dev.project, dev.lake.catalog, "dev")
    assert [str(line.table) for line in found.moving] == ORDER
    assert (found.again, found.faults, dev.started) == ((), (), 0)


def test_a_new_table_comes_to_main(world: World) -> None:
    world.run(branch="dev")
    after = heads(world, "dev")
    assert publish(world)[0] == 0
    assert world.heads() == after


def test_the_quarantine_moves_before_its_target(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 1, "check_0": 1})
    built.run("items", "stock", branch="dev")
    assert publish(built)[1] == ["shop.items", "shop.stock__quarantine", "shop.stock"]
    assert built.branches("shop.stock__quarantine") == ["main"]


def test_an_unknown_branch(dev: World) -> None:
    with pytest.raises(ProjectError, match="did you mean 'dev'"):
        publish(dev, "deb")


def test_a_target_that_is_being_written_ends_it_before_anything_moved(dev: World) -> None:
    before = dev.heads()
    locks = Lake(dev.lake.warehouse, dev.lake.catalog).locks
    with (
        target_lock(locks, TableRef.parse("shop.totals"), timeout=0, run_id="writer"),
        pytest.raises(Busy, match="writer"),
    ):
        publish(dev)
    assert dev.heads() == before


# --- what stands in the way ------------------------------------------------------------------------


def test_an_input_that_was_abandoned_on_the_branch(dev: World) -> None:
    """items was taken back on the branch: prices and stock were made from what will not be on main."""
    items = TableRef.parse("shop.items")
    dev.lake._point(items, "dev", dev.lake.head("shop.items"))  # type: ignore[arg-type]
    assert refused(dev) == ["input-not-on-main", "input-not-on-main"]


def test_an_input_of_another_branch_that_nobody_publishes(dev: World) -> None:
    dev.lake.drop_branch(TableRef.parse("shop.items"), "dev")
    assert refused(dev) == ["input-not-on-main", "input-not-on-main"]
    assert dev.run("prices", "stock", branch="dev") == 0
    assert dev.run("totals", branch="dev") == 0
    assert publish(dev) == (0, ORDER[1:])


def test_an_input_that_main_rolled_back(built: World) -> None:
    first = built.lake.head("shop.items")
    assert built.run("items") == 0
    assert built.run("prices", branch="dev") == 0
    assert first is not None
    built.lake.rollback("shop.items", first)
    assert refused(built) == ["input-not-on-main"]


def test_an_older_state_of_an_input_that_is_published_with_it_is_fine(dev: World) -> None:
    dev.new_items()
    assert dev.run("items", branch="dev") == 0
    assert publish(dev)[0] == 0
    assert dev.run() == 0
    assert dev.ended["shop.prices"] == "ok", "and the next run takes the rest in"


def test_other_code_than_that_which_built_the_branch(
    dev: World, monkeypatch: pytest.MonkeyPatch, compiled: Any
) -> None:
    changed = {**compiled, "shop.prices": replace(compiled["shop.prices"], fingerprint="other")}
    monkeypatch.setattr("runner.outlook.compile_project", lambda project, models: changed)
    assert refused(dev) == ["other-code"]


def test_older_code_does_not_come_over_newer_by_way_of_a_branch(dev: World) -> None:
    """main was built by this code, and then by other code, which this branch would undo."""
    table = TableRef.parse("shop.totals")
    summary = {**dev.lake.state("shop.totals").head().summary, ledger.FINGERPRINT: "newer"}  # type: ignore[union-attr]
    dev.lake.commit(table, summary, rows=100)
    assert refused(dev) == ["newer-code"]


def test_a_table_whose_model_is_gone(dev: World) -> None:
    pipelines = tuple(
        replace(p, models=tuple(m for m in p.models if m.name != "stock")) for p in dev.project.pipelines
    )
    dev.project = replace(dev.project, pipelines=pipelines)
    assert refused(dev) == ["no-model"]


# --- main moved ------------------------------------------------------------------------------------


def test_where_main_moved_its_models_and_their_readers_run_again_from_its_head(dev: World) -> None:
    main = dev.lake.commit("shop.prices", rows=100)
    found = look(dev.project, dev.lake.catalog, "dev")
    assert [m.id for m in found.again] == ["shop.prices", "shop.totals"]
    assert {str(t) for t in found.afresh} == {"shop.prices"}
    code, moved = publish(dev)
    assert (code, moved) == (0, ORDER)
    assert {e.name: e.kind for e in dev.events} == {"shop.prices": "ok", "shop.totals": "ok"}
    prices = dev.lake.state("shop.prices")
    head = prices.head()
    assert head is not None
    assert (head.parent, ledger.parse(head).inputs["items"].snapshot) == (main, dev.lake.head("shop.items"))
    assert dev.engine.asked("create_branch")[0]["snapshot"] == main
    assert [(str(c["table"]), c["branch"]) for c in dev.engine.asked("replace_branch")] == [
        ("shop.prices", "dev")
    ]
    assert branches(dev.lake.catalog) == ()
    assert dev.run() == 0
    assert dev.started == 0


def test_a_compaction_of_main_counts_as_moved(dev: World) -> None:
    dev.lake.commit("shop.totals", operation="replace", rows=100)
    assert [m.id for m in look(dev.project, dev.lake.catalog, "dev").again] == ["shop.totals"]
    assert publish(dev)[0] == 0


def test_a_rollback_of_main_is_not_undone_by_a_publication(built: World) -> None:
    first = built.lake.head("shop.totals")
    assert built.run() == 0
    second = built.lake.head("shop.totals")
    built.new_items()
    assert built.run(branch="dev") == 0
    assert first is not None
    built.lake.rollback("shop.totals", first)
    assert built.lake.state("shop.totals").head("dev").parent == second  # type: ignore[union-attr]
    assert publish(built)[0] == 0
    line = [s.id for s in built.lake.state("shop.totals").ancestry(built.lake.head("shop.totals"))]
    assert line[1] == first, "what was rolled back stays so"


def test_what_main_has_already_is_dropped_from_the_branch(dev: World) -> None:
    """main ran the same code over the same items meanwhile: nothing is left to publish."""
    assert dev.run() == 0
    after = dev.heads()
    assert publish(dev) == (0, [])
    assert set(dev.ended.values()) == {"nothing"}
    assert dev.heads() == after
    assert branches(dev.lake.catalog) == ()


def test_what_a_run_wrote_to_the_branch_meanwhile_is_not_dropped(dev: World) -> None:
    """Main has it all, as it seems; before the branch is dropped, somebody writes it once more."""
    assert dev.run() == 0
    hear, wrote = dev.hear, []

    def write_meanwhile(event: Event) -> None:
        hear(event)
        if event.name == "shop.stock" and not wrote:
            wrote.append(dev.lake.commit("shop.items", branch="dev", rows=100))

    dev.hear = write_meanwhile  # type: ignore[method-assign]
    with pytest.raises(ProjectError) as error:
        publish(dev)
    assert [fault.code for fault in error.value.faults] == ["foreign-commits"]
    assert dev.lake.head("shop.items", "dev") == wrote[0]


def test_a_model_that_fails_when_it_runs_again_keeps_all_where_it_is(dev: World) -> None:
    dev.lake.commit("shop.prices", rows=100)
    before = dev.heads()
    dev.tell("stage", "shop.prices", {"kept": 3, "duplicates": 1})
    code, moved = publish(dev)
    assert (code, moved) == (3, [])
    assert dev.heads() == before
    assert find(dev.lake.catalog, "dev").name == "dev"


def test_commits_of_others_on_the_branch_are_not_lost_without_a_word(dev: World) -> None:
    dev.lake.commit("shop.prices", branch="dev", operation="overwrite")
    assert look(dev.project, dev.lake.catalog, "dev").faults == (), (
        "as long as main stays, they are published"
    )
    dev.lake.commit("shop.prices", rows=100)
    assert refused(dev) == ["foreign-commits"]


def test_a_writer_without_the_lock_in_the_middle_makes_it_look_again(dev: World) -> None:
    usual: Any = dev.engine.answers["fast_forward"]
    struck: list[int] = []

    def fast_forward(table: TableRef, branch: str, onto: str = MAIN) -> bool:
        if str(table) == "shop.prices" and branch == "dev" and not struck:
            struck.append(dev.lake.commit(table, rows=100))
        return bool(usual(table, branch, onto))

    dev.engine.answers["fast_forward"] = fast_forward
    code, moved = publish(dev)
    assert (code, moved) == (0, ORDER)
    assert dev.lake.state("shop.prices").head().parent == struck[0]  # type: ignore[union-attr]


def test_a_commit_of_metadata_alone_is_no_reason_to_run_again(dev: World) -> None:
    usual: Any = dev.engine.answers["fast_forward"]
    refusals = [False, False]
    dev.engine.answers["fast_forward"] = lambda **given: refusals.pop() if refusals else usual(**given)
    assert publish(dev)[0] == 0
    assert dev.events == []


def test_main_that_keeps_moving_ends_busy(dev: World) -> None:
    usual: Any = dev.engine.answers["fast_forward"]

    def fast_forward(table: TableRef, branch: str, onto: str = MAIN) -> bool:
        if str(table) == "shop.items" and onto == MAIN:
            dev.lake.commit(table, rows=100)
        return bool(usual(table, branch, onto))

    dev.engine.answers["fast_forward"] = fast_forward
    with pytest.raises(Busy, match="5 times"):
        publish(dev)


# --- killed in the middle --------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", range(1, 8))
def test_killed_anywhere_the_same_command_does_the_rest(dev: World, after: int) -> None:
    expected = heads(dev, "dev")
    usual = dict(dev.engine.answers)
    left = after

    def dying(method: str) -> Any:
        def call(**given: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return usual[method](**given)  # type: ignore[operator]

        return call

    for method in ("fast_forward", "drop_branch"):
        dev.engine.answers[method] = dying(method)
    with pytest.raises(Killed):
        publish(dev)
    dev.engine.answers.update(usual)
    code, moved = publish(dev)
    assert (code, len(moved)) == (0, max(0, 4 - after))
    assert dev.heads() == expected
    assert branches(dev.lake.catalog) == ()


def test_killed_while_models_run_again_the_branch_is_still_whole(dev: World) -> None:
    main = dev.lake.commit("shop.prices", rows=100)
    dev.tell("replace_branch", "shop.prices", Killed())
    with pytest.raises(Killed):
        publish(dev)
    assert dev.lake.head("shop.prices") == main
    dev.engine.answers["replace_branch"] = dev.lake.replace_branch
    assert publish(dev)[0] == 0
    assert branches(dev.lake.catalog) == ()
