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


def prints(catalogs: Sequence[Mapping[str, str]], tables: Sequence[str] = TABLES) -> list[dict[str, Print]]:
    """Rows and hash sum by table, for each catalog: Spark's settings that make it the default one."""
    from runner.engine.spark.launch import launch, stop

    spark = launch()
    found: list[dict[str, Print]] = []
    try:
        for settings in catalogs:
            session = spark.newSession()
            for key, value in settings.items():
                session.conf.set(key, value)
            found.append({})
            for table in tables:
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
    return demand_same({name: catalog(lake.absolute()) for name, lake in lakes.items()})


def demand_same(catalogs: Mapping[str, Mapping[str, str]], tables: Sequence[str] = TABLES) -> dict[str, int]:
    """The same for catalogs of any kind."""
    first, *others = prints(list(catalogs.values()), tables)
    for name, other in zip(list(catalogs)[1:], others, strict=True):
        if wrong := [f"{t}: {first[t]} and {other[t]}" for t in first if first[t] != other[t]]:
            raise Unequal(f"{next(iter(catalogs))} and {name} hold different rows\n" + "\n".join(wrong))
    return {table: rows for table, (rows, _) in first.items()}
