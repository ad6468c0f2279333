"""Change sets on both paths: exact, and no more is read than what was committed in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from runner.engine.spark.engine import SparkEngine
from runner.refs import TableRef
from tests.lab import Lab, Row

TABLE = TableRef("db", "rows")


class Table:
    """``db.rows(id, day, n)``, partitioned by day, a file a day and commit."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.engine().create_table(
            TABLE, {"id": "int", "day": "date", "n": "int"}, partitions=["day"], format_version=3
        )

    def insert(self, ids: range, day: int) -> int:
        values = ", ".join(f"({i}, DATE'2026-01-{day:02}', {i})" for i in ids)
        self.lab.sql(f"INSERT INTO db.rows SELECT * FROM VALUES {values} AS v(id, day, n)")
        return self.head

    def do(self, sql: str) -> int:
        self.lab.sql(sql)
        return self.head

    def compact(self) -> int:
        self.lab.sql(
            "CALL lake.system.rewrite_data_files(table => 'db.rows', options => map('rewrite-all', 'true'))"
        )
        return self.head

    @property
    def head(self) -> int:
        head = self.lab.head("db.rows")
        assert head is not None
        return head.id

    def between(self, since: int, until: int) -> tuple[list[Row], list[Row], int, int]:
        """New rows, old images, files read, files of the table; by the path that the plan would take."""
        state = self.lab.lake.catalog.table(TABLE)
        assert state is not None
        engine = self.lab.engine()
        line = [s for s in state.ancestry(until) if s.sequence > state.snapshots[since].sequence]
        added = (
            bool(line)
            and all(s.operation in ("append", "replace") for s in line)
            and line[-1].parent == since
        )
        above = state.snapshots[since].sequence if added else None
        diff = engine.bind_diff("new", "old", TABLE, since, until, above=above)
        self.method = "appended" if added else "difference"
        found = tuple(engine.rows(f"SELECT id, n FROM {view} ORDER BY id, n") for view in ("new", "old"))
        engine.close()
        return found[0], found[1], diff.files_scanned, diff.files_total


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> Table:
    return Table(Lab(spark, tmp_path))


def ids(rows: list[Row]) -> list[int]:
    return [row["id"] for row in rows]


def test_appended_files_alone_are_read(table: Table) -> None:
    table.insert(range(10), day=1)
    first = table.insert(range(10, 20), day=2)
    last = table.insert(range(20, 25), day=2)
    new, old, scanned, total = table.between(first, last)
    assert (table.method, ids(new), old) == ("appended", [20, 21, 22, 23, 24], [])
    assert (scanned, total) == (1, 3)


def test_appended_rows_are_found_across_a_compaction_that_moved_them(table: Table) -> None:
    first = table.insert(range(10), day=1)
    table.insert(range(10, 15), day=1)
    table.compact()
    last = table.insert(range(15, 17), day=2)
    new, old, _, _ = table.between(first, last)
    assert (table.method, ids(new), old) == ("appended", list(range(10, 17)), [])


def test_a_compaction_alone_changes_nothing(table: Table) -> None:
    table.insert(range(5), day=1)
    first = table.insert(range(5, 10), day=1)
    last = table.compact()
    new, old, _, _ = table.between(first, last)
    assert (new, old) == ([], [])


def test_the_difference_reads_only_the_partitions_that_commits_touched(table: Table) -> None:
    for day in range(1, 9):
        table.insert(range(day * 10, day * 10 + 10), day)
    first = table.head
    table.do("UPDATE db.rows SET n = -1 WHERE id = 31")
    last = table.do("DELETE FROM db.rows WHERE id = 32")
    new, old, scanned, total = table.between(first, last)
    assert table.method == "difference"
    assert new == [{"id": 31, "n": -1}]
    assert old == [{"id": 31, "n": 31}, {"id": 32, "n": 32}]
    assert total == 9
    assert scanned == 3, "the file before, with its deletes, and the new row's"


def test_the_difference_is_exact_over_rollback_compaction_and_moved_rows(table: Table) -> None:
    start = table.insert(range(10), day=1)
    table.insert(range(10, 20), day=2)
    branch = table.do("UPDATE db.rows SET day = DATE'2026-01-03' WHERE id = 11")
    table.compact()
    table.do(f"CALL lake.system.rollback_to_snapshot('db.rows', {start})")
    last = table.do("DELETE FROM db.rows WHERE id = 3")
    new, old, _, _ = table.between(branch, last)
    assert (ids(new), ids(old)) == ([], [3, *range(10, 20)])
    new, old, _, _ = table.between(last, branch)
    assert (ids(new), ids(old)) == ([3, *range(10, 20)], [])


def test_partitions_of_null_are_found(table: Table) -> None:
    table.do("INSERT INTO db.rows VALUES (1, NULL, 1), (2, DATE'2026-01-01', 2)")
    first = table.head
    last = table.do("UPDATE db.rows SET n = 9 WHERE id = 1")
    new, old, scanned, _ = table.between(first, last)
    assert (new, old, scanned) == ([{"id": 1, "n": 9}], [{"id": 1, "n": 1}], 3)


def test_an_unpartitioned_table(table: Table) -> None:
    engine = table.lab.engine()
    assert isinstance(engine, SparkEngine)
    table.lab.sql("DROP TABLE db.rows")
    engine.create_table(TABLE, {"id": "int", "n": "int"})
    first = table.do("INSERT INTO db.rows VALUES (1, 1), (2, 2)")
    last = table.do("DELETE FROM db.rows WHERE id = 2")
    new, old, _, _ = table.between(first, last)
    assert (new, old) == ([], [{"id": 2, "n": 2}])
    assert engine.bind_partitions("parts", TABLE, last) == {}
