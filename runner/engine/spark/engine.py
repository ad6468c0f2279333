"""A session on one lake: the port's methods in terms of Spark SQL and Iceberg's Java API."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from runner.engine import Amount, Conflict, Diff, Retained
from runner.engine.spark import faults
from runner.engine.spark.append import append_rows
from runner.engine.spark.branches import Branches
from runner.engine.spark.diff import ROW_ID, SEQUENCE, FileRanges, StagedScans, load_table
from runner.engine.spark.kafka import no_records, read_topic
from runner.engine.spark.observe import Observations
from runner.errors import Place
from runner.files import InputFile
from runner.refs import TableRef, literal, quote
from runner.spec import STREAM_COLUMNS, Profile

_JAVA_ERRORS = (Py4JError, PySparkException)
_PROPERTY = "spark.sql.iceberg.snapshot-property."
_ADAPTIVE = "spark.sql.adaptive.enabled"
_PARTITIONS = "spark.sql.shuffle.partitions"


def catalog_conf(profile: Profile, warehouse: Path) -> dict[str, str]:
    """Spark's configuration of the lake's catalog: Iceberg's JDBC catalog on SQLite."""
    settings = {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        ".uri": f"jdbc:sqlite:{warehouse}/catalog.db",
        ".warehouse": str(warehouse),
        ".jdbc.schema-version": "V1",
        ".jdbc.busy_timeout": "60000",
        ".jdbc.transaction_mode": "IMMEDIATE",
        # Every session has a table cache of its own, which would hide other sessions' commits.
        ".cache-enabled": "false",
    }
    return {f"spark.sql.catalog.{profile.catalog}{key}": value for key, value in settings.items()}


class SparkEngine(Branches):
    """Implements :class:`runner.engine.Engine` on a new session of a running Spark."""

    def __init__(self, spark: SparkSession, profile: Profile, warehouse: Path) -> None:
        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            # pyspark prints every exception, with its whole trace, before anybody has caught it.
            PySparkLogger.getLogger(name).disabled = True
        self.spark = spark.newSession()
        self.catalog = profile.catalog
        self._profile, self._warehouse = profile, warehouse
        warehouse.mkdir(parents=True, exist_ok=True)
        for key, value in {**catalog_conf(profile, warehouse), **profile.conf}.items():
            if self.spark.conf.isModifiable(key) or key.startswith("spark.sql.catalog."):
                self.spark.conf.set(key, value)
        # Names without a catalog are the lake's; `spark_catalog` would hold nothing.
        self.spark.sql(f"USE {quote(self.catalog)}")
        self._partitions = self.spark.conf.get(_PARTITIONS) or "2"
        self._scans = StagedScans(self.spark)
        self._links: list[str] = []
        self._views: set[str] = set()
        self._observations = Observations()
        self._written: dict[str, StructType] = {}

    # inputs

    def bind_table(self, view: str, table: TableRef, snapshot: int | None, where: str = "") -> None:
        name = table.sql(self.catalog)
        version = f" VERSION AS OF {snapshot}" if snapshot is not None else ""
        condition = "false" if snapshot is None else where or "true"
        self._view(view, self.spark.sql(f"SELECT * FROM {name}{version} WHERE {condition}"))

    def bind_diff(
        self,
        new: str,
        old: str,
        table: TableRef,
        since: int,
        until: int,
        *,
        above: int | None = None,
        retained: Sequence[Retained] = (),
    ) -> Diff:
        java = load_table(self.spark, table.sql(self.catalog))
        ranges = FileRanges(self.spark, java)
        total = int(java.snapshot(until).summary().get("total-data-files") or 0)
        empty = self.spark.sql(f"SELECT *, {ROW_ID}, {SEQUENCE} FROM {table.sql(self.catalog)} LIMIT 0")
        if above is not None:
            come = ranges.appended(since, until, above)
            rows = self._scans.read(java, come).where(F.col(SEQUENCE) > above) if come else empty
            self._view(new, rows.drop(ROW_ID, SEQUENCE))
            self._view(old, empty.drop(ROW_ID, SEQUENCE))
            return Diff(bool(come), False, len(come), total)
        gone, come = ranges.difference(since, until)
        old_rows = self._scans.read(java, gone) if gone else empty
        for word in retained:
            old_rows = self._without(old_rows, table, word)
        new_rows = self._scans.read(java, come) if come else empty
        self._view(new, _only_changed(new_rows, old_rows) if gone else new_rows.drop(ROW_ID, SEQUENCE))
        self._view(old, _only_changed(old_rows, new_rows) if come else old_rows.drop(ROW_ID, SEQUENCE))
        return Diff(bool(come), bool(gone), len(gone) + len(come), total)

    def _without(self, rows: DataFrame, table: TableRef, word: Retained) -> DataFrame:
        """Rows but those that left by retention: they were there until it came."""
        left = f"{quote(word.column)} < DATE'{word.before}'"
        if word.snapshot is None:
            return rows.where(f"NOT coalesce({left}, false)")
        name = f"{table.sql(self.catalog)} VERSION AS OF {word.snapshot}"
        return rows.join(self.spark.sql(f"SELECT {ROW_ID} FROM {name} WHERE {left}"), ROW_ID, "left_anti")

    def bind_text(self, view: str, files: Sequence[InputFile], received_at: str) -> None:
        if not files:
            self._view(view, no_records(self.spark))
            return
        lines = self.spark.read.text(self._link(files)).select(
            "value",
            F.col("_metadata.file_name").alias("name"),
            F.col("_metadata.file_block_start").alias("part"),
            # Taken at the scan, before any shuffle: within a block it rises with the lines.
            F.monotonically_increasing_id().alias("position"),
        )
        # A literal relation: createDataFrame would start Python workers.
        listed = ", ".join(
            f"({literal(_link_name(i, f))}, {literal(f.path)}, {literal(f.modified_ms)})"
            for i, f in enumerate(files)
        )
        names = self.spark.sql(f"SELECT * FROM VALUES {listed} AS f(name, source, modified)")
        columns = {
            "value": "value",
            "topic": "CAST(NULL AS STRING)",
            "partition": "CAST(NULL AS INT)",
            "offset": "CAST(NULL AS BIGINT)",
            "received_at": f"TIMESTAMP'{received_at}'",
            "arrival": "named_struct('time', timestamp_millis(modified), 'source', source,"
            " 'part', part, 'position', position)",
        }
        assert columns.keys() == STREAM_COLUMNS.keys()
        joined = lines.join(F.broadcast(names), "name")
        self._view(view, joined.selectExpr(*(f"{sql} AS {quote(name)}" for name, sql in columns.items())))

    def bind_topic(
        self, view: str, topic: str, offsets: Mapping[int, tuple[int, int]], settings: Mapping[str, str]
    ) -> None:
        try:
            records = read_topic(self.spark, topic, offsets, settings)
        except _JAVA_ERRORS as error:
            raise faults.run_failed(error, f"the topic {topic} cannot be read") from error
        self._view(view, records)

    def bind_files(self, view: str, files: Sequence[InputFile], format: str) -> None:
        reader = self.spark.read.format(format)
        if format == "csv":
            reader = reader.option("header", "true").option("mode", "FAILFAST")
        self._view(view, reader.load(self._link(files)))

    def _link(self, files: Sequence[InputFile]) -> str:
        """A folder of links to the files: Spark passes over names that begin with ``_`` or ``.`` and
        reads ``[`` and ``{`` in names as patterns, without a word."""
        folder = tempfile.mkdtemp(prefix="inputs-")
        self._links.append(folder)
        for index, file in enumerate(files):
            os.symlink(file.path, os.path.join(folder, _link_name(index, file)))
        return folder

    # queries

    def define(
        self,
        view: str,
        sql: str,
        *,
        observe: Mapping[str, str] | None = None,
        at: Callable[[int, int], Place] | None = None,
    ) -> None:
        try:
            frame = self.spark.sql(sql)
        except _JAVA_ERRORS as error:
            if at is None:
                raise faults.run_failed(error, "a statement of the runner cannot be planned") from error
            raise faults.query_fault(error, sql, at) from error
        if observe:
            frame = self._observations.of(view, frame, observe)
        self._view(view, frame)

    def schema(self, view: str) -> dict[str, str]:
        return {f.name: f.dataType.simpleString() for f in self.spark.table(quote(view)).schema.fields}

    def expect(self, amount: Amount) -> None:
        wanted = {
            _ADAPTIVE: str(amount is Amount.MANY).lower(),
            _PARTITIONS: "1" if amount is Amount.HANDFUL else self._partitions,
        }
        for key, value in wanted.items():
            if key not in self._profile.conf:
                self.spark.conf.set(key, value)

    def stage(self, view: str, folder: str) -> dict[str, Any]:
        frame = self.spark.table(quote(view))
        self._written[folder] = frame.schema
        try:
            return self._observations.write(
                view,
                lambda: frame.write.mode("overwrite").parquet(folder),
                lambda: self.spark.read.parquet(folder),
            )
        except _JAVA_ERRORS as error:
            raise faults.run_failed(error, "the query failed while its rows were staged") from error

    def read_staged(self, view: str, folder: str) -> None:
        # Its columns are known: without them Spark runs a job that reads the files' footers.
        self._view(view, self.spark.read.schema(self._written[folder]).parquet(folder))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return [row.asDict(recursive=True) for row in self._run(sql).collect()]

    def stream_rows(self, sql: str) -> Iterator[dict[str, Any]]:
        for row in self._run(sql).toLocalIterator(prefetchPartitions=True):
            yield row.asDict(recursive=True)

    def _run(self, sql: str) -> DataFrame:
        try:
            return self.spark.sql(sql)
        except _JAVA_ERRORS as error:
            raise faults.run_failed(error, "a query failed") from error

    def _view(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(name)
        self._views.add(name)

    # tables

    def bind_partitions(self, view: str, table: TableRef, snapshot: int) -> dict[str, str]:
        java = load_table(self.spark, table.sql(self.catalog))
        names = {
            field.name(): java.schema().findColumnName(field.sourceId())
            for field in (java.spec().fields().get(i) for i in range(java.spec().fields().size()))
            if field.transform().isIdentity()
        }
        if not names or java.specs().size() > 1:
            return {}
        columns = ", ".join(f"partition.{quote(field)} AS {quote(name)}" for field, name in names.items())
        self._view(
            view,
            self.spark.sql(
                f"SELECT {columns} FROM {table.sql(self.catalog)}.partitions VERSION AS OF {snapshot}"
            ),
        )
        return self.schema(view)

    def create_table(
        self,
        table: TableRef,
        columns: Mapping[str, str],
        *,
        partitions: Sequence[str] = (),
        comments: Mapping[str, str] | None = None,
        format_version: int = 3,
    ) -> None:
        self.spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {quote(self.catalog)}.{quote(table.namespace)}")
        described = comments or {}
        rows = ", ".join(
            f"{quote(name)} {type_}" + (f" COMMENT {literal(described[name])}" if described.get(name) else "")
            for name, type_ in columns.items()
        )
        parts = f" PARTITIONED BY ({', '.join(map(quote, partitions))})" if partitions else ""
        properties = {
            "format-version": str(format_version),
            "write.merge.mode": "merge-on-read",
            "write.update.mode": "merge-on-read",
            "write.delete.mode": "merge-on-read",
            "commit.retry.num-retries": "20",
            # Rows are sorted by partition before they are written. Without it Iceberg keeps a file open for
            # each partition, and some thousand of them take all memory.
            "write.spark.fanout.enabled": "false",
        }
        given = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
        self._statement(
            f"CREATE TABLE IF NOT EXISTS {table.sql(self.catalog)} ({rows})"
            f" USING iceberg{parts} TBLPROPERTIES ({given})"
        )

    def alter_table(
        self,
        table: TableRef,
        *,
        add: Mapping[str, str],
        widen: Mapping[str, str],
        rename: Mapping[str, str] | None = None,
    ) -> None:
        name = table.sql(self.catalog)
        for old, new in (rename or {}).items():
            self._statement(f"ALTER TABLE {name} RENAME COLUMN {quote(old)} TO {quote(new)}")
        if add:
            columns = ", ".join(f"{quote(column)} {type_}" for column, type_ in add.items())
            self._statement(f"ALTER TABLE {name} ADD COLUMNS ({columns})")
        for column, type_ in widen.items():
            self._statement(f"ALTER TABLE {name} ALTER COLUMN {quote(column)} TYPE {type_}")

    def commit(self, sql: str, properties: Mapping[str, str]) -> None:
        with self._committing(properties, "the MERGE failed"):
            self.spark.sql(sql)

    @contextmanager
    def _committing(self, properties: Mapping[str, str], failed: str) -> Iterator[None]:
        """The commit within carries the properties; Conflict, or RunFailed that says ``failed``."""
        for key, value in properties.items():
            self.spark.conf.set(_PROPERTY + key, value)
        try:
            yield
        except _JAVA_ERRORS as error:
            if faults.is_conflict(error):
                raise Conflict(faults.root_message(error)) from error
            raise faults.run_failed(error, failed) from error
        finally:
            for key in properties:
                self.spark.conf.unset(_PROPERTY + key)

    def insert(
        self, view: str, table: TableRef, branch: str, columns: Sequence[str], properties: Mapping[str, str]
    ) -> dict[str, Any]:
        name = table.sql(self.catalog, branch)
        frame = self.spark.table(quote(view)).select(*map(quote, columns))
        with self._committing(properties, "the query failed while its rows were written"):
            return self._observations.write(
                view, lambda: frame.writeTo(name).append(), lambda: self.spark.table(name)
            )

    def append(
        self, table: TableRef, rows: Sequence[Mapping[str, object]], properties: Mapping[str, str]
    ) -> None:
        try:
            append_rows(self.spark, table.sql(self.catalog), rows, properties)
        except _JAVA_ERRORS as error:
            raise faults.run_failed(error, f"rows cannot be appended to {table}") from error

    def _statement(self, sql: str) -> None:
        try:
            self.spark.sql(sql)
        except _JAVA_ERRORS as error:
            raise faults.run_failed(error, "a table cannot be made or altered") from error

    def fork(self) -> SparkEngine:
        # A pool of its own: tasks of the threads' jobs take turns.
        self.spark.sparkContext.setLocalProperty("spark.scheduler.pool", threading.current_thread().name)
        return SparkEngine(self.spark, self._profile, self._warehouse)

    def cancel(self) -> None:
        self.spark.sparkContext.cancelAllJobs()

    def died(self) -> str:
        process: Any = self.spark.sparkContext._gateway
        code = process.proc.popen.poll()
        if code is None:
            return ""
        return f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code}"

    def close(self) -> None:
        self._scans.release()
        self._observations.clear()
        self._written.clear()
        for folder in self._links:
            shutil.rmtree(folder, ignore_errors=True)
        self._links.clear()
        for view in self._views:
            self.spark.catalog.dropTempView(view)
        self._views.clear()


def _only_changed(these: DataFrame, others: DataFrame) -> DataFrame:
    """Rows of ``these`` that are not the same row, of the same version, in ``others``."""
    known = others.select(F.col(ROW_ID).alias("_other_id"), F.col(SEQUENCE).alias("_other_sequence"))
    joined = these.join(known, F.col(ROW_ID) == F.col("_other_id"), "left")
    changed = joined.where(F.col("_other_id").isNull() | (F.col(SEQUENCE) != F.col("_other_sequence")))
    return changed.drop(ROW_ID, SEQUENCE, "_other_id", "_other_sequence")


def _link_name(index: int, file: InputFile) -> str:
    # The ending says how the file is compressed.
    suffix = os.path.splitext(file.path)[1]
    return f"f{index:06d}{suffix if suffix.isascii() else ''}"
