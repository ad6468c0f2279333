"""Queries of Spark run by SQLite, and statements as Spark's dialect sees them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp

Row = dict[str, Any]


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
