"""Scalars: the text of one YAML value → a typed Python value, or what is wrong with it.

YAML guesses types from plain text (``no`` is false, ``1e3`` a number). Here each key says what it
wants, and plain text that YAML would read as something else is refused instead of bent.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache

from yaml.resolver import Resolver

from runner.load.types import column_type
from runner.refs import TableRef
from runner.spec import Threshold


class Kind(StrEnum):
    """What the value of a key is."""

    TEXT = "text"
    NAME = "a name"
    TABLE = "a table"
    FLAG = "true or false"
    COUNT = "a whole number"
    DURATION = "a duration"
    THRESHOLD = "a count or a percentage"
    SIZE = "a size"
    TYPE = "a Spark SQL type"
    VALUE = "a single value"
    SETTING = "a setting"


class Wrong(Exception):
    """The text is no value of its kind: what is wrong, and the fix."""

    def __init__(self, what: str, fix: str = "", why: str = "") -> None:
        super().__init__(what)
        self.what, self.fix, self.why = what, fix, why


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_SIZE = re.compile(r"[1-9][0-9]{0,5}(KB|MB|GB)")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_READ_AS = {
    "null": "nothing",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "merge": "a merge key",
    "value": "a default value",
}
#: YAML 1.1 calls a few more words booleans than people expect.
_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_RESOLVE = Resolver.yaml_implicit_resolvers


@lru_cache(maxsize=4096)  # a project's specs are made of the same few keys and words
def read_as(text: str) -> str:
    """What YAML takes plain ``text`` for: str, bool, null, int, float, timestamp, …"""
    for tag, pattern in [*_RESOLVE.get(text[:1], []), *_RESOLVE.get(None, [])]:
        if pattern.match(text):
            return str(tag).rpartition(":")[2]
    return "str"


def parse_scalar(kind: Kind, text: str, *, plain: bool) -> object:
    """The value of ``text``; Wrong when it is none."""
    if kind in _OF_TEXT:
        if plain and (tag := read_as(text)) != "str":
            if not text:
                raise Wrong("nothing is written here", f"write {_article(kind)}, or remove the key")
            raise Wrong(
                f"{text} is not text: YAML reads it as {_meaning(tag, text)}",
                f"quote it: '{text}'",
            )
        return _OF_TEXT[kind](text)
    return _OF_PLAIN[kind](text, plain)


def plain_value(text: str, *, plain: bool) -> object:
    """A variable's value: None, bool, int, float or text. Dates stay text."""
    if not plain:
        return text
    tag = read_as(text)
    if tag == "null":
        return None
    if tag == "bool":
        return _flag(text, plain)
    if tag in ("int", "float"):
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        raise Wrong(
            f"{text} is a number in a form that is easily misread",
            f"quote it where it is text: '{text}'; write decimal digits where it is a number",
            "YAML 1.1 reads leading zeros as octal and colons as base 60",
        )
    return text


def duration(text: str) -> dt.timedelta:
    """``5m`` → 5 minutes; ValueError otherwise."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(text)
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def _article(kind: Kind) -> str:
    return {Kind.TEXT: "the text"}.get(kind, str(kind))


def _meaning(tag: str, text: str) -> str:
    return _WORDS.get(text.lower(), text.lower()) if tag == "bool" else _READ_AS.get(tag, tag)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise Wrong(
            f"'{text}' is not a name",
            "use letters, digits and underscores, and no digit first",
        )
    return text


def _table(text: str) -> TableRef:
    try:
        return TableRef.parse(text)
    except ValueError:
        raise Wrong(
            f"'{text}' is not a table of the lake",
            "write namespace.table, for example silver.cleaned_events",
        ) from None


def _duration(text: str) -> dt.timedelta:
    try:
        return duration(text)
    except ValueError:
        raise Wrong(
            f"'{text}' is not a duration", "write a whole number and s, m, h or d: 30s, 5m, 2h, 7d"
        ) from None


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise Wrong(f"'{text}' is not a size", "write a whole number and KB, MB or GB: 256MB")
    return text


def _type(text: str) -> str:
    try:
        return column_type(text)
    except ValueError as error:
        why, _, fix = str(error).partition("; ")
        raise Wrong(f"'{text}' is not a column type: {why}", fix) from None


def _flag(text: str, plain: bool) -> bool:
    if plain and text.lower() in ("true", "false"):
        return text.lower() == "true"
    meant = _WORDS.get(text.lower())
    raise Wrong(f"{text or 'nothing'} is neither true nor false", f"write {meant or 'true or false'}")


def _count(text: str, plain: bool) -> int:
    if plain and re.fullmatch(r"0|[1-9][0-9]{0,17}", text):
        return int(text)
    raise Wrong(f"{text if plain else repr(text)} is not a whole number", "write digits only, without quotes")


def _threshold(text: str, _plain: bool) -> Threshold:
    if found := _PERCENT.fullmatch(text):
        if float(found[1]) <= 100:
            return Threshold(percent=float(found[1]))
        raise Wrong(f"{text} is more than all rows", "write at most 100%")
    if re.fullmatch(r"0|[1-9][0-9]{0,17}", text):
        return Threshold(count=int(text))
    raise Wrong(
        f"{text} is neither a count nor a percentage",
        "write a number of rows (10) or a share of them (0.5%)",
    )


def _value(text: str, plain: bool) -> object:
    value = plain_value(text, plain=plain)
    if value is None:
        raise Wrong("nothing is written here", "write a value; checks say nothing of NULL, `not_null` does")
    return value


def _setting(text: str, plain: bool) -> str:
    value = plain_value(text, plain=plain)
    if value is None:
        raise Wrong("nothing is written here", "write the setting's value, or remove the key")
    return text.lower() if isinstance(value, bool) else text


_OF_TEXT: Mapping[Kind, Callable[[str], object]] = {
    Kind.TEXT: str,
    Kind.NAME: _name,
    Kind.TABLE: _table,
    Kind.DURATION: _duration,
    Kind.SIZE: _size,
    Kind.TYPE: _type,
}
_OF_PLAIN: Mapping[Kind, Callable[[str, bool], object]] = {
    Kind.FLAG: _flag,
    Kind.COUNT: _count,
    Kind.THRESHOLD: _threshold,
    Kind.VALUE: _value,
    Kind.SETTING: _setting,
}
