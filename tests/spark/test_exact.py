"""Incremental equals rebuilt: random deliveries and changes, compared with a fresh lake after each run."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from producer.generate import lines as generated_lines
from tests.lab import GOLD, Lab, assert_same, differences
from tests.oracle import tables

SEEDS = tuple(int(s) for s in os.environ.get("EXACT_SEEDS", "1,2,3,4").split(","))
STEPS = int(os.environ.get("EXACT_STEPS", "7"))


class Story:
    """One seeded sequence of deliveries and changes on one lake."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.pool = list(generated_lines(events=900, days=3, seed=seed))
        self.random.shuffle(self.pool)
        self.sent: list[str] = []
        self.again: list[str] = []  # of those sent, what may be delivered again
        self.files = 0
        self.silver_touched = False

    def deliver(self) -> None:
        """A random slice of new events, some of them twice, some of them sent before."""
        size = self.random.randrange(20, 120)
        batch, self.pool = self.pool[:size], self.pool[size:]
        batch += self.random.choices(batch, k=5) + self.random.sample(self.again, min(5, len(self.again)))
        self.random.shuffle(batch)
        self.files += 1
        self.lab.drop(f"part-{self.files:03}.ndjson", batch)
        self.sent += batch
        self.again += batch

    def update_bronze(self) -> None:
        """Other cells in rows of bronze: among them the domain (another region, another group)."""
        domain = self.random.choice(["en.wikipedia.org", "ja.wikipedia.org", "commons.wikimedia.org"])
        self.lab.sql(
            f"UPDATE bronze.raw_events SET domain = '{domain}', title = concat('moved ', title)"
            f" WHERE abs(hash(event_id, {self.random.randrange(1000)})) % 15 = 0"
        )

    def move_days(self) -> None:
        """Rows that change their day: they leave partitions and groups, and come to others.

        Bronze declares that an event never changes its day, so what was sent is not sent again.
        """
        self.again.clear()
        self.lab.sql(
            "UPDATE bronze.raw_events SET event_timestamp = event_timestamp + INTERVAL 1 DAY,"
            " event_date = date_add(event_date, 1)"
            f" WHERE abs(hash(event_id, {self.random.randrange(1000)})) % 20 = 0"
        )

    def delete_bronze(self) -> None:
        self.lab.sql(
            f"DELETE FROM bronze.raw_events WHERE abs(hash(event_id, {self.random.randrange(1000)})) % 10 = 0"
        )

    def vanish_groups(self) -> None:
        """All rows of some users and domains."""
        self.lab.sql(f"DELETE FROM bronze.raw_events WHERE hash(user) % 4 = {self.random.randrange(4)}")

    def change_silver(self) -> None:
        """Silver changed by hand: gold follows what silver holds."""
        self.silver_touched = True
        salt = self.random.randrange(1000)
        self.lab.sql(
            "UPDATE silver.cleaned_events SET language = NULL, region = 'other', user_normalized = 'Somebody'"
            f" WHERE abs(hash(event_id, {salt})) % 12 = 0"
        )
        self.lab.sql(f"DELETE FROM silver.cleaned_events WHERE abs(hash(event_id, {salt})) % 12 = 1")

    def step(self) -> str:
        actions: list[Callable[[], None]] = [
            self.deliver,
            self.update_bronze,
            self.move_days,
            self.delete_bronze,
            self.vanish_groups,
        ]
        chosen = (
            [self.deliver] if not self.sent else self.random.sample(actions, k=self.random.choice([1, 2]))
        )
        for action in chosen:
            action()
        return " + ".join(action.__name__ for action in chosen)


def compare_with_rebuild(lab: Lab, folder: Path, spark: SparkSession, *, start: str) -> None:
    """Silver (from bronze) and gold of ``lab`` equal a rebuild in a fresh lake that starts with ``start``."""
    fresh = Lab(spark, folder)
    lab.copy_table(start, fresh)
    downstream = ("silver", "gold") if start.startswith("bronze") else ("gold",)
    assert fresh.run(*downstream) == 0, [str(f) for e in fresh.events for f in e.faults]
    assert_same(lab, fresh, (*(("silver.cleaned_events",) if len(downstream) == 2 else ()), *GOLD))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_incremental_run_equals_a_rebuild(
    seed: int, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(spark, tmp_path / "lab")
    story = Story(lab, seed)
    for number in range(STEPS):
        did = story.step()
        assert lab.run() == 0, (seed, number, did, [str(f) for e in lab.events for f in e.faults])
        with capsys.disabled():
            print(f"\n  seed {seed}, step {number + 1} of {STEPS}: {did}", end="")
        compare_with_rebuild(lab, tmp_path / f"fresh-{number}", spark, start="bronze.raw_events")
    # Last, silver changes under gold: from here silver is an input, not what bronze gives.
    story.change_silver()
    assert lab.run("gold") == 0
    compare_with_rebuild(lab, tmp_path / "fresh-silver", spark, start="silver.cleaned_events")


def test_slices_give_what_the_contract_says(spark: SparkSession, tmp_path: Path) -> None:
    """Deliveries in slices, against the rules of the data contract written down in plain Python."""
    lab = Lab(spark, tmp_path / "lab")
    story = Story(lab, seed=11)
    for _ in range(4):
        story.deliver()
        assert lab.run() == 0
    expected = tables(story.sent)
    for table in ("silver.cleaned_events", *GOLD):
        found = differences(lab.rows(table), expected[table.split(".")[table.startswith("gold")]])
        assert not found, f"{table} differs: {found}"
