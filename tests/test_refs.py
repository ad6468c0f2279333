"""Names and values become SQL text that means exactly them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from runner.refs import TableRef, literal, quote, typed_literal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (False, "false"),
        (5, "5L"),
        (-(2**63), "-9223372036854775808L"),
        (2**63, "9223372036854775808BD"),
        (Decimal("1.50"), "1.50BD"),
        (Decimal("1E-7"), "0.0000001BD"),
        (0.1, "0.1D"),
        (1e300, "1e+300D"),
        (float("nan"), "double('nan')"),
        (float("-inf"), "double('-inf')"),
        ("it's", r"'it\'s'"),
        ("a\\b", r"'a\\b'"),
        ("\\'; DROP TABLE x; --", r"'\\\'; DROP TABLE x; --'"),
        ("two\nlines", "'two\nlines'"),
        (dt.date(2026, 1, 2), "DATE'2026-01-02'"),
        (dt.date(87, 1, 2), "DATE'0087-01-02'"),
        (dt.datetime.fromisoformat("2026-01-02T03:04:05.000006"), "TIMESTAMP'2026-01-02 03:04:05.000006Z'"),
        (dt.datetime(87, 1, 2, tzinfo=dt.UTC), "TIMESTAMP'0087-01-02 00:00:00.000000Z'"),
    ],
)
def test_a_value_as_a_literal(value: object, text: str) -> None:
    assert literal(value) == text


def test_what_has_no_literal_is_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        literal([1])


@pytest.mark.parametrize(
    ("text", "type", "literal_text"),
    [
        (None, "date", "NULL"),
        ("it's", "string", r"'it\'s'"),
        ("2026-01-02", "date", "DATE'2026-01-02'"),
        ("+10000-01-02", "date", "DATE'+10000-01-02'"),
        ("2026-01-02 03:04:05.5", "timestamp", "TIMESTAMP'2026-01-02 03:04:05.5'"),
        ("-7", "bigint", "-7"),
        ("true", "boolean", "true"),
        ("1.50", "decimal(10,2)", "CAST('1.50' AS decimal(10,2))"),
        ("NaN", "double", "CAST('NaN' AS double)"),
    ],
)
def test_a_printed_value_as_a_literal_of_its_type(text: str | None, type: str, literal_text: str) -> None:
    assert typed_literal(text, type) == literal_text


def parsed(sql: str) -> exp.Expr:
    """The one expression that ``SELECT sql`` selects."""
    select = sqlglot.parse_one(f"SELECT {sql}", read="spark")
    assert isinstance(select, exp.Select)
    found: exp.Expr
    (found,) = select.expressions
    return found


@given(st.text())
def test_any_text_is_one_literal_of_exactly_that_text(text: str) -> None:
    found = parsed(literal(text))
    assert isinstance(found, exp.Literal)
    assert found.is_string
    assert found.this == text


@given(st.text(min_size=1))
def test_any_name_is_one_identifier_of_exactly_that_name(name: str) -> None:
    found = parsed(quote(name))
    assert isinstance(found, exp.Column)
    assert found.name == name


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_bigints(value: int) -> None:
    found = parsed(literal(value))
    cast = found.this if isinstance(found, exp.Neg) else found
    assert isinstance(cast, exp.Cast)
    assert cast.to.is_type("bigint")


def test_a_table_is_named_with_its_catalog_and_its_branch() -> None:
    ref = TableRef.parse("silver.orders")
    assert str(ref) == "silver.orders"
    assert ref.sql("lake") == "`lake`.`silver`.`orders`"
    assert ref.sql("lake", "audit_r1") == "`lake`.`silver`.`orders`.`branch_audit_r1`"
    assert str(ref.quarantine) == "silver.orders__quarantine"


@pytest.mark.parametrize(
    "text", ["orders", "a.b.c", "", ".", "a.", "a b.c", "a.b-c", "1a.b", "a.`b`", "a.b\n"]
)
def test_what_is_not_namespace_and_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"namespace\.table"):
        TableRef.parse(text)
