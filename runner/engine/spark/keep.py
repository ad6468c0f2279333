"""Maintenance through Iceberg's Java API: Spark runs the jobs, and every commit carries our properties.

The SQL procedures cannot name snapshots to expire and give their commits no properties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JError, Py4JJavaError

from runner.engine import Compacted
from runner.engine.spark import faults
from runner.engine.spark.diff import load_table
from runner.engine.spark.engine import SparkEngine
from runner.refs import TableRef, quote


class SparkKeeper:
    """Implements :class:`runner.engine.Keeper` on an engine's session."""

    def __init__(self, engine: SparkEngine) -> None:
        self._engine = engine
        self._jvm: Any = engine.spark._jvm

    def _table(self, table: TableRef) -> JavaObject:
        return load_table(self._engine.spark, table.sql(self._engine.catalog))

    def _actions(self) -> JavaObject:
        return self._jvm.org.apache.iceberg.spark.actions.SparkActions.get(self._engine.spark._jsparkSession)

    def set_head(self, table: TableRef, snapshot: int) -> None:
        try:
            self._table(table).manageSnapshots().setCurrentSnapshot(snapshot).commit()
        except Py4JError as error:
            raise faults.run_failed(error, f"{table} cannot be taken to snapshot {snapshot}") from error

    def delete_all(self, table: TableRef, properties: Mapping[str, str]) -> None:
        expressions = self._jvm.org.apache.iceberg.expressions.Expressions
        self._delete(table, expressions.alwaysTrue(), properties)

    def delete_before(self, table: TableRef, column: str, before: str, properties: Mapping[str, str]) -> int:
        java, name = self._table(table), table.sql(self._engine.catalog)
        day = f"DATE'{before}'"
        fields = [java.spec().fields().get(i) for i in range(java.spec().fields().size())]
        parts = [f.name() for f in fields if java.schema().findColumnName(f.sourceId()) == column]
        if not parts:
            gone = f"{quote(column)} < {day}"
            removed = self._sum(f"SELECT count(1) AS n FROM {name} WHERE {gone}")
            if removed:
                self._engine.commit(f"DELETE FROM {name} WHERE {gone}", properties)
            return removed
        removed = self._sum(
            "SELECT sum(record_count - position_delete_record_count) AS n"
            f" FROM {name}.partitions WHERE partition.{quote(parts[0])} < {day}"
        )
        if removed:
            expressions = self._jvm.org.apache.iceberg.expressions.Expressions
            self._delete(table, expressions.lessThan(column, before), properties)
        return removed

    def added_before(self, table: TableRef, column: str, before: str, above: int) -> int:
        return self._sum(
            f"SELECT count(1) AS n FROM {table.sql(self._engine.catalog)}.entries"
            f" WHERE status < 2 AND sequence_number > {above}"
            f" AND data_file.partition.{quote(column)} < DATE'{before}'"
        )

    def _sum(self, sql: str) -> int:
        return int(self._engine.rows(sql)[0]["n"] or 0)

    def _delete(self, table: TableRef, where: JavaObject, properties: Mapping[str, str]) -> None:
        # Whole files by their partitions: no file is read, and a file that holds other rows refuses it.
        delete = self._table(table).newDelete().deleteFromRowFilter(where)
        for key, value in properties.items():
            delete.set(key, value)
        try:
            delete.commit()
        except Py4JError as error:
            raise faults.run_failed(error, f"rows of {table} cannot be removed") from error

    def compact(self, table: TableRef, target_bytes: int, properties: Mapping[str, str]) -> Compacted | None:
        action = self._actions().rewriteDataFiles(self._table(table)).binPack()
        # A file of which a third is deleted is rewritten alone; fewer than five small ones are left.
        action.option("target-file-size-bytes", str(target_bytes))
        for key, value in properties.items():
            action.snapshotProperty(key, value)
        try:
            result = action.execute()
        except Py4JJavaError as error:
            if faults.is_conflict(error):
                return None
            raise faults.run_failed(error, f"{table} cannot be compacted") from error
        return Compacted(
            result.rewrittenDataFilesCount(), result.addedDataFilesCount(), result.rewrittenBytesCount()
        )

    def expire(self, table: TableRef, snapshots: Sequence[int]) -> None:
        # By name alone: without a time of its own Iceberg would also expire what is older than five days.
        expire = self._table(table).expireSnapshots().expireOlderThan(0)
        for snapshot in snapshots:
            expire.expireSnapshotId(snapshot)
        try:
            expire.cleanExpiredFiles(True).commit()
        except Py4JError as error:
            raise faults.run_failed(error, f"snapshots of {table} cannot be expired") from error

    def remove_orphans(self, table: TableRef, older_than_ms: int) -> int:
        try:
            result = self._actions().deleteOrphanFiles(self._table(table)).olderThan(older_than_ms).execute()
        except Py4JError as error:
            raise faults.run_failed(error, f"orphan files of {table} cannot be removed") from error
        iterator, count = result.orphanFileLocations().iterator(), 0
        while iterator.hasNext():
            iterator.next()
            count += 1
        return count

    def close(self) -> None:
        self._engine.close()
