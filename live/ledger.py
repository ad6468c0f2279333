"""What the replay server offered and sent, an NDJSON file: events and connections go in, sets come out.

An event's line is there before its first byte is sent. A connection's line is there when it has ended.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live.judge import HEARTBEAT, MALFORMED, VALID


@dataclass(frozen=True)
class Offered:
    """An event at its position in the stream; ``md5`` is of its bytes, ``id`` its SSE id line."""

    position: int
    event_id: str
    verdict: str
    reason: str
    domain: str | None
    bytes: int
    md5: str
    id: str


@dataclass(frozen=True)
class Connection:
    """A request: ``status``, and of a stream the events ``first`` to ``end`` (not included) sent in full.

    ``partial``: bytes of the next event that were sent. ``ended``: by whom or by which fault.
    """

    connection: int
    status: int
    last_event_id: str | None
    since: str | None
    first: int
    end: int
    bytes: int
    partial: int
    ended: str


@dataclass(frozen=True)
class Expected:
    """What must be where in the end. Each distinct event is in one of the sets.

    ``valid``: event id → MD5 of the delivery that counts, the first valid one. ``filtered``: the same for
    domains that are not sent on. ``malformed``: MD5s. ``heartbeats``: event ids.
    """

    valid: Mapping[str, str]
    filtered: Mapping[str, str]
    malformed: frozenset[str]
    heartbeats: frozenset[str]


class Ledger:
    """The file, appended to line by line and flushed; None writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")  # of this server's stream alone

    def events(self, lines: bytes) -> None:
        """Lines of events, as the spool has them ready."""
        self._write(lines)

    def connection(self, one: Connection) -> None:
        """A connection that has ended."""
        self._write(json.dumps(vars(one)).encode() + b"\n")

    def close(self) -> None:
        """Nothing is written any more."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, lines: bytes) -> None:
        with self._lock:
            if self._file is not None:
                self._file.write(lines)
                self._file.flush()


@dataclass(frozen=True)
class Kept:
    """A ledger that was read again."""

    events: tuple[Offered, ...]
    connections: tuple[Connection, ...]

    def expected(
        self, domains: Collection[str] | None = None, *, positions: Collection[int] | None = None
    ) -> Expected:
        """What the tables must hold of these positions (all), when only ``domains`` (all) are sent on."""
        valid: dict[str, str] = {}
        filtered: dict[str, str] = {}
        malformed: set[str] = set()
        heartbeats: set[str] = set()
        for event in self.events:
            if positions is not None and event.position not in positions:
                continue
            if event.verdict == VALID:
                wanted = domains is None or event.domain in domains
                (valid if wanted else filtered).setdefault(event.event_id, event.md5)
            elif event.verdict == HEARTBEAT:
                heartbeats.add(event.event_id)
            elif event.verdict == MALFORMED:
                malformed.add(event.md5)
        return Expected(valid, filtered, frozenset(malformed), frozenset(heartbeats))

    def sent(self) -> frozenset[int]:
        """Positions that were sent in full at least once."""
        return frozenset(n for one in self.connections for n in range(one.first, one.end))


def read(path: Path) -> Kept:
    """The ledger of a server that runs or ran; a line that is being written is left out."""
    events, connections = [], []
    for line in path.read_bytes().split(b"\n")[:-1]:
        entry: dict[str, Any] = json.loads(line)
        if "connection" in entry:
            connections.append(Connection(**entry))
        else:
            events.append(Offered(**entry))
    return Kept(tuple(events), tuple(connections))
