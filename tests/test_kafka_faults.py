"""Which failures of Spark pass by themselves: Kafka's, by the exception's name and not by the way of rows."""

from __future__ import annotations

import pytest

from runner.engine.spark.faults import run_failed

FRAMES = (
    "\n\tat org.apache.spark.sql.kafka010.KafkaBatchPartitionReader.next(KafkaBatchPartitionReader.scala:62)"
)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("org.apache.kafka.common.errors.TimeoutException: Timeout of 60000ms expired", True),
        (
            "Lost task 0.3 in stage 4.0: org.apache.kafka.common.errors.DisconnectException: gone" + FRAMES,
            True,
        ),
        ("Job aborted\nCaused by: org.apache.kafka.common.KafkaException: no", True),
        ("Task failed: org.apache.spark.sql.kafka010.KafkaIllegalStateException: [KAFKA_DATA_LOSS]", True),
        ("Lost task 0.0 in stage 4.0: java.lang.ArithmeticException: / by zero" + FRAMES, False),
        ("[DIVIDE_BY_ZERO] in a title: org.apache.kafka is a word", False),
    ],
)
def test_a_failure_is_kafkas_by_its_name(text: str, passes: bool) -> None:
    assert run_failed(Exception(text), "the query failed").retryable is passes
