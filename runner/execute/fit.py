"""Whether a query's columns fit the declared ones, and what the table must gain to take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.catalog import TableState
from runner.errors import Fault, ProjectError, did_you_mean
from runner.execute.sql import ADDED
from runner.spec import Model

_WIDER = {
    "tinyint": {"smallint", "int", "bigint"},
    "smallint": {"int", "bigint"},
    "int": {"bigint"},
    "float": {"double"},
    "date": set(),
}
#: Widenings that Iceberg makes in place.
_IN_PLACE = {("int", "bigint"), ("float", "double")}


@dataclass(frozen=True)
class Change:
    """Columns that the table lacks, and those whose type widens: made after the rows passed."""

    add: Mapping[str, str] = field(default_factory=dict)
    widen: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.widen)


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


def fits(found: str, declared: str) -> bool:
    """Whether every value of one type is one of the other."""
    if found in (declared, "void"):
        return True
    return declared in _WIDER.get(found, set())


def _table_change(model: Model, table: TableState) -> tuple[Change, list[Fault]]:
    add: dict[str, str] = {}
    widen: dict[str, str] = {}
    faults = []
    for column in model.target.columns:
        there = table.columns.get(column.name)
        if there is None:
            add[column.name] = column.type
        elif there != column.type:
            if (there, column.type) in _IN_PLACE:
                widen[column.name] = column.type
            else:
                faults.append(
                    Fault("type-change", column.place,
                          f"'{column.name}' is {there} in {table.ref} and declared {column.type}",
                          "a column's type can only widen in place (int to bigint, float to double)",
                          "declare a column of another name, or build the table anew")
                )  # fmt: skip
    if extra := sorted(set(table.columns) - set(model.target.column_names)):
        faults.append(
            Fault("column-not-declared", model.target.place,
                  f"{table.ref} has {', '.join(extra)}, which the spec does not declare",
                  "a column that the query no longer fills would keep old values",
                  "declare it, or drop it from the table")
        )  # fmt: skip
    if table.partitions != model.target.partitions:
        faults.append(
            Fault("partitions-changed", model.target.place,
                  f"{table.ref} is partitioned by ({', '.join(table.partitions)}) and declared by"
                  f" ({', '.join(model.target.partitions)})",
                  "a table's partitions are not changed in place",
                  "restore the declaration, or build the table anew under another name")
        )  # fmt: skip
    return Change(add, widen), faults
