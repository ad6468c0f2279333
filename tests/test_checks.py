"""``where``, ``scheduled`` and ``relationships``, as far as they are told without rows."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.engine.fake import FakeEngine
from runner.execute.masks import effective_checks, violation
from runner.execute.sql import Staging
from runner.graph import ancestors, order
from runner.load import load_project
from runner.plan import Mode
from runner.refs import TableRef
from runner.render import fingerprint
from runner.spec import Check, CheckKind, Model, Severity, Threshold
from tests.nouns import check, model, rendered, target
from tests.projects import MERGE, write
from tests.test_gate import asked, staged, written
from tests.world import SPEC, World

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
COLUMNS = {"id": "string", "day": "date", "amount": "bigint", "note": "string"}


def where(of: Check, predicate: str = "note = 'x'", **given: Any) -> Check:
    return replace(of, where=predicate, **given)


POSITIVE = check(CheckKind.RANGE, "positive", of="amount", min=0, max=9)


# --- where ----------------------------------------------------------------------------------------


def test_only_rows_that_satisfy_where_can_fail() -> None:
    assert violation(where(POSITIVE)) == "(note = 'x') AND (`amount` < 0L OR `amount` > 9L)"


def test_another_where_of_a_row_check_is_another_model() -> None:
    statement = rendered().statement
    prints = [
        fingerprint(model(checks=(of,), target=target(columns=COLUMNS)), statement)
        for of in (POSITIVE, where(POSITIVE), where(POSITIVE, "note  =  'x'"), where(POSITIVE, "note = 'y'"))
    ]
    assert prints[1] == prints[2]
    assert len(set(prints)) == 3


def test_rows_looked_at_are_counted_only_for_a_share_of_them() -> None:
    share = where(POSITIVE, fail_above=Threshold(percent=0.5))
    of = model(checks=(where(POSITIVE), share, POSITIVE), target=target(columns=COLUMNS))
    found = Staging(of, COLUMNS, effective_checks(of)).counts_staged()
    assert {k: v for k, v in found.items() if k.startswith("rows_")} == {
        "rows_1": "count_if(NOT _gone AND (note = 'x'))"
    }


@pytest.mark.parametrize(("failed", "status"), [(5, "pass"), (6, "warn")])
def test_a_share_is_of_the_rows_looked_at(failed: int, status: str) -> None:
    from runner.check.gate import judge

    share = where(POSITIVE, fail_above=Threshold(percent=50), severity=Severity.WARN)
    of = model(checks=(share,), target=target(columns=COLUMNS))
    result = judge(staged(of, {"kept": 1000, "check_0": failed, "rows_0": 10}), FakeEngine())[0]
    assert (result.status, result.failed, result.total) == (status, failed, 10)


def test_a_key_is_never_null_whatever_a_check_with_where_says() -> None:
    partly = where(check(CheckKind.NOT_NULL, "partly", of="id"))
    found = effective_checks(model(checks=(partly,), target=target(columns=COLUMNS)))
    assert [c.name for c in found] == ["partly", "key_id_not_null"]


def test_table_checks_look_at_the_rows_that_satisfy_where(tmp_path: Path) -> None:
    unique = where(check(CheckKind.UNIQUE, columns=["note"]))
    of = model(checks=(unique,), target=target(columns=COLUMNS))
    assert "WHERE (note = 'x') GROUP BY `note`" in asked(tmp_path / "a", of)
    rows = where(check(CheckKind.ROW_COUNT, min=0))
    assert asked(tmp_path / "b", model(checks=(rows,), target=target(columns=COLUMNS))).endswith(
        "`branch_audit_r1` WHERE note = 'x'"
    )


def test_a_scheduled_check_is_not_judged_in_a_run(tmp_path: Path) -> None:
    from runner.check.table import check_table

    unique = replace(check(CheckKind.UNIQUE, columns=["note"]), scheduled=True)
    on_branch, lake = written(tmp_path, model(checks=(unique,), target=target(columns=COLUMNS)))
    engine = FakeEngine()
    assert check_table(on_branch, engine, lake.catalog) == ()
    assert engine.calls == []


# --- relationships --------------------------------------------------------------------------------

OTHER = check(
    CheckKind.RELATIONSHIPS, "known", columns=["note"], to=TableRef("silver", "notes"), field=["id"]
)


def relationship_sql(tmp_path: Path, of: Model, **given: Any) -> str:
    from runner.check.table import check_table

    on_branch, lake = written(tmp_path, of, **given)
    lake.create("silver.notes", {"id": "string"})
    engine = FakeEngine()
    check_table(on_branch, engine, lake.catalog)
    (call,) = engine.asked("rows")
    return str(call["sql"])


def test_a_run_looks_up_the_rows_whose_keys_it_staged(tmp_path: Path) -> None:
    of = model(checks=(OTHER,), target=target(columns=COLUMNS, partitions=("amount",)))
    sql = relationship_sql(tmp_path / "a", of, counts={"parts": [("1",)]})
    assert "WHERE `amount` IN (1)) AS w LEFT SEMI JOIN (SELECT `id` FROM __staged" in sql
    assert "LEFT ANTI JOIN __other AS o ON c.`note` = o.`id`" in sql
    assert "`note` IS NOT NULL" in sql
    assert "SEMI JOIN" not in relationship_sql(tmp_path / "b", of, mode=Mode.REBUILD)


RELATED = """
pipeline: shop
models:
  - name: sales
    sql: sql/sales.sql
    sources: {csv: {files: {path: s.csv, format: csv}, read: all}}
    target:
      table: shop.sales
      key: [id]
      columns: {id: {type: string, checks: [{relationships: {to: shop.items, field: id}}]}}
  - name: items
    sql: sql/items.sql
    sources: {csv: {files: {path: i.csv, format: csv}, read: all}}
    target: {table: shop.items, key: [id], columns: {id: {type: string}}}
"""


def test_the_table_that_a_check_looks_into_is_built_first(tmp_path: Path) -> None:
    sql = {f"sql/{n}.sql": MERGE.format(query="SELECT id FROM x") for n in ("sales", "items")}
    project = load_project(write(tmp_path, {"pipelines/shop.yml": RELATED, **sql}))
    assert [m.name for m in order(project)] == ["items", "sales"]
    sales = next(m for m in project.models if m.name == "sales")
    assert [m.name for m in ancestors(project, sales)] == ["items"]


def test_a_run_asks_for_the_table_before_it_begins(tmp_path: Path) -> None:
    spec = SPEC.replace("{row_count: {min: 1}, name: not_empty}", "PLACE").replace(
        "checks: [PLACE]",
        "checks: [{relationships: {columns: [id], to: shop.stock, field: id}, name: known}]",
    )
    query = "SELECT id, CAST(amount AS BIGINT) AS amount FROM {{ source('%s') }}"
    made_of = {"items": "csv", "prices": "items", "totals": "prices", "stock": "items"}
    sql = {f"sql/{name}.sql": MERGE.format(query=query % of) for name, of in made_of.items()}
    profiles = "default: local\ntargets: {local: {type: local}}\n"
    root = write(tmp_path / "project", {"pipelines/shop.yml": spec, "profiles.yml": profiles, **sql})
    world = World(root, tmp_path)
    assert world.run("items", "prices") == 0
    assert world.run("totals") == 2
    assert world.started == 0
    (failed,) = [e for e in world.events if e.kind == "failed"]
    assert [f.code for f in failed.faults] == ["input-not-built"]
    assert "looks into shop.stock, which is not in the lake yet" in failed.faults[0].what
