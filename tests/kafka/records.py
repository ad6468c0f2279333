"""Topics for tests: a broker goes in, new topics and all that a topic holds come out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from live.broker import Broker

TIMEOUT = 30.0


class Record(NamedTuple):
    """A record as it lies in its topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def make_topic(broker: Broker, *, name: str | None = None, partitions: int = 1, **config: str) -> str:
    """A topic that nobody used before; ``config`` as Kafka names it, dots as underscores."""
    name = name or f"test-{uuid.uuid4().hex[:12]}"
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
    admin.create_topics([new])[name].result(TIMEOUT)
    return name


def send(broker: Broker, topic: str, values: Iterable[bytes], *, key: bytes | None = None) -> list[Record]:
    """The records that the broker acknowledged, where they lie."""
    acknowledged: list[Record] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is None:
            place = message.partition(), message.offset()
            assert None not in place
            acknowledged.append(Record(place[0] or 0, place[1] or 0, message.key(), message.value()))

    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 0}
    )
    for value in values:
        producer.produce(topic, value, key, on_delivery=on_delivery)
        producer.poll(0)
    producer.flush(TIMEOUT)
    return acknowledged


def read_all(broker: Broker, topic: str) -> list[Record]:
    """All records that are in the topic now, in the order of partition and offset."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "tests",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        metadata = consumer.list_topics(topic, timeout=TIMEOUT).topics[topic]
        found: list[Record] = []
        for partition in sorted(metadata.partitions):
            found += _read(consumer, topic, partition)
        return found
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, partition: int) -> list[Record]:
    place = TopicPartition(topic, partition)
    first, end = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
    found: list[Record] = []
    if first == end:
        return found
    consumer.assign([TopicPartition(topic, partition, first)])
    # By the position, not by the count: compaction and transactions leave offsets without a record.
    while consumer.position([place])[0].offset < end:
        message = consumer.poll(TIMEOUT)
        assert message is not None, f"{topic}/{partition} has records up to {end}, and none came"
        error = message.error()
        assert error is None, error
        headers = tuple((name, value or b"") for name, value in message.headers() or ())
        found.append(Record(partition, message.offset() or 0, message.key(), message.value(), headers))
    return found


def delete_all(broker: Broker, topic: str) -> None:
    """Make a topic forget the records that it holds, as its retention does; their offsets stay used."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    partitions = admin.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions
    # -1: up to the end.
    for result in admin.delete_records([TopicPartition(topic, p, -1) for p in partitions]).values():
        result.result(TIMEOUT)
