"""Change sets: which data files hold the rows that differ between two snapshots of a table.

Manifests are immutable, so whatever differs is listed in those that only one snapshot has; their
partitions then narrow the scan. The cost follows what was committed in between, not the table.

- *appended*: every commit in between added rows or moved them (compaction). The files of a data sequence
  number above the consumed one hold every new row, and rows of an older number are left out.
- *difference*: anything else. Rows that did not change but lie in a rewritten file have the same ``_row_id``
  and the same ``_last_updated_sequence_number`` on both sides; a full outer join leaves them out. That is
  exact for updates, deletes, compaction and rollbacks (docs/architecture.md, "The change set").
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from py4j.java_gateway import JavaMember, JavaObject
from pyspark.sql import DataFrame, SparkSession

ROW_ID = "_row_id"
SEQUENCE = "_last_updated_sequence_number"

#: Beyond this many partitions a scan is planned whole: the filter would cost more than it saves.
_MOST_PARTITIONS = 200
#: Partition types whose values compare exactly in an Iceberg expression.
_COMPARABLE = frozenset({"boolean", "int", "long", "date", "string", "timestamp", "timestamptz"})

#: A data file and the marks of its deletes: (location, offset) of each deletion vector or delete file.
Key = tuple[str, tuple[tuple[str, int], ...]]
#: A file in a manifest: a data file's location, or a delete's location and offset.
Mark = str | tuple[str, int]


@dataclass
class Listed:
    """What the manifests of one side list: data files, deletes, and the partitions they lie in."""

    data: dict[str, int] = field(default_factory=dict)  # location → data sequence number
    deletes: set[tuple[str, int]] = field(default_factory=set)  # location, offset
    partitions: dict[Mark, tuple[Any, ...]] = field(default_factory=dict)


def load_table(spark: SparkSession, name: str) -> JavaObject:
    """Iceberg's Java table of a quoted name."""
    return spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name)  # type: ignore[union-attr]


class FileRanges:
    """Plans the file tasks in which two snapshots of one table differ."""

    def __init__(self, spark: SparkSession, table: JavaObject) -> None:
        jvm: Any = spark._jvm
        self._jvm = jvm
        self._table = table
        self._object = jvm.java.lang.Class.forName("java.lang.Object")
        fields = table.spec().fields()
        self._fields = [fields.get(i) for i in range(fields.size())]
        types = table.spec().partitionType().fields()
        self._prunable = (
            len(self._fields) > 0
            and table.specs().size() == 1
            and all(f.transform().isIdentity() for f in self._fields)
            and all(types.get(i).type().toString() in _COMPARABLE for i in range(len(self._fields)))
        )

    def appended(self, since: int, until: int, above: int) -> list[JavaObject]:
        """Tasks of ``until`` with rows newer than sequence number ``above``; only appends and compactions
        lie between the two snapshots."""
        _, fresh = self._only(since, until)
        listed = self._list(m for m in fresh if m.sequenceNumber() > above)
        wanted = {location for location, sequence in listed.data.items() if sequence > above}
        if not wanted:
            return []
        tasks = self._tasks(until, listed, wanted)
        return [task for (location, _), task in tasks.items() if location in wanted]

    def difference(self, since: int, until: int) -> tuple[list[JavaObject], list[JavaObject]]:
        """Tasks that only ``since`` has, and those that only ``until`` has."""
        old_manifests, new_manifests = self._only(since, until)
        old, new = self._list(old_manifests), self._list(new_manifests)
        differs: set[Mark] = (old.data.keys() ^ new.data.keys()) | (old.deletes ^ new.deletes)
        if not differs:
            return [], []
        touched = Listed(partitions=_of(differs, old) | _of(differs, new))
        before = self._tasks(since, touched, None)
        after = self._tasks(until, touched, None)
        gone = [task for key, task in before.items() if key not in after]
        come = [task for key, task in after.items() if key not in before]
        return gone, come

    def _only(self, since: int, until: int) -> tuple[list[JavaObject], list[JavaObject]]:
        """Manifests that only one of the two snapshots has."""
        sides = []
        for snapshot in (since, until):
            manifests = self._table.snapshot(snapshot).allManifests(self._table.io())
            sides.append({m.path(): m for m in (manifests.get(i) for i in range(manifests.size()))})
        old, new = sides
        return [m for p, m in old.items() if p not in new], [m for p, m in new.items() if p not in old]

    def _list(self, manifests: Iterator[JavaObject] | list[JavaObject]) -> Listed:
        """The live entries of manifests."""
        files = self._jvm.org.apache.iceberg.ManifestFiles
        io, specs = self._table.io(), self._table.specs()
        listed = Listed()
        for manifest in manifests:
            data = manifest.content().id() == 0
            read = files.read if data else files.readDeleteManifest
            for file in _each(read(manifest, io, specs)):
                location = file.location()
                if data:
                    mark: Mark = location
                    listed.data[location] = file.dataSequenceNumber()
                else:
                    offset = file.contentOffset()
                    mark = (location, -1 if offset is None else int(offset))
                    listed.deletes.add(mark)
                if self._prunable:
                    tuple_ = file.partition()
                    listed.partitions[mark] = tuple(
                        tuple_.get(i, self._object) for i in range(len(self._fields))
                    )
        return listed

    def _tasks(self, snapshot: int, within: Listed, only: set[str] | None) -> dict[Key, JavaObject]:
        """The file tasks of a snapshot in the partitions of ``within``; of ``only`` some data files."""
        scan = self._table.newScan().useSnapshot(snapshot)
        chosen = {p for mark, p in within.partitions.items() if only is None or mark in only}
        if self._prunable and 0 < len(chosen) <= _MOST_PARTITIONS:
            scan = scan.filter(self._filter(chosen))
        return {_key(task): task for task in _each(scan.planFiles())}

    def _filter(self, partitions: set[tuple[Any, ...]]) -> JavaObject:
        expressions = self._jvm.org.apache.iceberg.expressions.Expressions
        schema = self._table.schema()
        names = [schema.findColumnName(f.sourceId()) for f in self._fields]
        found = None
        for values in partitions:
            both = None
            for name, value in zip(names, values, strict=True):
                test = expressions.isNull(name) if value is None else expressions.equal(name, value)
                both = test if both is None else getattr(expressions, "and")(both, test)
            found = both if found is None else getattr(expressions, "or")(found, both)
        assert found is not None
        return found


def _of(marks: set[Mark], listed: Listed) -> dict[Mark, tuple[Any, ...]]:
    return {mark: listed.partitions[mark] for mark in marks if mark in listed.partitions}


def _each(iterable: JavaObject) -> Iterator[JavaObject]:
    """The elements of a closeable iterable."""
    try:
        iterator = iterable.iterator()
        while iterator.hasNext():
            yield iterator.next()
    finally:
        iterable.close()


def _key(task: JavaObject) -> Key:
    deletes = task.deletes()
    marks = []
    for index in range(deletes.size()):
        delete = deletes.get(index)
        offset = delete.contentOffset()
        marks.append((delete.location(), -1 if offset is None else int(offset)))
    return task.file().location(), tuple(sorted(marks))


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
