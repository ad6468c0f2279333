"""``producer run``: the live stream goes to Kafka until the command is told to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from producer import domains as domain_lists
from producer.cli import options
from producer.errors import Misconfigured
from producer.url import DEFAULT, checked

if TYPE_CHECKING:
    from producer.conduct import Conductor
    from producer.kafka import Brokers, KafkaSink
    from producer.state import State

#: Seconds between two lines that say what was done.
EVERY = 10.0


@click.command()
@click.option(
    "--contact", metavar="ADDRESS", help="Who runs this: mail or web address, for the User-Agent. Needed."
)
@click.option("--url", default=DEFAULT, show_default=True, help="The stream.")
@click.option("--allow-host", multiple=True, metavar="HOST", help="Another host that --url may name.")
@click.option("--since", metavar="TIME", help="Where to start without a stored position (ISO 8601).")
@click.option(
    "--rewind", type=click.FloatRange(min=0.001), default=5, show_default=True, metavar="SECONDS",
    help="How far before the position a connection starts.",
)  # fmt: skip
@options.domains
@options.rate
@options.topic
@options.dead_topic
@click.option(
    "--state", default="producer-state.json", show_default=True, metavar="FILE|kafka:TOPIC",
    help="Where the position is kept.",
)  # fmt: skip
@options.limit
@click.option("--http", metavar="HOST:PORT", help="Serve /livez, /readyz and /metrics there. Off without.")
@click.option("--metrics", type=click.Choice(["off", "emf"]), default="off", show_default=True,
              help="emf: metric lines for CloudWatch on stdout.")  # fmt: skip
@click.option("--breaker-window", type=click.IntRange(min=0), default=500, show_default=True, metavar="N",
              help="Events that the circuit breaker looks at; 0: never opens.")  # fmt: skip
@click.option("--breaker-ratio", type=click.FloatRange(0, 1), default=0.5, show_default=True,
              help="It opens when more than this share is malformed.")  # fmt: skip
@click.option("--breaker-openings", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
              help="It gives up when it opens so often in a row.")  # fmt: skip
@click.option("--read-timeout", type=click.FloatRange(min=0.5), default=45, show_default=True,
              metavar="SECONDS",
              help="A connection that is silent for so long is given up.")  # fmt: skip
@options.kafka
def run(
    contact: str | None,
    url: str,
    allow_host: tuple[str, ...],
    since: str | None,
    rewind: float,
    domains: str,
    rate: float | None,
    topic: str,
    dlq_topic: str,
    state: str,
    max_event: int,
    http: str | None,
    metrics: str,
    breaker_window: int,
    breaker_ratio: float,
    breaker_openings: int,
    read_timeout: float,
    **kafka: Any,
) -> None:
    """Send the events of a stream to Kafka, and resume where it stopped.

    Ends with 0 when told to stop (SIGTERM, Ctrl-C), 2 for wrong settings, 75 when it may work later.
    """
    checked(url, allowed=allow_host)
    agent = _contact(contact)
    routes_wanted = domain_lists.wanted(domains)
    if since is not None:
        _since(since)
    if topic == dlq_topic:
        raise click.UsageError("--topic and --dlq-topic name the same topic")
    brokers = options.brokers(**kafka)

    from producer.breaker import Breaker
    from producer.conduct import Conductor, Settings
    from producer.connection import Address
    from producer.health import Health, serve
    from producer.kafka import KafkaSink
    from producer.pipeline import Routes

    sink = KafkaSink(brokers)
    kept = _state(state, sink, brokers, url)
    try:
        sink.demand(topic, dlq_topic, *([state.removeprefix("kafka:")] if state.startswith("kafka:") else []))
        conductor = Conductor(
            Address(url, agent, allow_host, read_timeout=read_timeout).open,
            sink,
            kept,
            Routes(topic, dlq_topic, routes_wanted),
            Settings(since=since, rewind=rewind, limit=max_event, rate=rate, openings=breaker_openings),
            breaker=Breaker(window=breaker_window, ratio=breaker_ratio),
            say=options.say,
        )
        health = Health(conductor)
        conductor.report = _reporter(conductor, health, metrics, url)
        server = serve(health, http, lambda: dict(conductor.pipeline.counts.reasons)) if http else None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: conductor.stop())
        try:
            conductor.run()
        finally:
            if server:
                server.shutdown()
        options.say(f"stopped: {_line(conductor)}")
    finally:
        kept.close()


def _contact(text: str | None) -> str:
    fix = "name an address at which you can be reached: --contact you@example.org (or PRODUCER_RUN_CONTACT)"
    if not text:
        raise Misconfigured(
            "no-contact",
            "--contact is missing",
            why="the server refuses clients that name none (403)",
            fix=fix,
        )
    if not (text.isascii() and text.isprintable() and ("@" in text or "." in text)):
        raise Misconfigured("no-contact", f"--contact {text!r} is no mail or web address", fix=fix)
    return text


def _since(text: str) -> None:
    from producer.instants import seconds

    if seconds(text) is None and not text.isdigit():
        raise Misconfigured(
            "bad-since", f"--since {text!r} is no time", fix="write it as 2026-10-01T12:00:00Z"
        )


def _state(text: str, sink: KafkaSink, brokers: Brokers, stream: str) -> State:
    if text.startswith("kafka:"):
        from producer.kafka_state import KafkaState

        return KafkaState(sink, brokers, text.removeprefix("kafka:"), stream=stream)
    from producer.state import FileState

    return FileState(Path(text), stream=stream)


def _reporter(conductor: Conductor, health: Any, metrics: str, url: str) -> Callable[[], None]:
    from producer.health import EmbeddedMetrics

    embedded = (
        EmbeddedMetrics(health, namespace="Medallion/Producer", stream=url) if metrics == "emf" else None
    )
    before = [time.monotonic(), 0.0]

    def report() -> None:
        now = time.monotonic()
        if now - before[0] < EVERY:
            return
        received = float(conductor.pipeline.counts.received)
        rate = (received - before[1]) / (now - before[0])
        before[:] = [now, received]
        options.say(f"{_line(conductor)}, {rate:,.0f}/s")
        if embedded:
            click.echo(embedded.line())

    return report


def _line(conductor: Conductor) -> str:
    counts = conductor.pipeline.counts
    lag = f", lag {time.time() - counts.newest:,.1f} s" if counts.newest else ""
    return (
        f"{counts.received:,} received = {counts.sent:,} sent + {counts.filtered:,} of other domains"
        f" + {counts.heartbeats:,} heartbeats + {counts.malformed:,} malformed;"
        f" {counts.unacknowledged:,} unacknowledged{lag}"
    )
