"""``python -m live broker|serve|demo``: arguments go in, servers run until they are stopped, an exit code
comes out."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from runner.errors import Fault, ProjectError, RunFailed, RunnerError, fail

Verb = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; what went wrong is one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m live", description="The live pipeline on one machine.")
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _broker_options(verbs.add_parser("broker", help="Apache Kafka, until Ctrl-C"))
    _serve_options(verbs.add_parser("serve", help="a server like EventStreams, until Ctrl-C"))
    _demo_options(verbs.add_parser("demo", help="broker, server, producer, stream and schedule together"))
    given = parser.parse_args(arguments)
    verb: Verb = given.verb
    try:
        return verb(given)
    except (ProjectError, RunFailed) as error:
        for fault in error.faults if isinstance(error, ProjectError) else (error.fault,):
            print(one_line(fault), file=sys.stderr)
        return error.exit_code
    except RunnerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def one_line(fault: Fault) -> str:
    """What, why and what to do, on one line."""
    return ". ".join(part.rstrip(".") for part in (fault.what, fault.why, f"To do: {fault.fix}") if part)


def _broker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=19092, help="for clients (19092; 0: a free one)")
    parser.add_argument(
        "--data", type=Path, default=Path("target/live/kafka"), help="its folder, kept (target/live/kafka)"
    )
    parser.set_defaults(verb=_broker)


def _broker(given: argparse.Namespace) -> int:
    from live.broker import Broker

    print(f"Starting Apache Kafka on {given.data}", flush=True)
    ended = stopped()  # before anybody is told that it runs, and may want it to stop
    with Broker.start(given.data, given.port) as broker:
        print(f"bootstrap.servers={broker.bootstrap}   log: {broker.log}   Ctrl-C stops it", flush=True)
        while not ended.wait(1):
            if not broker.alive:
                print(f"Kafka ended by itself. To do: read {broker.log}", file=sys.stderr)
                return 1
        print("Stopping", flush=True)
    return 0


def _serve_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, nargs="?", help="recorded events, .ndjson or .sse, also .gz (else generated ones)")
    add("--events", type=int, default=20_000, help="how many to generate (20000)")
    add("--seed", type=int, default=1, help="of generated events and of random faults (1)")
    add("--port", type=int, default=8008, help="(8008; 0: a free one)")
    add("--rate", type=float, help="events a second; the first connection starts the clock (at once)")
    add("--now", action="store_true", help="with --rate: times as if the events happened now")
    add("--canaries", type=int, metavar="N", help="a heartbeat after every N events")
    add("--disconnect-seconds", type=float, metavar="S", help="end each connection after so long")
    add("--disconnect-events", type=int, metavar="N", help="end each connection after so many events")
    add("--end", action="store_true", help="close after the last event, instead of staying silent")
    add("--fault", action="append", default=[], metavar="FAULT", help="see docs/live.md; more than one")
    add(
        "--random-faults",
        type=int,
        default=0,
        metavar="N",
        help="so many more, of places that the seed chooses",
    )
    add("--ledger", type=Path, help="where to write what was offered and sent")
    parser.set_defaults(verb=_serve)


def _serve(given: argparse.Namespace) -> int:
    from live import captures, faults
    from live.eventstreams import EventStreams, Rules
    from live.spool import Spool

    if given.now and not given.rate:
        raise fail("now-without-rate", None, "--now needs a rate", fix="add --rate 50")
    wrong = [faults.parse(text) for text in given.fault]
    events: Iterable[captures.Captured]
    events = (
        captures.recorded(given.file)
        if given.file
        else captures.generated(events=given.events, seed=given.seed)
    )
    if given.canaries:
        events = captures.with_canaries(events, every=given.canaries)
    if given.now:
        events = captures.as_of_now(events, rate=given.rate)
    if given.random_faults:
        events = list(events)  # their number is needed first
        wrong += faults.at_random(given.random_faults, seed=given.seed, events=len(events))
    spool = Spool(events, changes=faults.changes(wrong))
    rules = Rules(
        rate=given.rate,
        disconnect_seconds=given.disconnect_seconds,
        disconnect_events=given.disconnect_events,
        end=given.end,
    )
    ended = stopped()
    with EventStreams.start(spool, rules=rules, faults=wrong, ledger=given.ledger, port=given.port) as server:
        print(f"{len(spool):,} events   {server.url}   Ctrl-C stops it", flush=True)
        ended.wait()
        status = server.status
    print(
        f"{status['sent']:,} of {len(spool):,} events were sent, in {status['requests']} requests", flush=True
    )
    return 0


def _demo_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--minutes", type=float, metavar="N", help="end after so long, and compare the tables with the ledger"
    )
    add("--rate", type=float, default=50.0, help="events a second (50)")
    add("--seed", type=int, default=1, help="of the generated events (1)")
    add("--live", action="store_true", help="the real stream in place of the replay server; with --contact")
    add("--contact", metavar="ADDRESS", help="your mail or web address, which Wikimedia asks for")
    add("--every", type=float, default=60.0, metavar="S", help="between two runs of silver and gold (60)")
    add("--trigger", type=float, default=10.0, metavar="S", help="between two batches of bronze (10)")
    add("--folder", type=Path, default=Path("target/live/demo"), help="emptied first (target/live/demo)")
    parser.set_defaults(verb=_demo)


def _demo(given: argparse.Namespace) -> int:
    from live import demo

    if given.live != (given.contact is not None):
        what, why = "--live and --contact belong together", "Wikimedia refuses clients that name no contact"
        raise fail("contact-missing", None, what, why=why, fix="write --live --contact you@example.org")
    options = demo.Options(
        folder=given.folder.absolute(),
        project=Path(__file__).resolve().parents[1],
        minutes=given.minutes,
        rate=given.rate,
        seed=given.seed,
        contact=given.contact,
        every=given.every,
        trigger=given.trigger,
    )
    return demo.run(options, tell=lambda text: print(text, flush=True), stopped=stopped())


def stopped() -> threading.Event:
    """Set by the first Ctrl-C or SIGTERM; the second one ends the process at once."""
    event = threading.Event()

    def on(number: int, frame: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, on)
    signal.signal(signal.SIGTERM, on)
    return event


if __name__ == "__main__":
    sys.exit(main())
