"""The command line: argv → one call → text and exit code. The only module that prints or exits.

Verbs that need no Spark start no JVM: everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from runner import __version__
from runner.argv import Verb, Verbs, names, usage_error, variables
from runner.console import Console, summary_line
from runner.errors import Interrupted, ProjectError, RunnerError, fail

if TYPE_CHECKING:
    from runner.load import Loaded
    from runner.render import Rendered
    from runner.spec import Model, Project

F = TypeVar("F", bound=Callable[..., Any])
OK, BUG, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True)
class Place:
    """Where a command works, as its options say."""

    target: str | None
    lake: Path | None
    vars: Sequence[str]

    def read(self, console: Console) -> Loaded:
        """The project around the current folder, with its faults."""
        from runner.load import find_root, read_project

        root = find_root(Path.cwd())
        if root is None:
            raise fail(
                "no-project",
                None,
                f"there is no project in {Path.cwd()} or above it",
                why="a project is a folder with pipelines/ or profiles.yml",
                fix="change to the project's folder",
            )
        console.root = root
        return read_project(root, target=self.target, overrides=variables(self.vars), lake=self.lake)


def project_options(command: F) -> F:
    """``--target``, ``--lake`` and ``--vars``, as one :class:`Place`."""
    for option in (
        click.option(
            "--vars", "vars", multiple=True, metavar="YAML", help="Variables: 'name: value'. Repeatable."
        ),
        click.option(
            "--lake",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="The lake's folder, in place of the profile's warehouse.",
        ),
        click.option("--target", metavar="NAME", help="The target of profiles.yml."),
    ):
        command = option(command)
    return command


def selection_options(command: F) -> F:
    """``--pipeline`` and ``--select``."""
    command = click.option(
        "-s",
        "--select",
        multiple=True,
        metavar="NAME…",
        help="Models: name, pipeline.name or table; +a with what it reads, a+ with its readers.",
    )(command)
    return click.option("-p", "--pipeline", metavar="NAME", help="One pipeline; all of them without.")(
        command
    )


def output_options(command: F) -> F:
    """``--quiet`` and ``--log-format``."""
    command = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: one object a line.",
    )(command)
    return click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")(command)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="runner %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run Spark-SQL models of a medallion lake: one MERGE a model, audited before anyone sees its rows.

    Without a verb: run. `runner --pipeline silver` is `runner run --pipeline silver`.
    """


@cli.command(cls=Verb)
@selection_options
@project_options
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first model that fails.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another writer.",
)
@click.option(
    "--full-refresh", is_flag=True, help="Rebuild from all rows; readers see only true differences."
)
@click.option(
    "--allow-deletes", is_flag=True, help="Publish although more rows leave than max_deleted allows."
)
@output_options
@click.pass_obj
def run(
    console: Console,
    /,
    *,
    pipeline: str | None,
    select: Sequence[str],
    target: str | None,
    lake: Path | None,
    vars: Sequence[str],
    fail_fast: bool,
    lock_timeout: float,
    full_refresh: bool,
    allow_deletes: bool,
    quiet: bool,
    log_format: str,
) -> int:
    """Bring tables up to date: only what is new is read, and only what passed its checks is published."""
    from runner.run import RunOptions
    from runner.run import run as run_models

    console.quiet, console.as_json = quiet, log_format == "json"
    project, models, _ = _compiled(console, Place(target, lake, vars), pipeline, select)
    options = RunOptions(
        fail_fast=fail_fast, lock_timeout=lock_timeout, full_refresh=full_refresh, allow_deletes=allow_deletes
    )
    started = time.monotonic()
    code = run_models(project, models, options, console.event)
    console.note(summary_line(console.counts, time.monotonic() - started), exit_code=code)
    return code


@cli.command(cls=Verb)
@selection_options
@project_options
@output_options
@click.pass_obj
def compile(
    console: Console,
    /,
    *,
    pipeline: str | None,
    select: Sequence[str],
    target: str | None,
    lake: Path | None,
    vars: Sequence[str],
    quiet: bool,
    log_format: str,
) -> int:
    """Write the SQL of models, with Jinja filled in, to target/compiled/."""
    console.quiet, console.as_json = quiet, log_format == "json"
    project, models, compiled = _compiled(console, Place(target, lake, vars), pipeline, select)
    for model in models:
        path = project.root / "target" / "compiled" / model.pipeline / f"{model.name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(compiled[model.id].text, encoding="utf-8")
        console.note(f"{model.id} → {os.path.relpath(path)}", model=model.id, path=str(path))
    return OK


@cli.command(cls=Verb)
@selection_options
@project_options
@output_options
@click.pass_obj
def lint(
    console: Console,
    /,
    *,
    pipeline: str | None,
    select: Sequence[str],
    target: str | None,
    lake: Path | None,
    vars: Sequence[str],
    quiet: bool,
    log_format: str,
) -> int:
    """Check specs and SQL without Spark; exit 2 when anything is wrong."""
    console.quiet, console.as_json = quiet, log_format == "json"
    _, models, _ = _compiled(console, Place(target, lake, vars), pipeline, select)
    console.note(f"{len(models)} model{'s' * (len(models) != 1)}, no faults", models=len(models))
    return OK


@cli.command(cls=Verb)
@selection_options
@project_options
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one object a line.",
)
@click.pass_obj
def ls(
    console: Console,
    /,
    *,
    pipeline: str | None,
    select: Sequence[str],
    target: str | None,
    lake: Path | None,
    vars: Sequence[str],
    output: str,
) -> int:
    """List models in the order in which they run."""
    import json

    from runner.graph import select as select_models

    project = _sound(Place(target, lake, vars).read(console))
    for model in select_models(project, pipeline=pipeline, names=names(select)):
        console.line(json.dumps(_listed(model), ensure_ascii=False) if output == "json" else model.id)
    return OK


@cli.command(cls=Verb)
@click.argument("table")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N rows.  [default: 20]")
@click.option("--all", "everything", is_flag=True, help="All rows.")
@click.option(
    "--format", "format", type=click.Choice(["table", "csv", "ndjson"]), default="table", show_default=True
)
@click.option("--at", metavar="SNAPSHOT", help="The id of an older snapshot.")
@project_options
@click.pass_obj
def show(
    console: Console,
    /,
    *,
    table: str,
    limit: int | None,
    everything: bool,
    format: str,
    at: str | None,
    target: str | None,
    lake: Path | None,
    vars: Sequence[str],
) -> int:
    """Print a table of the lake: namespace.table."""
    from runner.show import show as show_table

    if everything and limit is not None:
        raise fail(
            "bad-arguments",
            None,
            "--limit and --all exclude each other",
            why="one asks for some rows, the other for all",
            fix="keep one of them",
        )
    loaded = Place(target, lake, vars).read(console)
    # Rows can be looked at while a pipeline is being written; where the lake is has to be known.
    about_lake = [f for f in loaded.faults if f.place is None or f.place.file == "profiles.yml"]
    if about_lake:
        raise ProjectError(about_lake)
    rows = None if everything else 20 if limit is None else limit
    show_table(loaded.project, table, limit=rows, format=format, at=at, write=console.write)
    return OK


def _sound(loaded: Loaded) -> Project:
    if loaded.faults:
        raise ProjectError(loaded.faults)
    return loaded.project


def _compiled(
    console: Console, place: Place, pipeline: str | None, select: Sequence[str]
) -> tuple[Project, tuple[Model, ...], Any]:
    """The project, the selected models and their statements; ProjectError with all faults at once."""
    from runner.graph import select as select_models
    from runner.lineage import compile_project

    loaded = place.read(console)
    compiled: dict[str, Rendered]
    if loaded.faults:
        compile_project(loaded.project, faults=loaded.faults, broken=loaded.broken)
    models = select_models(loaded.project, pipeline=pipeline, names=names(select))
    compiled = dict(compile_project(loaded.project, models))
    return loaded.project, models, compiled


def _listed(model: Model) -> dict[str, object]:
    return {
        "name": model.id,
        "table": str(model.target.table),
        "sql": model.sql,
        "reads": {s.name: s.read.value for s in model.sources},
        "tags": list(model.tags),
        "owner": model.owner,
        "description": model.description,
    }


def invoke(argv: Sequence[str]) -> int:
    """Run a command line; its exit code. Nothing escapes as an exception."""
    console = Console()
    try:
        with cli.make_context("runner", list(argv), obj=console) as ctx:
            code = cli.invoke(ctx)
            sys.stdout.flush()
            return int(code or OK)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        return _ended(console, usage_error(error))
    except RunnerError as error:
        return _ended(console, error)
    except (KeyboardInterrupt, click.Abort):
        return _ended(console, Interrupted())
    except BrokenPipeError:
        # The reader of our output has seen enough. Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001 – the last resort: what nobody foresaw is kept, and said to be a bug
        console.complain(
            f"{type(error).__name__}: {error}\n  why: this is a bug of the runner\n"
            f"  fix: report it with {_keep_traceback(console.root)}"
        )
        return BUG
    finally:
        console.close()


def _ended(console: Console, error: RunnerError) -> int:
    console.error(error)
    return error.exit_code


def _keep_traceback(root: Path | None) -> str:
    path = (root or Path.cwd()) / "target" / "logs" / "runner.log"
    text = traceback.format_exc()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(text + "\n")
    except OSError:
        return f"this:\n{text}"
    return f"the log {os.path.relpath(path)}"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point ``runner``."""
    for stream in (sys.stdout, sys.stderr):
        # What is printed is UTF-8 whatever the locale says: NDJSON is, and titles come in every script.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(invoke(sys.argv[1:] if argv is None else argv))
