"""Conduct a run: models in DAG order, each under its lock, every end recorded at once.

In: a project and the models selected. Out: the exit code; progress as events. A failed or gated model
skips its descendants, siblings go on (unless ``fail_fast``). Spark starts when a model first needs it;
models that run side by side share it, each thread with a session of its own.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import __version__
from runner.branch import refuse_tag
from runner.catalog import MAIN
from runner.engine import Engine
from runner.errors import Busy, Fault, GateClosed, Interrupted, ProjectError, RunFailed, RunnerError, worst
from runner.graph import ancestors
from runner.inputs import Pins
from runner.lake import Lake
from runner.lineage import compile_project
from runner.lock import target_lock
from runner.node import Shared, failed_node, run_node
from runner.ops import History
from runner.plan import ModelPlan
from runner.record import Journal, NodeResult, new_run_id, open_journal
from runner.refs import TableRef
from runner.rehearse import MODE as EMPTY
from runner.rehearse import rehearse
from runner.render import Rendered
from runner.schedule import Stop, Work, run_in_order
from runner.sessions import Sessions, engine_died, start_spark
from runner.spec import Model, Project
from runner.topics import Brokers


@dataclass(frozen=True)
class RunOptions:
    """The command line's wishes. ``lock_timeout`` in seconds; ``threads``: how many models run side by side;
    ``empty``: without rows (:mod:`runner.rehearse`); ``artifacts``: where the journal goes; ``args``: what it
    says was asked for.

    ``span``: the first and the last of some days (ISO) that alone are built again;
    ``skip_lost``: read on where records of a topic went before they were read;
    ``branch``: what is written, main or a development branch; ``afresh``: tables whose development branch
    is made anew from main.
    """

    fail_fast: bool = False
    threads: int = 1
    empty: bool = False
    lock_timeout: float = 0.0
    full_refresh: bool = False
    allow_deletes: bool = False
    artifacts: Path | None = None
    branch: str = MAIN
    afresh: frozenset[TableRef] = frozenset()
    allow_schema_change: bool = False
    skip_lost: bool = False
    span: tuple[str, str] | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Progress: ``kind`` is start, stage, ok, nothing, stale, gated, failed, skipped, busy, info or warn; of
    a check pass, warn, fail or skipped. A stage says in ``detail`` what a model is at.
    """

    kind: str
    index: int
    total: int
    name: str
    detail: str = ""
    elapsed: float | None = None
    faults: tuple[Fault, ...] = ()


def run(
    project: Project,
    models: Sequence[Model],
    options: RunOptions,
    on_event: Callable[[Event], None],
    *,
    rendered: Mapping[str, Rendered] | None = None,
    start_engine: Callable[[], Engine] | None = None,
) -> int:
    """Run ``models`` in the order given; the exit code. Raises ProjectError before anything runs.

    ``rendered``: their statements, where those are known already.
    """
    if rendered is None:
        rendered = compile_project(project, models)
    lake = Lake.of(project, options.branch, afresh=options.afresh)
    refuse_tag(lake)
    artifacts = options.artifacts or project.root / "target"
    now = dt.datetime.now(dt.UTC)
    run_id = new_run_id(now)
    sessions = Sessions(start_engine or (lambda: start_spark(project, lake, artifacts)))
    shared = Shared(
        project=project,
        lake=lake,
        pins=Pins(lake.catalog, {}),
        engine=sessions,
        stop=Stop(),
        run_id=run_id,
        now=now,
        code_version=__version__,
        full_refresh=options.full_refresh,
        allow_deletes=options.allow_deletes,
        allow_schema_change=options.allow_schema_change,
        topics=Brokers(project.profile.kafka, project.profile.place),
        skip_lost=options.skip_lost,
        span=options.span,
    )
    with History(lake, run_id, _Reporter(on_event, len(models), len(models), "ops").warn) as history:
        journal = open_journal(
            artifacts / "run_results.json",
            run_id,
            now,
            project,
            rendered,
            models,
            branch=options.branch,
            args=options.args,
            keep=history.keep,
        )
        conductor = _Conductor(
            options,
            rendered,
            shared,
            journal,
            sessions,
            lambda index, model: _Reporter(on_event, index, len(models), str(model.target.table)),
        )
        # Models that are not selected lead to others: whoever reads what failed, however far, does not run.
        reads = {m.id: {a.id for a in ancestors(project, m)} for m in models}
        work = Work(conductor.do, conductor.skip, conductor.cancel)
        run_in_order(models, reads, work, threads=options.threads, fail_fast=options.fail_fast)
        if sessions.first is not None:
            history.write(sessions.first)
    return worst([*conductor.codes, 0])


@dataclass(frozen=True)
class _Conductor:
    """Runs models one by one, whoever's thread asks, and records how each ended. ``codes``: of those that
    did not end well."""

    options: RunOptions
    rendered: Mapping[str, Rendered]
    shared: Shared
    journal: Journal
    sessions: Sessions
    reporter: Callable[[int, Model], _Reporter]
    codes: list[int] = field(default_factory=list)

    def do(self, index: int, model: Model) -> bool:
        """Run a model; whether its readers may follow. Raises Interrupted."""
        report = self.reporter(index, model)
        started = time.monotonic()
        try:
            with target_lock(
                self.shared.lake.locks,
                model.target.table,
                timeout=self.options.lock_timeout,
                run_id=self.shared.run_id,
            ):
                result = self._run(model, report)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  what is not known is raised again
            self._failed(model, self._meaning(error, model), time.monotonic() - started, report)
            return False
        self.journal.add(result)
        kind = "nothing" if result.status == "nothing" else "ok"
        if result.faults:
            # What it published stands, and what reads it goes on: only the exit code tells.
            self.codes.append(GateClosed.exit_code)
            kind = "stale"
        report(kind, describe(result), result.seconds, tuple(result.faults))
        return True

    def skip(self, index: int, model: Model, cause: str) -> None:
        """Record that a model does not run because of another one."""
        table = str(model.target.table)
        self.journal.add(NodeResult(model.id, table, "skipped", 0.0, reason=f"{cause} failed"))
        self.reporter(index, model)("skipped", f"{cause} did not publish")

    def cancel(self) -> None:
        """End what runs on other threads."""
        self.shared.stop.set()
        self.sessions.cancel()

    def _run(self, model: Model, report: _Reporter) -> NodeResult:
        def on_stage(stage: str) -> None:
            report("stage", stage)

        if self.options.empty:
            report("start", "without rows")
            return rehearse(model, self.rendered[model.id], self.shared, on_stage)
        return run_node(model, self.rendered[model.id], self.shared, _announce(report), on_stage=on_stage)

    def _meaning(self, error: BaseException, model: Model) -> RunnerError:
        """What an exception says of a model; the exception itself is raised where that is unknown."""
        if isinstance(error, KeyboardInterrupt) or self.shared.stop.asked:
            return Interrupted()  # or its jobs were ended under it
        if isinstance(error, RunnerError) and not isinstance(error, RunFailed):
            return error
        if how := self.sessions.died():
            # Whatever was said by the call that met a connection without an end.
            return engine_died(model, how)
        if isinstance(error, RunnerError):
            return error
        raise error

    def _failed(self, model: Model, error: RunnerError, elapsed: float, report: _Reporter) -> None:
        faults = faults_of(error, model)
        self.journal.add(failed_node(model, error, elapsed, faults))
        if isinstance(error, Interrupted):
            raise error from None
        # Where stderr goes elsewhere, the line alone says what kind of fault it was.
        report(_kind(error), ", ".join(dict.fromkeys(f.code for f in faults)), elapsed, faults)
        self.codes.append(error.exit_code)


@dataclass(frozen=True)
class _Reporter:
    """Events of one model."""

    on_event: Callable[[Event], None]
    index: int
    total: int
    name: str

    def __call__(
        self, kind: str, detail: str = "", elapsed: float | None = None, faults: tuple[Fault, ...] = ()
    ) -> None:
        self.on_event(Event(kind, self.index, self.total, self.name, detail, elapsed, faults))

    def warn(self, detail: str) -> None:
        self("warn", detail)


def _announce(report: _Reporter) -> Callable[[ModelPlan], None]:
    def announce(plan: ModelPlan) -> None:
        for listed in plan.files:
            for name in listed.hidden:
                report("info", f"passed over {name}: hidden, or a link to a folder")
        report("start", plan.summary())

    return announce


def describe(result: NodeResult) -> str:
    """The bracket of an OK line: ``+6,931 ~0 -0 | 17 quarantined | 9 checks``."""
    warned = [f"{c.name}: {c.detail or _warned(c.failed)}" for c in result.checks if c.warns]
    if result.mode == EMPTY:
        return result.reason
    if result.status == "nothing":
        return " | ".join([result.reason or "nothing new", *warned])
    counts = result.counts
    parts = ["+{rows_inserted:,} ~{rows_updated:,} -{rows_deleted:,}".format(**counts)]
    for key in ("dropped", "quarantined", "late"):
        if number := counts.get(f"rows_{key}"):
            parts.append(f"{number:,} {key}")
    if behind := counts.get("records_behind"):
        parts.append(f"{behind:,} behind")
    parts.append(_counted(len(result.checks), "check"))
    return " | ".join([*parts, *warned])


def _warned(rows: int) -> str:
    return f"{rows:,} row warns" if rows == 1 else f"{rows:,} rows warn"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _kind(error: RunnerError) -> str:
    return {GateClosed: "gated", Busy: "busy"}.get(type(error), "failed")


def faults_of(error: RunnerError, model: Model) -> tuple[Fault, ...]:
    """What an error says of a model."""
    match error:
        case Interrupted():
            return (
                Fault(
                    "interrupted",
                    model.place,
                    f"{model.id} was interrupted",
                    "nothing of it is published",
                    "run again; `runner retry` does what this run left undone",
                ),
            )
        case ProjectError() | GateClosed():
            return tuple(error.faults)
        case RunFailed() | Busy():
            return (error.fault,)
    return ()
