"""What ``runner plan`` says of a run: modes, reasons, inputs, changed code, faults; nothing is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import invoke
from runner.explain import spec_differences, sql_difference
from runner.load import load_project
from runner.plan import Mode, ModelPlan
from runner.preview import Preview
from tests.nouns import model, reads, rendered
from tests.world import World

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def world(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A project of its own as the current folder, on a lake on paper."""
    shutil.copytree(root, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return World(tmp_path / "project", tmp_path)


def argv(world: World, *more: str) -> list[str]:
    return ["plan", "--lake", str(world.folder / "lake"), "--vars", f"items: {world.items}", *more]


def planned(world: World, capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> list[str]:
    """The lines that the command prints."""
    capsys.readouterr()
    assert invoke(argv(world, *more)) == code
    return capsys.readouterr().out.splitlines()


def edit(world: World, file: str, old: str, new: str) -> None:
    path = world.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    world.project = load_project(
        world.root, overrides={"items": str(world.items)}, lake=world.folder / "lake"
    )


def heads(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith(" ")]


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_first_run_is_told_from_nothing_but_files(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    lines = planned(world, capsys)
    assert heads(lines) == [
        "1 of 4 shop.items: rebuild, first run",
        "2 of 4 shop.prices: rebuild, first run",
        "3 of 4 shop.totals: rebuild, first run",
        "4 of 4 shop.stock: rebuild, first run",
        "4 models: 4 rebuild",
    ]
    assert f"    csv        all of {world.items}, 1 file, 14 bytes" in lines
    assert "    items      all rows of shop.items, after shop.items publishes" in lines
    assert "    checks     2" in lines, "of prices: a range, and the key"


def test_what_is_planned_is_what_the_run_then_does(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for prepare in (lambda: None, world.new_items, lambda: world.lake.commit("shop.prices", rows=101)):
        prepare()
        lines = planned(world, capsys, "--output", "json")
        modes = {line["table"]: line["mode"] for line in map(json.loads, lines) if line["kind"] == "plan"}
        assert world.run() == 0
        done = {r["relation_name"]: r["mode"] for r in world.journal["results"]}
        assert modes == done


def test_where_nothing_is_new_it_says_so_and_writes_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run() == 0
    before = files(world.folder)
    lines = planned(world, capsys)
    assert lines[0] == "1 of 4 shop.items: nothing new"
    assert lines[-1] == "4 models: 4 with nothing new"
    assert files(world.folder) == before


def test_rows_and_files_of_a_change_are_told_from_metadata(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run() == 0
    since = world.lake.head("shop.prices")
    added = {"added-records": "2", "added-data-files": "1", "total-data-files": "9"}
    until = world.lake.commit("shop.prices", added, rows=102)
    lines = planned(world, capsys, "-s", "totals")
    read = f"changes of shop.prices, 2 rows in 1 of 9 files | snapshots {since} to {until} | appended files"
    assert lines == [
        "1 of 1 shop.totals: incremental",
        f"    prices     {read}",
        "    checks     2",
        "1 model: 1 incremental",
    ]
    (told, summary) = map(json.loads, planned(world, capsys, "-s", "totals", "--output", "json"))
    assert told["inputs"] == [
        {
            "name": "prices",
            "read": "changes",
            "table": "shop.prices",
            "until": until,
            "method": "appended files",
            "since": since,
            "rows": 2,
            "files": 1,
        }
    ]
    assert (summary["text"], summary["exit_code"]) == ("1 model: 1 incremental", 0)


def test_readers_of_what_a_run_publishes_come_after_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run() == 0
    world.new_items()
    lines = planned(world, capsys)
    assert heads(lines) == [
        "1 of 4 shop.items: rebuild, 'csv' changed",
        "2 of 4 shop.prices: incremental, after shop.items publishes",
        "3 of 4 shop.totals: incremental, after shop.prices publishes",
        "4 of 4 shop.stock: incremental, after shop.items publishes",
        "4 models: 1 rebuild, 3 incremental",
    ]
    assert "    items      changes of shop.items, after shop.items publishes" in lines


def test_a_changed_model_shows_what_changed_since_it_was_built(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run() == 0
    run = world.journal["metadata"]["run_id"]
    edit(world, "sql/prices.sql", "CAST(amount AS BIGINT) AS amount", "CAST(amount AS BIGINT) * 2 AS price")
    column = "amount: {type: bigint, checks: [{range: {min: 0}, name: positive}]}"
    price = "price: {type: bigint, renamed_from: amount, checks: [{range: {min: 1}, name: positive}]}"
    edit(world, "pipelines/shop.yml", column, price)
    edit(world, "sql/totals.sql", "amount AS BIGINT", "price AS BIGINT")
    lines = planned(world, capsys, "-s", "prices")
    assert lines[0] == "1 of 1 shop.prices: rebuild, the model changed"
    when = "seen on main once rows have passed, before the table's checks"
    assert f"    schema     rename amount to price; {when}" in lines
    assert "    columns.price: bigint, new" in lines
    assert "    checks.positive.args.min: 0 → 1" in lines
    assert f"    --- run {run}" in lines
    assert "    -SELECT id, CAST(amount AS BIGINT) AS amount FROM __items" in lines
    assert "    +SELECT id, CAST(amount AS BIGINT) * 2 AS price FROM __items" in lines
    told = json.loads(planned(world, capsys, "-s", "prices", "--output", "json")[0])
    assert told["schema"] == {"add": {}, "widen": {}, "rename": {"amount": "price"}}
    assert (told["changed"], told["built_by"]) == (True, run)

    shutil.rmtree(world.lake.warehouse / "_code")
    lines = planned(world, capsys, "-s", "prices")
    assert f"    what built it in run {run} is not kept in the lake, so it is not compared" in lines


def test_full_refresh_is_planned_as_it_would_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.run() == 0
    lines = planned(world, capsys, "--full-refresh", "-s", "totals")
    assert lines[0] == "1 of 1 shop.totals: rebuild, --full-refresh"
    assert lines[1].startswith("    prices     shop.prices 100 rows | snapshot ")


def test_faults_of_one_model_hide_no_other(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.root / "sql" / "prices.sql").write_text("SELECT 1")
    capsys.readouterr()
    assert invoke(argv(world)) == 2
    said = capsys.readouterr()
    assert heads(said.out.splitlines()) == [
        "1 of 4 shop.items: rebuild, first run",
        "2 of 4 shop.prices: faults",
        "3 of 4 shop.totals: skipped, shop.prices has faults",
        "4 of 4 shop.stock: rebuild, first run",
        "4 models: 2 rebuild, 1 with faults, 1 skipped",
    ]
    assert said.err.count("sql/prices.sql:1:1: ") == 1


def test_a_plan_starts_no_jvm(world: World) -> None:
    script = (
        "import sys\n"
        "from runner.cli import invoke\n"
        f"code = invoke({argv(world)!r})\n"
        "heavy = {'pyspark', 'py4j', 'boto3', 'rich', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert code == 0, code\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "JAVA_HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=world.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("4 models: 4 rebuild\n")


def test_differences_of_a_spec_name_the_place_and_both_values() -> None:
    check = {"kind": "range", "args": {"min": 0}}
    was = {
        "sql": "a",
        "key": ["id"],
        "columns": {"id": "string", "n": "int", "old": "date"},
        "drop": None,
        "checks": {"small": check},
    }
    now = {
        "sql": "b",
        "key": ["id", "day"],
        "columns": {"id": "string", "n": "bigint", "day": "date"},
        "drop": "n > 1",
        "checks": {"small": {**check, "args": {"min": 1}}, "other": check},
    }
    assert spec_differences(was, now) == [
        "key: (id) → (id, day)",
        "columns.n: int → bigint",
        "columns.old: date, gone",
        "columns.day: date, new",
        "drop: none → n > 1",
        "checks.small.args.min: 0 → 1",
        "checks.other: new",
    ]


def test_a_long_line_is_broken_so_that_what_differs_is_found() -> None:
    of = model(reads("bronze.raw"))
    plan = ModelPlan(of, rendered(), Mode.REBUILD, "", (), (), None, None)
    tests = [f"t.column_{i} <=> s.column_{i}" for i in range(9)]
    was, now = {"sql": " AND ".join(tests)}, {"sql": " AND ".join(["t.first <=> s.first", *tests[1:]])}
    found = [line for line in sql_difference(Preview(of, plan, was=was, now=now), plan) if line[0] in "+-"]
    assert found[2:] == ["-t.column_0 <=> s.column_0", "+t.first <=> s.first"]
