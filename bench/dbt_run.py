"""Fifty models from nothing to tested tables: the runner beside dbt-spark, and a script of bare MERGEs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import SCHEMA, fleet, statements, write_dbt, write_events, write_ours
from bench.harness import ROOT, Measured, interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.peer import dbt, environment, event_log, session
from bench.raw_medallion import catalog
from bench.tables import demand_same

DBT, FIRST, SCRIPT = 1 / 2, 1 / 3, 1.0
HOW = (
    "{models} models over one file of {events:,} events, from nothing, process start to exit: `runner"
    " run`, `dbt build` (dbt-core 1.11.16, dbt-spark 1.11.0, method session, incremental models of"
    " strategy merge on Iceberg: a first run makes its tables by CREATE TABLE AS), and"
    " `bench/merges.py`, a script with the same queries as bare MERGEs one after another, without"
    " checks. {threads} at a time for runner and dbt; two column tests a model on both, and the runner's"
    " own of the key. Sessions have equal settings and JVM flags; the runner and the script start Java"
    " directly with their class archive, dbt by `spark-submit`. The tables of the sides are equal. The"
    " first statement is the first that Spark executed, by its event log, which all sides write."
)


@dataclass(frozen=True)
class Side:
    """One run: ``first``: seconds from the process's start to the first statement; counts by Spark."""

    measured: Measured
    first: float
    statements: int
    jobs: int
    tasks: int


def run(options: Options) -> Outcome:
    """Seconds and counts of the three."""
    models, count = (6, 300) if options.quick else (50, 2_000)
    threads = options.threads
    of = fleet(models)
    events = write_events(options.work / "events.ndjson", events=count)
    log = options.work / "dbt-run.log"
    script = options.work / "statements.json"
    script.write_text(json.dumps(statements(of, events=events)), encoding="utf-8")

    def runner(index: int) -> Side:
        root, lake, history = _folders(options.work, "runner", index)
        write_ours(root, of, events=events)
        settings = json.dumps(event_log(history))
        profile = f"default: local\ntargets:\n  local: {{type: local, catalog: lake, conf: {settings}}}\n"
        (root / "profiles.yml").write_text(profile, encoding="utf-8")
        many = [] if threads == 1 else ["--threads", str(threads)]
        command = python("-m", "runner", "run", "-q", "--lake", lake, *many)
        return _side(command, history, log=log, cwd=root, env={"PYTHONPATH": str(ROOT)})

    def their(index: int) -> Side:
        root, lake, history = _folders(options.work, "dbt", index)
        write_dbt(root, of, events=events, threads=threads, settings=session(lake, history))
        return _side(dbt("build", "--quiet"), history, log=log, cwd=root, env=environment(root))

    def by_hand(index: int) -> Side:
        _, lake, history = _folders(options.work, "script", index)
        command = python("-m", "bench.merges", "--lake", lake, "--events-log", history, script)
        return _side(command, history, log=log, cwd=ROOT, env={})

    sides: dict[str, Callable[[int], Side]] = {"runner run": runner, "dbt build": their, "script": by_hand}
    found = interleave(sides, options.rounds)
    last = options.rounds - 1
    lakes = {name: _folders(options.work, name, last)[1] for name in ("runner", "script", "dbt")}
    catalogs = {name: catalog(lakes[name]) for name in ("runner", "script")} | {"dbt": _theirs(lakes["dbt"])}
    rows = demand_same(catalogs, [f"{SCHEMA}.{node.name}" for node in of.nodes])
    return _outcome(found, HOW.format(models=models, events=count, threads=threads), sum(rows.values()))


def _folders(work: Path, name: str, index: int) -> tuple[Path, Path, Path]:
    """A project, a lake, and the event log of a side's run."""
    root = work / f"{name}-{index}"
    folders = root / "project", root / "lake", root / "history"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def _theirs(warehouse: Path) -> dict[str, str]:
    return {
        "spark.sql.catalog.theirs": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.theirs.type": "hadoop",
        "spark.sql.catalog.theirs.warehouse": str(warehouse),
        "spark.sql.defaultCatalog": "theirs",
    }


def _side(command: list[str], history: Path, *, log: Path, cwd: Path, env: dict[str, str]) -> Side:
    started = time.time()
    measured = measure(command, log=log, cwd=cwd, env=env)
    first, executed, jobs, tasks = 0.0, 0, 0, 0
    for name in os.listdir(history):
        for line in (history / name).open(encoding="utf-8"):
            event = json.loads(line)
            match event["Event"].rpartition(".")[2]:
                case "SparkListenerSQLExecutionStart":
                    executed += 1
                    first = first or event["time"] / 1000 - started
                case "SparkListenerJobStart":
                    jobs += 1
                case "SparkListenerTaskEnd":
                    tasks += 1
    return Side(measured, first, executed, jobs, tasks)


def _outcome(found: dict[str, list[Side]], how: str, rows: int) -> Outcome:
    seconds = {name: [side.measured.seconds for side in sides] for name, sides in found.items()}
    first = {name: [side.first for side in sides] for name, sides in found.items()}
    table = [
        [
            name,
            median(seconds[name]),
            ratio(seconds["runner run"], seconds[name]),
            median(first[name]),
            median([side.measured.memory for side in sides]) / 1_000_000,
            sides[0].measured.jvms,
            sides[0].statements,
            sides[0].jobs,
            sides[0].tasks,
        ]
        for name, sides in found.items()
    ]
    columns = [
        "side",
        "seconds",
        "runner ÷",
        "first statement",
        "memory, MB",
        "JVMs",
        "statements",
        "jobs",
        "tasks",
    ]
    return Outcome(
        "dbt-run",
        how,
        [
            Block("From nothing", columns, table),
            Block("Rows on all sides", ["tables", "rows"], [["all together", rows]]),
        ],
        [
            Aim(
                "runner ÷ dbt, process start to exit", ratio(seconds["runner run"], seconds["dbt build"]), DBT
            ),
            Aim(
                "runner ÷ dbt, to the first statement",
                ratio(first["runner run"], first["dbt build"]),
                round(FIRST, 3),
            ),
            Aim("runner ÷ script", ratio(seconds["runner run"], seconds["script"]), SCRIPT),
        ],
        {
            name: [vars(side.measured) | {"first": side.first, "jobs": side.jobs} for side in sides]
            for name, sides in found.items()
        },
    )
