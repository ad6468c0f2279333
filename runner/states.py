"""States of a table by the words of a command line: a snapshot's number, a run, a branch.

In: a table's state, a word. Out: a snapshot; ProjectError, with what was meant, where nothing bears the name.
"""

from __future__ import annotations

from runner import ledger
from runner.catalog import MAIN, Catalog, Snapshot, TableState
from runner.errors import did_you_mean, fail
from runner.refs import TableRef


def table_of(catalog: Catalog, name: str) -> TableState:
    known = list(map(str, catalog.tables()))
    try:
        state = catalog.table(TableRef.parse(name))
    except ValueError:
        state = None
    if state is None:
        raise fail(
            "unknown-table",
            None,
            f"there is no table '{name}' in the lake",
            why="a table is named namespace.table" if known else "the lake holds no table yet",
            fix=did_you_mean(name, known) if known else "run the models first: `runner`",
        )
    return state


def runs_of(state: TableState) -> set[str]:
    return {run for s in state.snapshots.values() if (run := ledger.run_of(s))}


def state_of(state: TableState, word: str) -> Snapshot | None:
    """The snapshot that a word means: its number, the head of a branch, what a run left."""
    if word.isdecimal() and int(word) in state.snapshots:
        return state.snapshots[int(word)]
    if word in state.branches or word == MAIN:
        return state.head(word)
    made = [s for s in state.snapshots.values() if ledger.run_of(s) == word]
    if made:
        return max(made, key=lambda s: s.sequence)
    known = {*state.branches, *runs_of(state), *map(str, state.snapshots)}
    raise fail(
        "unknown-state",
        None,
        f"{state.ref} has no snapshot, run or branch '{word}'",
        why="it never was, or it is expired",
        fix=_near(word, known) or "`runner show TABLE --history` lists snapshots, runs and branches",
    )


def _near(word: str, known: set[str]) -> str:
    hint = did_you_mean(word, known)
    return hint if hint.startswith("did") else ""


def state_before(state: TableState, end: Snapshot | None, word: str) -> Snapshot | None:
    """The state that a state is compared with where none is named."""
    if end is None:
        return None
    if word != MAIN and state.has(word):
        return state.head(MAIN)
    first = end
    for snapshot in state.ancestry(end.id):
        if ledger.run_of(snapshot) == word:
            first = snapshot
    if first.parent is not None and first.parent not in state.snapshots:
        raise fail(
            "snapshot-expired",
            None,
            f"snapshot {first.parent} of {state.ref}, the state before, is expired",
            why="its files may be gone",
            fix="name another state with --from",
        )
    return state.snapshots[first.parent] if first.parent is not None else None
