"""How a run is conducted: order, skips, exit codes, the journal, and what is left behind.

The engine is a fake that answers what a test tells it; tables are snapshots on paper. Nothing here says
anything about rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner import ledger
from runner.check.gate import CheckResult
from runner.engine import Conflict, Diff, Engine
from runner.engine.fake import FakeEngine, InTurn
from runner.errors import Fault, Interrupted, Place, RunFailed
from runner.graph import order, select
from runner.lineage import compile_project
from runner.load import load_project
from runner.lock import target_lock
from runner.plan import Mode
from runner.record import NodeResult
from runner.refs import TableRef
from runner.render import Rendered
from runner.run import Event, RunOptions, describe, run
from runner.spec import Severity
from tests.paper import PaperLake
from tests.projects import MERGE, write

#: items → prices → totals, and items → stock; declared in another order.
SPEC = """
pipeline: shop
vars: {items: items.csv}
models:
  - name: totals
    sql: sql/totals.sql
    sources: {prices: {table: shop.prices, read: changes}}
    target:
      table: shop.totals
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
    checks: [{row_count: {min: 1}, name: not_empty}]
  - name: items
    sql: sql/items.sql
    sources: {csv: {files: {path: "{{ var('items') }}", format: csv}, read: all}}
    target:
      table: shop.items
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint}}
  - name: prices
    sql: sql/prices.sql
    sources: {items: {table: shop.items, read: changes}}
    target:
      table: shop.prices
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint, checks: [{range: {min: 0}, name: positive}]}}
  - name: stock
    sql: sql/stock.sql
    sources: {items: {table: shop.items, read: changes}}
    target:
      table: shop.stock
      key: [id]
      columns: {id: {type: string}, amount: {type: bigint, checks: [{not_null: {severity: quarantine}}]}}
"""
TABLES = ("shop.items", "shop.prices", "shop.totals", "shop.stock")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    queries = {
        name: MERGE.format(
            query=f"SELECT id, CAST(amount AS BIGINT) AS amount FROM {{{{ source('{source}') }}}}"
        )
        for name, source in {"items": "csv", "prices": "items", "totals": "prices", "stock": "items"}.items()
    }
    files = {"pipelines/shop.yml": SPEC, "profiles.yml": "default: local\ntargets: {local: {type: local}}\n"}
    files |= {f"sql/{name}.sql": text.replace("{{{{", "{{") for name, text in queries.items()}
    return write(tmp_path_factory.mktemp("shop"), files)


@dataclass
class World:
    """A project, its lake on paper, and an engine that moves the lake's snapshots as Iceberg would."""

    root: Path
    folder: Path
    events: list[Event] = field(default_factory=list)
    started: int = 0

    def __post_init__(self) -> None:
        self.items = self.folder / "items.csv"
        self.items.write_text("id,amount\na,1\n")
        self.project = load_project(
            self.root, overrides={"items": str(self.items)}, lake=self.folder / "lake"
        )
        self.lake = PaperLake(self.folder / "lake")
        self.deleted = 0
        self.rows = 100
        self.engine = FakeEngine(
            {
                "schema": {"id": "string", "amount": "bigint"},
                "stage": {"kept": 3, "read": 3},
                "bind_diff": Diff(new=True, old=False, files_scanned=1, files_total=2),
                "create_table": self.create_table,
                "create_branch": lambda table, branch, snapshot: self.lake.branch(table, branch, snapshot),
                "drop_branch": lambda table, branch: self.lake.drop_branch(table, branch),
                "fast_forward": lambda table, branch: self.lake.fast_forward(table, branch),
                "commit": self.commit,
                "append": lambda table, rows, properties: self.lake.commit(table, properties, rows=len(rows)),
            }
        )

    def create_table(self, table: TableRef, columns: Mapping[str, str], **given: Any) -> None:
        self.lake.create(table, columns, partitions=given["partitions"])

    def commit(self, sql: str, properties: Mapping[str, str]) -> None:
        """A MERGE as a snapshot: its table and branch are read from its first line."""
        found = re.match(r"MERGE INTO `lake`\.`(\w+)`\.`(\w+)`(?:\.`branch_(\w+)`)? AS", sql)
        assert found, sql
        counts = {"inserted": self.rows, "updated": 0, "deleted": self.deleted}
        summary = {f"spark.merge-into.num-target-rows-{what}": str(n) for what, n in counts.items()}
        table = TableRef(found[1], found[2])
        self.lake.commit(table, {**summary, **properties}, branch=found[3] or "main", rows=self.rows)

    def start(self) -> Engine:
        self.started += 1
        return self.engine

    def run(self, *names: str, **options: Any) -> int:
        models = select(self.project, pipeline=None, names=names) if names else order(self.project)
        self.events.clear()
        self.engine.calls.clear()
        self.started = 0
        given = RunOptions(artifacts=self.folder / "target", **options)
        return run(self.project, models, given, self.hear, start_engine=self.start)

    def hear(self, event: Event) -> None:
        self.events.append(event)

    @property
    def ended(self) -> dict[str, str]:
        """How each model ended."""
        return {e.name: e.kind for e in self.events if e.kind not in ("start", "info")}

    @property
    def journal(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "target" / "run_results.json").read_text())
        return found

    @property
    def statuses(self) -> dict[str, str]:
        return {r["relation_name"]: r["status"] for r in self.journal["results"]}

    def heads(self) -> dict[str, int | None]:
        """Heads of the models' tables."""
        known = [str(table) for table in self.lake.catalog.tables() if table.namespace != "ops"]
        return {table: self.lake.head(table) for table in known}

    def branches(self, table: str) -> list[str]:
        return sorted(self.lake.state(table).branches)

    def scratch(self) -> list[str]:
        """Files of staged rows that are left."""
        return [str(p) for p in (self.lake.warehouse / "_scratch").rglob("*") if p.is_file()]

    def tell(self, method: str, of: str, answer: object) -> None:
        """``method`` answers as usual, except for the table ``of``."""
        usual = self.engine.answers.get(method)

        def scripted(**given: Any) -> object:
            about = re.sub(r"[`]", "", " ".join(map(str, given.values())))
            found = answer if re.search(rf"{re.escape(of)}\b(?!__)", about) else usual
            if isinstance(found, InTurn):
                found = found.next()
            if isinstance(found, BaseException):
                raise found
            return found(**given) if callable(found) else found

        self.engine.answers[method] = scripted

    def new_items(self) -> None:
        self.items.write_text(self.items.read_text() + "b,2\n")


@pytest.fixture(scope="module")
def compiled(root: Path) -> Mapping[str, Rendered]:
    """Compiled once: no test here changes a spec or a query."""
    return compile_project(load_project(root))


@pytest.fixture
def world(
    root: Path, tmp_path: Path, compiled: Mapping[str, Rendered], monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr("runner.run.compile_project", lambda project, models: compiled)
    return World(root, tmp_path)


@pytest.fixture
def built(world: World) -> World:
    """A lake in which everything is built, and new items that wait."""
    assert world.run() == 0
    world.new_items()
    return world


BROKEN = RunFailed(Fault("query-failed", None, "the query fails"))


# --- order and what is new -----------------------------------------------------------------------


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


# --- failures ------------------------------------------------------------------------------------


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


# --- what is left behind -------------------------------------------------------------------------


def staging(world: World, then: Callable[[], object]) -> Callable[..., object]:
    """Rows are written, and then something happens."""

    def stage(view: str, folder: str) -> object:
        Path(folder).mkdir(parents=True)
        (Path(folder) / "part-0.parquet").write_text("rows")
        return then()

    return stage


def failing() -> object:
    raise BROKEN


@pytest.mark.parametrize("first", [True, False])
def test_a_failure_leaves_no_staged_rows(world: World, first: bool) -> None:
    if not first:
        world.run()
        world.new_items()
    world.engine.answers["stage"] = staging(world, failing)
    assert world.run("items") == 1
    assert world.scratch() == []


def test_a_success_leaves_no_staged_rows(world: World) -> None:
    world.engine.answers["stage"] = staging(world, lambda: {"kept": 3})
    assert world.run("items") == 0
    assert world.scratch() == []


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
    assert built.engine.methods.count("stage") == 1, "nothing runs after it"


# --- publication ---------------------------------------------------------------------------------


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


# --- quarantine and brake ------------------------------------------------------------------------


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


# --- the journal ---------------------------------------------------------------------------------


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
    assert list(document["metadata"]) == ["runner_version", "run_id", "started_at", "target", "complete"]
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


# --- the history of runs -------------------------------------------------------------------------


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
