"""What tables are is read from the catalog's database and the metadata files alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from runner.catalog import LocalCatalog, type_text
from runner.refs import TableRef
from tests.paper import PaperLake

ORDERS = TableRef("silver", "orders")


@pytest.fixture
def lake(tmp_path: Path) -> PaperLake:
    return PaperLake(tmp_path / "lake")


def test_a_table_is_what_its_newest_metadata_file_says(lake: PaperLake) -> None:
    lake.create(
        ORDERS, {"id": "string", "day": "date", "amount": "bigint", "at": "timestamp"}, partitions=["day"]
    )
    first = lake.commit(ORDERS, {"runner.run-id": "r1"}, rows=5)
    second = lake.commit(ORDERS, rows=7, operation="overwrite")
    lake.branch(ORDERS, "audit_r3", first)

    state = lake.catalog.table(ORDERS)

    assert state is not None
    assert state.ref == ORDERS
    assert state.location == str(lake.warehouse / "silver" / "orders")
    assert state.format_version == 3
    assert list(state.columns.items()) == [
        ("id", "string"),
        ("day", "date"),
        ("amount", "bigint"),
        ("at", "timestamp"),
    ]
    assert state.partitions == ("day",)
    assert state.branches == {"main": second, "audit_r3": first}
    head = state.head()
    assert head is not None
    assert (head.id, head.parent, head.sequence, head.rows) == (second, first, 2, 7)
    branch = state.head("audit_r3")
    assert branch is not None
    assert branch.summary["runner.run-id"] == "r1"
    assert [s.id for s in state.ancestry(second)] == [second, first]


def test_columns_and_partitions_are_those_of_the_current_schema_and_the_default_spec(lake: PaperLake) -> None:
    lake.create(ORDERS, {"id": "string"})
    document = lake.metadata[ORDERS]
    document["schemas"].append(
        {
            "schema-id": 1,
            "fields": [{"id": 1, "name": "id", "type": "int"}, {"id": 2, "name": "d", "type": "date"}],
        }
    )
    document["partition-specs"].append(
        {
            "spec-id": 1,
            "fields": [
                {"name": "d", "transform": "identity", "source-id": 2},
                {"name": "id_bucket", "transform": "bucket[4]", "source-id": 1},
            ],
        }
    )
    document |= {"current-schema-id": 1, "default-spec-id": 1}
    lake.write(ORDERS)

    assert lake.state("silver.orders").columns == {"id": "int", "d": "date"}
    assert lake.state("silver.orders").partitions == ("d",)


def test_a_table_without_a_snapshot_is_there_and_has_no_head(lake: PaperLake) -> None:
    lake.create(ORDERS, {"id": "string"})
    assert lake.state("silver.orders").head() is None
    assert list(lake.state("silver.orders").ancestry(None)) == []


def test_the_ancestry_ends_where_snapshots_are_expired(lake: PaperLake) -> None:
    lake.create(ORDERS, {"id": "string"})
    first, second, third = (lake.commit(ORDERS) for _ in range(3))
    lake.expire("silver.orders", first)
    assert [s.id for s in lake.state("silver.orders").ancestry(third)] == [third, second]


def test_live_rows_are_the_records_without_those_that_deletion_vectors_name(lake: PaperLake) -> None:
    lake.create(ORDERS, {"id": "string"})
    lake.commit(ORDERS, rows=100, deletes=7)
    head = lake.state("silver.orders").head()
    assert head is not None
    assert head.rows == 93


@pytest.mark.parametrize(
    ("iceberg", "spark"),
    [
        ("long", "bigint"),
        ("timestamptz", "timestamp"),
        ("timestamp", "timestamp_ntz"),
        ("decimal(10, 2)", "decimal(10,2)"),
        ("string", "string"),
        ({"type": "list", "element": "long"}, "array<bigint>"),
        (
            {"type": "map", "key": "string", "value": {"type": "list", "element": "int"}},
            "map<string,array<int>>",
        ),
        (
            {
                "type": "struct",
                "fields": [
                    {"name": "time", "type": "timestamptz"},
                    {"name": "tags", "type": {"type": "list", "element": "string"}},
                ],
            },
            "struct<time:timestamp,tags:array<string>>",
        ),
    ],
)
def test_types_are_spelt_as_spark_spells_them(iceberg: object, spark: str) -> None:
    assert type_text(iceberg) == spark


def test_tables_are_listed_in_order_and_only_those_of_the_catalog(lake: PaperLake) -> None:
    for table in ("silver.b", "bronze.z", "silver.a"):
        lake.create(table, {"id": "string"})
    other = PaperLake(lake.warehouse, catalog="other")
    other.create("silver.foreign", {"id": "string"})

    assert list(map(str, lake.catalog.tables())) == ["bronze.z", "silver.a", "silver.b"]
    assert lake.catalog.table(TableRef("silver", "foreign")) is None
    assert other.catalog.table(TableRef("silver", "foreign")) is not None


def test_looking_for_a_lake_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    catalog = LocalCatalog(tmp_path / "lake", "lake")
    assert catalog.table(ORDERS) is None
    assert catalog.tables() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_that_has_no_tables_yet_is_empty(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").touch()
    catalog = LocalCatalog(tmp_path, "lake")
    assert catalog.table(ORDERS) is None
    assert (tmp_path / "catalog.db").stat().st_size == 0, "looking does not write the database"


def test_a_file_that_is_no_database_is_an_error_and_not_an_empty_lake(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_text("no database at all, but text " * 10)
    with pytest.raises(sqlite3.DatabaseError):
        LocalCatalog(tmp_path, "lake").tables()


def test_a_database_of_another_shape_is_an_error_and_not_an_empty_lake(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("CREATE TABLE iceberg_tables(id TEXT)")
    connection.close()
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        LocalCatalog(tmp_path, "lake").tables()


@pytest.mark.parametrize("name", ["my lake", "50%25", "lake#1", "é"])
def test_the_lakes_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    lake = PaperLake(tmp_path / name)
    lake.create(ORDERS, {"id": "string"})
    assert lake.catalog.tables() == (ORDERS,)


def test_a_lake_is_read_after_its_writer_was_killed_in_the_middle_of_a_commit(lake: PaperLake) -> None:
    lake.create(ORDERS, {"id": "string"})
    database = lake.warehouse / "catalog.db"
    # With a cache this small, changed pages and their rollback journal are on disk before the commit.
    killed = f"""
import os, signal, sqlite3
connection = sqlite3.connect({str(database)!r}, isolation_level=None)
connection.execute("PRAGMA cache_size = 2")
connection.execute("BEGIN IMMEDIATE")
for i in range(2000):
    row = (f"t{{i}}", "x" * 500)
    connection.execute("INSERT INTO iceberg_tables VALUES ('lake', 'silver', ?, ?, NULL, 'TABLE')", row)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert (lake.warehouse / "catalog.db-journal").exists()

    assert lake.catalog.tables() == (ORDERS,)
