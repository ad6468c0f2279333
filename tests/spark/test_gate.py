"""A failing check: readers see the old snapshot, exit 3, a message that helps, and a rerun that goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines as generated_lines
from tests.lab import GOLD, ROOT, Lab

EVERYTHING = ("bronze.raw_events", "silver.cleaned_events", *GOLD)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the shipped project, to be edited."""
    root = tmp_path / "project"
    root.mkdir()
    for name in ("pipelines", "sql", "expectations"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "profiles.yml", root)
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def add_check(project: Path, pipeline: str, model: str, check: str) -> None:
    """One more check at the end of a model's list of checks (made where there is none)."""
    path = project / "pipelines" / f"{pipeline}.yml"
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == f"- name: {model}")
    checks = next((i for i in range(start, len(lines)) if lines[i].rstrip() == "    checks:"), None)
    assert checks is not None, f"{model} has no checks"
    lines.insert(checks + 1, f"      - {check}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_failing_row_check_publishes_nothing(spark: SparkSession, tmp_path: Path, project: Path) -> None:
    lab = Lab(spark, tmp_path / "lab", root=project)
    lines = list(generated_lines(events=400, days=2, seed=9))
    lab.drop("a.ndjson", lines[:200])
    assert lab.run() == 0
    heads = {table: lab.head(table) for table in EVERYTHING}
    lab.drop("b.ndjson", lines[200:])
    add_check(project, "silver", "cleaned_events", '{expression: "namespace < 0", name: impossible}')
    assert lab.run() == 3
    assert lab.kinds() == {
        "bronze.raw_events": "ok",
        "silver.cleaned_events": "gated",
        **dict.fromkeys(GOLD, "skipped"),
    }
    for table in EVERYTHING[1:]:
        assert lab.head(table) == heads[table], table
    fault = next(e for e in lab.events if e.kind == "gated").faults[0]
    message = str(fault)
    assert fault.code == "check-failed"
    assert "pipelines/silver.yml:" in message
    assert "'impossible'" in message
    assert "rows fail" in message
    assert '"event_id": ' in message
    edit(project / "pipelines" / "silver.yml", "namespace < 0", "namespace < 1000000")
    assert lab.run() == 0
    bronze, silver = (len(lab.sql(f"SELECT 1 FROM {t}")) for t in EVERYTHING[:2])
    assert bronze == silver


def test_a_failing_table_check_leaves_no_trace(spark: SparkSession, tmp_path: Path, project: Path) -> None:
    lab = Lab(spark, tmp_path / "lab", root=project)
    lab.drop("a.ndjson", [*generated_lines(events=100, days=1, seed=9), "{torn"])
    add_check(project, "bronze", "raw_events", "{row_count: {min: 100000}, name: enough}")
    assert lab.run() == 3
    fault = next(e for e in lab.events if e.kind == "gated").faults[0]
    assert "'enough'" in str(fault)
    assert "at least 100,000" in str(fault)
    assert lab.head("bronze.raw_events") is None
    assert lab.rows("bronze.raw_events__quarantine") == []
    assert lab.lake.catalog.table(lab.project().models[0].target.table) is None


def test_readers_see_the_old_snapshot_while_the_gate_is_judged(
    spark: SparkSession, tmp_path: Path, project: Path
) -> None:
    """Rows lie on the branch when the table checks run; a reader of main sees none of them."""
    lab = Lab(spark, tmp_path / "lab", root=project)
    lines = list(generated_lines(events=200, days=1, seed=9))
    lab.drop("a.ndjson", lines[:100])
    assert lab.run("bronze") == 0
    before = len(lab.sql("SELECT 1 FROM bronze.raw_events"))
    lab.drop("b.ndjson", lines[100:])
    seen: list[int] = []
    engine = lab.engine()
    publish = engine.fast_forward

    def look(*given: Any, **more: Any) -> bool:
        seen.append(len(lab.sql("SELECT 1 FROM bronze.raw_events")))
        return publish(*given, **more)

    engine.fast_forward = look  # type: ignore[method-assign]
    assert lab.run("bronze") == 0
    assert seen == [before]
    assert len(lab.sql("SELECT 1 FROM bronze.raw_events")) > before


def test_nothing_new_adds_no_snapshot(spark: SparkSession, tmp_path: Path) -> None:
    lab = Lab(spark, tmp_path / "lab")
    lab.drop("a.ndjson", generated_lines(events=100, days=1, seed=9))
    assert lab.run() == 0
    heads = {table: lab.head(table) for table in EVERYTHING}
    assert lab.run() == 0
    assert set(lab.kinds().values()) == {"nothing"}
    assert {table: lab.head(table) for table in EVERYTHING} == heads


def test_only_new_rows_are_read(spark: SparkSession, tmp_path: Path) -> None:
    lab = Lab(spark, tmp_path / "lab")
    lines = list(generated_lines(events=600, days=3, seed=9))
    lab.drop("a.ndjson", lines[:400])
    assert lab.run() == 0
    lab.drop("b.ndjson", lines[400:])
    assert lab.run() == 0
    results = lab.results()
    assert results["bronze.raw_events"]["adapter_response"]["rows_read"] == 200
    silver = results["silver.cleaned_events"]
    assert silver["mode"] == "incremental"
    assert (
        silver["adapter_response"]["rows_read"]
        == results["bronze.raw_events"]["adapter_response"]["rows_inserted"]
    )


def test_an_edited_model_is_rebuilt_and_wakes_only_true_differences(
    spark: SparkSession, tmp_path: Path, project: Path
) -> None:
    lab = Lab(spark, tmp_path / "lab", root=project)
    lab.drop("a.ndjson", generated_lines(events=300, days=1, seed=9))
    assert lab.run() == 0
    path = project / "sql" / "gold" / "hourly_stats.sql"
    path.write_text("-- a comment is no change\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert lab.run("gold") == 0
    assert set(lab.kinds().values()) == {"nothing"}
    edit(project / "pipelines" / "gold.yml", "anonymous_points: 20", "anonymous_points: 21")
    assert lab.run("gold") == 0
    risk = lab.results()["gold.risk_scores"]
    assert (risk["mode"], risk["reason"]) == ("rebuild", "the model changed")
    assert risk["adapter_response"]["rows_updated"] > 0
    assert risk["adapter_response"]["rows_inserted"] == 0
    assert lab.kinds()["gold.hourly_stats"] == "nothing"
