"""Publish a development branch: every table's compare-and-set in DAG order, once all of them can be made.

In: a project and a branch's name. Out: main moved, table by table, and the branch dropped. Where main moved
since the branch was made, the branch's models run again from its head, and everything is looked at anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.branch import AUDIT, Line, branches, find, target_of
from runner.catalog import Catalog
from runner.crash import crash_point
from runner.engine import Engine
from runner.errors import Busy, Fault, ProjectError
from runner.lake import Lake
from runner.lock import target_lock
from runner.outlook import Outlook, look
from runner.refs import TableRef
from runner.run import Event, RunOptions, run
from runner.spec import Project

_ATTEMPTS = 5
#: A metadata commit of somebody else (a tag, a property) refuses the compare-and-set, too.
_REPEATS = 10
#: Ends of a model after which the branch is not what it should be.
_STOPS = frozenset({"failed", "gated", "busy", "skipped"})


@dataclass(frozen=True)
class Wishes:
    """The command line's wishes of a publication. ``run_id`` names the holder of the locks; ``args``: what
    the journal of a run that it needs says was asked for."""

    run_id: str
    artifacts: Path
    lock_timeout: float = 0.0
    allow_deletes: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)


def publish_branch(
    project: Project,
    name: str,
    wishes: Wishes,
    *,
    engine: Callable[[], Engine],
    on_event: Callable[[Event], None],
    tell: Callable[[Line], None],
) -> int:
    """Publish a branch and drop it; the exit code. ``tell`` hears of each table that main moved of.

    Raises ProjectError, before anything moves, where a rule of publication is broken, and Busy where a
    table is being written or main keeps moving. Killed in between, the same command does the rest.
    """
    lake = Lake.of(project)
    superseded: tuple[Line, ...] = ()
    for _ in range(_ATTEMPTS):
        with locked(name, lake, wishes.lock_timeout, wishes.run_id):
            for line in superseded:
                _drop(engine(), lake.catalog, line, name)
            if superseded and name not in {branch.name for branch in branches(lake.catalog)}:
                return 0
            outlook = look(project, lake.catalog, name)
            if outlook.faults:
                raise ProjectError(outlook.faults)
            if not outlook.again:
                if _move(outlook.moving, name, engine, lake.catalog, tell):
                    for line in outlook.branch.lines:
                        engine().drop_branch(line.table, name)
                    return 0
                continue
        code, ended = _run_again(project, name, outlook, wishes, engine, on_event)
        if _STOPS & set(ended.values()):
            return code
        # Main holds already all that the branch would have brought to these.
        done = {t for t in outlook.afresh if ended.get(str(t)) == "nothing"}
        superseded = tuple(line for line in outlook.branch.lines if line.target in done)
    raise Busy(
        Fault(
            "main-keeps-moving",
            None,
            f"main was changed {_ATTEMPTS} times while branch '{name}' was being published",
            "each time its models ran again from main's new head",
            "publish it again when the other writers are done",
        )
    )


@contextmanager
def locked(name: str, lake: Lake, timeout: float, run_id: str) -> Iterator[None]:
    """Hold the locks of all targets that a branch has."""
    held: set[TableRef] = set()
    with ExitStack() as locks:
        # Found without the locks, so it is looked at again under them: a run may have added a table.
        while missing := sorted({line.target for line in find(lake.catalog, name).lines} - held):
            for table in missing:
                locks.enter_context(target_lock(lake.locks, table, timeout=timeout, run_id=run_id))
                held.add(table)
        yield


def _run_again(
    project: Project,
    name: str,
    outlook: Outlook,
    wishes: Wishes,
    engine: Callable[[], Engine],
    on_event: Callable[[Event], None],
) -> tuple[int, dict[str, str]]:
    """Run the branch's models from main's head; the exit code, and how each table ended."""
    ended: dict[str, str] = {}

    def hear(event: Event) -> None:
        ended[event.name] = event.kind
        on_event(event)

    options = RunOptions(
        lock_timeout=wishes.lock_timeout,
        allow_deletes=wishes.allow_deletes,
        artifacts=wishes.artifacts,
        branch=name,
        afresh=outlook.afresh,
        args={**wishes.args, "branch": name, "allow_deletes": wishes.allow_deletes},
    )
    return run(project, outlook.again, options, hear, start_engine=engine), ended


def _move(
    lines: Sequence[Line],
    name: str,
    engine: Callable[[], Engine],
    catalog: Catalog,
    tell: Callable[[Line], None],
) -> bool:
    """Move main of every table; False where somebody without a lock moved one first."""
    for line in lines:
        for _ in range(_REPEATS):
            if engine().fast_forward(line.table, name):
                break
            state = catalog.table(line.table)
            head = state.head() if state else None
            if (head.id if head else None) != line.base:
                return False
        else:
            return False
        tell(line)
        crash_point("between_publications", str(line.table))
    return True


def _drop(engine: Engine, catalog: Catalog, line: Line, name: str) -> None:
    """Drop the branch of one table, unless a run wrote it meanwhile."""
    state = catalog.table(line.table)
    if state and state.branches.get(name) == line.head.id:
        engine.drop_branch(line.table, name)


def drop_branch(
    name: str,
    lake: Lake,
    engine: Callable[[], Engine],
    *,
    lock_timeout: float,
    run_id: str,
    tell: Callable[[Line, bool], None],
) -> None:
    """Remove a branch from all tables; a table that nothing else ever had goes with it.

    ``tell`` hears of each table, and whether it is gone. Raises Busy where a table is being written.
    """
    with locked(name, lake, lock_timeout, run_id):
        for line in find(lake.catalog, name).lines:
            gone = alone(line, name)
            if gone:
                engine().drop_table(line.table)
            else:
                engine().drop_branch(line.table, name)
            tell(line, gone)


def alone(line: Line, name: str) -> bool:
    """Whether a run on this branch made the table, and main and other branches never had it."""
    made = bool(line.run) or target_of(line.table) != line.table
    return made and not [b for b in line.state.branches if b != name and not b.startswith(AUDIT)]
