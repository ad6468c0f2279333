"""The edge of what retention removed from an input: groups and rows beyond it are left as they are.

In: a plan and the engine. Out: a :class:`Horizon`, a predicate over the target's columns. A group that
reaches into the removed range would be built from a part of its rows, so it is not built again; a rebuild
does not delete rows whose sources left by retention.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from runner.engine import Engine
from runner.lineage.snippets import columns_of
from runner.plan import ModelPlan
from runner.reads import TableRead
from runner.refs import quote, typed_literal
from runner.spec import Read


@dataclass(frozen=True)
class Horizon:
    """``ranges``: one a way into the removed range, each column ≤ its bound (``<`` where ``below``)."""

    ranges: tuple[tuple[tuple[str, str], ...], ...] = ()  # (column, literal bound)
    below: bool = False

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def reached(self, alias: str = "") -> str:
        """True for a row of the target's columns that reaches into the removed range; never NULL."""
        prefix = f"{alias}." if alias else ""
        sign = "<" if self.below else "<="
        ways = [
            " AND ".join(f"{prefix}{quote(column)} {sign} {bound}" for column, bound in range_)
            for range_ in self.ranges
        ]
        return f"coalesce({' OR '.join(f'({way})' for way in ways)}, false)"


def horizon(plan: ModelPlan, engine: Engine) -> Horizon:
    """What the model may not touch any more, from the retention of its inputs."""
    for read in plan.tables:
        if read.horizon and read.source.read is Read.CHANGES:
            column, before = read.horizon
            kept = column in plan.model.target.column_names
            return Horizon((((column, f"DATE'{before}'"),),), below=True) if kept else Horizon()
    ranges: list[tuple[tuple[str, str], ...]] = []
    for read in plan.tables:
        if read.horizon and read.source.read is Read.AFFECTED:
            ranges += _ranges(read, plan, engine)
    return Horizon(tuple(ranges))


def _ranges(read: TableRead, plan: ModelPlan, engine: Engine) -> list[tuple[tuple[str, str], ...]]:
    """For each mapping, the values that its columns have on the last removed day.

    Expressions of ``by`` over the retention's column do not decrease with it, so that day has the highest.
    """
    assert read.horizon is not None
    column, before = read.horizon
    last = (dt.date.fromisoformat(before) - dt.timedelta(days=1)).isoformat()
    found = []
    for mapping in read.source.by:
        told = {c: sql for c, sql in mapping.items() if columns_of(sql) == {column}}
        if not told:
            continue
        values = ", ".join(f"CAST(({sql}) AS STRING) AS {quote(c)}" for c, sql in told.items())
        row = engine.rows(f"SELECT {values} FROM VALUES (DATE'{last}') AS v({quote(column)})")[0]
        found.append(tuple((c, typed_literal(row[c], plan.model.target.column(c).type)) for c in told))
    return found
