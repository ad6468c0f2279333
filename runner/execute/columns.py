"""Which columns a snippet of SQL reads."""

from __future__ import annotations

import sqlglot
from sqlglot import exp


def columns_of(sql: str) -> set[str]:
    """The names of the columns in an expression."""
    return {column.name for column in sqlglot.parse_one(sql, dialect="spark").find_all(exp.Column)}
