"""The verb that runs the unit tests of models."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from runner.argv import Verb, variables
from runner.cli.options import AS_OBJECTS, Ask, asks
from runner.errors import fail

if TYPE_CHECKING:
    from runner.testing.conduct import Outcome
    from runner.testing.spec import ModelTest

# A test that fails is a finding, as with dbt and pytest: no gate of the lake has closed.
FAILED = 1


@click.command(cls=Verb)
@asks(selection=True, output=True)
@click.option("-k", "keyword", metavar="TEXT", help="Tests whose model::name holds this text.")
@AS_OBJECTS
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first test that fails.")
def test(ask: Ask, *, keyword: str | None, output: str, fail_fast: bool) -> int:
    """Run the unit tests of models, tests/models/**/*.yml: the real MERGE, on a lake of its own each."""
    ask.console.as_json |= output == "json"
    tests = _chosen(ask, keyword)
    started = time.monotonic()
    seen: Counter[str] = Counter()
    if tests:
        from runner.testing.conduct import Conductor
        from runner.testing.session import Session, starter

        project = tests[0].project
        log_file = project.root / "target" / "logs" / "spark.log"
        # A handful of rows does not fill a second core.
        session = Session(starter(project.profile.conf, log_file, cores=1))
        conductor = Conductor(session)
        for index, one in enumerate(tests, 1):
            outcome = conductor.run(one)
            seen["passed" if outcome.passed else "failed"] += 1
            _tell(ask, outcome, index, len(tests))
            if fail_fast and not outcome.passed:
                break
    code = FAILED if seen["failed"] else 0
    parts = [f"{seen[word]} {word}" for word in ("passed", "failed") if seen[word]]
    left = len(tests) - seen.total()
    parts += [f"{left} not run"] if left else []
    text = f"{', '.join(parts) or 'no tests'} in {time.monotonic() - started:.1f}s"
    ask.console.note(text, exit_code=code)
    return code


def _chosen(ask: Ask, keyword: str | None) -> Sequence[ModelTest]:
    """The tests that the command line names; ProjectError where it names none."""
    from runner.load import load_project
    from runner.testing.load import FOLDER, find_files, load_tests, reloading

    project, models, _ = ask.compiled()
    given = variables(ask.vars)
    tests = load_tests(
        project,
        reloading(
            lambda more: load_project(
                project.root, target=ask.target, overrides={**given, **more}, lake=ask.lake
            )
        ),
        models={model.id for model in models} if ask.narrowed else None,
    )
    found = [one for one in tests if not keyword or keyword.lower() in one.id.lower()]
    if not found:
        there = len(find_files(project.root))
        raise fail(
            "no-tests",
            None,
            "no test is selected" if there else f"there is no test in {FOLDER}/",
            why="where nothing is tested, nothing has passed",
            fix=_names(tests) if there else f"write the first one, {FOLDER}/gold/my_model.yml",
        )
    return found


def _names(tests: Sequence[ModelTest]) -> str:
    named = ", ".join(one.id for one in tests[:3])
    return (
        f"name one that is there: {named}, …" if named else "name another model, or write a test of this one"
    )


def _tell(ask: Ask, outcome: Outcome, index: int, total: int) -> None:
    from runner.run import Event

    one = outcome.test
    if ask.console.as_json:
        values = {
            "kind": "test",
            "model": one.model.id,
            "name": one.name,
            "status": "pass" if outcome.passed else "fail",
            "seconds": round(outcome.seconds, 3),
            "declared_at": str(one.place),
            "message": "\n".join(outcome.lines) or None,
        }
        ask.console.line(json.dumps(values, ensure_ascii=False))
        return
    name = f"{one.model.target.table} {one.name}"
    detail = "" if outcome.passed else str(one.place)
    ask.console.event(
        Event("pass" if outcome.passed else "fail", index, total, name, detail, outcome.seconds)
    )
    for line in outcome.lines:
        ask.console.line(f"    {line}")
