"""What the publication of a development branch would do, and the rules that stand in its way.

In: a project, the tables' states, a branch's name. Out: an :class:`Outlook`. Nothing runs and nothing moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from runner import __version__, ledger
from runner.branch import Branch, Line, find
from runner.catalog import MAIN, Catalog, TableState
from runner.errors import Fault
from runner.graph import descendants, order
from runner.lineage import compile_project
from runner.refs import TableRef
from runner.refuse import newer_code
from runner.render import Rendered
from runner.spec import Model, Project, TableInput


@dataclass(frozen=True)
class Outlook:
    """What a publication would do. ``moving``: tables whose main follows the branch, in order, quarantines
    before their targets; ``again``: models that run first, of which those of ``afresh`` begin at main's head.
    """

    branch: Branch
    moving: tuple[Line, ...] = ()
    again: tuple[Model, ...] = ()
    afresh: frozenset[TableRef] = frozenset()
    faults: tuple[Fault, ...] = ()


def look(project: Project, catalog: Catalog, name: str) -> Outlook:
    """The publication of a branch as the tables stand now; ProjectError where no table has it."""
    branch = find(catalog, name)
    by_table = {line.table: line for line in branch.lines}
    ahead = {line.target for line in branch.lines if line.ahead and line.table == line.target}
    models = [m for m in order(project) if m.target.table in ahead]
    faults = [_no_model(line, name) for t, line in by_table.items() if t in ahead and not project.producer(t)]
    rendered = compile_project(project, models)
    faults += [f for m in models if (f := _other_code(m, rendered[m.id], by_table[m.target.table], name))]
    faults += [f for m in models if (f := _newer_on_main(m, rendered[m.id], by_table[m.target.table]))]
    moved = [m for m in models if any(line.moved for line in _lines(m, by_table))]
    faults += [_foreign(line) for m in moved for line in _lines(m, by_table) if line.foreign]
    stale = {m.id for m in moved} | {d.id for m in moved for d in descendants(project, m)}
    again = tuple(m for m in models if m.id in stale)
    moving = tuple(line for m in models for line in reversed(_lines(m, by_table)) if line.ahead)
    kept = [m for m in models if m.id not in stale]
    faults += _inputs(kept, by_table, {line.table for line in moving}, catalog, name)
    return Outlook(branch, moving, again, frozenset(m.target.table for m in moved), tuple(faults))


def _lines(model: Model, by_table: Mapping[TableRef, Line]) -> list[Line]:
    """The lines of a target and its quarantine."""
    tables = (model.target.table, model.target.table.quarantine)
    return [by_table[table] for table in tables if table in by_table]


def _no_model(line: Line, name: str) -> Fault:
    return Fault(
        "no-model",
        None,
        f"{line.table} has a branch '{name}', and no model of this project maintains it",
        "whether its inputs will be on main cannot be told without its model",
        f"publish from the code that built it, or `runner branch drop {name}`",
    )


def _other_code(model: Model, rendered: Rendered, line: Line, name: str) -> Fault | None:
    """The refusal to publish what other code built; None where a run would not build it anew either."""
    position = ledger.position(line.state, name)
    if position is None or position.fingerprint == rendered.fingerprint:
        return None
    if not model.replayable or model.on_change != "rebuild":
        return None
    return Fault(
        "other-code",
        model.place,
        f"the code here is not that which built {line.table} on the branch '{name}' in run {position.run_id}",
        "main would hold rows that the next run builds anew; variables (--vars) are a part of the code",
        f"check out that code, or `runner run --branch {name}` with this one",
    )


def _newer_on_main(model: Model, rendered: Rendered, line: Line) -> Fault | None:
    """The refusal to put older code over newer, as a run on main has it."""
    on_main = ledger.position(line.state, MAIN)
    if on_main is None or on_main.fingerprint == rendered.fingerprint or model.on_change != "rebuild":
        return None
    refused = newer_code(model, rendered.fingerprint, line.state, __version__) if model.replayable else None
    return refused.faults[0] if refused else None


def _foreign(line: Line) -> Fault:
    return Fault(
        "foreign-commits",
        None,
        f"main of {line.table} moved since the branch was made, and {len(line.foreign)} commits of others are"
        f" on the branch, the newest {line.foreign[0].id} ({line.foreign[0].operation})",
        "the branch would be built again from main's head, and no run would make those again",
        "make the change in the query or at the source, or drop the branch and begin again",
    )


def _inputs(
    models: Iterable[Model],
    by_table: Mapping[TableRef, Line],
    moving: Collection[TableRef],
    catalog: Catalog,
    name: str,
) -> Iterator[Fault]:
    """A fault for each input whose snapshot will not be on main after the publication."""
    reached: dict[TableRef, set[int]] = {}
    for model in models:
        position = ledger.position(by_table[model.target.table].state, name)
        for source in model.sources:
            known = position.inputs.get(source.name) if position else None
            if not isinstance(source.origin, TableInput) or known is None or known.snapshot is None:
                continue
            table = source.origin.table
            if table not in reached:
                reached[table] = _after(catalog.table(table), name if table in moving else MAIN)
            if known.snapshot not in reached[table]:
                yield Fault(
                    "input-not-on-main",
                    source.place,
                    f"{model.target.table} on the branch '{name}' was made from snapshot {known.snapshot} of"
                    f" {table}, which will not be on main",
                    "it was abandoned since: main would hold rows that its input does not explain",
                    f"`runner run -s {model.id} --branch {name}`, then publish",
                )


def _after(state: TableState | None, branch: str) -> set[int]:
    return {s.id for s in state.ancestry(state.branches.get(branch))} if state else set()
