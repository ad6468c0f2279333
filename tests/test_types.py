"""Which types lint tells, and which it leaves to Spark; tests/spark/test_types.py asks Spark."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse_one

from runner.lineage.relation import OPEN, Relation, Scope, relation
from runner.lint.types import type_of, union_type
from tests.expressions import COLUMNS, KNOWN, KNOWN_OVER, KNOWN_WINDOWS, UNKNOWN

ROW = relation(COLUMNS.items())


def told(sql: str, **sources: Relation) -> str | None:
    tree = parse_one(f"SELECT {sql}", read="spark")
    assert isinstance(tree, exp.Select)
    return type_of(tree.expressions[0], Scope({"e": ROW, **sources}))


@pytest.mark.parametrize(("sql", "kind"), {**KNOWN, **KNOWN_OVER, **KNOWN_WINDOWS}.items())
def test_what_is_certain_is_told(sql: str, kind: str) -> None:
    assert told(sql) == kind


@pytest.mark.parametrize("sql", UNKNOWN)
def test_what_is_not_is_left_to_spark(sql: str) -> None:
    assert told(sql) is None


def test_a_name_that_could_mean_another_column_has_no_type() -> None:
    assert told("b", other=relation([("b", "string")])) is None
    assert told("b", other=relation([("b", "bigint")])) == "bigint"
    scope = Scope({"open": OPEN}, aliases={"alias": "int"})
    assert type_of(exp.column("alias"), scope) is None
    assert type_of(exp.column("alias"), Scope({"e": ROW}, aliases={"alias": "int"})) == "int"
    assert told("e.names.x") is None


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        ("int", "bigint", "bigint"),
        ("string", "string", "string"),
        ("void", "date", "date"),
        ("string", "bigint", None),
        ("int", None, None),
        ("decimal(10,2)", "decimal(12,2)", None),
    ],
)
def test_columns_of_a_union(left: str | None, right: str | None, kind: str | None) -> None:
    assert union_type(left, right) == kind
