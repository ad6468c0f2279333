"""From a process's start to its first MERGE: with the class archive, without it, and as pyspark does it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.harness import interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.raw_medallion import catalog

HOW = (
    "A process that starts a session, makes a table, MERGEs ten rows into it and counts them: from its"
    " start to its exit. `launch` is the runner's launcher with its archive of loaded classes; then the"
    " same with the JDK's own archive in its place; then `SparkSession.builder`, which starts"
    " `spark-submit`, with its default JVM flags."
)

SIDES = ("launch", "without archive", "pyspark")


def run(options: Options) -> Outcome:
    """Seconds of the three ways."""
    log = options.work / "cold.log"

    def side(name: str) -> Any:
        return lambda index: measure(
            python("-m", "bench.cold", name, options.work / f"{name.replace(' ', '-')}-{index}"), log=log
        )

    found = interleave({name: side(name) for name in SIDES}, options.rounds)
    theirs = [m.seconds for m in found["pyspark"]]
    rows = [
        [
            name,
            median([m.seconds for m in runs]),
            ratio([m.seconds for m in runs], theirs),
            runs[0].jvms,
        ]
        for name, runs in found.items()
    ]
    columns = ["session", "seconds", "÷ pyspark", "JVMs"]
    seconds = {name: [m.seconds for m in runs] for name, runs in found.items()}
    return Outcome(
        "cold",
        HOW,
        [Block("First MERGE", columns, rows)],
        [Aim("launch ÷ pyspark", ratio(seconds["launch"], theirs), 1.0)],
        {name: [vars(m) for m in runs] for name, runs in found.items()},
    )


def first_merge(side: str, lake: Path) -> None:
    """What is measured."""
    lake.mkdir(parents=True)
    spark = _pyspark(lake) if side == "pyspark" else _launch(lake, archive=side == "launch")
    spark.sql("CREATE NAMESPACE bench")
    spark.sql(
        "CREATE TABLE bench.t (id BIGINT, v STRING) USING iceberg"
        " TBLPROPERTIES ('format-version' = '3', 'write.merge.mode' = 'merge-on-read')"
    )
    spark.sql(
        "MERGE INTO bench.t AS t USING (SELECT id, string(id) AS v FROM range(10)) AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    assert spark.sql("SELECT count(*) FROM bench.t").collect()[0][0] == 10


def _launch(lake: Path, *, archive: bool) -> Any:
    from runner.engine.spark import java
    from runner.engine.spark.launch import launch

    conf = catalog(lake)
    if not archive:
        own = java.find().executable.parent.parent / "lib" / "server" / "classes.jsa"
        conf["spark.driver.extraJavaOptions"] = f"-XX:SharedArchiveFile={own}"
    return launch(conf=conf, log_file=lake / "spark.log")


def _pyspark(lake: Path) -> Any:
    from pyspark.sql import SparkSession

    from runner.engine.spark import jars

    builder = SparkSession.builder.master("local[*]").config(
        "spark.jars", ",".join(map(str, jars.ensure("lake")))
    )
    for key, value in catalog(lake).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("lake", type=Path)
    given = parser.parse_args()
    first_merge(given.side, given.lake.absolute())
