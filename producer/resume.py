"""Where to resume: ids of the stream go in, the ``Last-Event-ID`` to ask for comes out.

An id is a JSON array of ``topic``, ``partition`` and ``timestamp`` (milliseconds). The server issues the
event's timestamp + 1 and seeks by timestamp, so that asking for an id as it is loses the events which share
its millisecond or come after it with an older one: each timestamp is lowered.
"""

from __future__ import annotations

import json
from typing import Any

Entry = dict[str, Any]


def usable(position: str) -> bool:
    """Whether an id can be sent and stored: short, and of plain characters."""
    return len(position) <= 4096 and position.isascii() and position.isprintable()


def entries(position: str) -> list[Entry] | None:
    """The parts of an id; None when it is of another form."""
    try:
        value = json.loads(position)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        return None
    return value


def rewound(position: str, milliseconds: int) -> str:
    """The id so much earlier; an offset (-1: a data centre that is idle) and an id of another form stay."""
    found = entries(position)
    if found is None:
        return position
    return _text([_moved(one, -milliseconds) for one in found])


def furthest(before: str | None, now: str | None) -> str | None:
    """Of two positions that were both reached the one that lies further, for each topic.

    After a resume the stream is behind what is already done; without this, every interruption on the way
    would lose ground.
    """
    if before is None or now is None or before == now:
        return now if now is not None else before
    old, new = entries(before), entries(now)
    if old is None or new is None:
        return now
    known = {_place(one): _timestamp(one) for one in old}
    merged = []
    for one in new:
        at, then = _timestamp(one), known.get(_place(one))
        merged.append(
            {**one, "timestamp": then} if at is not None and then is not None and then > at else one
        )
    return _text(merged)


def _moved(entry: Entry, milliseconds: int) -> Entry:
    at = _timestamp(entry)
    return entry if at is None or at < 0 else {**entry, "timestamp": max(0, at + milliseconds)}


def _timestamp(entry: Entry) -> int | None:
    at = entry.get("timestamp")
    return at if isinstance(at, int) and not isinstance(at, bool) else None


def _place(entry: Entry) -> tuple[str, str]:
    return str(entry.get("topic")), str(entry.get("partition"))


def _text(value: list[Entry]) -> str:
    return json.dumps(value, separators=(",", ":"))
