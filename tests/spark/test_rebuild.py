"""A rebuild changes what differs and nothing else: equal rows keep their ids and wake nobody downstream."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from producer.generator.generate import lines
from tests.lab import Lab, eager_project

SILVER = "silver.cleaned_events"


def test_an_edit_that_changes_a_few_rows_touches_their_groups_alone(
    spark: SparkSession, tmp_path: Path
) -> None:
    lab = Lab(spark, tmp_path / "lab", root=eager_project(tmp_path / "project", keep_days=90))
    lab.drop("a.ndjson", lines(events=1500, days=2, seed=4))
    assert lab.run() == 0
    counts = lab.sql(f"SELECT domain, count(1) AS n FROM {SILVER} GROUP BY domain ORDER BY n, domain")
    total = sum(row["n"] for row in counts)
    domain, few = next((row["domain"], row["n"]) for row in counts if 8 <= row["n"] <= total / 50)
    groups = lab.sql(f"SELECT DISTINCT event_date, event_hour FROM {SILVER} WHERE domain = '{domain}'")
    before = {row["event_id"]: row["_row_id"] for row in lab.sql(f"SELECT event_id, _row_id FROM {SILVER}")}

    # The region of that domain: reference data that silver reads whole.
    regions = lab.root / "sql" / "reference" / "domain_regions.csv"
    known = [r for r in regions.read_text(encoding="utf-8").splitlines() if not r.startswith(f"{domain},")]
    regions.write_text("\n".join([*known, f"{domain},elsewhere,false", ""]), encoding="utf-8")
    assert lab.run() == 0

    done = lab.results()
    assert (done[SILVER]["mode"], done[SILVER]["reason"]) == ("rebuild", "'regions' changed")
    changed = done[SILVER]["adapter_response"]
    assert {k: changed[f"rows_{k}"] for k in ("inserted", "updated", "deleted")} == {
        "inserted": 0,
        "updated": few,
        "deleted": 0,
    }
    assert {r["event_id"]: r["_row_id"] for r in lab.sql(f"SELECT event_id, _row_id FROM {SILVER}")} == before
    hourly = done["gold.hourly_stats"]
    assert hourly["mode"] == "incremental"
    assert hourly["adapter_response"]["rows_read"] == len(groups), "the groups of that domain and no other"
    assert hourly["adapter_response"]["rows_updated"] == len(groups)
    # What does not show the region is looked at again, and no row of it changes.
    for table in ("gold.risk_scores", "gold.entity_trends"):
        assert done[table]["mode"] == "incremental"
        assert done[table]["adapter_response"]["rows_updated"] == 0
