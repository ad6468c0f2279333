"""Bronze, silver and gold by hand: what an engineer writes without a framework, as a fair other side.

One session from the same launcher with the same settings, the same queries, plain MERGEs straight into
the tables. No checks, no quarantine, no audit, no positions: the caller says which files are new, and
gold takes the days that they touch. With several batches each is run after the other, as a schedule does.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import time
from pathlib import Path
from typing import Any

from runner.engine.spark.launch import launch

ROOT = Path(__file__).resolve().parent.parent
REGIONS = ROOT / "sql/reference/domain_regions.csv"
GOLD = ("gold.hourly_stats", "gold.risk_scores", "gold.entity_trends")


def catalog(lake: Path) -> dict[str, str]:
    """The lake as a catalog of Spark's."""
    return {
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "spark.sql.catalog.lake.uri": f"jdbc:sqlite:{lake}/catalog.db",
        "spark.sql.catalog.lake.warehouse": str(lake),
        "spark.sql.catalog.lake.jdbc.schema-version": "V1",
        "spark.sql.catalog.lake.cache-enabled": "false",
        "spark.sql.defaultCatalog": "lake",
    }


class Medallion:
    """The five tables on one session; ``run`` brings them up to date with a batch of files."""

    def __init__(self, spark: Any, statements: dict[str, dict[str, str]]) -> None:
        self.spark = spark
        self.statements = statements
        for table, of in statements.items():
            spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {table.split('.')[0]}")
            spark.sql(of["create"])
        spark.read.option("header", "true").csv(str(REGIONS)).createOrReplaceTempView("__regions")

    def run(self, files: list[str], first: bool) -> dict[str, float]:
        """Seconds by table."""
        seconds = {}
        batch = (
            time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}"
        )
        started = time.perf_counter()
        self.spark.read.text(files).selectExpr(
            "value",
            "CAST(NULL AS STRING) AS topic",
            "CAST(NULL AS INT) AS partition",
            "CAST(NULL AS BIGINT) AS offset",
            f"TIMESTAMP'{batch}' AS received_at",
            "struct(_metadata.file_modification_time, _metadata.file_path, _metadata.file_block_start,"
            " monotonically_increasing_id()) AS arrival",
        ).createOrReplaceTempView("__events")
        raw = self.statements["bronze.raw_events"]
        self._merge(
            "bronze.raw_events",
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY arrival) AS nth"
            f" FROM ({raw['query']}) WHERE {raw['filter']}) WHERE nth = 1",
        )
        seconds["bronze.raw_events"] = time.perf_counter() - started

        started = time.perf_counter()
        new = self.spark.table("bronze.raw_events").where(f"ingested_at = TIMESTAMP'{batch}'")
        new.createOrReplaceTempView("__events")
        self._merge("silver.cleaned_events", self.statements["silver.cleaned_events"]["query"])
        seconds["silver.cleaned_events"] = time.perf_counter() - started

        started = time.perf_counter()
        silver = self.spark.table("silver.cleaned_events")
        days = (
            []
            if first
            else [row[0] for row in new.selectExpr("CAST(event_date AS STRING)").distinct().collect()]
        )
        for table in GOLD:
            source, query = silver, self.statements[table]["query"]
            if days:
                touched = ", ".join(f"DATE'{day}'" for day in days)
                within = f"event_date IN ({touched})"
                if table == "gold.entity_trends":  # a day is compared with the one before
                    query = (
                        f"SELECT * FROM ({query}) WHERE stat_date IN ({touched})"
                        f" OR date_sub(stat_date, 1) IN ({touched})"
                    )
                    around = [
                        f"{within.replace('event_date', f'date_add(event_date, {n})')}" for n in (-1, 0, 1)
                    ]
                    within = " OR ".join(around)
                source = silver.where(within)
            source.createOrReplaceTempView("__events")
            self._merge(table, query)
            seconds[table] = time.perf_counter() - started
            started = time.perf_counter()
        return seconds

    def _merge(self, table: str, query: str) -> None:
        of = self.statements[table]
        self.spark.sql(f"MERGE INTO {table} AS t USING ({query}) AS s ON {of['on']} {of['clauses']}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--statements", type=Path, required=True)
    parser.add_argument("--report", type=Path)
    parser.add_argument("batches", nargs="+", help="files, or folders of files, of one batch each")
    given = parser.parse_args()
    given.lake.mkdir(parents=True, exist_ok=True)
    spark = launch(conf=catalog(given.lake.absolute()), log_file=given.lake / "spark.log")
    medallion = Medallion(spark, json.loads(given.statements.read_text(encoding="utf-8")))
    report: list[dict[str, Any]] = []
    counter = None
    for index, batch in enumerate(given.batches):
        files = sorted(glob.glob(f"{batch}/*")) if os.path.isdir(batch) else [batch]
        started = time.perf_counter()
        seconds = medallion.run(files, first=index == 0)
        entry: dict[str, Any] = {"seconds": time.perf_counter() - started, "models": seconds}
        if given.report:
            from bench.counts import Counter

            counter = counter or Counter(spark)
            entry["counts"] = counter.take().document()
        report.append(entry)
    if given.report:
        given.report.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
