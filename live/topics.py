"""All that a topic holds: a broker's address and a name go in, values come out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from runner.errors import Fault, RunFailed

_TIMEOUT_SECONDS = 30.0


def everything(bootstrap: str, topic: str) -> Iterator[bytes]:
    """The values that the topic has now, partition by partition. RunFailed: ``topic-silent``."""
    from confluent_kafka import Consumer, TopicPartition

    settings = {"group.id": "live", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer({"bootstrap.servers": bootstrap, **settings})
    try:
        for partition in sorted(
            consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        ):
            place = TopicPartition(topic, partition)
            first, end = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_SECONDS)
            if first == end:
                continue
            consumer.assign([TopicPartition(topic, partition, first)])
            # By the position, not by the count: compaction and transactions leave offsets without a record.
            while consumer.position([place])[0].offset < end:
                message = consumer.poll(_TIMEOUT_SECONDS)
                if message is None or message.error():
                    why = "nothing came" if message is None else str(message.error())
                    what = f"{topic} of {bootstrap} cannot be read to its end"
                    raise RunFailed(Fault("topic-silent", None, what, why, "look whether the broker runs"))
                yield message.value() or b""
    finally:
        consumer.close()


def dead_letters(bootstrap: str, topic: str) -> Iterator[bytes]:
    """The bytes of the events that the dead letters of a topic were made of."""
    for value in everything(bootstrap, topic):
        letter = json.loads(value)
        text: str = letter["payload"]
        yield base64.b64decode(text) if letter["encoding"] == "base64" else text.encode()
