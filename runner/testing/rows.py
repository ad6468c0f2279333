"""Rows as people write them (a list, a CSV block, raw lines, a file) → typed rows, each with its place.

Every fault is collected: unknown columns with what was meant, values that do not fit their column, CSV
lines that are too long, columns that nothing declares.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import Fault, Place, did_you_mean
from runner.load.nodes import Entries, Items, Node, Scalar, described
from runner.load.paths import project_file
from runner.load.values import Wrong, read_as
from runner.testing.cells import WrongCell, cell, json_value, text_cell
from runner.testing.keys import FORMS
from runner.testing.spec import Row
from runner.testing.types import Type, parse_type

_INFERRED = {"bool": "boolean", "int": "bigint", "float": "double", "str": "string"}
_DATA = (".csv", ".ndjson", ".jsonl", ".json", ".txt")


@dataclass
class RowReader:
    """Reads the rows of one test file. ``root``: the project, where files of rows lie."""

    root: Path
    faults: list[Fault]
    misread: set[tuple[Place, str]] = field(default_factory=set)  # rows and columns of wrong values

    def fault(self, code: str, place: Place, what: str, why: str = "", fix: str = "") -> None:
        self.faults.append(Fault(code, place, what, why, fix))

    # typed rows

    def rows(
        self, node: Node, columns: Mapping[str, str], of: str, defaults: Mapping[str, Node] | None = None
    ) -> tuple[Row, ...]:
        """The rows of something with known columns; ``of`` names it in messages."""
        types = {name: parse_type(type_) for name, type_ in columns.items()}
        form = self._form(node, of)
        if form is None:
            return ()
        name, content = form
        if name in ("csv", "file"):
            found = self._text(name, content, of)
            return () if found is None else self._csv(*found, types, of, defaults or {})
        rows = []
        for item in self._items(content, of):
            if not isinstance(item, Entries):
                self._no_row(item, of)
                continue
            values = {}
            for column, value in self._merged(item, defaults or {}):
                if column.text not in types:
                    self.unknown(column.text, column.place, types, of)
                elif (read := self._cell(value, types[column.text], column.text)) is not None:
                    values[column.text] = read.value
                else:
                    self.misread.add((item.place, column.text))
            rows.append(Row(values, item.place))
        return tuple(rows)

    def raw(self, node: Node, of: str) -> tuple[Entries, ...]:
        """Rows whose types are not known yet."""
        form = self._form(node, of)
        if form is None or form[0] in ("csv", "file", "lines"):
            if form is not None:
                self.fault(
                    "wrong-type",
                    node.place,
                    f"`{of}` is written as {form[0]}",
                    "its columns have the types that the run gives them",
                    "write rows: a list of {column: value}",
                )
            return ()
        found = []
        for item in self._items(form[1], of):
            if isinstance(item, Entries):
                found.append(item)
            else:
                self._no_row(item, of)
        return tuple(found)

    def inferred(self, node: Node, of: str) -> dict[str, str]:
        """Column types told by the values themselves; a fault where they do not tell."""
        form = self._form(node, of)
        if form is None or form[0] != "rows":
            if form is not None:
                self.fault(
                    "unknown-types",
                    node.place,
                    f"nothing says which types the columns of {of} have",
                    "no model of this project makes it, and text does not tell",
                    f"declare them at the top of the file: columns: {{{of}: {{column: type}}}}",
                )
            return {}
        tags: dict[str, set[str]] = {}
        places: dict[str, Place] = {}
        for item in self._items(form[1], of):
            for key, value in item.entries if isinstance(item, Entries) else ():
                places.setdefault(key.text, value.place)
                tags.setdefault(key.text, set()).add(_tag(value))
        found = {}
        for column, seen in tags.items():
            seen.discard("null")
            if seen == {"int", "float"}:
                seen = {"float"}
            tag = next(iter(seen)) if len(seen) == 1 else ""
            if tag in _INFERRED:
                found[column] = _INFERRED[tag]
                continue
            said = {"timestamp": "may be a date, a timestamp or text", "": "is NULL, or of several types"}
            self.fault(
                "unknown-types",
                places[column],
                f"'{column}' of {of} {said.get(tag, 'is nested')}",
                "no model of this project makes it, so nothing says which type the column has",
                f"declare it at the top of the file: columns: {{{of}: {{{column}: type}}}}",
            )
        return found

    # what becomes a file

    def lines(self, node: Node, of: str, defaults: Mapping[str, Node]) -> bytes:
        """Lines of text: each is raw text, or a mapping that is written as one JSON document."""
        form = self._form(node, of)
        if form is None:
            return b""
        name, content = form
        if name == "file":
            found = self._text(name, content, of)
            return (found[0] if found else "").encode("utf-8", "surrogatepass")
        if name == "lines" and isinstance(content, Scalar):
            return (content.text.rstrip("\n") + "\n").encode()
        lines = []
        for item in self._items(content, of):
            if isinstance(item, Scalar):
                if "\n" in item.text:
                    self.fault(
                        "wrong-type",
                        item.place,
                        f"a line of {of} has a line break in it",
                        "each line is one value",
                        r'write "\\n" where the text holds the two signs \n',
                    )
                lines.append(item.text)
                continue
            value = self._json(_deep(item, defaults) if isinstance(item, Entries) else item)
            lines.append(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        return "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")

    def csv_file(
        self, node: Node, of: str, columns: Mapping[str, str] | None, defaults: Mapping[str, Node]
    ) -> bytes:
        """A CSV file; ``columns``: those that the file has, where that is known."""
        form = self._form(node, of)
        if form is None:
            return b""
        name, content = form
        if name in ("csv", "file", "lines"):
            found = self._text(name, content, of)
            if found and columns:
                self._csv(*found, {column: parse_type(type_) for column, type_ in columns.items()}, of, {})
            return (found[0] if found else "").encode()
        rows: list[dict[str, str]] = []
        names = list(columns or ())
        for item in self._items(content, of):
            if not isinstance(item, Entries):
                self._no_row(item, of)
                continue
            row: dict[str, str] = {}
            for key, value in self._merged(item, defaults):
                if columns is not None and key.text not in columns:
                    self.unknown(key.text, key.place, columns, of)
                elif not isinstance(value, Scalar):
                    self.fault(
                        "wrong-type",
                        value.place,
                        f"`{key.text}` is {described(value)}",
                        "a CSV field is text",
                        "write one value",
                    )
                else:
                    row[key.text] = "" if value.plain and value.text in ("null", "~") else value.text
                    names += [key.text] if key.text not in names else []
            rows.append(row)
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue().encode()

    # parts

    def _form(self, node: Node, of: str) -> tuple[str, Node] | None:
        """How rows are written: a form and its content."""
        if isinstance(node, Items):
            return "rows", node
        if isinstance(node, Entries) and len(node.entries) == 1:
            key, content = node.entries[0]
            if key.text in FORMS:
                return key.text, content
            if not isinstance(content, Entries):
                hint = did_you_mean(key.text, FORMS)
                self.fault(
                    "wrong-type",
                    key.place,
                    f"`{of}` is a mapping with '{key.text}'",
                    "rows are a list, or one of " + ", ".join(f"`{form}:`" for form in FORMS),
                    hint if hint.startswith("did") else "write a list: - {column: value}",
                )
                return None
        shown = described(node)
        self.fault("wrong-type", node.place, f"`{of}` is {shown}",
                   "rows are a list, or one of " + ", ".join(f"`{form}:`" for form in FORMS),
                   "write a list: - {column: value}; [] where there is no row")  # fmt: skip
        return None

    def _items(self, node: Node, of: str) -> tuple[Node, ...]:
        if isinstance(node, Items):
            return node.items
        self.fault(
            "wrong-type",
            node.place,
            f"the rows of {of} are {described(node)}",
            "rows are a list",
            "write a list: - {column: value}; [] where there is no row",
        )
        return ()

    def _no_row(self, node: Node, of: str) -> None:
        self.fault(
            "wrong-type",
            node.place,
            f"a row of {of} is {described(node)}",
            "a row says which column has which value",
            "write {column: value, …}",
        )

    def _merged(self, item: Entries, defaults: Mapping[str, Node]) -> Iterator[tuple[Scalar, Node]]:
        yield from item.entries
        written = {key.text for key, _ in item.entries}
        yield from ((Scalar(k, True, v.place), v) for k, v in defaults.items() if k not in written)

    def _cell(self, node: Node, of: Type, column: str) -> _Read | None:
        try:
            return _Read(cell(node, of))
        except WrongCell as error:
            wrong = error.wrong
            self.fault("wrong-value", error.place, f"`{column}`: {wrong.what}",
                       wrong.why or f"the column is declared as {of}", wrong.fix)  # fmt: skip
            return None

    def _json(self, node: Node) -> object:
        try:
            return json_value(node)
        except WrongCell as error:
            self.fault("wrong-value", error.place, error.wrong.what,
                       error.wrong.why or "a line is written as JSON", error.wrong.fix)  # fmt: skip
            return None

    def unknown(self, column: str, place: Place, known: Mapping[str, object], of: str) -> None:
        """A column that is not there."""
        self.fault(
            "unknown-column",
            place,
            f"{of} has no column '{column}'",
            "a value that goes nowhere is a typing error",
            did_you_mean(column, known),
        )

    def _text(self, form: str, node: Node, of: str) -> tuple[str, Place, int] | None:
        """Text that holds rows: of a block, or of a file; where it stands, and its first line there."""
        if not isinstance(node, Scalar):
            self.fault("wrong-type", node.place, f"`{form}` of {of} is {described(node)}", "it is text",
                       f"write `{form}: |` and lines below, or `file: PATH`")  # fmt: skip
            return None
        if form != "file":
            return node.text, node.place, node.place.line + 1
        suffix = next((s for s in _DATA if node.text.endswith(s)), _DATA[0])
        wrong = project_file(self.root, node.text, node.place, suffix=suffix)
        if wrong is not None:
            why = "rows of a test are part of the project, so that they are versioned with it"
            fix = wrong.fix if wrong.fix.startswith("did") else "write a path from the project's root"
            self.faults.append(Fault(wrong.code, wrong.place, wrong.what, why, fix))
            return None
        try:
            text = (self.root / node.text).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.fault("unreadable", node.place, f"'{node.text}' cannot be read: {error}",
                       "rows are UTF-8 text", "correct the file, or its permissions")  # fmt: skip
            return None
        return text, Place(node.text), 1

    def _csv(
        self,
        text: str,
        place: Place,
        first: int,
        types: Mapping[str, Type],
        of: str,
        defaults: Mapping[str, Node],
    ) -> tuple[Row, ...]:
        reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
        rows: list[Row] = []
        try:
            header = [name.strip() for name in next(reader, [])]
            for name in header:
                if name not in types:
                    self.unknown(name, Place(place.file, first, 1), types, of)
            others: dict[str, object] = {}
            for column, value in defaults.items():
                if column not in types:
                    self.unknown(column, value.place, types, of)
                elif column not in header and (read := self._cell(value, types[column], column)):
                    others[column] = read.value
            for line in reader:
                at = Place(place.file, first + reader.line_num - 1, 1)
                if not line:
                    continue
                if len(line) != len(header):
                    self.fault(
                        "wrong-csv", at, f"the line has {len(line)} fields, the header {len(header)}",
                        "which value belongs to which column is unknown",
                        "quote a value that holds a comma; leave a field empty for NULL",
                    )  # fmt: skip
                    continue
                rows.append(Row({**others, **self._fields(header, line, types, at)}, at))
        except csv.Error as error:
            self.fault("wrong-csv", Place(place.file, first + reader.line_num - 1, 1),
                       f"this is not CSV: {error}", "a quote is not closed, or stands inside a field",
                       'write "" for a quote inside a quoted field')  # fmt: skip
        return tuple(rows)

    def _fields(
        self, header: list[str], line: list[str], types: Mapping[str, Type], at: Place
    ) -> dict[str, object]:
        values = {}
        for name, text in zip(header, line, strict=True):
            if name in types:
                try:
                    values[name] = text_cell(text, types[name])
                except Wrong as wrong:
                    self.fault("wrong-value", at, f"`{name}`: {wrong.what}",
                               f"the column is declared as {types[name]}", wrong.fix)  # fmt: skip
        return values


@dataclass(frozen=True)
class _Read:
    """A value that was read; NULL is one, too."""

    value: object


def _deep(item: Entries, defaults: Mapping[str, Node]) -> Entries:
    """A mapping with what it leaves out, mappings inside it likewise."""
    written = {key.text: value for key, value in item.entries}
    entries: list[tuple[Scalar, Node]] = []
    for key, value in item.entries:
        default = defaults.get(key.text)
        if isinstance(value, Entries) and isinstance(default, Entries):
            value = _deep(value, {k.text: v for k, v in default.entries})
        entries.append((key, value))
    entries += [(Scalar(k, True, v.place), v) for k, v in defaults.items() if k not in written]
    return Entries(tuple(entries), item.place)


def _tag(node: Node) -> str:
    if not isinstance(node, Scalar):
        return "nested"
    return read_as(node.text) if node.plain else "str"
