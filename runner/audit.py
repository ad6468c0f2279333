"""Conduct ``runner check``: the checks of models over their published tables, whole, at one snapshot each.

In: a project and the models selected. Out: the exit code; one event a check; ``check_results.json``. The
lake is only read: no branch, no snapshot, no staged rows, no lock.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import files
from runner.branch import require_there
from runner.catalog import MAIN, TableState
from runner.check.freshness import Commits, commit_times
from runner.check.gate import CheckResult
from runner.check.published import Published, judge_published
from runner.checksum import checksum
from runner.engine import Engine
from runner.errors import Fault, GateClosed, RunFailed, fail, worst
from runner.lake import Lake
from runner.lineage import compile_project
from runner.record import Journal, NodeResult, new_run_id
from runner.render import Rendered
from runner.sessions import start_spark
from runner.spec import FilesInput, Model, Project


@dataclass(frozen=True)
class Checked:
    """One check, the ``index``-th of ``total``, or a model without one: not built, or its query failed."""

    model: str
    table: str
    index: int = 0
    total: int = 0
    result: CheckResult | None = None
    faults: tuple[Fault, ...] = ()


def audit(
    project: Project,
    models: Sequence[Model],
    on_event: Callable[[Checked], None],
    *,
    branch: str = MAIN,
    artifacts: Path | None = None,
    start_engine: Callable[[], Engine] | None = None,
) -> int:
    """Check ``models`` as they are published, or as a development branch has them; 0, 3 where a check of
    severity error fails, 1 where one could not be asked. ProjectError where not one of them is built.
    """
    rendered = compile_project(project, models)
    lake = Lake.of(project, branch)
    require_there(lake)
    folder = artifacts or project.root / "target"
    now = dt.datetime.now(dt.UTC)
    states = {model.id: lake.catalog.table(model.target.table) for model in models}
    if models and not any(states.values()):
        raise fail(
            "not-built",
            None,
            f"the lake {lake.warehouse} holds no table of the models selected",
            why="where nothing is looked at, nothing has passed",
            fix="run the models first: `runner`; or name the lake that you mean: --lake DIR",
        )
    journal = Journal(
        folder / "check_results.json",
        new_run_id(now),
        f"{now:%Y-%m-%dT%H:%M:%SZ}",
        project.profile.name,
        selected={m.id: checksum(m, rendered[m.id]) for m in models},
        branch=branch,
    )
    subjects = {m.id: _published(m, rendered, states[m.id], project, lake, now) for m in models}
    total = sum(len(subject.checks()) for subject in subjects.values() if subject)
    done = 0
    codes = [0]
    engine: Engine | None = None
    for model in models:
        subject, table, started = subjects[model.id], str(model.target.table), time.monotonic()
        if subject is None:
            on_event(Checked(model.id, table))
            journal.add(NodeResult(model.id, table, "skipped", 0.0, reason="not built yet"))
            continue
        engine = engine or (start_engine or (lambda: start_spark(project, lake, folder)))()
        results: list[CheckResult] = []
        faults: list[Fault] = []
        failed = False
        try:
            for result, fault in judge_published(subject, engine, lake.catalog):
                done += 1
                results.append(result)
                told = (fault,) if fault else ()
                faults += told
                on_event(Checked(model.id, table, done, total, result, told))
        except RunFailed as error:
            failed = True
            faults.append(error.fault)
            done += len(subject.checks()) - len(results)
            on_event(Checked(model.id, table, done, total, None, (error.fault,)))
        finally:
            engine.close()
        codes.append(RunFailed.exit_code if failed else _code(results))
        status = "error" if failed else _status(results)
        head = subject.state.head()
        journal.add(
            NodeResult(
                model.id,
                table,
                status,
                time.monotonic() - started,
                snapshot=head.id if head else None,
                checks=results,
                faults=faults,
            )
        )
    return worst(codes)


def _published(
    model: Model,
    rendered: Mapping[str, Rendered],
    state: TableState | None,
    project: Project,
    lake: Lake,
    now: dt.datetime,
) -> Published | None:
    if state is None:
        return None

    def modified(name: str) -> list[int]:
        source = next(s for s in model.sources if s.name == name)
        if not isinstance(source.origin, FilesInput):
            return []
        listing = files.list_files(source.origin.path, root=project.root, place=source.place)
        return [file.modified_ms for file in listing.files]

    def commits() -> Commits:
        return commit_times(model, lake.catalog.table, modified)

    return Published(model, rendered[model.id], state, now, commits)


def _code(results: Sequence[CheckResult]) -> int:
    return GateClosed.exit_code if any(r.status == "error" for r in results) else 0


def _status(results: Sequence[CheckResult]) -> str:
    seen = {result.status for result in results}
    return next((status for status in ("error", "warn") if status in seen), "pass")
