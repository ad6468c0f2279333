"""A model whose SQL is sound, as the rules look at it: its query with exact types, and its conditions.

In: a model as it was checked. Out: a :class:`Look`, and the faults that rules make of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from runner.errors import Fault, Place
from runner.lineage import Checked
from runner.lineage.query import Query
from runner.lineage.reach import foreign_relation
from runner.lineage.relation import Relation
from runner.lineage.resolve import Resolver, Typing
from runner.lint.rules import rules
from runner.lint.types import type_of, union_type
from runner.render import Rendered, view_name
from runner.spec import Model, Project, Source, TableInput

_EXACT = Typing(type_of, union_type)


@dataclass(frozen=True)
class Look:
    """``query`` and what it ``returned``; ``resolver`` knows the scope of each SELECT."""

    model: Model
    project: Project
    rendered: Rendered
    query: Query
    resolver: Resolver
    returned: Relation
    broken: Collection[str] = ()

    def partitions(self, source: Source) -> tuple[str, ...]:
        """The partition columns of a source; empty where it has none, or nobody here makes it soundly."""
        maker = self.project.producer(source.origin.table) if isinstance(source.origin, TableInput) else None
        return maker.target.partitions if maker and maker.id not in self.broken else ()

    @property
    def views(self) -> dict[str, str]:
        """View → the source that it stands for."""
        return {view_name(source.name).lower(): source.name for source in self.model.sources}

    @cached_property
    def finals(self) -> list[exp.Select]:
        """The SELECTs whose rows the query returns; the first one names the columns."""
        return list(_finals(self.query.tree))

    @cached_property
    def conditions(self) -> frozenset[str]:
        """The names of the columns that a condition of the query looks at, in lower case."""
        return conditions_of(self.query.tree)


def look(model: Model, project: Project, checked: Checked, broken: Collection[str] = ()) -> Look | None:
    """A look at a model; None where it has no sound query. ``broken``: ids of models not to rely on."""
    if checked.rendered is None or checked.query is None:
        return None
    query = checked.query
    views = {view_name(name).lower(): found for name, found in checked.sources.items()}
    resolver = Resolver(query, views, foreign_relation(model, project, query), _EXACT)
    return Look(model, project, checked.rendered, query, resolver, resolver.run(), broken)


def said(rule: str, place: Place | None, what: str, *, why: str = "", fix: str = "") -> Fault:
    """A fault of a rule, with the rule's own why and fix where there is nothing nearer to say."""
    known = rules()[rule]
    return Fault(rule, place, what, why or known.why, fix or known.fix)


def conditions_of(tree: exp.Expr) -> frozenset[str]:
    """The names in WHERE, ON, HAVING and QUALIFY of every level, and in USING."""
    parts: list[exp.Expr] = list(tree.find_all(exp.Where, exp.Having, exp.Qualify))
    names: set[str] = set()
    for join in tree.find_all(exp.Join):
        parts += [join.args["on"]] if join.args.get("on") else []
        names |= {column.name.lower() for column in join.args.get("using") or []}
    names |= {
        part.name.lower() for found in parts for column in found.find_all(exp.Column) for part in column.parts
    }
    return frozenset(names)


def _finals(tree: exp.Expr) -> Iterator[exp.Select]:
    if isinstance(tree, exp.Subquery | exp.Paren):
        yield from _finals(tree.this)
    elif isinstance(tree, exp.SetOperation):
        yield from _finals(tree.this)
        yield from _finals(tree.expression)
    elif isinstance(tree, exp.Select):
        yield tree
