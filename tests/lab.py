"""A lake of its own for one test: the shipped project, run in process on the shared Spark session."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from runner.catalog import Catalog, Snapshot
from runner.engine import Engine
from runner.engine.spark.engine import SparkEngine
from runner.engine.spark.keep import SparkKeeper
from runner.graph import order
from runner.lake import Lake
from runner.load import load_project
from runner.maintain import Settings, Upkeep, jobs, maintain_all
from runner.promote import Wishes, publish_branch
from runner.refs import TableRef
from runner.rollback import Step, roll_back
from runner.run import Event, RunOptions, run
from runner.selectors import select
from runner.show import ndjson, printed
from runner.spec import Project

ROOT = Path(__file__).resolve().parent.parent
GOLD = ("gold.hourly_stats", "gold.risk_scores", "gold.entity_trends")
#: Columns that a clock, an arrival or a run fills: two runs over the same events differ in them.
CLOCKS = frozenset({"ingested_at", "arrival", "run_id"})

#: Everything old goes at once, as far as nobody needs it.
EAGER = Settings(expire_older_than=dt.timedelta(0), keep=1, orphans_older_than=dt.timedelta(0))

Row = dict[str, Any]


@dataclass
class Lab:
    """A project on a lake. ``events`` of a run were reported, in order."""

    spark: SparkSession
    folder: Path
    root: Path = ROOT
    overrides: Mapping[str, object] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = self.folder / "events"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.lake_folder = self.folder / "lake"
        self._engine: SparkEngine | None = None

    def project(self, **overrides: object) -> Project:
        given = {"events": str(self.inbox), **self.overrides, **overrides}
        return load_project(self.root, overrides=given, lake=self.lake_folder)

    def engine(self) -> Engine:
        if self._engine is None:
            project = self.project()
            self._engine = SparkEngine(self.spark, project.profile, Lake.of(project).warehouse)
        return self._engine

    def maintain(
        self, *, settings: Settings | None = EAGER, now: dt.datetime | None = None
    ) -> dict[str, Upkeep]:
        """Maintain every table of the project, by ``settings`` or as declared; what was done, by table."""
        project = self.project()
        found = [
            replace(job, settings=settings or job.settings)
            for job in jobs((m.target for m in project.models), self.lake.catalog)
        ]
        ended = maintain_all(
            found, self.lake, self.keeper, now or dt.datetime.now(dt.UTC), run_id="maintenance"
        )
        return {str(upkeep.table): upkeep for upkeep in ended}

    def keeper(self) -> SparkKeeper:
        engine = self.engine()
        assert isinstance(engine, SparkEngine)
        return SparkKeeper(engine)

    def roll_back(self, find: Callable[[Catalog], tuple[Step, ...]], **options: Any) -> list[Step]:
        """Take tables back; the steps that were made."""
        done: list[Step] = []
        catalog = self.lake.catalog
        roll_back(
            lambda: find(catalog), self.lake, self.keeper, run_id="rollback", done=done.append, **options
        )
        return done

    @property
    def run_id(self) -> str:
        """The last run's id."""
        document = json.loads((self.folder / "target" / "run_results.json").read_text(encoding="utf-8"))
        return str(document["metadata"]["run_id"])

    @property
    def lake(self) -> Lake:
        return Lake.of(self.project())

    def run(self, *pipelines: str, models: Sequence[str] = (), **options: Any) -> int:
        """Run pipelines (all without), the events kept; the exit code."""
        overrides = options.pop("overrides", {})
        project = self.project(**overrides)
        chosen = [m for p in pipelines for m in select(project, pipelines=[p], words=models)]
        if not pipelines:
            chosen = list(select(project, words=models) if models else order(project))
        self.events.clear()
        given = RunOptions(artifacts=self.folder / "target", **options)
        return run(project, chosen, given, self._hear, start_engine=self.engine)

    def _hear(self, event: Event) -> None:
        if event.kind != "stage":
            self.events.append(event)

    def publish(self, branch: str, **wishes: Any) -> tuple[int, list[str]]:
        """Publish a branch; the exit code, and the tables that moved."""
        moved: list[str] = []
        self.events.clear()
        code = publish_branch(
            self.project(),
            branch,
            Wishes("publication", self.folder / "target", **wishes),
            engine=self.engine,
            on_event=self.events.append,
            tell=lambda line: moved.append(str(line.table)),
        )
        return code, moved

    def drop(self, name: str, lines: Iterable[str]) -> Path:
        """A new file of events in the inbox."""
        path = self.inbox / name
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    def sql(self, text: str) -> list[Row]:
        engine = self.engine()
        assert isinstance(engine, SparkEngine)
        return [row.asDict(recursive=True) for row in engine.spark.sql(text).collect()]

    def rows(self, table: str, *, without: Iterable[str] = CLOCKS, branch: str = "") -> list[Row]:
        """A table as ``show --format ndjson`` prints it, parsed and sorted; empty where it is not there."""
        state = self.lake.catalog.table(TableRef.parse(table))
        if state is None:
            return []
        columns = [c for c in state.columns if c not in without]
        shown = ", ".join(printed(c, state.columns[c]) for c in columns)
        name = f"{table}.branch_{branch}" if branch else table
        lines = ndjson(columns, self.engine().rows(f"SELECT {shown} FROM {name}"))
        return [json.loads(line) for line in sorted(lines)]

    def head(self, table: str) -> Snapshot | None:
        state = self.lake.catalog.table(TableRef.parse(table))
        return state.head() if state else None

    def branches(self, table: str) -> list[str]:
        """Branches of a table but main."""
        state = self.lake.catalog.table(TableRef.parse(table))
        return sorted(b for b in state.branches if b != "main") if state else []

    def kinds(self) -> dict[str, str]:
        """How each table's node ended."""
        return {e.name: e.kind for e in self.events if e.kind not in ("start", "info")}

    def journal(self) -> dict[str, Any]:
        """The last run's ``run_results.json``."""
        text = (self.folder / "target" / "run_results.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def results(self) -> dict[str, Any]:
        """``run_results.json`` by table."""
        return {r["relation_name"]: r for r in self.journal()["results"]}

    def copy_table(self, table: str, to: Lab) -> None:
        """The rows of a table as a first state of another lake."""
        ref = TableRef.parse(table)
        state = self.lake.catalog.table(ref)
        assert state is not None
        exported = self.folder / f"export-{table}-{len(list(self.folder.iterdir()))}"
        engine = self.engine()
        assert isinstance(engine, SparkEngine)
        engine.spark.table(table).coalesce(1).write.parquet(str(exported))
        to.engine().create_table(ref, state.columns, partitions=state.partitions)
        to.sql(f"INSERT INTO {table} SELECT * FROM parquet.`{exported}`")


def eager_project(folder: Path, *, keep_days: int) -> Path:
    """A copy of the shipped project that expires at once and keeps bronze for so many days."""
    for name in ("pipelines", "sql", "expectations"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "profiles.yml", folder)
    for path in (folder / "pipelines").glob("*.yml"):
        text = path.read_text(encoding="utf-8").replace("keep: 90d", f"keep: {keep_days}d")
        text = text.replace("older_than: 7d, keep: 10", "older_than: 0s, keep: 1")
        path.write_text(text, encoding="utf-8")
    return folder


def differences(left: list[Row], right: list[Row]) -> str:
    """Rows that only one side has, for a message; empty when the sides are equal as bags."""
    a, b = ([json.dumps(row, sort_keys=True, ensure_ascii=False) for row in side] for side in (left, right))
    only_a, only_b = _minus(a, b), _minus(b, a)
    if not only_a and not only_b:
        return ""
    shown = [f"  - {r}" for r in only_a[:3]] + [f"  + {r}" for r in only_b[:3]]
    return f"{len(only_a)} rows only left, {len(only_b)} only right\n" + "\n".join(shown)


def _minus(a: list[str], b: list[str]) -> list[str]:
    left = list(b)
    counts: dict[str, int] = {}
    for row in left:
        counts[row] = counts.get(row, 0) + 1
    only = []
    for row in a:
        if counts.get(row, 0):
            counts[row] -= 1
        else:
            only.append(row)
    return only


def assert_same(left: Lab, right: Lab, tables: Iterable[str]) -> None:
    """Two lakes hold the same rows, cell by cell, clocks left out."""
    for table in tables:
        found = differences(left.rows(table), right.rows(table))
        assert not found, f"{table} differs: {found}"
