"""The file difference of two snapshots: only files that are not in both are read.

Rows that did not change but lie in a rewritten file have the same ``_row_id`` and the same
``_last_updated_sequence_number`` on both sides; a full outer join leaves them out. That is exact for
updates, deletes, compaction and rollbacks (see docs/architecture.md, "The change set").
"""

from __future__ import annotations

import uuid
from typing import Any

from py4j.java_gateway import JavaMember, JavaObject
from pyspark.sql import DataFrame, SparkSession

from runner.catalog import type_text

ROW_ID = "_row_id"
SEQUENCE = "_last_updated_sequence_number"

Key = tuple[str, tuple[tuple[str, int], ...]]


def load_table(spark: SparkSession, name: str) -> JavaObject:
    """Iceberg's Java table of a quoted name."""
    return spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name)  # type: ignore[union-attr]


def scan_tasks(table: JavaObject, snapshot: int) -> dict[Key, JavaObject]:
    """The file tasks of a snapshot by data file and deletion vectors."""
    files = table.newScan().useSnapshot(snapshot).planFiles()
    tasks: dict[Key, JavaObject] = {}
    try:
        iterator = files.iterator()
        while iterator.hasNext():
            task = iterator.next()
            tasks[_key(task)] = task
    finally:
        files.close()
    return tasks


def _key(task: JavaObject) -> Key:
    deletes = task.deletes()
    marks = []
    for index in range(deletes.size()):
        delete = deletes.get(index)
        offset = delete.contentOffset()
        marks.append((delete.location(), -1 if offset is None else int(offset)))
    return task.file().location(), tuple(sorted(marks))


def partition_tuples(
    spark: SparkSession, table: JavaObject, tasks: dict[Key, JavaObject]
) -> tuple[dict[str, str], tuple[tuple[str | None, ...], ...]]:
    """The partition columns (name → type) and the distinct tuples of file tasks, as Spark prints them."""
    jvm: Any = spark._jvm
    fields = table.spec().partitionType().fields()
    columns = {
        fields.get(index).name(): type_text(fields.get(index).type().toString())
        for index in range(fields.size())
    }
    anything = jvm.java.lang.Class.forName("java.lang.Object")
    found = set()
    for task in tasks.values():
        data = task.file().partition()
        values = []
        for index, type_ in enumerate(columns.values()):
            value = data.get(index, anything)
            if value is not None and type_ == "date":  # days; Python's dates end at year 9999
                value = jvm.java.time.LocalDate.ofEpochDay(value).toString()
            values.append(None if value is None else _printed(value))
        found.add(tuple(values))
    return columns, tuple(sorted(found, key=repr))


def _printed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class StagedScans:
    """Sets of file tasks that Spark reads as tables; released together."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._staged: list[tuple[str, JavaObject]] = []

    def read(self, table: JavaObject, tasks: list[JavaObject]) -> DataFrame:
        """The rows of the tasks (deletes applied), with row id and sequence number."""
        jvm: Any = self._spark._jvm
        set_id = str(uuid.uuid4())
        tasks_list = jvm.java.util.ArrayList()
        for task in tasks:
            tasks_list.add(task)
        jvm.org.apache.iceberg.spark.ScanTaskSetManager.get().stageTasks(table, set_id, tasks_list)
        self._table_cache().add(set_id, table)
        self._staged.append((set_id, table))
        frame = self._spark.read.format("iceberg").load(set_id)
        return frame.select("*", ROW_ID, SEQUENCE)

    def release(self) -> None:
        jvm: Any = self._spark._jvm
        for set_id, table in self._staged:
            self._table_cache().remove(set_id)
            jvm.org.apache.iceberg.spark.ScanTaskSetManager.get().removeTasks(table, set_id)
        self._staged.clear()

    def _table_cache(self) -> JavaObject:
        # SparkTableCache.get has two overloads, and plain py4j picks the wrong one now and then.
        gateway: Any = self._spark.sparkContext._gateway
        return JavaMember(
            "get", None, "z:org.apache.iceberg.spark.SparkTableCache", gateway._gateway_client
        )()
