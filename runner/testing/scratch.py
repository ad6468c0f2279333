"""The lake of one test: its tables and files are made here, and changed by true commits between runs.

In: what a step gives. Out: Iceberg tables whose snapshots hold it, files beside them, and a target that was
left by an earlier run where the test says what exists.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.inputs import read_files
from runner.lake import Lake
from runner.ledger import InputPosition, Position
from runner.refs import TableRef, quote
from runner.render import Rendered
from runner.spec import FilesInput, KafkaInput, Model, Project, Read, Source, TableInput
from runner.testing.spec import File, Given, ModelTest, Row, Step, Table, Written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from runner.engine.spark.engine import SparkEngine

#: The run that is said to have written what exists before the first step.
BEFORE = "before_the_test"
_GIVEN = "_given"
_GONE = "_gone"


@dataclass
class Scratch:
    """A test's lake below ``folder``. ``project`` and ``model`` read its tables and files."""

    test: ModelTest
    folder: Path
    engine: SparkEngine
    project: Project
    model: Model
    held: dict[TableRef, tuple[Row, ...]] = field(default_factory=dict)
    files: int = 0

    @classmethod
    def make(cls, test: ModelTest, folder: Path, engine: SparkEngine) -> Scratch:
        """An empty lake, and the model with its inputs there."""
        model = replace(test.model, sources=tuple(_moved(s, folder, test) for s in test.model.sources))
        profile = replace(test.project.profile, warehouse=str(warehouse(folder)), type="local")
        return cls(test, folder, engine, replace(test.project, profile=profile), model)

    @property
    def lake(self) -> Lake:
        return Lake.of(self.project)

    def prepare(self, rendered: Rendered) -> None:
        """What is there before the first step: empty inputs that were read, and what exists."""
        target = self.model.target
        if not self.test.existing:
            return
        first = self.test.steps[0]
        inputs: dict[str, InputPosition] = {}
        for source in self.model.sources:
            given = first.given.get(source.name)
            match source.origin:
                case TableInput():
                    assert isinstance(given, Table)
                    # A table read whole must be what the target was built from, or it would be rebuilt.
                    self._make(replace(given, rows=given.rows if source.read is Read.ALL else ()))
                    inputs[source.name] = self._head(given.ref)
                case FilesInput() if source.read is Read.ALL:
                    self._give(source, given, first.now)
                    read = read_files(source, source.origin, self.project.root, self.lake.manifests, None)
                    inputs[source.name] = InputPosition(digest=read.digest)
                case _:
                    inputs[source.name] = InputPosition()
        self.engine.create_table(
            target.table,
            {c.name: c.type for c in target.columns},
            partitions=target.partitions,
            format_version=target.format_version,
        )
        whole = self.model.incremental is None
        position = Position(BEFORE, self.model.id, rendered.fingerprint, __version__, inputs)
        self.engine.append(
            target.table,
            [row.values for row in self.test.existing],
            # A model that reads everything whole is built anew from whatever exists.
            {} if whole else position.properties(),
        )

    def give(self, step: Step) -> None:
        """Make the inputs what a step says they are."""
        sources = {source.name: source for source in self.model.sources}
        for name, given in step.given.items():
            if isinstance(given, Table):
                self._make(given)
            else:
                self._give(sources[name], given, step.now)

    def rows(self, table: TableRef) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """Columns and rows of a table; nothing where it is not there."""
        state = self.lake.catalog.table(table)
        if state is None:
            return {}, []
        if state.head() is None:
            return dict(state.columns), []
        return dict(state.columns), self.engine.rows(f"SELECT * FROM {table.sql(self.engine.catalog)}")

    def frame(self, table: TableRef) -> DataFrame:
        """A table as a DataFrame of the engine's session, without the comments of its columns, which would
        tell it from one that a test makes."""
        frame = self.engine.spark.table(table.sql(self.engine.catalog))
        types = {of.name: of.dataType.simpleString() for of in frame.schema.fields}
        return frame.selectExpr(*(f"CAST({quote(c)} AS {of}) AS {quote(c)}" for c, of in types.items()))

    def _head(self, table: TableRef) -> InputPosition:
        state = self.lake.catalog.table(table)
        head = state.head() if state else None
        return InputPosition(snapshot=head.id, sequence=head.sequence) if head else InputPosition()

    # tables

    def _make(self, given: Table) -> None:
        """Commit what turns a table's rows into those that are given."""
        before = self.held.get(given.ref)
        if before is None:
            self.engine.create_table(given.ref, given.columns, partitions=given.partitions)
            self.engine.append(given.ref, [row.values for row in given.rows], {})
        else:
            self._change(given, before)
        self.held[given.ref] = given.rows

    def _change(self, given: Table, before: Sequence[Row]) -> None:
        key = given.key or tuple(given.columns)
        if given.key:
            old = {_identity(row.values, key): row.values for row in before}
            new = {_identity(row.values, key): row.values for row in given.rows}
            gone = [old[k] for k in old if k not in new]
            changed = [new[k] for k in new if k in old and _cells(new[k]) != _cells(old[k])]
            come = [new[k] for k in new if k not in old]
        else:
            # Without a key rows are told by all that they hold, and equal ones leave together.
            had = Counter(_identity(row.values, key) for row in before)
            has = Counter(_identity(row.values, key) for row in given.rows)
            lost = {k for k in had if has[k] < had[k]}
            gone = list(
                {
                    _identity(r.values, key): r.values for r in before if _identity(r.values, key) in lost
                }.values()
            )
            changed = []
            kept = Counter({k: n for k, n in had.items() if k not in lost})
            come = []
            for row in given.rows:
                identity = _identity(row.values, key)
                if kept[identity] > 0:
                    kept[identity] -= 1
                else:
                    come.append(row.values)
        if gone or changed:
            self._merge(given, key, gone, changed)
        if come:
            self.engine.append(given.ref, come, {})

    def _merge(
        self,
        given: Table,
        key: Sequence[str],
        gone: Sequence[Mapping[str, object]],
        changed: Sequence[Mapping[str, object]],
    ) -> None:
        self.files += 1
        incoming = TableRef(_GIVEN, f"incoming_{self.files}")
        self.engine.create_table(incoming, {**given.columns, _GONE: "boolean"})
        rows = [{**row, _GONE: True} for row in gone] + [{**row, _GONE: False} for row in changed]
        self.engine.append(incoming, rows, {})
        same = " AND ".join(f"t.{quote(c)} <=> s.{quote(c)}" for c in key)
        catalog = self.engine.catalog
        self.engine.commit(
            f"MERGE INTO {given.ref.sql(catalog)} AS t USING {incoming.sql(catalog)} AS s ON {same}"
            f" WHEN MATCHED AND s.{_GONE} THEN DELETE WHEN MATCHED THEN UPDATE SET *",
            {},
        )

    # files

    def _give(self, source: Source, given: Given | None, now: dt.datetime | None) -> None:
        """A new file of an input that is read file by file; the whole input where it is read whole."""
        if not isinstance(source.origin, FilesInput) or given is None:
            return
        folder = Path(source.origin.path)
        folder.mkdir(parents=True, exist_ok=True)
        if source.read is Read.ALL:
            for old in folder.iterdir():
                old.unlink()
        self.files += 1
        match given:
            case File():
                path = folder / f"step_{self.files:03d}{given.suffix}"
                path.write_bytes(given.content)
            case Written():
                path = self._parquet(given, folder)
            case _:
                return
        # Files of later steps arrive later.
        arrived = (now or dt.datetime.now(dt.UTC)).timestamp() + self.files / 1000
        os.utime(path, (arrived, arrived))

    def _parquet(self, given: Written, folder: Path) -> Path:
        table = TableRef(_GIVEN, f"rows_{self.files}")
        self.engine.create_table(table, given.columns)
        self.engine.append(table, [row.values for row in given.rows], {})
        staged = self.folder / f"parquet_{self.files}"
        state = self.lake.catalog.table(table)
        head = state.head() if state else None
        self.engine.bind_table("__given", table, head.id if head else None)
        self.engine.stage("__given", str(staged))
        made = next(staged.glob("*.parquet"))
        return made.rename(folder / f"step_{self.files:03d}.parquet")


def warehouse(folder: Path) -> Path:
    """Where the lake of a test lies in its folder."""
    return folder / "lake"


def _moved(source: Source, folder: Path, test: ModelTest) -> Source:
    """The source with its files in the test's folder; as it is where no step gives any."""
    given = any(source.name in step.given for step in test.steps)
    moved = str(folder / "inputs" / source.name)
    match source.origin:
        case FilesInput(_, format) if given:
            return replace(source, origin=FilesInput(moved, format))
        case KafkaInput():
            # A topic and files of text have the same columns, so that one SQL model serves both.
            return replace(source, origin=FilesInput(moved, "text"), read=Read.CHANGES)
    return source


def _identity(row: Mapping[str, object], key: Sequence[str]) -> tuple[str, ...]:
    return tuple(repr(row.get(column)) for column in key)


def _cells(row: Mapping[str, object]) -> dict[str, object]:
    return {column: value for column, value in row.items() if value is not None}
