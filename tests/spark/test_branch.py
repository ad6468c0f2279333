"""Development branches on a real lake: what main's readers see of them, before and after publication."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines
from runner.branch import branches, find
from runner.lake import Lake
from runner.promote import drop_branch
from runner.refs import TableRef
from tests.lab import ROOT, Lab, assert_same

BRONZE, SILVER, GOLD = "bronze.raw_events", "silver.cleaned_events", "gold.risk_scores"
ASIDE = f"{BRONZE}__quarantine"
ALL = (BRONZE, ASIDE, SILVER, GOLD)
#: A chain of three layers is enough.
CHAIN = ("raw_events", "cleaned_events", "risk_scores")
#: Code of a branch: silver and one table of gold give other rows.
NEW = {"large_deletion": -50, "high_velocity": 2}


@pytest.fixture(scope="module")
def events() -> list[str]:
    return list(lines(events=500, days=2, seed=7))


def main_of(lab: Lab) -> dict[str, object]:
    return {table: (lab.head(table), lab.rows(table)) for table in ALL}


def test_main_is_the_same_cell_by_cell_until_the_branch_is_published(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab, other = Lab(spark, tmp_path / "lab"), Lab(spark, tmp_path / "other")
    for each in (lab, other):
        each.drop("a.ndjson", [*events[:200], "not json"])
    assert lab.run(models=CHAIN) == 0
    for each in (lab, other):
        each.drop("b.ndjson", [*events[200:300], '{"meta": 1}'])
        os.utime(each.inbox / "a.ndjson", (1, 1))
        os.utime(each.inbox / "b.ndjson", (2, 2))
    before = main_of(lab)

    lab.overrides = other.overrides = NEW
    assert lab.run(models=CHAIN, branch="dev") == 0, lab.events
    assert main_of(lab) == before
    modes = {table: result["mode"] for table, result in lab.results().items()}
    assert modes == {BRONZE: "append", SILVER: "rebuild", GOLD: "rebuild"}
    assert lab.run(models=CHAIN, branch="dev") == 0
    assert set(lab.kinds().values()) == {"nothing"}
    assert other.run(models=CHAIN) == 0
    for table in ALL:
        assert lab.rows(table, branch="dev") == other.rows(table), table
    assert lab.rows(SILVER, branch="dev") != lab.rows(SILVER)

    assert lab.publish("dev") == (0, [ASIDE, BRONZE, SILVER, GOLD])
    assert_same(lab, other, ALL)
    assert branches(lab.lake.catalog) == ()
    assert lab.run(models=CHAIN) == 0
    assert set(lab.kinds().values()) == {"nothing"}
    # And what comes next is read once.
    lab.drop("c.ndjson", events[300:340])
    assert lab.run(models=CHAIN) == 0
    assert {r["mode"] for r in lab.results().values()} == {"append", "incremental"}
    assert lab.results()[BRONZE]["adapter_response"]["rows_read"] == 40


def test_where_main_moved_and_was_maintained_the_code_runs_again_from_its_head(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab, other = Lab(spark, tmp_path / "lab"), Lab(spark, tmp_path / "other")
    lab.drop("a.ndjson", [*events[:150], "not json"])
    assert lab.run(models=CHAIN) == 0
    # The branch reads a file that main does not know yet, with code of its own.
    lab.drop("b.ndjson", [*events[150:200], "broken"])
    lab.overrides = NEW
    assert lab.run(models=CHAIN, branch="dev") == 0
    # Main goes its way with its own code: the same file and another, compaction, expiry.
    lab.drop("c.ndjson", events[200:260])
    lab.overrides = {}
    assert lab.run(models=CHAIN) == 0
    lab.maintain()
    assert lab.rows(SILVER, branch="dev"), "maintenance spared what the branch needs"
    lab.overrides = NEW
    assert lab.run(models=CHAIN[2:], branch="dev") == 0
    assert set(lab.kinds().values()) == {"nothing"}

    assert lab.publish("dev") == (0, [SILVER, GOLD]), lab.events
    assert lab.kinds() == {BRONZE: "nothing", SILVER: "ok", GOLD: "ok"}, "main has read the branch's file"
    other.overrides = NEW
    for path in sorted(lab.inbox.iterdir()):
        copy = other.inbox / path.name
        copy.write_bytes(path.read_bytes())
        os.utime(copy, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns))
    assert other.run(models=CHAIN) == 0
    assert_same(lab, other, ALL)
    assert branches(lab.lake.catalog) == ()
    assert lab.run(models=CHAIN) == 0
    assert set(lab.kinds().values()) == {"nothing"}


def test_a_branch_of_a_files_table_goes_on_from_the_snapshot_that_it_left(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab = Lab(spark, tmp_path)
    lab.drop("a.ndjson", events[:60])
    assert lab.run("bronze") == 0
    lab.drop("b.ndjson", [*events[60:100], "not json"])
    assert lab.run("bronze", branch="dev") == 0
    assert lab.results()[BRONZE]["adapter_response"]["rows_read"] == 41
    lab.drop("c.ndjson", [*events[100:130], "broken"])
    assert lab.run("bronze", branch="dev") == 0
    assert lab.results()[BRONZE]["adapter_response"]["rows_read"] == 31, "b is read once on the branch"
    assert (len(lab.rows(ASIDE, branch="dev")), lab.rows(ASIDE)) == (2, [])
    assert lab.run("bronze") == 0
    assert lab.results()[BRONZE]["adapter_response"]["rows_read"] == 72, "main reads b and c for itself"
    for table in (BRONZE, ASIDE):
        assert lab.rows(table) == lab.rows(table, branch="dev"), table


def test_a_kill_between_two_tables_is_completed_by_the_same_command(
    spark: SparkSession, tmp_path: Path, events: list[str]
) -> None:
    lab = Lab(spark, tmp_path)
    lab.drop("a.ndjson", [*events[:60], "not json"])
    assert lab.run("bronze", "silver", branch="dev") == 0
    tables = (BRONZE, ASIDE, SILVER)
    expected = {table: lab.rows(table, branch="dev") for table in tables}
    place = ("--lake", str(lab.lake_folder), "--vars", f"events: {lab.inbox}")
    died = subprocess.run(
        [sys.executable, "-m", "runner", "branch", "publish", "dev", *place],
        cwd=ROOT,
        env={**os.environ, "RUNNER_CRASH_AT": f"between_publications:{BRONZE}", "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    on_main = {table: lab.rows(table) for table in tables}
    assert on_main == {**expected, SILVER: []}
    assert lab.publish("dev") == (0, [SILVER])
    assert {table: lab.rows(table) for table in tables} == expected
    assert branches(lab.lake.catalog) == ()


def test_a_lake_that_begins_on_a_branch(spark: SparkSession, tmp_path: Path, events: list[str]) -> None:
    lab = Lab(spark, tmp_path)
    lab.drop("a.ndjson", events[:60])
    assert lab.run("bronze", "silver", branch="dev") == 0
    assert (lab.head(BRONZE), lab.rows(BRONZE), lab.rows(SILVER)) == (None, [], [])
    assert len(lab.rows(SILVER, branch="dev")) > 30
    # Given up: tables that nobody else ever had are gone, files and all.
    gone: list[bool] = []
    drop_branch(
        "dev",
        Lake(lab.lake.warehouse, lab.lake.catalog),
        lab.engine,
        lock_timeout=0,
        run_id="r",
        tell=lambda line, away: gone.append(away),
    )
    assert (set(gone), lab.lake.catalog.table(TableRef.parse(SILVER))) == ({True}, None)
    assert not list((lab.lake_folder / "silver").rglob("*.parquet"))


def test_a_column_for_a_branch_needs_its_flag(spark: SparkSession, tmp_path: Path) -> None:
    from tests.shop import Shop, merge

    spec = """\
  - name: sales
    sql: sql/sales.sql
    sources: {orders: {table: ext.orders, read: changes}}
    target: {table: shop.sales, key: [id], columns: {id: {type: bigint}, amount: {type: bigint}}}
"""
    shop = Shop(spark, tmp_path, spec, sales=merge("SELECT id, amount FROM {{ source('orders') }}"))
    shop.table("ext.orders", {"id": "bigint", "amount": "bigint"}, "(1, 10), (2, 20)")
    assert shop.run() == 0
    shop.write(
        spec.replace("amount: {type: bigint}}", "amount: {type: bigint}, twice: {type: bigint}}"),
        sales=merge("SELECT id, amount, 2 * amount AS twice FROM {{ source('orders') }}"),
    )
    before = shop.head("shop.sales")
    assert shop.run(branch="dev") == 2
    assert [f.code for f in shop.faults()] == ["schema-change-on-branch"]
    assert shop.head("shop.sales") == before
    assert shop.run(branch="dev", allow_schema_change=True) == 0
    assert shop.values("shop.sales") == [[1, 10, None], [2, 20, None]], "as the message said"
    assert [row["twice"] for row in shop.rows("shop.sales", branch="dev")] == [20, 40]
    assert find(shop.lake.catalog, "dev").lines[0].base == before.id  # type: ignore[union-attr]
    assert shop.publish("dev") == (0, ["shop.sales"])
    assert shop.values("shop.sales") == [[1, 10, 20], [2, 20, 40]]
