"""Whether two lakes hold the same rows: a count and a sum of row hashes for every table, clocks left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.raw_medallion import catalog

TABLES = (
    "bronze.raw_events",
    "silver.cleaned_events",
    "gold.hourly_stats",
    "gold.risk_scores",
    "gold.entity_trends",
)
#: The start of a run: two runs over the same events differ in it.
CLOCKS = ("ingested_at",)

Print = tuple[int, int]


class Unequal(Exception):
    """The sides did not do the same work: their times say nothing."""


def prints(lakes: Sequence[Path]) -> list[dict[str, Print]]:
    """Rows and hash sum by table, for each lake."""
    from runner.engine.spark.launch import launch, stop

    spark = launch()
    found: list[dict[str, Print]] = []
    try:
        for lake in lakes:
            session = spark.newSession()
            for key, value in catalog(lake.absolute()).items():
                session.conf.set(key, value)
            found.append({})
            for table in TABLES:
                columns = ", ".join(f"`{c}`" for c in session.table(table).columns if c not in CLOCKS)
                row = session.sql(
                    f"SELECT count(*), sum(CAST(xxhash64(to_json(struct({columns}))) AS DECIMAL(38, 0)))"
                    f" FROM {table}"
                ).collect()[0]
                found[-1][table] = int(row[0]), int(row[1] or 0)
    finally:
        stop(spark)
    return found


def demand_equal(lakes: Mapping[str, Path]) -> dict[str, int]:
    """Rows by table; Unequal names the tables that differ."""
    first, *others = prints(list(lakes.values()))
    for name, other in zip(list(lakes)[1:], others, strict=True):
        if wrong := [f"{t}: {first[t]} and {other[t]}" for t in first if first[t] != other[t]]:
            raise Unequal(f"{next(iter(lakes))} and {name} hold different rows\n" + "\n".join(wrong))
    return {table: rows for table, (rows, _) in first.items()}
