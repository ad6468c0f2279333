"""What a test gives to the inputs of its model: tables with true rows, files with true content.

In: the nodes under ``given`` and ``existing``. Out: :data:`runner.testing.spec.Given` by input; whatever the
first step leaves out is empty, or the project's own file of reference data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from runner.errors import Place, did_you_mean
from runner.lineage.columns import source_columns
from runner.load.nodes import Entries, Node
from runner.load.reader import At, Record
from runner.refs import TableRef
from runner.spec import FilesInput, KafkaInput, Model, Project, Read, Source, TableInput
from runner.testing.rows import RowReader
from runner.testing.spec import File, Given, Row, Table, Written
from runner.testing.types import Type, parse_type

Defaults = Mapping[str, Node]


class Inputs:
    """Reads what is given to one model. ``stepwise``: rows must be told from one another between steps."""

    def __init__(
        self, project: Project, model: Model, rows: RowReader, file: Record, *, stepwise: bool
    ) -> None:
        self.project, self.model, self.reader, self.stepwise = project, model, rows, stepwise
        self.known = source_columns(model, project)
        self.sources = {source.name: source for source in model.sources}
        # Tables that checks look into are there as well, by their own names.
        inside = {to for check, to in model.references if not check.scheduled and to != model.target.table}
        read = {s.origin.table for s in model.sources if isinstance(s.origin, TableInput)}
        self.looked_into = {str(table): table for table in inside - read}
        names = (*self.sources, *self.looked_into)
        self.declared = {name: _types(at) for name, at in file.named("columns").items()}
        self.defaults: dict[str, Defaults] = {}
        self.own: set[str] = set()  # inputs that are the project's own files
        for key, of in (("columns", names), ("defaults", (*names, "existing"))):
            for name, at in file.named(key).items():
                if name not in of:
                    self._unknown(name, at.place, of)
                elif key == "defaults":
                    self.defaults[name] = self._default(name, at)

    def read(self, given: Mapping[str, At], place: Place, *, first: bool) -> dict[str, Given]:
        """What a step gives, by input. ``first``: what it does not name is given as empty."""
        names = (*self.sources, *self.looked_into)
        found: dict[str, Given] = {}
        for name, at in given.items():
            if name not in names:
                self._unknown(name, at.place, names)
            elif (read := self._given(name, cast(Node, at.value))) is not None:
                found[name] = read
        if first:
            for name in names:
                if name not in given and (empty := self._left_out(name, place)) is not None:
                    found[name] = empty
        else:
            for name in given:
                self._later(name, given[name].place)
        return found

    def existing(self, record: Record) -> tuple[Row, ...]:
        """Rows of the target, each with its key."""
        target = self.model.target
        columns = {c.name: c.type for c in target.columns}
        node = cast(Node, record.get("existing"))
        rows = self._rows(node, columns, str(target.table), self.defaults.get("existing", {}))
        return self._keyed(rows, target.key, str(target.table))

    def _given(self, name: str, node: Node) -> Given | None:
        defaults = self.defaults.get(name, {})
        source = self.sources.get(name)
        if source is None:
            return self._table(name, self.looked_into[name], node, defaults)
        match source.origin:
            case TableInput(table):
                return self._table(name, table, node, defaults)
            case KafkaInput() | FilesInput(_, "text"):
                return File(self.reader.lines(node, name, defaults), ".ndjson")
            case FilesInput(_, "csv"):
                content = self.reader.csv_file(node, name, self.known[name], defaults)
                return File(content, ".csv")
            case FilesInput(_, "json"):
                return File(self.reader.lines(node, name, defaults), ".json")
        return Written(*self._typed(name, node, defaults))

    def _table(self, name: str, table: TableRef, node: Node, defaults: Defaults) -> Table | None:
        maker = self.project.producer(table)
        if maker is None:
            return Table(table, *self._typed(name, node, defaults))
        target = maker.target
        columns = {c.name: c.type for c in target.columns}
        rows = self._rows(node, columns, str(table), defaults)
        return Table(table, columns, self._identified(rows, maker), target.key, target.partitions)

    def _typed(self, name: str, node: Node, defaults: Defaults) -> tuple[Mapping[str, str], tuple[Row, ...]]:
        """Columns and rows of something that no model makes."""
        columns = self.declared.get(name)
        if columns is None:
            before = len(self.reader.faults)
            columns = self.reader.inferred(node, name)
            if len(self.reader.faults) > before:
                return {}, ()
        return columns, self._rows(node, columns, name, defaults)

    def _rows(self, node: Node, columns: Mapping[str, str], of: str, defaults: Defaults) -> tuple[Row, ...]:
        """Rows that are written to a table."""
        rows = self.reader.rows(node, columns, of, defaults)
        for row in rows:
            for column, value in row.values.items():
                if _null_in_map(value, parse_type(columns[column])):
                    self.reader.fault(
                        "wrong-value",
                        row.place,
                        f"`{column}`: a value of a map is NULL",
                        "rows are written through Iceberg, whose maps hold values only",
                        "leave the entry out, or make the map in the query",
                    )
        return rows

    def _identified(self, rows: tuple[Row, ...], maker: Model) -> tuple[Row, ...]:
        """Rows with their key. A key of one text column that no row names is numbered: which row is which
        matters only from one step to the next."""
        key, table = maker.target.key, str(maker.target.table)
        unnamed = all(
            key[0] not in row.values and (row.place, key[0]) not in self.reader.misread for row in rows
        )
        numbered = len(key) == 1 and maker.target.column(key[0]).type == "string"
        if rows and unnamed and numbered and not self.stepwise:
            return tuple(
                Row({key[0]: f"row-{number}", **row.values}, row.place) for number, row in enumerate(rows, 1)
            )
        return self._keyed(rows, key, table)

    def _keyed(self, rows: tuple[Row, ...], key: tuple[str, ...], of: str) -> tuple[Row, ...]:
        seen: dict[tuple[str, ...], Place] = {}
        for row in rows:
            if any((row.place, column) in self.reader.misread for column in key):
                continue  # said already
            if missing := [column for column in key if column not in row.values]:
                self.reader.fault(
                    "missing-key-column",
                    row.place,
                    f"this row of {of} has no `{missing[0]}`",
                    f"{', '.join(key)} is the key, which tells rows apart",
                    f"add `{missing[0]}:`" + "; for all rows alike, under `defaults:`" * (len(key) > 1),
                )
                continue
            value = tuple(repr(row.values[column]) for column in key)
            if other := seen.get(value):
                said = ", ".join(f"{c}: {row.values[c]}" for c in key)
                self.reader.fault(
                    "duplicate-row",
                    row.place,
                    f"two rows of {of} have the key {said}",
                    f"the first stands in line {other.line}; the table holds one row a key",
                    "give one of them another key, or remove it",
                )
            seen.setdefault(value, row.place)
        return rows

    def _left_out(self, name: str, place: Place) -> Given | None:
        source = self.sources.get(name)
        if source is None or isinstance(source.origin, TableInput):
            table = self.looked_into[name] if source is None else cast(TableInput, source.origin).table
            maker = self.project.producer(table)
            if maker is not None:
                columns = {c.name: c.type for c in maker.target.columns}
                return Table(table, columns, (), maker.target.key, maker.target.partitions)
            if name in self.declared:
                return Table(table, self.declared[name], ())
        elif isinstance(source.origin, KafkaInput) or source.origin.format == "text":
            return File(b"", ".ndjson")
        elif self._own_file(source):
            self.own.add(name)
            return None
        self.reader.fault(
            "input-not-given",
            place,
            f"nothing is given to '{name}'",
            "its columns are declared nowhere, so that it cannot be left empty",
            f"write its rows under `given:`, or at the top: columns: {{{name}: {{column: type}}}}",
        )
        return None

    def _later(self, name: str, place: Place) -> None:
        """The project's own file cannot become another one in the middle of a test."""
        if name in self.own:
            self.reader.fault(
                "input-not-given",
                place,
                f"'{name}' is given in a later step, and not in the first",
                "the first step read the project's own file, which a test does not change",
                f"give `{name}` in the first step as well",
            )

    def _own_file(self, source: Source) -> bool:
        """Whether a source is reference data: a file of the project, read whole."""
        assert isinstance(source.origin, FilesInput)
        full = (self.project.root / Path(source.origin.path).expanduser()).resolve()
        inside = full.is_relative_to(self.project.root.resolve())
        return source.read is Read.ALL and inside and full.exists()

    def _default(self, name: str, at: At) -> Defaults:
        node = cast(Node, at.value)
        if isinstance(node, Entries):
            return {key.text: value for key, value in node.entries}
        self.reader.fault(
            "wrong-type",
            at.place,
            f"the defaults of `{name}` are no mapping",
            "they say which column has which value",
            "write {column: value, …}",
        )
        return {}

    def _unknown(self, name: str, place: Place, known: tuple[str, ...]) -> None:
        self.reader.fault(
            "unknown-source",
            place,
            f"{self.model.id} has no source '{name}'",
            f"sources are declared at {self.model.place}",
            did_you_mean(name, known),
        )


def _null_in_map(value: object, of: Type) -> bool:
    match value:
        case dict() if of.name == "map":
            return None in value.values() or any(_null_in_map(v, of.of[1]) for v in value.values())
        case dict():
            types = dict(zip(of.fields, of.of, strict=True))
            return any(_null_in_map(item, types[name]) for name, item in value.items())
        case list():
            return any(_null_in_map(item, of.of[0]) for item in value)
    return False


def _types(at: At) -> dict[str, str]:
    return {name: cast(str, type_.value) for name, type_ in cast("Mapping[str, At]", at.value).items()}
