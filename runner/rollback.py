"""Take tables back to before a run, or to a snapshot: rows and position in one step a table.

In: a run id or a snapshot id. Out: what was undone, table by table. The next run finds the older
positions and does the work again; readers downstream see the difference and follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from runner import ledger
from runner.branch import Line, branches, target_of
from runner.catalog import COMPACTION, Catalog, Snapshot, TableState
from runner.crash import crash_point
from runner.engine import Keeper
from runner.errors import Fault, ProjectError, did_you_mean, fail
from runner.lake import Lake
from runner.lock import target_lock
from runner.refs import QUARANTINE_SUFFIX, TableRef


@dataclass(frozen=True)
class Step:
    """One table's way back: from the head ``since`` to ``to`` (None: to before its first snapshot).

    ``undone``: what lies in between, newest first; empty on a way forward or to another line.
    """

    table: TableRef
    since: Snapshot
    to: Snapshot | None
    undone: tuple[Snapshot, ...]

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that are undone, newest first."""
        return tuple(dict.fromkeys(run for s in self.undone if (run := ledger.run_of(s))))

    @property
    def foreign(self) -> tuple[Snapshot, ...]:
        """Commits of others that are undone: no run would make them again."""
        return tuple(
            s
            for s in self.undone
            if not ledger.run_of(s)
            and s.operation != COMPACTION
            and not any(key.startswith(ledger.PREFIX) for key in s.summary)
            and s.parent is not None
        )

    def describe(self) -> str:
        """``silver.events: 6,931 → 0 rows, snapshot 12 → 9, undoes run …``."""
        rows = f"{self.since.rows:,} → {self.to.rows if self.to else 0:,} rows"
        to = self.to.id if self.to else "none (emptied)"
        undone = f", undoes {', '.join(self.runs)}" if self.runs else ""
        more = f" and {len(self.foreign)} commits of others" if self.foreign else ""
        return f"{self.table}: {rows}, snapshot {self.since.id} → {to}{undone}{more}"


def steps_of_run(catalog: Catalog, run_id: str) -> tuple[Step, ...]:
    """A step for every table whose main holds a commit of the run; ProjectError where none does."""
    steps, known = [], set()
    for table in catalog.tables():
        state = catalog.table(table)
        head = state.head() if state else None
        if state is None or head is None:
            continue
        line = list(state.ancestry(head.id))
        known |= {run for s in line if (run := ledger.run_of(s))}
        made = [i for i, s in enumerate(line) if ledger.run_of(s) == run_id]
        if made:
            steps.append(_back(state, head, line, made[-1] + 1))
    if not steps:
        if name := next((b.name for b in branches(catalog) for line in b.lines if run_id in _made(line)), ""):
            raise fail(
                "run-on-branch",
                None,
                f"run '{run_id}' wrote the branch '{name}', and main holds nothing of it",
                why="what readers of main see is as it was before",
                fix=f"`runner branch drop {name}`; or run its models again with --branch {name}",
            )
        raise fail(
            "unknown-run",
            None,
            f"no table holds a commit of run '{run_id}'",
            why="it published nothing, its commits are expired, or it is rolled back already",
            fix=did_you_mean(run_id, sorted(known)[-8:]) or "no table of this lake holds a commit of any run",
        )
    return tuple(steps)


def steps_to(catalog: Catalog, snapshot_id: int, table: TableRef | None) -> tuple[Step, ...]:
    """The step that makes a snapshot its table's head, and the one of its quarantine."""
    owners = [
        state
        for ref in ([table] if table else catalog.tables())
        if (state := catalog.table(ref)) and snapshot_id in state.snapshots
    ]
    if not owners or (head := owners[0].head()) is None:
        raise fail(
            "unknown-snapshot",
            None,
            f"{table or 'no table'} has {'no ' if table else 'a '}snapshot {snapshot_id}",
            why="it never was, or it is expired",
            fix="`runner show TABLE --history` lists the snapshots of a table",
        )
    state = owners[0]
    _refuse_branch(catalog, state.ref, snapshot_id)
    line = list(state.ancestry(head.id))
    at = next((i for i, s in enumerate(line) if s.id == snapshot_id), None)
    if at is None:
        return (Step(state.ref, head, state.snapshots[snapshot_id], ()),)
    steps = [_back(state, head, line, at)]
    if not state.ref.name.endswith(QUARANTINE_SUFFIX):
        steps += _quarantine(catalog, state.ref, set(steps[0].runs))
    return tuple(step for step in steps if step.to is None or step.to.id != step.since.id)


def _made(line: Line) -> set[str | None]:
    """The runs that wrote a branch of a table."""
    return {ledger.run_of(s) for s in line.ahead}


def _refuse_branch(catalog: Catalog, table: TableRef, snapshot_id: int) -> None:
    """ProjectError for a snapshot that a development branch has and main never had."""
    for branch in branches(catalog):
        ahead = [s for line in branch.lines if line.table == table for s in line.ahead]
        if any(s.id == snapshot_id and ledger.BRANCH in s.summary for s in ahead):
            raise fail(
                "snapshot-of-branch",
                None,
                f"snapshot {snapshot_id} of {table} belongs to the branch '{branch.name}'",
                why="what it was made from may not be on main",
                fix=f"`runner branch publish {branch.name}`",
            )


def _back(state: TableState, head: Snapshot, line: Sequence[Snapshot], at: int) -> Step:
    """Back to the ``at``-th snapshot of a line; its end is before the first."""
    to = line[at] if at < len(line) else None
    if to is None and line[-1].parent is not None:
        raise fail(
            "snapshot-expired",
            None,
            f"snapshot {line[-1].parent} of {state.ref}, to which this would go back, is expired",
            why="its files may be gone",
            fix="build the table anew: `runner run --full-refresh`, where its inputs allow it",
        )
    return Step(state.ref, head, to, tuple(line[:at]))


def _quarantine(catalog: Catalog, table: TableRef, runs: set[str]) -> list[Step]:
    """A quarantine goes back with its table, as far as the same runs wrote it."""
    state = catalog.table(table.quarantine)
    head = state.head() if state else None
    if state is None or head is None:
        return []
    line = list(state.ancestry(head.id))
    made = [i for i, s in enumerate(line) if ledger.run_of(s) in runs]
    return [_back(state, head, line, made[-1] + 1)] if made else []


def refuse_foreign(steps: Iterable[Step]) -> None:
    """ProjectError where commits that no run would make again are undone."""
    faults = [
        Fault(
            "foreign-commits",
            None,
            f"{step.table} has {len(step.foreign)} commits of others since, the newest {step.foreign[0].id}"
            f" ({step.foreign[0].operation})",
            "they did not come from a run, so no run would make them again",
            "undo them as well with --force",
        )
        for step in steps
        if step.foreign
    ]
    if faults:
        raise ProjectError(tuple(faults))


def roll_back(
    find: Callable[[], tuple[Step, ...]],
    lake: Lake,
    keeper: Callable[[], Keeper],
    *,
    force: bool = False,
    lock_timeout: float = 0.0,
    run_id: str,
    done: Callable[[Step], None],
) -> None:
    """Take every table of ``find()`` back; all locks are held before the first is touched.

    Raises Busy where a table is being written, ProjectError where the way back is not there. A crash in
    between leaves some tables back and some not: the same command again does the rest.
    """
    with ExitStack() as locks:
        held: set[TableRef] = set()
        while True:
            steps = find()
            if not force:
                refuse_foreign(steps)
            missing = sorted({target_of(s.table) for s in steps} - held)
            if not missing:
                break
            # Found without the locks, so it is looked at again under them.
            for table in missing:
                locks.enter_context(target_lock(lake.locks, table, timeout=lock_timeout, run_id=run_id))
                held.add(table)
        for step in steps:
            if step.to is not None:
                keeper().set_head(step.table, step.to.id)
            else:
                keeper().delete_all(step.table, {ledger.RESET: "true"})
            crash_point("between_rollbacks", str(step.table))
            done(step)
