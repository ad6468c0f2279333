"""The whole pipeline on one machine: options go in; broker, server, producer, stream and schedule run beside
each other until they are stopped, and end in order.

:func:`programs` is the one place that knows their commands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from live import captures, ledger, outcome, ports
from live.broker import Broker
from live.children import Child, Children
from live.eventstreams import EventStreams, Rules
from live.figures import Figures, Watch, scrape
from live.spool import Spool
from live.topics import dead_letters
from runner.errors import Fault, RunFailed, fail

TOPIC, DEAD = "raw-events", "dlq-events"
_MARK = ".made-by-live"
_LOOK_SECONDS = 5.0
_TICK_SECONDS = 0.5
_AHEAD_SECONDS = 30.0
_DAYS, _A_DAY = 1_000, 20_000  # of generated events, not of the demo
_SETTLED = 4  # looks at the producer without a change, after which it has all
_REAL = "https://stream.wikimedia.org/v2/stream/recentchange"

_INTERRUPTED = 130

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Options:
    """``minutes``: None goes on until it is stopped. ``contact``: of the real stream, in place of the server.

    ``every``: seconds between two runs of silver and gold; ``trigger``: between two batches of bronze.
    """

    folder: Path
    project: Path
    minutes: float | None = None
    rate: float = 50.0
    seed: int = 1
    contact: str | None = None
    every: float = 60.0
    trigger: float = 10.0
    disconnect: float = 45.0


@dataclass(frozen=True)
class Programs:
    """The commands, in the order of their start; ``show`` needs the name of a table after it."""

    topics: Child
    producer: Child
    bronze: Child
    transform: Child
    drain: Child
    show: tuple[str | Path, ...]


class Commands(Protocol):
    """Names what is run, for a broker's address, a stream, and the port of the producer's metrics."""

    def __call__(self, options: Options, *, bootstrap: str, url: str, http: int) -> Programs: ...


def programs(options: Options, *, bootstrap: str, url: str, http: int) -> Programs:
    """What is run, with which arguments."""
    producer: tuple[str | Path, ...] = (Path(sys.executable).with_name("producer"),)
    runner: tuple[str | Path, ...] = (sys.executable, "-m", "runner")
    where: tuple[str | Path, ...] = (
        "--target", "live", "--lake", options.folder / "lake",
        "--vars", json.dumps({"brokers": bootstrap, "topic": TOPIC}),
    )  # fmt: skip
    source: tuple[str | Path, ...] = ("--url", url, "--contact", options.contact or "live@localhost.example")
    if options.contact is None:
        source += ("--allow-host", ports.HOST)
    return Programs(
        topics=Child("topics", (*producer, "topics", "ensure", "--brokers", bootstrap)),
        producer=Child(
            "producer",
            (*producer, "run", *source, "--brokers", bootstrap, "--domains", "all",
             "--state", options.folder / "producer-state.json", "--http", f"{ports.HOST}:{http}"),
        ),
        bronze=Child(
            "bronze",
            (*runner, "stream", *where, "--pipeline", "bronze", "--trigger", str(options.trigger)),
        ),
        transform=Child(
            "silver-gold", (*runner, "run", *where, "--pipeline", "silver", "--pipeline", "gold")
        ),
        drain=Child(
            "last-run",
            (*runner, "run", *where, "--pipeline", "bronze", "--pipeline", "silver", "--pipeline", "gold"),
        ),
        show=(*runner, "show", *where[:4], "--all", "--format", "ndjson"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Parts:
    """What runs."""

    options: Options
    programs: Programs
    children: Children
    broker: Broker
    server: EventStreams | None
    metrics: str
    tell: Tell
    stopped: threading.Event


def run(options: Options, *, tell: Tell, stopped: threading.Event, commands: Commands = programs) -> int:
    """0, or 1 when the tables are not what was sent. RunFailed: a part did not start, or ended by itself.

    ``commands``: what to run in place of the shipped programs.
    """
    _make_room(options.folder)
    with ExitStack() as running:
        tell("starting Kafka")
        broker = running.enter_context(Broker.start(options.folder / "kafka"))
        server = None if options.contact else running.enter_context(_server(options))
        url = _REAL if server is None else server.url
        (http,) = ports.free(1)
        named = commands(options, bootstrap=broker.bootstrap, url=url, http=http)
        children = Children(options.folder / "logs", project=options.project)
        metrics = f"http://{ports.HOST}:{http}/metrics"
        parts = _Parts(options, named, children, broker, server, metrics, tell, stopped)
        running.callback(_stop, parts)
        children.run(named.topics, stopped)
        children.start(named.producer)
        children.start(named.bronze)
        tell(f"events from {url}")
        tell(f"Kafka on {broker.bootstrap}; the lake and all logs are in {options.folder}")
        _follow(parts)
        return 0 if stopped.is_set() or server is None else _finish(parts, server)


def _follow(parts: _Parts) -> None:
    """Until the time is over or somebody stops it: a row of counts now and then, silver and gold in turn."""
    options, children, server = parts.options, parts.children, parts.server
    transform = parts.programs.transform
    began = time.monotonic()
    watch = Watch(
        lake=options.folder / "lake",
        metrics=lambda: scrape(parts.metrics),
        sent=lambda: None if server is None else server.status["sent"],
    )
    parts.tell(Figures.heading())
    next_look, next_run = began, began + options.every
    until = float("inf") if options.minutes is None else began + options.minutes * 60
    while (now := time.monotonic()) < until and not parts.stopped.wait(_TICK_SECONDS):
        if not parts.broker.alive:
            fix = f"read {parts.broker.log}"
            raise RunFailed(Fault("child-failed", None, "Kafka ended by itself", "", fix))
        children.require(parts.programs.producer.name, parts.programs.bronze.name)
        if server is not None:
            server.spool.fill(server.available() + _ahead(options))
        if now >= next_look:
            parts.tell(watch.look().row())
            next_look = now + _LOOK_SECONDS
        if children.runs(transform.name):
            if code := children.ended(transform.name):
                # Not the end of all: the next run does the work of this one as well.
                what = f"silver and gold ended with exit code {code}"
                parts.tell(str(children.failure(transform.name, what)))
        elif now >= next_run:
            children.start(transform)
            next_run = now + options.every


def _finish(parts: _Parts, server: EventStreams) -> int:
    """No more events: all that happened goes through, and is compared with the ledger."""
    children, programs, tell = parts.children, parts.programs, parts.tell
    happened = server.freeze()
    tell(f"{happened:,} events have happened; what is under way goes to its end")
    _settle(parts, server, happened)
    for child in (programs.producer, programs.bronze):
        if code := children.stop(child.name):
            raise children.failure(child.name, f"{child.name} did not end properly: exit code {code}")
    while children.runs(programs.transform.name) and children.ended(programs.transform.name) is None:
        if parts.stopped.wait(_TICK_SECONDS):
            return _INTERRUPTED
    children.run(programs.drain, parts.stopped)
    if parts.stopped.is_set():
        return _INTERRUPTED
    server.stop()  # with that the ledger is complete
    expected = ledger.read(parts.options.folder / "ledger.ndjson").expected(positions=range(happened))
    found = outcome.held(
        bronze=_rows(parts, "bronze.raw_events"),
        silver=_rows(parts, "silver.cleaned_events"),
        hourly=_rows(parts, "gold.hourly_stats"),
        dead=dead_letters(parts.broker.bootstrap, DEAD),
    )
    wrong = outcome.differences(expected, found)
    for line in wrong:
        tell(f"different: {line}")
    if not wrong:
        tell(f"equal: bronze and silver hold the {len(expected.valid):,} distinct valid events of the ledger")
        tell(f"  gold counts the {found.valid:,} that are valid in silver")
        tell(f"  {len(expected.malformed):,} malformed ones are dead letters")
        tell(f"  {len(expected.heartbeats):,} heartbeats are nowhere")
    return 1 if wrong else 0


def _settle(parts: _Parts, server: EventStreams, happened: int) -> None:
    """Until the producer has all that was sent, and Kafka all that the producer has."""
    before, still = -1.0, 0
    while still < _SETTLED and not parts.stopped.wait(_TICK_SECONDS):
        parts.children.require(parts.programs.producer.name)
        figures = scrape(parts.metrics)
        received = figures.get("producer_received_total", 0)
        done = server.status["sent"] >= happened and not figures.get("producer_unacknowledged")
        still = still + 1 if done and received == before else 0
        before = received


def _make_room(folder: Path) -> None:
    """An empty folder: only one that this program made is emptied. ProjectError (``folder-taken``)."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).exists():
        what, why = f"{folder} is not empty", "it was not made by the demo, which begins with an empty one"
        raise fail("folder-taken", None, what, why=why, fix="name another folder: --folder DIR")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()


def _server(options: Options) -> EventStreams:
    # Days that are made one after the other as time goes on (see _follow): enough for any demo.
    events = captures.generated(events=_DAYS * _A_DAY, days=_DAYS, seed=options.seed)
    spool = Spool(captures.as_of_now(events, rate=options.rate), upto=_ahead(options))
    rules = Rules(rate=options.rate, disconnect_seconds=options.disconnect)
    return EventStreams.start(spool, rules=rules, ledger=options.folder / "ledger.ndjson")


def _ahead(options: Options) -> int:
    """How many events there are that have not happened yet: more than a slow moment of this process takes."""
    return int(options.rate * _AHEAD_SECONDS) + 1


def _stop(parts: _Parts) -> None:
    parts.tell("stopping")
    parts.children.stop_all()


def _rows(parts: _Parts, table: str) -> Iterator[dict[str, Any]]:
    log, project = parts.children.log("show"), parts.options.project
    command = [*parts.programs.show, table]
    with (
        log.open("ab") as said,
        subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=said) as shown,
    ):
        assert shown.stdout is not None
        for line in shown.stdout:
            yield json.loads(line)
    if shown.returncode:
        raise RunFailed(Fault("child-failed", None, f"{table} cannot be shown", "", f"read {log}"))
