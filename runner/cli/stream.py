"""The verb that follows topics."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from runner.argv import Verb, names
from runner.cli.options import BRANCH, LOCK_TIMEOUT, SKIP_LOST, Ask, asks
from runner.console import Console

if TYPE_CHECKING:
    from runner.stream import Ending, Tell


@click.command(cls=Verb)
@asks(selection=True, output=True)
@click.option(
    "--trigger",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="From the start of a batch to the start of the next.",
)
@click.option(
    "--max-records",
    type=click.IntRange(min=1),
    default=500_000,
    show_default=True,
    metavar="N",
    help="At most about so many in a batch; what is left comes in the next, at once.",
)
@click.option(
    "--batches", type=click.IntRange(min=1), metavar="N", help="End after so many batches with rows."
)
@LOCK_TIMEOUT
@SKIP_LOST
@BRANCH
def stream(
    ask: Ask,
    *,
    trigger: float,
    max_records: int,
    batches: int | None,
    lock_timeout: float,
    skip_lost_records: bool,
    branch: str,
) -> int:
    """Follow topics: a micro-batch at every trigger, until Ctrl-C or SIGTERM, after which the batch that runs
    is finished. Without a selection it runs all models that read topics. Positions are in the tables, so any
    number of restarts loses nothing and repeats nothing.
    """
    from runner.stream import Ending, StreamOptions, not_a_stream
    from runner.stream import stream as follow

    project, models, rendered = ask.compiled()
    if not ask.narrowed:
        models = tuple(m for m in models if m.streams)
    not_a_stream(models, project.profile)
    options = StreamOptions(
        trigger=trigger,
        max_records=max_records,
        batches=batches,
        skip_lost=skip_lost_records,
        lock_timeout=lock_timeout,
        branch=branch,
        args={**ask.place(), "pipelines": list(names(ask.pipelines)), "trigger": trigger},
    )
    ending = Ending()
    with _asked_by_signals(ending, ask.console):
        return follow(project, models, options, _telling(ask.console), ending, rendered=rendered)


_LABELS = {"batch": "BATCH", "waiting": "WAIT", "stale": "STALE", "end": "DONE", "start": "START"}


def _telling(console: Console) -> Tell:
    def tell(kind: str, table: str, text: str, values: Mapping[str, Any]) -> None:
        if kind == "idle" or (kind == "start" and not console.as_json):
            return
        line = f"{_clock()} {_LABELS[kind]:<5} {table}  [{text}]"
        console.note(line, wrong=kind in ("waiting", "stale"), event=kind, table=table, **values)

    return tell


def _clock() -> str:
    return time.strftime("%H:%M:%S", time.gmtime())


@contextmanager
def _asked_by_signals(ending: Ending, console: Console) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks for an end after the batch that runs; the second ends at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        if ending.asked:
            raise KeyboardInterrupt
        ending.ask()
        console.note(f"{_clock()} stopping when this batch is done; once more: now, nothing published")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
