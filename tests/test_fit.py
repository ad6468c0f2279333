"""What a table must gain to hold the declared columns, and when a run says no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runner.engine.fake import FakeEngine
from runner.errors import Fault, ProjectError
from runner.execute import Staged
from runner.execute.aside import fit_quarantine
from runner.execute.fit import Change, fit, schema_change
from runner.execute.sql import Staging, quarantine_sql
from runner.plan import Mode, ModelPlan
from runner.refs import TableRef
from runner.spec import Model
from tests.nouns import model, rendered, target
from tests.paper import PaperLake

ASIDE = TableRef("silver", "orders__quarantine")


def renaming(columns: Mapping[str, str], **old: str) -> Model:
    """A model of these columns, some of which had an old name."""
    to = target(columns=columns)
    named = tuple(replace(c, renamed_from=old.get(c.name, "")) for c in to.columns)
    return model(target=replace(to, columns=named))


def change(tmp_path: Path, of: Model, there: Mapping[str, str]) -> Change:
    lake = PaperLake(tmp_path)
    lake.create("silver.orders", there)
    return schema_change(of, lake.state("silver.orders"))


def refused(tmp_path: Path, of: Model, there: Mapping[str, str]) -> Fault:
    with pytest.raises(ProjectError) as error:
        change(tmp_path, of, there)
    (fault,) = error.value.faults
    return fault


NOW = {"id": "string", "price": "bigint"}


def test_a_column_is_renamed_while_the_table_has_it_by_its_old_name(tmp_path: Path) -> None:
    found = change(tmp_path, renaming(NOW, price="amount"), {"id": "string", "amount": "bigint"})
    assert found == Change(rename={"amount": "price"})


def test_a_renamed_column_widens_by_its_new_name(tmp_path: Path) -> None:
    found = change(tmp_path, renaming(NOW, price="amount"), {"id": "string", "amount": "int"})
    assert found == Change(widen={"price": "bigint"}, rename={"amount": "price"})


def test_a_column_that_is_renamed_already_changes_nothing(tmp_path: Path) -> None:
    assert not change(tmp_path, renaming(NOW, price="amount"), NOW)


def test_a_column_that_the_table_has_by_neither_name_is_added(tmp_path: Path) -> None:
    found = change(tmp_path, renaming(NOW, price="amount"), {"id": "string"})
    assert found == Change(add={"price": "bigint"})


def test_a_table_with_both_names_is_refused_and_not_guessed(tmp_path: Path) -> None:
    fault = refused(tmp_path, renaming(NOW, price="amount"), {**NOW, "amount": "bigint"})
    assert fault.code == "both-columns"
    assert "DROP COLUMN amount` (or price)" in fault.fix


def test_a_column_that_nobody_declares_is_refused_with_what_to_write(tmp_path: Path) -> None:
    fault = refused(tmp_path, renaming(NOW), {"id": "string", "amount": "bigint"})
    assert fault.code == "column-not-declared"
    assert "write `price: {…, renamed_from: amount}`" in fault.fix
    assert "`ALTER TABLE silver.orders DROP COLUMN amount`" in fault.fix


def test_a_type_that_narrows_is_refused_under_a_new_name_as_well(tmp_path: Path) -> None:
    fault = refused(tmp_path, renaming(NOW, price="amount"), {"id": "string", "amount": "string"})
    assert (fault.code, fault.what) == (
        "type-change",
        "'price' is string in silver.orders and declared bigint",
    )


def test_faults_of_query_and_table_are_told_together(tmp_path: Path) -> None:
    lake = PaperLake(tmp_path)
    lake.create("silver.orders", {**NOW, "note": "string"})
    with pytest.raises(ProjectError) as error:
        fit(renaming(NOW), {"id": "string"}, lake.state("silver.orders"))
    assert [f.code for f in error.value.faults] == ["column-not-returned", "column-not-declared"]


# --- quarantine ----------------------------------------------------------------------------------


def aside(of: Model, returned: Mapping[str, str]) -> Staged:
    plan = ModelPlan(of, rendered(), Mode.REBUILD, "", (), (), None, None)
    return Staged(plan, "__staged", Staging(of, returned, ()), (), {}, Change(), {})


def test_the_quarantine_evolves_with_its_target_and_loses_no_column(tmp_path: Path) -> None:
    lake, engine = PaperLake(tmp_path), FakeEngine()
    fixed = {"failed_checks": {"type": "list", "element-id": 9, "element": "string"}, "run_id": "string"}
    lake.create(ASIDE, {"id": "string", "amount": "int", "raw": "string", **fixed})
    of = aside(renaming(NOW, price="amount"), {**NOW, "helper": "string"})
    assert fit_quarantine(of, engine, lake.catalog) == {"raw": "string"}
    assert engine.asked("alter_table") == [
        {
            "table": ASIDE,
            "add": {"helper": "string"},
            "widen": {"price": "bigint"},
            "rename": {"amount": "price"},
        }
    ]
    sql = quarantine_sql(
        of.staging,
        staged="__staged",
        target="t",
        quarantine="q",
        run_id="r1",
        rebuild=True,
        unused={"raw": "string"},
    )
    # A row that enters and one that leaves both have the column that nothing fills.
    assert sql.count("CAST(NULL AS string) AS `raw`") >= 2
    assert "UNION ALL" in sql


def test_a_helper_of_another_type_is_refused_before_rows_are_lost(tmp_path: Path) -> None:
    lake, engine = PaperLake(tmp_path), FakeEngine()
    lake.create(ASIDE, {"id": "string", "price": "bigint", "raw": "string"})
    with pytest.raises(ProjectError) as error:
        fit_quarantine(aside(renaming(NOW), {**NOW, "raw": "int"}), engine, lake.catalog)
    assert [f.code for f in error.value.faults] == ["type-change"]
    assert engine.calls == []


def test_without_a_quarantine_there_is_nothing_to_fit(tmp_path: Path) -> None:
    engine = FakeEngine()
    assert fit_quarantine(aside(renaming(NOW), NOW), engine, PaperLake(tmp_path).catalog) is None
    assert engine.calls == []
