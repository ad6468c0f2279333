"""Days that are built again: which column tells a model's day, and when that may be done.

In: a model, two days, who built its target. Out: :class:`Days`, a predicate over the target's columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.catalog import TableState
from runner.errors import fail
from runner.ledger import Position
from runner.refs import quote
from runner.spec import Model


@dataclass(frozen=True)
class Days:
    """Rows whose ``column`` (a date) lies from ``first`` to ``last``, both included, ISO."""

    column: str
    first: str
    last: str

    def within(self, alias: str = "") -> str:
        """True for a row of those days; never NULL."""
        prefix = f"{alias}." if alias else ""
        between = f"{prefix}{quote(self.column)} BETWEEN DATE'{self.first}' AND DATE'{self.last}'"
        return f"coalesce({between}, false)"

    def __str__(self) -> str:
        return f"{self.column} {self.first}" + (f" to {self.last}" if self.last != self.first else "")


def days_of(
    model: Model,
    span: tuple[str, str],
    target: TableState | None,
    previous: Position | None,
    fingerprint: str,
) -> Days:
    """The days of a model that are built again.

    Raises ProjectError where its rows cannot be made again, no column tells their day, nothing is built yet,
    or the whole table is due to be rebuilt.
    """
    if not model.replayable:
        raise fail(
            "not-rebuildable",
            model.place,
            f"{model.id} cannot be built again by days",
            why="`history: true` says that its rows are not a function of its inputs"
            if model.history
            else "its rows come from files or a stream that are read once",
            fix="send the records again (`producer replay`, `producer dlq replay`), or roll the table back:"
            f" `runner rollback {model.target.table} --to SNAPSHOT`",
        )
    column = next((c for c in model.target.partitions if model.target.column(c).type == "date"), None)
    if column is None:
        raise fail(
            "no-day",
            model.target.place,
            f"{model.target.table} is not partitioned by a day",
            why="days are told by a partition column of type date",
            fix=f"build all of it again: `runner -s {model.id} --full-refresh`",
        )
    if target is None or previous is None:
        raise fail(
            "not-built",
            model.place,
            f"{model.target.table} was not built yet",
            why="some days would look like all there is",
            fix=f"build it first: `runner -s {model.id}`",
        )
    if model.on_change == "rebuild" and previous.fingerprint != fingerprint:
        raise fail(
            "rebuild-due",
            model.place,
            f"{model.id} changed since {model.target.table} was built, so that all of it is to be rebuilt",
            why="the days would be of new code and the others of old code until then",
            fix=f"rebuild it: `runner -s {model.id}`; to keep old days as they are, declare on_change: keep",
        )
    return Days(column, *span)
