"""Nodes + shapes → records: typed values that know their places. Every fault is collected.

A value that is wrong is left out, so that the rest of the file is still looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from runner.errors import Fault, Place, did_you_mean
from runner.load import keys
from runner.load.checks import read_checks
from runner.load.expand import Variables, WrongTemplate, expand
from runner.load.nodes import Entries, Items, Node, Scalar, described
from runner.load.values import Kind, Wrong, parse_scalar, plain_value


class At(NamedTuple):
    """A value and where it was written."""

    value: object
    place: Place


@dataclass(frozen=True)
class Record:
    """The values of an object by key; keys that are absent or wrong are not in it."""

    values: Mapping[str, At]
    place: Place
    key_places: Mapping[str, Place]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, default: object = None) -> object:
        found = self.values.get(key)
        return default if found is None else found.value

    def text(self, key: str, default: str = "") -> str:
        return cast(str, self.get(key, default))

    def place_of(self, key: str) -> Place:
        """Where the value stands; the record itself when it is absent."""
        found = self.values.get(key)
        return found.place if found else self.place

    def record(self, key: str) -> Record | None:
        return cast("Record | None", self.get(key))

    def many(self, key: str) -> tuple[At, ...]:
        """The values of a list, each with its place."""
        return cast("tuple[At, ...]", self.get(key, ()))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(cast(str, item.value) for item in self.many(key))

    def named(self, key: str) -> Mapping[str, At]:
        """The values of a mapping with free names."""
        return cast("Mapping[str, At]", self.get(key, {}))


class Reader:
    """Reads the nodes of one file. ``variables`` None: no scalar may hold Jinja."""

    def __init__(self, faults: list[Fault], variables: Variables | None) -> None:
        self.faults = faults
        self.variables = variables

    def read(self, node: Node, shape: keys.Shape, label: str) -> At | None:
        """The value of a node; None, with faults added, where it is wrong."""
        match shape:
            case keys.One():
                return self._one(node, shape, label)
            case keys.Many():
                return self._many(node, shape, label)
            case keys.Named():
                return self._named(node, shape, label)
            case keys.Object():
                return self._object(node, shape, label)
            case keys.Free():
                return self._free(node, label)
            case keys.Checks():
                return At(tuple(read_checks(self, node, label, of_column=shape.of_column)), node.place)
            case keys.Raw():
                return At(node, node.place)
            case keys.Refused():
                self.fault(
                    "not-in-this-version", node.place, f"`{label}` cannot be used yet", shape.why, shape.fix
                )
                return None

    def fault(self, code: str, place: Place, what: str, why: str = "", fix: str = "") -> None:
        self.faults.append(Fault(code, place, what, why, fix))

    def pairs(self, node: Entries, what: str) -> Iterator[tuple[str, Place, Node]]:
        """The entries whose keys are plain words; ``no:`` as a key is refused, not read as false."""
        for key, value in node.entries:
            try:
                parse_scalar(Kind.TEXT, key.text, plain=key.plain)
            except Wrong as wrong:
                self.fault("wrong-type", key.place, f"a key of {what}: {wrong.what}", wrong.why, wrong.fix)
            else:
                yield key.text, key.place, value

    def keyed(self, node: Entries, known: Mapping[str, keys.Key], title: str) -> Record:
        """The declared keys of a mapping; unknown ones are faults."""
        values: dict[str, At] = {}
        places: dict[str, Place] = {}
        guessed: set[str] = set()
        cut = _cut_by_comma(node)
        for name, place, value in self.pairs(node, title):
            places[name] = place
            if (name, place) in cut:
                continue
            if name not in known:
                hint = did_you_mean(name, known)
                guessed |= {key for key in known if hint == f"did you mean '{key}'?"}
                self.fault(
                    "unknown-key",
                    place,
                    f"'{name}' is not a key of a {title}",
                    "a key that nothing reads is a typing error",
                    hint,
                )
            elif cut and isinstance(value, Scalar) and _opens(value):
                self.fault(
                    "unquoted-comma",
                    value.place,
                    f"`{name}` ends at the comma: '{value.text}'",
                    "inside { } a comma ends a value that has no quotes",
                    f"quote it: {name}: '{value.text},…)'",
                )
            elif found := self.read(value, known[name].shape, name):
                values[name] = found
        for name, key in known.items():
            # A misspelt key is one fault, not two.
            if key.required and name not in places and name not in guessed:
                doc = key.doc[:1].lower() + key.doc[1:].rstrip(".")
                self.fault(
                    "missing-key",
                    node.place,
                    f"this {title} has no `{name}`",
                    f"it is needed: {doc}",
                    f"add `{name}:`",
                )
        return Record(values, node.place, places)

    def _one(self, node: Node, shape: keys.One, label: str) -> At | None:
        wanted = _wanted(shape)
        if not isinstance(node, Scalar):
            self._wrong_shape(node, label, wanted)
            return None
        try:
            text, plain = expand(node.text, node.plain, self.variables)
            value = parse_scalar(shape.kind, text, plain=plain)
        except Wrong as wrong:
            code = wrong.code if isinstance(wrong, WrongTemplate) else "wrong-type"
            self.fault(
                code,
                node.place,
                f"`{label}`: {wrong.what}",
                wrong.why or f"the value is to be {wanted}",
                wrong.fix,
            )
            return None
        if shape.choices and str(value) not in shape.choices:
            near = did_you_mean(str(value), shape.choices)
            self.fault(
                "unknown-value",
                node.place,
                f"`{label}` cannot be '{value}'",
                f"the value is to be {wanted}",
                near,
            )
            return None
        return At(value, node.place)

    def _many(self, node: Node, shape: keys.Many, label: str) -> At | None:
        single = shape.or_one and isinstance(node, Scalar if isinstance(shape.of, keys.One) else Entries)
        if not isinstance(node, Items) and not single:
            self._wrong_shape(node, label, _wanted(shape))
            return None
        nodes = node.items if isinstance(node, Items) else (node,)
        if len(nodes) < shape.least:
            self.fault(
                "empty-list",
                node.place,
                f"`{label}` is empty",
                f"it is to be {_wanted(shape)}",
                "write at least one value, or remove the key",
            )
            return None
        found = [self.read(item, shape.of, label) for item in nodes]
        kept = tuple(item for item in found if item is not None)
        return At(kept, node.place) if kept or not nodes else None

    def _named(self, node: Node, shape: keys.Named, label: str) -> At | None:
        if not isinstance(node, Entries):
            self._wrong_shape(node, label, _wanted(shape))
            return None
        if len(node.entries) < shape.least:
            self.fault(
                "empty-mapping",
                node.place,
                f"`{label}` is empty",
                f"it is to be {_wanted(shape)}",
                "write at least one entry",
            )
            return None
        found: dict[str, At] = {}
        seen: dict[str, str] = {}
        for name, place, value in self.pairs(node, f"`{label}`"):
            if shape.names is Kind.NAME:
                try:
                    parse_scalar(Kind.NAME, name, plain=False)
                except Wrong as wrong:
                    self.fault("bad-name", place, f"`{label}`: {wrong.what}", wrong.why, wrong.fix)
                    continue
                if other := seen.get(name.lower()):
                    self.fault(
                        "duplicate-key",
                        place,
                        f"'{name}' and '{other}' are one name",
                        "Spark SQL does not tell upper from lower case",
                        "rename one of them",
                    )
                    continue
                seen[name.lower()] = name
            if item := self.read(value, shape.of, name):
                # The place of a named thing is its name: that is what people look for.
                found[name] = At(item.value, place)
        return At(found, node.place) if found or not node.entries else None

    def _object(self, node: Node, shape: keys.Object, label: str) -> At | None:
        if not isinstance(node, Entries):
            self._wrong_shape(node, label, _wanted(shape))
            return None
        record = self.keyed(node, shape.keys, shape.title)
        if shape.one_of and not self._one_of(record, shape, label):
            return None
        if not shape.lenient and any(key.required and name not in record for name, key in shape.keys.items()):
            return None
        return At(record, node.place)

    def _one_of(self, record: Record, shape: keys.Object, label: str) -> bool:
        given = [name for name in shape.one_of if name in record.key_places]
        if len(given) == 1:
            return given[0] in record
        names = ", ".join(f"`{name}`" for name in shape.one_of)
        misspelt = any(
            fault.code == "unknown-key" and fault.place in record.key_places.values() for fault in self.faults
        )
        if given or not misspelt:
            what = f"has {' and '.join(f'`{name}`' for name in given)}" if given else "says not what it reads"
            place = record.key_places[given[1]] if given else record.place
            self.fault(
                "one-of",
                place,
                f"'{label}' {what}",
                f"a {shape.title} is one thing",
                f"write exactly one of {names}",
            )
        return False

    def _free(self, node: Node, label: str) -> At | None:
        """A variable: scalars, lists and mappings of them."""
        try:
            return At(free_value(node), node.place)
        except WrongAt as error:
            self.fault(
                "wrong-type",
                error.place,
                f"`{label}`: {error.wrong.what}",
                error.wrong.why or PLAIN,
                error.wrong.fix,
            )
            return None

    def _wrong_shape(self, node: Node, label: str, wanted: str) -> None:
        fix = ""
        if isinstance(node, Entries) and any(
            f.code == "unquoted-braces" and f.place and f.place.line == node.place.line for f in self.faults
        ):
            return  # said already
        if isinstance(node, Scalar) and wanted.startswith("a list") and node.text:
            fix = f"write [{node.text}]"
        if wanted.startswith("a list") and not fix:
            fix = "write [one, two]"
        self.fault(
            "wrong-type",
            node.place,
            f"`{label}` is {described(node)}",
            f"it is to be {wanted}",
            fix or f"write {wanted}",
        )


PLAIN = "a variable is plain data: text, a number, true or false, or a list or mapping of them"


class WrongAt(Exception):
    """A value is wrong, and where it stands."""

    def __init__(self, wrong: Wrong, place: Place) -> None:
        super().__init__(str(wrong))
        self.wrong, self.place = wrong, place


def free_value(node: Node) -> object:
    """A node as plain Python data; for variables."""
    match node:
        case Scalar():
            try:
                if "{{" in node.text or "{%" in node.text:
                    raise Wrong(
                        "a variable's value holds Jinja",
                        "write the value itself; variables do not read variables",
                    )
                return plain_value(node.text, plain=node.plain)
            except Wrong as wrong:
                raise WrongAt(wrong, node.place) from None
        case Items():
            return [free_value(item) for item in node.items]
        case Entries():
            return {key.text: free_value(value) for key, value in node.entries}


def _wanted(shape: keys.Shape) -> str:
    match shape:
        case keys.One(choices=()):
            return "a single number or text" if shape.kind is Kind.VALUE else str(shape.kind)
        case keys.One():
            return f"one of {', '.join(shape.choices)}"
        case keys.Many():
            return f"a list, each value {_wanted(shape.of)}" + (
                ", or one of them alone" if shape.or_one else ""
            )
        case keys.Named():
            return f"a mapping, name → {_wanted(shape.of)}"
        case keys.Object():
            return f"a {shape.title}, with the keys {', '.join(shape.keys)}"
    return "a value"


def _opens(value: Scalar) -> bool:
    return value.plain and value.text.count("(") > value.text.count(")")


def _cut_by_comma(node: Entries) -> set[tuple[str, Place]]:
    """Keys that are the rest of a value before them: ``{type: decimal(10,2)}`` without quotes."""
    found = set()
    for (_, before), (key, value) in zip(node.entries, node.entries[1:], strict=False):
        empty = isinstance(value, Scalar) and value.plain and not value.text
        if empty and isinstance(before, Scalar) and _opens(before) and key.text.endswith(")"):
            found.add((key.text, key.place))
    return found
