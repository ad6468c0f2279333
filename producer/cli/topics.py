"""``producer topics``: the topics that the producer writes to."""

from __future__ import annotations

from typing import Any

import click

from producer.cli import options


@click.group()
def topics() -> None:
    """The topics that the producer writes to."""


@topics.command()
@options.topic
@options.dead_topic
@click.option("--state-topic", metavar="TOPIC", help="Also the compacted topic of --state kafka:TOPIC.")
@click.option("--partitions", type=click.IntRange(1, 1000), default=6, show_default=True,
              help="Of the topic of events.")  # fmt: skip
@click.option(
    "--replicas", type=click.IntRange(-1, 10), default=-1, help="Copies; without, the broker's default."
)
@click.option("--days", type=click.IntRange(min=1), default=7, show_default=True,
              help="How long events are kept; dead letters four times as long.")  # fmt: skip
@options.kafka
@click.pass_context
def ensure(
    ctx: click.Context,
    /,
    topic: str,
    dlq_topic: str,
    state_topic: str | None,
    partitions: int,
    replicas: int,
    days: int,
    **kafka: Any,
) -> None:
    """Create the topics that are missing; say what differs in those that are there, and change nothing.

    Ends with 1 where something differs.
    """
    brokers = options.brokers(**kafka)
    from producer import topics as wanted_topics

    found = wanted_topics.ensure(
        brokers,
        wanted_topics.wanted(topic, dlq_topic, state_topic, partitions=partitions, days=days),
        replicas=replicas or -1,
    )
    for one in found:
        state = "created" if one.made else "differs" if one.differences else "as wanted"
        click.echo(f"{one.topic.name}  {state}")
        for difference in one.differences:
            click.echo(f"  {difference}")
    if any(one.differences for one in found):
        click.echo(
            "  fix: change them with Kafka's own tools, or call `topics ensure` with what you want", err=True
        )
        ctx.exit(1)
