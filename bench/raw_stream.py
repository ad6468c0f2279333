"""Bronze as a stream by hand: Structured Streaming, foreachBatch, one MERGE; the other side of ``stream``.

The same launcher, JVM flags and query. No checks, no quarantine, no audit.
Its position is Spark's checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from bench.feed import Feed
from bench.raw_medallion import catalog
from runner.engine.spark.launch import launch

_COLUMNS = (
    "CAST(value AS STRING) AS value",
    "topic",
    "partition",
    "offset",
    "timestamp AS received_at",
    "struct(CAST(NULL AS TIMESTAMP), topic, CAST(partition AS BIGINT), offset) AS arrival",
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--statements", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--max-records", type=int, required=True)
    parser.add_argument("--drips", type=int, required=True)
    given = parser.parse_args()
    given.lake.mkdir(parents=True, exist_ok=True)
    spark = launch(
        conf=catalog(given.lake.absolute()), log_file=given.lake / "spark.log", groups=["kafka"], long=True
    )
    raw = json.loads(given.statements.read_text(encoding="utf-8"))["bronze.raw_events"]
    spark.sql("CREATE NAMESPACE IF NOT EXISTS bronze")
    spark.sql(raw["create"])
    query = (
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY arrival) AS nth"
        f" FROM ({raw['query']}) WHERE {raw['filter']}) WHERE nth = 1"
    )
    merge = f"MERGE INTO bronze.raw_events AS t USING ({query}) AS s ON {raw['on']} {raw['clauses']}"

    def each(frame: Any, number: int) -> None:
        frame.createOrReplaceTempView("__events")
        frame.sparkSession.sql(merge)

    def start(**trigger: Any) -> Any:
        stream = (
            spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", given.bootstrap)
            .option("subscribe", given.topic)
            .option("startingOffsets", "earliest")
            .option("maxOffsetsPerTrigger", str(given.max_records))
            .load()
            .selectExpr(*_COLUMNS)
        )
        writer = stream.writeStream.foreachBatch(each)
        return writer.option("checkpointLocation", str(given.lake / "checkpoint")).trigger(**trigger).start()

    backlog = start(availableNow=True)
    backlog.awaitTermination()
    report: dict[str, Any] = {
        "backlog": [
            (batch["numInputRows"], batch["durationMs"]["triggerExecution"] / 1000)
            for batch in backlog.recentProgress
            if batch["numInputRows"]
        ],
        "drips": [],
    }
    dripping = start(processingTime="0 seconds")
    feed = Feed(given.bootstrap, given.topic)
    for number in range(given.drips):
        feed.drip(number)
        began = time.perf_counter()
        dripping.processAllAvailable()
        report["drips"].append(time.perf_counter() - began)
    dripping.stop()
    report |= (
        spark.sql("SELECT count(1) AS rows, sum(hash(event_id)) AS ids FROM bronze.raw_events")
        .collect()[0]
        .asDict()
    )
    given.report.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
