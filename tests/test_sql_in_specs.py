"""SQL in specs, conditions and columns: lint knows of it what it knows of a query."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import Fault, Place
from runner.lineage.query import parse_query
from tests.linted import S, faults


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("    drop: {name: x, when: kk > 'a'}\n", "unknown-column"),
        ("    drop: {name: x, when: \"k = 'a' OR\"}\n", "sql-syntax"),
        ("    drop: {name: x, when: 'true, false'}\n", "sql-syntax"),
        ("    drop: {name: x, when: '(SELECT 1)'}\n", "subquery-in-spec"),
        ("    drop: {name: x, when: 'max(n) > 1'}\n", "aggregate-in-spec"),
        ("    drop: {name: x, when: 'rand() > 1'}\n", "not-deterministic"),
        ("    drop: {name: x, when: \"reflect('a', 'b') = 'c'\"}\n", "forbidden-function"),
        ("    drop: {name: x, when: 'd < current_date'}\n", "not-deterministic"),
        ("    dedupe: {order: [kk]}\n", "unknown-column"),
        ("    late: {column: kk, after: 5m}\n", "unknown-column"),
        ("    checks: [{expression: 'kk > 1'}]\n", "unknown-column"),
    ],
)
def test_sql_of_the_spec(tmp_path: Path, more: str, code: str) -> None:
    (fault,) = faults(tmp_path, f"SELECT * FROM {S}", more=more)
    assert fault.code == code
    assert fault.place is not None
    assert (fault.place.file, fault.place.line) == ("pipelines/p.yml", 6)


def test_a_query_in_place_of_a_condition_is_no_sql() -> None:
    fault = parse_query("SELECT 1 AS a WHERE AND (SELECT (1))", lambda offset: Place("a.sql", 1, offset + 1))
    assert isinstance(fault, Fault)
    assert fault.what.startswith("this is not Spark SQL: a query stands where a condition belongs")
