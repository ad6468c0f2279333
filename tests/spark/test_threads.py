"""Models side by side give the same tables as one after another; a run without rows publishes nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines
from runner.engine.spark.engine import SparkEngine
from runner.errors import Interrupted
from tests.lab import GOLD, Lab, differences

TABLES = ("bronze.raw_events", "silver.cleaned_events", *GOLD)
#: Long enough for any machine; only a run that hangs waits for it.
_PATIENCE = 120.0


@pytest.fixture(scope="module")
def one(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The shipped project, run one model after another, twice."""
    lab = Lab(spark, tmp_path_factory.mktemp("one"))
    feed(lab)
    return lab


def feed(lab: Lab, **options: int) -> None:
    for name, seed in (("a.ndjson", 1), ("b.ndjson", 2)):
        lab.drop(name, lines(events=400, days=2, seed=seed))
        assert lab.run(**options) == 0, lab.events


def test_several_threads_give_the_same_tables(spark: SparkSession, tmp_path: Path, one: Lab) -> None:
    many = Lab(spark, tmp_path)
    feed(many, threads=3)
    for table in TABLES:
        assert differences(many.rows(table), one.rows(table)) == "", table
    # Every model has its result, and its row in the history of runs.
    assert {r["status"] for r in many.results().values()} == {"success"}
    history = many.sql(f"SELECT table_name FROM ops.runs WHERE run_id = '{many.run_id}' ORDER BY 1")
    assert [row["table_name"] for row in history] == sorted(TABLES)


def test_models_run_at_the_same_time_on_sessions_of_their_own(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(spark, tmp_path)
    lab.drop("a.ndjson", lines(events=50, days=1, seed=1))
    assert lab.run("bronze", "silver") == 0
    # Two of the three gold models must be about to write at once; the third meets nobody.
    meeting, met, insert = threading.Barrier(2), [], SparkEngine.insert

    def slowly(self: SparkEngine, *given: Any) -> dict[str, object]:
        if len(met) < 2:
            met.append(self.spark)
            meeting.wait(_PATIENCE)
        return insert(self, *given)

    monkeypatch.setattr(SparkEngine, "insert", slowly)
    assert lab.run("gold", threads=2) == 0
    assert met[0] is not met[1]


def test_an_interrupted_run_publishes_nothing_and_leaves_no_branch(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(spark, tmp_path)
    lab.drop("a.ndjson", lines(events=50, days=1, seed=1))
    assert lab.run("bronze", "silver") == 0
    meeting, insert = threading.Barrier(2), SparkEngine.insert
    stopping, cancel = threading.Event(), SparkEngine.cancel

    def interrupted(self: SparkEngine, *given: Any) -> dict[str, object]:
        counts = insert(self, *given)
        # Both have written to their audit branch.
        if meeting.wait(_PATIENCE) == 0:
            raise KeyboardInterrupt
        assert stopping.wait(_PATIENCE)
        return counts

    def cancelled(self: SparkEngine) -> None:
        cancel(self)
        stopping.set()

    monkeypatch.setattr(SparkEngine, "insert", interrupted)
    monkeypatch.setattr(SparkEngine, "cancel", cancelled)
    with pytest.raises(Interrupted):
        lab.run("gold", threads=2, models=["hourly_stats", "risk_scores"])
    monkeypatch.undo()
    for table in ("gold.hourly_stats", "gold.risk_scores"):
        assert lab.head(table) is None
        assert lab.branches(table) == []
    assert not [p for p in (lab.lake_folder / "_scratch").rglob("*") if p.is_file()]
    assert lab.run("gold") == 0
    assert lab.head("gold.hourly_stats")


def test_a_run_without_rows_tries_everything_and_creates_what_is_missing(
    spark: SparkSession, tmp_path: Path, one: Lab
) -> None:
    lab = Lab(spark, tmp_path)
    assert lab.run(empty=True) == 0, lab.events
    assert {r["reason"] for r in lab.results().values()} == {"created"}
    for table in TABLES:
        assert lab.head(table) is None
        assert lab.branches(table) == []
    # The first real run is the first run.
    feed(lab)
    for table in TABLES:
        assert differences(lab.rows(table), one.rows(table)) == "", table


def test_a_run_without_rows_leaves_tables_as_they_are(spark: SparkSession, one: Lab) -> None:
    heads = {table: one.head(table) for table in TABLES}
    assert one.run(empty=True) == 0, one.events
    assert {r["reason"] for r in one.results().values()} == {"query and MERGE hold"}
    assert {table: one.head(table) for table in TABLES} == heads
