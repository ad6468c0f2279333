"""A difference between two states of a table as text for people and as plain values for programs.

In: a :class:`runner.diff.Compared`. Out: lines, or dictionaries that JSON can write; text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runner.compare import Change
from runner.diff import Compared
from runner.refs import TableRef
from runner.show import cell, plain


def text(found: Compared) -> Iterator[str]:
    """The lines for people."""
    sides, difference = found.sides, found.difference
    rows = " → ".join(f"{s.rows if s else 0:,}" for s in (sides.since, sides.until))
    ids = " → ".join(str(s.id) if s else "none" for s in (sides.since, sides.until))
    yield f"{sides.state.ref}: {rows} rows, snapshot {ids}"
    for column in sides.columns_added:
        yield f"    column   {column}, new: NULL before"
    for column in sides.columns_gone:
        yield f"    column   {column}, gone: not compared"
    if not difference:
        yield "    no row differs"
        return
    yield f"    {difference.added:,} added, {difference.removed:,} removed, {difference.changed:,} changed"
    if difference.columns:
        counted = sorted(difference.columns.items(), key=lambda item: (-item[1], item[0]))
        yield f"    changed  {', '.join(f'{column} {n:,}' for column, n in counted)}"
    if difference.shared:
        yield f"    {difference.shared:,} share their key with another row, and are paired in order"
    told = 0
    for change in found.changes:
        told += 1
        yield f"    {_line(change, sides.key)}"
    left = difference.added + difference.removed + difference.changed - told
    if told and left:
        yield f"    … and {left:,} more: --limit N, or --all"


def _line(change: Change, key: Sequence[str]) -> str:
    named = " ".join(f"{c}={cell(value)}" for c, value in change.key.items())
    if change.old is not None and change.new is not None:
        old, new = change.old, change.new
        cells = ", ".join(f"{c}: {cell(old[c])} → {cell(new[c])}" for c in change.columns)
        return f"~ {named} | {cells}"
    sign, row = ("+", change.new) if change.new is not None else ("-", change.old)
    cells = " ".join(f"{c}={cell(value)}" for c, value in (row or {}).items() if c not in key)
    return f"{sign} {named}{f' | {cells}' if cells else ''}"


def values(found: Compared) -> dict[str, Any]:
    """The summary for programs."""
    sides, difference = found.sides, found.difference
    return {
        "kind": "diff",
        "table": str(sides.state.ref),
        "from": sides.since.id if sides.since else None,
        "to": sides.until.id if sides.until else None,
        "rows_from": sides.since.rows if sides.since else 0,
        "rows_to": sides.until.rows if sides.until else 0,
        "added": difference.added,
        "removed": difference.removed,
        "changed": difference.changed,
        "changed_columns": dict(difference.columns),
        "columns_added": list(sides.columns_added),
        "columns_gone": list(sides.columns_gone),
        "sharing_a_key": difference.shared,
    }


def row_values(table: TableRef, change: Change) -> dict[str, Any]:
    """One row for programs; of a changed one, old and new of the columns that differ."""
    about: dict[str, Any] = {"kind": "row", "table": str(table), "key": _plain(change.key)}
    if change.old is not None and change.new is not None:
        differ = {c: {"old": plain(change.old[c]), "new": plain(change.new[c])} for c in change.columns}
        return about | {"change": "changed", "columns": differ}
    if change.new is not None:
        return about | {"change": "added", "row": _plain(change.new)}
    return about | {"change": "removed", "row": _plain(change.old or {})}


def _plain(row: Any) -> dict[str, Any]:
    return {column: plain(value) for column, value in row.items()}
