"""Where, relationships, freshness and ``runner check``, as far as they are told without rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import runner.audit
from runner import ledger
from runner.audit import Checked, audit
from runner.check.freshness import age_text, commit_times, judge_freshness
from runner.check.gate import CheckResult
from runner.cli import invoke
from runner.engine.fake import FakeEngine
from runner.errors import Fault, Place, ProjectError, RunFailed
from runner.execute.masks import effective_checks, violation
from runner.execute.sql import Staging
from runner.graph import ancestors, order
from runner.load import load_project
from runner.plan import Mode
from runner.refs import TableRef
from runner.render import fingerprint
from runner.spec import Check, CheckKind, Model, Read, Severity, Threshold
from tests.nouns import check, files, model, reads, rendered, target
from tests.paper import PaperLake
from tests.projects import MERGE, write
from tests.test_gate import asked, staged, written
from tests.test_run import SPEC, TABLES, World

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
COLUMNS = {"id": "string", "day": "date", "amount": "bigint", "note": "string"}


def where(of: Check, predicate: str = "note = 'x'", **given: Any) -> Check:
    return replace(of, where=predicate, **given)


POSITIVE = check(CheckKind.RANGE, "positive", of="amount", min=0, max=9)


# --- where ---------------------------------------------------------------------------------------


def test_only_rows_that_satisfy_where_can_fail() -> None:
    assert violation(where(POSITIVE)) == "(note = 'x') AND (`amount` < 0L OR `amount` > 9L)"


def test_another_where_of_a_row_check_is_another_model() -> None:
    statement = rendered().statement
    prints = [
        fingerprint(model(checks=(of,), target=target(columns=COLUMNS)), statement)
        for of in (POSITIVE, where(POSITIVE), where(POSITIVE, "note  =  'x'"), where(POSITIVE, "note = 'y'"))
    ]
    assert prints[1] == prints[2]
    assert len(set(prints)) == 3


def test_rows_looked_at_are_counted_only_for_a_share_of_them() -> None:
    share = where(POSITIVE, fail_above=Threshold(percent=0.5))
    of = model(checks=(where(POSITIVE), share, POSITIVE), target=target(columns=COLUMNS))
    found = Staging(of, COLUMNS, effective_checks(of)).counts_staged()
    assert {k: v for k, v in found.items() if k.startswith("rows_")} == {
        "rows_1": "count_if(NOT _gone AND (note = 'x'))"
    }


@pytest.mark.parametrize(("failed", "status"), [(5, "pass"), (6, "warn")])
def test_a_share_is_of_the_rows_looked_at(failed: int, status: str) -> None:
    from runner.check.gate import judge

    share = where(POSITIVE, fail_above=Threshold(percent=50), severity=Severity.WARN)
    of = model(checks=(share,), target=target(columns=COLUMNS))
    result = judge(staged(of, {"kept": 1000, "check_0": failed, "rows_0": 10}), FakeEngine())[0]
    assert (result.status, result.failed, result.total) == (status, failed, 10)


def test_a_key_is_never_null_whatever_a_check_with_where_says() -> None:
    partly = where(check(CheckKind.NOT_NULL, "partly", of="id"))
    found = effective_checks(model(checks=(partly,), target=target(columns=COLUMNS)))
    assert [c.name for c in found] == ["partly", "key_id_not_null"]


def test_table_checks_look_at_the_rows_that_satisfy_where(tmp_path: Path) -> None:
    unique = where(check(CheckKind.UNIQUE, columns=["note"]))
    of = model(checks=(unique,), target=target(columns=COLUMNS))
    assert "WHERE (note = 'x') GROUP BY `note`" in asked(tmp_path / "a", of)
    rows = where(check(CheckKind.ROW_COUNT, min=0))
    assert asked(tmp_path / "b", model(checks=(rows,), target=target(columns=COLUMNS))).endswith(
        "`branch_audit_r1` WHERE note = 'x'"
    )


def test_a_scheduled_check_is_not_judged_in_a_run(tmp_path: Path) -> None:
    from runner.check.table import check_table

    unique = replace(check(CheckKind.UNIQUE, columns=["note"]), scheduled=True)
    on_branch, lake = written(tmp_path, model(checks=(unique,), target=target(columns=COLUMNS)))
    engine = FakeEngine()
    assert check_table(on_branch, engine, lake.catalog) == ()
    assert engine.calls == []


# --- relationships -------------------------------------------------------------------------------

OTHER = check(
    CheckKind.RELATIONSHIPS, "known", columns=["note"], to=TableRef("silver", "notes"), field=["id"]
)


def relationship_sql(tmp_path: Path, of: Model, **given: Any) -> str:
    from runner.check.table import check_table

    on_branch, lake = written(tmp_path, of, **given)
    lake.create("silver.notes", {"id": "string"})
    engine = FakeEngine()
    check_table(on_branch, engine, lake.catalog)
    (call,) = engine.asked("rows")
    return str(call["sql"])


def test_a_run_looks_up_the_rows_whose_keys_it_staged(tmp_path: Path) -> None:
    of = model(checks=(OTHER,), target=target(columns=COLUMNS, partitions=("amount",)))
    sql = relationship_sql(tmp_path / "a", of, counts={"parts": [("1",)]})
    assert "WHERE `amount` IN (1)) AS w LEFT SEMI JOIN (SELECT `id` FROM __staged" in sql
    assert "LEFT ANTI JOIN __other AS o ON c.`note` = o.`id`" in sql
    assert "`note` IS NOT NULL" in sql
    assert "SEMI JOIN" not in relationship_sql(tmp_path / "b", of, mode=Mode.REBUILD)


RELATED = """
pipeline: shop
models:
  - name: sales
    sql: sql/sales.sql
    sources: {csv: {files: {path: s.csv, format: csv}, read: all}}
    target:
      table: shop.sales
      key: [id]
      columns: {id: {type: string, checks: [{relationships: {to: shop.items, field: id}}]}}
  - name: items
    sql: sql/items.sql
    sources: {csv: {files: {path: i.csv, format: csv}, read: all}}
    target: {table: shop.items, key: [id], columns: {id: {type: string}}}
"""


def test_the_table_that_a_check_looks_into_is_built_first(tmp_path: Path) -> None:
    sql = {f"sql/{n}.sql": MERGE.format(query="SELECT id FROM x") for n in ("sales", "items")}
    project = load_project(write(tmp_path, {"pipelines/shop.yml": RELATED, **sql}))
    assert [m.name for m in order(project)] == ["items", "sales"]
    sales = next(m for m in project.models if m.name == "sales")
    assert [m.name for m in ancestors(project, sales)] == ["items"]


def test_a_run_asks_for_the_table_before_it_begins(tmp_path: Path) -> None:
    spec = SPEC.replace("{row_count: {min: 1}, name: not_empty}", "PLACE").replace(
        "checks: [PLACE]",
        "checks: [{relationships: {columns: [id], to: shop.stock, field: id}, name: known}]",
    )
    query = "SELECT id, CAST(amount AS BIGINT) AS amount FROM {{ source('%s') }}"
    made_of = {"items": "csv", "prices": "items", "totals": "prices", "stock": "items"}
    sql = {f"sql/{name}.sql": MERGE.format(query=query % of) for name, of in made_of.items()}
    profiles = "default: local\ntargets: {local: {type: local}}\n"
    root = write(tmp_path / "project", {"pipelines/shop.yml": spec, "profiles.yml": profiles, **sql})
    world = World(root, tmp_path)
    assert world.run("items", "prices") == 0
    assert world.run("totals") == 2
    assert world.started == 0
    (failed,) = [e for e in world.events if e.kind == "failed"]
    assert [f.code for f in failed.faults] == ["input-not-built"]
    assert "looks into shop.stock, which is not in the lake yet" in failed.faults[0].what


# --- freshness -----------------------------------------------------------------------------------


def fresh(**given: Any) -> Check:
    return check(CheckKind.FRESHNESS, "fresh", **given)


def aged(
    of: Check, newest: str | None, commits: Mapping[str, dt.datetime | None] | None = None
) -> CheckResult:
    maxima = {} if newest is None else {ledger.maximum_name(of): newest}
    (found,), _ = judge_freshness(model(checks=(of,)), now=NOW, maxima=maxima, commits=lambda: commits or {})
    return found


BY_COLUMN = fresh(column="day", warn_after=dt.timedelta(hours=1), error_after=dt.timedelta(days=1))


@pytest.mark.parametrize(
    ("newest", "status"),
    [
        ("2026-11-25 11:00:00", "pass"),
        ("2026-11-25 10:59:59.5", "warn"),
        ("2026-11-24 12:00:00", "warn"),
        ("2026-11-24 11:59:59.999999", "error"),
        ("2026-11-25", "warn"),
        ("+12000-01-01", "pass"),
        ("-0044-03-15 00:00:00", "error"),
        ("", "error"),
        (None, "warn"),
    ],
)
def test_age_is_that_of_the_newest_value(newest: str | None, status: str) -> None:
    assert aged(BY_COLUMN, newest).status == status


def test_a_stale_table_is_told_with_its_age_and_the_limit() -> None:
    _, (fault,) = judge_freshness(
        model(checks=(BY_COLUMN,)), now=NOW, maxima={"day": "2026-11-22 09:30:00"}, commits=dict
    )
    assert fault.code == "stale"
    assert fault.what.endswith("silver.orders is stale: the newest day is 2026-11-22 09:30:00, 3d 2h ago")
    assert fault.why.startswith("error_after is 1d")
    assert fault.place == BY_COLUMN.place


def test_without_a_column_the_oldest_input_tells() -> None:
    of = fresh(warn_after=dt.timedelta(hours=1))
    young, old = NOW - dt.timedelta(minutes=5), NOW - dt.timedelta(hours=3)
    assert aged(of, None, {"a.b": young}).status == "pass"
    found = aged(of, None, {"a.b": young, "c.d": old})
    assert (found.status, found.detail) == ("warn", "c.d last changed 2026-11-25 09:00:00, 3h ago")
    assert aged(of, None, {"a.b": None}).status == "warn"


def test_inputs_that_move_tell_the_age_and_compactions_do_not(tmp_path: Path) -> None:
    lake = PaperLake(tmp_path)
    for table in ("bronze.events", "bronze.regions"):
        lake.create(table, {"id": "string"})
    changed = lake.commit("bronze.events")
    lake.commit("bronze.events", operation="replace")
    lake.commit("bronze.regions")
    of = model(reads("bronze.events"), reads("bronze.regions", Read.ALL, name="regions"))
    state = lake.state("bronze.events")
    assert commit_times(of, lake.catalog.table, lambda _: ()) == {
        "bronze.events": dt.datetime.fromtimestamp(state.snapshots[changed].timestamp_ms / 1000, dt.UTC)
    }
    of = model(reads("bronze.regions", Read.ALL, name="regions"), files("in"))
    assert commit_times(of, lake.catalog.table, lambda _: (1000, 2000)) == {
        "'inbox'": dt.datetime(1970, 1, 1, 0, 0, 2, tzinfo=dt.UTC)
    }


@pytest.mark.parametrize(
    ("age", "text"),
    [(dt.timedelta(days=2, hours=3, minutes=4), "2d 3h"), (dt.timedelta(minutes=61), "1h 1m"),
     (dt.timedelta(seconds=40), "40s"), (dt.timedelta(days=1), "1d")],
)  # fmt: skip
def test_ages_are_short(age: dt.timedelta, text: str) -> None:
    assert age_text(age) == text


def test_the_newest_of_printed_times() -> None:
    assert ledger.newest("2026-01-01 00:00:00", None, "2026-01-01 00:00:00.5", "2025-12-31") == (
        "2026-01-01 00:00:00.5"
    )
    assert ledger.newest("9999-12-31", "+10000-01-01", "-0001-01-01") == "+10000-01-01"
    assert ledger.newest(None, "") is None


@pytest.fixture
def world(tmp_path: Path) -> World:
    """items → prices → totals; prices has an age: its `day`, which the fake engine tells."""
    spec = SPEC.replace(
        "columns: {id: {type: string}, amount: {type: bigint, checks: [{range: {min: 0}, name: positive}]}}",
        "columns: {id: {type: string}, amount: {type: bigint}, day: {type: date}}\n"
        "    checks: [{freshness: {column: day, warn_after: 1d, error_after: 36500d}}]",
    )
    # However many are tolerated: what belongs into quarantine never is.
    spec = spec.replace("not_null: {severity: quarantine}", "not_null: {severity: quarantine, fail_above: 5}")
    assert spec.count("fail_above: 5") == spec.count("36500d") == 1
    sql = {
        f"sql/{name}.sql": MERGE.format(
            query=f"SELECT id, CAST(amount AS BIGINT) AS amount{day} FROM {{{{ source('{source}') }}}}"
        )
        for name, source, day in (
            ("items", "csv", ""),
            ("prices", "items", ", DATE'2026-01-01' AS day"),
            ("totals", "prices", ""),
            ("stock", "items", ""),
        )
    }
    profiles = "default: local\ntargets: {local: {type: local}}\n"
    root = write(tmp_path / "project", {"pipelines/shop.yml": spec, "profiles.yml": profiles, **sql})
    found = World(root, tmp_path)
    found.tell("schema", "__rows", {"id": "string", "amount": "bigint", "day": "date"})
    return found


def newest(world: World, value: str | None) -> None:
    world.engine.answers["stage"] = {"kept": 3, "read": 3, "newest_0": value}


def recorded(world: World) -> object:
    head = world.lake.state("shop.prices").head()
    assert head is not None
    return json.loads(head.summary["runner.maxima"])


def test_staleness_exits_3_without_an_engine_and_withholds_nothing(world: World) -> None:
    newest(world, "1900-01-01")
    assert world.run() == 3
    # It is published all the same, and so is what reads it.
    assert {t: world.ended[t] for t in TABLES} == {
        "shop.items": "ok", "shop.prices": "stale", "shop.totals": "ok", "shop.stock": "ok"
    }  # fmt: skip
    heads = world.heads()
    assert None not in heads.values()
    assert world.run() == 3
    assert world.started == 0
    assert world.heads() == heads
    assert world.ended["shop.prices"] == "stale"
    assert world.ended["shop.totals"] == "nothing"
    (result,) = [r for r in world.journal["results"] if r["relation_name"] == "shop.prices"]
    assert result["status"] == "nothing"
    assert "is stale: the newest day is 1900-01-01" in result["message"]
    assert [(c["name"], c["status"]) for c in result["checks"]] == [("freshness_day", "error")]


def test_the_newest_value_is_never_lowered_but_by_a_rebuild(world: World) -> None:
    newest(world, "2999-01-02")
    assert world.run() == 0
    assert recorded(world) == {"day": "2999-01-02"}
    world.new_items()
    newest(world, "2999-01-01")
    assert world.run() == 0
    assert recorded(world) == {"day": "2999-01-02"}
    assert world.run("prices", full_refresh=True) == 0
    assert recorded(world) == {"day": "2999-01-01"}


@pytest.mark.parametrize("where", ["", ", where: amount > 0"])
def test_the_newest_value_of_a_renamed_column_is_kept(world: World, where: str) -> None:
    newest(world, "2999-01-02")
    assert world.run() == 0
    spec, sql = world.root / "pipelines" / "shop.yml", world.root / "sql" / "prices.sql"
    renamed = spec.read_text().replace("day: {type: date}", "seen: {type: date, renamed_from: day}")
    # A rebuild would read every row again.
    renamed = renamed.replace("column: day", f"column: seen{where}")
    renamed = renamed.replace("  - name: prices\n", "  - name: prices\n    on_change: keep\n")
    spec.write_text(renamed)
    sql.write_text(sql.read_text().replace("AS day", "AS seen"))
    world.project = load_project(
        world.root, overrides={"items": str(world.items)}, lake=world.folder / "lake"
    )
    world.tell("schema", "__rows", {"id": "string", "amount": "bigint", "seen": "date"})
    world.new_items()
    newest(world, "2999-01-01")
    # Nothing is recorded for a predicate that is new: the table tells, by the names that it still has.
    world.engine.answers["rows"] = [{"newest": "2999-01-02"}]
    assert world.run("items", "prices") == 0
    assert recorded(world) == {"seen WHERE amount > 0" if where else "seen": "2999-01-02"}
    asked = [call["sql"] for call in world.engine.asked("rows")]
    assert any(
        "FROM (SELECT *, `day` AS `seen` FROM `lake`.`shop`.`prices`)" in sql for sql in asked
    ) == bool(where)
    (altered,) = world.engine.asked("alter_table")
    assert (altered["rename"], altered["add"]) == ({"day": "seen"}, {})


def test_a_maximum_that_nothing_keeps_up_is_forgotten(world: World) -> None:
    newest(world, "2999-01-01")
    assert world.run() == 0
    path = world.root / "pipelines" / "shop.yml"
    spec = path.read_text()
    path.write_text(spec.replace("{freshness: {column: day, warn_after: 1d, error_after: 36500d}}", "unique"))
    unchecked = World(world.root, world.folder)
    unchecked.lake, unchecked.engine = world.lake, world.engine
    unchecked.new_items()
    assert unchecked.run() == 0
    assert recorded(world) == {}
    path.write_text(spec)
    # Where it is asked for again, the table's own rows tell: newer ones may have come meanwhile.
    world.engine.answers["rows"] = [{"newest": "2999-03-03"}]
    world.items.write_text(world.items.read_text() + "c,3\n")
    newest(world, "2999-02-02")
    assert world.run() == 0
    assert recorded(world) == {"day": "2999-03-03"}


def test_a_warning_of_age_is_told_where_nothing_is_new(world: World) -> None:
    newest(world, "2000-01-01")
    assert world.run() == 0
    assert world.run() == 0
    (event,) = [e for e in world.events if e.name == "shop.prices"]
    assert event.kind == "nothing"
    assert event.detail.startswith("nothing new | freshness_day: the newest day is 2000-01-01, ")


# --- runner check --------------------------------------------------------------------------------

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

    def audit(_project: object, _models: object, on_event: Callable[[Checked], None]) -> int:
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
