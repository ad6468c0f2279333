"""``producer dlq``: what was malformed, to look at and to send again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from producer import domains as domain_lists
from producer.cli import options
from producer.cli.replay import finish
from producer.errors import shown


@click.group()
def dlq() -> None:
    """Dead letters: events that were malformed."""


@dlq.command("list")
@options.dead_topic
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Only the last so many."
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@options.kafka
def list_letters(dlq_topic: str, limit: int, output: str, **kafka: Any) -> None:
    """Show the newest dead letters, oldest first. As JSON: one a line, whole."""
    from producer.deadletters import Letters

    letters = Letters(options.brokers(**kafka), dlq_topic, resumed=False)
    total = len(letters)
    found = list(letters.newest(limit))
    letters.close()
    found.sort(key=lambda one: one.content.time if one.content else 0.0)
    for one in found[-limit:]:
        place, letter = f"{one.partition}:{one.offset}", one.content
        if output == "json":
            document: dict[str, Any] = {"partition": one.partition, "offset": one.offset}
            click.echo(
                json.dumps(document | (json.loads(letter.encode()) if letter else {"reason": "unreadable"}))
            )
        elif letter is None:
            click.echo(f"{place:>8}  {'':19}  unreadable")
        else:
            at = datetime.fromtimestamp(letter.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
            payload = shown(letter.payload.decode("utf-8", "backslashreplace"), 60)
            click.echo(f"{place:>8}  {at}  {letter.reason:16}  {payload}")
    if output == "table":
        click.echo(f"{len(found[-limit:]):,} of {total:,} dead letters in {dlq_topic}")


@dlq.command("replay")
@options.domains
@options.topic
@options.dead_topic
@options.rate
@click.option("--dry-run", is_flag=True, help="Judge them and say what would be sent.")
@options.kafka
def replay_letters(
    domains: str, topic: str, dlq_topic: str, rate: float | None, dry_run: bool, **kafka: Any
) -> None:
    """Judge the dead letters again that no replay has seen, and send those that are valid now.

    What is still malformed stays where it is. The position is kept by the consumer group
    producer-dlq-replay, so that no letter is replayed twice.
    """
    import time

    from producer.deadletters import Letters
    from producer.judge import Valid, judge
    from producer.kafka import KafkaSink
    from producer.pace import Pace
    from producer.pipeline import Pipeline, Routes
    from producer.sse import Event

    wanted = domain_lists.wanted(domains)
    brokers = options.brokers(**kafka)
    sink = KafkaSink(brokers)
    sink.demand(topic, dlq_topic)
    letters = Letters(brokers, dlq_topic, resumed=True)
    pipeline = Pipeline(sink, Routes(topic, dlq_topic, wanted), breathe=lambda: pipeline.settle(0.1))
    pace = Pace(rate, clock=time.monotonic, sleep=time.sleep)
    last: dict[int, int] = {}
    still = valid = 0
    for letter in letters:
        last[letter.partition] = letter.offset
        content = letter.content
        if content is None or content.size or not isinstance(judge(content.payload), Valid):
            still += 1
            continue
        valid += 1
        if not dry_run:
            pipeline.handle(Event(content.payload, content.position))
            pace.one()
    if not dry_run:
        finish(pipeline)
        letters.replayed(last)
    letters.close()
    sent = f"{valid:,} would be sent" if dry_run else f"{pipeline.counts.sent:,} sent"
    other = f", {pipeline.counts.filtered:,} of other domains" if pipeline.counts.filtered else ""
    click.echo(f"{still + valid:,} dead letters: {sent}{other}, {still:,} still malformed")
