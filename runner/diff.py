"""Say what differs between two states of a table, or between main and a development branch.

In: words of the command line. Out: a :class:`Compared` a table. Where metadata tells that nothing differs, no
engine starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from runner import compare
from runner.branch import find, target_of
from runner.catalog import MAIN, Catalog, TableState
from runner.compare import Change, Difference, Sides
from runner.engine import Engine
from runner.errors import did_you_mean, fail
from runner.spec import Project
from runner.states import runs_of, state_before, state_of, table_of


@dataclass(frozen=True)
class Asked:
    """What is to be compared: ``since`` and ``until`` are a snapshot, a run, or a branch; empty: see
    :func:`sides`. ``limit``: how many rows are told (None: all)."""

    table: str | None = None
    since: str | None = None
    until: str | None = None
    branch: str = MAIN
    key: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    rows: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Compared:
    """Two states of a table and what differs. ``changes`` are to be read before the next one is asked for."""

    sides: Sides
    difference: Difference
    changes: Iterator[Change]


def differences(
    project: Project, catalog: Catalog, asked: Asked, engine: Callable[[], Engine]
) -> Iterator[Compared]:
    """What differs, table by table. ProjectError, before any is compared, for states that are not there."""
    found = sides(project, catalog, asked)
    for each in found:
        if each.same_rows:
            yield Compared(each, Difference(), iter(()))
            continue
        session = engine()
        types = compare.bind(each, session)
        counted = compare.count(types, each.key, session)
        told: Iterator[Change] = iter(())
        if asked.rows and counted:
            told = compare.changes(types, each.key, session, limit=asked.limit)
        yield Compared(each, counted, told)
        session.close()


def sides(project: Project, catalog: Catalog, asked: Asked) -> tuple[Sides, ...]:
    """The states to compare.

    Without ``until`` main as it is; without ``since`` the state before it: of a run, before its first
    commit; of a snapshot and of main, the one before; of a branch, main.
    """
    if asked.branch != MAIN and (asked.since or asked.until):
        raise fail(
            "bad-arguments",
            None,
            "--branch and --from or --to exclude each other",
            why="--branch NAME is --from main --to NAME",
            fix="keep one of them",
        )
    until = asked.until or (asked.branch if asked.branch != MAIN else None)
    states = _states(catalog, asked, until)
    found = []
    columns = {c for state in states for c in state.columns}
    for word in asked.ignored:
        if word not in columns:
            raise _unknown_column("--ignore", word, columns)
    for state in states:
        end = state_of(state, until) if until else state.head(MAIN)
        begin = state_of(state, asked.since) if asked.since else state_before(state, end, until or MAIN)
        key = asked.key or _key(project, state)
        for column in key:
            if column not in state.columns_at(end):
                raise _unknown_column("--key", column, state.columns_at(end))
        ignored = frozenset(asked.ignored) - frozenset(key)
        found.append(Sides(state, begin, end, key, ignored))
    return tuple(found)


def _states(catalog: Catalog, asked: Asked, until: str | None) -> list[TableState]:
    """The tables that are meant."""
    if asked.table is not None:
        return [table_of(catalog, asked.table)]
    if asked.branch != MAIN:
        return [line.state for line in find(catalog, asked.branch).lines]
    states = [state for table in catalog.tables() if (state := catalog.table(table))]
    meant = [s for s in states if until and (s.has(until) or until in runs_of(s))] if until != MAIN else []
    if not meant:
        raise fail(
            "missing-argument",
            None,
            "`runner diff` wants TABLE, or --branch NAME, or --to with a run or a branch that some table has",
            why="a branch and a run name their tables, a snapshot its one",
            fix="`runner diff silver.events`, `runner diff --branch dev`, `runner diff --to RUN`",
        )
    return meant


def _key(project: Project, state: TableState) -> tuple[str, ...]:
    model = project.producer(target_of(state.ref))
    if model is None:
        raise fail(
            "no-key",
            None,
            f"no model maintains {state.ref}, so its key is unknown",
            why="rows are told apart by the key of their model's target",
            fix="name the columns: --key a,b",
        )
    return model.target.key


def _unknown_column(option: str, word: str, columns: Any) -> Exception:
    return fail(
        "unknown-column",
        None,
        f"{option}: there is no column '{word}'",
        why="columns are those of the newer state",
        fix=did_you_mean(word, columns),
    )
