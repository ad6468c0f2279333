"""The parts of an analyst's MERGE, and the engine's MERGE made of them.

In: a :class:`Statement`, which ``cut`` makes from text, and what the engine adds: pruning, tombstones,
rebuilding. Out: the text that runs. The analyst's parts are verbatim in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp
from sqlglot.errors import SqlglotError

from runner.refs import quote
from runner.tokens import normal, parsed

UPDATE_ALL, INSERT_ALL = "UPDATE SET *", "INSERT *"


class ClauseKind(StrEnum):
    """What a WHEN clause is for."""

    MATCHED = "WHEN MATCHED"
    NOT_MATCHED = "WHEN NOT MATCHED"
    NOT_MATCHED_BY_SOURCE = "WHEN NOT MATCHED BY SOURCE"


@dataclass(frozen=True)
class Part:
    """A piece of the rendered text; ``line`` and ``col`` count from 1."""

    text: str
    line: int
    col: int


@dataclass(frozen=True)
class Clause:
    """A WHEN clause: ``WHEN MATCHED AND condition THEN action``; ``text`` is all of it."""

    kind: ClauseKind
    condition: Part | None
    action: Part
    text: Part

    @property
    def plain_action(self) -> str:
        """The action in one spelling: ``UPDATE SET *``."""
        return normal(self.action.text)


@dataclass(frozen=True)
class Statement:
    """One MERGE in parts. ``using``: the query inside the parentheses; ``on``: the condition.

    ``key_pairs``: the columns that ON compares, as it writes them; None where ON is anything but
    ``t.c = s.c`` (or ``<=>``, then the column is ``null_safe`` too) joined by AND.
    """

    target: str
    target_alias: str
    using: Part
    source_alias: str
    on: Part
    clauses: tuple[Clause, ...]
    key_pairs: tuple[str, ...] | None = None
    null_safe: frozenset[str] = frozenset()

    @property
    def inserts_only(self) -> bool:
        """Whether no clause touches a row that is there already."""
        return all(clause.kind is ClauseKind.NOT_MATCHED for clause in self.clauses)

    @property
    def guarded(self) -> bool:
        """Whether every update has a condition, so that equal rows are not touched."""
        updates = [c for c in self.clauses if c.kind is ClauseKind.MATCHED]
        return bool(updates) and all(c.condition for c in updates)


def changed_sql(columns: Iterable[str], key: Iterable[str], target_alias: str, source_alias: str) -> str:
    """True where a row differs in a column that is not in the key; null-safe."""
    keys = set(key)
    tests = [f"{target_alias}.{quote(c)} <=> {source_alias}.{quote(c)}" for c in columns if c not in keys]
    return f"NOT ({' AND '.join(tests)})" if tests else "false"


def merge_text(
    *,
    target_sql: str,
    statement: Statement,
    source_sql: str,
    pruning: str = "",
    tombstones: bool = False,
    rebuild: bool = False,
    spared: str = "",
    columns: Sequence[str],
    key: Sequence[str],
    history: bool = False,
) -> str:
    """The MERGE that the engine runs: the analyst's aliases and ON, ``source_sql`` in place of the query.

    ``pruning``: a predicate over the target's partitions, added to ON. ``tombstones``: rows of the source
    with ``_gone`` delete their key. ``rebuild``: rows that the source does not have are deleted, but
    those of which ``spared`` is true.
    ``history``: the clauses run as they are written. ValueError for combinations that would lose rows.
    """
    if rebuild and pruning:
        raise ValueError(
            "a rebuild looks at the whole target: under a pruned ON it would delete what it did not read"
        )
    if history and (tombstones or rebuild):
        raise ValueError("a model with history has no tombstones and is never rebuilt")
    t, s = statement.target_alias, statement.source_alias
    gone = f"{s}.{quote('_gone')}"
    lines = [f"MERGE INTO {target_sql} AS {t}", f"USING {source_sql} AS {s}"]
    lines.append(f"ON ({statement.on.text}) AND ({pruning})" if pruning else f"ON {statement.on.text}")
    if history:
        lines += [clause.text.text for clause in statement.clauses]
    else:
        if tombstones:
            lines.append(f"WHEN MATCHED AND {gone} THEN DELETE")
        if not statement.inserts_only:
            alive = f"NOT {gone} AND " if tombstones else ""
            lines.append(f"WHEN MATCHED AND {alive}{changed_sql(columns, key, t, s)} THEN {UPDATE_ALL}")
        lines.append(f"WHEN NOT MATCHED{f' AND NOT {gone}' if tombstones else ''} THEN {INSERT_ALL}")
    if statement.inserts_only and not tombstones:
        # Iceberg finds no conflict between two insert-only MERGEs: both insert the same key.
        lines.insert(3, f"WHEN MATCHED AND false THEN {UPDATE_ALL}")
    if rebuild:
        lines.append(f"WHEN NOT MATCHED BY SOURCE{f' AND NOT {spared}' if spared else ''} THEN DELETE")
    return "\n".join(lines)


def insert_text(*, target_sql: str, source_sql: str, columns: Sequence[str]) -> str:
    """What :func:`merge_text` comes to where the target holds no row: nothing is looked up, so nothing is
    joined. Not for ``history``, whose clauses say themselves which rows are inserted."""
    listed = ", ".join(map(quote, columns))
    return f"INSERT INTO {target_sql} ({listed})\nSELECT {listed} FROM {source_sql}"


def key_pairs(on: str, target_alias: str, source_alias: str) -> dict[str, bool] | None:
    """Column → whether it is compared null-safely."""
    try:
        trees = parsed(on)
    except (SqlglotError, RecursionError):
        return None
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        return None
    sides = {target_alias.strip("`").lower(), source_alias.strip("`").lower()}
    found: dict[str, bool] = {}
    for test in tree.flatten() if isinstance(tree, exp.And) else [tree]:
        test = test.unnest()
        if not isinstance(test, exp.EQ | exp.NullSafeEQ):
            return None
        left, right = test.this, test.expression
        if not (isinstance(left, exp.Column) and isinstance(right, exp.Column)):
            return None
        if {left.table.lower(), right.table.lower()} != sides or left.name.lower() != right.name.lower():
            return None
        found[left.name] = isinstance(test, exp.NullSafeEQ)
    return found


def select_all(relation: Part) -> Part:
    """``x`` → ``SELECT * FROM x`` with x where it was, so that positions in messages stay true."""
    if relation.line > 1:
        return Part(f"SELECT * FROM\n{' ' * (relation.col - 1)}{relation.text}", relation.line - 1, 1)
    return Part(f"SELECT * FROM {relation.text}", relation.line, max(1, relation.col - len("SELECT * FROM ")))
