"""Negative controls: with one rule of the runner switched off, the test that guards it goes red."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import runner.execute.bind
import runner.execute.sql
import runner.execute.write
import runner.node
from producer.generator.generate import lines as generated_lines
from runner.engine import Diff
from runner.engine.spark.engine import SparkEngine
from runner.merge import merge_text
from tests.lab import GOLD, ROOT, Lab, assert_same

Scenario = Callable[[SparkSession, Path], None]


def _filled(spark: SparkSession, folder: Path, lines: list[str]) -> Lab:
    lab = Lab(spark, folder)
    lab.drop("a.ndjson", lines)
    assert lab.run() == 0
    return lab


def _events(seed: int = 3, events: int = 300) -> list[str]:
    return list(generated_lines(events=events, days=2, seed=seed))


def _rebuilt(lab: Lab, folder: Path, start: str, *pipelines: str) -> Lab:
    fresh = Lab(lab.spark, folder)
    lab.copy_table(start, fresh)
    assert fresh.run(*pipelines) == 0
    return fresh


def deleted_rows_leave(spark: SparkSession, folder: Path) -> None:
    """Rows deleted from bronze leave silver; groups that vanish from silver leave gold."""
    lab = _filled(spark, folder / "lab", _events())
    lab.sql("DELETE FROM bronze.raw_events WHERE hash(user) % 2 = 0")
    assert lab.run() == 0
    fresh = _rebuilt(lab, folder / "fresh", "bronze.raw_events", "silver", "gold")
    assert_same(lab, fresh, ("silver.cleaned_events", *GOLD))


LANGUAGES_YML = """\
pipeline: extra
models:
  - name: languages
    sql: sql/extra/languages.sql
    sources:
      events:
        table: silver.cleaned_events
        read: affected
        by: {stat_date: event_date, language: language}
    target:
      table: extra.languages
      key: [stat_date, language]
      partitions: [stat_date]
      columns:
        stat_date: {type: date}
        language: {type: string}
        events: {type: bigint}
"""
LANGUAGES_SQL = """\
MERGE INTO {{ target }} AS t
USING (
    SELECT event_date AS stat_date, language, count(*) AS events
    FROM {{ source('events') }}
    GROUP BY event_date, language
) AS s
ON t.stat_date = s.stat_date AND t.language <=> s.language
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""


def null_groups_are_rebuilt(spark: SparkSession, folder: Path) -> None:
    """A group may be NULL: events of wikis without a language are counted with those that were there."""
    root = folder / "project"
    for name in ("pipelines", "sql", "expectations"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "profiles.yml", root)
    (root / "pipelines" / "extra.yml").write_text(LANGUAGES_YML)
    (root / "sql" / "extra").mkdir()
    (root / "sql" / "extra" / "languages.sql").write_text(LANGUAGES_SQL)
    lab = Lab(spark, folder / "lab", root=root)
    for name, seed in (("a", 3), ("b", 4)):
        lab.drop(f"{name}.ndjson", _events(seed=seed))
        assert lab.run("bronze", "silver", "extra") == 0
    fresh = Lab(spark, folder / "fresh", root=root)
    lab.copy_table("silver.cleaned_events", fresh)
    assert fresh.run("extra") == 0
    assert any(row["language"] is None for row in fresh.rows("extra.languages"))
    assert_same(lab, fresh, ("extra.languages",))


def moved_rows_leave_their_old_group(spark: SparkSession, folder: Path) -> None:
    """A row that moves to another user leaves the group that it was counted in."""
    lab = _filled(spark, folder / "lab", _events())
    lab.sql("UPDATE silver.cleaned_events SET user_normalized = 'Mover' WHERE hash(event_id) % 3 = 0")
    assert lab.run("gold") == 0
    assert_same(lab, _rebuilt(lab, folder / "fresh", "silver.cleaned_events", "gold"), GOLD)


def a_second_delivery_changes_nothing(spark: SparkSession, folder: Path) -> None:
    """An event delivered twice, in one file and in two, is one row."""
    lines = _events()
    lab = _filled(spark, folder / "lab", [*lines, *lines[:50]])
    lab.drop("b.ndjson", lines[:80])
    assert lab.run() == 0
    ids = [row["event_id"] for row in lab.rows("bronze.raw_events")]
    assert len(ids) == len(set(ids))


def a_writer_in_between_is_not_lost(spark: SparkSession, folder: Path) -> None:
    """Another writer commits to silver's main after the branch is made: its row stays, ours come too."""
    lab = _filled(spark, folder / "lab", _events())
    lab.drop("b.ndjson", _events(seed=4, events=100))
    engine = lab.engine()
    assert isinstance(engine, SparkEngine)
    create = engine.create_branch
    done: list[bool] = []

    def create_then_interfere(table: Any, branch: str, snapshot: int | None) -> None:
        create(table, branch, snapshot)
        if str(table) == "silver.cleaned_events" and not done:
            done.append(True)
            lab.sql("UPDATE silver.cleaned_events SET title = 'by hand' WHERE event_hour = 0")

    engine.create_branch = create_then_interfere  # type: ignore[method-assign]
    before = len(lab.sql("SELECT 1 FROM silver.cleaned_events WHERE event_hour = 0"))
    assert before > 0
    assert lab.run() == 0
    assert done
    by_hand = len(lab.sql("SELECT 1 FROM silver.cleaned_events WHERE title = 'by hand'"))
    assert by_hand == before
    bronze, silver = (
        len(lab.sql(f"SELECT 1 FROM {t}")) for t in ("bronze.raw_events", "silver.cleaned_events")
    )
    assert silver == bronze


SCENARIOS = [
    deleted_rows_leave,
    null_groups_are_rebuilt,
    moved_rows_leave_their_old_group,
    a_second_delivery_changes_nothing,
    a_writer_in_between_is_not_lost,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_rule(scenario: Scenario, spark: SparkSession, tmp_path: Path) -> None:
    scenario(spark, tmp_path)


def without_tombstones(patch: pytest.MonkeyPatch) -> None:
    def merge_without(**given: Any) -> str:
        text = merge_text(**{**given, "tombstones": False})
        source = given["source_sql"].replace("NOT _aside", "NOT _aside AND NOT _gone")
        return text.replace(given["source_sql"], source)

    patch.setattr(runner.execute.write, "merge_text", merge_without)


def without_null_safe_groups(patch: pytest.MonkeyPatch) -> None:
    members = runner.execute.sql.members_sql
    patch.setattr(runner.execute.bind, "members_sql", lambda *a: members(*a).replace("<=>", "="))


def without_old_images(patch: pytest.MonkeyPatch) -> None:
    bind_diff = SparkEngine.bind_diff

    def only_new(self: SparkEngine, *given: Any, **named: Any) -> Diff:
        return replace(bind_diff(self, *given, **named), old=False)

    patch.setattr(SparkEngine, "bind_diff", only_new)


def without_dedupe(patch: pytest.MonkeyPatch) -> None:
    marked = runner.execute.sql.Staging._marked

    def all_first(self: Any) -> str:
        return (
            marked(self)
            .replace("row_number() OVER", "0 * row_number() OVER")
            .replace(" AS _nth", " + 1 AS _nth")
        )

    patch.setattr(runner.execute.sql.Staging, "_marked", all_first)


def without_compare_and_set(patch: pytest.MonkeyPatch) -> None:
    def force(self: SparkEngine, table: Any, branch: str, *onto: str) -> bool:
        from runner.engine.spark.diff import load_table

        java = load_table(self.spark, table.sql(self.catalog))
        java.manageSnapshots().replaceBranch("main", branch).commit()
        return True

    patch.setattr(SparkEngine, "fast_forward", force)


CONTROLS = [
    (without_tombstones, deleted_rows_leave),
    (without_null_safe_groups, null_groups_are_rebuilt),
    (without_old_images, moved_rows_leave_their_old_group),
    (without_dedupe, a_second_delivery_changes_nothing),
    (without_compare_and_set, a_writer_in_between_is_not_lost),
]


@pytest.mark.parametrize(("switch_off", "scenario"), CONTROLS, ids=lambda f: f.__name__)
def test_the_scenario_fails_without_its_rule(
    switch_off: Callable[[pytest.MonkeyPatch], None],
    scenario: Scenario,
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switch_off(monkeypatch)
    with pytest.raises(AssertionError):
        scenario(spark, tmp_path)
