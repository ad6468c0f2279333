"""Incremental equals rebuilt: random histories of a lake, compared with a fresh one that is built at once.

``EXACT_SEEDS`` and ``EXACT_STEPS`` make it longer (``make soak``); ``EXACT_EVERY``: steps between two
comparisons. What a wrong step leaves behind is still there some steps later.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.lab import GOLD, Lab, differences, eager_project
from tests.oracle import tables
from tests.spark.story import BRONZE, KINDS, SILVER, Story, deal

SEEDS = tuple(int(s) for s in os.environ.get("EXACT_SEEDS", "1,2,3,4,5").split(","))
STEPS = int(os.environ.get("EXACT_STEPS", "8"))
EVERY = int(os.environ.get("EXACT_EVERY", "4"))

DAY = {SILVER: "event_date"}
#: How often each kind had an effect, over all seeds.
HAPPENED: Counter[str] = Counter()


def compare_with_rebuild(story: Story, folder: Path, spark: SparkSession, *, start: str) -> None:
    """Silver (from bronze) and gold equal a rebuild in a fresh lake that starts with the table ``start``.

    Days that left bronze by retention are left out: the fresh lake never saw their rows.
    """
    lab = story.lab
    fresh = Lab(spark, folder, root=lab.root, overrides=lab.overrides)
    lab.copy_table(start, fresh)
    downstream = ("silver", "gold") if start == BRONZE else ("gold",)
    assert fresh.run(*downstream) == 0, [str(f) for e in fresh.events for f in e.faults]
    for table in (*((SILVER,) if start == BRONZE else ()), *GOLD):
        left, right = (
            [
                r
                for r in each.rows(table)
                if not story.edge or str(r[DAY.get(table, "stat_date")]) > story.edge
            ]
            for each in (lab, fresh)
        )
        assert left or not right
        found = differences(left, right)
        assert not found, f"{table} differs: {found}"
    shutil.rmtree(folder)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_incremental_run_equals_a_rebuild(
    seed: int, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(spark, tmp_path / "lab", root=eager_project(tmp_path / "project", keep_days=90))
    story = Story(lab, seed, steps=STEPS)
    for number, kind in enumerate(deal(SEEDS, STEPS)[seed], 1):
        did = story.step(kind)
        if number == STEPS:
            HAPPENED.update(story.done)
        with capsys.disabled():
            print(f"\n  seed {seed}, step {number} of {STEPS}: {did}", end="", flush=True)
        if number % EVERY == 0 or number == STEPS:
            compare_with_rebuild(story, tmp_path / f"fresh-{number}", spark, start=BRONZE)


def test_every_kind_is_dealt_at_least_twice() -> None:
    dealt = [kind for steps in deal((1, 2, 3, 4, 5), 8).values() for kind in steps]
    assert all(dealt.count(kind) >= 2 for kind in KINDS)


def test_every_kind_happened(spark: SparkSession) -> None:
    """What was dealt had an effect, in the seeds that ran before this test."""
    if HAPPENED.total() < 40:
        pytest.skip("the seeds did not run in this process")
    assert {kind: HAPPENED[kind] for kind in KINDS if HAPPENED[kind] < 2} == {}


def test_gold_follows_what_silver_holds(spark: SparkSession, tmp_path: Path) -> None:
    """Silver changed by hand: from there it is an input of gold, whatever bronze would give."""
    lab = Lab(spark, tmp_path / "lab")
    story = Story(lab, seed=12, steps=1)
    story.step("deliver")
    lab.sql(
        f"UPDATE {SILVER} SET language = NULL, region = 'other', user_normalized = 'Somebody'"
        " WHERE abs(hash(event_id)) % 12 = 0"
    )
    lab.sql(f"DELETE FROM {SILVER} WHERE abs(hash(event_id)) % 12 = 1")
    assert lab.run("gold") == 0
    compare_with_rebuild(story, tmp_path / "fresh", spark, start=SILVER)


def test_slices_give_what_the_contract_says(spark: SparkSession, tmp_path: Path) -> None:
    """Deliveries in slices, against the rules of the data contract written down in plain Python."""
    lab = Lab(spark, tmp_path / "lab")
    story = Story(lab, seed=11, steps=1)
    for _ in range(3):
        story.step("deliver")
    expected = tables(story.sent)
    for table in (SILVER, *GOLD):
        found = differences(lab.rows(table), expected[table.split(".")[table.startswith("gold")]])
        assert not found, f"{table} differs: {found}"
