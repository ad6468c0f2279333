"""A run without rows: the query, its types and the MERGE are tried on the engine, and nothing is published.

In: a model and what its run shares. Out: a :class:`runner.record.NodeResult`. Tables that are not there are
created, empty, so that models which read them can be tried, too; those that are there stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from runner.engine import Conflict, Engine
from runner.errors import Busy, Fault
from runner.execute.stage import stage
from runner.execute.write import write
from runner.files import InputFile, list_files
from runner.inputs import read_table
from runner.node import Shared, clean, run_of
from runner.plan import Mode, ModelPlan
from runner.reads import FilesRead, TableRead, TopicRead
from runner.record import NodeResult
from runner.render import Rendered
from runner.spec import FilesInput, KafkaInput, Model, Source, TableInput

#: What the journal says of such a run.
MODE = "empty"


def rehearse(model: Model, rendered: Rendered, shared: Shared, on_stage: Callable[[str], None]) -> NodeResult:
    """Try one model under its target's lock; raises the errors of the stages."""
    started = time.monotonic()
    # Never into main, whatever is declared.
    model = replace(model, target=replace(model.target, publish="branch"))
    plan = _plan(model, rendered, shared)
    engine, table = shared.engine(), model.target.table
    clean(table, engine, shared.lake)
    try:
        on_stage("trying the query")
        outcome = _try(plan, engine, shared)
    except Conflict:
        raise Busy(
            Fault(
                "main-moved",
                model.target.place,
                f"{table} was changed by another writer meanwhile",
                "nothing was published",
                "run again",
            )
        ) from None
    finally:
        engine.close()
        clean(table, engine, shared.lake)
    return NodeResult(model.id, str(table), "success", time.monotonic() - started, mode=MODE, reason=outcome)


def _try(plan: ModelPlan, engine: Engine, shared: Shared) -> str:
    """What there is to say of a model whose query and MERGE hold."""
    run = run_of(shared, plan.model)
    staged = stage(plan, engine, run, held_rows=0)
    change = staged.change
    if plan.target is not None and change:
        # The MERGE wants the new columns, and to add them would show to readers.
        words = [f"adds {', '.join(change.add)}"] if change.add else []
        words += [f"widens {', '.join(change.widen)}"] if change.widen else []
        words += [f"renames {', '.join(change.rename)}"] if change.rename else []
        return f"the query holds | a run {', '.join(words)}"
    shared.stop.check()
    write(staged, engine, run, shared.lake.catalog)
    return "created" if plan.target is None else "query and MERGE hold"


def _plan(model: Model, rendered: Rendered, shared: Shared) -> ModelPlan:
    """All inputs, without their rows. Small files that are read whole are needed for their columns."""
    tables = tuple(
        TableRead(source, source.origin.table, None, None)
        for source in model.sources
        if isinstance(source.origin, TableInput) and _there(source, source.origin, shared, model)
    )
    files = tuple(
        FilesRead(source, _files(source.origin, source, shared), {}, 0)
        for source in model.sources
        if isinstance(source.origin, FilesInput)
    )
    topics = tuple(
        TopicRead(source, source.origin.topic, {}, {})
        for source in model.sources
        if isinstance(source.origin, KafkaInput)
    )
    target = shared.pins.catalog.table(model.target.table)
    return ModelPlan(model, rendered, Mode.APPEND, "", tables, files, target, None, topics)


def _there(source: Source, origin: TableInput, shared: Shared, model: Model) -> bool:
    # Created a moment ago: no pin may be older than that.
    shared.pins.release(origin.table)
    read_table(source, origin, shared.pins, None, model)
    return True


def _files(origin: FilesInput, source: Source, shared: Shared) -> tuple[InputFile, ...]:
    if origin.format == "text":
        return ()
    return list_files(origin.path, root=shared.project.root, place=source.place).files
