"""A small project whose sources are tables of its own, on the shared Spark session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from runner.engine.spark.diff import load_table
from runner.engine.spark.engine import SparkEngine
from runner.errors import Fault
from runner.refs import TableRef
from tests.lab import Lab, Row
from tests.projects import write

PROFILES = "default: local\ntargets: {local: {type: local}}\n"
CLAUSES = """\
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""


def merge(query: str, key: str = "id", clauses: str = CLAUSES) -> str:
    on = " AND ".join(f"t.{column} = s.{column}" for column in key.split())
    return f"MERGE INTO {{{{ target }}}} AS t\nUSING (\n{query}\n) AS s\nON {on}\n{clauses}"


class Shop(Lab):
    """A lab whose project is a few lines, and whose sources are tables of the namespace ``ext``."""

    def __init__(self, spark: SparkSession, folder: Path, models: str, **sql: str) -> None:
        super().__init__(spark, folder / "lab", root=folder / "project")
        self.write(models, **sql)

    def write(self, models: str, **sql: str) -> None:
        """The project's pipeline, and the file of each model."""
        spec = f"pipeline: shop\nvars: {{events: events}}\nmodels:\n{models}"
        files = {"pipelines/shop.yml": spec, "profiles.yml": PROFILES}
        write(self.root, {**files, **{f"sql/{name}.sql": text for name, text in sql.items()}})

    def table(self, name: str, columns: Mapping[str, str], rows: str = "", *, version: int = 3) -> None:
        self.engine().create_table(TableRef.parse(name), columns, format_version=version)
        if rows:
            self.sql(f"INSERT INTO {name} VALUES {rows}")

    def compact(self, table: str) -> None:
        before = self.head(table)
        self.sql(
            f"CALL lake.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))"
        )
        after = self.head(table)
        assert before is not None
        assert after is not None
        assert (after.summary["operation"], after.id != before.id) == ("replace", True)

    def java(self, table: str) -> Any:
        engine = self.engine()
        assert isinstance(engine, SparkEngine)
        return load_table(engine.spark, TableRef.parse(table).sql(engine.catalog))

    def expire(self, table: str, snapshot: int) -> None:
        self.java(table).expireSnapshots().expireSnapshotId(snapshot).commit()

    def did(self, table: str) -> tuple[str, str]:
        """Mode and reason of a table's last node."""
        result = self.results()[table]
        return result["mode"], result["reason"]

    def counts(self, table: str) -> tuple[int, int, int]:
        """Rows that the last run inserted, updated and deleted."""
        counts = self.results()[table]["adapter_response"]
        return counts["rows_inserted"], counts["rows_updated"], counts["rows_deleted"]

    def faults(self) -> list[Fault]:
        return [fault for event in self.events for fault in event.faults]

    def values(self, table: str) -> list[list[Any]]:
        return [list(row.values()) for row in self.rows(table)]

    def assert_exact(self, table: str) -> list[Row]:
        """A rebuild finds nothing to change; the rows."""
        before = self.rows(table)
        assert self.run(full_refresh=True) == 0, self.faults()
        assert self.counts(table) == (0, 0, 0)
        assert self.rows(table) == before
        return before
