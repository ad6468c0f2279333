"""``producer replay``: recorded events go to Kafka by the path of the live ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from producer import domains as domain_lists
from producer.cli import options
from producer.errors import Unavailable

if TYPE_CHECKING:
    from producer.pipeline import Pipeline


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options.domains
@options.rate
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), metavar="X",
              help="By event time: 1 as it was, 60 a minute in a second.")  # fmt: skip
@options.topic
@options.dead_topic
@options.limit
@options.kafka
def replay(
    file: Path,
    domains: str,
    rate: float | None,
    speed: float | None,
    topic: str,
    dlq_topic: str,
    max_event: int,
    **kafka: Any,
) -> None:
    """Send the events of FILE: one a line, or a capture of the stream; .gz is unpacked.

    What is sent twice is merged downstream by meta.id, so a replay may be repeated.
    """
    wanted = domain_lists.wanted(domains)
    brokers = options.brokers(**kafka)

    from producer.files import recorded
    from producer.kafka import KafkaSink
    from producer.pace import Pace
    from producer.pipeline import Pipeline, Routes

    sink = KafkaSink(brokers)
    sink.demand(topic, dlq_topic)
    pace = Pace(rate, speed=speed, clock=time.monotonic, sleep=time.sleep)
    # A second without room is no fault: a broker may be away for a while.
    pipeline = Pipeline(sink, Routes(topic, dlq_topic, wanted), breathe=lambda: pipeline.settle(0.1))
    for event in recorded(file, limit=max_event):
        if speed:
            pipeline.counts.newest = 0.0
        pipeline.handle(event)
        pace.one()
        if speed and pipeline.counts.newest:
            pace.at(pipeline.counts.newest)
    finish(pipeline)
    counts = pipeline.counts
    click.echo(
        f"{counts.received:,} events: {counts.sent:,} sent, {counts.filtered:,} of other domains,"
        f" {counts.heartbeats:,} heartbeats, {counts.malformed:,} malformed"
    )


def finish(pipeline: Pipeline) -> None:
    """Wait for what is under way; :class:`Unavailable` when Kafka does not take it."""
    if left := pipeline.finish(60):
        raise Unavailable(
            "not-acknowledged",
            f"Kafka has not acknowledged {left:,} records within a minute",
            fix="replay again when it is well: what was sent twice is merged downstream",
        )
