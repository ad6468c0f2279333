"""Which offsets a topic holds now, asked of its brokers without Spark.

In: a topic and the settings of a profile's ``kafka:``. Out: the first and the next offset of each partition.
ProjectError where settings are wrong, Busy where no broker answers.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from runner.errors import Busy, Fault, Place, ProjectError, RunFailed, fail

if TYPE_CHECKING:
    from confluent_kafka import Consumer

SERVERS = "bootstrap.servers"
#: A setting of Java's clients alone, by which Spark logs in.
_JAVA_ONLY = ("sasl.jaas.config", "sasl.client.callback.handler.class")
_TIMEOUT = 5.0

#: Partition → (first offset that is there, offset of the next record to come).
Extents = Mapping[int, tuple[int, int]]


class Topics(Protocol):
    """What a run asks of brokers."""

    def extents(self, topic: str, place: Place) -> Extents:
        """The offsets of a topic's partitions."""


class Brokers:
    """The brokers of a profile. One connection, made at the first question and kept; any thread may ask."""

    def __init__(self, settings: Mapping[str, str], place: Place, *, timeout: float = _TIMEOUT) -> None:
        self._settings, self._place, self._timeout = settings, place, timeout
        self._consumer: Consumer | None = None
        self._one_at_a_time = threading.Lock()

    def extents(self, topic: str, place: Place) -> Extents:
        """The offsets of a topic's partitions.

        Raises ProjectError where the settings are wrong or the topic is not there, Busy where no broker
        answers in time, RunFailed where one refuses.
        """
        from confluent_kafka import KafkaException, TopicPartition

        with self._one_at_a_time:
            consumer = self._connected(place)
            try:
                found = consumer.list_topics(topic, timeout=self._timeout).topics[topic]
                if found.error is not None:
                    raise KafkaException(found.error)
                return {
                    number: consumer.get_watermark_offsets(
                        TopicPartition(topic, number), timeout=self._timeout, cached=False
                    )
                    for number in sorted(found.partitions)
                }
            except KafkaException as error:
                raise self._meaning(error, topic, place) from error

    def _connected(self, place: Place) -> Consumer:
        if self._consumer is not None:
            return self._consumer
        if not self._settings.get(SERVERS):
            raise fail(
                "no-brokers",
                place,
                "a topic is read, and the profile names no brokers",
                why=f"the target's `kafka:` in profiles.yml says where topics are ({self._place})",
                fix="add kafka: {bootstrap.servers: 'HOST:PORT'} to it, or pick another with --target",
            )
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError:
            raise fail(
                "kafka-missing",
                place,
                "a topic is read, and the package confluent-kafka is not installed",
                why="it comes with an extra, so that a project without topics does without",
                fix="pip install 'medallion-runner[kafka]'",
            ) from None
        settings: dict[str, Any] = {
            # Nothing is consumed and nothing committed by it; a client does not start without one.
            "group.id": "medallion-runner",
            "enable.auto.commit": False,
            "log_level": 0,
            "client.id": "medallion-runner",
            **{key: value for key, value in self._settings.items() if key not in _JAVA_ONLY},
        }
        try:
            self._consumer = Consumer(settings, logger=_silent())
        except KafkaException as error:
            raise fail(
                "kafka-setting",
                self._place,
                f"Kafka's client refuses its settings: {error.args[0].str()}",
                why="they stand under `kafka:` of the target in profiles.yml",
                fix="correct the setting; names are those of librdkafka's CONFIGURATION.md",
            ) from None
        return self._consumer

    def _meaning(self, error: Any, topic: str, place: Place) -> ProjectError | Busy | RunFailed:
        from confluent_kafka import KafkaError

        of = error.args[0]
        servers = self._settings[SERVERS]
        match of.code():
            case KafkaError.UNKNOWN_TOPIC_OR_PART | KafkaError._UNKNOWN_TOPIC:
                return fail(
                    "no-topic",
                    place,
                    f"there is no topic '{topic}' at {servers}",
                    why="a stream is read from a topic that is there before it",
                    fix="create it (for the shipped project: `producer topics ensure`), or correct the name",
                )
            case KafkaError._AUTHENTICATION | KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return RunFailed(
                    Fault(
                        "kafka-refused",
                        place,
                        f"the brokers at {servers} refuse to tell of '{topic}': {of.str()}",
                        "whoever reads a topic may describe and read it",
                        "correct the login in profiles.yml, or allow DESCRIBE and READ on the topic",
                    )
                )
        return Busy(
            Fault(
                "brokers-unreachable",
                place,
                f"no broker of {servers} answers: {of.str()}",
                f"waited {self._timeout:g} s; nothing was read and nothing written",
                "see whether Kafka runs (`make kafka` starts one), and correct `kafka:` in profiles.yml",
            )
        )


def _silent() -> Any:
    """A logger that says nothing: what matters is raised."""
    import logging

    logger = logging.getLogger("runner.topics.client")
    logger.disabled = True
    return logger
