"""The models of a fleet as a script by hand: one session, a table and a MERGE each, one after another.

The session is the runner's launcher with its settings, JVM flags and class archive; there are no checks.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.fleet import SCHEMA
from bench.peer import event_log
from bench.raw_medallion import catalog
from runner.engine.spark.launch import launch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--events-log", type=Path, required=True)
    parser.add_argument("statements", type=Path)
    given = parser.parse_args()
    given.lake.mkdir(parents=True, exist_ok=True)
    given.events_log.mkdir(parents=True, exist_ok=True)
    conf = catalog(given.lake.absolute()) | event_log(given.events_log.absolute())
    spark = launch(conf=conf, log_file=given.lake / "spark.log")
    spark.sql(f"CREATE NAMESPACE {SCHEMA}")
    for statement in json.loads(given.statements.read_text(encoding="utf-8")):
        spark.sql(statement["create"])
        spark.sql(statement["merge"])


if __name__ == "__main__":
    main()
