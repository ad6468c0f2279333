"""Rules of the query: what it returns against what is declared, and what of it nobody uses."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from runner.errors import Fault, Place
from runner.lineage.functions import GENERATORS, function_name
from runner.lineage.snippets import columns_of
from runner.lint.look import Look, said
from runner.load.types import fits
from runner.spec import CheckKind, Model

_NAMED = (exp.Alias, exp.Aliases, exp.Column, exp.Star, exp.Dot, exp.UDTF, exp.QueryTransform)


def query_faults(at: Look) -> Iterator[Fault]:
    """All rules of one query."""
    yield from _types(at)
    yield from _stars(at)
    if not at.model.history:  # whose clauses may name any column of the query
        yield from _undeclared(at)
    yield from _unnamed(at)
    yield from _ctes(at)


def _types(at: Look) -> Iterator[Fault]:
    for column in at.model.target.columns:
        found = at.returned.type(column.name)
        if found and not fits(found, column.type):
            yield said(
                "type-clash",
                _place_of(at, column.name),
                f"the query returns '{column.name}' as {found}, and the target declares {column.type}",
                why="storing it would lose or change values; a run stops here, once Spark has started",
                fix=f"write CAST(… AS {column.type.upper()}) AS {column.name}, or declare {found} at"
                f" {column.place}",
            )


def _place_of(at: Look, name: str) -> Place:
    """Where the final SELECT makes a column; the query's begin where a `*` does."""
    item = next((i for i in at.finals[0].expressions if i.alias_or_name.lower() == name.lower()), None)
    if item is None or isinstance(item, exp.Star):
        return at.query.locate(len(at.query.text) - len(at.query.text.lstrip()))
    # An expression may name nothing: its alias does.
    return at.query.place(item)


def _stars(at: Look) -> Iterator[Fault]:
    for select in at.finals:
        found = select.args.get("from_")
        items = [*([found.this] if found else []), *(join.this for join in select.args.get("joins") or [])]
        stars = [
            i.table.lower() if isinstance(i, exp.Column) else "" for i in select.expressions if i.is_star
        ]
        for item in items:
            source = at.views.get(item.name.lower()) if isinstance(item, exp.Table) and not item.db else None
            if source and any(star in ("", item.alias_or_name.lower()) for star in stars):
                yield said(
                    "select-star",
                    at.query.place(item),
                    f"the final SELECT takes every column of the source '{source}'",
                )


def _undeclared(at: Look) -> Iterator[Fault]:
    known = {name.lower() for name in (*at.model.target.column_names, *_used(at.model))}
    for item in at.finals[0].expressions:
        if isinstance(item, exp.Alias | exp.Column | exp.Dot) and not item.is_star:
            name = item.alias_or_name if not isinstance(item, exp.Dot) else item.expression.name
            if name.lower() not in known:
                yield said(
                    "undeclared-column",
                    at.query.place(item),
                    f"'{name}' is not declared by {at.model.target.table}, and the spec uses it nowhere",
                    fix=f"declare it under `columns:` at {at.model.target.place}, or remove it",
                )


def _used(model: Model) -> Iterator[str]:
    """The helper columns that the spec names."""
    if model.drop:
        yield from columns_of(model.drop.when)
    if model.dedupe:
        yield from model.dedupe.order
    if model.late:
        yield model.late.column
    for check in model.row_checks:
        if check.kind is CheckKind.EXPRESSION:
            yield from columns_of(str(check.args["sql"]))
        if check.where:
            yield from columns_of(check.where)


def _unnamed(at: Look) -> Iterator[Fault]:
    inner = [cte.this for cte in at.query.tree.find_all(exp.CTE)]
    inner += [
        s.this for s in at.query.tree.find_all(exp.Subquery) if isinstance(s.parent, exp.From | exp.Join)
    ]
    selects = {id(s): s for s in (at.finals[0], *(_first(query) for query in inner)) if s is not None}
    for select in selects.values():
        for item in select.expressions:
            # Spark names a cast of a column like the column.
            if isinstance(item, exp.Cast) and isinstance(item.this, exp.Column):
                continue
            if not isinstance(item, _NAMED) and function_name(item) not in GENERATORS:
                shown = item.sql("spark", normalize_functions="lower")
                shown = shown if len(shown) <= 40 else shown[:39] + "…"
                named = item if at.query.start(item) else select
                yield said("unnamed-column", at.query.place(named), f"{shown} has no name")


def _first(query: exp.Expr) -> exp.Select | None:
    while isinstance(query, exp.SetOperation | exp.Subquery | exp.Paren):
        query = query.this
    return query if isinstance(query, exp.Select) else None


def _ctes(at: Look) -> Iterator[Fault]:
    for cte in at.query.tree.find_all(exp.CTE):
        name = cte.alias.lower()
        uses = (t for t in at.query.tree.find_all(exp.Table) if not t.db and t.name.lower() == name)
        if not any(cte not in _ancestors(table) for table in uses):
            yield said(
                "unused-cte", at.query.place(cte.args["alias"]), f"nothing reads the CTE '{cte.alias}'"
            )


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    found = node.parent
    while found is not None:
        yield found
        found = found.parent
