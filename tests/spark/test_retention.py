"""Rows that leave by age: downstream keeps what was made of them, and stays exact for the rest."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines
from tests.lab import GOLD, Lab, Row, assert_same, differences, eager_project

BRONZE, SILVER = "bronze.raw_events", "silver.cleaned_events"
DOWNSTREAM = (SILVER, *GOLD)


@pytest.fixture(scope="module")
def events() -> list[str]:
    found = list(lines(events=900, days=3, seed=9))
    random.Random(9).shuffle(found)  # every delivery has events of every day
    return found


def day_after(edge: str) -> dt.datetime:
    """A time at which one day of keeping removes what lies before ``edge``."""
    return dt.datetime.fromisoformat(f"{edge}T12:00:00+00:00") + dt.timedelta(days=1)


def deliver_and_change(lab: Lab, name: str, batch: list[str], edge: str) -> None:
    """New rows of all days, an update and an erasure of days that are kept."""
    lab.drop(name, batch)
    assert lab.run("bronze") == 0
    lab.sql(f"UPDATE {BRONZE} SET title = 'moved' WHERE event_date >= DATE'{edge}' AND namespace = 0")
    lab.sql(f"DELETE FROM {BRONZE} WHERE event_date >= DATE'{edge}' AND is_bot")


def test_rows_that_leave_by_age_do_not_travel(spark: SparkSession, tmp_path: Path, events: list[str]) -> None:
    project = eager_project(tmp_path / "project", keep_days=1)
    lab, whole = Lab(spark, tmp_path / "lab", root=project), Lab(spark, tmp_path / "whole", root=project)
    for each in (lab, whole):
        each.drop("a.ndjson", events[:450])
        assert each.run() == 0
    edge = sorted({str(row["event_date"]) for row in lab.rows(BRONZE)})[1]

    done = lab.maintain(settings=None, now=day_after(edge))
    assert done[BRONZE].rows_removed > 0
    assert done[BRONZE].retained_before == edge
    assert min(str(row["event_date"]) for row in lab.rows(BRONZE)) == edge
    assert lab.run() == 0
    assert set(lab.kinds().values()) == {"nothing"}
    assert_same(lab, whole, DOWNSTREAM)

    # Retention among other commits: those travel, late rows of removed days among them.
    for each in (lab, whole):
        deliver_and_change(each, "b.ndjson", events[450:], edge)
    assert lab.maintain(settings=None, now=day_after(edge))[BRONZE].unread, "silver has not read them"
    assert lab.run("silver", allow_deletes=True) == 0
    assert lab.maintain(settings=None, now=day_after(edge))[BRONZE].rows_removed > 0
    for each in (lab, whole):
        assert each.run("silver", "gold", allow_deletes=True) == 0
    assert_same(lab, whole, DOWNSTREAM)

    # A rebuild does not delete what was made of them.
    assert lab.run("silver", full_refresh=True) == 0
    assert lab.results()[SILVER]["mode"] == "rebuild"
    assert_same(lab, whole, DOWNSTREAM)


def test_groups_that_reach_into_removed_days_are_left_as_they_are(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    project = eager_project(tmp_path / "project", keep_days=1)
    silver = project / "pipelines" / "silver.yml"
    text = silver.read_text(encoding="utf-8")
    (partitions,) = [line for line in text.splitlines(keepends=True) if line.startswith("      partitions:")]
    kept = "      retention: {column: event_date, keep: 1d}\n"
    silver.write_text(text.replace(partitions, partitions + kept), encoding="utf-8")
    lab, whole = Lab(spark, tmp_path / "lab", root=project), Lab(spark, tmp_path / "whole", root=project)
    for each in (lab, whole):
        each.drop("a.ndjson", events[:450])
        assert each.run() == 0
    edge = sorted({str(row["event_date"]) for row in lab.rows(BRONZE)})[1]
    lab.maintain(settings=None, now=day_after(edge))
    assert lab.run() == 0
    assert set(lab.kinds().values()) == {"nothing"}
    assert_same(lab, whole, GOLD)
    frozen = {table: beyond(lab, table, edge) for table in GOLD}
    assert all(frozen.values())

    for each in (lab, whole):
        deliver_and_change(each, "b.ndjson", events[450:], edge)
        assert each.run("silver", "gold", allow_deletes=True) == 0
    for table in GOLD:
        assert not differences(frozen[table], beyond(lab, table, edge)), table
        assert not differences(within(lab, table, edge), within(whole, table, edge)), table

    assert lab.run("gold", full_refresh=True) == 0
    assert {r["mode"] for r in lab.results().values()} == {"rebuild"}
    for table in GOLD:
        assert not differences(frozen[table], beyond(lab, table, edge)), table
        assert not differences(within(lab, table, edge), within(whole, table, edge)), table


def beyond(lab: Lab, table: str, edge: str) -> list[Row]:
    """Rows that were made of days before the edge; a trend compares with the day before its own."""
    last = edge if table == "gold.entity_trends" else str(dt.date.fromisoformat(edge) - dt.timedelta(days=1))
    return [row for row in lab.rows(table) if str(row["stat_date"]) <= last]


def within(lab: Lab, table: str, edge: str) -> list[Row]:
    gone = beyond(lab, table, edge)
    return [row for row in lab.rows(table) if row not in gone]
