"""The verb that compares two states of tables; `branch diff` is the same for a branch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from runner.argv import Verb
from runner.cli.options import AS_OBJECTS, BRANCH, Ask, asks
from runner.cli.words import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.diff import Asked

#: The exit code of --exit-code where something differs.
_DIFFERS = 1

_HOW = (
    click.option("--key", metavar="COLUMNS", help="a,b: what tells rows apart; the model's key without."),
    click.option("--ignore", multiple=True, metavar="COLUMN", help="Not compared. Repeatable."),
    click.option("--rows", is_flag=True, help="The rows, too: + added, - removed, ~ changed."),
    click.option(
        "--limit", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="At most N."
    ),
    click.option("--all", "everything", is_flag=True, help="All rows that differ."),
    click.option("--exit-code", is_flag=True, help="Exit 1 where something differs."),
    AS_OBJECTS,
)


def how(command: Callable[..., int]) -> Any:
    """The options that say how states are compared."""
    given: Any = command
    for option in reversed(_HOW):
        given = option(given)
    return given


@click.command(cls=Verb)
@asks()
@click.argument("table", required=False, shell_complete=tables)
@click.option("--from", "since", metavar="STATE", help="A snapshot, a run, or a branch; the one before --to.")
@click.option("--to", "until", metavar="STATE", help="A snapshot, a run (as it left the table), or a branch.")
@BRANCH
@how
def diff(
    ask: Ask, *, table: str | None, since: str | None, until: str | None, branch: str, **given: Any
) -> int:
    """Say which rows differ between two states of a table, or between main and a branch."""
    from runner.diff import Asked

    return report(ask, Asked(table, since, until, branch), **given)


def report(
    ask: Ask,
    asked: Asked,
    *,
    key: str | None,
    ignore: tuple[str, ...],
    rows: bool,
    limit: int,
    everything: bool,
    exit_code: bool,
    output: str,
) -> int:
    """Print what differs."""
    from dataclasses import replace

    from runner import diff as states
    from runner import diff_text
    from runner.lake import Lake
    from runner.sessions import Lazy, start_spark

    project = ask.lake_project()
    lake = Lake.of(project)
    asked = replace(
        asked,
        key=tuple(word.strip() for word in key.split(",")) if key else (),
        ignored=ignore,
        rows=rows,
        limit=None if everything else limit,
    )
    engine = Lazy(lambda: start_spark(project, lake, project.root / "target"))
    ask.console.as_json |= output == "json"
    differs = False
    for found in states.differences(project, lake.catalog, asked, engine):
        differs |= bool(found.difference)
        if ask.console.as_json:
            for change in found.changes:
                line = diff_text.row_values(found.sides.state.ref, change)
                ask.console.line(json.dumps(line, ensure_ascii=False, default=str))
            ask.console.line(json.dumps(diff_text.values(found), ensure_ascii=False))
        else:
            for text in diff_text.text(found):
                ask.console.line(text)
    return _DIFFERS if differs and exit_code else 0
