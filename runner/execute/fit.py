"""Whether a query's columns fit the declared ones, and what the table must gain to take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runner.catalog import MAIN, TableState
from runner.errors import Fault, ProjectError, did_you_mean
from runner.execute.sql import ADDED
from runner.load.types import fits
from runner.spec import Column, Model

#: Widenings that Iceberg makes in place.
_IN_PLACE = {("int", "bigint"), ("float", "double")}


@dataclass(frozen=True)
class Change:
    """Columns that the table lacks, those whose type widens, and new names (old → new).

    It is made after the rows passed: renamed first, so that types widen by new names.
    """

    add: Mapping[str, str] = field(default_factory=dict)
    widen: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.widen or self.rename)


def fit(model: Model, returned: Mapping[str, str], table: TableState | None) -> Change:
    """The change that the table needs; ProjectError where query, spec and table do not fit."""
    faults = [*_query_faults(model, returned)]
    change = Change()
    if table is not None:
        change, more = _table_change(model, table)
        faults += more
    if faults:
        raise ProjectError(tuple(faults))
    return change


def _query_faults(model: Model, returned: Mapping[str, str]) -> list[Fault]:
    faults = []
    for reserved in sorted(set(returned) & set(ADDED)):
        faults.append(
            Fault("reserved-column", model.place, f"{model.sql} returns a column '{reserved}'",
                  "the runner adds a column of that name while staging", "give it another name")
        )  # fmt: skip
    for column in model.target.columns:
        found = returned.get(column.name)
        if found is None:
            faults.append(
                Fault("column-not-returned", column.place, f"{model.sql} returns no column '{column.name}'",
                      "every declared column must come from the query",
                      did_you_mean(column.name, set(returned) - set(model.target.column_names)))
            )  # fmt: skip
        elif not fits(found, column.type):
            faults.append(
                Fault("type-clash", column.place,
                      f"'{column.name}' is declared {column.type}, and {model.sql} returns {found}",
                      "storing it would lose or change values",
                      f"CAST it in the query, or declare the column as {found}")
            )  # fmt: skip
    return faults


def schema_change(model: Model, table: TableState | None) -> Change:
    """The change that a run would make to the table; ProjectError where spec and table do not fit."""
    if table is None:
        return Change()
    change, faults = _table_change(model, table)
    if faults:
        raise ProjectError(tuple(faults))
    return change


def refuse_on_branch(model: Model, change: Change, table: TableState | None) -> None:
    """ProjectError where a table that main's readers see would change for a development branch."""
    if table is None or not change or MAIN not in table.branches:
        return
    seen = [f"'{name}' as a column of NULL" for name in change.add]
    seen += [f"'{name}' as {type_}" for name, type_ in change.widen.items()]
    seen += [f"'{new}' in place of '{old}'" for old, new in change.rename.items()]
    raise ProjectError(
        (
            Fault("schema-change-on-branch", model.target.place,
                  f"{model.id} would change the columns of {table.ref}, whose branches share one schema",
                  f"readers of main would see {', '.join(seen)} at once, and main's runs are refused until"
                  " their spec declares the same",
                  "develop it on a lake of your own with --lake DIR, or let it through with"
                  " --allow-schema-change"),
        )
    )  # fmt: skip


@dataclass(frozen=True)
class Evolution:
    """How a table comes to hold declared columns.

    ``unused``: its columns (name → type) that nobody declares; ``clashing``: declared columns with the type
    that they have there, where that is another one and cannot widen.
    """

    change: Change
    unused: dict[str, str]
    clashing: tuple[tuple[Column, str], ...]


def evolve(columns: Iterable[Column], there: Mapping[str, str]) -> Evolution:
    """What a table with the columns ``there`` (name → type) must gain to hold ``columns``."""
    add: dict[str, str] = {}
    widen: dict[str, str] = {}
    rename: dict[str, str] = {}
    left = dict(there)
    clashing = []
    for column in columns:
        if column.name not in left and column.renamed_from in left:
            rename[column.renamed_from] = column.name
            left[column.name] = left.pop(column.renamed_from)
        known = left.pop(column.name, None)
        if known is None:
            add[column.name] = column.type
        elif (known, column.type) in _IN_PLACE:
            widen[column.name] = column.type
        elif known != column.type:
            clashing.append((column, known))
    return Evolution(Change(add, widen, rename), left, tuple(clashing))


def _table_change(model: Model, table: TableState) -> tuple[Change, list[Fault]]:
    found = evolve(model.target.columns, table.columns)
    change, extra = found.change, found.unused
    faults = []
    for column, there in found.clashing:
        faults.append(
            Fault("type-change", column.place,
                  f"'{column.name}' is {there} in {table.ref} and declared {column.type}",
                  "a column's type can only widen in place (int to bigint, float to double)",
                  "declare a column of another name, or build the table anew")
        )  # fmt: skip
    for column in model.target.columns:
        if column.renamed_from in extra:
            del extra[column.renamed_from]
            faults.append(
                Fault("both-columns", column.renamed_at or column.place,
                      f"{table.ref} has both '{column.renamed_from}' and '{column.name}', its new name",
                      "which of the two holds the values is unknown",
                      f"drop the one that does not: `ALTER TABLE {table.ref} DROP COLUMN"
                      f" {column.renamed_from}` (or {column.name})")
        )  # fmt: skip
    if extra:
        name = next(iter(extra))
        new = next(iter(change.add), "its new name")
        faults.append(
            Fault("column-not-declared", model.target.place,
                  f"{table.ref} has {', '.join(sorted(extra))}, which the spec does not declare",
                  "a column that the query no longer fills would keep old values",
                  f"declare it; where it has another name now, write `{new}: {{…, renamed_from: {name}}}`; to"
                  f" lose its values, `ALTER TABLE {table.ref} DROP COLUMN {name}`")
        )  # fmt: skip
    if table.partitions != model.target.partitions:
        faults.append(
            Fault("partitions-changed", model.target.place,
                  f"{table.ref} is partitioned by ({', '.join(table.partitions)}) and declared by"
                  f" ({', '.join(model.target.partitions)})",
                  "a table's partitions are not changed in place",
                  "restore the declaration, or build the table anew under another name")
        )  # fmt: skip
    return change, faults
