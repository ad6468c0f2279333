"""What happens in a table's second month: rollback, compaction, expiry, orphans, and runs beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines
from runner.catalog import COMPACTION
from runner.errors import Busy, ProjectError
from runner.lock import target_lock
from runner.refs import TableRef
from runner.rollback import steps_of_run, steps_to
from tests.lab import GOLD, Lab, assert_same

SILVER = "silver.cleaned_events"
BRONZE = "bronze.raw_events"
ALL = (BRONZE, f"{BRONZE}__quarantine", SILVER, *GOLD)


@pytest.fixture(scope="module")
def events() -> list[str]:
    return list(lines(events=900, days=2, seed=5))


def heads(lab: Lab) -> dict[str, int | None]:
    return {t: head.id if (head := lab.head(t)) else None for t in ALL}


def test_a_run_that_was_rolled_back_is_done_again_by_the_next(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab, other = Lab(spark, tmp_path / "lab"), Lab(spark, tmp_path / "other")
    first, second = [*events[:500], "not json"], [*events[500:], '{"meta": 1}', "broken"]
    lab.drop("a.ndjson", first)
    assert lab.run() == 0
    first_run, after_first = lab.run_id, {t: lab.rows(t) for t in ALL}
    lab.drop("b.ndjson", second)
    assert lab.run() == 0
    second_run = lab.run_id
    after_second = {t: lab.rows(t) for t in ALL}
    assert len(after_second[f"{BRONZE}__quarantine"]) == 3

    steps = lab.roll_back(lambda c: steps_of_run(c, second_run))
    assert {str(s.table) for s in steps} == set(ALL)
    assert all(s.runs == (second_run,) for s in steps)
    assert {t: lab.rows(t) for t in ALL} == after_first
    with pytest.raises(ProjectError, match="rolled back already"):
        lab.roll_back(lambda c: steps_of_run(c, second_run))

    assert lab.run() == 0
    assert set(lab.kinds().values()) == {"ok"}, "the same files are read once more"
    other.drop("a.ndjson", first)
    other.drop("b.ndjson", second)
    os.utime(other.inbox / "a.ndjson", (1, 1))
    assert other.run() == 0
    assert_same(lab, other, ALL)

    # Back to before the very first run: the tables are empty, and everything is read again.
    lab.roll_back(lambda c: steps_of_run(c, first_run))
    assert all(not lab.rows(t) for t in ALL)
    assert lab.run() == 0
    assert_same(lab, other, ALL)

    # To a snapshot of one table, its quarantine follows; other tables see the difference.
    bronze = lab.lake.catalog.table(TableRef.parse(BRONZE))
    assert bronze is not None
    (begin,) = [s.id for s in bronze.snapshots.values() if s.parent is None]
    steps = lab.roll_back(lambda c: steps_to(c, begin, None))
    assert {str(s.table) for s in steps} == {BRONZE, f"{BRONZE}__quarantine"}
    assert lab.run("silver", "gold", allow_deletes=True) == 0
    assert all(not lab.rows(t) for t in ALL)


def test_a_rollback_refuses_what_no_run_would_make_again(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab = Lab(spark, tmp_path)
    lab.drop("a.ndjson", events[:60])
    assert lab.run("bronze") == 0
    run = lab.run_id
    lab.sql(f"DELETE FROM {BRONZE} WHERE is_bot")
    before = heads(lab)
    with pytest.raises(ProjectError, match="commits of others"):
        lab.roll_back(lambda c: steps_of_run(c, run))
    with (
        target_lock(lab.lake.locks, TableRef.parse(BRONZE), timeout=0, run_id="writer"),
        pytest.raises(Busy, match="writer"),
    ):
        lab.roll_back(lambda c: steps_of_run(c, run), force=True)
    assert heads(lab) == before
    lab.roll_back(lambda c: steps_of_run(c, run), force=True)
    assert lab.rows(BRONZE) == []


def test_maintenance_wins_files_and_gives_no_model_work(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab, other = Lab(spark, tmp_path / "lab"), Lab(spark, tmp_path / "other")
    for number in range(6):
        lab.drop(f"{number}.ndjson", events[number * 60 : number * 60 + 60])
        assert lab.run("bronze", "silver") == 0
    assert lab.run("gold") == 0
    # Gold has not seen silver's last state: what it needs to go on must survive.
    lab.drop("6.ndjson", events[360:400])
    assert lab.run("bronze", "silver") == 0
    before = {t: lab.rows(t) for t in ALL}
    stray = lab.lake_folder / "silver" / "cleaned_events" / "data" / "stray.parquet"
    stray.write_bytes(b"left by a killed run")
    os.utime(stray, (1, 1))
    manifests = len(list((lab.lake_folder / "_manifests").iterdir()))

    done = lab.maintain()
    silver = done[SILVER]
    assert silver.compacted is not None
    assert silver.compacted.before > silver.compacted.after > 0
    assert silver.expired > 4
    assert silver.spared == 1, "the state that gold consumed"
    assert not stray.exists()
    assert silver.orphans >= 1
    assert {t: lab.rows(t) for t in ALL} == before
    assert len(list((lab.lake_folder / "_manifests").iterdir())) < manifests == 7

    assert lab.run("bronze", "silver") == 0
    assert set(lab.kinds().values()) == {"nothing"}, "a compaction moves rows and changes none"
    assert lab.run("gold") == 0
    assert {r["mode"] for r in lab.results().values()} == {"incremental"}
    lab.drop("7.ndjson", events[400:450])
    assert lab.run() == 0
    assert {r["mode"] for r in lab.results().values()} == {"append", "incremental"}
    other.drop("all.ndjson", events[:450])
    assert other.run() == 0
    assert_same(lab, other, ALL)

    # Once more: nothing is left to do but what the last run brought.
    lab.maintain()
    again = lab.maintain()
    assert all(not u.expired and not (u.compacted and u.compacted.before) for u in again.values()), again


def test_a_compaction_while_a_run_works_costs_no_second_reading(
    spark: SparkSession, tmp_path: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, other = Lab(spark, tmp_path / "lab"), Lab(spark, tmp_path / "other")
    for number in range(6):
        lab.drop(f"{number}.ndjson", events[number * 40 : number * 40 + 40])
        assert lab.run("bronze", "silver") == 0
    lab.drop("6.ndjson", events[240:300])
    engine = lab.engine()
    publish, staged = engine.fast_forward, engine.stage
    stagings: list[str] = []

    def compact_first(table: TableRef, *given: Any, **more: Any) -> bool:
        if str(table) == SILVER and len(stagings) < 3:
            stagings.append("compacted")
            assert lab.keeper().compact(table, 2**28, {})
        return publish(table, *given, **more)

    def count(view: str, folder: str) -> dict[str, object]:
        stagings.append(view)
        return staged(view, folder)

    monkeypatch.setattr(engine, "fast_forward", compact_first)
    monkeypatch.setattr(engine, "stage", count)
    assert lab.run("bronze", "silver") == 0
    assert stagings == ["__out", "__out", "compacted"], "bronze and silver, once each"
    monkeypatch.undo()
    state = lab.lake.catalog.table(TableRef.parse(SILVER))
    assert state is not None
    assert [s.operation for s in state.ancestry(state.branches["main"])][1] == COMPACTION
    assert set(state.branches) == {"main"}
    other.drop("all.ndjson", events[:300])
    assert other.run("bronze", "silver") == 0
    assert_same(lab, other, (SILVER,))
