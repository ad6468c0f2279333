"""``runner branch``: what is dropped, and what the commands tell people and programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.branch import branches
from runner.catalog import MAIN
from runner.cli import invoke
from runner.lake import Lake
from runner.promote import drop_branch
from runner.refs import TableRef
from tests.world import TABLES, World

Say = Callable[..., tuple[int, list[str]]]
ORDER = ["shop.items", "shop.prices", "shop.totals", "shop.stock"]


def dropped(world: World, name: str = "dev") -> dict[str, bool]:
    told: dict[str, bool] = {}
    lake = Lake(world.lake.warehouse, world.lake.catalog)
    drop_branch(
        name,
        lake,
        world.start,
        lock_timeout=0,
        run_id="r9",
        tell=lambda line, gone: told.update({str(line.table): gone}),
    )
    return told


def test_a_branch_is_dropped_from_all_tables_and_main_stays(dev: World) -> None:
    before = dev.heads()
    assert dropped(dev) == dict.fromkeys(TABLES, False)
    assert dev.heads() == before
    assert branches(dev.lake.catalog) == ()


def test_a_table_that_nothing_else_ever_had_goes_with_it(built: World) -> None:
    built.lake.drop_table(TableRef.parse("shop.totals"))
    built.tell("stage", "shop.stock", {"kept": 3, "aside": 1, "check_0": 1})
    assert built.run(branch="dev") == 0
    gone = dropped(built)
    assert {table for table, went in gone.items() if went} == {"shop.totals", "shop.stock__quarantine"}
    assert "shop.totals" not in built.heads()
    assert built.run() == 0


def test_a_table_that_another_branch_has_stays(world: World) -> None:
    world.run(branch="dev")
    world.run("items", branch="other")
    assert dropped(world)["shop.items"] is False
    assert world.branches("shop.items") == ["other"]


@pytest.fixture
def say(dev: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command line on the lake of ``dev``, by the fake engine; its exit code and what it prints."""
    monkeypatch.setattr("runner.sessions.start_spark", lambda *_: dev.start())
    monkeypatch.chdir(dev.root)

    def say(*argv: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        place = ["--lake", str(dev.lake.warehouse), "--vars", f"items: {dev.items}"]
        code = invoke([*argv, *place])
        return code, capsys.readouterr().out.splitlines()

    return say


def test_a_branch_for_people(dev: World, say: Say) -> None:
    dev.lake.commit("shop.prices", rows=100)
    code, lines = say("branch", "ls")
    assert (code, dev.started) == (0, 0)
    assert lines[0].startswith("dev: 4 tables, written ")
    assert lines[1:] == [
        "    shop.items   1 ahead",
        "    shop.prices  1 ahead, 1 behind, main moved",
        "    shop.stock   1 ahead",
        "    shop.totals  1 ahead",
    ]


def test_a_dry_run_says_what_would_happen_and_starts_no_engine(dev: World, say: Say) -> None:
    main, head = (dev.lake.head("shop.items", branch) for branch in (MAIN, "dev"))
    dev.lake.commit("shop.totals", rows=100)
    before = dev.heads()
    code, lines = say("branch", "publish", "dev", "--dry-run")
    assert (code, dev.started, dev.heads()) == (0, 0, before)
    assert lines[:2] == [
        "would run shop.totals again from main's head",
        f"would publish shop.items: 100 → 100 rows, snapshot {main} → {head}",
    ]
    assert "would publish shop.totals: what comes of it" in lines
    dev.lake.drop_branch(TableRef.parse("shop.items"), "dev")
    assert say("branch", "publish", "dev", "--dry-run")[0] == 2


def test_a_publication_tells_each_table(dev: World, say: Say) -> None:
    code, lines = say("branch", "publish", "dev")
    assert (code, dev.started) == (0, 1)
    assert [line.split(":")[0] for line in lines] == [*ORDER, "branch dev"]
    assert lines[-1] == "branch dev: 4 tables published; the branch is dropped"
    assert say("branch", "publish", "dev")[0] == 2
    assert say("branch", "ls") == (0, ["no branches"])


def test_a_publication_of_what_main_has_already(dev: World, say: Say) -> None:
    assert dev.run() == 0
    code, lines = say("branch", "publish", "dev")
    assert (code, lines[-1]) == (0, "branch dev: main has it all; the branch is dropped")


def test_a_publication_whose_models_fail(dev: World, say: Say) -> None:
    dev.lake.commit("shop.prices", rows=100)
    dev.tell("stage", "shop.prices", {"kept": 3, "duplicates": 1})
    code, lines = say("branch", "publish", "dev")
    assert (code, lines[-1]) == (3, "branch dev: nothing published")
    results = json.loads((dev.root / "target" / "run_results.json").read_text())
    assert results["metadata"]["args"]["branch"] == "dev", "for `retry`"


def test_a_drop_tells_each_table(dev: World, say: Say) -> None:
    assert say("branch", "drop", "dev") == (
        0,
        [f"{table}: 1 snapshot dropped" for table in sorted(TABLES)],
    )


def test_what_a_branch_is_for_programs(
    dev: World, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(dev.root)
    assert invoke(["branch", "ls", "--lake", str(dev.lake.warehouse), "--output", "json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["name"], len(found["tables"])) == ("dev", 4)
    assert found["tables"][0] | {"snapshot": 0, "run_id": ""} == {
        "table": "shop.items",
        "snapshot": 0,
        "ahead": 1,
        "behind": 0,
        "main_moved": False,
        "run_id": "",
    }
    assert Path(dev.lake.warehouse).exists()
