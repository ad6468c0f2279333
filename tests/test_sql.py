"""The SQL around an analyst's query: it parses as Spark's, and means what it is for.

Where SQLite has the same meaning the text is run there, so that a predicate is judged by the rows that it
finds and not by its letters. What the statements do on Spark is tested in ``tests/spark``.
"""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from runner.errors import ProjectError
from runner.execute.masks import MOST_CHECKS, effective_checks, mask_sql, quarantine_bits, violation
from runner.execute.sql import (
    Staging,
    among,
    groups_sql,
    late_sql,
    members_sql,
    old_keys_sql,
    partition_predicate,
    quarantine_sql,
)
from runner.spec import Check, CheckKind, Dedupe, Drop, Late, Model, Severity
from tests.nouns import HERE, check, files, model, reads, target

Row = dict[str, Any]

full_joins = pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 39), reason="this SQLite has no FULL JOIN; tests/spark runs the same"
)


def run(sql: str, tables: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The rows of a Spark query, by SQLite."""
    (text,) = sqlglot.transpile(sql, read="spark", write="sqlite")
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.create_function("REGEXP", 2, lambda p, x: None if x is None else re.search(p, x) is not None)
    for name, rows in tables.items():
        columns = list(rows[0])
        connection.execute(f'CREATE TABLE "{name}" ({", ".join(f"{c!r}" for c in columns)})')
        marks = ", ".join("?" * len(columns))
        connection.executemany(
            f'INSERT INTO "{name}" VALUES ({marks})', [tuple(r[c] for c in columns) for r in rows]
        )
    found = [dict(row) for row in connection.execute(text)]
    connection.close()
    return found


def parsed(sql: str) -> exp.Expr:
    """The one statement that Spark's dialect sees."""
    (statement,) = sqlglot.parse(sql, read="spark", error_level=sqlglot.ErrorLevel.RAISE)
    assert statement is not None
    return statement


# --- literal predicates --------------------------------------------------------------------------

#: Values of a partition column by its type: as they are in the table, and as Spark prints them.
VALUES: Mapping[str, Sequence[object]] = {
    "bigint": [None, -2, 0, 10],
    "string": [None, "", "a", "it's", "\\", "NULL", "10"],
}


def printed(row: Sequence[object]) -> tuple[str | None, ...]:
    return tuple(None if value is None else str(value) for value in row)


@st.composite
def partitions(draw: st.DrawFn) -> tuple[dict[str, str], list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Columns with their types, tuples to be found, and other tuples of a table."""
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
    rows = st.lists(st.tuples(*(st.sampled_from(VALUES[type]) for type in types)), max_size=6)
    return {f"c{i}": type for i, type in enumerate(types)}, draw(rows), draw(rows)


@given(partitions())
def test_a_partition_predicate_is_true_for_its_tuples_and_for_no_other(
    given: tuple[dict[str, str], list[tuple[object, ...]], list[tuple[object, ...]]],
) -> None:
    columns, tuples, others = given
    rows = [dict(zip(columns, row, strict=True)) for row in [*tuples, *others]]
    predicate = partition_predicate("t", columns, map(printed, tuples))
    if not rows:
        assert predicate == "false"
        return
    found = run(f"SELECT * FROM x AS t WHERE {predicate}", {"x": rows})
    assert found == [row for row in rows if tuple(row.values()) in tuples]


def test_a_partition_predicate_reads_as_one_list_under_each_first_value() -> None:
    tuples = [("2026-01-01", "1"), ("2026-01-01", None), ("2026-01-02", "2")]
    assert partition_predicate("t", {"day": "date", "hour": "int"}, tuples) == (
        "((t.`day` IN (DATE'2026-01-01') AND (t.`hour` IN (1) OR t.`hour` IS NULL))"
        " OR (t.`day` IN (DATE'2026-01-02') AND t.`hour` IN (2)))"
    )


def test_strings_are_compared_one_by_one() -> None:
    # Iceberg 1.11 fails on an IN list of strings where a partition's value is NULL.
    predicate = partition_predicate("t", {"region": "string"}, [("b",), ("a",), (None,), ("a",)])
    assert predicate == "(t.`region` = 'a' OR t.`region` = 'b' OR t.`region` IS NULL)"
    assert not list(parsed(f"SELECT {predicate}").find_all(exp.In))


def test_no_tuple_is_found_nowhere_and_no_column_restricts_nothing() -> None:
    assert partition_predicate("t", {"day": "date"}, []) == "false"
    assert partition_predicate("t", {}, [()]) == ""
    assert among("t.`day`", "date", []) == "false"


def test_many_tuples_are_covered_by_a_predicate_that_stays_short() -> None:
    tuples = [(i, f"p{i % 7}") for i in range(700)]
    predicate = partition_predicate("", {"a": "bigint", "b": "string"}, map(printed, tuples))
    assert len(predicate) < 8000
    rows: list[Row] = [{"a": a, "b": b} for a, b in [*tuples, (700, "p0"), (0, "p9"), (None, None)]]
    assert run(f"SELECT * FROM x WHERE {predicate}", {"x": rows}) == rows[:700]


# --- row checks ----------------------------------------------------------------------------------


def failing(of: Check, values: Sequence[object]) -> list[object]:
    """The values of the check's column that fail it."""
    rows: list[Row] = [{"v": value} for value in values]
    return [row["v"] for row in run(f"SELECT v FROM x WHERE {violation(of)}", {"x": rows})]


@pytest.mark.parametrize(
    ("of", "passing", "bad"),
    [
        (check(CheckKind.NOT_NULL, of="v"), ["", 0], [None]),
        (check(CheckKind.ACCEPTED_VALUES, of="v", values=["a", "it's"]), ["a", "it's", None], ["b", "A", ""]),
        (check(CheckKind.RANGE, of="v", min=0, max=9), [0, 9, None], [-1, 10]),
        (check(CheckKind.RANGE, of="v", min=0), [0, 10**6, None], [-1]),
        (check(CheckKind.RANGE, of="v", max=0.5), [0.5, -9, None], [0.6]),
        (check(CheckKind.REGEX, of="v", pattern=r"^\d+$"), ["7", None], ["x", ""]),
        (check(CheckKind.EXPRESSION, sql="v > 0 OR v = -5"), [1, -5, None], [0]),
    ],
)
def test_which_rows_fail_a_check(of: Check, passing: list[object], bad: list[object]) -> None:
    assert failing(of, [*passing, *bad]) == bad


def test_table_checks_look_at_no_single_row() -> None:
    with pytest.raises(ValueError, match="row_count"):
        violation(check(CheckKind.ROW_COUNT, min=1))


def test_every_check_has_its_bit_and_null_passes() -> None:
    checks = [
        check(CheckKind.RANGE, of="a", min=0),
        check(CheckKind.NOT_NULL, of="b", severity=Severity.QUARANTINE),
        check(CheckKind.EXPRESSION, sql="a < b", severity=Severity.WARN),
    ]
    rows: list[Row] = [
        {"a": 1, "b": 2},
        {"a": -1, "b": 0},
        {"a": 1, "b": None},
        {"a": 5, "b": 5},
        {"a": None, "b": None},
    ]
    masks = [row["m"] for row in run(f"SELECT {mask_sql(checks)} AS m FROM x", {"x": rows})]
    assert masks == [0, 1, 2, 4, 2]
    assert quarantine_bits(checks) == 2
    assert mask_sql([]) == "0L"


def test_a_key_that_may_not_be_null_is_checked_without_being_asked() -> None:
    keyed = model(target=target(key=("id", "day")))
    assert [(c.name, c.column, c.severity) for c in effective_checks(keyed)] == [
        ("key_id_not_null", "id", Severity.ERROR),
        ("key_day_not_null", "day", Severity.ERROR),
    ]
    assert [c.column for c in effective_checks(keyed, {"day"})] == ["id"]


def test_a_declared_check_of_a_key_stands_for_the_implied_one_only_where_it_closes_the_gate() -> None:
    def columns(severity: Severity) -> list[str | None]:
        declared = check(CheckKind.NOT_NULL, of="id", severity=severity)
        return [c.column for c in effective_checks(model(target=target(), checks=(declared,)))]

    assert columns(Severity.ERROR) == ["id"]
    assert columns(Severity.WARN) == ["id", "id"]


def test_more_checks_than_a_mask_has_bits_are_refused() -> None:
    def with_checks(number: int) -> Model:
        return model(checks=tuple(check(CheckKind.NOT_NULL, f"c{i}", of="day") for i in range(number)))

    assert len(effective_checks(with_checks(MOST_CHECKS - 1))) == MOST_CHECKS
    with pytest.raises(ProjectError) as error:
        effective_checks(with_checks(MOST_CHECKS))
    assert [f.code for f in error.value.faults] == ["too-many-checks"]


# --- groups --------------------------------------------------------------------------------------

DAY_AND_NEXT = ({"day": "d", "who": "'a'"}, {"day": "d + 1", "who": "'a'"})


def test_touched_groups_come_from_every_view_of_changed_rows_by_every_mapping() -> None:
    both = "named_struct('day', d, 'who', 'a'), named_struct('day', d + 1, 'who', 'a')"
    sql = groups_sql([DAY_AND_NEXT, ({"who": "w", "day": "x"},)], [["__a", "__a__old"], ["__b"]])
    assert sql == (
        "SELECT DISTINCT `day`, `who` FROM ("
        f"SELECT inline(array({both})) FROM __a UNION ALL "
        f"SELECT inline(array({both})) FROM __a__old UNION ALL "
        "SELECT inline(array(named_struct('day', x, 'who', w))) FROM __b)"
    )
    parsed(sql)


SALES: list[Row] = [
    {"d": 1, "n": 1},
    {"d": 1, "n": 1},  # equal rows are two rows
    {"d": 2, "n": 3},
    {"d": 3, "n": 4},
    {"d": None, "n": 5},
]


def members(by: Sequence[Mapping[str, str]], groups: Sequence[Row]) -> list[Row]:
    sql = members_sql("src", ["d", "n"], by, "g")
    return sorted(run(sql, {"src": SALES, "g": groups}), key=lambda row: row["n"])


def test_rows_of_touched_groups_are_read_with_their_number_kept() -> None:
    assert members([{"day": "d"}], [{"day": 1}]) == SALES[:2]


def test_a_row_in_two_touched_groups_is_read_once() -> None:
    groups = [{"day": 1, "who": "a"}, {"day": 2, "who": "a"}, {"day": 3, "who": "a"}]
    # Day 2 and 3 are touched for the rows of their own day and for those of the day before.
    assert members(DAY_AND_NEXT, groups) == SALES[:4]


def test_the_group_null_is_a_group() -> None:
    assert members([{"day": "d"}], [{"day": None}]) == [SALES[4]]
    assert members(DAY_AND_NEXT, [{"day": None, "who": "a"}]) == [SALES[4]]


def test_an_untouched_group_is_not_read() -> None:
    assert members([{"day": "d"}], [{"day": 9}]) == []
    assert members(DAY_AND_NEXT, [{"day": 2, "who": "b"}]) == []


# --- staging -------------------------------------------------------------------------------------

RETURNED = {"id": "string", "day": "date", "amount": "bigint", "arrival": "int", "kind": "string"}
SET_ASIDE = check(CheckKind.NOT_NULL, "has_day", of="day", severity=Severity.QUARANTINE)
POSITIVE = check(CheckKind.RANGE, "positive", of="amount", min=0)


def staging(of: Model | None = None, **given: Any) -> Staging:
    return Staging(
        of or model(checks=(SET_ASIDE, POSITIVE)), RETURNED, (SET_ASIDE, POSITIVE), rows="q", **given
    )


def row(
    id: str, day: str | None = "2026-01-01", amount: int = 1, arrival: int = 1, kind: str | None = "x"
) -> Row:
    return {"id": id, "day": day, "amount": amount, "arrival": arrival, "kind": kind}


def staged(of: Staging, rows: Sequence[Row], **tables: Sequence[Row]) -> list[Row]:
    parsed(of.sql())
    return sorted(run(of.sql(), {"q": rows, **tables}), key=lambda r: (str(r["id"]), r["arrival"] or 0))


def test_a_row_that_passes_is_staged_as_it_is() -> None:
    (found,) = staged(staging(), [row("a")])
    assert {c: found[c] for c in RETURNED} == row("a")
    assert (found["_mask"], found["_aside"], found["_gone"], found["_copies"]) == (0, 0, 0, 1)


def test_a_row_that_a_quarantine_check_finds_is_marked_and_a_row_that_an_error_finds_is_not() -> None:
    found = staged(staging(), [row("a", None), row("b", amount=-1), row("c", None, -1)])
    assert [(r["id"], r["_mask"], r["_aside"]) for r in found] == [("a", 1, 1), ("b", 2, 0), ("c", 3, 1)]


def test_dropped_rows_are_neither_checked_nor_staged_and_null_does_not_drop() -> None:
    of = model(drop=Drop("heartbeat", "kind = 'beat'", HERE), checks=(SET_ASIDE,))
    found = staged(staging(of), [row("a", None, kind="beat"), row("b"), row("c", kind=None)])
    assert [r["id"] for r in found] == ["b", "c"]
    assert staging(of).counts_read() == {
        "read": "count(1)",
        "dropped": "count_if(coalesce(kind = 'beat', false))",
    }
    assert staging().counts_read() == {"read": "count(1)"}


def test_of_rows_with_one_key_the_first_that_passed_stays() -> None:
    of = staging(model(dedupe=Dedupe(("arrival",), HERE), checks=(SET_ASIDE,)))
    rows = [row("a", None, arrival=1), row("a", amount=7, arrival=3), row("a", amount=5, arrival=2)]
    found = staged(of, rows)
    assert [(r["amount"], r["_aside"]) for r in found] == [(1, 1), (5, 0)], (
        "a row set aside hides no row that passed"
    )


def test_without_dedupe_rows_that_share_a_key_are_counted() -> None:
    found = staged(staging(), [row("a"), row("a", amount=2, arrival=2), row("a", None, arrival=3), row("b")])
    assert [(r["id"], r["_copies"]) for r in found] == [("a", 2), ("a", 2), ("a", 1), ("b", 1)]


def test_only_rows_of_touched_groups_are_staged() -> None:
    of = staging(groups="g", group_columns=("day",))
    found = staged(
        of, [row("a"), row("b", "2026-01-02"), row("c", None)], g=[{"day": "2026-01-02"}, {"day": None}]
    )
    assert [r["id"] for r in found] == ["b", "c"]


@full_joins
def test_an_old_key_that_is_not_produced_now_is_a_tombstone() -> None:
    of = staging(old_keys="o")
    found = staged(of, [row("a"), row("b")], o=[{"id": "b", "_was": "p1"}, {"id": "gone", "_was": "p2"}])
    assert [(r["id"], r["_gone"], r["_was"]) for r in found] == [
        ("a", 0, None),
        ("b", 0, "p1"),
        ("gone", 1, "p2"),
    ]
    tombstone = found[2]
    assert (tombstone["amount"], tombstone["_mask"], tombstone["_aside"], tombstone["_copies"]) == (
        None,
        0,
        0,
        1,
    )


@full_joins
def test_an_old_key_whose_row_is_set_aside_leaves_the_target() -> None:
    found = staged(staging(old_keys="o"), [row("a", None)], o=[{"id": "a", "_was": "p1"}])
    assert sorted((r["_aside"], r["_gone"]) for r in found) == [(0, 1), (1, 0)]


@full_joins
def test_null_is_a_key_like_any_other() -> None:
    found = staged(staging(old_keys="o"), [{**row("a"), "id": None}], o=[{"id": None, "_was": "p1"}])
    assert [(r["id"], r["_gone"], r["_was"]) for r in found] == [(None, 0, "p1")]


def test_a_key_that_is_held_in_quarantine_is_marked_where_it_passes_now() -> None:
    of = staging(held="h")
    rows = [row("a"), row("b", None), row("c")]
    found = staged(of, rows, h=[{"id": "a", "_in_quarantine": True}, {"id": "b", "_in_quarantine": True}])
    assert [(r["id"], r["_held"]) for r in found] == [("a", 1), ("b", 0), ("c", 0)]


def test_the_counts_that_the_gate_needs() -> None:
    of = staging()
    rows = [
        row("a"),
        row("a", arrival=2),
        row("b", None),
        row("c", amount=-1),
        row("d", None, -1),
        row("b", None),
    ]
    aggregates = ", ".join(f"{sql} AS `{name}`" for name, sql in of.counts_staged().items())
    (counts,) = run(f"SELECT {aggregates} FROM ({of.sql()})", {"q": rows})
    assert counts == {
        "kept": 3,
        "aside": 3,
        "tombstones": 0,
        "duplicates": 2,
        "split": 0,
        "check_0": 3,
        "check_1": 1,  # of the two, one is set aside
    }


def test_partitions_are_collected_of_rows_that_stay_and_of_what_was() -> None:
    of = model(target=target(partitions=("day",)))
    counts = staging(of).counts_staged()
    assert counts["parts"] == (
        "collect_set(CASE WHEN NOT _gone AND NOT _aside THEN struct(CAST(`day` AS STRING) AS `day`) END)"
    )
    assert "was" not in counts
    assert staging(of, old_keys="o").counts_staged()["was"] == "collect_set(_was)"
    assert staging(of, held="h").counts_staged()["leaving"] == "count_if(_held)"


def test_a_fixed_partition_is_compared_within_a_key() -> None:
    fixed = staging(model(target=target(partitions=("day",), partitions_fixed=True)))
    assert "(min(struct(`day`)) OVER" in fixed.sql()
    parsed(fixed.sql())
    assert "false AS _split" in staging(model(target=target(partitions=("day",)))).sql()


def test_old_keys_are_one_row_a_key_with_the_partitions_they_had() -> None:
    of = model(target=target(partitions=("day", "id")))
    assert old_keys_sql(of, ["a", "b"]) == (
        "SELECT `id`, collect_set(struct(CAST(`day` AS STRING) AS `day`, CAST(`id` AS STRING) AS `id`))"
        " AS _was"
        " FROM (SELECT `id`, `day` FROM a UNION ALL SELECT `id`, `day` FROM b) GROUP BY `id`"
    )
    parsed(old_keys_sql(model(), ["a"]))


def test_failed_checks_are_named() -> None:
    sql = staging().failed_checks()
    assert "(_mask & 1L) <> 0 THEN 'has_day'" in sql
    assert "(_mask & 2L) <> 0 THEN 'positive'" in sql
    parsed(f"SELECT {sql}")


def test_late_rows_are_counted_against_earlier_arrivals_and_earlier_runs() -> None:
    sql = late_sql("__staged", "at", ["arrival"], 300, "2026-01-01 00:00:00")
    parsed(sql)
    assert "ORDER BY `arrival` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING" in sql
    assert "greatest(" in sql
    assert "TIMESTAMP'2026-01-01 00:00:00'" in sql
    assert "make_dt_interval(0, 0, 0, 300)" in sql
    assert "greatest(" not in late_sql("__staged", "at", ["arrival"], 300, None)
    late = staging(model(late=Late("at", dt.timedelta(minutes=5), HERE))).counts_staged()
    assert late["late_max"] == "CAST(max(CASE WHEN NOT _gone AND NOT _aside THEN `at` END) AS STRING)"


# --- quarantine ----------------------------------------------------------------------------------


def kept_aside(of: Model, *, rebuild: bool = False) -> exp.Merge:
    sql = quarantine_sql(
        staging(of), staged="s0", target="lake.s.t", quarantine="lake.s.q", run_id="r1", rebuild=rebuild
    )
    merge = parsed(sql)
    assert isinstance(merge, exp.Merge)
    return merge


def clauses(merge: exp.Merge) -> list[str]:
    return [when.sql("spark").split(" THEN ")[1].split(" ")[0] for when in merge.args["whens"].expressions]


def test_a_quarantine_gains_loses_and_mends_rows() -> None:
    merge = kept_aside(model(reads("bronze.raw"), checks=(SET_ASIDE,)))
    assert clauses(merge) == ["DELETE", "UPDATE", "INSERT"]
    assert "lake.s.t" not in merge.sql("spark"), "a rebuilt target is not asked"
    assert "NOT MATCHED BY SOURCE" not in merge.sql("spark")


def test_a_rebuild_removes_what_its_rows_do_not_explain() -> None:
    merge = kept_aside(model(reads("bronze.raw"), checks=(SET_ASIDE,)), rebuild=True)
    assert clauses(merge) == ["DELETE", "UPDATE", "INSERT", "DELETE"]
    assert "NOT MATCHED BY SOURCE" in merge.sql("spark")


def test_rows_that_are_read_once_are_never_mended_and_the_target_says_what_passed_before() -> None:
    merge = kept_aside(model(files("in"), checks=(SET_ASIDE,)))
    assert clauses(merge) == ["DELETE", "INSERT"]
    assert "lake.s.t AS t" in merge.sql("spark")


#: Staged rows: a passes, b is set aside, c passes and is set aside, d is gone, e is set aside twice.
STAGED = [
    {**row("a"), "_mask": 0, "_aside": False, "_gone": False},
    {**row("b", None), "_mask": 1, "_aside": True, "_gone": False},
    {**row("c"), "_mask": 0, "_aside": False, "_gone": False},
    {**row("c", None, arrival=2), "_mask": 1, "_aside": True, "_gone": False},
    {**row("d"), "_mask": 0, "_aside": False, "_gone": True},
    {**row("e", None, amount=2, arrival=2), "_mask": 1, "_aside": True, "_gone": False},
    {**row("e", None, amount=1, arrival=1), "_mask": 1, "_aside": True, "_gone": False},
]


def moved(of: Model, **tables: Sequence[Row]) -> dict[str, tuple[bool, int | None]]:
    """Key → whether it enters the quarantine, and the amount of the row that does."""
    source = kept_aside(of).args["using"].this.copy()
    for call in source.find_all(exp.Func):
        if call.sql_name().lower() in ("array_compact", "anonymous") and "array" in call.sql("spark").lower():
            call.replace(exp.Literal.string("names"))
    sql = source.sql("spark").replace("AS ARRAY<STRING>", "AS STRING")
    return {r["id"]: (bool(r["_aside"]), r["amount"]) for r in run(sql, {"s0": STAGED, **tables})}


def test_what_failed_enters_unless_its_key_passed_and_what_passed_or_is_gone_leaves() -> None:
    of = model(reads("bronze.raw"), dedupe=Dedupe(("arrival",), HERE), checks=(SET_ASIDE,))
    assert moved(of) == {
        "a": (False, None),
        "b": (True, 1),
        "c": (False, None),
        "d": (False, None),
        "e": (True, 1),
    }
