"""Freshness: judged from metadata and records, without an engine where nothing is new."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner import ledger
from runner.check.freshness import age_text, commit_times, judge_freshness
from runner.check.gate import CheckResult
from runner.load import load_project
from runner.spec import Check, CheckKind, Read
from tests.nouns import check, files, model, reads
from tests.paper import PaperLake
from tests.world import TABLES, World, aged_world, newest

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return aged_world(tmp_path)


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
