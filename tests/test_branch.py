"""Runs on a development branch: what they read, what they write, and what main's readers see of it.

Tables are snapshots on paper; what rows a branch holds is tested on Spark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runner import ledger
from runner.audit import audit
from runner.branch import branches, find, require_name
from runner.catalog import MAIN, OnBranch
from runner.engine.fake import FakeEngine
from runner.errors import ProjectError
from runner.graph import order
from runner.lake import Lake
from runner.preview import preview
from runner.refs import TableRef
from runner.render import Rendered
from runner.selectors import select
from runner.show import show
from tests.paper import PaperLake
from tests.world import TABLES, World

ORDERS = TableRef("silver", "orders")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("main", "leave out --branch"),
        ("audit_x", "take another name"),
        ("fix-123", "for example 'fix_123'"),
        ("feature/x y", "for example 'feature_x_y'"),
        ("7days", "dev"),
        ("", "dev"),
        ("a" * 101, f"for example '{'a' * 100}'"),
        ("entwürfe", "for example 'entw_rfe'"),
        ("x'; DROP", "for example 'x_DROP'"),
    ],
)
def test_names_that_no_development_branch_has(name: str, fix: str) -> None:
    with pytest.raises(ProjectError) as error:
        require_name(name)
    (fault,) = error.value.faults
    assert (fault.code, fault.fix) == ("bad-branch", fix)


@pytest.mark.parametrize("name", ["dev", "fix_123", "A", "auditor", "mainline"])
def test_names_of_development_branches(name: str) -> None:
    assert require_name(name) == name


def test_without_a_name_it_is_main() -> None:
    assert require_name(None) == MAIN


# --- reading ---------------------------------------------------------------------------------------


def test_tables_are_read_on_the_branch_and_on_main_where_they_have_none(tmp_path: Path) -> None:
    lake = PaperLake(tmp_path)
    lake.create("a.here", {"id": "string"})
    lake.create("a.not_here", {"id": "string"})
    lake.create("a.tagged", {"id": "string"})
    main = {t: lake.commit(t) for t in ("a.here", "a.not_here", "a.tagged")}
    lake.branch(TableRef("a", "here"), "dev", main["a.here"])
    dev = lake.commit("a.here", branch="dev")
    lake.tag("a.tagged", "dev")
    view = OnBranch(lake.catalog, "dev")
    heads = {str(t): s.head().id for t in view.tables() if (s := view.table(t))}  # type: ignore[union-attr]
    assert heads == {**main, "a.here": dev}
    state = view.table(TableRef("a", "here"))
    assert state is not None
    assert (state.head(MAIN).id, state.sql("lake")) == (main["a.here"], "`lake`.`a`.`here`.`branch_dev`")  # type: ignore[union-attr]
    afresh = OnBranch(lake.catalog, "dev", {TableRef("a", "here")}).table(TableRef("a", "here"))
    assert afresh is not None
    assert (afresh.head().id, afresh.sql("lake")) == (main["a.here"], "`lake`.`a`.`here`")  # type: ignore[union-attr]


def test_a_branch_knows_the_snapshot_of_main_that_it_left_whatever_became_of_main(tmp_path: Path) -> None:
    lake = PaperLake(tmp_path)
    lake.create(ORDERS, {"id": "string"})
    first, second = lake.commit(ORDERS), lake.commit(ORDERS)
    on_main = lake.state("silver.orders")
    assert ledger.branched(on_main, MAIN) == {}
    word = ledger.branched(on_main, "dev")
    assert word == {"runner.branch": f'{{"name":"dev","base":{second}}}'}
    lake.branch(ORDERS, "dev", second)
    lake.commit(ORDERS, word, branch="dev")
    on_dev = OnBranch(lake.catalog, "dev").table(ORDERS)
    assert ledger.branched(on_dev, "dev") == word, "the second commit says the same"
    lake.commit(ORDERS, branch="dev")
    assert ledger.base_of(lake.state("silver.orders"), "dev") == second, "past a commit of somebody else"
    assert not find(lake.catalog, "dev").lines[0].moved
    lake.rollback("silver.orders", first)
    (line,) = find(lake.catalog, "dev").lines
    assert (line.base, line.moved) == (second, True), "main's head is an ancestor, and not where it was"


def test_how_far_a_branch_went(tmp_path: Path) -> None:
    lake = PaperLake(tmp_path)
    lake.create(ORDERS, {"id": "string"})
    first = lake.commit(ORDERS)
    lake.branch(ORDERS, "dev", first)
    lake.branch(ORDERS, "audit_r1", first)
    for run in ("r1", "r2"):
        lake.commit(
            ORDERS, {ledger.RUN_ID: run} | ledger.branched(lake.state("silver.orders"), "dev"), branch="dev"
        )
    lake.commit(ORDERS)
    (branch,) = branches(lake.catalog)
    (line,) = branch.lines
    assert (branch.name, branch.run, len(line.ahead), line.behind, line.moved) == ("dev", "r2", 2, 1, True)
    with pytest.raises(ProjectError, match="did you mean 'dev'"):
        find(lake.catalog, "dve")


# --- runs ------------------------------------------------------------------------------------------


def test_a_run_on_a_branch_publishes_to_the_branch_and_main_stays(built: World) -> None:
    before = built.heads()
    assert built.run(branch="dev") == 0
    assert built.heads() == before
    assert built.ended == dict.fromkeys(TABLES, "ok")
    for table in TABLES:
        state = built.lake.state(table)
        assert set(state.branches) == {"main", "dev"}
        (line,) = (line for line in find(built.lake.catalog, "dev").lines if str(line.table) == table)
        assert (line.base, len(line.ahead), line.moved) == (before[table], 1, False)
    prices = ledger.position(built.lake.state("shop.prices"), "dev")
    assert prices is not None
    assert prices.inputs["items"].snapshot == built.lake.head("shop.items", "dev"), "inputs are the branch's"
    assert built.journal["metadata"]["branch"] == "dev"
    written = [row for call in built.engine.asked("append") for row in call["rows"] if "branch" in row]
    assert {row["branch"] for row in written} == {"dev"}


def test_nothing_new_on_a_branch_starts_no_engine(built: World) -> None:
    assert built.run(branch="dev") == 0
    assert built.run(branch="dev") == 0
    assert (built.started, set(built.ended.values())) == (0, {"nothing"})
    assert built.run() == 0
    assert built.started == 1, "main has not seen the new items"
    assert built.run(branch="other") == 0
    assert built.started == 0, "another branch falls through to main, where nothing is new"
    assert {b.name for b in branches(built.lake.catalog)} == {"dev"}


def test_of_a_selection_the_others_are_read_on_main(built: World) -> None:
    assert built.run("items", branch="dev") == 0
    assert built.run("prices", branch="dev") == 0
    assert built.run("stock", branch="other") == 0
    assert built.ended == {"shop.stock": "nothing"}, "items of the other branch are main's"
    assert [b.name for b in branches(built.lake.catalog)] == ["dev"]


def test_a_table_that_is_new_on_a_branch_has_no_snapshot_on_main(world: World) -> None:
    assert world.run(branch="dev") == 0
    assert world.heads() == dict.fromkeys(TABLES)
    assert all(world.branches(table) == ["dev"] for table in TABLES)
    assert world.run(branch="dev") == 0
    assert world.started == 0
    assert world.run() == 0
    assert world.started == 1
    assert None not in world.heads().values()


def test_the_quarantine_is_written_on_the_branch(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 1, "check_0": 1})
    assert built.run("items", "stock", branch="dev") == 0
    assert built.lake.head("shop.stock__quarantine") is None
    assert built.branches("shop.stock__quarantine") == ["dev"]
    quarantine = [c["sql"] for c in built.engine.asked("commit") if "__quarantine" in c["sql"]]
    assert [sql.split(" AS ")[0] for sql in quarantine] == [
        "MERGE INTO `lake`.`shop`.`stock__quarantine`.`branch_dev`"
    ]


def test_a_gate_that_closes_on_a_branch_leaves_it_as_it_was(built: World) -> None:
    built.tell("stage", "shop.items", {"kept": 3, "duplicates": 1})
    assert built.run("items", branch="dev") == 3
    assert built.branches("shop.items") == ["main"]


def test_where_somebody_else_wrote_the_branch_the_work_is_planned_again(built: World) -> None:
    assert built.run("items", branch="dev") == 0
    built.new_items()
    usual, moved = built.engine.answers["fast_forward"], []

    def fast_forward(table: TableRef, branch: str, onto: str = MAIN) -> object:
        if not moved:
            moved.append(built.lake.commit(table, branch=onto, rows=5))
        return usual(table, branch, onto)  # type: ignore[operator]

    built.engine.answers["fast_forward"] = fast_forward
    assert built.run("items", branch="dev") == 0
    assert built.engine.methods.count("stage") == 2
    assert built.lake.state("shop.items").head("dev").parent == moved[0]  # type: ignore[union-attr]


def test_a_tag_of_the_name_is_refused(built: World) -> None:
    built.lake.tag("shop.items", "v1")
    with pytest.raises(ProjectError, match=r"shop\.items has a tag 'v1'"):
        built.run(branch="v1")


def test_on_a_branch_any_code_may_follow_any_other(
    built: World, monkeypatch: pytest.MonkeyPatch, compiled: Mapping[str, Rendered]
) -> None:
    """To and fro is development; on main it would be two deployments that undo each other."""
    for fingerprint in ("first", "second", "first"):
        code = {**compiled, "shop.items": replace(compiled["shop.items"], fingerprint=fingerprint)}
        monkeypatch.setattr("runner.run.compile_project", lambda project, models, code=code: code)
        assert built.run("items", branch="dev") == 0
        assert built.ended["shop.items"] == "ok"


# --- schema ----------------------------------------------------------------------------------------


def without_amount(world: World, table: str) -> None:
    ref = TableRef.parse(table)
    world.lake.metadata[ref]["schemas"][0]["fields"].pop()
    world.lake.write(ref)


def test_a_change_of_columns_is_refused_before_the_engine_starts(built: World) -> None:
    without_amount(built, "shop.items")
    assert built.run("items", branch="dev") == 2
    assert built.started == 0
    (fault,) = next(e.faults for e in built.events if e.faults)
    assert fault.code == "schema-change-on-branch"
    assert "readers of main would see 'amount' as a column of NULL at once" in fault.why
    assert "--allow-schema-change" in fault.fix
    assert built.run("items", branch="dev", allow_schema_change=True) == 0
    assert [c["add"] for c in built.engine.asked("alter_table")] == [{"amount": "bigint"}]


def test_a_change_of_columns_of_a_table_that_main_never_had_is_nobodys_business(world: World) -> None:
    assert world.run("items", branch="dev") == 0
    without_amount(world, "shop.items")
    world.new_items()
    assert world.run("items", branch="dev") == 0
    assert [c["add"] for c in world.engine.asked("alter_table")] == [{"amount": "bigint"}]


def test_a_change_of_the_quarantines_columns_is_refused_too(built: World) -> None:
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 1, "check_0": 1})
    assert built.run("items", "stock") == 0
    without_amount(built, "shop.stock__quarantine")
    built.new_items()
    before = built.heads()
    assert built.run("items", "stock", branch="dev") == 2
    (fault,) = next(e.faults for e in built.events if e.faults)
    assert "shop.stock__quarantine" in fault.what
    assert built.heads() == before
    assert built.branches("shop.stock") == ["main"]


# --- looking at a branch ---------------------------------------------------------------------------


def previews(world: World, branch: str, **given: bool) -> dict[str, str]:
    """What a run on a branch would do with each model; the code of a fault where there is one."""
    lake = Lake.of(world.project, branch)
    found = preview(world.project, order(world.project), lake, **given)
    return {str(p.model.target.table): p.faults[0].code if p.faults else p.outcome for p in found}


@pytest.fixture
def planned(built: World, monkeypatch: pytest.MonkeyPatch, compiled: Mapping[str, Rendered]) -> World:
    monkeypatch.setattr("runner.preview.compile_project", lambda project, models: compiled)
    return built


def test_a_plan_for_a_branch_reads_the_branch(planned: World) -> None:
    assert previews(planned, "dev") == {"shop.items": "rebuild", **dict.fromkeys(TABLES[1:], "incremental")}
    assert planned.run(branch="dev") == 0
    assert previews(planned, "dev") == dict.fromkeys(TABLES, "nothing new")
    assert previews(planned, MAIN)["shop.items"] == "rebuild"


def test_a_plan_says_that_columns_would_change_on_main(planned: World) -> None:
    without_amount(planned, "shop.items")
    assert previews(planned, "dev")["shop.items"] == "schema-change-on-branch"
    assert previews(planned, "dev", allow_schema_change=True)["shop.items"] == "rebuild"
    assert previews(planned, MAIN)["shop.items"] == "rebuild"


def test_show_reads_the_branch_and_main_where_a_table_has_none(built: World) -> None:
    assert built.run("items", branch="dev") == 0

    def shown(table: str, branch: str) -> int:
        engine = FakeEngine({"schema": {"id": "string"}})
        show(
            built.project,
            table,
            limit=None,
            format="csv",
            at=None,
            write=lambda _: None,
            branch=branch,
            start_engine=lambda: engine,
        )
        return int(engine.asked("bind_table")[0]["snapshot"])

    assert shown("shop.items", "dev") == built.lake.head("shop.items", "dev")
    assert shown("shop.items", MAIN) == built.lake.head("shop.items")
    assert shown("shop.stock", "dev") == built.lake.head("shop.stock")
    with pytest.raises(ProjectError, match="there is no development branch 'deb'"):
        shown("shop.items", "deb")


def test_check_looks_at_the_branch(
    built: World, monkeypatch: pytest.MonkeyPatch, compiled: Mapping[str, Rendered]
) -> None:
    monkeypatch.setattr("runner.audit.compile_project", lambda project, models: compiled)
    assert built.run("items", branch="dev") == 0
    counts = {"rows": 5, "check_0": 0, "check_1": 0}
    engine = FakeEngine({"rows": lambda sql: [counts] if " AS rows" in sql else []})
    models = select(built.project, words=["items"])
    given = {"artifacts": built.folder / "target", "start_engine": lambda: engine}
    assert audit(built.project, models, lambda _: None, branch="dev", **given) == 0  # type: ignore[arg-type]
    assert engine.asked("bind_table")[0]["snapshot"] == built.lake.head("shop.items", "dev")
    with pytest.raises(ProjectError, match="there is no development branch 'deb'"):
        audit(built.project, models, lambda _: None, branch="deb", **given)  # type: ignore[arg-type]
