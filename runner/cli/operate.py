"""Verbs of whoever keeps a lake: maintenance and the way back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from runner.argv import Verb
from runner.cli.options import LOCK_TIMEOUT, Ask, asks
from runner.cli.words import tables
from runner.errors import fail

if TYPE_CHECKING:
    from runner.engine import Keeper
    from runner.lake import Lake
    from runner.refs import TableRef
    from runner.rollback import Step
    from runner.spec import Project


def _keeper(project: Project, lake: Lake) -> Callable[[], Keeper]:
    """A session for maintenance, started when it is first needed."""
    from runner.sessions import Lazy, start_keeper

    return Lazy(lambda: start_keeper(project, lake, project.root / "target"))


@click.command(cls=Verb)
@asks(selection=True, output=True)
@click.option("--dry-run", is_flag=True, help="Say what is due; change nothing, start no Spark.")
def maintain(ask: Ask, *, dry_run: bool) -> int:
    """Compact small files, expire old snapshots, apply retention, remove orphans; runs may go on."""
    from runner import maintain as upkeep
    from runner.lake import Lake
    from runner.ops import TABLES
    from runner.record import new_run_id

    project = ask.project()
    lake, now = Lake.of(project), dt.datetime.now(dt.UTC)
    # The tables of run history belong to no model: they are maintained where everything is.
    history = [] if ask.narrowed else [table.ref for table in TABLES]
    found = upkeep.jobs((m.target for m in ask.models(project)), lake.catalog, history)
    if dry_run:
        for job in found:
            ask.console.note(f"{job.table}: {upkeep.due(job, lake.catalog, now)}", table=str(job.table))
        return 0
    code = 0
    for ended in upkeep.maintain_all(found, lake, _keeper(project, lake), now, run_id=new_run_id(now)):
        wrong = ended.exit_code != 0
        ask.console.note(f"{ended.table}: {ended.describe()}", wrong=wrong, **ended.values())
        code = max(code, ended.exit_code)
    return code


@click.command(cls=Verb)
@asks(output=True)
@click.argument("table", required=False, shell_complete=tables)
@click.option("--run", "run", metavar="ID", help="Every table that this run published.")
@click.option("--to", "to", metavar="SNAPSHOT", help="The table that has this snapshot, to it.")
@click.option("--force", is_flag=True, help="Undo commits of others, too, which no run makes again.")
@click.option("--dry-run", is_flag=True, help="Say what would be undone; change nothing.")
@LOCK_TIMEOUT
def rollback(
    ask: Ask,
    *,
    table: str | None,
    run: str | None,
    to: str | None,
    force: bool,
    dry_run: bool,
    lock_timeout: float,
) -> int:
    """Take tables back, rows and position, by --run ID or --to SNAPSHOT; the next run redoes the work."""
    from runner import rollback as way_back
    from runner.lake import Lake
    from runner.record import new_run_id

    find_in = _destination(table, run, to)
    project = ask.lake_project()
    lake = Lake.of(project)

    def find() -> tuple[Step, ...]:
        return find_in(lake)

    if dry_run:
        for step in find():
            ask.console.note(f"would take {step.describe()}", table=str(step.table))
        if not force:
            way_back.refuse_foreign(find())
        return 0
    way_back.roll_back(
        find,
        lake,
        _keeper(project, lake),
        force=force,
        lock_timeout=lock_timeout,
        run_id=new_run_id(dt.datetime.now(dt.UTC)),
        done=lambda step: ask.console.note(step.describe(), table=str(step.table)),
    )
    return 0


def _destination(table: str | None, run: str | None, to: str | None) -> Callable[[Lake], tuple[Step, ...]]:
    from runner import rollback as way_back

    if (run is None) == (to is None) or (run is not None and table is not None):
        raise fail(
            "bad-arguments",
            None,
            "`runner rollback` wants --run ID, or --to SNAPSHOT (with or without a table)",
            why="a run names all of its tables, a snapshot the one that has it",
            fix="`runner rollback --run 20260101T120000_ab12cd`, or `runner rollback silver.events --to 123`",
        )
    if run is not None:
        return lambda lake: way_back.steps_of_run(lake.catalog, run)
    assert to is not None
    if not to.isdecimal():
        raise fail(
            "bad-argument",
            None,
            f"--to: '{to}' is not a snapshot",
            why="a snapshot is named by a number",
            fix="`runner show TABLE --history` lists the snapshots of a table",
        )
    ref = _table(table) if table else None
    return lambda lake: way_back.steps_to(lake.catalog, int(to), ref)


def _table(text: str) -> TableRef:
    from runner.refs import TableRef

    try:
        return TableRef.parse(text)
    except ValueError as error:
        raise fail(
            "bad-argument",
            None,
            str(error),
            why="a table has a namespace and a name",
            fix="write namespace.table: silver.events",
        ) from None
