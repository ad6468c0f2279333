"""Rules of descriptions: every model and every column says what it holds."""

from __future__ import annotations

from collections.abc import Iterator

from runner.errors import Fault
from runner.lint.look import said
from runner.spec import Model


def documentation_faults(model: Model) -> Iterator[Fault]:
    """What of a model has no description."""
    if not model.description:
        yield said("undocumented-model", model.place, f"{model.id} has no description")
    for column in model.target.columns:
        if not column.description:
            yield said(
                "undocumented-column",
                column.place,
                f"the column '{column.name}' of {model.target.table} has no description",
            )
