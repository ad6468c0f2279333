"""Events into a topic, for benchmarks of streams: a backlog at once, or a few at a time.

What the producer would not send, malformed events and heartbeats, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from producer.generator.generate import lines
from producer.judge import Valid, judge

#: Events of one drip.
DRIP = 20
PARTITIONS = 3


class Feed:
    """Sends events to one topic; an event's partition is its domain's."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._client = Producer(
            {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "log_level": 0}
        )

    def backlog(self, events: int) -> None:
        """So many generated events, always the same."""
        self._send(lines(events=events, seed=1))

    def drip(self, number: int) -> None:
        """A few events, other ones for each number; they are in the topic when this returns."""
        self._send(lines(events=DRIP, seed=1000 + number))

    def _send(self, events: Iterable[str]) -> None:
        for event in events:
            data = event.encode()
            verdict = judge(data)
            if not isinstance(verdict, Valid):
                continue
            while True:
                try:
                    self._client.produce(self._topic, data, verdict.domain)
                    break
                except BufferError:
                    self._client.poll(0.1)
            self._client.poll(0)
        if self._client.flush(60):
            raise RuntimeError(f"not all events came into {self._topic}")
