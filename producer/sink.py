"""Where records go: the port that Kafka implements, and a sink in memory for tests and trials.

``send`` hands over; the callback says later, from ``poll`` or ``flush``, what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from producer.errors import ProducerError

#: Called with an error, None when the record is stored for good, and the record:
#: ``record.topic()``, ``key()`` and ``value()``.
Delivered = Callable[[Any, Any], None]


@dataclass(frozen=True)
class Refused:
    """Why a record cannot be stored. ``fatal``: how the producer ends, because no other can be either."""

    code: str
    text: str
    fatal: type[ProducerError] | None = None
    fix: str = ""


class Full(Exception):
    """The queue has no room: poll, then hand it over again."""


class Sink(Protocol):
    def send(self, topic: str, *, key: bytes | None, value: bytes, delivered: Delivered) -> None:
        """Queue a record; :class:`Full` when there is no room."""

    def explain(self, error: Any) -> Refused:
        """What an error of a callback means."""

    def poll(self, timeout: float) -> int:
        """Call back for what was acknowledged, waiting at most ``timeout`` seconds; how many."""

    def flush(self, timeout: float) -> int:
        """Wait for all that is queued; how many are left after ``timeout`` seconds."""


@dataclass(frozen=True)
class Stored:
    """One record in memory."""

    name: str
    domain: bytes | None
    body: bytes

    def topic(self) -> str:
        return self.name

    def key(self) -> bytes | None:
        return self.domain

    def value(self) -> bytes:
        return self.body


@dataclass
class MemorySink:
    """Keeps records in order. ``room``: how many may be queued; ``refuse``: what happens to a record;
    ``holding``: acknowledge nothing for now."""

    room: int = 100_000
    refuse: Callable[[Stored], Refused | None] = lambda record: None
    holding: bool = False
    stored: list[Stored] = field(default_factory=list)
    queued: list[tuple[Stored, Delivered]] = field(default_factory=list)

    def send(self, topic: str, *, key: bytes | None, value: bytes, delivered: Delivered) -> None:
        if len(self.queued) >= self.room:
            raise Full
        self.queued.append((Stored(topic, key, value), delivered))

    def explain(self, error: Any) -> Refused:
        assert isinstance(error, Refused)
        return error

    def poll(self, timeout: float) -> int:
        if self.holding:
            return 0
        queued, self.queued = self.queued, []
        for record, delivered in queued:
            refused = self.refuse(record)
            if refused is None:
                self.stored.append(record)
            delivered(refused, record)
        return len(queued)

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return len(self.queued)

    def values(self, topic: str) -> list[bytes]:
        """What was stored under a topic."""
        return [record.body for record in self.stored if record.name == topic]
