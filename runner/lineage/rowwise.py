"""Rules of an input that is read piece by piece: each of its rows must make its target rows alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from sqlglot import TokenType, exp

from runner.errors import Fault
from runner.lineage.functions import function_name, is_aggregate
from runner.lineage.query import Query, inside
from runner.render import view_name
from runner.spec import Model, Read, Source, TableInput


def rowwise_faults(model: Model, query: Query) -> Iterator[Fault]:
    """Faults of the source that is read ``changes`` or ``stream``, if there is one."""
    source = next((s for s in model.sources if s.read in (Read.CHANGES, Read.STREAM)), None)
    if source is not None:
        yield from _Rowwise(source, query).faults()


class _Rowwise:
    """Follows the rows of one source through the query, from its table outwards."""

    def __init__(self, source: Source, query: Query) -> None:
        self.source, self.query = source, query
        # Only these can be read by groups: files and streams are read once.
        self.grouped = isinstance(source.origin, TableInput)

    def faults(self) -> Iterator[Fault]:
        tables = self._references(view_name(self.source.name))
        if len(tables) > 1:
            yield self._twice(tables[1])
            return
        seen: set[int] = set()
        relation: exp.Expr | None = tables[0] if tables else None
        while relation is not None and id(relation) not in seen:
            seen.add(id(relation))
            select = relation.find_ancestor(exp.Select)
            if select is None:
                return
            yield from self._position(relation, select)
            yield from self._level(select)
            relation, found = self._outwards(select)
            if found:
                yield found
                return

    def _references(self, name: str) -> list[exp.Table]:
        return [
            t
            for t in self.query.tree.find_all(exp.Table)
            if isinstance(t.this, exp.Identifier) and not t.db and t.name.lower() == name.lower()
        ]

    def _outwards(self, select: exp.Select) -> tuple[exp.Expr | None, Fault | None]:
        """The relation that hands the rows of ``select`` on, or the fault of what swallows them."""
        node: exp.Expr = select
        while True:
            parent = node.parent
            match parent:
                case None:
                    return None, None
                case exp.SetOperation():
                    return None, self._fault(
                        select,
                        f"stands in {_set_name(parent)}",
                        "rows of the other side would be taken for rows that are gone",
                    )
                case exp.CTE():
                    uses = [
                        t for t in self._references(parent.alias) if t.find_ancestor(exp.CTE) is not parent
                    ]
                    if len(uses) > 1:
                        return None, self._twice(uses[1])
                    return (uses[0] if uses else None), None
                case exp.Subquery() if isinstance(parent.parent, exp.From | exp.Join):
                    return parent, None
                case exp.Subquery() | exp.With():
                    node = parent
                case exp.Lateral():
                    return None, self._fault(
                        select,
                        "stands in a LATERAL subquery",
                        "its rows would be read once for each row of another",
                    )
                case _:
                    return None, self._fault(
                        select,
                        "stands in a subquery of an expression",
                        "then other rows depend on it, and they are not read again when it changes",
                    )

    def _position(self, relation: exp.Expr, select: exp.Select) -> Iterator[Fault]:
        joins: list[exp.Join] = select.args.get("joins") or []
        own = relation.find_ancestor(exp.Join, exp.Select)
        at = joins.index(own) if isinstance(own, exp.Join) and own in joins else -1
        why = "a change of another input alone would change these rows, too"
        for i, join in enumerate(joins):
            side, kind = (join.side or "").upper(), (join.kind or "").upper()
            here = i == at
            if i < at:
                continue
            if kind == "CROSS" or not (
                join.args.get("on") or join.args.get("using") or kind in ("SEMI", "ANTI")
            ):
                if not isinstance(join.this, exp.Lateral):
                    yield self._fault(
                        join.this,
                        "is joined with every row of another relation (CROSS JOIN)",
                        "rows would be multiplied",
                    )
            elif (
                side == "FULL"
                or (side == "RIGHT" and not here)
                or (here and side == "LEFT")
                or (here and kind in ("SEMI", "ANTI"))
            ):
                name = " ".join(word for word in (side, kind) if word)
                fault = self._fault(
                    relation, f"is on the side of a {name} JOIN whose rows may be missing", why
                )
                yield dataclasses.replace(
                    fault,
                    fix=f"put it first: FROM {relation.alias_or_name} LEFT JOIN …; or {fault.fix}",
                )

    def _level(self, select: exp.Select) -> Iterator[Fault]:
        why = "then a row of the target depends on many rows, and only the changed ones are read"
        if select.args.get("distinct"):
            yield self._fault(select, "goes through DISTINCT", why)
        if select.args.get("limit"):
            yield self._fault(select, "goes through LIMIT", why)
        if select.args.get("group"):
            fault = self._fault(select, "goes through GROUP BY", why)
            yield dataclasses.replace(fault, place=self.query.place_of_word(select, TokenType.GROUP_BY))
            return
        parts = [*select.expressions, *(select.args.get(p) for p in ("having", "qualify"))]
        for node in (n for part in parts if isinstance(part, exp.Expr) for n in inside(part)):
            if isinstance(node, exp.Window):
                yield self._fault(node, "goes through a window function", why)
                return
            if is_aggregate(node):
                yield self._fault(node, f"goes through the aggregate {function_name(node)}()", why)
                return

    def _twice(self, table: exp.Expr) -> Fault:
        return self._fault(
            table, "is read twice", "the new rows would meet only new rows of the other reading"
        )

    def _fault(self, node: exp.Expr, what: str, why: str) -> Fault:
        name, read = self.source.name, self.source.read
        if self.grouped:
            fix = "write read: affected with `by` in the spec, which reads whole groups again"
        else:
            fix = (
                "keep this table row by row (of equal keys `dedupe` keeps one), and do it in a model that"
                " reads this table `affected`"
            )
        return Fault(
            "not-row-wise", self.query.place(node), f"the source '{name}', read '{read}', {what}", why, fix
        )


def _set_name(node: exp.SetOperation) -> str:
    return node.key.upper()
