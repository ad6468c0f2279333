"""Conduct a test: make what is given, run the model as production does, compare what it left behind.

In: a :class:`runner.testing.spec.ModelTest` and the session that all tests share. Out: an :class:`Outcome`;
nothing of the semantics is done here: each step goes through :func:`runner.node.run_node`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import __version__
from runner.check.gate import CheckResult
from runner.errors import GateClosed, RunnerError, did_you_mean
from runner.inputs import Pins
from runner.lineage import compile_project
from runner.node import Shared, run_node
from runner.record import NodeResult, new_run_id
from runner.render import Rendered
from runner.schedule import Stop
from runner.spec import Model, Project
from runner.testing.cells import WrongCell, cell
from runner.testing.compare import compare
from runner.testing.expected import FAILED
from runner.testing.report import difference_lines
from runner.testing.scratch import Scratch, warehouse
from runner.testing.session import Session
from runner.testing.spec import Expect, ModelTest, RawRow, Step
from runner.testing.types import parse_type
from runner.topics import Brokers

_COUNTS = ("inserted", "updated", "deleted", "dropped", "quarantined", "late")
_BY_CODE = {"duplicate-key": "key_unique", "key-in-two-partitions": "key_in_one_partition"}


@dataclass(frozen=True)
class Outcome:
    """How a test went: ``lines`` tell what is wrong; without any it passed."""

    test: ModelTest
    seconds: float
    lines: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.lines


@dataclass(frozen=True)
class Ran:
    """How one step's run ended: with a result, or with the checks that closed the gate, or failed."""

    result: NodeResult | None
    closed_by: tuple[str, ...] = ()
    error: RunnerError | None = None


@dataclass
class Conductor:
    """Runs tests on one session; each in a lake of its own, which is removed behind it."""

    session: Session
    compiled: dict[tuple[int, str], tuple[Project, Rendered]] = field(default_factory=dict)

    def run(self, test: ModelTest) -> Outcome:
        """Run one test; what it finds is in the outcome, never raised."""
        started = time.monotonic()
        lines: list[str] = []
        with tempfile.TemporaryDirectory(prefix="runner-test-", ignore_cleanup_errors=True) as folder:
            scratch = self.scratch(test, Path(folder))
            try:
                rendered = self.rendered(scratch)
                scratch.prepare(rendered)
                for number, step in enumerate(test.steps, 1):
                    found = list(_found(step, self.step(scratch, rendered, step), scratch))
                    if found and len(test.steps) > 1:
                        found.insert(0, f"after step {number} of {len(test.steps)} ({step.expect.place}):")
                    lines += found
                    if found:
                        break  # what follows starts from another state than the one that was meant
            except RunnerError as error:
                lines += str(error).splitlines()
            finally:
                scratch.engine.close()
        return Outcome(test, time.monotonic() - started, tuple(lines))

    def scratch(self, test: ModelTest, folder: Path) -> Scratch:
        """The lake of a test."""
        return Scratch.make(test, folder, self.session.engine(test.project.profile, warehouse(folder)))

    def rendered(self, scratch: Scratch) -> Rendered:
        """The model's statement; compiled once for each set of variables."""
        project, model = scratch.test.project, scratch.test.model
        name = (id(project), model.id)
        if name not in self.compiled:
            # The project is kept beside it: no other can get its id.
            self.compiled[name] = project, compile_project(project, [model])[model.id]
        return self.compiled[name][1]

    def step(self, scratch: Scratch, rendered: Rendered, step: Step) -> Ran:
        """Make what a step gives, and run the model."""
        scratch.give(step)
        now = step.now or dt.datetime.now(dt.UTC)
        lake = scratch.lake
        shared = Shared(
            project=scratch.project,
            lake=lake,
            pins=Pins(lake.catalog, {}),
            engine=lambda: scratch.engine,
            topics=Brokers({}, scratch.project.profile.place),  # asked for nothing: topics are files here
            stop=Stop(),
            run_id=new_run_id(now),
            now=now,
            code_version=__version__,
            full_refresh=False,
            allow_deletes=False,
        )
        try:
            return Ran(run_node(scratch.model, rendered, shared, lambda plan: None))
        except GateClosed as error:
            return Ran(None, _closed_by(error), error)
        except RunnerError as error:
            return Ran(None, error=error)


def _closed_by(error: GateClosed) -> tuple[str, ...]:
    names = [r.name for r in error.results if isinstance(r, CheckResult) and r.status == "error"]
    names += [_BY_CODE.get(f.code, f.code) for f in error.faults if f.code != "check-failed"]
    return tuple(dict.fromkeys(names))


def _found(step: Step, ran: Ran, scratch: Scratch) -> Iterator[str]:
    """What is not as expected after a step."""
    expect = step.expect
    if ran.result is None and not (expect.fails and ran.closed_by):
        word = "the gate closed, and nothing was published:" if ran.closed_by else "the run failed:"
        yield word
        yield from ("  " + line for line in str(ran.error).splitlines())
        return
    if set(ran.closed_by) != set(expect.fails):
        yield from _gate(expect, ran)
    if ran.result is not None:
        yield from _counts(expect, ran.result, scratch.model)
    yield from _target(expect, scratch)
    if expect.quarantined is not None:
        yield from _quarantine(expect.quarantined, scratch)


def _gate(expect: Expect, ran: Ran) -> Iterator[str]:
    if not ran.closed_by:
        yield f"the gate stayed open; {_listed(expect.fails)} was to close it"
        return
    for name in expect.fails:
        if name not in ran.closed_by:
            yield f"{_listed([name])} was to close the gate; {_listed(ran.closed_by)} did"
    for name in ran.closed_by:
        if name not in expect.fails:
            yield f"{_listed([name])} closed the gate as well:"
            said = [str(f) for f in getattr(ran.error, "faults", ()) if f"'{name}'" in f.what]
            yield from ("  " + line for text in said for line in text.splitlines())


def _counts(expect: Expect, result: NodeResult, model: Model) -> Iterator[str]:
    for name in _COUNTS:
        wanted, there = expect.counts.get(name), result.counts.get(f"rows_{name}", 0)
        if wanted is not None and wanted != there:
            yield f"counts: {there:,} {'row' if there == 1 else 'rows'} {name}, expected {wanted:,}"
    if expect.warns is not None:
        # Freshness asks the clock, which says nothing of the rows of a test.
        warned = {c.name for c in result.checks if c.warns} - {c.name for c in model.freshness_checks}
        if lacking := sorted(set(expect.warns) - warned):
            yield f"{_listed(lacking)} was to warn, and did not"
        if more := sorted(warned - set(expect.warns)):
            yield f"{_listed(more)} warned as well"


def _target(expect: Expect, scratch: Scratch) -> Iterator[str]:
    if expect.target is None:
        return
    target = scratch.model.target
    _, rows = scratch.rows(target.table)
    types = {c.name: parse_type(c.type) for c in target.columns}
    found = compare(
        [row.values for row in expect.target], rows, types, key=target.key, contains=expect.contains
    )
    if found:
        yield from difference_lines(str(target.table), found, target.key)


def _quarantine(expected: Sequence[RawRow], scratch: Scratch) -> Iterator[str]:
    """Rows of the quarantine have the query's columns, which are known now."""
    table = scratch.model.target.table.quarantine
    columns, rows = scratch.rows(table)
    types = {name: parse_type(type_) for name, type_ in columns.items()}
    wanted: list[dict[str, Any]] = []
    for row in expected:
        values: dict[str, Any] = {}
        for name, node in row.cells.items():
            if columns and name not in columns:
                yield f"{node.place}: {table} has no column '{name}'; {did_you_mean(name, columns)}"
            elif columns:
                try:
                    values[name] = cell(node, types[name])
                except WrongCell as error:
                    yield f"{error.place}: `{name}`: {error.wrong.what}; {error.wrong.fix}"
            else:
                values[name] = getattr(node, "text", "…")
        wanted.append(values)
    for values in (*wanted, *rows):
        if isinstance(values.get(FAILED), list):
            values[FAILED] = sorted(values[FAILED])
    found = compare(wanted, rows, types)
    if found:
        yield from difference_lines(str(table), found, ())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
