"""``runner check``, as far as it is told without rows: what is asked, printed and kept."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runner.audit
from runner.audit import Checked, audit
from runner.check.gate import CheckResult
from runner.cli import invoke
from runner.engine.fake import FakeEngine
from runner.errors import Fault, Place, ProjectError, RunFailed
from runner.graph import order
from runner.spec import Severity
from tests.world import TABLES, World, aged_world, newest

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return aged_world(tmp_path)


Rows = Callable[[str], list[dict[str, Any]]]


def audited(world: World, rows: Rows | Exception) -> tuple[int, list[Checked], FakeEngine]:
    events: list[Checked] = []
    engine = FakeEngine({"rows": rows if isinstance(rows, Exception) else lambda sql: rows(sql)})
    given = {"artifacts": world.folder / "target", "start_engine": lambda: engine}
    code = audit(world.project, order(world.project), events.append, **given)  # type: ignore[arg-type]
    return code, events, engine


def counted(**given: int) -> Rows:
    """Tables of ten rows; what a check counts is 0 where nothing is said."""

    def rows(sql: str) -> list[dict[str, Any]]:
        if sql.startswith("SELECT count(1) AS rows"):
            names = [part.split()[0] for part in sql.split(" AS ")[1:]]
            return [{n.strip(","): 0 for n in names} | {"rows": 10, "newest_0": "2999-01-01"} | given]
        return []

    return rows


def test_check_only_reads_and_its_results_are_kept(world: World) -> None:
    newest(world, "2999-01-01")
    assert world.run() == 0
    code, events, engine = audited(world, counted())
    assert code == 0
    assert set(engine.methods) == {"bind_table", "rows", "close"}
    assert [e.index for e in events] == list(range(1, events[0].total + 1))
    assert {e.result.status for e in events if e.result} == {"pass"}
    assert [e.result.name for e in events if e.result and e.table == "shop.prices"] == [
        "key_id_not_null",
        "key_unique",
        "freshness_day",
    ]
    document = json.loads((world.folder / "target" / "check_results.json").read_text())
    assert {r["relation_name"]: r["status"] for r in document["results"]} == dict.fromkeys(TABLES, "pass")
    assert {r["snapshot_id"] for r in document["results"]} == set(world.heads().values())


def test_a_row_that_belongs_into_quarantine_fails(world: World) -> None:
    newest(world, "2999-01-01")
    assert world.run() == 0
    code, events, _ = audited(world, counted(check_0=1))
    (found,) = [e for e in events if e.result and e.result.name == "not_null_amount"]
    assert found.result
    assert (found.table, found.result.status, found.result.severity) == ("shop.stock", "error", "quarantine")
    assert code == 3


def test_what_is_not_built_is_said_and_where_nothing_is_built_nothing_passes(world: World) -> None:
    with pytest.raises(ProjectError) as error:
        audited(world, counted())
    assert [f.code for f in error.value.faults] == ["not-built"]
    assert world.run("items") == 0
    code, events, _ = audited(world, counted())
    assert code == 0
    assert [e.table for e in events if e.result is None] == ["shop.prices", "shop.totals", "shop.stock"]


def test_a_query_that_fails_is_no_failed_check(world: World) -> None:
    newest(world, "2999-01-01")
    assert world.run() == 0
    code, events, _ = audited(world, RunFailed(Fault("query-failed", None, "it fails")))
    assert code == 1
    assert [e.result for e in events] == [None] * 4


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb's conductor, which tells of one check of each status."""
    place = Place("pipelines/gold.yml", 9, 5)
    fault = Fault("check-failed", place, "2 of 7 rows fail", "why", "fix")
    results = [
        CheckResult("key_unique", "pass", 0, 7, Severity.ERROR, place),
        CheckResult("small", "warn", 1, 7, Severity.WARN, place, examples=('{"id": 1}',)),
        CheckResult("range_n", "error", 2, 7, Severity.ERROR, place),
        CheckResult("helper", "skipped", 0, 0, Severity.ERROR, place, detail="only the query has n"),
    ]

    def audit(
        _project: object, _models: object, on_event: Callable[[Checked], None], **_given: object
    ) -> int:
        for i, result in enumerate(results, 1):
            faults = (fault,) if result.status == "error" else ()
            on_event(Checked("gold.daily_sales", "gold.daily_sales", i, 4, result, faults))
        on_event(Checked("silver.orders", "silver.orders"))
        return 3

    monkeypatch.setattr(runner.audit, "audit", audit)


def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.test_errors import build

    build({}, tmp_path / "sound")
    monkeypatch.chdir(tmp_path / "sound")


def test_check_prints_a_line_a_check(
    told: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound(tmp_path, monkeypatch)
    assert invoke(["check"]) == 3
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [(line.split()[3], line.split()[5]) for line in lines[:4]] == [
        ("PASS", "key_unique"), ("WARN", "small"), ("FAIL", "range_n"), ("SKIPPED", "helper")
    ]  # fmt: skip
    assert lines[0].endswith("[0 of 7 rows | pipelines/gold.yml:9:5]")
    assert lines[2].endswith("[2 of 7 rows fail | pipelines/gold.yml:9:5]")
    assert lines[3].endswith("[only the query has n | pipelines/gold.yml:9:5]")
    assert lines[4] == "silver.orders: not built yet"
    assert lines[5].startswith("1 passed, 1 warned, 1 failed, 1 skipped, 1 not built in ")
    assert "2 of 7 rows fail [check-failed]" in said.err


def test_check_as_json_is_an_object_a_line(
    told: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound(tmp_path, monkeypatch)
    assert invoke(["check", "--output", "json"]) == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == {
        "kind": "check",
        "model": "gold.daily_sales",
        "table": "gold.daily_sales",
        "name": "small",
        "column": None,
        "status": "warn",
        "failures": 1,
        "rows": 7,
        "severity": "warn",
        "declared_at": "pipelines/gold.yml:9:5",
        "message": None,
        "examples": ['{"id": 1}'],
    }
    assert lines[2]["message"] == "2 of 7 rows fail"
    assert (lines[4]["table"], lines[4]["status"]) == ("silver.orders", "not built")
    assert (lines[5]["kind"], lines[5]["exit_code"]) == ("note", 3)
