"""The SQL in a spec: predicates of ``drop`` and checks, expressions of ``by``, names of helper columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from runner.errors import Fault, Place, did_you_mean
from runner.lineage.determinism import determinism_faults
from runner.lineage.functions import function_name, is_aggregate
from runner.lineage.query import Query, parse_expression
from runner.lineage.reach import outside_faults
from runner.lineage.relation import OPEN, Relation, Scope, relation
from runner.spec import ROW_CHECKS, CheckKind, Model, Project, Read, TableInput


def snippet_faults(model: Model, returned: Relation, sources: Mapping[str, Relation]) -> Iterator[Fault]:
    """Faults of the expressions and column names that look at the query's rows, or at a source's."""
    for source in model.sources:
        of = sources.get(source.name, OPEN)
        for i, mapping in enumerate(source.by):
            for column, sql in mapping.items():
                place = source.by_places[i][column] if source.by_places else source.place
                yield from _expression(sql, place, f"`by` of '{source.name}', {column},", of, exact=True)
    if model.drop:
        yield from _expression(model.drop.when, model.drop.place, "`drop`", returned, exact=not model.history)
    columns = relation((c.name, c.type) for c in model.target.columns)
    for check in model.all_checks:
        of_row = check.kind in ROW_CHECKS
        exact = of_row and not model.history
        if check.kind is CheckKind.EXPRESSION:
            what = f"the check '{check.name}'"
            yield from _expression(str(check.args["sql"]), check.place, what, returned, exact=exact)
        if check.where:
            # A check of the table sees no helper columns.
            place, looked_at = check.place_of("where"), returned if of_row else columns
            what = f"`where` of the check '{check.name}'"
            yield from _expression(check.where, place, what, looked_at, exact=exact)
    for column in model.dedupe.order if model.dedupe else ():
        yield from _named(column, model.dedupe.place if model.dedupe else model.place, "`dedupe`", returned)
    if model.late:
        yield from _named(model.late.column, model.late.place, "`late`", returned)


def retention_faults(model: Model, project: Project) -> Iterator[Fault]:
    """Groups must tell whether they reach into days that left their input by retention."""
    for source in model.sources:
        maker = project.producer(source.origin.table) if isinstance(source.origin, TableInput) else None
        if source.read is not Read.AFFECTED or maker is None or maker.target.retention is None:
            continue
        column = maker.target.retention.column
        for i, mapping in enumerate(source.by):
            if not any(columns_of(sql) == {column} for sql in mapping.values()):
                yield Fault(
                    "groups-outlive-rows",
                    next(iter(source.by_places[i].values())) if source.by_places else source.place,
                    f"no group of '{source.name}' is told by '{column}', by which rows leave"
                    f" {maker.target.table} after {maker.target.retention.keep.days} days",
                    "such a group would be built again from the rows that are left, as if the others had"
                    " never been",
                    f"group by a column computed from {column} alone, or remove the retention at"
                    f" {maker.target.place}",
                )


def columns_of(sql: str) -> set[str]:
    """The names of the columns in an expression; empty where it cannot be read."""
    query = parse_expression(sql, lambda offset: Place(""))
    return set() if isinstance(query, Fault) else {c.name for c in query.tree.find_all(exp.Column)}


def _named(column: str, place: Place, where: str, returned: Relation) -> Iterator[Fault]:
    if not returned.has(column):
        names = [returned.written.get(c, c) for c in returned.columns or ()]
        yield Fault(
            "unknown-column",
            place,
            f"{where} names the column '{column}', which the query does not return",
            "it may be a column of the target or a helper that only the query has",
            did_you_mean(column, names),
        )


def _expression(sql: str, place: Place, where: str, of: Relation, *, exact: bool) -> Iterator[Fault]:
    query = parse_expression(sql, lambda offset: place)
    if isinstance(query, Fault):
        yield query
        return
    if query.tree.find(exp.Query):
        yield Fault(
            "subquery-in-spec",
            place,
            f"{where} holds a subquery",
            "it looks at one row at a time",
            "compute a column in the .sql file, and name it here",
        )
        return
    if found := next((n for n in query.tree.walk() if isinstance(n, exp.Window) or is_aggregate(n)), None):
        yield Fault(
            "aggregate-in-spec",
            place,
            f"{where} uses {function_name(found) + '()' if function_name(found) else 'a window'}",
            "it looks at one row at a time",
            "compute a column in the .sql file, and name it here",
        )
    scope = Scope({"": of})
    for column in query.tree.find_all(exp.Column):
        parts = [part.name for part in column.parts]
        if not scope.finds(parts, aliases=False):
            names = [of.written.get(c, c) for c in of.columns or ()]
            yield Fault(
                "unknown-column",
                place,
                f"{where} uses the column '{'.'.join(parts)}', which is not there",
                "it looks at the columns of one row",
                did_you_mean(parts[0], names),
            )
    yield from outside_faults(query)
    if exact:
        yield from _deterministic(query, scope)


def _deterministic(query: Query, scope: Scope) -> Iterator[Fault]:
    yield from determinism_faults(query, lambda _: scope, ())
