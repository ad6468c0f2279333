"""Options that several commands share, and what they are turned into."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from producer import domains as domain_lists
from producer.errors import shown

if TYPE_CHECKING:
    from producer.kafka import Brokers

_F = TypeVar("_F", bound=Callable[..., Any])


def stacked(*options: Callable[[Any], Any]) -> Callable[[_F], _F]:
    """One decorator of several, shown in this order."""

    def decorate(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


kafka = stacked(
    click.option(
        "--brokers",
        default="127.0.0.1:19092",
        show_default=True,
        metavar="HOST:PORT,…",
        help="Where Kafka is.",
    ),
    click.option(
        "--kafka-auth",
        type=click.Choice(["none", "msk-iam"]),
        default="none",
        show_default=True,
        help="How to log in.",
    ),
    click.option("--aws-region", metavar="REGION", help="The region of the MSK cluster."),
    click.option(
        "--kafka",
        "more",
        multiple=True,
        metavar="KEY=VALUE",
        help="A property of librdkafka, such as security.protocol=SSL.",
    ),
    click.option(
        "--kafka-timeout",
        type=click.FloatRange(min=0.1),
        default=10,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for a broker at the start.",
    ),
)
dead_topic = click.option(
    "--dlq-topic", default="dlq-events", show_default=True, help="Where malformed events go."
)
topic = click.option("--topic", default="raw-events", show_default=True, help="Where events go.")
domains = click.option(
    "--domains",
    default=domain_lists.DEFAULT,
    show_default=True,
    metavar="all|FILE.csv|DOMAIN,…",
    help="Which events to send.",
)
rate = click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most N events a second."
)
limit = click.option(
    "--max-event",
    type=click.IntRange(min=1024, max=8 << 20),
    default=1 << 20,
    show_default=True,
    metavar="BYTES",
    help="Larger events become dead letters with their beginning.",
)


def brokers(
    *, brokers: str, kafka_auth: str, aws_region: str | None, more: Sequence[str], kafka_timeout: float
) -> Brokers:
    """The settings of Kafka's client."""
    from producer.kafka import Brokers

    pairs = []
    for one in more:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--kafka {shown(one)} is no KEY=VALUE")
        pairs.append((name.strip(), value))
    return Brokers(brokers, kafka_auth, aws_region, kafka_timeout, tuple(pairs))


def say(text: str) -> None:
    """A log line on stderr, with the time."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    click.echo(f"{stamp} {text}", err=True)
    sys.stderr.flush()
