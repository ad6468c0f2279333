"""The runner in one process over several batches, with counts: ``python -m bench.session``.

Each batch is one ``runner run`` with its own place of new files, on the same Spark. Writes, for each, the
seconds of each model (as ``run_results.json`` says them) and what Spark counted in each, between the models.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.counts import Counter, results
from bench.harness import ROOT
from runner.engine import Engine
from runner.engine.spark.engine import SparkEngine
from runner.graph import order
from runner.lake import Lake
from runner.load import load_project
from runner.run import Event, RunOptions, run
from runner.sessions import start_spark


class Session:
    """Spark for all batches, started by the first that needs it."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self.engine: SparkEngine | None = None
        self.counter: Counter | None = None
        self.counts: dict[str, Any] = {}

    def batch(self, events: str) -> dict[str, Any]:
        """Run all models on one batch of files."""
        project = load_project(ROOT, overrides={"events": events}, lake=self.lake)
        artifacts = self.lake / "target"

        def start() -> Engine:
            if self.engine is None:
                engine = start_spark(project, Lake.of(project), artifacts)
                assert isinstance(engine, SparkEngine)
                self.engine, self.counter = engine, Counter(engine.spark)
            return self.engine

        self.counts = {}
        options = RunOptions(artifacts=artifacts)
        code = run(project, order(project), options, self._on_event, start_engine=start)
        if code:
            raise SystemExit(code)
        found = results(artifacts)
        return {
            "models": {table: r["execution_time"] for table, r in found.items()},
            "results": {table: r["adapter_response"] for table, r in found.items()},
            "counts": self.counts,
        }

    def _on_event(self, event: Event) -> None:
        if event.faults:
            print(*event.faults, sep="\n")
        if event.kind == "ok" and self.counter:
            self.counts[event.name] = self.counter.take().document()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("batches", nargs="+", help="what the variable `events` is in each run")
    given = parser.parse_args()
    session = Session(given.lake.absolute())
    report = [session.batch(events) for events in given.batches]
    given.report.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
