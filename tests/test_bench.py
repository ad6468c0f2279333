"""The benchmark harness: the arithmetic, the order of the rounds, and where its tables go."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import render, statements
from bench.__main__ import DOCUMENT, NAMES
from bench.counts import number
from bench.days import late
from bench.harness import SideFailed, interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Outcome
from bench.tables import TABLES
from producer.generate import START


def test_rounds_are_interleaved() -> None:
    order: list[str] = []

    def side(name: str, index: int) -> str:
        order.append(f"{name}{index}")
        return order[-1]

    found = interleave({"a": lambda i: side("a", i), "b": lambda i: side("b", i)}, 2)
    assert order == ["a0", "b0", "a1", "b1"]
    assert found == {"a": ["a0", "a1"], "b": ["b0", "b1"]}


def test_a_ratio_is_that_of_pairs() -> None:
    # The second round was slow for both: the ratio does not see it, the medians would.
    assert ratio([2.0, 20.0, 3.0], [1.0, 10.0, 2.0]) == 2.0
    assert median([1.0, 9.0, 2.0, 4.0]) == 3.0


def test_a_process_is_measured_and_its_jvms_are_found(tmp_path: Path) -> None:
    # Anything whose name is java counts; the copy is a program that lives long enough to be seen.
    script = "import shutil, subprocess; subprocess.run([shutil.copy('/bin/sleep', 'FOLDER/java'), '0.3'])"
    found = measure(python("-c", script.replace("FOLDER", str(tmp_path))), log=tmp_path / "log")
    assert found.jvms == 1
    assert found.seconds >= 0.3
    assert measure(python("-c", "pass"), log=tmp_path / "log").jvms == 0


def test_a_side_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(SideFailed, match="no such lake"):
        measure([sys.executable, "-c", "raise SystemExit('no such lake')"], log=tmp_path / "log")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,234", 1234), ("413420", 413420), ("0", 0), ("total (min, med, max)\n7 (1, 2, 4 (task 3))", 7)],
)
def test_metrics_are_read_as_spark_prints_them(text: str, value: int) -> None:
    assert number(text) == value


def test_a_block_goes_between_its_markers_again_and_again() -> None:
    document = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nz <!-- bench:y --><!-- /bench:y -->"
    once = render.put(document, "x", "new")
    assert once == "a\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\nz <!-- bench:y --><!-- /bench:y -->"
    assert render.put(once, "x", "new") == once
    with pytest.raises(render.MarkerMissing):
        render.put(document, "other", "new")


def test_the_document_has_a_place_for_every_benchmark() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for name in NAMES:
        render.put(document, name, "")


def test_an_outcome_as_markdown() -> None:
    outcome = Outcome(
        "x", "How.", [Block("B", ["side", "seconds", "rows"], [["a|b", 1.5, 1234]])], [Aim("ratio", 1.6, 1.5)]
    )
    assert outcome.markdown({"cores": 2}, 5, 0.25) == (
        "How.\n\ncores 2 · 5 rounds · load before 0.2\n\n"
        "| aim | found | limit | met |\n| --- | ---: | --- | --- |\n| ratio | 1.60 | ≤ 1.5 | no |\n\n"
        "B\n\n| side | seconds | rows |\n| --- | ---: | ---: |\n| a\\|b | 1.50 | 1,234 |"
    )


def test_the_script_gets_the_queries_of_the_project(tmp_path: Path) -> None:
    found = json.loads(statements.write(tmp_path / "s.json").read_text(encoding="utf-8"))
    assert tuple(found) == TABLES
    bronze, hourly = found["bronze.raw_events"], found["gold.hourly_stats"]
    assert "is_heartbeat" in bronze["filter"]
    assert "is_event" in bronze["filter"]
    assert bronze["clauses"] == "WHEN NOT MATCHED THEN INSERT *"
    assert hourly["clauses"].startswith("WHEN MATCHED AND NOT (")
    assert "FROM __events" in hourly["query"]


def test_late_events_happened_on_their_day(tmp_path: Path) -> None:
    path = late(tmp_path / "late.ndjson", day=START, events=3000, seed=7)
    days = {json.loads(line)["meta"]["dt"][:10] for line in path.open(encoding="utf-8")}
    assert days == {str(START)}
