"""Bind a plan's inputs as views: pinned tables, change sets, files, and members of touched groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.engine import Diff, Engine
from runner.execute import Run
from runner.execute.horizon import Horizon, horizon
from runner.execute.sql import (
    Value,
    among,
    groups_sql,
    members_sql,
    names,
    old_keys_sql,
    partition_predicate,
    same,
    texts,
)
from runner.lineage.snippets import columns_of
from runner.plan import Mode, ModelPlan
from runner.reads import FilesRead, TableRead
from runner.refs import quote
from runner.render import view_name
from runner.spec import FilesInput, Read

ROWS = "__rows"
_OLD_ROWS, _OLD_KEYS, _GROUPS, _HELD, _TARGET = "__old_rows", "__old_keys", "__groups", "__held", "__target"
_PARTITIONS = "__partitions"


@dataclass
class Bound:
    """The views that staging reads; ``diffs``: what the change sets found, by source name."""

    diffs: dict[str, Diff] = field(default_factory=dict)
    groups: str | None = None
    group_columns: tuple[str, ...] = ()
    old_keys: str | None = None
    held: str | None = None
    horizon: Horizon = field(default_factory=Horizon)


def bind(plan: ModelPlan, engine: Engine, run: Run, *, held_rows: int) -> Bound:
    """Bind all inputs and define ``__rows``, the query's output.

    ``held_rows``: live rows of the target's quarantine.
    """
    bound = Bound(horizon=horizon(plan, engine))
    for read in plan.tables:
        _bind_table(read, plan, engine, bound)
    for listed in plan.files:
        _bind_files(listed, engine, run)
    for stream in plan.topics:
        engine.bind_topic(view_name(stream.source.name), stream.topic, stream.fresh, run.kafka)
    incremental = plan.mode is Mode.INCREMENTAL
    affected = [r for r in plan.tables if r.source.read is Read.AFFECTED] if incremental else []
    if affected:
        _bind_groups(affected, plan, engine, run, bound)
    define_query(plan, engine, ROWS)
    if affected:
        bound.old_keys = _target_keys(plan, engine, run, bound, held_rows)
    elif incremental:
        bound.old_keys = _old_image_keys(plan, engine, bound)
    if held_rows:
        key = names(plan.model.target.key)
        table = plan.model.target.table.quarantine.sql(engine.catalog, run.aside)
        engine.define(_HELD, f"SELECT {key}, true AS _in_quarantine FROM {table}")
        bound.held = _HELD
    return bound


def define_query(plan: ModelPlan, engine: Engine, view: str) -> None:
    """``view`` = the analyst's query over the views that are bound now."""
    using = plan.rendered.statement.using
    # At its own line and column, so that Spark's positions are the analyst's.
    engine.define(
        view, "\n" * (using.line - 1) + " " * (using.col - 1) + using.text, at=plan.rendered.places.at
    )


def _old(read: TableRead) -> str:
    return view_name(read.source.name) + "__old"


def _bind_table(read: TableRead, plan: ModelPlan, engine: Engine, bound: Bound) -> None:
    name = view_name(read.source.name)
    until = read.until.id if read.until else None
    by_change = read.source.read is not Read.ALL and plan.mode in (Mode.INCREMENTAL, Mode.APPEND)
    if not by_change or read.since is None or until is None:
        engine.bind_table(name, read.table, until)
    elif read.changed:
        bound.diffs[read.source.name] = engine.bind_diff(
            name, _old(read), read.table, read.since, until, above=read.above, retained=read.retained
        )
    else:
        engine.bind_table(name, read.table, None)
        bound.diffs[read.source.name] = Diff(new=False, old=False, files_scanned=0, files_total=0)


def _bind_files(listed: FilesRead, engine: Engine, run: Run) -> None:
    origin = listed.source.origin
    assert isinstance(origin, FilesInput)
    name = view_name(listed.source.name)
    if origin.format == "text":
        engine.bind_text(name, listed.fresh, run.received_at)
    else:
        engine.bind_files(name, listed.fresh, origin.format)


def _old_image_keys(plan: ModelPlan, engine: Engine, bound: Bound) -> str | None:
    """The keys that the same query gives for the old images of deleted and changed rows."""
    read = next((r for r in plan.tables if r.source.read is Read.CHANGES), None)
    if read is None or not bound.diffs[read.source.name].old:
        return None
    engine.define(view_name(read.source.name), f"SELECT * FROM {_old(read)}")
    define_query(plan, engine, _OLD_ROWS)
    engine.define(_OLD_KEYS, old_keys_sql(plan.model, [_OLD_ROWS]))
    return _OLD_KEYS


def _bind_groups(reads: Sequence[TableRead], plan: ModelPlan, engine: Engine, run: Run, bound: Bound) -> None:
    """Stage the touched groups and bind every ``affected`` input to the rows that belong to them."""
    columns = tuple(reads[0].source.by[0])
    changed = []
    for read in reads:
        diff = bound.diffs[read.source.name]
        changed.append([view_name(read.source.name)] * diff.new + [_old(read)] * diff.old)
    touching = [(r.source.by, views) for r, views in zip(reads, changed, strict=True) if views]
    if touching:
        sql = groups_sql([by for by, _ in touching], [views for _, views in touching])
    else:
        # Files were rewritten and no row changed: no group is touched.
        sql = f"SELECT {names(columns)} FROM {plan.model.target.table.sql(engine.catalog)} LIMIT 0"
    if bound.horizon:
        sql = f"SELECT * FROM ({sql}) AS g WHERE NOT {bound.horizon.reached('g')}"
    pruned = [c for c in columns if c in plan.model.target.partitions]
    engine.define(_GROUPS, sql, observe={f"group_{c}": f"collect_set({texts([c])})" for c in pruned})
    folder = f"{run.scratch}/groups"
    counts = engine.stage(_GROUPS, folder)
    engine.read_staged(_GROUPS, folder)
    bound.groups, bound.group_columns = _GROUPS, columns
    types = {c: plan.model.target.column(c).type for c in pruned}
    values = {c: [row[0] for row in counts.get(f"group_{c}", ())] for c in pruned}
    for read in reads:
        name, everything = view_name(read.source.name), view_name(read.source.name) + "__all"
        until = read.until.id if read.until else None
        engine.bind_table(everything, read.table, until, _source_predicate(read, engine, values, types))
        engine.define(name, members_sql(everything, list(engine.schema(everything)), read.source.by, _GROUPS))
    tests = [among(quote(c), types[c], of) for c, of in values.items()]
    base = plan.base.id if plan.base else None
    engine.bind_table(_TARGET, plan.model.target.table, base, " AND ".join(tests))


def _source_predicate(
    read: TableRead, engine: Engine, values: Mapping[str, Sequence[Value]], types: Mapping[str, str]
) -> str:
    """Literal partitions of the source outside of which no row belongs to a touched group.

    Where a mapping computes a group's column from partition columns alone, its expression is evaluated
    over the snapshot's partition tuples; empty text where some mapping has no such column.
    """
    if read.until is None:
        return ""
    if values and not any(values.values()):
        # No group is touched, and Spark fails on partitions that a literal `false` leaves out.
        return "false"
    columns = engine.bind_partitions(_PARTITIONS, read.table, read.until.id)
    if not columns:
        return ""
    tests = []
    for mapping in read.source.by:
        usable = [c for c in values if columns_of(mapping[c]) <= set(columns)]
        if not usable:
            return ""
        tests.append(" AND ".join(among(f"({mapping[c]})", types[c], values[c]) for c in usable))
    used = {
        c: of
        for c, of in columns.items()
        if any(c in columns_of(sql) for mapping in read.source.by for sql in mapping.values())
    }
    if not used:  # constants alone tell no partition from another
        return ""
    where = " OR ".join(f"({test})" for test in tests)
    found = engine.rows(f"SELECT DISTINCT {texts(used)} AS t FROM {_PARTITIONS} WHERE {where}")
    return partition_predicate("", used, {tuple(row["t"].values()) for row in found})


def _target_keys(plan: ModelPlan, engine: Engine, run: Run, bound: Bound, held_rows: int) -> str:
    """The keys that the target, and its quarantine, hold in the touched groups."""
    target = plan.model.target
    extra = [c for c in target.partitions if c not in target.key]
    within = f"LEFT SEMI JOIN {_GROUPS} AS g ON {same(bound.group_columns, 't', 'g')}"
    sources = [f"(SELECT {names((*target.key, *extra), 't')} FROM {_TARGET} AS t {within})"]
    if held_rows:
        nulls = "".join(f", CAST(NULL AS {target.column(c).type}) AS {quote(c)}" for c in extra)
        held = target.table.quarantine.sql(engine.catalog, run.aside)
        sources.append(f"(SELECT {names(target.key, 't')}{nulls} FROM {held} AS t {within})")
    engine.define(_OLD_KEYS, old_keys_sql(plan.model, sources))
    return _OLD_KEYS
