"""One value of a row: what stands in YAML or in a CSV field → a Python value of the column's type.

YAML guesses types from plain text; here the column says what is wanted, and what YAML would read as
something else is refused. Values: None, bool, int, float, Decimal, str, bytes, date, datetime (UTC where the
type has a zone, naive where it has none), list, and dict for structs and maps.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from runner.errors import Place, did_you_mean
from runner.load.nodes import Entries, Items, Node, Scalar, described
from runner.load.values import Kind, Wrong, parse_scalar, plain_value, read_as
from runner.testing.types import Type

_LIMITS = {"int": 31, "bigint": 63}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
_SPECIAL = {
    ".nan": "nan",
    "nan": "nan",
    ".inf": "inf",
    "-.inf": "-inf",
    "infinity": "inf",
    "-infinity": "-inf",
}
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s?(Z|[+-]\d{2}:\d{2})?")
_YAML_NULL = ("null", "~", "Null", "NULL")


class WrongCell(Exception):
    """A value does not fit: what is wrong, and where it stands."""

    def __init__(self, wrong: Wrong, place: Place) -> None:
        super().__init__(wrong.what)
        self.wrong, self.place = wrong, place


def cell(node: Node, of: Type) -> object:
    """The value of a YAML node as a column of type ``of`` holds it; WrongCell where it is none."""
    if isinstance(node, Scalar) and node.plain and node.text in _YAML_NULL:
        return None
    try:
        match of.name, node:
            case "array", Items():
                return [cell(item, of.of[0]) for item in node.items]
            case "struct", Entries():
                return _struct(node, of)
            case "map", Entries():
                return {
                    cell(_as_key(key, of.of[0]), of.of[0]): cell(value, of.of[1])
                    for key, value in node.entries
                }
            case (("array" | "struct" | "map"), _):
                raise Wrong(f"{described(node)} is no {of.name}", _example(of))
            case _, Scalar():
                return _scalar(node, of)
        raise Wrong(f"{described(node)} stands where a single value belongs", _example(of))
    except Wrong as wrong:
        raise WrongCell(wrong, node.place) from None


def text_cell(text: str, of: Type) -> object:
    """The value of a CSV field: empty is NULL. Wrong where it is none."""
    if not text:
        return None
    if of.name in ("array", "struct", "map"):
        raise Wrong("a CSV field holds a single value", "write such rows as YAML")
    return text if of.name == "string" else _READERS[of.name](text, of)


def json_value(node: Node) -> object:
    """A node as JSON has it; WrongCell where YAML would misread it. Braces are text."""
    match node:
        case Scalar():
            try:
                if node.plain and not node.text:
                    raise Wrong("nothing is written here", "write null, '' or a value")
                return plain_value(node.text, plain=node.plain)
            except Wrong as wrong:
                raise WrongCell(wrong, node.place) from None
        case Items():
            return [json_value(item) for item in node.items]
        case Entries():
            return {key.text: json_value(value) for key, value in node.entries}


def _scalar(node: Scalar, of: Type) -> object:
    if node.plain and not node.text:
        raise Wrong(
            "nothing is written here",
            "write null where there is none" + ", '' for the empty text" * (of.name == "string"),
        )
    match of.name:
        case "string":
            return parse_scalar(Kind.TEXT, node.text, plain=node.plain)
        case "boolean":
            return parse_scalar(Kind.FLAG, node.text, plain=node.plain)
        case "int" | "bigint" | "float" | "double":
            if not node.plain:
                raise Wrong(
                    f"'{node.text}' is text, and the column is {of}", "write the number without quotes"
                )
    return _READERS[of.name](node.text, of)


def _as_key(key: Scalar, of: Type) -> Scalar:
    """Keys of YAML mappings are mostly written without quotes; those of a string map are text anyway."""
    if of.name == "string" and key.plain and read_as(key.text) in ("str", "int", "float"):
        return Scalar(key.text, False, key.place)
    return key


def _struct(node: Entries, of: Type) -> dict[str, object]:
    found: dict[str, object] = {}
    types = dict(zip(of.fields, of.of, strict=True))
    for key, value in node.entries:
        if key.text not in types:
            raise WrongCell(
                Wrong(f"the struct has no field '{key.text}'", did_you_mean(key.text, types)), key.place
            )
        found[key.text] = cell(value, types[key.text])
    return found


def _whole(text: str, of: Type) -> int:
    if not _WHOLE.fullmatch(text):
        raise Wrong(f"{text} is not a whole number, and the column is {of}", "write digits only")
    value, bits = int(text), _LIMITS[of.name]
    if not -(2**bits) <= value < 2**bits:
        raise Wrong(f"{text} is too large for {of}", "write what the column can hold")
    return value


def _double(text: str, of: Type) -> float:
    if special := _SPECIAL.get(text.lower()):
        return float(special)
    if not _NUMBER.fullmatch(text):
        raise Wrong(f"{text} is not a number, and the column is {of}", "write digits: 12.5")
    return float(text)


def _decimal(text: str, of: Type) -> Decimal:
    precision, scale = of.digits
    try:
        value = Decimal(text) if _NUMBER.fullmatch(text) else Decimal("nan")
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise Wrong(f"{text} is not a number, and the column is {of}", "write digits: 12.50")
    if value != round(value, scale):
        raise Wrong(f"{text} has more than the {scale} decimals of {of}", "write what the column can hold")
    if abs(value) >= 10 ** (precision - scale):
        raise Wrong(f"{text} is too large for {of}", "write what the column can hold")
    return round(value, scale)


def _date(text: str, of: Type) -> dt.date:
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError
        return dt.date.fromisoformat(text)
    except ValueError:
        said = "has a time, and the column is date" if _TIME.fullmatch(text) else "is not a date"
        raise Wrong(f"{text} {said}", "write year, month and day: 2024-01-31") from None


def timestamp(text: str) -> dt.datetime:
    """A date and time of ISO 8601, with T or a blank; without an offset UTC. Wrong for anything else."""
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day, time, zone = found.groups()
        zone = "+00:00" if zone in (None, "Z") else zone
        return dt.datetime.fromisoformat(f"{day}T{time}{zone}").astimezone(dt.UTC)
    except (ValueError, OverflowError):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise Wrong(
                f"{text} has no time, and the column is timestamp", f"write '{text} 00:00:00'"
            ) from None
        raise Wrong(
            f"{text} is not a timestamp", "write year, month, day and time, UTC: '2024-01-31 10:15:00'"
        ) from None


def _naive(text: str, of: Type) -> dt.datetime:
    found = _TIME.fullmatch(text)
    if found and found[3]:
        raise Wrong(f"{text} has a zone, and the column is {of}", f"write '{found[1]} {found[2]}'")
    return timestamp(text).replace(tzinfo=None)


def _binary(text: str, of: Type) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"'{text}' is not base64, and the column is {of}", "write 'aGVsbG8=' for hello") from None


def _flag(text: str, of: Type) -> bool:
    if text.lower() not in ("true", "false"):
        raise Wrong(f"{text} is neither true nor false", "write true or false")
    return text.lower() == "true"


_READERS: Mapping[str, Callable[[str, Type], object]] = {
    "boolean": _flag,
    "int": _whole,
    "bigint": _whole,
    "float": _double,
    "double": _double,
    "decimal": _decimal,
    "date": _date,
    "timestamp": lambda text, of: timestamp(text),
    "timestamp_ntz": _naive,
    "binary": _binary,
    "string": lambda text, of: text,
}


def _example(of: Type) -> str:
    match of.name:
        case "array":
            return "write [one, two]"
        case "struct":
            return "write {" + ", ".join(f"{field}: …" for field in of.fields[:3]) + "}"
        case "map":
            return "write {key: value}"
    return f"write one value of type {of}"
