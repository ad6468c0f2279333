"""Rows of the tables that the oracle tells, and the order in which they are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def by_key(rows: Iterable[Row], *key: str) -> list[Row]:
    """Rows in the order of their key: no table has an order, two lists compare best with one."""
    return sorted(rows, key=lambda row: tuple(row[column] for column in key))
