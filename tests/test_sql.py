"""The SQL around an analyst's query: it parses as Spark's, and means what it is for.

Where SQLite has the same meaning the text is run there, so that a predicate is judged by the rows that it
finds and not by its letters. What is staged and set aside has ``test_staging.py``; what the statements do on
Spark is tested in ``tests/spark``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from runner.errors import ProjectError
from runner.execute.masks import MOST_CHECKS, effective_checks, mask_sql, quarantine_bits, violation
from runner.execute.sql import among, groups_sql, members_sql, partition_predicate
from runner.spec import Check, CheckKind, Model, Severity
from tests.nouns import check, model, target
from tests.on_sqlite import Row, parsed, run

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
