"""The verb that says what a run would do."""

from __future__ import annotations

import json

import click

from runner.argv import Verb
from runner.cli.options import ALLOW_SCHEMA_CHANGE, AS_OBJECTS, BRANCH, Ask, asks

_LOOKS = {"add": "32", "remove": "31", "hunk": "36", "head": "1", "dim": "2"}


@click.command(cls=Verb)
@asks(selection=True, output=True)
@click.option("--full-refresh", is_flag=True, help="As if `run --full-refresh` were asked for.")
@BRANCH
@ALLOW_SCHEMA_CHANGE
@AS_OBJECTS
def plan(ask: Ask, *, full_refresh: bool, branch: str, allow_schema_change: bool, output: str) -> int:
    """Say what `run` would do and why, from metadata alone: nothing runs and nothing is written."""
    from runner import explain
    from runner.errors import ProjectError
    from runner.lake import Lake
    from runner.preview import preview

    project = ask.project()
    models = ask.models(project)
    console = ask.console
    console.as_json |= output == "json"
    found = []
    previews = preview(
        project,
        models,
        Lake.of(project, branch),
        full_refresh=full_refresh,
        allow_schema_change=allow_schema_change,
    )
    for index, one in enumerate(previews, 1):
        found.append(one)
        if console.as_json:
            console.line(json.dumps(explain.values(one), ensure_ascii=False, default=str))
        elif not console.quiet:
            for line in explain.text(one, index, len(models), _paint if console.coloured else _plain):
                console.line(line)
        if one.faults:
            console.faults(one.faults)
    code = ProjectError.exit_code if any(one.faults for one in found) else 0
    console.note(explain.summary(found), exit_code=code)
    return code


def _paint(look: str, text: str) -> str:
    return f"\x1b[{_LOOKS[look]}m{text}\x1b[0m"


def _plain(look: str, text: str) -> str:
    return text
