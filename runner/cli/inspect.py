"""Verbs that look at a project or a lake and change no table."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.argv import Verb
from runner.catalog import MAIN
from runner.cli.options import AS_OBJECTS, BRANCH, NO_CACHE, Ask, asks
from runner.cli.words import tables
from runner.errors import ProjectError, fail

if TYPE_CHECKING:
    from runner.spec import Model


@click.command(cls=Verb)
@asks(selection=True, output=True)
@NO_CACHE
def compile(ask: Ask, *, no_cache: bool) -> int:
    """Write the SQL of models, with Jinja filled in, to target/compiled/, and target/manifest.json."""
    from runner.manifest_file import write_manifest

    answer = ask.sql(cache=not no_cache, describe=True)
    target = ask.root() / "target"
    here = os.path.relpath(target)
    for model in answer.models:
        path = target / "compiled" / model.pipeline / f"{model.name}.sql"
        _put(path, model.text.encode("utf-8", "surrogatepass"))
        shown = os.path.join(here, "compiled", model.pipeline, path.name)
        ask.console.note(f"{model.id} → {shown}", model=model.id, path=str(path))
    # The manifest is the project's, whatever is selected: others compare with it.
    try:
        described = answer.described or ask.whole().sql(cache=not no_cache, describe=True).described
    except ProjectError:
        ask.console.note("target/manifest.json stays as it was: other models have faults, see `runner lint`")
        return 0
    assert described is not None
    written = write_manifest(target, described, now=dt.datetime.now(dt.UTC))
    ask.console.note(f"the project → {os.path.join(here, written.name)}", path=str(written))
    return 0


def _put(path: Path, content: bytes) -> None:
    """A file that has this content already is not written."""
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@click.command(cls=Verb)
@asks(selection=True)
@AS_OBJECTS
def ls(ask: Ask, *, output: str) -> int:
    """List models in the order in which they run."""
    ask.console.as_json |= output == "json"
    for model in ask.models(ask.project()):
        shown = json.dumps(_listed(model), ensure_ascii=False) if ask.console.as_json else model.id
        ask.console.line(shown)
    return 0


@click.command(cls=Verb)
@asks()
@click.argument("table", shell_complete=tables)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N rows.  [default: 20]")
@click.option("--all", "everything", is_flag=True, help="All rows.")
@click.option(
    "--format", "format", type=click.Choice(["table", "csv", "ndjson"]), default="table", show_default=True
)
@click.option("--at", metavar="SNAPSHOT", help="The id of an older snapshot.")
@click.option("--history", is_flag=True, help="The table's snapshots, newest first, in place of its rows.")
@BRANCH
def show(
    ask: Ask,
    *,
    table: str,
    limit: int | None,
    everything: bool,
    format: str,
    at: str | None,
    history: bool,
    branch: str,
) -> int:
    """Print a table of the lake: namespace.table."""
    from runner.show import history as show_history
    from runner.show import show as show_table

    if ask.console.as_json and format == "table":
        format = "ndjson"
    if branch != MAIN and (history or at is not None):
        other = "--history" if history else "--at"
        raise fail(
            "bad-arguments",
            None,
            f"--branch and {other} exclude each other",
            why="the history is that of all branches" if history else "a snapshot is the same on any branch",
            fix="keep one of them",
        )
    if history:
        show_history(ask.lake_project(), table, ask.console.write, format=format)
        return 0
    if everything and limit is not None:
        raise fail(
            "bad-arguments",
            None,
            "--limit and --all exclude each other",
            why="one asks for some rows, the other for all",
            fix="keep one of them",
        )
    rows = None if everything else 20 if limit is None else limit
    show_table(
        ask.lake_project(), table, limit=rows, format=format, at=at, write=ask.console.write, branch=branch
    )
    return 0


def _listed(model: Model) -> dict[str, object]:
    return {
        "name": model.id,
        "unique_id": f"model.{model.id}",
        "resource_type": "model",
        "pipeline": model.pipeline,
        "table": str(model.target.table),
        "path": model.place.file,
        "sql": model.sql,
        "reads": {s.name: s.read.value for s in model.sources},
        "tags": list(model.tags),
        "owner": model.owner,
        "description": model.description,
    }
