"""The position in a compacted topic, for containers without a disk: one record, its key is the stream."""

from __future__ import annotations

from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from producer.errors import Failed, Unavailable
from producer.kafka import Brokers, KafkaSink, client
from producer.sink import Full
from producer.state import document, parse

_PARTITION = 0


class KafkaState:
    """Written by the sink's own client, so that it is in order and durable. No lock: run one task."""

    def __init__(self, sink: KafkaSink, brokers: Brokers, topic: str, *, stream: str) -> None:
        self._sink, self._brokers, self._topic, self._stream = sink, brokers, topic, stream
        self._failed = ""

    def load(self) -> str | None:
        config = self._brokers.config(
            **{"group.id": "producer-state", "enable.auto.commit": False, "enable.partition.eof": True}
        )
        reader = client(Consumer, config)
        try:
            reader.assign([TopicPartition(self._topic, _PARTITION, OFFSET_BEGINNING)])
            text = self._newest(reader)
        finally:
            reader.close()
        place = f"the topic {self._topic}"
        return None if text is None else parse(text, stream=self._stream, place=place)

    def _newest(self, reader: Any) -> str | None:
        found: bytes | None = None
        while (record := reader.poll(self._brokers.patience)) is not None:
            error = record.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return None if found is None else found.decode("utf-8", "replace")
            if error is not None:
                raise Unavailable("state-unreadable", f"the topic {self._topic}: {error.str()}")
            if record.key() == self._stream.encode():
                found = record.value()
        raise Unavailable("state-unreadable", f"the topic {self._topic} does not answer")

    def save(self, position: str) -> None:
        if self._failed:
            raise Failed("state-not-saved", f"the position cannot be written: {self._failed}")
        try:
            self._sink.send(
                self._topic,
                key=self._stream.encode(),
                value=document(position, stream=self._stream).encode(),
                delivered=self._delivered,
            )
        except Full:
            raise Unavailable("state-not-saved", "the position waits: Kafka takes nothing now") from None

    def _delivered(self, error: Any, record: Any) -> None:
        if error is not None:
            self._failed = error.str()

    def close(self) -> None:
        self._sink.flush(5)
