"""Publish: a compare-and-set of main to the audited branch, or the word that main has moved.

In: :class:`runner.execute.Written`. Out: True when readers see the new state, False when another
writer published first and the work has to be planned again.
"""

from __future__ import annotations

from runner.catalog import Catalog
from runner.crash import crash_point
from runner.engine import Engine
from runner.execute import Written

#: A metadata commit of somebody else (a tag, a property) refuses the compare-and-set, too.
_REPEATS = 10


def publish(written: Written, engine: Engine, catalog: Catalog) -> bool:
    """Make the branch's head main's; repeat while main's head is still what the branch started from."""
    plan = written.staged.plan
    if written.branch is None:
        return True
    table = plan.model.target.table
    base = plan.base.id if plan.base else None
    for _ in range(_REPEATS):
        if engine.fast_forward(table, written.branch):
            crash_point("after_fast_forward", plan.model.id)
            return True
        state = catalog.table(table)
        head = state.head() if state else None
        if (head.id if head else None) != base:
            return False
    return False
