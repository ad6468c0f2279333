"""Whether the tables are what was sent: a ledger and rows go in, the differences come out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from live.ledger import Expected

_FEW = 3


@dataclass(frozen=True)
class Held:
    """What tables and topics hold. ``bronze``: (event id, MD5 of the payload) of every row; ``silver``: the
    event ids; ``valid``: rows of silver that are valid; ``hourly``: the sum of gold's counts;
    ``dead``: MD5s of the dead letters."""

    bronze: tuple[tuple[str, str], ...]
    silver: tuple[str, ...]
    valid: int
    hourly: int
    dead: frozenset[str]


def held(
    *,
    bronze: Iterable[Mapping[str, Any]],
    silver: Iterable[Mapping[str, Any]],
    hourly: Iterable[Mapping[str, Any]],
    dead: Iterable[bytes],
) -> Held:
    """Of rows as ``runner show --format ndjson`` prints them, and of dead letters' original bytes."""
    of_silver = [(str(row["event_id"]), row["is_valid"] is True) for row in silver]
    return Held(
        bronze=tuple((str(row["event_id"]), _md5(str(row["payload"]).encode())) for row in bronze),
        silver=tuple(name for name, _ in of_silver),
        valid=sum(valid for _, valid in of_silver),
        hourly=sum(int(row["total_events"]) for row in hourly),
        dead=frozenset(_md5(one) for one in dead),
    )


def differences(expected: Expected, found: Held) -> list[str]:
    """One line for each thing that is not as it must be; none when all is equal."""
    return list(_differences(expected, found))


def _differences(expected: Expected, found: Held) -> Iterator[str]:
    bronze = dict(found.bronze)
    if len(bronze) != len(found.bronze):
        yield f"bronze holds {len(found.bronze) - len(bronze):,} events twice"
    yield from _sets("bronze", set(expected.valid), set(bronze))
    other = sorted(name for name in bronze if expected.valid.get(name, bronze[name]) != bronze[name])
    if other:
        yield f"bronze holds other bytes than were sent of {len(other):,} events: {_some(other)}"
    if len(set(found.silver)) != len(found.silver):
        yield f"silver holds {len(found.silver) - len(set(found.silver)):,} events twice"
    yield from _sets("silver", set(bronze), set(found.silver))
    if found.hourly != found.valid:
        yield f"gold.hourly_stats counts {found.hourly:,} events, silver has {found.valid:,} valid ones"
    yield from _sets("the topic of dead letters", set(expected.malformed), set(found.dead))


def _sets(name: str, wanted: set[str], found: set[str]) -> Iterator[str]:
    if missing := wanted - found:
        yield f"{name} lacks {len(missing):,} of {len(wanted):,}: {_some(missing)}"
    if more := found - wanted:
        yield f"{name} holds {len(more):,} that do not belong there: {_some(more)}"


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_FEW]) + (", …" if len(listed) > _FEW else "")


def _md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()
