"""Is it an event? The bytes of one go in; what it is comes out: valid, a heartbeat, or malformed and why."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from producer.instants import seconds

HEARTBEAT_DOMAIN = "canary"


class Valid(NamedTuple):
    """``at``: event time, seconds since 1970. ``event_id``: ``meta.id``, where it is a text."""

    domain: str
    at: float
    event_id: str | None


class Heartbeat(NamedTuple):
    """Sent by the server so that streams are never silent: no data and no error."""


class Malformed(NamedTuple):
    """``reason``: a stable kebab-case name. ``field``: where, empty for the whole."""

    reason: str
    field: str = ""


Verdict = Valid | Heartbeat | Malformed
_HEARTBEAT = Heartbeat()


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")  # Python would read NaN and Infinity


_strict = json.JSONDecoder(parse_constant=_constant)
_decode, _first = _strict.decode, _strict.raw_decode
# Python refuses to convert numbers of more than 4,300 digits; nothing here needs their value.
_decode_long = json.JSONDecoder(parse_constant=_constant, parse_int=str).decode


def judge(data: bytes) -> Verdict:
    """Never raises, whatever a stranger wrote."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Malformed("not-utf8")
    try:
        event = _read(text)
    except ValueError:
        return Malformed("not-json" if text.strip() else "empty")
    except RecursionError:
        return Malformed("too-deep")
    if type(event) is not dict:
        return Malformed("not-an-object")
    meta = event.get("meta")
    if type(meta) is not dict:
        return Malformed("no-time", "meta.dt")
    domain = meta.get("domain")
    kind = event.get("type")
    if domain == HEARTBEAT_DOMAIN or (domain is None and kind is None and event.get("id") is None):
        return _HEARTBEAT
    said = meta.get("dt")
    at = seconds(said) if type(said) is str else None
    if at is None:
        return Malformed("no-time" if said is None else "bad-time", "meta.dt")
    if kind is None:
        return Malformed("no-type", "type")
    if domain is None:
        return Malformed("no-domain", "meta.domain")
    event_id = meta.get("id")
    return Valid(
        domain if type(domain) is str else json.dumps(domain),
        at,
        event_id if type(event_id) is str else None,
    )


def _read(text: str) -> Any:
    try:
        # What is a whole value from the first character to the last needs no look for blanks around it.
        value, end = _first(text)
        return value if end == len(text) else _decode(text)
    except json.JSONDecodeError:
        return _decode(text)
    except ValueError:
        return _decode_long(text)
