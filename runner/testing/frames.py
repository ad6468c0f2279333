"""Tests written in Python: rows or DataFrames in, the run of production, DataFrames out.

For tests that a YAML file cannot say: rows that are computed, or results that a library compares.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import Place, fail
from runner.errors import did_you_mean as near
from runner.lineage.columns import source_columns
from runner.refs import TableRef
from runner.spec import FilesInput, KafkaInput, Model, Project, TableInput
from runner.testing.conduct import Conductor
from runner.testing.load import Reload, find_model
from runner.testing.scratch import Scratch
from runner.testing.spec import Expect, File, Given, ModelTest, Row, Step, Table, Written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_HERE = Place("run_model")
Values = Mapping[str, object]


@dataclass(frozen=True)
class ModelRun:
    """What a run left behind: the rows of the target and of its quarantine (None where there is none), what
    was counted, and the checks that closed the gate."""

    target: DataFrame
    quarantined: DataFrame | None
    counts: Mapping[str, int]
    closed_by: tuple[str, ...] = ()


@dataclass
class Frames:
    """Runs models for one test function, each run in a lake below ``folder``."""

    conductor: Conductor
    project: Project
    reload: Reload
    folder: Path
    made: list[Scratch] = field(default_factory=list)

    def run_model(
        self,
        model: str,
        given: Mapping[str, object] | None = None,
        *,
        existing: object = (),
        vars: Mapping[str, object] | None = None,
        now: dt.datetime | None = None,
    ) -> ModelRun:
        """Run a model once.

        ``model``: its table. ``given``: input → rows (mappings, or a DataFrame), or lines of text (str or
        bytes) for inputs of text; an input that is not named is empty, or the project's own file.
        ``existing``: rows that the target holds before. ``now``: the run's clock, UTC.

        ProjectError for names that are not there; what fails in the run is raised as it is, except a gate
        that closes: its checks are in ``closed_by``.
        """
        project = self.reload(vars) if vars else self.project
        named = find_model(project, model)
        test = ModelTest(
            name="run_model",
            place=_HERE,
            project=project,
            model=named,
            steps=(Step(_all_given(project, named, given or {}), Expect(_HERE), now),),
            existing=_rows(existing),
        )
        scratch = self.conductor.scratch(test, self.folder / f"run_{len(self.made) + 1}")
        self.made.append(scratch)
        rendered = self.conductor.rendered(scratch)
        scratch.prepare(rendered)
        ran = self.conductor.step(scratch, rendered, test.steps[0])
        if ran.error is not None and not ran.closed_by:
            raise ran.error
        target = named.target
        if scratch.lake.catalog.table(target.table) is None:
            scratch.engine.create_table(target.table, {c.name: c.type for c in target.columns})
        aside = scratch.lake.catalog.table(target.table.quarantine)
        return ModelRun(
            scratch.frame(target.table),
            scratch.frame(target.table.quarantine) if aside else None,
            ran.result.counts if ran.result else {},
            ran.closed_by,
        )

    def close(self) -> None:
        """Release what the runs hold."""
        for scratch in self.made:
            scratch.engine.close()
        self.made.clear()


def _all_given(project: Project, model: Model, given: Mapping[str, object]) -> dict[str, Given]:
    known = source_columns(model, project)
    names = [source.name for source in model.sources]
    for name in given:
        if name not in names:
            raise fail("unknown-source", None, f"{model.id} has no source '{name}'", fix=near(name, names))
    found: dict[str, Given] = {}
    for source in model.sources:
        value, columns = given.get(source.name), known[source.name]
        match source.origin:
            case TableInput(table):
                found[source.name] = _table(project, table, value, source.name)
            case KafkaInput() | FilesInput(_, "text"):
                found[source.name] = File(_lines(value), ".ndjson")
            case FilesInput(_, format) if value is not None:
                if format != "parquet":
                    found[source.name] = File(_lines(value), f".{format}")
                    continue
                found[source.name] = Written(columns or _types(value, source.name), _rows(value))
    return found


def _table(project: Project, table: TableRef, value: object, name: str) -> Table:
    maker = project.producer(table)
    if maker is None:
        return Table(table, _types(value, name), _rows(value))
    target, rows = maker.target, _rows(value)
    columns = {c.name: c.type for c in target.columns}
    for row in rows:
        for column in row.values:
            if column not in columns:
                raise fail(
                    "unknown-column", None, f"{table} has no column '{column}'", fix=near(column, columns)
                )
    return Table(table, columns, rows, target.key, target.partitions)


def _types(value: object, name: str) -> dict[str, str]:
    schema: Any = getattr(value, "schema", None)
    if schema is None:
        raise fail(
            "unknown-types",
            None,
            f"nothing says which types the columns of '{name}' have",
            why="no model of this project makes it",
            fix="give a DataFrame: its schema says it",
        )
    return {of.name: of.dataType.simpleString() for of in schema.fields}


def _rows(value: object) -> tuple[Row, ...]:
    if value is None:
        return ()
    collect = getattr(value, "collect", None)
    rows: Iterable[Any] = [row.asDict(recursive=True) for row in collect()] if collect else value  # type: ignore[assignment]
    return tuple(Row({c: _zoned(v) for c, v in row.items()}, _HERE) for row in rows)


def _zoned(value: object) -> object:
    # Spark hands out timestamps in the process's time zone, which is UTC here.
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo is None else value


def _lines(value: object) -> bytes:
    if value is None:
        return b""
    if isinstance(value, str | bytes):
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    lines: Sequence[str] = list(value)  # type: ignore[call-overload]
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
