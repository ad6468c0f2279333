"""What a session did, as Spark itself counted it: statements, jobs, tasks, and what each scan read.

In: a running session. Out: :class:`Counts`. Spark keeps these records with its web page switched off, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Scan:
    """What the scans of one relation read. ``files`` is 0 where the scan was given its files."""

    files: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Counts:
    """Sums over a part of a session. ``statements``: those that Spark executed; ``scans``: by relation,
    a file that two scans read counts twice."""

    statements: int
    jobs: int
    tasks: int
    scans: Mapping[str, Scan]

    @property
    def rows(self) -> int:
        return sum(scan.rows for scan in self.scans.values())

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"rows": self.rows}


class Counter:
    """Takes counts of a session piece by piece."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._jobs = self._tasks = 0
        self._last = -1

    def take(self) -> Counts:
        """What was done since the last call."""
        jvm: Any = self._spark._jvm
        to_java = jvm.scala.jdk.javaapi.CollectionConverters
        context: Any = self._spark.sparkContext._jsc.sc()
        context.listenerBus().waitUntilEmpty()
        all_jobs = to_java.asJava(context.statusStore().jobsList(None))
        jobs, tasks = len(all_jobs), sum(job.numCompletedTasks() for job in all_jobs)
        store = self._spark._jsparkSession.sharedState().statusStore()
        executions = [e.executionId() for e in to_java.asJava(store.executionsList())]
        new = [e for e in executions if e > self._last]
        scans: dict[str, Scan] = {}
        for execution in new:
            values = to_java.asJava(store.executionMetrics(execution))
            for node in to_java.asJava(store.planGraph(execution).allNodes()):
                if relation := _relation(node.name()):
                    metrics = {
                        m.name(): values.get(m.accumulatorId()) for m in to_java.asJava(node.metrics())
                    }
                    before = scans.get(relation, Scan())
                    files = sum(number(metrics.get(name) or "0") for name in _FILES)
                    rows = number(metrics.get("number of output rows") or "0")
                    scans[relation] = Scan(before.files + files, before.rows + rows)
        found = Counts(len(new), jobs - self._jobs, tasks - self._tasks, scans)
        self._jobs, self._tasks, self._last = jobs, tasks, max([self._last, *executions])
        return found


#: Iceberg's scans, and Spark's own.
_FILES = ("number of result data files", "number of files read")


def _relation(node: str) -> str:
    """``silver.cleaned_events`` of a plan's ``BatchScan lake.silver.cleaned_events``; empty for no scan."""
    match = re.match(r"(?:BatchScan|Scan|FileScan) (.*)", node)
    if not match or match[1].startswith("ExistingRDD") or match[1].startswith("OneRow"):
        return ""
    name = match[1].strip()
    # A set of file tasks that the runner staged has a random name.
    return (
        "a change set"
        if re.fullmatch(r"\S*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\S*", name)
        else re.sub(r"^lake\.", "", name)
    )


def number(text: str) -> int:
    """The total of a metric as Spark prints it: ``1,234``, or ``total (…)`` over ``1,234 (…)``."""
    last = text.strip().splitlines()[-1]
    match = re.match(r"[\d,]+", last)
    return int(match.group().replace(",", "")) if match else 0


def changed(lake: Path, table: str) -> dict[str, int]:
    """Of a table's newest snapshot: changed partitions, added files and rows; and the table's partitions."""
    from runner.catalog import LocalCatalog
    from runner.refs import TableRef

    state = LocalCatalog(lake, "lake").table(TableRef.parse(table))
    head = state.head() if state else None
    summary = head.summary if head else {}
    keys = ("changed-partition-count", "added-data-files", "added-delete-files", "total-data-files")
    return {key: int(summary.get(key, 0)) for key in keys}


def results(target: Path) -> dict[str, dict[str, Any]]:
    """``run_results.json`` by table."""
    document = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
    return {r["relation_name"]: r for r in document["results"]}


def partitions(lake: Path, table: str) -> int:
    """How many partitions hold data: folders, as Iceberg lays out identity partitions."""
    from runner.catalog import LocalCatalog
    from runner.refs import TableRef

    state = LocalCatalog(lake, "lake").table(TableRef.parse(table))
    if state is None:
        return 0
    data = Path(state.location.removeprefix("file:")) / "data"
    return len({path.parent for path in data.rglob("*.parquet")})
