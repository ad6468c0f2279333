"""Days that are built again: which models can, and what the plan and the commit say."""

from __future__ import annotations

import pytest

from runner.days import Days, days_of
from runner.errors import ProjectError
from runner.ledger import Position
from runner.plan import Mode, make_plan
from runner.spec import Model, Read
from tests.desk import RAW, Desk, at
from tests.nouns import files, model, reads, rendered, target

SPAN = ("2026-10-01", "2026-10-03")


def daily(**given: object) -> Model:
    columns = {"id": "string", "day": "date", "region": "string"}
    return model(reads("bronze.raw"), target=target(columns=columns, partitions=("region", "day")), **given)


def code(of: Model, desk: Desk, *, previous: Position | None, fingerprint: str = "f1") -> str:
    with pytest.raises(ProjectError) as error:
        days_of(of, SPAN, desk.lake.catalog.table(of.target.table), previous, fingerprint)
    return error.value.faults[0].code


POSITION = Position("r1", "silver.orders", "f1", "0.1.0", {})


def test_a_day_is_told_by_the_first_partition_that_is_a_date(desk: Desk) -> None:
    desk.built()
    of = daily()
    found = days_of(of, SPAN, desk.lake.catalog.table(of.target.table), POSITION, "f1")
    assert found == Days("day", *SPAN)
    assert found.within("t") == "coalesce(t.`day` BETWEEN DATE'2026-10-01' AND DATE'2026-10-03', false)"
    assert (str(found), str(Days("day", SPAN[0], SPAN[0]))) == (
        "day 2026-10-01 to 2026-10-03",
        "day 2026-10-01",
    )


def test_what_cannot_be_built_by_days_says_why(desk: Desk) -> None:
    assert code(daily(), desk, previous=None) == "not-built"
    desk.built()
    assert code(model(files("inbox")), desk, previous=POSITION) == "not-rebuildable"
    assert code(daily(history=True), desk, previous=POSITION) == "not-rebuildable"
    assert code(model(reads("bronze.raw")), desk, previous=POSITION) == "no-day"


def test_where_the_whole_table_is_due_days_are_refused_unless_old_rows_are_kept(desk: Desk) -> None:
    desk.built()
    assert code(daily(), desk, previous=POSITION, fingerprint="f2") == "rebuild-due"
    kept = daily(on_change="keep")
    table = desk.lake.catalog.table(kept.target.table)
    assert days_of(kept, SPAN, table, POSITION, "f2").first == SPAN[0]


def test_the_plan_is_a_rebuild_of_those_days_whether_or_not_anything_is_new(desk: Desk) -> None:
    source = desk.input(RAW)
    desk.built(raw=at(source))
    plan = make_plan(
        daily(), rendered(), root=desk.root, pins=desk.pins, topics=desk.topics, manifests=desk.manifests,
        code_version="0.9.0", span=SPAN,
    )  # fmt: skip
    assert (plan.mode, plan.reason) == (Mode.REBUILD, "day 2026-10-01 to 2026-10-03")
    assert plan.tables[0].source.read is Read.CHANGES
