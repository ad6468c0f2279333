"""The topics as they should be: what there is goes in, what was made and what differs comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from producer.errors import Failed
from producer.kafka import LARGEST, Brokers, client, metadata

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """``config``: properties that differ from the broker's defaults."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """One topic after the look: made, or there and as wanted, or with ``differences``."""

    topic: Topic
    made: bool
    differences: tuple[str, ...] = ()


def wanted(events: str, dead: str, state: str | None, *, partitions: int, days: int) -> list[Topic]:
    """What the producer writes to. Dead letters are kept four times as long: somebody has to look first."""
    common = {"max.message.bytes": str(LARGEST)}
    topics = [
        Topic(events, partitions, {**common, "retention.ms": str(days * DAY_MS)}),
        Topic(dead, 1, {**common, "retention.ms": str(4 * days * DAY_MS)}),
    ]
    if state:
        topics.append(Topic(state, 1, {"cleanup.policy": "compact"}))
    return topics


def ensure(brokers: Brokers, topics: Sequence[Topic], *, replicas: int) -> list[Found]:
    """Make what is missing, compare what is there. ``replicas`` -1: the default of the broker."""
    admin = client(AdminClient, brokers.config())
    known = metadata(admin, brokers)
    missing = [topic for topic in topics if topic.name not in known]
    made = {topic.name for topic in missing if _made(admin, topic, replicas)}
    found = []
    for topic in topics:
        if topic.name in made:
            found.append(Found(topic, True))
        else:
            there = known.get(topic.name)
            differences = _differences(admin, topic, len(there.partitions) if there else None)
            found.append(Found(topic, False, tuple(differences)))
    return found


def _made(admin: Any, topic: Topic, replicas: int) -> bool:
    new = NewTopic(topic.name, topic.partitions, replicas, config=topic.config)
    try:
        admin.create_topics([new], request_timeout=30)[topic.name].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise Failed(
            "topic-not-made",
            f"the topic {topic.name} cannot be created: {error.args[0].str()}",
            fix="let this login create topics, or have them created; --replicas must not exceed the brokers",
        ) from error
    return True


def _differences(admin: Any, topic: Topic, partitions: int | None) -> list[str]:
    said = []
    if partitions is not None and partitions != topic.partitions:
        said.append(f"partitions is {partitions}, wanted {topic.partitions}")
    resource = ConfigResource(ResourceType.TOPIC, topic.name)
    try:
        values = admin.describe_configs([resource], request_timeout=30)[resource].result()
    except KafkaException as error:
        return [*said, f"its settings cannot be read: {error.args[0].str()}"]
    for name, value in topic.config.items():
        there = values[name].value if name in values else None
        if there != value:
            said.append(f"{name} is {there}, wanted {value}")
    return said
