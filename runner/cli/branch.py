"""Verbs of development branches: what there is, what it would change, and its end, published or dropped."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import click

from runner.argv import Subverbs, Verb
from runner.cli.diff import how, report
from runner.cli.options import AS_OBJECTS, LOCK_TIMEOUT, Ask, asks
from runner.cli.words import tables

if TYPE_CHECKING:
    from runner.branch import Line


@click.group(cls=Subverbs)
def branch() -> None:
    """Development branches: `run --branch NAME` begins one, `branch publish NAME` brings it to main."""


@branch.command(cls=Verb)
@asks()
@AS_OBJECTS
def ls(ask: Ask, *, output: str) -> int:
    """List the branches of the lake's tables, from metadata alone."""
    import json

    from runner import branch_text
    from runner.branch import branches
    from runner.lake import Lake

    ask.console.as_json |= output == "json"
    now = time.time()
    known = branches(Lake.of(ask.lake_project()).catalog)
    if not known and not ask.console.as_json:
        ask.console.note("no branches")
    for found in known:
        if ask.console.as_json:
            ask.console.line(json.dumps(branch_text.values(found, now), ensure_ascii=False))
        else:
            for line in branch_text.listed(found, now):
                ask.console.line(line)
    return 0


@branch.command(cls=Verb)
@asks()
@click.argument("name")
@click.argument("table", required=False, shell_complete=tables)
@how
def diff(ask: Ask, *, name: str, table: str | None, **given: Any) -> int:
    """Say which rows the branch has otherwise than main, table by table."""
    from runner.diff import Asked

    return report(ask, Asked(table, branch=name), **given)


@branch.command(cls=Verb)
@asks(output=True)
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what would be published; change nothing, start no Spark.")
@click.option(
    "--allow-deletes", is_flag=True, help="Where models run again: although more rows leave than usual."
)
@LOCK_TIMEOUT
def publish(ask: Ask, *, name: str, dry_run: bool, allow_deletes: bool, lock_timeout: float) -> int:
    """Make the branch's tables main's, all of them or none, and drop the branch."""
    from runner import branch_text, promote
    from runner.errors import ProjectError
    from runner.lake import Lake
    from runner.outlook import look
    from runner.record import new_run_id
    from runner.sessions import Lazy, start_spark

    project = ask.project()
    lake, artifacts = Lake.of(project), project.root / "target"
    if dry_run:
        outlook = look(project, lake.catalog, name)
        for text in branch_text.outlook_lines(outlook):
            ask.console.note(text)
        ask.console.faults(outlook.faults)
        return ProjectError.exit_code if outlook.faults else 0
    moved: list[Line] = []

    def tell(line: Line) -> None:
        moved.append(line)
        text = f"{line.table}: {branch_text.published(line)}"
        ask.console.note(text, table=str(line.table), snapshot=line.head.id)

    code = promote.publish_branch(
        project,
        name,
        promote.Wishes(
            new_run_id(dt.datetime.now(dt.UTC)), artifacts, lock_timeout, allow_deletes, ask.place()
        ),
        engine=Lazy(lambda: start_spark(project, lake, artifacts)),
        on_event=ask.console.event,
        tell=tell,
    )
    if code == 0:
        tables = f"{len(moved)} table{'s' * (len(moved) != 1)} published"
        text = f"branch {name}: {tables if moved else 'main has it all'}"
        ask.console.note(f"{text}; the branch is dropped", branch=name)
    else:
        what = f"{len(moved)} tables published, the others not" if moved else "nothing published"
        ask.console.note(f"branch {name}: {what}", branch=name, exit_code=code)
    return code


@branch.command(cls=Verb)
@asks(output=True)
@click.argument("name")
@LOCK_TIMEOUT
def drop(ask: Ask, *, name: str, lock_timeout: float) -> int:
    """Remove a branch from all tables; a table that nothing else ever had goes with it."""
    from runner import branch_text, promote
    from runner.lake import Lake
    from runner.record import new_run_id
    from runner.sessions import Lazy, start_spark

    project = ask.lake_project()
    lake = Lake.of(project)

    def tell(line: Line, gone: bool) -> None:
        text = f"{branch_text.counted(len(line.ahead))} dropped"
        text = "removed, since main never had it" if gone else text
        ask.console.note(f"{line.table}: {text}", table=str(line.table), removed=gone)

    promote.drop_branch(
        name,
        lake,
        Lazy(lambda: start_spark(project, lake, project.root / "target")),
        lock_timeout=lock_timeout,
        run_id=new_run_id(dt.datetime.now(dt.UTC)),
        tell=tell,
    )
    return 0
