"""The SQL in a spec: predicates of ``drop`` and checks, the expressions of ``by``, names of helper columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from runner.errors import Fault, Place, did_you_mean
from runner.lineage.determinism import determinism_faults
from runner.lineage.query import Query, parse_expression
from runner.lineage.reach import outside_faults
from runner.lineage.relation import OPEN, Relation, Scope
from runner.spec import CheckKind, Model


def snippet_faults(model: Model, returned: Relation, sources: Mapping[str, Relation]) -> Iterator[Fault]:
    """Faults of the expressions and column names that look at the query's rows, or at a source's."""
    for source in model.sources:
        for mapping in source.by:
            for column, sql in mapping.items():
                where = f"`by` of '{source.name}', {column}"
                yield from _expression(sql, source.place, where, sources.get(source.name, OPEN), exact=True)
    if model.drop:
        yield from _expression(model.drop.when, model.drop.place, "`drop`", returned, exact=not model.history)
    for check in model.row_checks:
        if check.kind is CheckKind.EXPRESSION:
            where = f"the check '{check.name}'"
            yield from _expression(str(check.args["sql"]), check.place, where, returned, exact=not model.history)
    for column in model.dedupe.order if model.dedupe else ():
        yield from _named(column, model.dedupe.place if model.dedupe else model.place, "`dedupe`", returned)
    if model.late:
        yield from _named(model.late.column, model.late.place, "`late`", returned)


def _named(column: str, place: Place, where: str, returned: Relation) -> Iterator[Fault]:
    if not returned.has(column):
        names = [returned.written.get(c, c) for c in returned.columns or ()]
        yield Fault("unknown-column", place, f"{where} names the column '{column}', which the query does not return",
                    "it may be a column of the target or a helper that only the query has", did_you_mean(column, names))  # fmt: skip


def _expression(sql: str, place: Place, where: str, of: Relation, *, exact: bool) -> Iterator[Fault]:
    query = parse_expression(sql, lambda offset: place)
    if isinstance(query, Fault):
        yield query
        return
    if query.tree.find(exp.Query):
        yield Fault("subquery-in-spec", place, f"{where} holds a subquery", "it looks at one row at a time",
                    "compute a column in the .sql file, and name it here")  # fmt: skip
        return
    if found := query.tree.find(exp.Window, exp.AggFunc):
        yield Fault("aggregate-in-spec", place, f"{where} uses {found.sql_names()[0].lower() if isinstance(found, exp.Func) else 'a window'}()",
                    "it looks at one row at a time", "compute a column in the .sql file, and name it here")  # fmt: skip
    scope = Scope({"": of})
    for column in query.tree.find_all(exp.Column):
        parts = [part.name for part in column.parts]
        if not scope.finds(parts, aliases=False):
            names = [of.written.get(c, c) for c in of.columns or ()]
            yield Fault("unknown-column", place, f"{where} uses the column '{'.'.join(parts)}', which is not there",
                        "", did_you_mean(parts[0], names))  # fmt: skip
    yield from outside_faults(query)
    if exact:
        yield from _deterministic(query, scope)


def _deterministic(query: Query, scope: Scope) -> Iterator[Fault]:
    yield from determinism_faults(query, lambda _: scope, ())
