"""The quarantine table evolves with its target: it gains, widens and renames columns, and loses none.

In: staged rows, and the table's state. Out: what must be NULL in rows that are written to it now.
"""

from __future__ import annotations

from runner.catalog import Catalog
from runner.engine import Engine
from runner.errors import Fault, ProjectError
from runner.execute import Staged
from runner.execute.fit import evolve, refuse_on_branch
from runner.execute.sql import Staging
from runner.load.types import fits
from runner.spec import Column


def quarantine_columns(staging: Staging) -> tuple[Column, ...]:
    """Declared columns, helpers of the query, and why and when a row was set aside."""
    target, place = staging.model.target, staging.model.place
    helpers = {c: staging.types[c] for c in staging.helpers}
    added = {"failed_checks": "array<string>", "run_id": "string"}
    return (*target.columns, *(Column(name, type_, place) for name, type_ in {**helpers, **added}.items()))


def fit_quarantine(
    staged: Staged, engine: Engine, catalog: Catalog, *, frozen: bool = False
) -> dict[str, str] | None:
    """Make an existing quarantine fit; its columns (name → type) that are not filled any more.

    None where there is no quarantine yet; ProjectError where a column's type cannot be kept, or where the
    table would change and is ``frozen``.
    """
    table = staged.plan.model.target.table.quarantine
    state = catalog.table(table)
    if state is None:
        return None
    found = evolve(quarantine_columns(staged.staging), state.columns)
    faults = [
        Fault(
            "type-change",
            column.place,
            f"'{column.name}' is {there} in {table}, and now it is {column.type}",
            "the rows that were set aside hold values of the old type",
            "give the column another name, or drop it from the quarantine table",
        )
        for column, there in found.clashing
        if not fits(column.type, there)
    ]
    if faults:
        raise ProjectError(tuple(faults))
    if change := found.change:
        if frozen:
            refuse_on_branch(staged.plan.model, change, state)
        engine.alter_table(table, add=change.add, widen=change.widen, rename=change.rename)
    return found.unused
