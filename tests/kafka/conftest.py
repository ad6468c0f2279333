"""One broker for all tests that ask for it, and for each of them a topic of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live.broker import Broker
from tests.kafka import records


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Apache Kafka of this test run. A test that kills it starts it again."""
    with Broker.start(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
def topic(broker: Broker) -> str:
    """A new topic with three partitions; ``records.make_topic`` makes others."""
    return records.make_topic(broker, partitions=3)
