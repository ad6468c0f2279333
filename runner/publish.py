"""Publish: a compare-and-set of main to the audited branch, or what happened to main meanwhile.

In: :class:`runner.execute.Written`. Out: an :class:`Outcome`. On a development branch that stands in main's
place, and the first publication makes it. Where another writer published first the
work is planned again; where main was only compacted the same staged rows are merged again.
"""

from __future__ import annotations

from enum import Enum

from runner.catalog import COMPACTION, MAIN, Catalog, TableState
from runner.crash import crash_point
from runner.engine import Engine
from runner.execute import Written

#: A metadata commit of somebody else (a tag, a property) refuses the compare-and-set, too.
_REPEATS = 10


class Outcome(Enum):
    """How a publication ended."""

    DONE = "readers see the new state"
    COMPACTED = "main holds the same rows in other files"
    MOVED = "main holds other rows"


def publish(
    written: Written, engine: Engine, catalog: Catalog, onto: str = MAIN, *, afresh: bool = False
) -> Outcome:
    """Make the audited branch's head ``onto``'s; repeat while that is still what the work started from.

    ``afresh``: whatever it is, since the work started from main.
    """
    plan = written.staged.plan
    if written.branch is None:
        return Outcome.DONE
    table = plan.model.target.table
    base = plan.base.id if plan.base else None
    if afresh:
        engine.replace_branch(table, onto, written.branch)
        return Outcome.DONE
    for _ in range(_REPEATS):
        if engine.fast_forward(table, written.branch, onto, drop=True):
            crash_point("after_fast_forward", plan.model.id)
            return Outcome.DONE
        state = catalog.table(table)
        head = state.head() if state else None
        if (head.id if head else None) != base:
            return Outcome.COMPACTED if _only_compacted(state, base) else Outcome.MOVED
    return Outcome.MOVED


def _only_compacted(state: TableState | None, base: int | None) -> bool:
    """Whether main's head descends from ``base`` through compactions alone."""
    head = state.head() if state else None
    if state is None or head is None or base is None:
        return False
    for snapshot in state.ancestry(head.id):
        if snapshot.id == base:
            return True
        if snapshot.operation != COMPACTION:
            return False
    return False
