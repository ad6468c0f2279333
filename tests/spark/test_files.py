"""Input files: names that Spark would pass over, files that change, what a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from producer.generator.generate import lines as generated_lines
from runner.spec import Severity
from tests.lab import Lab


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    return Lab(spark, tmp_path / "lab")


def test_odd_names_are_read(lab: Lab) -> None:
    """Spark takes `[` and `{` for patterns and passes over `_`: each file is read once all the same."""
    lines = list(generated_lines(events=120, days=1, seed=2))
    for index, name in enumerate(["a [1].ndjson", "b{x}.ndjson", "sub/c d.ndjson"]):
        path = lab.inbox / name
        path.parent.mkdir(exist_ok=True)
        lab.drop(name, lines[index * 40 : (index + 1) * 40])
    (lab.inbox / "_SUCCESS").write_text("not events")
    assert lab.run("bronze") == 0
    assert lab.results()["bronze.raw_events"]["adapter_response"]["rows_read"] == 120
    assert any("_SUCCESS" in e.detail for e in lab.events if e.kind == "info")


def test_a_file_named_outright_is_read_even_if_hidden(lab: Lab) -> None:
    path = lab.drop("_hidden.ndjson", generated_lines(events=30, days=1, seed=2))
    assert lab.run("bronze", overrides={"events": str(path)}) == 0
    assert lab.results()["bronze.raw_events"]["adapter_response"]["rows_read"] == 30


def test_a_consumed_file_that_changed_is_an_error(lab: Lab) -> None:
    lines = list(generated_lines(events=60, days=1, seed=2))
    lab.drop("a.ndjson", lines[:30])
    assert lab.run("bronze") == 0
    head = lab.head("bronze.raw_events")
    lab.drop("a.ndjson", lines)
    assert lab.run("bronze") == 2
    fault = lab.events[-1].faults[0]
    assert fault.code == "consumed-file-changed"
    assert "a.ndjson" in fault.what
    assert lab.head("bronze.raw_events") == head


def test_a_touched_file_is_not_read_again(lab: Lab) -> None:
    path = lab.drop("a.ndjson", generated_lines(events=30, days=1, seed=2))
    assert lab.run("bronze") == 0
    path.touch()
    assert lab.run("bronze") == 0
    assert lab.kinds() == {"bronze.raw_events": "nothing"}


def test_first_delivery_wins_by_order_of_arrival(lab: Lab) -> None:
    """Within a file the line that comes first, across files the older file."""
    event = (
        '{{"meta":{{"id":"x","dt":"2026-01-01T00:00:0{s}Z","domain":"a.org"}},"type":"edit","title":"{t}"}}'
    )
    lab.drop("a.ndjson", [event.format(s=0, t="first"), event.format(s=0, t="second")])
    assert lab.run("bronze") == 0
    assert [row["title"] for row in lab.rows("bronze.raw_events")] == ["first"]


def test_broken_lines_are_set_aside_with_their_position(lab: Lab) -> None:
    lab.drop("a.ndjson", [*generated_lines(events=30, days=1, seed=2), "{torn", '{"meta":{}}', ""])
    assert lab.run("bronze") == 0
    aside = lab.rows("bronze.raw_events__quarantine", without=())
    torn = next(row for row in aside if row["payload"] == "{torn")
    assert torn["failed_checks"]
    assert torn["arrival"]["source"].endswith("a.ndjson")
    declared = {c.name for c in lab.project().models[0].row_checks if c.severity is Severity.QUARANTINE}
    assert set(torn["failed_checks"]) & declared
    count = len(aside)
    lab.drop("b.ndjson", ["{torn"])
    assert lab.run("bronze") == 0
    assert len(lab.rows("bronze.raw_events__quarantine")) == count


def test_late_events_are_counted_and_kept(lab: Lab) -> None:
    event = '{{"meta":{{"id":"{i}","dt":"2026-01-01T{t}Z","domain":"a.org"}},"type":"edit","title":"t"}}'
    times = ["12:00:00", "12:10:00", "12:04:59", "12:05:00"]
    lab.drop("a.ndjson", [event.format(i=i, t=t) for i, t in enumerate(times)])
    assert lab.run("bronze") == 0
    found = lab.results()["bronze.raw_events"]["adapter_response"]
    assert (found["rows_late"], found["rows_inserted"]) == (1, 4)
    lab.drop("b.ndjson", [event.format(i="later", t="12:04:00")])
    assert lab.run("bronze") == 0
    assert lab.results()["bronze.raw_events"]["adapter_response"]["rows_late"] == 1
