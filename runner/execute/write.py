"""Write staged rows: the table made fit, the MERGE on the audit branch, the quarantine's MERGE.

The first rows of a table are inserted, since a MERGE into nothing is the same, only slower; where nothing
of them has to be known before, the query runs only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runner import ledger
from runner.catalog import MAIN, Catalog
from runner.crash import crash_point
from runner.engine import Engine
from runner.execute import Run, Staged, Written, directly
from runner.execute.aside import fit_quarantine, quarantine_columns
from runner.execute.sql import partition_predicate, quarantine_sql
from runner.execute.stage import refuse_changed
from runner.ledger import InputPosition, Position
from runner.merge import insert_text, merge_text
from runner.plan import Mode
from runner.spec import Read, Target


def write(staged: Staged, engine: Engine, run: Run, catalog: Catalog) -> Written:
    """MERGE the staged rows into a fresh audit branch; readers of main see nothing of it.

    With ``publish: direct`` the MERGE goes into main itself. Raises :class:`runner.engine.Conflict` when
    another writer's commit came first.
    """
    plan, target = staged.plan, staged.plan.model.target
    position = position_of(staged, run)
    crash_point("between_manifest_and_commit", plan.model.id)
    branch = None if directly(plan.model, run) else run.branch
    if branch:
        engine.create_branch(target.table, branch, plan.base.id if plan.base else None)
        crash_point("after_branch_creation", plan.model.id)
    properties = position.properties() | ledger.branched(plan.target, run.onto)
    if branch and staged.pending:
        counts = engine.insert(staged.view, target.table, branch, target.column_names, properties)
        refuse_changed(plan, staged.consumed)
        staged = replace(staged, counts=counts, pending=False)
    else:
        engine.commit(_statement(staged, engine, branch), properties)
    crash_point("after_merge", plan.model.id)
    state = catalog.table(target.table)
    head = state.head(branch or MAIN) if state else None
    inserted, updated, deleted = ledger.merge_counts(head)
    return Written(staged, branch, head.id if head else None, inserted, updated, deleted)


def _statement(staged: Staged, engine: Engine, branch: str | None) -> str:
    """What brings staged rows into the target."""
    plan, target = staged.plan, staged.plan.model.target
    to = target.table.sql(engine.catalog, branch)
    rows = f"(SELECT * FROM {staged.view} WHERE NOT _aside)"
    if branch and plan.base is None and not plan.model.history:
        # Nobody else writes to the branch, so that no other writer can insert the same keys.
        return insert_text(target_sql=to, source_sql=rows, columns=target.column_names)
    return merge_text(
        target_sql=to,
        statement=plan.rendered.statement,
        source_sql=rows,
        pruning=pruning(staged),
        tombstones=staged.staging.old_keys is not None,
        rebuild=plan.mode is Mode.REBUILD and plan.base is not None,
        spared=_spared(staged),
        columns=target.column_names,
        key=target.key,
        history=plan.model.history,
    )


def prepare(staged: Staged, engine: Engine, run: Run, catalog: Catalog) -> None:
    """Make the table fit for the staged rows: created, or with the columns that the spec declares now."""
    plan, target = staged.plan, staged.plan.model.target
    if plan.target is None:
        engine.create_table(
            target.table,
            {c.name: c.type for c in target.columns},
            partitions=target.partitions,
            comments={c.name: c.description for c in target.columns},
            format_version=target.format_version,
        )
    elif staged.change:
        change = staged.change
        if change.rename:
            # While the spec still tells the old names; and before the target, which a refusal here spares.
            fit_quarantine(staged, engine, catalog, frozen=run.frozen)
        engine.alter_table(target.table, add=change.add, widen=change.widen, rename=change.rename)


def _spared(staged: Staged) -> str:
    """Which rows of the target a rebuild does not delete, whether or not the query gives them."""
    alias, days = staged.plan.rendered.statement.target_alias, staged.plan.days
    beyond = [staged.horizon.reached(alias)] if staged.horizon else []
    beyond += [f"NOT {days.within(alias)}"] if days else []
    return f"({' OR '.join(beyond)})" if beyond else ""


def pruning(staged: Staged) -> str:
    """Literal partition predicates for ON, only where they are exact.

    Old and new partition values are both known where old keys were read with their partitions, and for
    the rows of a first run; else only of columns that are part of the key, or that are declared fixed.
    """
    plan = staged.plan
    target = plan.model.target
    if plan.mode is Mode.REBUILD:
        return ""
    known = plan.mode is Mode.INCREMENTAL and plan.model.on_change == "rebuild" and not plan.model.history
    columns = [
        (i, c) for i, c in enumerate(target.partitions) if known or target.partitions_fixed or c in target.key
    ]
    tuples = {tuple(t[i] for i, _ in columns) for t in staged.partitions}
    types = {c: target.column(c).type for _, c in columns}
    return partition_predicate(plan.rendered.statement.target_alias, types, tuples)


def position_of(staged: Staged, run: Run) -> Position:
    """The position that the commit carries; writes the files that it names: code, and consumed files."""
    plan = staged.plan
    run.code.write(plan.model, plan.rendered)
    if plan.days and plan.previous:
        # Of the other days nothing was read: what is new in them is still to be consumed.
        return _position(staged, run, plan.previous.inputs)
    inputs: dict[str, InputPosition] = {read.source.name: read.position() for read in plan.tables}
    inputs |= {stream.source.name: stream.position() for stream in plan.topics}
    for listed in plan.files:
        if listed.source.read is Read.ALL:
            inputs[listed.source.name] = InputPosition(digest=listed.digest)
        else:
            files = {**listed.consumed, **{c.path: c for c in staged.consumed[listed.source.name]}}
            inputs[listed.source.name] = InputPosition(manifest=run.manifests.write(files.values()))
    return _position(staged, run, inputs)


def _position(staged: Staged, run: Run, inputs: Mapping[str, InputPosition]) -> Position:
    plan = staged.plan
    return Position(run.id, plan.model.id, plan.rendered.fingerprint, run.code_version, inputs, staged.maxima)


def quarantine(staged: Staged, engine: Engine, run: Run, catalog: Catalog, held_rows: int) -> bool:
    """Maintain the target's quarantine; whether a statement was needed."""
    rebuild = staged.plan.everything and held_rows > 0
    if not (staged.count("aside") or staged.count("leaving") or rebuild):
        return False
    target: Target = staged.plan.model.target
    staging = staged.staging
    table, there = target.table.quarantine, staged.plan.target
    unused = fit_quarantine(staged, engine, catalog, frozen=run.frozen)
    if unused is None:
        engine.create_table(table, {c.name: c.type for c in quarantine_columns(staging)})
    state = catalog.table(table)
    if run.onto != MAIN and (state is None or state.reading != run.onto):
        head = state.head() if state else None
        engine.create_branch(table, run.onto, head.id if head else None)
    sql = quarantine_sql(
        staging,
        staged=staged.view,
        target=there.sql(engine.catalog) if there else target.table.sql(engine.catalog),
        quarantine=table.sql(engine.catalog, None if run.onto == MAIN else run.onto),
        run_id=run.id,
        rebuild=rebuild,
        unused=unused or {},
    )
    about = {ledger.RUN_ID: run.id, ledger.MODEL: staged.plan.model.id}
    engine.commit(sql, about | ledger.branched(state, run.onto))
    crash_point("after_quarantine_commit", staged.plan.model.id)
    return True
