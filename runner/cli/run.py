"""Verbs that bring tables up to date."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.argv import Verb, names
from runner.catalog import MAIN
from runner.cli.options import ALLOW_SCHEMA_CHANGE, BRANCH, LOCK_TIMEOUT, SKIP_LOST, THREADS, Ask, asks
from runner.console import summary_line
from runner.errors import Fault, ProjectError, did_you_mean, fail

if TYPE_CHECKING:
    from runner.last_run import LastRun
    from runner.render import Rendered
    from runner.run import RunOptions
    from runner.spec import Model, Project

_DAY = click.DateTime(["%Y-%m-%d"])
_FAIL_FAST = click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first model that fails.")


@click.command(cls=Verb)
@asks(selection=True, output=True)
@_FAIL_FAST
@THREADS
@LOCK_TIMEOUT
@click.option(
    "--full-refresh", is_flag=True, help="Rebuild from all rows; readers see only true differences."
)
@click.option(
    "--allow-deletes", is_flag=True, help="Publish although more rows leave than max_deleted allows."
)
@click.option(
    "--empty", is_flag=True, help="Without rows: try queries and MERGEs on Spark, and create missing tables."
)
@SKIP_LOST
@BRANCH
@ALLOW_SCHEMA_CHANGE
def run(
    ask: Ask,
    *,
    fail_fast: bool,
    threads: int,
    lock_timeout: float,
    full_refresh: bool,
    allow_deletes: bool,
    empty: bool,
    skip_lost_records: bool,
    branch: str,
    allow_schema_change: bool,
) -> int:
    """Bring tables up to date: only what is new is read, and only what passed its checks is published."""
    from runner.run import RunOptions

    if empty and full_refresh:
        raise fail(
            "bad-arguments",
            None,
            "--empty and --full-refresh exclude each other",
            why="one reads no row, the other all of them",
            fix="keep one of them",
        )
    project, models, rendered = ask.compiled()
    options = RunOptions(
        fail_fast=fail_fast,
        threads=threads,
        empty=empty,
        lock_timeout=lock_timeout,
        full_refresh=full_refresh,
        allow_deletes=allow_deletes,
        branch=branch,
        allow_schema_change=allow_schema_change,
        skip_lost=skip_lost_records,
    )
    if not ask.narrowed:
        _keep_manifest(project, rendered)
    return _run(ask, project, models, rendered, options)


@click.command(cls=Verb)
@asks(selection=True, output=True)
@_FAIL_FAST
@THREADS
@LOCK_TIMEOUT
@click.option("--from", "first", type=_DAY, required=True, metavar="DAY", help="The first day, UTC.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="The last day; without it the first alone.")
@click.option(
    "--allow-deletes", is_flag=True, help="Publish although more rows leave than max_deleted allows."
)
def backfill(
    ask: Ask,
    *,
    fail_fast: bool,
    threads: int,
    lock_timeout: float,
    first: dt.datetime,
    last: dt.datetime | None,
    allow_deletes: bool,
) -> int:
    """Build chosen days again from all rows of the inputs; each table's days are published at once, and
    readers downstream see the true differences.
    """
    from runner.run import RunOptions

    last = last or first
    if last < first:
        raise fail(
            "bad-arguments",
            None,
            f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}",
            why="days are built from the first to the last",
            fix="exchange the two",
        )
    project, models, rendered = ask.compiled()
    options = RunOptions(
        fail_fast=fail_fast,
        threads=threads,
        lock_timeout=lock_timeout,
        allow_deletes=allow_deletes,
        span=(f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"),
    )
    return _run(ask, project, models, rendered, options)


@click.command(cls=Verb)
@asks(output=True)
@_FAIL_FAST
@THREADS
@LOCK_TIMEOUT
@click.option("--allow-new-code", is_flag=True, help="Go on although models changed since that run began.")
def retry(ask: Ask, *, fail_fast: bool, threads: int, lock_timeout: float, allow_new_code: bool) -> int:
    """Run again what the last run left undone, as it was asked for: from the first model that failed."""
    from runner.last_run import last_run
    from runner.run import RunOptions

    last = last_run(ask.root() / "target")
    # Where and with which variables it ran, unless this command line says otherwise.
    asked = dataclasses.replace(
        ask,
        target=ask.target or last.args.get("target"),
        lake=ask.lake or (Path(last.args["lake"]) if last.args.get("lake") else None),
        vars=(*last.args.get("vars", ()), *ask.vars),
    )
    if not last.to_do:
        ask.console.note(f"run {last.run_id} left nothing to do", models=0, exit_code=0)
        return 0
    project = asked.project()
    known = {m.id: m for m in project.models}
    if gone := [id for id in last.to_do if id not in known]:
        raise ProjectError(tuple(_gone(id, last.run_id, list(known)) for id in gone))
    again = dataclasses.replace(asked, select=last.to_do)
    project, models, rendered = again.compiled()
    if not allow_new_code:
        _refuse_new_code(models, rendered, last)
    options = RunOptions(
        fail_fast=fail_fast,
        threads=threads,
        lock_timeout=lock_timeout,
        empty=bool(last.args.get("empty")),
        full_refresh=bool(last.args.get("full_refresh")),
        allow_deletes=bool(last.args.get("allow_deletes")),
        branch=last.args.get("branch") or MAIN,
        allow_schema_change=bool(last.args.get("allow_schema_change")),
        skip_lost=bool(last.args.get("skip_lost_records")),
        span=_span(last.args.get("days")),
    )
    return _run(again, project, models, rendered, options)


def _run(
    ask: Ask,
    project: Project,
    models: Sequence[Model],
    rendered: Mapping[str, Rendered],
    options: RunOptions,
) -> int:
    from runner.run import run as run_models

    started = time.monotonic()
    options = dataclasses.replace(options, args=_args(ask, options))
    code = run_models(project, models, options, ask.console.event, rendered=rendered)
    ok = "tried" if options.empty else "published"
    text = summary_line(ask.console.counts, time.monotonic() - started, ok=ok)
    on = "" if options.branch == MAIN else f" on branch {options.branch}"
    ask.console.note(text + on, exit_code=code)
    return code


def _args(ask: Ask, options: RunOptions) -> Mapping[str, Any]:
    """What was asked for, as `retry` asks for it again."""
    return {
        **ask.place(),
        "pipelines": list(names(ask.pipelines)),
        "select": list(names(ask.select)),
        "exclude": list(names(ask.exclude)),
        "threads": options.threads,
        "empty": options.empty,
        "full_refresh": options.full_refresh,
        "allow_deletes": options.allow_deletes,
        "branch": options.branch,
        "allow_schema_change": options.allow_schema_change,
        "skip_lost_records": options.skip_lost,
        "days": list(options.span) if options.span else None,
    }


def _span(days: Sequence[str] | None) -> tuple[str, str] | None:
    return (days[0], days[1]) if days else None


def _keep_manifest(project: Project, rendered: Mapping[str, Rendered]) -> None:
    from runner.manifest import describe, entry
    from runner.manifest_file import write_manifest

    described = describe(project, {m.id: entry(m, rendered[m.id]) for m in project.models})
    write_manifest(project.root / "target", described, now=dt.datetime.now(dt.UTC))


def _refuse_new_code(models: Sequence[Model], rendered: Mapping[str, Rendered], last: LastRun) -> None:
    from runner.checksum import checksum

    changed = [m for m in models if last.selected[m.id] != checksum(m, rendered[m.id])]
    if changed:
        raise ProjectError(
            tuple(
                Fault(
                    "code-changed",
                    m.place,
                    f"{m.id} is not what run {last.run_id} was asked to run",
                    "its SQL or its spec changed since: half of a run would be of one state, half of another",
                    "if that is meant, `runner retry --allow-new-code`; to run everything, `runner run`",
                )
                for m in changed
            )
        )


def _gone(id: str, run_id: str, known: Sequence[str]) -> Fault:
    return Fault(
        "unknown-model",
        None,
        f"run {run_id} left '{id}' undone, and the project has no such model",
        "it was renamed or removed since",
        did_you_mean(id, known) or "run what is there: `runner run`",
    )
