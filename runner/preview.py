"""What a run would do, model by model, from metadata alone: nothing runs and nothing is written.

In: a project and the models selected. Out: a :class:`Preview` of each. A model that reads what an earlier one
is going to publish is planned as if that had happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner import __version__
from runner.catalog import MAIN, Catalog, Snapshot, TableState
from runner.check.table import require_references
from runner.code_store import CodeStore, code_of
from runner.errors import Fault, GateClosed, ProjectError, RunFailed, RunnerError
from runner.execute.fit import Change, refuse_on_branch, schema_change
from runner.execute.masks import effective_checks
from runner.graph import descendants
from runner.inputs import Pins
from runner.lake import Lake
from runner.lineage import compile_project
from runner.plan import Mode, ModelPlan, make_plan
from runner.refs import TableRef
from runner.render import Rendered
from runner.spec import Model, Project
from runner.topics import Brokers, Topics

#: The id of a snapshot that is not there yet.
_TO_COME = -1


@dataclass(frozen=True)
class Preview:
    """What a run would do with one model.

    ``plan`` is absent where ``faults`` say why, or where the model is skipped for ``skipped_for``.
    ``awaits``: tables among its inputs that this run publishes first; ``checks``: how many are asked;
    ``was`` and ``now``: the code that built the target and ours, where they differ (``was`` is empty where
    none is kept).
    """

    model: Model
    plan: ModelPlan | None = None
    faults: tuple[Fault, ...] = ()
    skipped_for: str = ""
    awaits: frozenset[TableRef] = frozenset()
    checks: int = 0
    change: Change = field(default_factory=Change)
    was: Mapping[str, Any] = field(default_factory=dict)
    now: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The mode, or why there is none."""
        if self.plan is None:
            return "skipped" if self.skipped_for else "fault"
        return self.plan.mode.value


@dataclass
class _Expected:
    """A catalog in which tables that a run is going to publish have their next snapshot."""

    real: Catalog
    branch: str = MAIN
    to_come: dict[TableRef, TableState] = field(default_factory=dict)

    def table(self, ref: TableRef) -> TableState | None:
        return self.to_come.get(ref) or self.real.table(ref)

    def tables(self) -> tuple[TableRef, ...]:
        return self.real.tables()

    def publish(self, model: Model) -> None:
        """The state of a model's table after its publication, with rows that nobody knows yet."""
        target = model.target
        state = self.real.table(target.table)
        head = state.head() if state else None
        if state is None:
            types = {c.name: c.type for c in target.columns}
            state = TableState(target.table, "", target.format_version, types, target.partitions, {}, {})
        parent, sequence = (head.id, head.sequence) if head else (None, 0)
        come = Snapshot(_TO_COME, parent, sequence + 1, 0, {"operation": "overwrite"})
        self.to_come[target.table] = replace(
            state,
            snapshots={**state.snapshots, come.id: come},
            branches={**state.branches, self.branch: come.id},
            reading=self.branch,
        )


def preview(
    project: Project,
    models: Sequence[Model],
    lake: Lake,
    *,
    full_refresh: bool = False,
    allow_schema_change: bool = False,
) -> Iterator[Preview]:
    """The previews of ``models`` in the order given; faults of one hide no other."""
    rendered, broken = _compiled(project, models)
    expected = _Expected(lake.catalog, lake.branch)
    frozen = lake.branch != MAIN and not allow_schema_change
    pins = Pins(expected, {})
    topics = Brokers(project.profile.kafka, project.profile.place)
    skipped: dict[str, str] = {}
    for model in models:
        if cause := skipped.get(model.id):
            yield Preview(model, skipped_for=cause)
            continue
        try:
            if faults := broken.get(model.id):
                raise ProjectError(faults)
            found = _preview(model, rendered[model.id], project, lake, pins, topics, full_refresh)
            if frozen and found.plan:
                refuse_on_branch(model, found.change, found.plan.target)
        except RunnerError as error:
            yield Preview(model, faults=_faults(error))
            skipped.update({m.id: model.id for m in descendants(project, model) if m.id not in skipped})
            continue
        tables = found.plan.tables if found.plan else ()
        awaits = frozenset(read.table for read in tables if read.table in expected.to_come)
        if found.plan and found.plan.mode is not Mode.NOTHING:
            expected.publish(model)
            pins.release(model.target.table)
        yield replace(found, awaits=awaits)


def _compiled(
    project: Project, models: Sequence[Model]
) -> tuple[Mapping[str, Rendered], dict[str, tuple[Fault, ...]]]:
    """The statements of the models, and the faults of those that have none."""
    try:
        return compile_project(project, models), {}
    except ProjectError:
        pass
    rendered: dict[str, Rendered] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    for model in models:
        try:
            rendered.update(compile_project(project, [model]))
        except ProjectError as error:
            faults[model.id] = tuple(error.faults)
    return rendered, faults


def _preview(
    model: Model,
    rendered: Rendered,
    project: Project,
    lake: Lake,
    pins: Pins,
    topics: Topics,
    full_refresh: bool,
) -> Preview:
    plan = make_plan(
        model,
        rendered,
        root=project.root,
        pins=pins,
        manifests=lake.manifests,
        topics=topics,
        code_version=__version__,
        full_refresh=full_refresh,
        developing=lake.branch != MAIN,
    )
    was, now = _codes(plan, lake.code)
    if plan.mode is Mode.NOTHING:
        return Preview(model, plan, was=was, now=now)
    require_references(model, pins.catalog)
    row_checks = effective_checks(model, rendered.statement.null_safe)
    checks = len(row_checks) + len(model.table_checks) + len(model.freshness_checks)
    return Preview(model, plan, checks=checks, change=schema_change(model, plan.target), was=was, now=now)


def _codes(plan: ModelPlan, store: CodeStore) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The code that built the target and ours; empty where it is the same."""
    if plan.previous is None or plan.previous.fingerprint == plan.rendered.fingerprint:
        return {}, {}
    return store.read(plan.previous.fingerprint) or {}, code_of(plan.model, plan.rendered)


def _faults(error: RunnerError) -> tuple[Fault, ...]:
    match error:
        case ProjectError() | GateClosed():
            return tuple(error.faults)
        case RunFailed():
            return (error.fault,)
    raise error
