"""The command line: argv → one call → text and exit code. The only package that prints or exits.

Verbs that need no Spark start no JVM: everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import click

from runner import __version__
from runner.argv import Verbs, usage_error
from runner.cli import inspect, operate
from runner.cli.branch import branch
from runner.cli.check import check
from runner.cli.clean import clean
from runner.cli.completion import ASKED, answer, completion
from runner.cli.diff import diff
from runner.cli.lint import lint
from runner.cli.plan import plan
from runner.cli.run import retry, run
from runner.cli.stream import stream as follow
from runner.cli.test import test
from runner.console import Console
from runner.errors import Interrupted, RunnerError

OK, BUG = 0, 1
_JSON = ("--log-format=json", "--output=json")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="runner %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run Spark-SQL models of a medallion lake: one MERGE a model, audited before anyone sees its rows.

    Without a verb: run. `runner --pipeline silver` is `runner run --pipeline silver`.
    """


for verb in (
    run,
    retry,
    follow,
    plan,
    check,
    branch,
    diff,
    test,
    inspect.compile,
    lint,
    inspect.ls,
    inspect.show,
    clean,
    operate.maintain,
    operate.rollback,
    completion,
):
    cli.add_command(verb)


def invoke(argv: Sequence[str]) -> int:
    """Run a command line; its exit code. Nothing escapes as an exception."""
    # Known before the command line is understood: what is wrong with it is an object, too.
    console = Console(as_json=_asks_for_json(argv))
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
            f"  fix: report it with {_keep_traceback(console.root)}",
            code="bug",
        )
        return BUG
    finally:
        console.close()


def _asks_for_json(argv: Sequence[str]) -> bool:
    return any(word in _JSON for word in argv) or any(
        f"{word}={after}" in _JSON for word, after in pairwise(argv)
    )


def _ended(console: Console, error: RunnerError) -> int:
    console.error(error)
    return error.exit_code


def _keep_traceback(root: Path | None) -> str:
    path = (root or Path.cwd()) / "target" / "logs" / "runner.log"
    import traceback  # completion need not wait for it

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
    if asked := os.environ.get(ASKED):
        answer(cli, asked)
        sys.exit(OK)
    sys.exit(invoke(sys.argv[1:] if argv is None else argv))
