"""Run the query once into staged Parquet, with everything the gate and the MERGE need to know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from runner import files
from runner.crash import crash_point
from runner.engine import Engine
from runner.errors import Fault, RunFailed
from runner.execute import Run, Staged
from runner.execute.bind import ROWS, bind
from runner.execute.fit import fit
from runner.execute.masks import effective_checks
from runner.execute.sql import Staging, late_sql
from runner.files import Consumed, InputFile
from runner.plan import FilesRead, ModelPlan
from runner.spec import Read

_READ, _OUT, _STAGED = "__read", "__out", "__staged"


def stage(plan: ModelPlan, engine: Engine, run: Run, *, held_rows: int) -> Staged:
    """The rows of a plan, staged.

    Raises ProjectError where the query does not resolve or does not fit the declared columns, and
    RunFailed where it fails. Nothing of the lake is written.
    """
    model = plan.model
    consumed = {
        read.source.name: files.consume(read.fresh) for read in plan.files if read.source.read is Read.CHANGES
    }
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
    folder = f"{run.scratch}/rows"
    counts = engine.stage(_OUT, folder)
    engine.read_staged(_STAGED, folder)
    for read in plan.files:
        _refuse_changed(read, consumed.get(read.source.name, ()))
    late, maxima = _late(plan, counts, engine)
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


def _late(plan: ModelPlan, counts: Mapping[str, Any], engine: Engine) -> tuple[int, dict[str, str]]:
    """How many rows are late, and the highest times seen so far, for the commit to remember."""
    maxima = dict(plan.previous.maxima) if plan.previous else {}
    late, lowest, highest = plan.model.late, counts.get("late_min"), counts.get("late_max")
    if late is None or lowest is None or highest is None:
        return 0, maxima
    seen = maxima.get(late.column)
    seconds = int(late.after.total_seconds())
    top = f"greatest(TIMESTAMP'{highest}', TIMESTAMP'{seen}')" if seen else f"TIMESTAMP'{highest}'"
    found = engine.rows(
        f"SELECT CAST({top} AS STRING) AS top,"
        f" TIMESTAMP'{lowest}' < {top} - make_dt_interval(0, 0, 0, {seconds}) AS possible"
    )[0]
    maxima[late.column] = found["top"]
    order = plan.model.dedupe.order if plan.model.dedupe else ()
    # Where even the lowest value is near the highest, no row is read for it.
    if not found["possible"] or not order:
        return 0, maxima
    return int(engine.rows(late_sql(_STAGED, late.column, order, seconds, seen))[0]["late"]), maxima


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
