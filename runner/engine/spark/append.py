"""Append a few rows of plain values to a table without a Spark job: one file a partition, one commit.

Values travel as JSON and are read by Iceberg against the table's schema: no text of theirs is ever parsed
as SQL, and nothing is planned. For small tables of bookkeeping, where a job would cost more than its rows.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from py4j.java_gateway import JavaObject
from pyspark.sql import SparkSession

from runner.engine.spark.diff import load_table


def append_rows(
    spark: SparkSession, name: str, rows: Sequence[Mapping[str, object]], properties: Mapping[str, str]
) -> None:
    """Append ``rows`` (column → None, bool, int, float, str, date or datetime in UTC; a column that is left
    out is NULL) to the table of the quoted ``name``, in one commit that carries the properties.

    For tables partitioned by columns as they are.
    """
    table = load_table(spark, name)
    fields = table.schema().columns()
    ids = {fields.get(i).name(): str(fields.get(i).fieldId()) for i in range(fields.size())}
    split_by = table.spec().partitionType().fields()
    partitions = [split_by.get(i).name() for i in range(split_by.size())]
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in rows:
        values = {ids[column]: _plain(value) for column, value in row.items() if value is not None}
        groups.setdefault(tuple(row.get(column) for column in partitions), []).append(values)
    commit = table.newAppend()
    for group in groups.values():
        commit.appendFile(_write(spark, table, json.dumps(group)))
    for key, value in properties.items():
        commit.set(key, value)
    commit.commit()


def _plain(value: object) -> object:
    """A value as Iceberg's JSON has it (Iceberg specification, "JSON single-value serialization")."""
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
        case dt.date():
            return value.isoformat()
    return value


def _write(spark: SparkSession, table: JavaObject, rows: str) -> JavaObject:
    """A data file of rows (a JSON array, objects keyed by field id) that share their partition."""
    iceberg: Any = spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
    schema, spec = table.schema(), table.spec()
    records = iceberg.SingleValueParser.fromJson(
        iceberg.types.Types.ListType.ofRequired(1, schema.asStruct()), rows
    )
    partition = iceberg.PartitionKey(spec, schema)
    partition.partition(records.get(0))
    parquet = iceberg.FileFormat.PARQUET
    path = table.locationProvider().newDataLocation(spec, partition, f"{uuid.uuid4()}.parquet")
    writer = iceberg.InternalData.write(parquet, table.io().newOutputFile(path)).schema(schema).build()
    try:
        writer.addAll(records)
    finally:
        writer.close()
    return (
        iceberg.DataFiles.builder(spec)
        .withPath(path)
        .withFormat(parquet)
        .withPartition(partition)
        .withFileSizeInBytes(writer.length())
        .withMetrics(writer.metrics())
        .withSplitOffsets(writer.splitOffsets())
        .build()
    )
