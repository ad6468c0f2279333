"""kill -9 at every named point: a rerun gives the tables of an uninterrupted run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines as generated_lines
from runner.crash import KEEP_POINTS, RUN_POINTS
from runner.rollback import steps_of_run
from tests.lab import GOLD, ROOT, Lab, assert_same, eager_project

TABLES = ("bronze.raw_events", "bronze.raw_events__quarantine", "silver.cleaned_events", *GOLD)

#: Every point once, over all three layers; the quarantine's commit and the manifest are bronze's.
CRASHES = {
    "after_staging": "silver.cleaned_events",
    "between_manifest_and_commit": "bronze.raw_events",
    "after_branch_creation": "gold.hourly_stats",
    "after_merge": "silver.cleaned_events",
    "after_checks": "gold.risk_scores",
    "after_quarantine_commit": "bronze.raw_events",
    "after_fast_forward": "silver.cleaned_events",
    "while_recording": "gold.entity_trends",
    "after_ops_commit": "ops.runs",
}


def test_every_named_point_is_crashed_at() -> None:
    assert set(CRASHES) == set(RUN_POINTS)


@pytest.fixture(scope="module")
def labs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Lab]:
    """The lake that is killed again and again, and the one that is left alone."""
    folder = tmp_path_factory.mktemp("crash")
    killed, spared = Lab(spark, folder / "killed"), Lab(spark, folder / "spared")
    for lab in (killed, spared):
        lab.drop("part-00.ndjson", _batch(0))
        assert lab.run() == 0
    return killed, spared


def _batch(number: int) -> list[str]:
    size = 150
    lines = list(generated_lines(events=size * (len(CRASHES) + 1), days=3, seed=5))
    return [*lines[number * size : (number + 1) * size], f'{{"torn": {number}']


@pytest.mark.parametrize("point", RUN_POINTS)
def test_a_rerun_after_a_kill_equals_an_uninterrupted_run(point: str, labs: tuple[Lab, Lab]) -> None:
    killed, spared = labs
    number = RUN_POINTS.index(point) + 1
    for lab in labs:
        lab.drop(f"part-{number:02}.ndjson", _batch(number))
    _kill(killed, f"{point}:{CRASHES[point]}")
    assert killed.run() == 0, killed.events
    assert spared.run() == 0
    assert_same(killed, spared, TABLES)
    # Killed after its publication, a model has nothing to do in the rerun, and no engine drops its branch:
    # the next run that has something to do does.
    _nothing_left_behind(killed, but="audit_" if point == "after_fast_forward" else None)


def _kill(lab: Lab, at: str, *argv: str) -> None:
    """Run a command line in a process of its own that dies at a point."""
    died = subprocess.run(
        [sys.executable, "-m", "runner", *argv, "--lake", lab.lake_folder, "--vars", f"events: {lab.inbox}"],
        cwd=lab.root,
        env={**os.environ, "RUNNER_CRASH_AT": at, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr


@pytest.mark.parametrize("point", KEEP_POINTS)
def test_a_kill_during_maintenance_or_a_rollback(point: str, spark: SparkSession, tmp_path: Path) -> None:
    project = eager_project(tmp_path / "project", keep_days=1 if point == "after_retention" else 36500)
    killed, spared = (Lab(spark, tmp_path / name, root=project) for name in ("killed", "spared"))
    for lab in (killed, spared):
        for number in range(5 if point == "after_compaction" else 1):
            lab.drop(f"part-{number:02}.ndjson", _batch(number)[:40])
            assert lab.run("bronze") == 0
        lab.drop("part-99.ndjson", _batch(8))
        assert lab.run() == 0
    if point == "between_rollbacks":
        undone = killed.run_id
        _kill(killed, point, "rollback", "--run", undone)
        killed.roll_back(lambda catalog: steps_of_run(catalog, undone))
        spared.roll_back(lambda catalog: steps_of_run(catalog, spared.run_id))
    else:
        _kill(killed, point, "maintain")
        for lab in (killed, spared):
            lab.maintain(settings=None)
    assert_same(killed, spared, TABLES)
    for lab in (killed, spared):
        lab.drop("part-last.ndjson", _batch(7))
        assert lab.run() == 0
    assert_same(killed, spared, TABLES)
    assert {t: r["mode"] for t, r in killed.results().items()} == {
        t: r["mode"] for t, r in spared.results().items()
    }
    _nothing_left_behind(killed, but=None)


def _nothing_left_behind(lab: Lab, *, but: str | None) -> None:
    for table in lab.lake.catalog.tables():
        state = lab.lake.catalog.table(table)
        assert state is not None
        left = {b for b in state.branches if not (but and b.startswith(but))}
        assert left <= {"main"}, table
    scratch = lab.lake_folder / "_scratch"
    assert not [p for p in scratch.rglob("*") if p.is_file()]
