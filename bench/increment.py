"""How little an increment touches: late events of one day, on a lake of thirty."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from bench.counts import changed, partitions
from bench.days import build, history, increments, late, middle
from bench.harness import interleave, median
from bench.outcome import Aim, Block, Options, Outcome
from bench.tables import TABLES
from producer.generator.generate import START

SHARE = 0.10
TRENDS = "gold.entity_trends"
#: Three days of thirty, and the increment's own files.
TRENDS_SHARE = 0.15

#: What each table reads.
SOURCES = {
    "silver.cleaned_events": "bronze.raw_events",
    "gold.hourly_stats": "silver.cleaned_events",
    "gold.risk_scores": "silver.cleaned_events",
    "gold.entity_trends": "silver.cleaned_events",
}
DAILY = [table for table in SOURCES if table != TRENDS]

HOW = (
    "{days} days with {events:,} events, one file a day, are in the lake; then {late:,} late events of"
    " one day in the middle arrive. Files read are those that Spark's scans of the source name, or those"
    " of the change set where nothing else is read; partitions written are `changed-partition-count` of"
    " the commit. Each round is a process with an increment of its own."
)


def run(options: Options) -> Outcome:
    """Counts of one late day, by table."""
    days, events, number = (30, 6_000, 50) if options.quick else (30, 30_000, 200)
    log = options.work / "increment.log"
    lake = options.work / "lake"
    built = build(lake, history(options.work / "events", days=days, events=events), log=log)
    day = middle(START, days)

    def once(index: int) -> dict[str, Any]:
        before = {table: changed(lake, table) for table in TABLES}
        batch = late(options.work / f"late-{index}.ndjson", day=day, events=number, seed=100 + index)
        report = increments(lake, [batch], log=log)[0]
        return {
            "report": report,
            "before": before,
            "after": {table: changed(lake, table) for table in TABLES},
            "partitions": {table: partitions(lake, table) for table in TABLES},
        }

    rounds = interleave({"runner": once}, options.rounds)["runner"]
    shares = [_shares(found) for found in rounds]
    rows: list[list[object]] = []
    for table in TABLES:
        found, share = rounds[0], shares[0][table]
        counts = found["report"]["counts"][table]
        rows.append(
            [
                table,
                share["files"],
                share["files_total"],
                share["partitions"],
                share["partitions_total"],
                found["after"][table]["added-data-files"],
                sum(scan["rows"] for scan in counts["scans"].values()),
                counts["jobs"],
                median([r["report"]["models"][table] for r in rounds]),
            ]
        )
    columns = [
        "table", "source files read", "of", "partitions written", "of", "files added", "rows scanned", "jobs",
        "seconds",
    ]  # fmt: skip
    seconds = median([sum(r["report"]["models"].values()) for r in rounds])
    return Outcome(
        "increment",
        HOW.format(days=days, events=events, late=number),
        [
            Block("By table", columns, rows),
            Block("In all", ["what", "seconds"], [["build of all days", built], ["one late day", seconds]]),
        ],
        [
            Aim("share of the source's files read, at most", _most(shares, "files", DAILY), SHARE),
            Aim(
                f"the same of {TRENDS}, which reads three days",
                _most(shares, "files", [TRENDS]),
                TRENDS_SHARE,
            ),
            Aim("share of the partitions written, at most", _most(shares, "partitions", TABLES), SHARE),
        ],
        {"rounds": rounds, "build_seconds": built},
    )


def _shares(found: dict[str, Any]) -> dict[str, dict[str, int]]:
    shares = {}
    for table in TABLES:
        source = SOURCES.get(table)
        scans = found["report"]["counts"][table]["scans"]
        scanned = scans[source]["files"] if source in scans else 0
        shares[table] = {
            # The change set's files are among those of the days that are read again.
            "files": max(scanned, found["report"]["results"][table]["files_scanned"]),
            "files_total": found["after"][source]["total-data-files"] if source else 0,
            "partitions": found["after"][table]["changed-partition-count"],
            "partitions_total": found["partitions"][table],
        }
    return shares


def _most(shares: list[dict[str, dict[str, int]]], what: str, tables: Iterable[str]) -> float:
    """The highest share of these tables in any round."""
    pairs = [(s[table][what], s[table][f"{what}_total"]) for s in shares for table in tables]
    return max((part / whole for part, whole in pairs if whole), default=math.inf)
