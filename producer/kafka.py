"""Kafka as a sink: records go in, acknowledgements of all replicas come out; settings become a client.

The only modules that know the client are this one and those that read topics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from producer.errors import Failed, Misconfigured, Unavailable
from producer.sink import Delivered, Full, Refused, Stored

#: Most bytes of records that wait in memory, in KiB: then the stream waits.
QUEUE_KBYTES = 32_768
#: Larger records are refused here, and by topics that `producer topics ensure` made.
LARGEST = 8 << 20

_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG}
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_NOT_ALLOWED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}


@dataclass(frozen=True)
class Brokers:
    """Which Kafka, and how to log in. ``auth``: ``none`` or ``msk-iam``; ``patience``: seconds to wait for an
    answer at the start; ``more``: properties of librdkafka beside ours."""

    servers: str
    auth: str = "none"
    region: str | None = None
    patience: float = 10
    more: tuple[tuple[str, str], ...] = ()

    def config(self, **ours: Any) -> dict[str, Any]:
        """The properties of a client."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.servers,
            "client.id": "producer",
            # While a broker is away librdkafka would write to stderr without end.
            "log_level": 0,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 5_000,
            "allow.auto.create.topics": False,
        }
        if self.auth == "msk-iam":
            from producer.msk import login

            config |= login(self.region)
        return config | ours | dict(self.more)


@dataclass
class KafkaSink:
    """Idempotent, acknowledged by all replicas, in order within a key, bounded; it never gives up."""

    brokers: Brokers
    last_error: str = ""
    _client: Any = field(init=False)

    def __post_init__(self) -> None:
        config = self.brokers.config(
            **{
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "zstd",
                "linger.ms": 20,
                "batch.size": 262_144,
                "message.max.bytes": LARGEST,
                "message.timeout.ms": 0,
                "queue.buffering.max.kbytes": QUEUE_KBYTES,
                "queue.buffering.max.messages": 100_000,
                "error_cb": self._note,
            }
        )
        self._client = client(Producer, config)

    def send(self, topic: str, *, key: bytes | None, value: bytes, delivered: Delivered) -> None:
        try:
            self._client.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            raise Full from None
        except KafkaException as error:
            if error.args[0].code() not in _TOO_LARGE:
                raise Failed("kafka-failed", f"Kafka's client failed: {error.args[0].str()}") from error
            delivered(error.args[0], Stored(topic, key, value))

    def explain(self, error: Any) -> Refused:
        code, text = error.code(), error.str()
        if code in _TOO_LARGE:
            return Refused("refused-by-kafka", f"Kafka refused a record: {text}")
        if code in _MISSING:
            return Refused(
                "topic-missing",
                f"a topic is not there (any more): {text}",
                fatal=Misconfigured,
                fix="producer topics ensure",
            )
        if code in _NOT_ALLOWED:
            return Refused(
                "not-allowed",
                f"Kafka does not let us write: {text}",
                fatal=Misconfigured,
                fix="give this login the right to write to both topics (and WriteDataIdempotently on MSK)",
            )
        return Refused(
            "delivery-failed",
            f"Kafka took a record no more: {text}",
            fatal=Failed,
            fix="start again: it resumes from the last acknowledged event",
        )

    def poll(self, timeout: float) -> int:
        return int(self._client.poll(timeout))

    def flush(self, timeout: float) -> int:
        return int(self._client.flush(timeout))

    def demand(self, *topics: str) -> None:
        """:class:`Unavailable` when no broker answers; :class:`Misconfigured` when a topic is not there."""
        known = metadata(self._client, self.brokers, lambda: self.last_error)
        if missing := [name for name in topics if name not in known]:
            raise Misconfigured(
                "topic-missing",
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not among the topics"
                f" of {self.brokers.servers}",
                fix=f"producer topics ensure --brokers {self.brokers.servers}",
            )

    def _note(self, error: Any) -> None:
        self.last_error = error.str()


def client(kind: Callable[[dict[str, Any]], Any], config: dict[str, Any]) -> Any:
    """A client of librdkafka; :class:`Misconfigured` for properties that it does not take."""
    try:
        return kind(config)
    except (KafkaException, TypeError, ValueError) as error:
        text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        raise Misconfigured("bad-kafka-setting", f"Kafka's client refuses its settings: {text}") from error


def metadata(handle: Any, brokers: Brokers, said: Callable[[], str] = lambda: "") -> dict[str, Any]:
    """The topics by name."""
    try:
        # Logins and complaints are served from poll alone.
        if hasattr(handle, "poll"):
            handle.poll(0)
        return dict(handle.list_topics(timeout=brokers.patience).topics)
    except KafkaException as error:
        if hasattr(handle, "poll"):
            handle.poll(0)
        why = said() or error.args[0].str()
        if error.args[0].code() in _NOT_ALLOWED or "uthentication" in why:
            raise Misconfigured("not-allowed", f"{brokers.servers} refuses the login", why=why) from error
        raise Unavailable(
            "kafka-unreachable",
            f"no broker answers at {brokers.servers}",
            why=why,
            fix="see that Kafka runs there and can be reached from here (--brokers HOST:PORT,…)",
        ) from error
