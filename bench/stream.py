"""The price of exactly-once in a stream: bronze from Kafka, the runner beside a foreachBatch job by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bench import statements
from bench.feed import DRIP, PARTITIONS, Feed
from bench.harness import interleave, measure, median, python, ratio
from bench.outcome import Aim, Block, Options, Outcome
from bench.tables import Unequal
from live.broker import Broker

_HOW = (
    "Bronze from a real broker: `runner stream` beside `bench/raw_stream.py`, Structured Streaming with"
    " foreachBatch and one MERGE by hand, with the same query, launcher and JVM flags, and neither checks,"
    " quarantine nor audit. Each run is a process with its own lake and topic: a backlog of {events:,} events"
    " in batches of {most:,}, then {drips} batches of {drip} events. Of both the last half counts, when Java"
    " has compiled most; a small batch's time is from the moment at which its events are in the topic until"
    " their rows are in the table. Both sides' tables hold the same rows."
)


def run(options: Options) -> Outcome:
    """Backlog and small batches."""
    events, most, drips = (6_000, 1_500, 4) if options.quick else (180_000, 30_000, 24)
    script = statements.write(options.work / "statements.json")
    log = options.work / "stream.log"
    with Broker.start(options.work / "kafka") as broker:

        def side(name: str, *arguments: Any) -> Callable[[int], dict[str, Any]]:
            def once(index: int) -> dict[str, Any]:
                topic = f"{name}-{index}"
                broker_topic(broker, topic)
                Feed(broker.bootstrap, topic).backlog(events)
                lake, report = options.work / topic, options.work / f"{topic}.json"
                given: list[Any] = [
                    "--lake",
                    lake,
                    "--report",
                    report,
                    "--bootstrap",
                    broker.bootstrap,
                    "--topic",
                    topic,
                ]
                given += ["--max-records", str(most), "--drips", str(drips)]
                used = measure(python(*arguments, *given), log=log)
                found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
                return {**found, "cpu": used.cpu}

            return once

        runs = interleave(
            {
                "runner": side("runner", "-m", "bench.our_stream", "--events", str(events)),
                "script": side("script", "-m", "bench.raw_stream", "--statements", script),
            },
            options.rounds,
        )
    held = {name: {(r["rows"], r["ids"]) for r in of} for name, of in runs.items()}
    if held["runner"] != held["script"] or len(held["runner"]) != 1:
        raise Unequal(f"the tables of the sides differ: {held}")
    rates = {name: [_rate(r["backlog"]) for r in of] for name, of in runs.items()}
    small = {name: [median(r["drips"][drips // 2 :]) for r in of] for name, of in runs.items()}
    rows = [
        [
            name,
            median(rates[name]),
            median(small[name]),
            median([r["cpu"] for r in of]),
        ]
        for name, of in runs.items()
    ]
    return Outcome(
        "stream",
        _HOW.format(events=events, most=most, drips=drips, drip=DRIP),
        [Block("Sides", ["side", "events a second", "seconds of a small batch", "CPU seconds in all"], rows)],
        [
            Aim("script ÷ runner, events a second", ratio(rates["script"], rates["runner"]), 1 / 0.95),
            Aim("runner ÷ script, a small batch", ratio(small["runner"], small["script"]), 1.3),
        ],
        dict(runs),
    )


def _rate(batches: list[tuple[int, float]]) -> float:
    """Events a second, over the last half of the batches."""
    counted = batches[len(batches) // 2 :]
    return sum(records for records, _ in counted) / sum(seconds for _, seconds in counted)


def broker_topic(broker: Broker, name: str) -> None:
    """A new topic."""
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])[name].result(30)
