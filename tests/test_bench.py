"""The benchmark harness: the arithmetic, the order of the rounds, and where its tables go."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from bench import dbt_parse, peer, render, statements
from bench.__main__ import DOCUMENT, NAMES
from bench.counts import number
from bench.days import late
from bench.dbt_run import _side
from bench.fleet import dbt_sql, fleet, our_sql, write_dbt, write_events, write_ours
from bench.fleet import statements as fleet_statements
from bench.harness import SideFailed, interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.tables import TABLES
from producer.generator.generate import START
from runner.lineage import compile_project
from runner.load import load_project
from runner.refs import TableRef


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
    assert found.memory > 1_000_000
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


def test_a_fleet_is_the_same_from_the_same_seed_and_reads_only_what_comes_before() -> None:
    of = fleet(60)
    assert of == fleet(60)
    assert of != fleet(60, seed=2)
    assert len(of.nodes) == 60
    names: list[str] = []
    for node in of.nodes:
        assert all(table in names or not table for table, _ in node.inputs.values())
        names.append(node.name)
    assert {node.kind for node in of.nodes} == {"base", "filter", "join", "sum", "combine"}
    assert [name for name, _ in of.layers()] == [f"layer_0{number}" for number in range(5)]


def test_a_fleet_is_sound_for_the_runner_and_says_the_same_to_dbt(tmp_path: Path) -> None:
    of = fleet(40)
    events = write_events(tmp_path / "events.ndjson", events=50)
    assert len({json.loads(line)["meta"]["id"] for line in events.open(encoding="utf-8")}) == 50
    project = load_project(write_ours(tmp_path / "ours", of, events=events))
    assert len(compile_project(project)) == 40
    theirs = write_dbt(tmp_path / "dbt", of, events=events, threads=2, settings={"a": "b"})
    profile = json.loads((theirs / "profiles.yml").read_text(encoding="utf-8"))
    assert profile["fleet"]["outputs"]["local"]["server_side_parameters"] == {"a": "b"}
    models = {}
    for path in (theirs / "models").glob("*/models.yml"):
        models |= {m["name"]: m for m in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]}
    for node in of.nodes:
        declared = project.producer(TableRef("fleet", node.name))
        assert declared is not None
        tested = {c.name for c in declared.target.columns if c.checks}
        columns = models[node.name]["columns"]
        assert [c["name"] for c in columns] == list(declared.target.column_names)
        assert {c["name"] for c in columns if "data_tests" in c} == tested
        # The same query on both sides, but for the names of its inputs.
        for name, (table, _) in node.inputs.items():
            assert f"{{{{ source('{name}') }}}}" in our_sql(node)
            assert (f"{{{{ ref('{table}') }}}}" if table else "text.`") in dbt_sql(node)
    assert [s["table"] for s in fleet_statements(of, events=events)] == [f"fleet.{n.name}" for n in of.nodes]


def test_without_its_environment_dbt_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "PYTHON", tmp_path / "bin" / "python")
    with pytest.raises(peer.NoPeer, match="make bench-dbt"):
        peer.dbt("parse")


def test_a_side_is_read_from_its_event_log(tmp_path: Path) -> None:
    """A process that writes what Spark would."""
    history = tmp_path / "history"
    history.mkdir()
    script = (
        "import json, time, pathlib\n"
        "names = ['ApplicationStart', 'x.SparkListenerSQLExecutionStart', 'SparkListenerJobStart',"
        " 'SparkListenerTaskEnd', 'SparkListenerTaskEnd', 'x.SparkListenerSQLExecutionStart']\n"
        "lines = [json.dumps({'Event': n, 'time': time.time() * 1000}) for n in names]\n"
        f"pathlib.Path({str(history / 'app')!r}).write_text('\\n'.join(lines))\n"
    )
    found = _side(python("-c", script), history, log=tmp_path / "log", cwd=tmp_path, env={})
    assert (found.statements, found.jobs, found.tasks) == (2, 1, 2)
    assert 0 < found.first <= found.measured.seconds


def test_figures_without_a_jvm_beside_dbts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of a small benchmark, with a program in dbt's place that takes its arguments."""
    stand_in = tmp_path / "bin" / "dbt"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\nmkdir -p target\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(peer, "PYTHON", stand_in.with_name("python"))
    outcome = dbt_parse.run(Options(1, True, tmp_path))
    assert [row[1] for row in outcome.blocks[0].rows][:4] == [
        "runner lint",
        "runner compile",
        "dbt parse",
        "lint + compile",
    ]
    aims = {aim.what: aim for aim in outcome.aims}
    assert aims["JVMs started by the runner"].met
    assert len(aims) == 5
