"""Checks on Spark: each kind passes and fails, a closed gate changes no table, ``check`` only reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from runner.audit import Checked, audit
from runner.graph import order
from runner.refs import TableRef
from tests.lab import Lab
from tests.projects import MERGE, write

SPEC = """
pipeline: shop
vars: {events: .}
models:
  - name: orders
    sql: sql/orders.sql
    sources: {csv: {files: {path: "{{ var('events') }}/orders.csv", format: csv}, read: all}}
    target:
      table: shop.orders
      key: [id]
      columns: {id: {type: string}, customer: {type: string}, kind: {type: string}, amount: {type: bigint}, day: {type: date}}
  - name: customers
    sql: sql/customers.sql
    sources: {csv: {files: {path: "{{ var('events') }}/customers.csv", format: csv}, read: all}}
    target:
      table: shop.customers
      key: [id, region]
      columns: {id: {type: string}, region: {type: string}}
  - name: sales
    sql: sql/sales.sql
    sources: {orders: {table: shop.orders, read: changes}}
    target:
      table: shop.sales
      key: [id]
      partitions: [day]
      partitions_fixed: true
      columns:
        id: {type: string}
        customer: {type: string, checks: [{relationships: {to: shop.customers, field: id}}]}
        region: {type: string}
        kind: {type: string}
        amount: {type: bigint, checks: [{range: {min: 0}, where: kind = 'sale'}]}
        day: {type: date}
    checks:
      - {expression: amount < 100, where: kind = 'sale', fail_above: 50%, name: mostly_small}
      - {expression: doubled >= amount OR amount < 0, name: helper}
      - {relationships: {columns: [customer, region], to: shop.customers, field: [id, region]}, where: kind = 'sale'}
      - {unique: [customer, day], where: kind = 'gift', name: one_gift_a_day}
      - {row_count: {min: 1, max: 4}, where: kind = 'sale', name: sales}
      - sql: expectations/no_loss.sql
      - freshness: {column: day, error_after: 1d}
"""  # noqa: E501
ORDERS = """
SELECT id, customer, kind, CAST(amount AS BIGINT) AS amount, CAST(day AS DATE) AS day
FROM {{ source('csv') }}"""
SALES = """
SELECT id, customer, 'north' AS region, kind, amount, day, amount * 2 AS doubled
FROM {{ source('orders') }}"""
FILES = {
    "profiles.yml": "default: local\ntargets: {local: {type: local}}\n",
    "pipelines/shop.yml": SPEC,
    "sql/orders.sql": ORDERS,
    "sql/customers.sql": "SELECT id, region FROM {{ source('csv') }}",
    "sql/sales.sql": SALES,
    # An order that is not a sale of the same amount.
    "expectations/no_loss.sql": """
SELECT o.id, o.amount, t.amount AS sold
FROM {{ source('orders') }} AS o LEFT JOIN {{ target }} AS t ON o.id = t.id
WHERE NOT o.amount <=> t.amount OR o.amount = 77
""",
}
FRESH = "2999-01-01"
#: id, customer, kind, amount, day
GOOD = [
    f"1,ann,sale,5,{FRESH}",
    f"2,bob,sale,200,{FRESH}",
    "3,ann,gift,-1,2000-01-01",
    "4,ann,gift,0,2000-01-02",
]
TABLES = ("shop.orders", "shop.customers", "shop.sales")


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    files = dict(FILES)
    for name in ("orders", "customers", "sales"):
        query = files[f"sql/{name}.sql"].replace("{{", "{{{{").replace("}}", "}}}}")
        merge = MERGE.format(query="\x00").replace("\x00", query).replace("{{{{", "{{").replace("}}}}", "}}")
        if name == "customers":
            merge = merge.replace("t.id = s.id", "t.id = s.id AND t.region = s.region")
        files[f"sql/{name}.sql"] = merge
    found = Lab(spark, tmp_path / "lab", root=write(tmp_path / "project", files))
    customers(found, "ann", "bob")
    orders(found, GOOD)
    return found


def customers(lab: Lab, *names: str) -> None:
    lab.drop("customers.csv", ["id,region", *(f"{name},north" for name in names)])


def orders(lab: Lab, lines: Iterable[str]) -> None:
    lab.drop("orders.csv", ["id,customer,kind,amount,day", *lines])


def told(lab: Lab) -> list[str]:
    """The checks that closed the gate of the last run."""
    faults = [f for e in lab.events for f in e.faults]
    return sorted(f.what.split("'")[1] for f in faults if f.code in ("check-failed", "stale"))


def checks(lab: Lab) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in lab.results()["shop.sales"]["checks"]}


def state(lab: Lab) -> dict[str, object]:
    """Everything in the lake that a writer would have changed."""
    tables = {str(t): lab.lake.catalog.table(t) for t in lab.lake.catalog.tables()}
    files = sorted(str(p) for p in lab.lake_folder.rglob("*") if p.suffix in (".parquet", ".json", ".avro"))
    return {t: (s.branches, sorted(s.snapshots)) for t, s in tables.items() if s} | {"files": files}


def check(lab: Lab) -> tuple[int, dict[str, Checked]]:
    """``runner check`` of everything; results by check, of shop.sales."""
    events: list[Checked] = []
    project = lab.project()
    code = audit(
        project, order(project), events.append, artifacts=lab.folder / "target", start_engine=lab.engine
    )
    return code, {e.result.name: e for e in events if e.result and e.table == "shop.sales"}


def test_each_kind_passes_and_fails_and_a_closed_gate_changes_nothing(lab: Lab) -> None:
    assert lab.run() == 0
    found = checks(lab)
    assert {c["status"] for c in found.values()} == {"pass"}
    assert (found["mostly_small"]["failures"], found["mostly_small"]["rows"]) == (1, 2)
    assert found["sales"]["rows"] == 2
    sales = lab.head("shop.sales")
    assert sales is not None

    # One row against each row check: 2 of 3 sales are above 100, and one is below 0.
    orders(lab, [*GOOD, f"5,ann,sale,300,{FRESH}", f"6,ann,sale,400,{FRESH}", "7,ann,sale,-9,2000-01-01"])
    assert lab.run() == 3
    assert told(lab) == ["mostly_small", "range_amount"]
    assert lab.head("shop.sales") == sales
    # Rows that no row check finds.
    bad = [f"{i},zoe,sale,1,{FRESH}" for i in (11, 12, 13)] + [
        "14,ann,gift,1,2000-01-02",
        "15,ann,other,77,2000-01-01",
    ]
    orders(lab, [*GOOD, *bad])
    assert lab.run() == 3
    assert told(lab) == [
        "no_loss",
        "one_gift_a_day",
        "relationships_customer",
        "relationships_customer_region",
        "sales",
    ]
    (fault,) = [f for e in lab.events for f in e.faults if "'relationships_customer'" in f.what]
    assert fault.what.endswith("of shop.sales: 3 rows have (customer) that is not in shop.customers (id)")
    assert '{"customer": "zoe", "copies": 3}' in fault.why
    assert lab.head("shop.sales") == sales
    assert len(lab.rows("shop.sales")) == len(GOOD)


def test_a_run_answers_for_its_own_rows_and_check_for_the_whole_table(lab: Lab) -> None:
    assert lab.run() == 0
    customers(lab, "ann")
    orders(lab, [*GOOD, f"5,ann,sale,6,{FRESH}"])
    # bob left, and the rows of this run are ann's.
    assert lab.run() == 0, told(lab)
    before = state(lab)
    code, found = check(lab)
    assert code == 3
    broken = {name for name, e in found.items() if e.result and e.result.status == "error"}
    assert broken == {"relationships_customer", "relationships_customer_region"}
    assert state(lab) == before


def test_check_finds_what_was_written_by_hand_and_writes_nothing(lab: Lab) -> None:
    assert lab.run() == 0
    before = state(lab)
    code, found = check(lab)
    assert code == 0
    statuses = {name: e.result.status for name, e in found.items() if e.result}
    # It looks at a column that only the query has.
    assert statuses.pop("helper") == "skipped"
    assert set(statuses.values()) == {"pass"}
    assert {"key_unique", "key_in_one_partition", "key_id_not_null", "freshness_day"} <= set(statuses)
    assert state(lab) == before

    day = "DATE'2000-01-03'"
    by_hand = (
        f"'1', 'ann', 'north', 'sale', 5, {day}",
        f"'8', 'zoe', 'north', 'sale', -8, {day}",
        f"NULL, 'ann', 'north', 'gift', 1, {day}",
    )
    lab.sql(f"INSERT INTO shop.sales VALUES ({'), ('.join(by_hand)})")
    before = state(lab)
    code, found = check(lab)
    assert code == 3
    failed = {n: (e.result.failed, e.result.total) for n, e in found.items() if e.result and e.faults}
    assert failed == {
        "range_amount": (1, 4),
        "key_id_not_null": (1, 7),
        "relationships_customer": (1, 7),
        "relationships_customer_region": (1, 7),
        "key_unique": (2, 7),
        "key_in_one_partition": (1, 7),
    }
    assert '"id": "8"' in str(found["range_amount"].faults[0])
    assert '{"id": "1", "copies": 2}' in str(found["key_unique"].faults[0])
    assert "2999-01-01" in str(found["key_in_one_partition"].faults[0])
    assert state(lab) == before
    document = json.loads((lab.folder / "target" / "check_results.json").read_text(encoding="utf-8"))
    statuses = {r["relation_name"]: r["status"] for r in document["results"]}
    assert statuses == {"shop.orders": "pass", "shop.customers": "pass", "shop.sales": "error"}


def test_the_newest_value_is_remembered_and_staleness_withholds_nothing(lab: Lab) -> None:
    assert lab.run() == 0
    newest = "runner.maxima"
    assert json.loads(lab.lake.catalog.table(TableRef("shop", "sales")).head().summary[newest]) == {
        "day": FRESH
    }  # type: ignore[union-attr]
    orders(lab, [*GOOD, "5,ann,gift,6,2000-02-02"])
    assert lab.run() == 0
    head = lab.head("shop.sales")
    assert head is not None
    # An incremental run saw old days alone, and knows of the newer one.
    assert json.loads(head.summary[newest]) == {"day": FRESH}
    orders(lab, GOOD[2:])
    path = lab.root / "pipelines" / "shop.yml"
    path.write_text(path.read_text().replace("min: 1, max: 4", "min: 0, max: 4"))
    assert lab.run(full_refresh=True) == 3
    assert lab.kinds()["shop.sales"] == "stale"
    assert told(lab) == ["freshness_day"]
    head = lab.head("shop.sales")
    assert head is not None
    assert json.loads(head.summary[newest]) == {"day": "2000-01-02"}
    assert len(lab.rows("shop.sales")) == 2
