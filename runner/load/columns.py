"""Column names in a spec: whether the target declares them, and whether age can be told by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.errors import Fault, Place, did_you_mean
from runner.load.reader import At
from runner.load.types import is_type
from runner.spec import Model


def known_columns(items: Iterable[At], columns: Iterable[str], where: str) -> Iterator[Fault]:
    """Faults of the names that are not among ``columns``."""
    columns = tuple(columns)
    for at in items:
        if at.value not in columns:
            yield Fault(
                "unknown-column",
                at.place,
                f"{where} names the column '{at.value}', which the target does not declare",
                "every column of a table stands under `columns:`",
                did_you_mean(str(at.value), columns),
            )


def is_time(model: Model, name: str, place: Place, where: str) -> Iterator[Fault]:
    """The fault of a declared column that is neither a date nor a timestamp."""
    column = next((c for c in model.target.columns if c.name == name), None)
    if column and not is_type(column.type, "date", "timestamp", "timestamp_ntz", "unknown"):
        yield Fault(
            "wrong-column-type",
            place,
            f"{where} names '{name}', which is of type {column.type}",
            "age is told by a date or a timestamp",
            "name a column of type date or timestamp",
        )


def renames(model: Model) -> Iterator[Fault]:
    """Faults of ``renamed_from``: names that are still declared, and columns that keep their names."""
    target = model.target
    declared = {name.lower() for name in target.column_names}
    seen: dict[str, str] = {}
    for column in target.columns:
        old, place = column.renamed_from, column.renamed_at or column.place
        if not old:
            continue
        if old.lower() in declared:
            yield Fault(
                "renamed-from-declared",
                place,
                f"'{column.name}' is said to be renamed from '{old}', which is declared as well",
                "a column has one name, and Spark SQL does not tell upper from lower case",
                f"remove `renamed_from`, or the column '{old}'",
            )
        elif old.lower() in seen:
            yield Fault(
                "duplicate-value",
                place,
                f"'{column.name}' and '{seen[old.lower()]}' are both said to be renamed from '{old}'",
                "the values of one column cannot go to two",
                "remove one of them, and fill that column in the query",
            )
        elif column.name in (*target.key, *target.partitions):
            part = "key" if column.name in target.key else "partitions"
            yield Fault(
                "cannot-rename",
                place,
                f"'{column.name}' stands in `{part}` and is said to be renamed from '{old}'",
                "rows and files are found by the names of keys and partitions, in the quarantine as well",
                f"go on with the name '{old}', or build a table of another name",
            )
        seen.setdefault(old.lower(), column.name)
