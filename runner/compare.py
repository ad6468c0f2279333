"""Compare two snapshots of a table by key: rows added, removed, changed, and the columns that changed.

In: a table's state, two of its snapshots, a key. Out: :class:`Difference`, and the rows where they are asked
for. Values are compared null-safely. Of a table with row ids only files that the two do not share are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.catalog import COMPACTION, Snapshot, TableState
from runner.engine import Engine
from runner.pairs import NEW, OLD, PAIRS, compared_as, pairs_sql, printed

#: Types that hold a value of the other without loss.
_WIDER = {frozenset({"int", "bigint"}): "bigint", frozenset({"float", "double"}): "double"}


@dataclass(frozen=True)
class Sides:
    """Two snapshots of a table (None: empty), and how their rows are told apart and compared."""

    state: TableState
    since: Snapshot | None
    until: Snapshot | None
    key: tuple[str, ...]
    ignored: frozenset[str] = frozenset()

    @property
    def compared(self) -> tuple[str, ...]:
        """The columns of the newer side: the key, then the others."""
        others = [c for c in self.state.columns_at(self.until) if c not in {*self.key, *self.ignored}]
        return (*self.key, *(c for c in others if c in self.state.columns))

    @property
    def columns_added(self) -> tuple[str, ...]:
        """Columns that only the newer side has: on the older one they are NULL."""
        return tuple(c for c in self._new if c not in self._old) if self.since and self.until else ()

    @property
    def columns_gone(self) -> tuple[str, ...]:
        """Columns that only the older side has: they are not compared."""
        return tuple(c for c in self._old if c not in self._new) if self.since and self.until else ()

    @property
    def _new(self) -> Mapping[str, str]:
        return self.state.columns_at(self.until)

    @property
    def _old(self) -> Mapping[str, str]:
        return self.state.columns_at(self.since)

    @property
    def same_rows(self) -> bool:
        """Whether metadata alone tells that no row differs."""
        if (self.since.id if self.since else None) == (self.until.id if self.until else None):
            return True
        rows = [s.rows if s else 0 for s in (self.since, self.until)]
        return rows == [0, 0] or self._moved(self.since, self.until) or self._moved(self.until, self.since)

    def _moved(self, old: Snapshot | None, new: Snapshot | None) -> bool:
        """Whether ``new`` descends from ``old`` through compactions alone."""
        if old is None or new is None:
            return False
        for snapshot in self.state.ancestry(new.id):
            if snapshot.id == old.id:
                return True
            if snapshot.operation != COMPACTION:
                return False
        return False


@dataclass(frozen=True)
class Difference:
    """How many rows differ. ``columns``: of changed rows, how many differ in each column; ``shared``: rows
    that share their key with another one that differs, too."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    shared: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Change:
    """One row that differs: ``old`` or ``new`` is None where there is none."""

    key: Mapping[str, Any]
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    columns: tuple[str, ...] = ()  # those in which the two differ


def bind(sides: Sides, engine: Engine) -> dict[str, str]:
    """Make the rows of both sides that may differ known to the engine; the columns' types as compared."""
    state, since, until = sides.state, sides.since, sides.until
    if since and until and state.format_version > 2 and since.row_ids and until.row_ids:
        engine.bind_diff(NEW, OLD, state.ref, since.id, until.id)
    else:
        engine.bind_table(NEW, state.ref, until.id if until else None)
        engine.bind_table(OLD, state.ref, since.id if since else None)
    new, old = engine.schema(NEW), engine.schema(OLD)
    types = {c: _type(new[c], old.get(c, new[c])) for c in sides.compared if c in new}
    engine.define(PAIRS, pairs_sql(sides.key, types, new, old))
    return types


def _type(new: str, old: str) -> str:
    return new if new == old else _WIDER.get(frozenset({new, old}), "string")


def count(types: Mapping[str, str], key: Sequence[str], engine: Engine) -> Difference:
    """How many rows differ, and in which columns."""
    others = [(i, c) for i, c in enumerate(types) if c not in key]
    both = "_n IS NOT NULL AND _o IS NOT NULL"
    found = {
        "added": "count_if(_o IS NULL)",
        "removed": "count_if(_n IS NULL)",
        "changed": f"count_if({both})",
        "shared": "count_if(coalesce(_n, 0) > 1 OR coalesce(_o, 0) > 1)",
        **{f"c{i}": f"count_if({both} AND NOT (n{i} <=> o{i}))" for i, _ in others},
    }
    (row,) = engine.rows(
        f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in found.items())} FROM {PAIRS}"
    )
    columns = {c: int(row[f"c{i}"]) for i, c in others if row[f"c{i}"]}
    return Difference(
        int(row["added"]), int(row["removed"]), int(row["changed"]), columns, int(row["shared"])
    )


def changes(
    types: Mapping[str, str], key: Sequence[str], engine: Engine, *, limit: int | None
) -> Iterator[Change]:
    """The rows that differ, in the order of their key, at most ``limit``."""
    both = "_n IS NOT NULL AND _o IS NOT NULL"
    shown = [printed(f"{side}{i}", compared_as(of)) for side in "no" for i, of in enumerate(types.values())]
    shown += [f"({both} AND NOT (n{i} <=> o{i})) AS d{i}" for i in range(len(types))]
    order = ", ".join(f"coalesce(n{i}, o{i})" for i in range(len(key)))
    stop = "" if limit is None else f" LIMIT {limit}"
    sql = f"SELECT _n, _o, {', '.join(shown)} FROM {PAIRS} ORDER BY {order}, coalesce(_n, _o){stop}"
    for row in engine.stream_rows(sql):
        new, old = (
            {c: row[f"{side}{i}"] for i, c in enumerate(types)} if row[f"_{side}"] is not None else None
            for side in "no"
        )
        one = new or old or {}
        differ = tuple(c for i, c in enumerate(types) if row[f"d{i}"])
        yield Change({c: one[c] for c in key}, old, new, differ)
