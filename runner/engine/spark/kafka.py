"""A topic as a relation: a range of offsets enters, a DataFrame with the fixed input columns leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from runner.refs import quote
from runner.spec import STREAM_COLUMNS

#: Of librdkafka alone, whose names the settings have; Java's clients would warn of them.
_NOT_JAVAS = ("sasl.username", "sasl.password")
_GROUP = "medallion-runner"
_FETCH_WAIT = "20"
_JAAS = "sasl.jaas.config"

_COLUMNS = {
    # Bytes stay what they are: a record that is no UTF-8 is set aside with all of them.
    "value": "CAST(value AS STRING)",
    "topic": "topic",
    "partition": "partition",
    "offset": "offset",
    # Set by the broker or the producer once, so that reading again gives the same.
    "received_at": "timestamp",
    # A key has one partition; what is in different ones has no order that a clock would not change.
    "arrival": "named_struct('time', CAST(NULL AS TIMESTAMP), 'source', topic,"
    " 'part', CAST(partition AS BIGINT), 'position', offset)",
}


def no_records(spark: SparkSession) -> DataFrame:
    """An empty relation of the fixed input columns."""
    columns = ", ".join(f"CAST(NULL AS {of}) AS {quote(name)}" for name, of in STREAM_COLUMNS.items())
    return spark.sql(f"SELECT {columns} WHERE false")


def read_topic(
    spark: SparkSession, topic: str, offsets: Mapping[int, tuple[int, int]], settings: Mapping[str, str]
) -> DataFrame:
    """The records from the first offset up to, not with, the second, by partition; read when it is used."""
    assert _COLUMNS.keys() == STREAM_COLUMNS.keys()
    if not offsets:
        return no_records(spark)
    starts, ends = ({str(p): ends[at] for p, ends in offsets.items()} for at in (0, 1))
    reader = (
        spark.read.format("kafka")
        # Only these partitions: one that is made meanwhile would be asked for a start.
        .option("assign", json.dumps({topic: sorted(offsets)}))
        .option("startingOffsets", json.dumps({topic: starts}))
        .option("endingOffsets", json.dumps({topic: ends}))
        .option("failOnDataLoss", "true")
        .option("kafka.isolation.level", "read_committed")
        # A fetch at the end of a partition would wait half a second for more: that is asked for by nobody.
        .option("kafka.fetch.max.wait.ms", _FETCH_WAIT)
        # Of the session, in place of one a query: connections are found again by it. Nothing is committed.
        .option("kafka.group.id", f"{_GROUP}-{spark.sparkContext.applicationId}")
    )
    for key, value in {**_login(settings), **settings}.items():
        if key not in _NOT_JAVAS:
            reader = reader.option(f"kafka.{key}", value)
    return reader.load().selectExpr(*(f"{sql} AS {quote(name)}" for name, sql in _COLUMNS.items()))


def _login(settings: Mapping[str, str]) -> dict[str, str]:
    """Java's form of a user name and a password."""
    if "sasl.username" not in settings or _JAAS in settings:
        return {}
    scram = settings.get("sasl.mechanism", settings.get("sasl.mechanisms", "")).startswith("SCRAM")
    module = "scram.ScramLoginModule" if scram else "plain.PlainLoginModule"
    user, password = (
        settings.get(key, "").replace("\\", "\\\\").replace('"', '\\"')
        for key in ("sasl.username", "sasl.password")
    )
    return {
        _JAAS: f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}";'
    }
