"""One model, from plan to publication: execute, check, publish, and again where main moved.

In: a model and what its run shares. Out: a :class:`runner.record.NodeResult`. Everything that a failed
or killed attempt left behind is removed under the target's lock.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from runner.catalog import MAIN, TableState
from runner.check.freshness import commit_times, judge_freshness
from runner.check.gate import CheckResult, judge
from runner.check.table import check_table, require_references
from runner.crash import crash_point
from runner.engine import Conflict, Engine
from runner.errors import Busy, Fault, GateClosed, RunnerError
from runner.execute import Run, Staged, Written, directly
from runner.execute.fit import refuse_on_branch, schema_change
from runner.execute.stage import stage
from runner.execute.write import prepare, quarantine, write
from runner.inputs import Pins
from runner.lake import Lake
from runner.plan import Mode, ModelPlan, make_plan
from runner.publish import Outcome, publish
from runner.record import NodeResult
from runner.refs import TableRef
from runner.render import Rendered
from runner.schedule import Stop
from runner.spec import Model, Project
from runner.topics import Topics

_log = logging.getLogger(__name__)

_ATTEMPTS = 5
_AUDIT = "audit_"
_BRAKE_ROWS = 1000

_STATUS = {GateClosed.exit_code: "gated", Busy.exit_code: "busy"}


@dataclass(frozen=True)
class Shared:
    """What the models of one run share. ``engine``: the session of the thread that asks, which starts Spark
    when it is first called."""

    project: Project
    lake: Lake
    pins: Pins
    engine: Callable[[], Engine]
    topics: Topics
    stop: Stop
    run_id: str
    now: dt.datetime
    code_version: str
    full_refresh: bool
    allow_deletes: bool
    allow_schema_change: bool = False
    limit: int | None = None
    span: tuple[str, str] | None = None
    skip_lost: bool = False

    @property
    def frozen(self) -> bool:
        """Whether tables keep their schema: a development branch has none of its own."""
        return self.lake.branch != MAIN and not self.allow_schema_change


def _ignore(stage: str) -> None:
    """Nobody watches."""


def run_node(
    model: Model,
    rendered: Rendered,
    shared: Shared,
    on_plan: Callable[[ModelPlan], None],
    *,
    on_stage: Callable[[str], None] = _ignore,
) -> NodeResult:
    """Run one model under its target's lock; raises the errors of the stages.

    ``on_stage`` hears what the model is at, in a few words.
    """
    started = time.monotonic()
    for _ in range(_ATTEMPTS):
        plan = make_plan(
            model,
            rendered,
            root=shared.project.root,
            pins=shared.pins,
            manifests=shared.lake.manifests,
            topics=shared.topics,
            limit=shared.limit,
            span=shared.span,
            skip_lost=shared.skip_lost,
            code_version=shared.code_version,
            full_refresh=shared.full_refresh,
            developing=shared.lake.branch != MAIN,
        )
        if plan.mode is Mode.NOTHING:
            # A run killed after its publication left staged rows; its branch waits for the next engine.
            shared.lake.clear_scratch(model.target.table)
            known = plan.previous.maxima if plan.previous else {}
            return _aged(_result(plan, "nothing", started), plan, known, shared)
        if shared.frozen:
            refuse_on_branch(model, schema_change(model, plan.target), plan.target)
        on_plan(plan)
        try:
            done = _attempt(plan, shared, on_stage)
        except Conflict:
            done = None
        if done is not None:
            shared.lake.published(model.target.table)
            shared.pins.release(model.target.table)
            written, checks = done
            result = _result(plan, "success", started, written, checks)
            return _aged(result, plan, written.staged.maxima, shared)
        # Another run may have read newer inputs than ours: never put an older state over a newer one.
        for read in plan.tables:
            shared.pins.release(read.table)
    raise Busy(
        Fault(
            "main-keeps-moving",
            model.target.place,
            f"{model.target.table} was changed by other writers {_ATTEMPTS} times while this run worked",
            "each time the work was planned again; nothing was published",
            "run again when the other writer is done",
        )
    )


def _attempt(
    plan: ModelPlan, shared: Shared, on_stage: Callable[[str], None]
) -> tuple[Written, tuple[CheckResult, ...]] | None:
    """Stage, judge, write, check, publish; None where main moved meanwhile."""
    table, lake = plan.model.target.table, shared.lake
    require_references(plan.model, lake.catalog)
    on_stage("waiting for Spark")
    engine = shared.engine()
    run = run_of(shared, plan.model)
    clean(table, engine, lake)
    aside = lake.catalog.table(table.quarantine)
    afresh = table in lake.afresh
    held = _rows(aside)
    published = False
    try:
        shared.stop.check()
        on_stage("staging")
        staged = stage(plan, engine, run, held_rows=held)
        row_checks = () if staged.pending else judge(staged, engine)
        for _ in range(_ATTEMPTS):
            shared.stop.check()
            on_stage("writing" if staged.pending else f"merging {staged.count('kept'):,} rows")
            prepare(staged, engine, run, lake.catalog)
            at_once = directly(plan.model, run)
            if at_once:
                # Its commit is the publication: killed after it, nobody would read these rows again.
                quarantine(staged, engine, run, lake.catalog, held)
            written = write(staged, engine, run, lake.catalog)
            on_stage("checking")
            if staged.pending:
                staged = written.staged
                row_checks = judge(staged, engine)
            checks = check_table(written, engine, lake.catalog, row_checks)
            _brake(written, checks, allow=shared.allow_deletes or shared.full_refresh)
            crash_point("after_checks", plan.model.id)
            shared.stop.check()
            on_stage("publishing")
            if afresh and aside:
                engine.drop_branch(table.quarantine, lake.branch)
            if not at_once:
                quarantine(staged, engine, run, lake.catalog, held)
            match publish(written, engine, lake.catalog, lake.branch, afresh=afresh):
                case Outcome.DONE:
                    published = True
                    return written, checks
                case Outcome.MOVED:
                    return None
            # Main was compacted meanwhile: the rows are the same, so what was staged still holds.
            engine.drop_branch(table, run.branch)
            state = lake.catalog.table(table)
            change = schema_change(plan.model, state)  # none: the columns were altered before
            staged = replace(staged, plan=replace(plan, target=state), change=change)
        return None
    finally:
        # What is left behind is removed by the next run under the same lock; the outcome stands.
        try:
            engine.close()
            clean(table, engine, lake)
            if plan.target is None and not published:
                _unmake(table, engine, lake)
        except Exception:  # noqa: BLE001  whatever it is, it must not hide how the model ended
            _log.exception("clean-up after %s failed; the next run removes what is left", table)


def run_of(shared: Shared, model: Model) -> Run:
    """What the statements of one model share."""
    lake = shared.lake
    aside = lake.catalog.table(model.target.table.quarantine)
    return Run(
        shared.run_id,
        f"{shared.now:%Y-%m-%d %H:%M:%S}.{shared.now.microsecond // 1000:03d}",
        str(lake.scratch(model.target.table) / shared.run_id),
        shared.code_version,
        lake.manifests,
        lake.code,
        lake.branch,
        aside.reading if aside and aside.reading != MAIN else None,
        shared.frozen,
        shared.project.profile.kafka,
    )


def _rows(state: TableState | None) -> int:
    head = state.head() if state else None
    return head.rows if head else 0


def _aged(result: NodeResult, plan: ModelPlan, maxima: Mapping[str, str], shared: Shared) -> NodeResult:
    """The result with the freshness of what is published now: told, and nothing is withheld for it."""
    if not plan.model.freshness_checks:
        return result

    def modified(source: str) -> list[int]:
        read = next(read for read in plan.files if read.source.name == source)
        return [f.modified_ms for f in read.fresh] + [f.modified_ms for f in read.consumed.values()]

    checks, faults = judge_freshness(
        plan.model,
        now=shared.now,
        maxima=maxima,
        commits=lambda: commit_times(plan.model, shared.pins.state, modified),
    )
    return replace(result, checks=(*result.checks, *checks), faults=faults)


def clean(table: TableRef, engine: Engine, lake: Lake) -> None:
    """Drop audit branches and scratch: under the target's lock none of them is anybody's."""
    lake.clear_scratch(table)
    state = lake.catalog.table(table)
    for branch in state.branches if state else ():
        if branch.startswith(_AUDIT):
            engine.drop_branch(table, branch)


def _unmake(table: TableRef, engine: Engine, lake: Lake) -> None:
    """Remove a table that this attempt made and nobody has written to."""
    state = lake.catalog.table(table)
    if state is not None and not state.branches:
        engine.drop_table(table)


def _brake(written: Written, checks: tuple[CheckResult, ...], *, allow: bool) -> None:
    """Close the gate on a run that would delete much of its target: an input may have lost rows."""
    plan = written.staged.plan
    before = plan.base.rows if plan.base else 0
    limit = plan.model.target.max_deleted
    if allow or written.deleted <= _BRAKE_ROWS or limit.allows(written.deleted, before):
        return
    inputs = ", ".join(str(read.table) for read in plan.tables) or plan.model.id
    raise GateClosed(
        (
            Fault(
                "too-many-deletes",
                plan.model.target.place,
                f"this run would delete {written.deleted:,} of {before:,} rows of {plan.model.target.table}",
                f"max_deleted is {limit}; its input {inputs} lost rows, or the query gives fewer",
                "look at the input; if the rows are to go, run again with --allow-deletes",
            ),
        ),
        checks,
    )


def _result(
    plan: ModelPlan,
    status: str,
    started: float,
    written: Written | None = None,
    checks: tuple[CheckResult, ...] = (),
) -> NodeResult:
    return NodeResult(
        model=plan.model.id,
        table=str(plan.model.target.table),
        status=status,
        seconds=time.monotonic() - started,
        mode=plan.mode.value,
        reason=plan.reason,
        counts=_counts(written, written.staged) | _behind(plan) if written else {},
        snapshot=written.snapshot if written else None,
        checks=checks,
    )


def _counts(written: Written, staged: Staged) -> dict[str, int]:
    return {
        "rows_inserted": written.inserted,
        "rows_updated": written.updated,
        "rows_deleted": written.deleted,
        "rows_read": staged.count("read"),
        "rows_dropped": staged.count("dropped"),
        "rows_quarantined": staged.count("aside"),
        "rows_late": staged.late,
        "files_scanned": staged.files_scanned,
        "files_total": staged.files_total,
    }


def _behind(plan: ModelPlan) -> dict[str, int]:
    """Records of topics that a later run reads."""
    return {"records_behind": sum(read.behind for read in plan.topics)} if plan.topics else {}


def failed_node(model: Model, error: RunnerError, seconds: float, faults: tuple[Fault, ...]) -> NodeResult:
    """The result of a model that ended with an error."""
    return NodeResult(
        model=model.id,
        table=str(model.target.table),
        status=_STATUS.get(error.exit_code, "error"),
        seconds=seconds,
        checks=error.results if isinstance(error, GateClosed) else (),
        faults=faults,
    )
