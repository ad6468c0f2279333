"""Which MERGE a model accepts: into its own table, by exactly its key, with clauses that stay exact.

For an exact model the target is a function of its inputs; ``history: true`` gives that up and any
clause is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.cut import At
from runner.errors import Fault
from runner.merge import INSERT_ALL, UPDATE_ALL, Clause, ClauseKind, Statement, changed_sql
from runner.spec import Model, TableInput
from runner.tokens import normal, normal_words

_HISTORY = "write `history: true` in the model, which gives up rebuilding"


def statement_faults(model: Model, statement: Statement, at: At) -> Iterator[Fault]:
    """What keeps ``statement`` from maintaining the target of ``model``."""
    yield from _target(model, statement, at)
    yield from _on(model, statement, at)
    if not model.history:
        for clause in statement.clauses:
            yield from _clause(model, statement, clause, at)
        yield from _set_of_clauses(model, statement, at)


def _target(model: Model, statement: Statement, at: At) -> Iterator[Fault]:
    name = statement.target.replace("`", "").replace(" ", "")
    if name.lower() != str(model.target.table).lower():
        yield Fault(
            "wrong-target",
            at(1, 1),
            f"the MERGE writes {name}, and the target of {model.id} is {model.target.table}",
            "a model writes its own table and no other",
            "write MERGE INTO {{ target }}",
        )
    if statement.target_alias.lower() == statement.source_alias.lower():
        yield Fault(
            "same-alias",
            at(statement.on.line, statement.on.col),
            f"both sides are named '{statement.source_alias}'",
            "then ON compares a row with itself",
            "write MERGE INTO {{ target }} AS t USING (…) AS s",
        )


def _on(model: Model, statement: Statement, at: At) -> Iterator[Fault]:
    t, s = statement.target_alias, statement.source_alias
    wanted = " AND ".join(f"{t}.{c} = {s}.{c}" for c in model.target.key)
    place = at(statement.on.line, statement.on.col)
    if statement.key_pairs is None:
        yield Fault(
            "on-not-key",
            place,
            f"ON {_short(statement.on.text)} is more than equalities of key columns",
            "which row a source row meets is the key's to say; the engine adds partition predicates itself",
            f"write ON {wanted}; move conditions into the query",
        )
        return
    key, found = [c.lower() for c in model.target.key], [c.lower() for c in statement.key_pairs]
    missing = [c for c in model.target.key if c.lower() not in found]
    extra = [c for c in found if c not in key]
    if missing or extra:
        what = " and ".join(
            ([f"lacks {', '.join(missing)}"] if missing else [])
            + ([f"has {', '.join(extra)}"] if extra else [])
        )
        yield Fault(
            "on-not-key",
            place,
            f"ON is not the key ({', '.join(model.target.key)}): it {what}",
            "with fewer columns one row meets many, with more the same key is inserted twice",
            f"write ON {wanted}, or correct `key:` at {model.target.place}",
        )


def _clause(model: Model, statement: Statement, clause: Clause, at: At) -> Iterator[Fault]:
    place = at(clause.text.line, clause.text.col)
    action = normal(clause.action.text)
    if clause.kind is ClauseKind.NOT_MATCHED_BY_SOURCE:
        yield Fault(
            "clause-not-exact",
            place,
            "WHEN NOT MATCHED BY SOURCE is the engine's own clause",
            "a run sees only what changed, so it would delete every row that did not",
            f"remove it: rows whose source is gone are deleted by the engine; or {_HISTORY}",
        )
        return
    accepted = UPDATE_ALL if clause.kind is ClauseKind.MATCHED else INSERT_ALL
    if action.upper() != accepted:
        yield Fault(
            "clause-not-exact",
            at(clause.action.line, clause.action.col),
            f"{_short(clause.action.text)} is not {accepted}",
            "then a row would depend on what stood in the table before, and a rebuild would give another",
            f"compute the columns in the query and write THEN {accepted}; or {_HISTORY}",
        )
    if clause.condition is None:
        return
    columns, t, s = model.target.column_names, statement.target_alias, statement.source_alias
    guard = changed_sql(columns, model.target.key, t, s)
    if clause.kind is ClauseKind.NOT_MATCHED or normal_words(clause.condition.text) != normal_words(guard):
        allowed = "no condition" if clause.kind is ClauseKind.NOT_MATCHED else _guard(statement)
        yield Fault(
            "clause-not-exact",
            at(clause.condition.line, clause.condition.col),
            f"{clause.kind} AND {_short(clause.condition.text)} decides row by row what is written",
            "then the table depends on the order of runs, and a rebuild would give another",
            f"allowed here is {allowed}; filter in the query with WHERE, or {_HISTORY}",
        )


def _set_of_clauses(model: Model, statement: Statement, at: At) -> Iterator[Fault]:
    kinds = [clause.kind for clause in statement.clauses]
    first = statement.clauses[0].text
    place = at(first.line, first.col)
    for kind in (ClauseKind.MATCHED, ClauseKind.NOT_MATCHED):
        if kinds.count(kind) > 1:
            again = [c for c in statement.clauses if c.kind is kind][1].text
            yield Fault(
                "two-clauses",
                at(again.line, again.col),
                f"there are two clauses {kind}",
                "the first one decides",
                "keep one of them",
            )
    if ClauseKind.NOT_MATCHED not in kinds:
        yield Fault(
            "no-insert",
            place,
            "no clause inserts new rows",
            "the table would stay empty",
            f"add WHEN NOT MATCHED THEN {INSERT_ALL}",
        )
    if ClauseKind.MATCHED not in kinds and any(
        isinstance(s.origin, TableInput) for s in model.sources if s is model.incremental
    ):
        yield Fault(
            "insert-only",
            place,
            "no clause updates rows that are there",
            "a changed source row would never reach the table; first wins is for files and streams",
            f"add WHEN MATCHED AND {_guard(statement)} THEN {UPDATE_ALL}",
        )
    maps = [c for c in model.target.columns if "map<" in c.type]
    if ClauseKind.MATCHED in kinds:
        for column in maps:
            yield Fault(
                "map-column",
                column.place,
                f"'{column.name}' is of type {column.type}, which cannot be compared",
                "whether a row changed is found by comparing all its columns",
                f"declare it as array<struct<key:…,value:…>> or as JSON text, or {_HISTORY}",
            )


def _guard(statement: Statement) -> str:
    return f"{{{{ changed('{statement.target_alias}', '{statement.source_alias}') }}}}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "…"
