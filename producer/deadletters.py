"""Dead letters: the topic goes in; a list for people, or events for the pipeline and a position, come out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaException,
    TopicPartition,
)

from producer.envelope import DeadLetter, decode
from producer.errors import Failed, Unavailable
from producer.kafka import Brokers, client, metadata

GROUP = "producer-dlq-replay"


@dataclass(frozen=True)
class Letter:
    """A record of the topic. ``content`` is None for what is no dead letter."""

    partition: int
    offset: int
    content: DeadLetter | None


class Letters:
    """The dead letters between the replayed position (or the beginning) and the end as it is now."""

    def __init__(self, brokers: Brokers, topic: str, *, resumed: bool) -> None:
        self._topic = topic
        self._patience = brokers.patience
        config = brokers.config(**{"group.id": GROUP, "enable.auto.commit": False})
        self._reader = client(Consumer, config)
        known = metadata(self._reader, brokers)
        if topic not in known:
            raise Unavailable(
                "topic-missing",
                f"there is no topic {topic} at {brokers.servers}",
                fix="producer topics ensure",
            )
        places = [TopicPartition(topic, number) for number in sorted(known[topic].partitions)]
        try:
            stored = self._reader.committed(places, timeout=self._patience) if resumed else places
            self._spans = [self._span(place) for place in stored]
        except KafkaException as error:
            raise Unavailable(
                "kafka-unreachable", f"{topic} does not answer: {error.args[0].str()}"
            ) from error

    def _span(self, place: Any) -> tuple[int, int, int]:
        low, high = self._reader.get_watermark_offsets(place, timeout=self._patience)
        start = low if place.offset in (OFFSET_INVALID, OFFSET_BEGINNING) else max(low, place.offset)
        return place.partition, start, high

    def __len__(self) -> int:
        return sum(high - start for _, start, high in self._spans)

    def newest(self, count: int) -> Letters:
        """Only about the last so many of each partition."""
        self._spans = [(number, max(start, high - count), high) for number, start, high in self._spans]
        return self

    def __iter__(self) -> Iterator[Letter]:
        ends = {number: high for number, start, high in self._spans if start < high}
        if not ends:
            return
        self._reader.assign(
            [
                TopicPartition(self._topic, number, start)
                for number, start, high in self._spans
                if start < high
            ]
        )
        waited = time.monotonic()
        while ends:
            record = self._reader.poll(1.0)
            if record is None or record.error() is not None:
                if time.monotonic() - waited > 3 * self._patience:
                    raise Unavailable("kafka-unreachable", f"{self._topic} does not answer any more")
                continue
            waited = time.monotonic()
            number, offset = record.partition(), record.offset()
            if number not in ends:
                continue
            if offset >= ends[number] - 1:
                del ends[number]
            yield Letter(number, offset, decode(record.value() or b""))

    def replayed(self, letters: dict[int, int]) -> None:
        """Record by partition the last letter that needs no replay any more."""
        places = [TopicPartition(self._topic, number, offset + 1) for number, offset in letters.items()]
        try:
            if places:
                self._reader.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            raise Failed(
                "position-not-saved",
                f"the letters were sent, but not noted as replayed: {error.args[0].str()}",
                fix="the next replay sends them again; they are merged downstream by meta.id",
            ) from error

    def close(self) -> None:
        self._reader.close()
