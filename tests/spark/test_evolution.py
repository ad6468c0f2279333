"""A table's columns change in place: what is there stays, and readers see only true differences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from tests.lab import Lab
from tests.projects import write

PRICES, ASIDE = "shop.prices", "shop.prices__quarantine"
MERGE = """MERGE INTO {{{{ target }}}} AS t USING ({query}) AS s ON t.id = s.id
WHEN MATCHED AND {{{{ changed('t', 's') }}}} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""
SPEC = """
pipeline: shop
vars: {{items: items.csv, events: unused}}
models:
  - name: items
    sql: sql/items.sql
    sources: {{csv: {{files: {{path: "{{{{ var('items') }}}}", format: csv}}, read: all}}}}
    target: {{table: shop.items, key: [id], columns: {{id: {{type: string}}, amount: {{type: string}}}}}}
  - name: prices
    sql: sql/prices.sql
    sources: {{items: {{table: shop.items, read: changes}}}}
    target: {{table: shop.prices, key: [id], columns: {{id: {{type: string}}, {columns}}}}}
    checks: [{checks}]
  - name: names
    sql: sql/names.sql
    sources: {{prices: {{table: shop.prices, read: changes}}}}
    target: {{table: shop.names, key: [id], columns: {{id: {{type: string}}}}}}
"""
#: The query, and the declared columns beside the id.
OLD = {
    "query": "SELECT id, CAST(amount AS INT) AS amount, amount AS raw FROM {{ source('items') }}",
    "columns": "amount: {type: int, checks: [{not_null: {severity: quarantine}}]}",
}
NEW = {
    "query": "SELECT id, CAST(amount AS BIGINT) AS price, CASE WHEN id = 'a' THEN 'first' END AS grade"
    " FROM {{ source('items') }}",
    "columns": "price: {type: bigint, renamed_from: amount, checks: [{not_null: {severity: quarantine}}]},"
    " grade: {type: string}",
}


def declare(root: Path, code: Mapping[str, str], checks: str = "") -> None:
    queries = {
        "items": "SELECT id, amount FROM {{ source('csv') }}",
        "prices": code["query"],
        "names": "SELECT id FROM {{ source('prices') }}",
    }
    files = {f"sql/{name}.sql": MERGE.format(query=of) for name, of in queries.items()}
    files["pipelines/shop.yml"] = SPEC.format(columns=code["columns"], checks=checks)
    files["profiles.yml"] = "default: local\ntargets: {local: {type: local}}\n"
    write(root, files)


def schema(lab: Lab, table: str) -> dict[str, str]:
    namespace, name = table.split(".")
    return {str(f["col_name"]): str(f["data_type"]) for f in lab.sql(f"DESCRIBE {namespace}.{name}")}


def row_ids(lab: Lab, table: str) -> dict[str, int]:
    return {str(r["id"]): int(r["_row_id"]) for r in lab.sql(f"SELECT id, _row_id FROM {table}")}


def test_columns_are_added_widened_and_renamed_in_place(spark: SparkSession, tmp_path: Path) -> None:
    root, csv = tmp_path / "project", tmp_path / "items.csv"
    csv.write_text("id,amount\na,1\nb,2\nc,\n")
    declare(root, OLD)
    lab = Lab(spark, tmp_path / "lab", root=root, overrides={"items": str(csv)})
    assert lab.run() == 0
    ids, before = row_ids(lab, PRICES), {table: schema(lab, table) for table in (PRICES, ASIDE)}
    assert before[PRICES] == {"id": "string", "amount": "int"}
    assert [r["id"] for r in lab.rows(ASIDE)] == ["c"]

    # A gate that closes leaves the columns as they were.
    declare(root, NEW, '{expression: "price > 100", name: impossible}')
    assert lab.run() == 3
    assert {table: schema(lab, table) for table in (PRICES, ASIDE)} == before

    declare(root, NEW)
    assert lab.run() == 0
    assert schema(lab, PRICES) == {"id": "string", "price": "bigint", "grade": "string"}
    assert lab.rows(PRICES) == [
        {"id": "a", "price": 1, "grade": "first"},
        {"id": "b", "price": 2, "grade": None},
    ]
    assert row_ids(lab, PRICES) == ids
    counts = lab.results()[PRICES]["adapter_response"]
    assert (counts["rows_inserted"], counts["rows_updated"], counts["rows_deleted"]) == (0, 1, 0)
    assert lab.results()["shop.names"]["mode"] == "incremental"
    assert [r["id"] for r in lab.rows("shop.names")] == ["a", "b"]
    # The helper `raw` is not filled any more; what it was is not shown beside rows of newer code.
    (held,) = lab.rows(ASIDE)
    assert held == {"id": "c", "price": None, "grade": None, "raw": None, "failed_checks": ["not_null_price"]}

    # The declaration may stay, and the quarantine works on.
    csv.write_text("id,amount\na,1\nb,2\nc,3\nd,\n")
    assert lab.run() == 0
    assert [(r["id"], r["price"]) for r in lab.rows(PRICES)] == [("a", 1), ("b", 2), ("c", 3)]
    assert [r["id"] for r in lab.rows(ASIDE)] == ["d"]
    assert row_ids(lab, PRICES).items() >= ids.items()
