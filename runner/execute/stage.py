"""Run the query once into staged Parquet, with everything the gate and the MERGE need to know."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

from runner import files, ledger
from runner.crash import crash_point
from runner.engine import Engine
from runner.errors import Fault, RunFailed
from runner.execute import Run, Staged, directly
from runner.execute.bind import ROWS, bind
from runner.execute.fit import fit, schema_change
from runner.execute.masks import effective_checks, quarantine_bits
from runner.execute.sql import Staging, late_sql, newest_sql, timed
from runner.files import Consumed, InputFile
from runner.plan import Mode, ModelPlan
from runner.reads import FilesRead
from runner.refs import quote
from runner.spec import Check, Read

_READ, _OUT, _STAGED = "__read", "__out", "__staged"


def stage(plan: ModelPlan, engine: Engine, run: Run, *, held_rows: int) -> Staged:
    """The rows of a plan, staged; or, of a table's first rows, only what is to be written (``pending``).

    Raises ProjectError where the query does not resolve or does not fit the declared columns, and
    RunFailed where it fails. Nothing of the lake is written.
    """
    model = plan.model
    consumed = {
        read.source.name: files.consume(read.fresh) for read in plan.files if read.source.read is Read.CHANGES
    }
    engine.expect(plan.amount)
    bound = bind(plan, engine, run, held_rows=held_rows)
    returned = engine.schema(ROWS)
    change = fit(model, returned, plan.target)
    checks = effective_checks(model, plan.rendered.statement.null_safe)
    staging = Staging(
        model,
        returned,
        checks,
        rows=_READ,
        old_keys=bound.old_keys,
        groups=bound.groups,
        group_columns=bound.group_columns,
        held=bound.held,
        # Groups that reach beyond the horizon would be built from a part of their rows.
        left_alone="" if bound.horizon.below or not bound.horizon else bound.horizon.reached(),
    )
    engine.define(_READ, f"SELECT * FROM {ROWS}", observe=staging.counts_read())
    engine.define(_OUT, staging.sql(), observe=staging.counts_staged())
    if not change and _at_once(staging, plan, run, held_rows):
        pending = Staged(plan, _OUT, staging, checks, {}, change, consumed, pending=True)
        crash_point("after_staging", model.id)
        return pending
    folder = f"{run.scratch}/rows"
    counts = engine.stage(_OUT, folder)
    engine.read_staged(_STAGED, folder)
    refuse_changed(plan, consumed)
    seen = _remembered(plan)
    late, highest = _late(plan, counts, engine, seen)
    maxima = {**seen, **highest, **_newest(plan, counts, engine, {**seen, **highest})}
    staged = Staged(
        plan,
        _STAGED,
        staging,
        checks,
        counts,
        change,
        consumed,
        files_scanned=sum(d.files_scanned for d in bound.diffs.values()),
        files_total=sum(d.files_total for d in bound.diffs.values()),
        late=late,
        maxima=maxima,
        horizon=bound.horizon,
    )
    crash_point("after_staging", model.id)
    return staged


def _at_once(staging: Staging, plan: ModelPlan, run: Run, held_rows: int) -> bool:
    """Whether rows can be written without being staged.

    All of them go into a branch that holds none, none can be set aside, and the commit says nothing that is
    only known afterwards.
    """
    model = plan.model
    return (
        plan.base is None
        and not (model.history or directly(model, run))
        and not (held_rows or quarantine_bits(staging.checks))
        and not (model.late or timed(model))
    )


def _remembered(plan: ModelPlan) -> dict[str, str]:
    """The highest times of earlier runs that something still asks for; a rebuild reads every row again."""
    if plan.previous is None or plan.everything:
        return {}
    asked = {ledger.maximum_name(check) for check in timed(plan.model)}
    asked |= {plan.model.late.column} if plan.model.late else set()
    known = dict(plan.previous.maxima)
    for column in plan.model.target.columns:
        if column.renamed_from in known:
            known.setdefault(column.name, known[column.renamed_from])
    # A maximum that nobody kept up would pass for the newest when somebody asks for it again.
    return {name: value for name, value in known.items() if name in asked}


def _newest(
    plan: ModelPlan, counts: Mapping[str, Any], engine: Engine, seen: Mapping[str, str]
) -> dict[str, str]:
    """The newest values of the columns that freshness checks look at, earlier runs included."""
    found = {}
    for i, check in enumerate(timed(plan.model)):
        name = ledger.maximum_name(check)
        before = seen.get(name)
        if before is None and plan.base and plan.mode is not Mode.REBUILD:
            # The check is newer than the table: its rows are asked once.
            before = _newest_in_table(plan, check, engine)
        # Empty where no row has a value: that was looked for, too.
        found[name] = ledger.newest(before, counts.get(f"newest_{i}")) or ""
    return found


def _newest_in_table(plan: ModelPlan, check: Check, engine: Engine) -> str | None:
    if plan.target is None:
        return None
    renamed = schema_change(plan.model, plan.target).rename
    if check.args["column"] not in {*plan.target.columns, *renamed.values()}:
        return None
    table = plan.target.sql(engine.catalog)
    if renamed:
        # The table still has the old names.
        new = ", ".join(f"{quote(old)} AS {quote(name)}" for old, name in renamed.items())
        table = f"(SELECT *, {new} FROM {table})"
    rows = engine.rows(f"SELECT {newest_sql(check)} AS newest FROM {table}")
    return rows[0]["newest"] if rows else None


def _late(
    plan: ModelPlan, counts: Mapping[str, Any], engine: Engine, maxima: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """How many rows are late, and the highest time seen so far; ``maxima``: those of earlier runs."""
    late, lowest, highest = plan.model.late, counts.get("late_min"), counts.get("late_max")
    if late is None or lowest is None or highest is None:
        return 0, {}
    seen = maxima.get(late.column)
    seconds = int(late.after.total_seconds())
    top = ledger.newest(highest, seen) or highest
    highest_seen = {late.column: top}
    if plan.model.streams:  # compared with its own time of arrival, in the pass that staged it
        return int(counts.get("late") or 0), highest_seen
    order = plan.model.dedupe.order if plan.model.dedupe else ()
    # Where even the lowest value is near the highest, no row is read for it.
    if not order or _within(lowest, top, late.after):
        return 0, highest_seen
    number = engine.rows(late_sql(_STAGED, late.column, order, seconds, seen))[0]["late"]
    return int(number), highest_seen


def _within(lowest: str, highest: str, span: dt.timedelta) -> bool:
    """Whether two timestamps, as Spark prints them, lie that near; False where Python has no such year."""
    try:
        return dt.datetime.fromisoformat(highest) - dt.datetime.fromisoformat(lowest) <= span
    except ValueError:
        return False


def refuse_changed(plan: ModelPlan, consumed: Mapping[str, tuple[Consumed, ...]]) -> None:
    """RunFailed where a file is not what it was when it was listed; ``consumed`` as of :class:`Staged`."""
    for read in plan.files:
        _refuse_changed(read, consumed.get(read.source.name, ()))


def _refuse_changed(read: FilesRead, consumed: tuple[Consumed, ...]) -> None:
    """A file that grew while it was read: what was read of it is unknown."""
    for file in consumed or read.fresh:
        if not _same(file):
            raise RunFailed(
                Fault(
                    "file-changed-while-read",
                    read.source.place,
                    f"'{file.path}' changed while it was read",
                    "which of its lines were read is unknown; nothing was published",
                    "run again when its writer is done; write files under another name and rename them",
                ),
                retryable=True,
            )


def _same(file: Consumed | InputFile) -> bool:
    try:
        stat = os.stat(file.path)
    except FileNotFoundError:
        return False
    return (stat.st_size, stat.st_mtime_ns // 1_000_000) == (file.size, file.modified_ms)
