"""The price of checks, audit and bookkeeping: the runner beside a script written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from bench import statements
from bench.harness import ROOT, Measured, interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.tables import TABLES, demand_equal
from producer.generator.generate import write

CAPTURE = ROOT.parent / "shared" / "data" / "recentchange-2023-01-24.ndjson.gz"
EVENTS = 6_948
LIMIT = 1.5

HOW = (
    "All five models on one file of {events:,} events ({origin}), from nothing: `runner run` beside"
    " `bench/raw_medallion.py`, a script with the same queries, launcher, JVM flags and class archive, and"
    " plain MERGEs without checks. Each run is a process from start to exit; the tables of the sides are"
    " equal. Below it the same work warm: the third run in one process, an increment of {increment:,} new"
    " events of the same day; the runner's seconds are `execution_time` of `run_results.json`, the"
    " script's those around its statements."
)


def run(options: Options) -> Outcome:
    """Cold and warm, runner and script."""
    script = statements.write(options.work / "statements.json")
    events = CAPTURE if CAPTURE.is_file() else options.work / "events.ndjson.gz"
    if events is not CAPTURE:
        write(out=events, events=EVENTS, start=date(2023, 1, 24))
    increment = EVENTS // 10
    batches = [events]
    for seed in (2, 3):
        batches.append(options.work / f"new-{seed}.ndjson.gz")
        write(out=batches[-1], events=increment, seed=seed, start=date(2023, 1, 24))
    log = options.work / "overhead.log"

    def side(name: str, command: Callable[[Path], list[str]]) -> Callable[[int], Measured]:
        return lambda index: measure(command(options.work / f"{name}-{index}"), log=log)

    def runner(lake: Path) -> list[str]:
        return python("-m", "runner", "run", "-q", "--lake", lake, "--vars", f"events: {events}")

    def by_hand(lake: Path, *more: str | Path) -> list[str]:
        return python("-m", "bench.raw_medallion", "--lake", lake, "--statements", script, *more, events)

    cold = interleave({"runner": side("runner", runner), "script": side("script", by_hand)}, options.rounds)
    last = options.rounds - 1
    rows = demand_equal({name: options.work / f"{name}-{last}" for name in cold})

    def warm(name: str, *arguments: str | Path) -> Callable[[int], Any]:
        def once(index: int) -> Any:
            lake, report = options.work / f"warm-{name}-{index}", options.work / f"warm-{name}-{index}.json"
            measure(python(*arguments, "--lake", lake, "--report", report, *batches), log=log)
            return json.loads(report.read_text(encoding="utf-8"))

        return once

    warmed = interleave(
        {
            "runner": warm("runner", "-m", "bench.session"),
            "script": warm("script", "-m", "bench.raw_medallion", "--statements", script),
        },
        options.rounds,
    )
    demand_equal({name: options.work / f"warm-{name}-{last}" for name in warmed})
    return _outcome(cold, warmed, rows, origin=events.name, increment=increment)


def _outcome(
    cold: dict[str, list[Measured]],
    warm: dict[str, list[Any]],
    rows: dict[str, int],
    *,
    origin: str,
    increment: int,
) -> Outcome:
    counts = {name: _sums(reports[0][0]["counts"]) for name, reports in warm.items()}
    table = [
        [
            name,
            median([m.seconds for m in runs]),
            median([m.cpu for m in runs]),
            runs[0].jvms,
            *counts[name],
        ]
        for name, runs in cold.items()
    ]
    seconds = {
        name: {t: [report[-1]["models"][t] for report in reports] for t in TABLES}
        for name, reports in warm.items()
    }
    totals = {
        name: [sum(report[-1]["models"].values()) for report in reports] for name, reports in warm.items()
    }
    warm_rows: list[list[object]] = [
        [
            t,
            median(seconds["runner"][t]),
            median(seconds["script"][t]),
            ratio(seconds["runner"][t], seconds["script"][t]),
        ]
        for t in TABLES
    ]
    warm_rows.append(
        ["all", median(totals["runner"]), median(totals["script"]), ratio(totals["runner"], totals["script"])]
    )
    warm_counts = [[name, *_sums(reports[0][-1]["counts"])] for name, reports in warm.items()]
    found = ratio([m.seconds for m in cold["runner"]], [m.seconds for m in cold["script"]])
    columns = ["statements", "jobs", "tasks", "rows scanned", "files scanned"]
    return Outcome(
        "overhead",
        HOW.format(events=EVENTS, origin=origin, increment=increment),
        [
            Block("From nothing", ["side", "seconds", "CPU seconds", "JVMs", *columns], table),
            Block("Warm, seconds a model", ["table", "runner", "script", "ratio"], warm_rows),
            Block("Warm, counts", ["side", *columns], warm_counts),
            Block("Rows on both sides", ["table", "rows"], [list(item) for item in rows.items()]),
        ],
        [Aim("runner ÷ script, process start to exit", found, LIMIT)],
        {"cold": {name: [vars(m) for m in runs] for name, runs in cold.items()}, "warm": warm},
    )


def _sums(counts: dict[str, Any]) -> list[int]:
    """Statements, jobs, tasks, rows and files of a report's counts, of one part or by table."""
    parts = [counts] if "statements" in counts else list(counts.values())
    files = sum(scan["files"] for part in parts for scan in part["scans"].values())
    return [*(sum(part[key] for part in parts) for key in ("statements", "jobs", "tasks", "rows")), files]
