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
