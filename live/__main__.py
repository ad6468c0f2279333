"""``python -m live broker|serve|demo``: arguments go in, servers run until they are stopped, an exit code
comes out."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from runner.errors import Fault, RunFailed, RunnerError

Verb = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; what went wrong is one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m live", description="The live pipeline on one machine.")
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _broker_options(verbs.add_parser("broker", help="Apache Kafka, until Ctrl-C"))
    given = parser.parse_args(arguments)
    verb: Verb = given.verb
    try:
        return verb(given)
    except RunFailed as error:
        print(one_line(error.fault), file=sys.stderr)
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
    with Broker.start(given.data, given.port) as broker:
        print(f"bootstrap.servers={broker.bootstrap}   log: {broker.log}   Ctrl-C stops it", flush=True)
        ended = stopped()
        while not ended.wait(1):
            if not broker.alive:
                print(f"Kafka ended by itself. To do: read {broker.log}", file=sys.stderr)
                return 1
        print("Stopping", flush=True)
    return 0


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
