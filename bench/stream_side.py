"""One side of the producer's benchmark, a process: ``ours`` or ``usual`` reads a stream and sends it on.

In: the stream's address. Out: a line of JSON with events, processor seconds and the most memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

MOCK = {"test.mock.num.brokers": "1", "allow.auto.create.topics": "true"}


def usual(url: str, brokers: str | None) -> int:
    """The loop that examples show: small chunks, parse, write anew, produce, poll."""
    import requests
    from confluent_kafka import Producer
    from sseclient import SSEClient

    config: dict[str, Any] = {
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "zstd",
        "log_level": 0,
    }
    config |= {"bootstrap.servers": brokers} if brokers else MOCK
    producer = Producer(config)
    sent = 0

    def delivered(error: Any, record: Any) -> None:
        if error is not None:
            raise RuntimeError(error.str())

    with requests.get(url, stream=True, timeout=60, headers={"Accept": "text/event-stream"}) as response:
        for event in SSEClient(response).events():  # type: ignore[arg-type]  # as its own examples do
            change = json.loads(event.data)
            if change["meta"]["domain"] == "canary":
                continue
            while True:
                try:
                    producer.produce(
                        "raw-events",
                        key=change["meta"]["domain"].encode(),
                        value=json.dumps(change).encode(),
                        on_delivery=delivered,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
            sent += 1
    producer.flush()
    return sent


def ours(url: str, brokers: str | None) -> int:
    """The producer itself, as `producer run` puts it together, until the first connection ends."""
    from producer.conduct import Conductor, Opened, Settings
    from producer.connection import Address
    from producer.kafka import Brokers, KafkaSink
    from producer.pipeline import Routes

    address = Address(url, "bench@example.org")

    class Nowhere:
        def load(self) -> str | None:
            return None

        def save(self, position: str) -> None:
            pass

        def close(self) -> None:
            pass

    class Ended:
        def __iter__(self) -> Iterator[bytes | None]:
            return iter(())

        def close(self) -> None:
            pass

    def once(*, position: str | None, since: str | None) -> Opened:
        if conductor.pipeline.counts.connections:
            conductor.stop()
            return Ended()
        return address.open(position=position, since=since)

    # The properties of the mock come last, as a user's do.
    more = () if brokers else tuple(MOCK.items())
    sink = KafkaSink(Brokers(brokers or "127.0.0.1:1", more=more))
    conductor = Conductor(once, sink, Nowhere(), Routes(), Settings(), say=lambda line: None)
    conductor.run()
    counts = conductor.pipeline.counts
    if counts.acknowledged != counts.sent:
        raise RuntimeError(f"{counts.unacknowledged} records were not acknowledged")
    return counts.sent


def main() -> None:
    side, url, brokers = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
    # What both import is no part of the loop.
    import producer.conduct
    import producer.connection
    import producer.kafka  # noqa: F401

    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    sent = {"ours": ours, "usual": usual}[side](url, brokers)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps(
            {
                "events": sent,
                "cpu": cpu,
                "seconds": time.perf_counter() - started,
                "memory": after.ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
