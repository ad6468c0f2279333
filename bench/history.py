"""Whether history slows an increment down: the same late day on a lake of three days and on one of ninety."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.counts import changed
from bench.days import build, history, increments, late, middle
from bench.harness import interleave, median, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.tables import TABLES
from producer.generator.generate import START

LIMIT = 1.2
DAYS, TIMES = 3, 30

HOW = (
    "Two lakes of {each:,} events a day, of {few} days and of {many}; the days around the one that"
    " changes are in both, since trends compare a day with its neighbours. Then {late:,} late events of"
    " one day arrive in both: one process a round, two increments in it; the first is the cold one (with"
    " the start of Spark), the second the warm one. Ratios are medians of the rounds' ratios."
)


def run(options: Options) -> Outcome:
    """Times and rows of the same increment on both lakes."""
    each, number = (200, 50) if options.quick else (3_333, 500)
    log = options.work / "history.log"
    many = DAYS * TIMES
    day = middle(START, many)
    first = {"3 days": (day - timedelta(days=1), DAYS), "90 days": (START, many)}
    sizes = {}
    for name, (start, days) in first.items():
        folder = options.work / name.replace(" ", "-")
        build(
            folder / "lake", history(folder / "events", days=days, events=each * days, start=start), log=log
        )
        sizes[name] = {table: changed(folder / "lake", table)["total-data-files"] for table in TABLES}

    def side(name: str) -> Callable[[int], Any]:
        folder = options.work / name.replace(" ", "-")

        def once(index: int) -> Any:
            batches: list[Path] = []
            for part in range(2):
                file = folder / f"late-{index}-{part}.ndjson"
                batches.append(late(file, day=day, events=number, seed=100 + 2 * index + part))
            return increments(folder / "lake", batches, log=log)

        return once

    found = interleave({name: side(name) for name in first}, options.rounds)
    small, large = found.values()
    rows: list[list[object]] = []
    for table in TABLES:
        a, b = ([r[1]["models"][table] for r in reports] for reports in (small, large))
        c, d = (_rows(reports[0][1]["counts"][table]) for reports in (small, large))
        rows.append(
            [
                table,
                *(s[table] for s in sizes.values()),
                median(a),
                median(b),
                ratio(b, a),
                c,
                d,
                d / max(c, 1),
            ]
        )
    cold, warm = (ratio(*([_seconds(r[i]) for r in of] for of in (large, small))) for i in (0, 1))
    read = ratio(*([sum(map(_rows, r[1]["counts"].values())) for r in of] for of in (large, small)))
    columns = [
        "table",
        "files, few days",
        "files, many",
        "s, few",
        "s, many",
        "ratio",
        "rows, few",
        "rows, many",
        "ratio",
    ]
    return Outcome(
        "history",
        HOW.format(each=each, few=DAYS, many=many, late=number),
        [Block("The warm increment", columns, rows)],
        [
            Aim("time of a cold increment, many ÷ few days", cold, LIMIT),
            Aim("time of a warm increment, many ÷ few days", warm, LIMIT),
            Aim("rows scanned, many ÷ few days", read, LIMIT),
        ],
        {"files": sizes, "reports": found},
    )


def _rows(counts: dict[str, Any]) -> int:
    return sum(scan["rows"] for scan in counts["scans"].values())


def _seconds(batch: dict[str, Any]) -> float:
    """Of all models, without the counting between them; the first one's hold the start of Spark."""
    return float(sum(batch["models"].values()))
