"""A gate that closes says which rows, how many, with examples, and where the check is declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.check.gate import describe, example, judge
from runner.check.table import check_table
from runner.engine.fake import FakeEngine
from runner.errors import Fault, GateClosed
from runner.execute import Staged, Written
from runner.execute.fit import Change
from runner.execute.masks import effective_checks
from runner.execute.sql import Staging
from runner.plan import Mode, ModelPlan
from runner.spec import Check, CheckKind, Model, Severity, Threshold
from tests.nouns import HERE, check, model, rendered, target
from tests.paper import PaperLake

TYPES = {"id": "string", "day": "date", "amount": "bigint", "note": "string"}


def staged(of: Model, counts: Mapping[str, Any], *, mode: Mode = Mode.INCREMENTAL) -> Staged:
    """Rows of ``of`` as if they had been staged with these counts; 100 rows stay where nothing is said."""
    checks = effective_checks(of)
    plan = ModelPlan(of, rendered(), mode, "", (), (), None, None)
    return Staged(plan, "__staged", Staging(of, TYPES, checks), checks, {"kept": 100, **counts}, Change(), {})


def closed(of: Model, counts: Mapping[str, Any], engine: FakeEngine | None = None) -> tuple[Fault, ...]:
    with pytest.raises(GateClosed) as error:
        judge(staged(of, counts), engine or FakeEngine())
    assert error.value.exit_code == 3
    return tuple(error.value.faults)


def with_checks(*checks: Check, **given: Any) -> Model:
    return model(checks=checks, target=target(columns=TYPES, **given))


AMOUNT = check(CheckKind.RANGE, "amount_range", of="amount", min=0, line=33)


# --- row checks ----------------------------------------------------------------------------------


def test_where_nothing_fails_every_check_has_passed() -> None:
    results = judge(staged(with_checks(AMOUNT), {"check_0": 0, "check_1": 0}), FakeEngine())
    assert [(r.name, r.status, r.failed, r.total) for r in results] == [
        ("amount_range", "pass", 0, 100),
        ("key_id_not_null", "pass", 0, 100),
    ]


def test_a_failing_check_says_which_rows_how_many_and_where_it_is_declared() -> None:
    engine = FakeEngine({"rows": [{"id": "a", "amount": -1}, {"id": "b", "amount": -2}]})
    (fault,) = closed(with_checks(AMOUNT), {"kept": 11_990, "aside": 10, "check_0": 1234}, engine)
    assert fault.code == "check-failed"
    assert str(fault.place) == "pipelines/silver.yml:33:9"
    assert fault.what == "check 'amount_range' of silver.orders: 1,234 of 12,000 rows fail"
    assert fault.why == (
        'a row fails where `amount` < 0L; for example {"id": "a", "amount": -1}; {"id": "b", "amount": -2}'
    )
    assert "quarantine" in fault.fix
    assert engine.asked("rows") == [
        {
            "sql": "SELECT `id`, `amount` FROM __staged WHERE (_mask & 1L) <> 0 AND NOT _aside"
            " ORDER BY `id`, `amount` LIMIT 3"
        }
    ]


def test_the_examples_of_an_expression_show_the_columns_that_it_names() -> None:
    engine = FakeEngine()
    closed(with_checks(check(CheckKind.EXPRESSION, sql="amount > 0 OR note = 'x'")), {"check_0": 1}, engine)
    assert engine.asked("rows")[0]["sql"].startswith("SELECT `id`, `amount`, `note` FROM")


def test_all_failing_checks_are_told_at_once() -> None:
    second = check(CheckKind.NOT_NULL, "has_day", of="day", line=34)
    faults = closed(with_checks(AMOUNT, second), {"check_0": 1, "check_1": 1, "check_2": 1, "duplicates": 2})
    assert [f.what.split(" of ")[0] for f in faults] == [
        "check 'amount_range'",
        "check 'has_day'",
        "check 'key_id_not_null'",
        "2 rows",
    ]


def test_a_warning_lets_rows_through_and_is_told() -> None:
    of = with_checks(replace(AMOUNT, severity=Severity.WARN))
    results = judge(staged(of, {"check_0": 7}), FakeEngine())
    assert results[0].status == "warn"
    assert describe(results) == ["check 'amount_range' warns: 7 of 100 rows fail (pipelines/silver.yml:33:9)"]


def test_a_quarantine_check_sets_aside_and_never_closes() -> None:
    of = with_checks(replace(AMOUNT, severity=Severity.QUARANTINE))
    results = judge(staged(of, {"kept": 0, "aside": 100, "check_0": 100}), FakeEngine())
    assert (results[0].status, results[0].failed, results[0].total) == ("quarantined", 100, 100)
    assert describe(results) == []


@pytest.mark.parametrize(
    ("allowed", "failed", "closes"),
    [
        (Threshold(count=5), 5, False),
        (Threshold(count=5), 6, True),
        (Threshold(percent=0.5), 0, False),
        (Threshold(percent=5.0), 5, False),
        (Threshold(percent=5.0), 6, True),
    ],
)
def test_what_is_tolerated_passes(allowed: Threshold, failed: int, closes: bool) -> None:
    of = with_checks(replace(AMOUNT, fail_above=allowed))
    if closes:
        (fault,) = closed(of, {"check_0": failed})
        assert fault.what.endswith(f"{failed} of 100 rows fail (allowed: {allowed})")
    else:
        results = judge(staged(of, {"check_0": failed}), FakeEngine())
        assert (results[0].status, results[0].failed) == ("pass", failed)


def test_a_count_that_was_not_observed_is_no_failure_and_no_rows_are_no_failure() -> None:
    assert (
        judge(staged(with_checks(AMOUNT), {"kept": None, "check_0": None}), FakeEngine())[0].status == "pass"
    )


# --- keys ----------------------------------------------------------------------------------------


def test_rows_that_share_a_key_close_the_gate() -> None:
    engine = FakeEngine({"rows": [{"id": "a"}]})
    (fault,) = closed(with_checks(), {"duplicates": 2048}, engine)
    assert (fault.code, fault.place) == ("duplicate-key", HERE)
    assert fault.what == "2,048 rows of sql/silver/orders.sql share their key (id) with another"
    assert '{"id": "a"}' in fault.why
    assert "dedupe" in fault.fix
    assert "WHERE _copies > 1 AND NOT _aside" in engine.asked("rows")[0]["sql"]


def test_a_key_in_two_partitions_closes_the_gate_where_partitions_are_fixed() -> None:
    engine = FakeEngine({"rows": [{"id": "a", "day": "2026-01-01"}]})
    (fault,) = closed(with_checks(partitions=("day",), partitions_fixed=True), {"split": 3}, engine)
    assert fault.code == "key-in-two-partitions"
    assert "partitions_fixed" in fault.why
    assert "2026-01-01" in fault.why
    assert "SELECT `id`, `day`" in engine.asked("rows")[0]["sql"]


# --- messages ------------------------------------------------------------------------------------


def test_an_example_is_cut_and_cannot_steer_the_terminal() -> None:
    text = example({"id": "\x1b[2J\u202e" + "x" * 100, "n": 10**30, "day": None})
    assert (
        text
        == '{"id": "\\u001b[2J\\u202e' + "x" * 52 + '...", "n": 1000000000000000000000000000000, "day": null}'
    )


# --- checks of the table -------------------------------------------------------------------------


def written(
    tmp_path: Path, of: Model, *, rows: int = 0, deletes: int = 0, before: int = 9, **given: Any
) -> tuple[Written, PaperLake]:
    """The model's branch with a snapshot of so many rows; main had ``before``."""
    lake = PaperLake(tmp_path)
    lake.create(of.target.table, {"id": "string"})
    lake.commit(of.target.table, rows=before)
    base = lake.state(str(of.target.table))
    snapshot = lake.commit(of.target.table, branch="audit_r1", rows=rows, deletes=deletes)
    counts = given.pop("counts", {})
    rows_staged = staged(of, counts, **given)
    rows_staged = replace(rows_staged, plan=replace(rows_staged.plan, target=base))
    return Written(rows_staged, "audit_r1", snapshot, 0, 0, 0), lake


def rows_between(low: int | None = None, high: int | None = None, **given: Any) -> Check:
    bounds: dict[str, Any] = {
        name: bound for name, bound in (("min", low), ("max", high)) if bound is not None
    }
    return check(CheckKind.ROW_COUNT, "size", **bounds, **given)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (rows_between(1), None),
        (rows_between(93, 93), None),
        (rows_between(94), "it must have at least 94"),
        (rows_between(0, 92), "it must have at least 0 and at most 92"),
        (rows_between(None, 5), "it must have at most 5"),
    ],
)
def test_rows_are_counted_on_the_branch_without_a_query(
    tmp_path: Path, of: Check, message: str | None
) -> None:
    on_branch, lake = written(tmp_path, with_checks(of), rows=100, deletes=7)
    engine = FakeEngine()
    if message is None:
        (result,) = check_table(on_branch, engine, lake.catalog)
        assert (result.status, result.total) == ("pass", 93)
    else:
        with pytest.raises(GateClosed) as error:
            check_table(on_branch, engine, lake.catalog)
        (fault,) = error.value.faults
        assert fault.what == "check 'size' of silver.orders: the table would have 93 rows"
        assert (fault.why, fault.place) == (message, of.place)
    assert engine.calls == []


def test_a_row_count_that_warns_publishes(tmp_path: Path) -> None:
    on_branch, lake = written(tmp_path, with_checks(rows_between(1, severity=Severity.WARN)), rows=0)
    (result,) = check_table(on_branch, FakeEngine(), lake.catalog)
    assert (result.status, result.failed) == ("warn", 1)


UNIQUE = check(CheckKind.UNIQUE, "one_row_a_key", columns=[], line=40)


def asked(tmp_path: Path, of: Model, **given: Any) -> str:
    engine = FakeEngine()
    on_branch, lake = written(tmp_path, of, **given)
    check_table(on_branch, engine, lake.catalog)
    (call,) = engine.asked("rows")
    return str(call["sql"])


def test_uniqueness_is_asked_of_the_branch(tmp_path: Path) -> None:
    sql = asked(tmp_path, with_checks(UNIQUE))
    assert "FROM `lake`.`silver`.`orders`.`branch_audit_r1` GROUP BY `id`" in sql


def test_the_key_of_a_table_that_was_empty_is_proved_by_the_gate(tmp_path: Path) -> None:
    on_branch, lake = written(tmp_path, with_checks(UNIQUE), before=0)
    engine = FakeEngine()
    (found,) = check_table(on_branch, engine, lake.catalog)
    assert (found.status, found.total, engine.calls) == ("pass", 100, [])


def test_the_key_is_looked_for_in_touched_partitions_old_ones_included(tmp_path: Path) -> None:
    of = with_checks(UNIQUE, partitions=("amount",))
    counts = {"parts": [("1",), ("2",)], "was": [[("3",)], [("2",), (None,)]]}
    assert "WHERE (`amount` IN (1, 2, 3) OR `amount` IS NULL) GROUP" in asked(tmp_path, of, counts=counts)


def test_after_a_rebuild_and_for_other_columns_the_whole_table_is_looked_at(tmp_path: Path) -> None:
    counts = {"parts": [("1",)]}
    keyed = with_checks(UNIQUE, partitions=("amount",))
    assert "WHERE" not in asked(tmp_path / "a", keyed, counts=counts, mode=Mode.REBUILD)
    other = with_checks(replace(UNIQUE, args={"columns": ["note"]}), partitions=("amount",))
    sql = asked(tmp_path / "b", other, counts=counts)
    assert "WHERE" not in sql
    assert "GROUP BY `note`" in sql


def test_rows_that_share_a_unique_column_are_named(tmp_path: Path) -> None:
    on_branch, lake = written(tmp_path, with_checks(UNIQUE))
    found = [{"id": "a", "_copies": 2, "_rows": 5}, {"id": "b", "_copies": 3, "_rows": 5}]
    with pytest.raises(GateClosed) as error:
        check_table(on_branch, FakeEngine({"rows": found}), lake.catalog)
    (fault,) = error.value.faults
    assert fault.what == "check 'one_row_a_key' of silver.orders: 5 rows share (id) with another"
    assert fault.why == 'for example {"id": "a", "copies": 2}; {"id": "b", "copies": 3}'
    assert fault.place == UNIQUE.place


def test_all_failing_checks_of_the_table_are_told_at_once(tmp_path: Path) -> None:
    on_branch, lake = written(tmp_path, with_checks(UNIQUE, rows_between(1)), rows=0)
    with pytest.raises(GateClosed) as error:
        check_table(on_branch, FakeEngine({"rows": [{"id": "a", "_copies": 2, "_rows": 2}]}), lake.catalog)
    assert len(error.value.faults) == 2
