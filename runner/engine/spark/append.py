"""Append a few rows of plain values to a table without a Spark job: one file a partition, one commit.

Values travel as JSON and are read by Iceberg against the table's schema: no text of theirs is ever parsed
as SQL, and nothing is planned. For a few rows, where a job would cost more than they do.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from py4j.java_gateway import JavaObject
from pyspark.sql import SparkSession

from runner.engine.spark.diff import load_table


def append_rows(
    spark: SparkSession, name: str, rows: Sequence[Mapping[str, object]], properties: Mapping[str, str]
) -> None:
    """Append ``rows`` (column → None, bool, int, float, Decimal, str, bytes, date, datetime in UTC, a list,
    or a mapping for a struct or map; a column that is left out is NULL) to the table of the quoted ``name``,
    in one commit that carries the properties. Without rows the commit is there, and empty.

    For tables partitioned by columns as they are.
    """
    table = load_table(spark, name)
    iceberg: Any = spark._jvm.org.apache.iceberg  # type: ignore[union-attr]
    schema = json.loads(iceberg.SchemaParser.toJson(table.schema()))
    split_by = table.spec().partitionType().fields()
    partitions = [split_by.get(i).name() for i in range(split_by.size())]
    groups: dict[tuple[object, ...], list[object]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(column) for column in partitions), []).append(_encoded(row, schema))
    commit = table.newAppend()
    for group in groups.values():
        commit.appendFile(_write(spark, table, json.dumps(group)))
    for key, value in properties.items():
        commit.set(key, value)
    commit.commit()


def _encoded(value: Any, of: Any) -> object:
    """A value of a type (as a schema's JSON tells it), as the Iceberg specification's "JSON single-value
    serialization" has it."""
    kind = of["type"] if isinstance(of, Mapping) else of
    match value:
        case None:
            return None
        case Mapping() if kind == "struct":
            return {
                str(field["id"]): _encoded(value[field["name"]], field["type"])
                for field in of["fields"]
                if value.get(field["name"]) is not None
            }
        case Mapping():
            return {
                "keys": [_encoded(key, of["key"]) for key in value],
                "values": [_encoded(item, of["value"]) for item in value.values()],
            }
        case list() | tuple():
            return [_encoded(item, of["element"]) for item in value]
        case dt.datetime():
            text = value.astimezone(dt.UTC).isoformat(timespec="microseconds")
            return text.removesuffix("+00:00") if kind == "timestamp" else text
        case dt.date():
            return value.isoformat()
        case Decimal():
            scale = int(kind.rstrip(")").rpartition(",")[2])
            return f"{value:.{scale}f}"
        case bytes() | bytearray():
            return value.hex().upper()
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
