"""The archive of loaded classes: made once by a run over a throw-away lake, used by every later start.

Loading and verifying some 20,000 classes is most of a start's time; the JVM maps them from the archive
instead. ``python -m runner.engine.spark`` makes it; without one everything works, only slower.
"""

from __future__ import annotations

import datetime as dt
import gzip
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engine.spark import java, jvm
from runner.engine.spark.launch import launch, stop
from runner.errors import Place
from runner.files import InputFile
from runner.refs import TableRef
from runner.spec import Profile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from runner.engine.spark.engine import SparkEngine

#: Seconds after which an archive that no session used is removed.
UNUSED = 30 * 24 * 3600

_RAW_COLUMNS = {
    "event_id": "string",
    "n": "bigint",
    "v": "int",
    "at": "timestamp",
    "d": "date",
    "region": "string",
    "flag": "boolean",
    "share": "double",
    "payload": "string",
}
_RAW = """
WITH parsed AS (
  SELECT from_json(value, 'id BIGINT, meta STRUCT<id: STRING, dt: STRING>') AS e, value, arrival FROM lines
), typed AS (
  SELECT e.meta.id AS event_id, try_cast(get_json_object(value, '$.id') AS BIGINT) AS n,
         CAST(e.id % 7 AS INT) AS v, date_trunc('MILLISECOND', to_timestamp(e.meta.dt)) AS at,
         CAST(to_timestamp(e.meta.dt) AS DATE) AS d, value AS payload, arrival
  FROM parsed WHERE NOT coalesce(e.meta.id = '', false)
)
SELECT t.event_id, t.n + {turn} AS n, t.v, t.at, t.d, coalesce(r.region, 'other') AS region,
       regexp_replace(t.event_id, '[0-9]', '') RLIKE '^e$' AS flag,
       round(100 * t.n / 300, 2) AS share, lower(trim(t.payload)) AS payload, t.arrival
FROM typed AS t LEFT JOIN (SELECT CAST(v AS INT) AS v, region FROM regions) AS r ON t.v = r.v
"""
_CHECKED = """
SELECT *, CASE WHEN event_id IS NULL THEN 1L ELSE 0L END | CASE WHEN v BETWEEN 0 AND 9 THEN 0L ELSE 2L END
  | CASE WHEN region IN ('north', 'south', 'other') THEN 0L ELSE 4L END AS _failed FROM query
"""
_OBSERVED = {
    "rows": "count(*)",
    "failed": "count_if(_failed != 0)",
    "mask": "bit_or(_failed)",
    "latest": "max(at)",
}
_KEPT = f"""
SELECT {", ".join(_RAW_COLUMNS)}, false AS _gone FROM (
  SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY arrival) AS _n FROM checked WHERE _failed = 0
) WHERE _n = 1
"""
_DAILY_COLUMNS = {
    "d": "date",
    "region": "string",
    "n": "bigint",
    "users": "bigint",
    "pct": "double",
    "evidence": "string",
}
_DAILY = """
WITH groups AS (
  SELECT DISTINCT d, region FROM (SELECT d, region FROM new UNION ALL SELECT d, region FROM old)
), counted AS (
  SELECT e.d, e.region, count(*) AS n, count(DISTINCT e.payload) AS users,
         count_if(e.flag) AS flags, sum(e.v) AS v
  FROM events AS e LEFT SEMI JOIN groups AS g ON e.d <=> g.d AND e.region <=> g.region GROUP BY e.d, e.region
)
SELECT c.d, c.region, c.n, c.users, CAST(round(100 * c.flags / c.n, 2) AS DOUBLE) AS pct,
       to_json(named_struct('n', c.n, 'v', c.v)) AS evidence, false AS _gone
FROM counted AS c LEFT JOIN counted AS p ON p.d = date_sub(c.d, 1) AND p.region = c.region
UNION ALL
SELECT g.d, g.region, NULL, NULL, NULL, NULL, true FROM groups AS g LEFT ANTI JOIN counted AS c
  ON g.d <=> c.d AND g.region <=> c.region
"""


def warm() -> Path | None:
    """The archive for this Java and these jars, made where it is missing; None where that failed.

    Takes half a minute and 200 MB of disk. It appears whole or not at all; two processes that make it
    at once both succeed. Raises RunFailed as :func:`launch` does.
    """
    archive = jvm.archive_path(jvm.class_path(), java.find())
    if archive.is_file():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=archive.parent) as folder:
        made = Path(folder) / "classes.jsa"
        session = launch(archive_to=made, log_file=Path(folder) / "spark.log")
        try:
            exercise(session, Path(folder))
        finally:
            stop(session)  # the JVM writes the archive now
        if not made.is_file():
            return None
        os.replace(made, archive)
    _forget(archive)
    return archive


def _forget(made: Path) -> None:
    """Removes archives that no session has used for a month: of another environment, or older jars."""
    for other in made.parent.glob("*.jsa"):
        if time.time() - other.stat().st_mtime > UNUSED:
            other.unlink(missing_ok=True)


def exercise(spark: SparkSession, folder: Path) -> None:
    """Does with a small lake in ``folder`` what a run does, so that the same classes are loaded."""
    from runner.engine.spark.engine import SparkEngine

    engine = SparkEngine(spark, Profile("warm", Place("warm")), folder / "lake")
    events, regions = folder / "events.ndjson.gz", folder / "regions.csv"
    with gzip.open(events, "wt") as lines:
        lines.writelines(
            f'{{"id": {n}, "meta": {{"id": "e{n}", "dt": "2024-01-0{1 + n % 3}T00:00:0{n % 7}Z"}}}}\n'
            for n in range(300)
        )
    regions.write_text("v,region\n0,north\n1,south\n")
    engine.bind_text("lines", [_input(events)], "2024-01-04 00:00:00Z")
    engine.bind_files("regions", [_input(regions)], "csv")

    raw = TableRef("warm", "raw")
    engine.create_table(raw, _RAW_COLUMNS, partitions=["d", "region"], comments={"n": "a number"})
    for turn in range(2):
        engine.define("query", _RAW.format(turn=turn))
        engine.define("checked", _CHECKED, observe=_OBSERVED)
        engine.define("kept", _KEPT)
        _publish(engine, raw, ("d", "event_id"), str(folder / f"raw{turn}"))
    history = f"SELECT snapshot_id FROM {raw.sql(engine.catalog)}.snapshots ORDER BY committed_at"
    heads = [row["snapshot_id"] for row in engine.rows(history)]

    daily = TableRef("warm", "daily")
    engine.create_table(daily, _DAILY_COLUMNS, partitions=["d"])
    engine.bind_diff("new", "old", raw, heads[0], heads[-1])
    engine.bind_table("events", raw, heads[-1], "d IN (DATE'2024-01-01', DATE'2024-01-02')")
    engine.bind_diff("added", "none", raw, heads[0], heads[-1], above=0)
    engine.bind_partitions("parts", raw, heads[-1])
    engine.rows("SELECT DISTINCT CAST(d AS STRING) AS d FROM parts WHERE date_add(d, 1) > DATE'2024-01-01'")
    engine.define("kept", _DAILY, observe={"rows": "count(*)"})
    _publish(engine, daily, ("d", "region"), str(folder / "daily"))
    engine.append(daily, [{"d": dt.date(2024, 1, 1), "region": "south", "n": 1, "pct": 0.5}], {"warm": "yes"})
    list(engine.stream_rows(f"SELECT * FROM {daily.sql(engine.catalog)} ORDER BY n DESC, d LIMIT 10"))
    engine.close()


def _publish(engine: SparkEngine, table: TableRef, key: Sequence[str], staged: str) -> None:
    engine.stage("kept", staged)
    engine.read_staged("staged", staged)
    engine.rows("SELECT count(*) AS n, collect_set(d) AS days, min(d) AS first FROM staged")
    engine.create_branch(table, "audit", None)
    on = " AND ".join(f"t.{column} = s.{column}" for column in key)
    columns = engine.schema("staged")
    changed = " OR ".join(f"NOT (t.{column} <=> s.{column})" for column in columns if column != "_gone")
    engine.commit(
        f"MERGE INTO {table.sql(engine.catalog, 'audit')} AS t USING staged AS s"
        f" ON {on} AND t.d IN (DATE'2024-01-01', DATE'2024-01-02', DATE'2024-01-03')"
        " WHEN MATCHED AND s._gone THEN DELETE"
        f" WHEN MATCHED AND ({changed}) THEN UPDATE SET *"
        " WHEN NOT MATCHED AND NOT s._gone THEN INSERT *",
        {"warm": "yes"},
    )
    branch = table.sql(engine.catalog, "audit")
    engine.rows(f"SELECT d, count(*) AS n FROM {branch} GROUP BY d HAVING count(*) > 1 ORDER BY n LIMIT 5")
    engine.fast_forward(table, "audit")
    engine.drop_branch(table, "audit")


def _input(path: Path) -> InputFile:
    stat = path.stat()
    return InputFile(stat.st_mtime_ns // 1_000_000, str(path), stat.st_size)
