"""Bronze as the runner's stream in one process, with the seconds of each batch; a side of ``stream``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.feed import Feed
from bench.harness import ROOT
from runner.engine import Engine
from runner.engine.spark.engine import SparkEngine
from runner.errors import Place
from runner.lake import Lake
from runner.lineage import compile_project
from runner.load import load_project
from runner.selectors import select
from runner.sessions import start_spark
from runner.stream import Ending, StreamOptions, stream
from runner.topics import Brokers, Extents


class Dripping:
    """Brokers where a few events arrive each time they are asked; the clock starts when those are there."""

    def __init__(self, brokers: Brokers, feed: Feed | None) -> None:
        self._brokers, self._feed = brokers, feed
        self.number = 0
        self.asked: list[float] = []

    def extents(self, topic: str, place: Place) -> Extents:
        if self._feed:
            self._feed.drip(self.number)
            self.number += 1
        self.asked.append(time.perf_counter())
        return self._brokers.extents(topic, place)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--max-records", type=int, required=True)
    parser.add_argument("--drips", type=int, required=True)
    given = parser.parse_args()
    lake = given.lake.absolute()
    overrides = {"brokers": given.bootstrap, "topic": given.topic}
    project = load_project(ROOT, target="live", overrides=overrides, lake=lake)
    models = select(project, pipelines=["bronze"])
    rendered = compile_project(project, models)
    engine = start_spark(project, Lake.of(project), lake / "target", long=True)
    brokers = Brokers(project.profile.kafka, project.profile.place)

    def follow(batches: int, feed: Feed | None) -> list[tuple[int, float]]:
        """The records of each batch, and the seconds from when it was asked for until it was there."""
        topics = Dripping(brokers, feed)
        done: list[tuple[int, float]] = []

        def tell(kind: str, table: str, text: str, values: Mapping[str, Any]) -> None:
            if kind == "batch":
                done.append((values["rows_read"], time.perf_counter() - topics.asked[len(done)]))

        def start() -> Engine:
            return engine

        options = StreamOptions(
            trigger=0, max_records=given.max_records, batches=batches, artifacts=lake / "target"
        )
        stream(project, models, options, tell, Ending(), rendered=rendered, topics=topics, start_engine=start)
        return done

    batches = -(-given.events // given.max_records)
    report: dict[str, Any] = {"backlog": follow(batches, None)}
    report["drips"] = [seconds for _, seconds in follow(given.drips, Feed(given.bootstrap, given.topic))]
    assert isinstance(engine, SparkEngine)
    found = engine.spark.sql("SELECT count(1) AS rows, sum(hash(event_id)) AS ids FROM bronze.raw_events")
    report |= found.collect()[0].asDict()
    given.report.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
