"""Streams for tests: a fake EventStreams in memory that seeks and cuts, a clock that only sleeping moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from producer.connection import Lost

TOPIC = "eqiad.mediawiki.recentchange"


def body(n: int, *, domain: str = "en.wikipedia.org", **more: Any) -> bytes:
    """A valid event; its ``meta.id`` is ``e<n>``."""
    meta = {"id": f"e{n}", "dt": "2026-10-01T00:00:00.000Z", "domain": domain}
    return json.dumps({"meta": meta, "type": "edit", **more}).encode()


def position(milliseconds: int) -> str:
    return json.dumps(
        [
            {"topic": TOPIC, "partition": 0, "timestamp": milliseconds},
            {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": -1},
        ],
        separators=(",", ":"),
    )


def ids(values: list[bytes]) -> list[str]:
    return [json.loads(value)["meta"]["id"] for value in values]


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Served:
    """One connection: chunks, None for silence, an exception to end with."""

    parts: list[bytes | Exception | None]
    closed: bool = False
    each: Callable[[], None] = lambda: None

    def __iter__(self) -> Iterator[bytes | None]:
        for part in self.parts:
            self.each()
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self) -> None:
        self.closed = True


@dataclass
class Server:
    """Serves the connections in order, then calls ``over``; keeps what it was asked for."""

    connections: list[Served | Exception]
    over: Callable[[], None] = lambda: None
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)

    def __call__(self, *, position: str | None, since: str | None) -> Served:
        self.asked.append((position, since))
        if not self.connections:
            self.over()
            return Served([])
        one = self.connections.pop(0)
        if isinstance(one, Exception):
            raise one
        return one


@dataclass
class Recording:
    """Serves recorded events by the server's rules: it seeks to the first event whose timestamp is not before
    the one asked for. ``cuts``: after so many bytes of the whole recording each connection dies."""

    events: list[tuple[int, bytes]]
    cuts: list[int]
    over: Callable[[], None] = lambda: None
    connections: int = 0

    def __post_init__(self) -> None:
        self._starts = [0]
        for _, block in self.events:
            self._starts.append(self._starts[-1] + len(block))

    def __call__(self, *, position: str | None, since: str | None) -> Served:
        if self.connections > len(self.cuts):
            self.over()
            return Served([])
        at = 0
        if position is not None:
            wanted = next(one["timestamp"] for one in json.loads(position) if "timestamp" in one)
            found = (i for i, (milliseconds, _) in enumerate(self.events) if milliseconds >= wanted)
            at = next(found, len(self.events))
        whole = self.connections == len(self.cuts)
        end = self._starts[-1] if whole else self.cuts[self.connections]
        self.connections += 1
        left = end - self._starts[at]
        parts: list[bytes | Exception | None] = []
        for _, block in self.events[at:]:
            if left <= 0:
                break
            parts.append(block[:left])
            left -= len(block)
        return Served([*parts, Lost("cut off")])


@dataclass
class MemoryState:
    """Notes how many records were stored when each position was saved."""

    stored: Callable[[], int] = lambda: 0
    position: str | None = None
    saves: list[tuple[str, int]] = field(default_factory=list)

    def load(self) -> str | None:
        return self.position

    def save(self, position: str) -> None:
        self.position = position
        self.saves.append((position, self.stored()))

    def close(self) -> None:
        pass
