"""JSON with the text it was written in, and the rules by which its values become fields of a type."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# ---------------------------------------------------------------------------------------------- JSON


class Number(str):
    """A JSON number as it was written, so that ``1.50`` and 10^30 stay what they are."""


class NotJson(ValueError):
    """The text is not strict JSON."""


def _constant(name: str) -> Any:
    raise NotJson(f"{name} is no JSON")  # Python would read NaN and Infinity


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_constant, strict=True)
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Value:
    """A JSON value with the exact text it was read from."""

    value: Any
    text: str

    @functools.cached_property
    def members(self) -> dict[str, Value]:
        """The members of an object with their exact text; none for what is not an object."""
        if not isinstance(self.value, dict):
            return {}
        text = self.text
        found: dict[str, Value] = {}
        at = _space(text, 1)
        while text[at] != "}":
            key, at = _DECODER.raw_decode(text, at)
            start = _space(text, _space(text, at) + 1)  # after the colon
            value, at = _DECODER.raw_decode(text, start)
            found[key] = Value(value, text[start:at])
            at = _space(text, at)
            if text[at] == ",":
                at = _space(text, at + 1)
        return found


ABSENT = Value(None, "null")  # "An absent key and a JSON null mean the same."


def parse(text: str) -> Value:
    """The value of a whole line; raises ``NotJson``."""
    start = _space(text, 0)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if _space(text, end) != len(text):
        raise NotJson("there is more after the value")
    return Value(value, text[start:end])


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def get(of: Value, *path: str) -> Value:
    """The value at a path, ``ABSENT`` where there is none."""
    for name in path:
        of = of.members.get(name, ABSENT)
    return of


# ------------------------------------------------------------------------------------- typed fields


def as_text(value: Value) -> str | None:
    """A string as sent; anything else as its JSON text; absent or null is null."""
    if value.value is None:
        return None
    return value.value if isinstance(value.value, str) and not isinstance(value.value, Number) else value.text


def as_integer(value: Value, limits: tuple[int, int]) -> int | None:
    """An integer or a string of digits in range; what does not fit is null."""
    if not isinstance(value.value, str):
        return None
    # A number of 5,000 digits is out of range, and longer than Python likes to convert.
    if not re.fullmatch(r"[+-]?[0-9]{1,4000}", value.value):
        return None
    number = int(value.value)
    return number if limits[0] <= number <= limits[1] else None


def as_boolean(value: Value) -> bool | None:
    """True or false, also as a string; what does not fit is null."""
    if isinstance(value.value, bool):
        return value.value
    if isinstance(value.value, Number):
        return None
    return {"true": True, "false": False}.get(value.value) if isinstance(value.value, str) else None


_DATETIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?"
)


def as_instant(text: str | None) -> datetime | None:
    """``meta.dt``: "ISO 8601 with Z or offset, without one UTC; cut to the millisecond"."""
    match = _DATETIME.fullmatch(text or "")
    if match is None:
        return None
    day, clock, seconds, fraction, _, sign, hours, minutes = match.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}:{seconds or '00'}+00:00")
        instant += timedelta(milliseconds=int((fraction or "0").ljust(3, "0")[:3]))
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            if int(minutes) > 59 or offset > timedelta(hours=18):  # no zone of this world
                return None
            instant += -offset if sign == "+" else offset
    except (ValueError, OverflowError):  # the 30th of February, a 61st second, before year 1
        return None
    return instant


def show_instant(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    # Not strftime: glibc writes the year 987 with three digits.
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
