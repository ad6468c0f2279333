"""Where the replay server has its events from: a file or a seed goes in, events in their order come out."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from live.judge import instant_ms
from runner.errors import fail

_DT = re.compile(rb'"dt":\s*"([^"]*)"')
_REPEATS = 256  # lines after which a repeated one is taken for a new one; the generator's ring is smaller


@dataclass(frozen=True)
class Captured:
    """An event's bytes; ``id`` is the id line that the real server gave it, where that was kept."""

    data: bytes
    id: bytes | None = None


def recorded(path: Path) -> Iterator[Captured]:
    """The events of a file: ``.sse`` as the server sent them, else one JSON document a line; also ``.gz``."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from _sse(file) if ".sse" in path.suffixes else _lines(file)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = "name a file of events: .ndjson, .sse, also with .gz"
        raise fail("no-capture", None, f"{path} cannot be read", why=why, fix=fix) from None


def generated(*, events: int, seed: int, days: int = 1, start: date | None = None) -> Iterator[Captured]:
    """Events made from a seed, malformed ones and heartbeats included; the same seed gives the same bytes."""
    from producer.generator import generate  # the one place that knows where the generator is

    for line in generate.lines(events=events, days=days, seed=seed, start=start or generate.START):
        yield Captured(line.encode("utf-8", "surrogatepass"))


def with_canaries(events: Iterable[Captured], *, every: int) -> Iterator[Captured]:
    """A heartbeat after every ``every`` events, in the two forms that the real stream has."""
    newest = b"2026-01-01T00:00:00Z"
    for number, event in enumerate(events, start=1):
        yield event
        match = _DT.search(event.data)
        newest = match[1] if match else newest
        if number % every == 0:
            domain = b',"domain":"canary"' if number // every % 2 else b""
            yield Captured(
                b'{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"stream":"mediawiki.recentchange",'
                b'"id":"canary-%d","dt":"%s"%s}}' % (number, newest, domain)
            )


def as_of_now(
    events: Iterable[Captured], *, rate: float, start: datetime | None = None
) -> Iterator[Captured]:
    """The events with times as if they came from ``start`` on at ``rate`` a second.

    An event that was older than one before it is as much older afterwards; a repeat is the same bytes again.
    """
    start = start or datetime.now(UTC)
    newest: int | None = None
    repeats: dict[bytes, Captured] = {}
    for number, event in enumerate(events):
        match = _DT.search(event.data)
        was = instant_ms(match[1].decode("utf-8", "replace")) if match else None
        if match is None or was is None:
            yield Captured(event.data)
            continue
        again = repeats.get(event.data)
        if again is None:
            newest = was if newest is None else max(newest, was)
            at = start + timedelta(seconds=number / rate) - timedelta(milliseconds=newest - was)
            stamp = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z".encode()
            again = Captured(event.data[: match.start(1)] + stamp + event.data[match.end(1) :])
            repeats[event.data] = again
            if len(repeats) > _REPEATS:
                del repeats[next(iter(repeats))]
        yield again


def _lines(file: Iterable[bytes]) -> Iterator[Captured]:
    for line in file:
        if data := line.rstrip(b"\r\n"):
            yield Captured(data)


def _sse(file: Iterable[bytes]) -> Iterator[Captured]:
    data: list[bytes] = []
    sent: bytes | None = None
    for line in file:
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"id":
            sent = value
        elif not line.strip() and data:
            yield Captured(b"\n".join(data), sent)
            data, sent = [], None
    if data:  # the recording ended with its last event
        yield Captured(b"\n".join(data), sent)
